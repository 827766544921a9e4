# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The events in what an agent prints, as it passes. Of all else nothing is kept.

An event is a JSON object. It is a line, a part of a line with text around it, or an element of an
array that is a line. Text that is no event may stand anywhere; a line may be of any length, and of
an event that is long its long texts are cut.
"""

from __future__ import annotations

import json
import re

from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Take = Callable[[dict[str, Any]], None]

# Bytes that are read at once.
PIECE = 1 << 16
# Bytes of a line that is kept whole until its end; a longer one is read as it passes.
SHORT = 1 << 16
# Bytes of a long line's event that are kept, and of each text in it.
MOST = 1 << 20
TEXT_MOST = 1 << 14
# How often one short line is tried as JSON: text may look like it and be none.
TRIES = 16
# Where a line ends. Progress that is written over itself has no other end than this second one.
LINE_END = re.compile(rb"[\n\r]")
# Where an event, or an array of them, may begin in a line.
BEGIN = re.compile(r'\[|\{\s*"')
# What stands before a part of an event, and behind it.
INSIDE = re.compile(r"[:,\[]\s*\Z")
GOES_ON = re.compile(r"\s*[,}\]]")
# The same of a long line, where only single bytes are looked at.
LONG_BEGIN = re.compile(rb"[\[{]")
MARK = re.compile(rb'["{}\[\]]')
# A text as far as it goes without its end.
IN_TEXT = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
# What is left of an escape that was cut.
CUT_ESCAPE = re.compile(rb"\\(?:u[0-9A-Fa-f]{0,3})?\Z")
DECODER = json.JSONDecoder()


class Events:
    """Finds the events in one stream, which feed() takes piece by piece."""

    def __init__(self, take: Take) -> None:
        """take: is given each event as soon as its line has ended."""
        self._take = take
        # The line so far, while it is short.
        self._line = bytearray()
        self._long: _LongLine | None = None

    def feed(self, data: bytes) -> None:
        """Take the next piece of the output."""
        begin = 0
        for match in LINE_END.finditer(data):
            self._part(data[begin : match.start()])
            self.end()
            begin = match.end()
        self._part(data[begin:])

    def end(self) -> None:
        """The line, or the output, has ended."""
        line = bytes(self._line)
        self._line.clear()
        self._long = None
        if line:
            self._read(line.decode("utf-8", "replace"))

    def _part(self, part: bytes) -> None:
        """Take a part of a line."""
        if self._long is None:
            self._line += part
            if len(self._line) <= SHORT:
                return
            self._long = _LongLine(self._take)
            part = bytes(self._line)
            self._line.clear()
        self._long.feed(part)

    def _read(self, line: str) -> None:
        """Take the events of a short line.

        Once something in it was damaged, what looks like a part of an event is none of its own.
        """
        position = 0
        tries = 0
        is_damaged = False
        while tries < TRIES:
            match = BEGIN.search(line, position)
            if match is None:
                return
            begin = match.start()
            position = begin + 1
            if is_damaged and INSIDE.search(line, max(0, begin - 8), begin):
                continue
            tries += 1
            try:
                value, end = DECODER.raw_decode(line, begin)
            except (ValueError, RecursionError):
                is_damaged = True
                if match.group() == "[":
                    # An array that was cut: what is whole of it counts.
                    _LongLine(self._take).feed(line[begin:].encode("utf-8", "replace"))
                    return
                continue
            position = end
            if GOES_ON.match(line, end):
                is_damaged = True
                continue
            for event in value if isinstance(value, list) else [value]:
                if isinstance(event, dict):
                    self._take(event)


class _LongLine:
    """A line that is too long to keep."""

    def __init__(self, take: Take) -> None:
        self._take = take
        # How many brackets are open, and how many of them are around the events.
        self._depth = 0
        self._around = 0
        # The event so far; None: none has begun, or it is too long.
        self._event: bytearray | None = None
        # Whether this is inside of a text, how long that is, and whether its last byte, a
        # backslash, takes the next byte along.
        self._in_text = False
        self._text = 0
        self._is_escaped = False

    def feed(self, part: bytes) -> None:
        position = 0
        while position < len(part):
            if self._in_text:
                position = self._pass_text(part, position)
            elif self._depth:
                position = self._pass_marks(part, position)
            else:
                match = LONG_BEGIN.search(part, position)
                if match is None:
                    return
                position = match.start()
                self._around = 1 if match.group() == b"[" else 0
                self._open(match.group())
                position += 1

    def _pass_text(self, part: bytes, position: int) -> int:
        if self._is_escaped:
            self._is_escaped = False
            self._keep_text(part[position : position + 1])
            return position + 1

        match = IN_TEXT.match(part, position)
        end = match.end() if match else position
        self._keep_text(part[position:end])
        if end == len(part):
            return end
        if part[end : end + 1] == b"\\":
            self._is_escaped = True
            self._keep_text(b"\\")
        else:
            self._in_text = False
            if self._event is not None and self._text > TEXT_MOST:
                cut = CUT_ESCAPE.search(self._event, max(0, len(self._event) - 6))
                # A pair of backslashes is one whole escape.
                if cut and not _ends_in_pairs(self._event, cut.start()):
                    del self._event[cut.start() :]
            self._keep(b'"')
        return end + 1

    def _pass_marks(self, part: bytes, position: int) -> int:
        match = MARK.search(part, position)
        if match is None:
            self._keep(part[position:])
            return len(part)

        mark = match.group()
        self._keep(part[position : match.start()])
        if mark in b"{[":
            self._open(mark)
            return match.end()
        self._keep(mark)
        if mark == b'"':
            self._in_text = True
            self._text = 0
        else:
            self._depth -= 1
            if self._depth == self._around:
                self._finish()
        return match.end()

    def _open(self, mark: bytes) -> None:
        if self._depth == self._around and mark == b"{":
            self._event = bytearray()
        self._depth += 1
        self._keep(mark)

    def _finish(self) -> None:
        event = self._event
        self._event = None
        if event is None:
            return
        try:
            value = json.loads(event.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return
        if isinstance(value, dict):
            self._take(value)

    def _keep(self, part: bytes) -> None:
        if self._event is not None:
            self._event += part
            if len(self._event) > MOST:
                self._event = None

    def _keep_text(self, part: bytes) -> None:
        self._keep(part[: max(0, TEXT_MOST - self._text)])
        self._text += len(part)


def _ends_in_pairs(data: bytearray, end: int) -> bool:
    """Whether an odd number of backslashes stands before this one, which they then escape."""
    before = data[:end]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


# -- what a field of an event may hold


def dollars(value: Any) -> float | None:
    """A cost as an event tells it; None if it is no sum of money."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < 1e6 else None


def count(value: Any) -> int | None:
    """A number of things as an event tells it; None if it is none."""
    # True is an int for Python alone.
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 2**53 else None


def fields(value: Any) -> dict[str, Any]:
    """An object in an event; empty if it is none."""
    return value if isinstance(value, dict) else {}
