# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of work: which part of the load they feel, and how a prompt tells which it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

# The part of the load that counts one more for work of this type.
TASK_TYPES: Mapping[str, str | None] = MappingProxyType(
    {
        "general": None,
        "database": "cpu",
        "api": "io_wait",
        "frontend": "memory",
        "testing": None,
        "security": None,
    }
)
# gummy's own keywords as whole words; "REST" only in capitals, because of "the rest".
KEYWORDS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "database": "database databases query queries schema schemas migration migrations sql",
        "api": "api apis endpoint endpoints route routes REST restful graphql",
        "testing": "test tests testing spec specs jest vitest",
        "security": "security auth authentication authorization permission permissions vulnerability vulnerabilities",
        "frontend": "ui component components react vue frontend",
    }.items()
}


def task_type_of(prompt: str) -> str:
    """The task type whose keywords a prompt names most; a tie or none is `general`."""
    words = {word if word == "REST" else word.lower() for word in re.findall(r"[^\W_]+", prompt)}
    hits = sorted(((len(words & known), name) for name, known in KEYWORDS.items()), reverse=True)
    return hits[0][1] if hits[0][0] > hits[1][0] else "general"
