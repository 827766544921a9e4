# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that are followed: the lines of several jobs as they come, each with its job's name."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from .agent_events import LogReader
from .text import printable

Row = Mapping[str, Any]


class _Log:
    """One of the logs."""

    def __init__(self, name: str, reader: LogReader, lines: int | None) -> None:
        self.name = name
        self.reader = reader
        # What was printed before it was followed, until all of that has come.
        self.earlier: deque[str] | None = deque(maxlen=lines)


class FollowedLogs:
    """Makes lines for people of what comes of several logs.

    raw: whether agents' events stay as they are; lines: how many of the lines that were there
    before are shown of each, None: all of them.
    """

    def __init__(self, *, raw: bool = False, lines: int | None = None) -> None:
        self._raw = raw
        self._lines = lines
        self._logs: dict[str, _Log] = {}

    def take(self, row: Row, what: str, text: str = "") -> list[str]:
        """The lines to show now.

        row: of the attempt; what: begun, piece, reached, over, note or given_up; text: the piece,
        or a sentence.
        """
        log = self._logs.get(row["attempt"])
        if log is None:
            reader = LogReader(row["agent"], raw=self._raw)
            log = _Log(self._new_name(row), reader, self._lines)
            self._logs[row["attempt"]] = log

        lines = []
        if what == "piece":
            lines = log.reader.feed(text)
        elif what in ("over", "given_up"):
            lines = log.reader.end()
        if log.earlier is not None:
            log.earlier += lines
            lines = []
            if what not in ("begun", "piece"):
                lines = list(log.earlier)
                log.earlier = None
        if what in ("note", "given_up"):
            lines.append(f"({printable(text)})")
        return [self._with_name(log, line) for line in lines]

    def _new_name(self, row: Row) -> str:
        """The job's name, and what tells it from others that are called so."""
        known = {log.name for log in self._logs.values()}
        job = printable(str(row["job"]))
        node = printable(str(row["node"]))
        names = (job, f"{job}@{node}", f"{printable(str(row['run_id']))}/{job}@{node}")
        return next((name for name in names if name not in known), printable(row["attempt"]))

    def _with_name(self, log: _Log, line: str) -> str:
        """The line behind the name of its job, where there is more than one."""
        if len(self._logs) == 1:
            return line
        widest = max(len(each.name) for each in self._logs.values())
        return f"{log.name:<{widest}} | {line}"
