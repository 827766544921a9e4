# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots: what nodes said when they were last asked, shared by all playbooks of one user for a
while.

A snapshot holds what was printed, not what was made of it, so that a changed config holds at once.
The file may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .._files.private_file import cache_file, read_private, write_private
from .._links.at_once import CompletedCommand

# Seconds.
LOAD_LASTS = 30.0
# Seconds; whether a node answers, its programs, disk and cpus.
HOST_LASTS = 60.0
FORMAT = 1


@dataclass(frozen=True)
class Snapshot:
    """A node's answer and when it was given; load: what a later question for the load alone was
    answered, if there was one.
    """

    outcome: CompletedCommand
    at: float
    load: str = ""
    load_at: float = 0.0

    def whole(self) -> CompletedCommand:
        """All that is known, the newest last."""
        return replace(self.outcome, out=self.outcome.out + self.load)

    def measured_at(self) -> float:
        return max(self.at, self.load_at)


class Snapshots:
    """get() and put() by key. believe:

    False takes nothing from the file, and still writes what is new. Raises nothing.
    """

    def __init__(self, believe: bool = True, now: Callable[[], float] = time.time) -> None:
        self._path = cache_file("nodes.json")
        self._now = now
        self._known = self._read() if believe else {}
        self._one_at_a_time = threading.Lock()

    def get(self, key: str, lasts: float = HOST_LASTS) -> Snapshot | None:
        """The snapshot of this key if its answer is at most `lasts` seconds old."""
        found = self._known.get(key)
        return found if found is not None and 0 <= self._now() - found.at <= lasts else None

    def has_load(self, snapshot: Snapshot) -> bool:
        return 0 <= self._now() - snapshot.measured_at() <= LOAD_LASTS

    def put(self, found: Mapping[str, Snapshot]) -> None:
        """What others wrote meanwhile stays, unless it is of the same nodes or has run out."""
        if not found:
            return
        with self._one_at_a_time:
            self._known.update(found)
            self._write(found)

    def _write(self, found: Mapping[str, Snapshot]) -> None:
        now = self._now()
        kept = {
            key: each
            for key, each in {**self._read(), **found}.items()
            if 0 <= now - each.at <= HOST_LASTS
        }
        write_private(
            self._path,
            {"format": FORMAT, "nodes": {key: asdict(each) for key, each in kept.items()}},
        )

    def _read(self) -> dict[str, Snapshot]:
        data = read_private(self._path)
        try:
            return dict(_rows(data["nodes"].items())) if data["format"] == FORMAT else {}
        except (TypeError, KeyError, AttributeError):
            return {}


def _rows(items: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Snapshot]]:
    for key, row in items:
        with contextlib.suppress(TypeError, KeyError, ValueError):
            said = row["outcome"]
            status = said["status"]
            trouble = said["trouble"]
            outcome = CompletedCommand(
                None if status is None else int(status),
                str(said["out"]),
                str(said["err"]),
                None if trouble is None else str(trouble),
            )
            yield key, Snapshot(outcome, float(row["at"]), str(row["load"]), float(row["load_at"]))
