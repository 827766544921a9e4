# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which specialist gummy gives a prompt to: its own table of keywords."""

from __future__ import annotations

from collections.abc import Mapping

# Who takes what no keyword leads to another.
DEFAULT = "general-specialist"

# In gummy's order: the first specialist of whom a keyword is part of the prompt takes it. Upper and
# lower case are told apart.
ROUTES: Mapping[str, tuple[str, ...]] = {
    "database-expert": ("database", "query", "schema", "migration", "sql"),
    "api-developer": ("api", "endpoint", "route", "rest", "graphql"),
    "testing-specialist": ("test", "spec", "jest", "vitest"),
    "security-specialist": ("security", "auth", "permission", "vulnerability"),
    "frontend-specialist": ("ui", "component", "react", "vue", "frontend"),
    DEFAULT: (),
}


def specialist_of(prompt: str) -> tuple[str, tuple[str, ...]]:
    """Returns the specialist who gets the prompt, and those of its keywords that the prompt has."""
    for specialist, keywords in ROUTES.items():
        matches = tuple(word for word in keywords if word in prompt)
        if matches:
            return specialist, matches
    return DEFAULT, ()


def why_not(specialist: str, prompt: str) -> str | None:
    """Why the prompt does not reach this specialist, and what to do: a sentence, or None."""
    taker, matches = specialist_of(prompt)
    if taker == specialist:
        return None
    words = " and ".join(map(repr, matches))
    reason = f"it has {words} in it" if matches else "it has no keyword of any specialist"

    advice = []
    if matches and _goes_before(taker, specialist):
        advice.append(f"take {words} out of the prompt (words that hold it count too)")
    wanted = ROUTES[specialist]
    if wanted and not any(word in prompt for word in wanted):
        advice.append(f"use one of {', '.join(wanted)} in it, in small letters")

    steps = " and ".join(advice)
    return f"gummy gives this prompt to {taker}, for {reason}; {steps}, or name {taker}"


def _goes_before(first: str, second: str) -> bool:
    names = list(ROUTES)
    return names.index(first) < names.index(second)
