# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes said when they were last asked, shared by all playbooks of one user for a while.

A snapshot holds what was printed, not what was made of it, so that a changed config holds at once.
The file may be deleted at any time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .._files.private_file import cache_file, read_rows, write_private
from .._links.at_once import CompletedCommand

# How long the load that a node said is believed, in seconds.
LOAD_LASTS = 30.0

# How long the rest is, in seconds: whether it answers, its programs, its disk and its cpus.
HOST_LASTS = 60.0

FORMAT = 1


@dataclass(frozen=True)
class Snapshot:
    """A node's answer, and when it was given."""

    # What the program that asked it printed, and how it ended.
    outcome: CompletedCommand
    # When that was, in seconds since 1970.
    at: float
    # What a later question for the load alone was answered; blank if there was none.
    load: str = ""
    # When that was.
    load_at: float = 0.0
    # What the node program said of its programs, in JSON; blank: it was not asked.
    settled: str = ""

    def whole(self) -> CompletedCommand:
        """All that is known, the newest last."""
        return replace(self.outcome, out=self.outcome.out + self.load)

    def measured_at(self) -> float:
        """When the load was told, in seconds since 1970."""
        return max(self.at, self.load_at)


class Snapshots:
    """The snapshots of the file, by key, and those that this process adds. Raises nothing."""

    def __init__(self, believe: bool = True, now: Callable[[], float] = time.time) -> None:
        """believe: False takes nothing from the file, and still writes what is new."""
        self._path = cache_file("nodes.json")
        self._now = now
        self._rows = self._read() if believe else {}
        # Nodes may be measured by several threads at once.
        self._lock = threading.Lock()

    def get(self, key: str, lasts: float = HOST_LASTS) -> Snapshot | None:
        """The snapshot of this key if its answer is at most `lasts` seconds old."""
        snapshot = self._rows.get(key)
        if snapshot is None or not self._is_young(snapshot.at, lasts):
            return None
        return snapshot

    def has_load(self, snapshot: Snapshot) -> bool:
        """Whether the load that the snapshot tells is still believed."""
        return self._is_young(snapshot.measured_at(), LOAD_LASTS)

    def put(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Add new ones, by key.

        What others wrote meanwhile stays, unless it is of the same nodes or has run out.
        """
        if not snapshots:
            return
        with self._lock:
            self._rows.update(snapshots)
            self._write(snapshots)

    def _is_young(self, at: float, lasts: float) -> bool:
        """What is from the future is not: a clock was wrong, and nobody knows which."""
        return 0 <= self._now() - at <= lasts

    def _write(self, snapshots: Mapping[str, Snapshot]) -> None:
        rows = {
            key: asdict(snapshot)
            for key, snapshot in {**self._read(), **snapshots}.items()
            if self._is_young(snapshot.at, HOST_LASTS)
        }
        write_private(self._path, {"format": FORMAT, "nodes": rows})

    def _read(self) -> dict[str, Snapshot]:
        snapshots = {}
        for key, row in read_rows(self._path, FORMAT, "nodes").items():
            snapshot = _snapshot(row)
            if snapshot is not None:
                snapshots[key] = snapshot
        return snapshots


def _snapshot(row: Any) -> Snapshot | None:
    """A row of the file; None if it is not what it should be."""
    try:
        outcome = row["outcome"]
        status = outcome["status"]
        trouble = outcome["trouble"]
        return Snapshot(
            CompletedCommand(
                None if status is None else int(status),
                str(outcome["out"]),
                str(outcome["err"]),
                None if trouble is None else str(trouble),
            ),
            float(row["at"]),
            str(row["load"]),
            float(row["load_at"]),
            str(row.get("settled", "")),
        )
    except (TypeError, KeyError, ValueError):
        return None
