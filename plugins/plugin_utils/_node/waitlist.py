# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line: runs that wait for a slot of this node, first come first.

Without it a run of many jobs would keep its slots to its end: it is the first to know that one of
its jobs has ended.
"""

from __future__ import annotations

import json
import os

from .store import TYPE_CHECKING, boot_clock, boot_id, read_json, write_whole

if TYPE_CHECKING:
    from .store import Store

# Seconds that a place outlives the last sign of its run.
ALIVE = 2.0
# The same when it is its turn: its claim is on its way.
KEPT = 4.0
# The same between two waits of it.
APART = 6.0


class Waitlist:
    """Runs by uid; use it under `store.locked()` only."""

    def __init__(self, store: Store) -> None:
        self._path = os.path.join(store.root, "line.json")
        told = read_json(self._path) or {}
        now = boot_clock()
        alive = told.get("boot") == boot_id()
        self._until: dict[str, float] = {
            run: until for run, until in told.get("until", {}).items() if alive and until > now
        }

    def __len__(self) -> int:
        return len(self._until)

    def is_turn(self, run: str | None, free: int) -> bool:
        """Whether one of the free slots may go to this run, or to a mere sync (None)."""
        return free > 0 and (
            run is None
            or (list(self._until).index(run) if run in self._until else len(self._until)) < free
        )

    def stay(self, run: str, seconds: float) -> None:
        """It has a place for these seconds, or half of them: the file is not written each time."""
        now = boot_clock()
        if self._until.get(run, 0.0) < now + seconds / 2:
            self._until[run] = now + seconds
            self._save()

    def leave(self, run: str) -> None:
        if self._until.pop(run, None) is not None:
            self._save()

    def _save(self) -> None:
        write_whole(self._path, json.dumps({"boot": boot_id(), "until": self._until}).encode())


def leave(store: Store, run: str) -> None:
    """It waits no longer."""
    with store.locked():
        Waitlist(store).leave(run)


def go_apart(store: Store, run: str) -> None:
    """It waits no longer, and soon will again: its place is kept."""
    with store.locked():
        Waitlist(store).stay(run, APART)
