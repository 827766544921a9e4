# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames around lines, as wide as a terminal, with a title and what is known at the right of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .text import GAP, fit, pad, width, wrapped

# How wide text is where there is no terminal, and at least.
COLUMNS = 80
LEAST = 50
# Columns that the border and the blank beside it take, on both sides together.
BORDERS = 4
# Columns that a frame's title and its lines need beside what is at the right.
TITLE_LEAST = 16
# The columns of a row, of which the second one gets what the others leave, and how few those are.
NAME = 1
NAME_LEAST = 8


def heading(title: str, columns: int) -> str:
    """The line at the top of a panel."""
    text = f" {fit(title, columns - BORDERS - 2)} "
    left = (columns - 2 - width(text)) // 2
    right = columns - 2 - width(text) - left
    return f"╔{'═' * left}{text}{'═' * right}╗"


def frame(title: str, right: str, lines: Iterable[str], columns: int) -> list[str]:
    """Lines in a frame. right: what stands at the right of the title; the title is cut for it.

    A line that is too wide, such as an address that a person has to visit, has no border at the
    right, so that it is whole.
    """
    right = f" {fit(right, columns - TITLE_LEAST)} " if right else ""
    left = f" {fit(title, columns - 6 - width(right))} "
    between = columns - 4 - width(left) - width(right)
    inside = columns - BORDERS
    top = f"┌─{left}{'─' * between}{right}─┐"
    return [
        top,
        *(f"│ {pad(line, inside)} │" if width(line) <= inside else f"│ {line}" for line in lines),
        f"└{'─' * (columns - 2)}┘",
    ]


def told(sign: str, text: str, columns: int) -> list[str]:
    """A whole sentence behind a sign, wrapped to what a frame of so many columns holds."""
    indent = " " * (width(sign) + 1)
    parts = wrapped(text, columns - BORDERS - len(indent))
    return [f"{sign} {part}" for part in parts[:1]] + [f"{indent}{part}" for part in parts[1:]]


def columns_of(rows: Sequence[Sequence[str]], columns: int) -> list[str]:
    """Cells below each other in a frame of so many columns.

    Each column is as wide as its longest cell; if that is too much, the names are cut.
    """
    if not rows:
        return []
    widths = [max(width(row[index]) for row in rows) for index in range(len(rows[0]))]
    # A sign has one blank behind it.
    taken = sum(widths) - widths[NAME] + len(GAP) * (len(widths) - 2) + 1
    widths[NAME] = max(NAME_LEAST, min(widths[NAME], columns - BORDERS - taken))
    lines = []
    for row in rows:
        cells = [pad(fit(cell, limit), limit) for cell, limit in zip(row, widths, strict=True)]
        line = f"{cells[0]} {GAP.join(cells[1:])}".rstrip()
        lines.append(fit(line, columns - BORDERS))
    return lines
