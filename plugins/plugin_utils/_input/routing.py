# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which specialist gummy gives a prompt to: its own table of keywords."""

from __future__ import annotations

from collections.abc import Mapping

# In gummy's order: the first specialist of whom a keyword is part of the prompt, upper and lower
# case told apart.
ROUTES: Mapping[str, tuple[str, ...]] = {
    "database-expert": ("database", "query", "schema", "migration", "sql"),
    "api-developer": ("api", "endpoint", "route", "rest", "graphql"),
    "testing-specialist": ("test", "spec", "jest", "vitest"),
    "security-specialist": ("security", "auth", "permission", "vulnerability"),
    "frontend-specialist": ("ui", "component", "react", "vue", "frontend"),
    # Takes what is left.
    "general-specialist": (),
}


def specialist_of(prompt: str) -> tuple[str, tuple[str, ...]]:
    """(the specialist, its keywords in the prompt)."""
    for name, keywords in ROUTES.items():
        if found := tuple(word for word in keywords if word in prompt):
            return name, found
    return "general-specialist", ()


def why_not(specialist: str, prompt: str) -> str | None:
    """Why the prompt does not reach this specialist, and what to do: a sentence, or None."""
    taker, found = specialist_of(prompt)
    if taker == specialist:
        return None
    wanted = ROUTES[specialist]
    advice = (
        [f"take {' and '.join(map(repr, found))} out of the prompt (words that hold it count too)"]
        if found and _goes_before(taker, specialist)
        else []
    )
    if wanted and not any(word in prompt for word in wanted):
        advice.append(f"use one of {', '.join(wanted)} in it, in small letters")
    reason = (
        f"it has {' and '.join(map(repr, found))} in it"
        if found
        else "it has no keyword of any specialist"
    )
    return (
        f"gummy gives this prompt to {taker}, for {reason}; {' and '.join(advice)}, or name {taker}"
    )


def _goes_before(one: str, other: str) -> bool:
    names = list(ROUTES)
    return names.index(one) < names.index(other)
