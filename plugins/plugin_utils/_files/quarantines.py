# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that failed in earlier runs of this user, and how long they rest: kept in a file, so that
each run need not find it out anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from .._schedule import messages as ev
from .._schedule.nodes import QUARANTINE_MOST
from .private_file import cache_file, read_private, write_private

FORMAT = 1
# Seconds after its pause that a node's failures still count.
REMEMBERED = 3600.0


class Quarantines:
    """keys: node -> a text that is another one when its connection settings are; believe:

    False forgets what is known of these nodes.
    """

    def __init__(
        self, keys: Mapping[str, str], believe: bool = True, now: Callable[[], float] = time.time
    ) -> None:
        self._path = cache_file("quarantine.json")
        self._keys = keys
        self._now = now
        self._one_at_a_time = threading.Lock()
        if not believe:
            self._write(dict.fromkeys(keys.values()))

    def known(self) -> list[ev.Quarantined]:
        rows = self._read()
        now = self._now()
        found = [(name, rows[key]) for name, key in self._keys.items() if key in rows]
        return [
            ev.Quarantined(name, row["failures"], max(0.0, row["until"] - now), row["why"])
            for name, row in found
        ]

    def keep(self, command: ev.Quarantine) -> None:
        row = {
            "failures": command.failures,
            "until": self._now() + command.seconds,
            "why": command.why,
        }
        self._write({self._keys[command.node]: row if command.failures else None})

    def _write(self, found: Mapping[str, dict[str, Any] | None]) -> None:
        with self._one_at_a_time:
            before = self._read()
            rows = {key: row for key, row in {**before, **found}.items() if row is not None}
            if rows != before:
                write_private(self._path, {"format": FORMAT, "nodes": rows})

    def _read(self) -> dict[str, dict[str, Any]]:
        data = read_private(self._path)
        now = self._now()
        found: dict[str, dict[str, Any]] = {}
        try:
            for key, row in data["nodes"].items() if data["format"] == FORMAT else ():
                row = {
                    "failures": int(row["failures"]),
                    "until": float(row["until"]),
                    "why": str(row["why"]),
                }
                if row["failures"] > 0 and -REMEMBERED < row["until"] - now <= QUARANTINE_MOST:
                    found[key] = row
        except (TypeError, KeyError, AttributeError, ValueError, OverflowError):
            return {}
        return found
