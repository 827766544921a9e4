# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people see of a run while it goes on: how far it has come, and what its agents say.

It decides nothing and changes nothing of the run. All of it is for the engine's thread alone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from .._show.agent_events import LogReader
from .._show.progress import Progress, RunningJob
from .replies import Answer
from .results import AttemptLog, JobRow

# How often how far the run has come is told anew, in seconds. A run of thousands of jobs has
# thousands of events, and nobody reads faster.
EVERY = 0.5


class Onlooker:
    """Looks on while a run is driven."""

    def __init__(
        self,
        jobs: int,
        stand: Callable[[Progress], None],
        say: Callable[[str], None],
        *,
        verbose: bool = False,
    ) -> None:
        """jobs: how many this call does. stand: takes how far it has come; say: takes a line.

        verbose: whether what agents say is shown.
        """
        self.verbose = verbose
        self._jobs = jobs
        self._stand = stand
        self._say = say
        self._begun = time.monotonic()
        self._ended = Counter[str]()

        # The attempts that run, by id, the longest-running first; what each said last stands in its
        # log.
        self._running: dict[str, tuple[float, AttemptLog]] = {}

        # How many agents have ended, and how long they worked together.
        self._worked = 0
        self._work = 0.0

        # Attempt -> what makes lines of its output.
        self._readers: dict[str, LogReader] = {}
        self._looked_at = float("-inf")

        # Whether something has happened that was not told.
        self.is_behind = True

    def see_state(self, log: AttemptLog) -> None:
        """An attempt has come so far."""
        self.is_behind = True
        if log.state == "running":
            self._running.setdefault(log.attempt, (time.monotonic(), log))
        elif log.state in ("ended", "void", "lost"):
            self._running.pop(log.attempt, None)

    def see_end(self, row: JobRow) -> None:
        """A job has ended."""
        self.is_behind = True
        self._ended[row["status"]] += 1
        if row["seconds"]:
            self._worked += 1
            self._work += row["seconds"]

    def hear(self, answer: Answer, log: AttemptLog, agent: str) -> None:
        """Something was told of an attempt: what its agent printed is shown, if it is that."""
        if not answer.said or not self.verbose:
            return
        reader = self._readers.get(log.attempt)
        if reader is None:
            reader = self._readers[log.attempt] = LogReader(agent)
        for line in reader.feed(answer.said):
            self._say(f"{log.job} | {line}")

    def look(self, cost_usd: float | None) -> None:
        """Tell how far the run has come, if it is time. cost_usd: what was spent until now."""
        now = time.monotonic()
        if now < self._looked_at + EVERY:
            return
        self._looked_at = now
        self.is_behind = False
        running = [
            RunningJob(log.job, log.node, since, log.signs["words"] if log.signs else "")
            for since, log in self._running.values()
        ]
        self._stand(
            Progress(
                jobs=self._jobs,
                begun=self._begun,
                ended=dict(self._ended),
                running=tuple(running),
                cost_usd=cost_usd,
                mean_seconds=self._work / self._worked if self._worked else None,
            )
        )
