# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The waitlist: runs that wait for a slot of this node, first come first served.

Without it a run of many jobs would keep its slots to its end: it is the first to know that one of
its jobs has ended. A run waits as long as it has a poll open that was told `+`; if it dies, its
place runs out.
"""

from __future__ import annotations

import json
import os

from .store import TYPE_CHECKING, boot_clock, boot_id, read_json, write_whole

if TYPE_CHECKING:
    from .store import Store

# Seconds that a run's place outlives the last look of its poll.
WAITING = 2.0
# Seconds that the place of a run which may have a slot is kept: its claim is on its way.
GRANTED = 4.0


class Waitlist:
    """The runs that wait, by uid; use it under `store.locked()` only."""

    def __init__(self, store: Store) -> None:
        self._path = os.path.join(store.root, "line.json")
        data = read_json(self._path) or {}
        now = boot_clock()
        # When each run's place runs out, by the boot clock; the first one has waited longest.
        self._until: dict[str, float] = {}
        if data.get("boot") == boot_id():
            self._until = {
                run: until for run, until in data.get("until", {}).items() if until > now
            }

    def __len__(self) -> int:
        return len(self._until)

    def grants(self, run: str | None, free: int) -> bool:
        """Whether one of the free slots may go to this run, or to a mere sync (None).

        Each run that came before has a slot kept for it.
        """
        if free <= 0:
            return False
        if run is None:
            return True
        before = len(self._until)
        if run in self._until:
            before = list(self._until).index(run)
        return before < free

    def keep(self, run: str, seconds: float) -> None:
        """Keep the run's place for these seconds, or half of them; a new run comes last.

        Half of them, because the file is not written each time.
        """
        now = boot_clock()
        if self._until.get(run, 0.0) < now + seconds / 2:
            self._until[run] = now + seconds
            self._save()

    def drop(self, run: str) -> None:
        """Give up the run's place, if it has one."""
        if self._until.pop(run, None) is not None:
            self._save()

    def _save(self) -> None:
        write_whole(self._path, json.dumps({"boot": boot_id(), "until": self._until}).encode())


def leave(store: Store, run: str) -> None:
    """The run waits no longer."""
    with store.locked():
        Waitlist(store).drop(run)
