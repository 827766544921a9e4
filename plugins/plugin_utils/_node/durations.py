# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as people say them.

What people read of a run comes from nodes, from the scheduler and from the summary alike, so the
same function stands in all three, and a test compares them.
"""

from __future__ import annotations


def spoken(seconds: float) -> str:
    """`3.2 s`, `42 s`, `8 min 4 s`, `31 min`, `2 h 5 min`, `3 d 4 h`: the longer, the coarser."""
    if seconds < 10:
        tenths = "%.1f" % max(0.0, seconds)
        return "%s s" % (tenths.removesuffix(".0"))
    if seconds < 60:
        return "%d s" % seconds
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 10:
        return "%d min %d s" % (minutes, rest) if rest else "%d min" % minutes
    if minutes < 60:
        return "%d min" % minutes
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return "%d h %d min" % (hours, minutes) if minutes else "%d h" % hours
    days, hours = divmod(hours, 24)
    return "%d d %d h" % (days, hours) if hours else "%d d" % days
