# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a claim is waited for, from how long its node has taken for others.

A node that died behind a connection which is open still gives no answer and no error. Nothing
starts without a start, so its claim is given up soon, and its job goes elsewhere at once. What is
soon depends on the node: one on another continent is slow, and not dead.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

# A claim is late after so many times what its node takes, and not before these seconds are over.
# Where the connection and the session are opened for it, each step on the way there counts anew.
TIMES = 4.0
LEAST_SECONDS = 4.0
# The same for the first step, the connection itself: ssh has given up by itself then.
FIRST_SECONDS = 10.0
# How many of the newest claims of a node count.
REMEMBERED = 8


@dataclass
class _OpenClaim:
    node: str
    begun: float
    # When the way to the node got one step further, by the monotonic clock.
    last_step: Callable[[], float]
    # How long it is waited for after that, and before the first step.
    seconds: float
    first_seconds: float
    is_late: bool = False

    @property
    def late_at(self) -> float:
        step = self.last_step()
        if step > self.begun:
            return step + self.seconds
        return self.begun + self.first_seconds


class Patience:
    """The claims that are on their way. Used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, _OpenClaim] = {}
        self._taken = defaultdict[str, deque[float]](lambda: deque(maxlen=REMEMBERED))

    def begin(
        self, attempt: str, node: str, *, is_connected: bool, last_step: Callable[[], float]
    ) -> None:
        """The claim goes out now.

        is_connected: whether a connection to its node is open; last_step: tells when the way there
        got one step further.
        """
        now = time.monotonic()
        with self._lock:
            seconds = max(LEAST_SECONDS, TIMES * max(self._taken[node], default=0.0))
            first_seconds = seconds if is_connected else max(seconds, FIRST_SECONDS)
            self._open[attempt] = _OpenClaim(node, now, last_step, seconds, first_seconds)

    def end(self, attempt: str, *, is_answered: bool) -> bool:
        """It is answered, or never will be; whether it has been told to be late before."""
        with self._lock:
            claim = self._open.pop(attempt)
            if is_answered:
                self._taken[claim.node].append(time.monotonic() - claim.begun)
            return claim.is_late

    def newly_late(self) -> list[tuple[str, float]]:
        """(attempt, seconds that were waited) of claims that are late now, each once."""
        now = time.monotonic()
        late = []
        with self._lock:
            for attempt, claim in self._open.items():
                if not claim.is_late and claim.late_at <= now:
                    claim.is_late = True
                    late.append((attempt, now - claim.begun))
        return late

    def next_late_at(self) -> float | None:
        """When the next one will be late, by the monotonic clock; None: none is on its way."""
        with self._lock:
            times = [claim.late_at for claim in self._open.values() if not claim.is_late]
        return min(times, default=None)
