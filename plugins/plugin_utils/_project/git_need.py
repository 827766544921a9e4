# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How new a node's git has to be for a project: some formats an older one can't read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .settings import Settings

# The oldest git by which a node makes baselines and patches.
OLDEST = (2, 25)
# Settings of a repository's format that go along (settings.py), the values by which it is another
# one than every git reads, and since when git reads that. A blank value stands for any.
SINCE = (
    ("extensions.refstorage", "reftable", (2, 45), "a repository with reftable"),
    ("extensions.compatobjectformat", "", (2, 45), "a repository of two object formats"),
    ("index.sparse", "true", (2, 32), "a sparse index"),
    ("extensions.objectformat", "sha256", (2, 29), "a repository with sha256"),
)


class GitNeed(NamedTuple):
    """What a project needs of the git of a node."""

    # The oldest version that will do.
    version: tuple[int, int] = OLDEST
    # For what, for people; blank: for every project.
    what: str = ""


def git_need(repositories: Iterable[Settings]) -> GitNeed:
    """What a project needs of the git of a node. repositories: settings of those that go along."""
    needs = [
        GitNeed(since, what)
        for settings in repositories
        for name, given in settings.own
        for key, value, since, what in SINCE
        if name == key and value in ("", given.strip().lower())
    ]
    return max(needs, default=GitNeed(), key=lambda need: need.version)
