# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as people say them, for panels with frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What nobody knows.
UNKNOWN = "n/a"
# Units of a duration with their seconds, and from how many seconds on the next one is taken.
UNITS = (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 172800))
DAY = 86400
# A bar of a load.
BAR = 10


def percent(part: float | None) -> str:
    """Of a part between 0 and 1."""
    return "-" if part is None else f"{100 * part:.0f} %"


def duration(seconds: float | None) -> str:
    """`45 s`, `4 min`, `2 h`, `3 d`: whole units, and none that is not full."""
    if seconds is None:
        return UNKNOWN
    for unit, size, limit in UNITS:
        if seconds < limit:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // DAY)} d"


def ago(seconds: float | None) -> str:
    """When something was, as seen from now."""
    if seconds is None:
        return UNKNOWN
    return "just now" if seconds < 1 else f"{duration(seconds)} ago"


def sessions(count: int | None) -> str:
    if count is None:
        return UNKNOWN
    return "1 session" if count == 1 else f"{count} sessions"


def slots(row: Mapping[str, Any] | None) -> str:
    """`2/4 slots`. row: `busy` and `total`; None: nobody knows."""
    return "slots n/a" if row is None else f"{row['busy']}/{row['total']} slots"


def load_bar(part: float | None, columns: int = BAR) -> str:
    """How much of a bar is full; one of which nobody knows it is blank."""
    if part is None:
        return " " * columns
    full = min(columns, max(0, round(part * columns)))
    return "█" * full + "░" * (columns - full)
