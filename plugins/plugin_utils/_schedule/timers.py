# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done later. Time is an argument: nothing here looks at a clock."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Timers:
    """Actions with the time when each is due; at the same time the older one comes first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._serial = itertools.count()

    def add(self, when: float, action: Callable[[], object]) -> None:
        heapq.heappush(self._heap, (when, next(self._serial), action))

    def run_due(self, now: float) -> None:
        """Do all that is due, also what an action adds for now."""
        while self._heap and self._heap[0][0] <= now:
            _when, _serial, action = heapq.heappop(self._heap)
            action()

    def next(self) -> float | None:
        """When the next action is due; None: there is none."""
        if not self._heap:
            return None
        return self._heap[0][0]
