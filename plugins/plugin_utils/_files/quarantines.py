# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that failed in earlier runs of this user, and how long they rest.

They are kept in a file, so that each run need not find it out anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from .._schedule import messages as ev
from .._schedule.nodes import QUARANTINE_MOST
from .private_file import cache_file, read_rows, write_private

FORMAT = 1

# How long after its pause a node's failures still count, in seconds.
REMEMBERED = 3600.0


class Row(TypedDict):
    """What the file says of a node."""

    # How often it failed without a success between.
    failures: int
    # When its pause ends, in seconds since 1970.
    until: float
    # What failed, for people.
    why: str


class Quarantines:
    """The pauses of nodes, by keys that are other ones when a node's connection settings change."""

    def __init__(
        self, keys: Mapping[str, str], believe: bool = True, now: Callable[[], float] = time.time
    ) -> None:
        """keys: node -> its key; believe: False forgets what the file says of these nodes."""
        self._path = cache_file("quarantine.json")
        self._keys = keys
        self._now = now
        self._lock = threading.Lock()
        if not believe:
            self._write(dict.fromkeys(keys.values()))

    def known(self) -> list[ev.Quarantined]:
        """What the file says of these nodes, with the seconds that are left of each pause."""
        rows = self._read()
        now = self._now()
        return [
            ev.Quarantined(node, row["failures"], max(0.0, row["until"] - now), row["why"])
            for node, key in self._keys.items()
            if (row := rows.get(key)) is not None
        ]

    def keep(self, command: ev.Quarantine) -> None:
        """Note a node's pause; one without failures is over and forgotten.

        The controller itself, and a node that has left the play, have no key: nothing is kept of
        them.
        """
        key = self._keys.get(command.node)
        if key is None:
            return

        row: Row | None = None
        if command.failures:
            row = {
                "failures": command.failures,
                "until": self._now() + command.seconds,
                "why": command.why,
            }
        self._write({key: row})

    def _write(self, changes: Mapping[str, Row | None]) -> None:
        """Change rows by key, None to take one away; the file is left alone if nothing changes."""
        with self._lock:
            before = self._read()
            rows = {key: row for key, row in {**before, **changes}.items() if row is not None}
            if rows != before:
                write_private(self._path, {"format": FORMAT, "nodes": rows})

    def _read(self) -> dict[str, Row]:
        """The rows that still count; none if the file is not what it should be."""
        try:
            found = read_rows(self._path, FORMAT, "nodes")
            rows = {key: _row(raw) for key, raw in found.items()}
        except (TypeError, KeyError, AttributeError, ValueError, OverflowError):
            return {}
        now = self._now()
        return {key: row for key, row in rows.items() if _counts(row, now)}


def _row(raw: Mapping[str, Any]) -> Row:
    return {
        "failures": int(raw["failures"]),
        "until": float(raw["until"]),
        "why": str(raw["why"]),
    }


def _counts(row: Row, now: float) -> bool:
    """Whether it is neither too old nor longer than a pause can be: a clock may have been wrong."""
    return row["failures"] > 0 and -REMEMBERED < row["until"] - now <= QUARANTINE_MOST
