# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check is, and what comes of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

Facts = TypeVar("Facts")

# What may stand among the details of a check.
Detail = str | int | float | bool | None

# How grave it is when a check fails: no job can be done, or some can't, or a person may want to
# know.
Category = Literal["critical", "warning", "info"]

Status = Literal["ok", "failed", "unknown"]

# The oldest git that does for projects and harvests, and the oldest rsync.
OLDEST_GIT = (2, 25)
OLDEST_RSYNC = (3, 0)


@dataclass(frozen=True)
class Verdict:
    """What a check has found."""

    status: Status
    # One sentence without its end.
    summary: str
    # What mends it: a command as it is to be typed here, or a sentence where none does.
    remedy: str | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)


@dataclass(frozen=True)
class Check(Generic[Facts]):
    """A row of the table of checks."""

    id: str
    category: Category
    # Why a finding matters, one sentence.
    why: str
    # What is found in the facts of a machine; it does no I/O.
    judge: Callable[[Facts], Verdict]
    # The keys of doctor.sh's lines which it looks at, and whose time it takes.
    keys: tuple[str, ...] = ()
    # Whether it has something to say of a node that gave no answer.
    of_contact: bool = False


def good(summary: str, **details: Detail) -> Verdict:
    return Verdict("ok", summary, None, details)


def bad(summary: str, remedy: str, **details: Detail) -> Verdict:
    return Verdict("failed", summary, remedy, details)


def unknown(summary: str, **details: Detail) -> Verdict:
    return Verdict("unknown", summary, None, details)


def why_not_rsync(version_line: str) -> str | None:
    """Why this rsync does not do, as a part of a sentence; None if it does.

    version_line: the first line that it says to --version.
    """
    if "openrsync" in version_line:
        return "is openrsync, which does not know all options that a sync uses"
    numbers = version_numbers(version_line)
    if numbers is None:
        return "does not tell its version"
    if numbers < OLDEST_RSYNC:
        return f"is of version {_dotted(numbers)}, and {_dotted(OLDEST_RSYNC)} is the oldest"
    return None


def why_not_git(version_line: str) -> str | None:
    """The same of git."""
    numbers = version_numbers(version_line)
    if numbers is None:
        return "does not tell its version"
    if numbers < OLDEST_GIT:
        return f"is of version {_dotted(numbers)}, and {_dotted(OLDEST_GIT)} is the oldest"
    return None


def version_numbers(text: str) -> tuple[int, int] | None:
    """The first two numbers of the first version in a text."""
    found = re.search(r"(\d{1,6})\.(\d{1,6})", text)
    if found is None:
        return None
    return int(found.group(1)), int(found.group(2))


def _dotted(numbers: tuple[int, int]) -> str:
    return ".".join(map(str, numbers))
