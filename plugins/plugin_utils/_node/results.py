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
PIECE = 1 << 16
MARK = re.compile(rb'\\.|["{}\[\]]', re.DOTALL)
NOISE = -1


class Results:
    """Reads an event a line (stream-json), or a line that is one event or an array of them (json).

    Lines that are no JSON are noise.
    """

    def __init__(self) -> None:
        self.last: dict[str, Any] | None = None
        # A backslash whose other half is in the next piece.
        self._held = b""
        self._next_line()

    def _next_line(self) -> None:
        # The depth at which this line's events lie; None: nothing but blanks so far.
        self._level: int | None = None
        self._depth = 0
        self._in_text = False
        self._event: bytearray | None = bytearray()

    def feed(self, data: bytes) -> None:
        data = self._held + data
        odd = (len(data) - len(data.rstrip(b"\\"))) % 2
        data, self._held = data[: len(data) - odd], data[len(data) - odd :]
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._part(line)
            self.end()
        self._part(rest)

    def end(self) -> None:
        """The line, or the stream, has ended."""
        if self._level == 0:
            self._take()
        self._next_line()

    def _part(self, part: bytes) -> None:
        if self._level is None:
            part = part.lstrip()
            if not part:
                return
            self._level = {b"{": 0, b"[": 1}.get(part[:1], NOISE)
        if self._level == 0:
            self._keep(part)
        elif self._level == 1:
            self._elements(part)

    def _elements(self, part: bytes) -> None:
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
    """A cost as an event tells it, if it is one."""
    return (
        float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e6
        else None
    )
