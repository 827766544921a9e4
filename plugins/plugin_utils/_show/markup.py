# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text for pages, Markdown and XML: escaped, and without what a terminal or a page obeys.

What stands in a report may be an agent's, a node's or a file's word.
"""

from __future__ import annotations

import html
import re

from .text import printable

# What means something in Markdown, as GitHub reads it; each becomes a character reference, which
# means nothing but itself there. The dollar begins a formula, the @ tells a person.
MARKDOWN = {ord(char): f"&#{ord(char)};" for char in "&<>`*_[]!|~#@\\{}$^"}
# What GitHub makes a link of by itself.
LINKS = re.compile(r"(https?|ftp)(:)(?=//)|(www)(\.)|(\w)(\+)(?=\w)", re.IGNORECASE)


def escaped(text: object) -> str:
    """A text as one line of a page or of XML, within an element or in quotes."""
    return _without_tabs(html.escape(printable(str(text).replace("\n", " "))))


def escaped_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(_without_tabs(html.escape(printable(line))) for line in lines_of(text))


def _without_tabs(text: str) -> str:
    """The same tabs, as no byte that a terminal obeys."""
    return text.replace("\t", "&#9;")


def lines_of(text: str) -> list[str]:
    """The lines of a text; a carriage return at the end of one is none of it."""
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def markdown(text: object) -> str:
    """A text as one line of Markdown in which nothing but its words is left."""
    line = printable(str(text).replace("\n", " ")).replace("\t", " ").translate(MARKDOWN)
    return LINKS.sub(_without_link, line)


def _without_link(match: re.Match[str]) -> str:
    word, sign = (part for part in match.groups() if part)
    return f"{word}&#{ord(sign)};"


def fenced(text: str, language: str = "") -> str:
    """A text of several lines as a block of code, which nothing in it ends."""
    lines = [printable(line.expandtabs()) for line in lines_of(text)]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence + language, *lines, fence])
