# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of work: which part of the load they feel, and how a prompt tells which it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

# Task type -> the part of the load that counts by 1 more for such work; None: no part does.
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

# Task type -> its keywords: gummy's own, as whole words. REST counts in capitals only, because of
# "the rest".
_KEYWORDS = {
    "database": "database databases query queries schema schemas migration migrations sql",
    "api": "api apis endpoint endpoints route routes REST restful graphql",
    "testing": "test tests testing spec specs jest vitest",
    "security": "security auth authentication authorization permission permissions "
    "vulnerability vulnerabilities",
    "frontend": "ui component components react vue frontend",
}
KEYWORDS: Mapping[str, frozenset[str]] = {
    task_type: frozenset(words.split()) for task_type, words in _KEYWORDS.items()
}


def task_type_of(prompt: str) -> str:
    """The task type whose keywords a prompt names most; a tie or none is `general`."""
    words = {_normal(word) for word in re.findall(r"[^\W_]+", prompt)}
    hits = sorted(
        ((len(words & keywords), task_type) for task_type, keywords in KEYWORDS.items()),
        reverse=True,
    )

    (most, task_type), (second, _other) = hits[:2]
    if most > second:
        return task_type
    return "general"


def _normal(word: str) -> str:
    if word == "REST":
        return word
    return word.lower()
