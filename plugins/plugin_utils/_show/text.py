# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text for a terminal: made harmless, and measured by the columns that it takes there.

Emoji and CJK take two columns, accents none.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Sequence

# What stands between two columns of a table.
GAP = "  "
# How many names stand in one line.
NAMES_MOST = 5
# How an address begins that a person can visit.
ADDRESS = ("http://", "https://")
# What stands for a character where there is nothing but ASCII; it takes as many columns.
IN_ASCII = {
    **dict.fromkeys("╔╗╚╝┌┐└┘├┤", "+"),
    **dict.fromkeys("═", "="),
    **dict.fromkeys("─", "-"),
    **dict.fromkeys("║│", "|"),
    "█": "#",
    "░": ".",
    "⚡": "* ",
    "💤": "z ",
    "▶": ">",
    "✓": "+",
    "✗": "x",
    "…": "~",
    "·": "-",
    "–": "-",
    "→": ">",
}
# What sets colours or moves about in a terminal; its first character may have been replaced.
STYLE = re.compile("[\x1b\N{REPLACEMENT CHARACTER}]\\[[0-?]*[ -/]*[@-~]")
VARIATION_SELECTOR = "\N{VARIATION SELECTOR-16}"


def unstyled(line: str) -> str:
    """A line without the colours and the like that programs print."""
    return STYLE.sub("", line)


def printable(line: str) -> str:
    """A line without what a terminal would obey: it may hold a node's or an agent's words."""
    if line.isprintable():
        return line
    return "".join(map(_printable_char, line))


def _printable_char(char: str) -> str:
    if char.isprintable() or char == "\t":
        return char
    return "\N{REPLACEMENT CHARACTER}"


def clock_time(at: float, now: float) -> str:
    """A time as people here say it: `21:00`, and with its day where it is not within 20 hours.

    Both in seconds since 1970.
    """
    form = "%H:%M" if abs(at - now) < 20 * 3600 else "%d %b %H:%M"
    return time.strftime(form, time.localtime(at))


def spoken(seconds: float) -> str:
    """A duration as people say it: `3.2 s`, `42 s`, `8 min 4 s`, `31 min`, `2 h 5 min`, `3 d 4 h`.

    From ten minutes on seconds are left out. The scheduler and the nodes have the same function.
    """
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}".removesuffix(".0") + " s"
    if seconds < 60:
        return f"{int(seconds)} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def how_many(number: int, what: str) -> str:
    """`1 job`, `2 jobs`. what: a word that takes an s."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def some(names: Sequence[str], most: int = NAMES_MOST, count: int | None = None) -> str:
    """The first names, and how many more there are. count: of all, if `names` has not got all."""
    words = [*names[:most]]
    more = (len(names) if count is None else count) - len(words)
    if more > 0:
        words.append(f"and {more} more")
    return ", ".join(words)


def width(text: str) -> int:
    """How many columns a text takes, or one more where terminals differ."""
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if char.isascii():
        return 1
    if char == VARIATION_SELECTOR:
        # It makes an emoji of the character before it, where a terminal knows that.
        return 1
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    if unicodedata.east_asian_width(char) in ("W", "F"):
        return 2
    return 1


def in_ascii(line: str) -> str:
    """The line in ASCII alone, as wide as it is."""
    if line.isascii():
        return line
    return "".join(map(_ascii_char, line))


def _ascii_char(char: str) -> str:
    if char.isascii():
        return char
    return IN_ASCII.get(char, "?" * _columns(char))


def fit(text: str, columns: int) -> str:
    """A text on one line of at most so many columns, and harmless."""
    text = printable(text).replace("\t", " ")
    if width(text) <= columns:
        return text
    if columns <= 0:
        return ""

    # One column is for the sign that something is missing.
    left = columns - 1
    kept = []
    for char in text:
        left -= _columns(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + "…"


def pad(text: str, columns: int) -> str:
    """A text with blanks up to so many columns."""
    return text + " " * (columns - width(text))


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells below each other, each column as wide as its longest cell; the last one runs free."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [cell.ljust(columns) for cell, columns in zip(row, widths, strict=False)]
        lines.append(GAP.join([*cells, row[-1]]).rstrip())
    return lines


def fitted_table(rows: Sequence[Sequence[str]], limits: Sequence[int], columns: int) -> list[str]:
    """Cells below each other, in lines of at most so many columns.

    limits: how wide each column but the last may become; the last one gets what is left.
    """
    cells = [
        [fit(cell, limit) for cell, limit in zip(row, (*limits, columns), strict=True)]
        for row in rows
    ]
    widths = [max((width(row[index]) for row in cells), default=0) for index in range(len(limits))]
    return [fit(GAP.join([*map(pad, row, widths), row[-1]]), columns).rstrip() for row in cells]


def wrapped_table(rows: Sequence[tuple[str, str]], limit: int, columns: int) -> list[str]:
    """Names and what is to be said of each, which goes on in the lines below where it is long.

    An address stays whole, for a person may have to visit it. limit: how wide the names' column
    may become.
    """
    names = [fit(name, limit) for name, _text in rows]
    widest = max(map(width, names), default=0)
    lines = []
    for name, (_name, text) in zip(names, rows, strict=True):
        head = name
        for part in wrapped(text, columns - widest - len(GAP)) or [""]:
            lines.append(GAP.join([pad(head, widest), part]).rstrip())
            head = ""
    return lines


def wrapped(text: str, columns: int) -> list[str]:
    """The whole text in lines of at most so many columns, but for addresses."""
    lines: list[str] = []
    line = ""
    for word in printable(text).split():
        for part in [word] if word.startswith(ADDRESS) else _pieces(word, columns):
            longer = f"{line} {part}" if line else part
            if line and width(longer) > columns:
                lines.append(line)
                longer = part
            line = longer
    return [*lines, line] if line else lines


def _pieces(word: str, columns: int) -> list[str]:
    """A word that is wider than a line, in pieces that are not."""
    pieces = [""]
    taken = 0
    for char in word:
        taken += _columns(char)
        if taken > columns and pieces[-1]:
            pieces.append("")
            taken = _columns(char)
        pieces[-1] += char
    return pieces
