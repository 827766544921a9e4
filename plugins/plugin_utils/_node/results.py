# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `claude` prints, as it passes: its last `result` event. Of all else nothing is kept."""

from __future__ import annotations

import json
import re

from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

# Bytes of one event; a longer one is no result.
MOST = 8 << 20
# Bytes that are read at once.
PIECE = 1 << 16
# What matters in JSON for where an event begins and ends; a backslash takes the next byte along.
MARK = re.compile(rb'\\.|["{}\[\]]', re.DOTALL)
# The depth of events in a line that is no JSON.
NOISE = -1
# The depth at which a line's events lie, by its first byte.
LEVELS = {b"{": 0, b"[": 1}


class Results:
    """Reads an event a line (stream-json), or a line that is one event or an array of them (json).

    Lines that are no JSON are noise. feed() takes the output piece by piece, and `last` is the last
    result event so far.
    """

    def __init__(self) -> None:
        self.last: dict[str, Any] | None = None
        # A backslash whose other half is in the next piece.
        self._held = b""
        self._next_line()

    def _next_line(self) -> None:
        # The depth at which this line's events lie; None while nothing but blanks has come.
        self._level: int | None = None
        # How many brackets are open.
        self._depth = 0
        self._in_text = False
        # The event so far; None if it is too long to be a result.
        self._event: bytearray | None = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next piece of the output."""
        data = self._held + data
        odd = (len(data) - len(data.rstrip(b"\\"))) % 2
        end = len(data) - odd
        self._held = data[end:]
        *lines, rest = data[:end].split(b"\n")
        for line in lines:
            self._part(line)
            self.end()
        self._part(rest)

    def end(self) -> None:
        """The line, or the output, has ended."""
        if self._level == 0:
            self._take()
        self._next_line()

    def _part(self, part: bytes) -> None:
        """Take a part of a line."""
        if self._level is None:
            part = part.lstrip()
            if not part:
                return
            self._level = LEVELS.get(part[:1], NOISE)
        if self._level == 0:
            self._keep(part)
        elif self._level == 1:
            self._elements(part)

    def _elements(self, part: bytes) -> None:
        """Take a part of an array of events."""
        begin = 0
        for match in MARK.finditer(part):
            mark = match.group()
            if mark == b'"':
                self._in_text = not self._in_text
            elif self._in_text or len(mark) == 2:
                continue
            elif mark in b"{[":
                self._depth += 1
                if self._depth == 2:
                    begin = match.start()
                    self._event = bytearray()
            else:
                self._depth -= 1
                if self._depth == 1:
                    self._keep(part[begin : match.end()])
                    self._take()
        if self._depth > 1:
            self._keep(part[begin:])

    def _keep(self, part: bytes) -> None:
        if self._event is not None:
            self._event += part
            if len(self._event) > MOST:
                self._event = None

    def _take(self) -> None:
        """The event is whole: it is the last one if it is a result."""
        if self._event and b'"result"' in self._event:
            try:
                event = json.loads(self._event)
            except (ValueError, RecursionError):
                return
            if isinstance(event, dict) and event.get("type") == "result":
                self.last = event


def last_result(path: str) -> dict[str, Any] | None:
    """The last result event in a file; None if there is none."""
    results = Results()
    try:
        with open(path, "rb") as file:
            while piece := file.read(PIECE):
                results.feed(piece)
    except OSError:
        return None
    results.end()
    return results.last


def dollars(value: Any) -> float | None:
    """A cost as an event tells it; None if it is no sum of money."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < 1e6 else None
