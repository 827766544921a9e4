# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text by the columns that it takes on a terminal: emoji and CJK take two, accents none."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from .printer import shown

GAP = "  "


def width(text: str) -> int:
    """Columns, or one more where terminals differ."""
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.category(char) in ("Mn", "Me"):
        # Makes an emoji of the character before it, where a terminal knows that.
        return char == "\N{VARIATION SELECTOR-16}"
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """On one line of at most so many columns, without what a terminal would obey."""
    text = shown(text).replace("\t", " ")
    if width(text) <= columns:
        return text
    kept = []
    left = columns - 1
    for char in text:
        left -= _columns(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + "…" if columns > 0 else ""


def pad(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def table(rows: Sequence[Sequence[str]], most: Sequence[int], columns: int) -> list[str]:
    """Cells below each other.

    `most`: how wide each column but the last may become; the last one gets what is left of
    `columns`.
    """
    cells = [
        [fit(cell, limit) for cell, limit in zip(row, (*most, columns), strict=True)]
        for row in rows
    ]
    widths = [max((width(row[index]) for row in cells), default=0) for index in range(len(most))]
    return [fit(GAP.join([*map(pad, row, widths), row[-1]]), columns).rstrip() for row in cells]
