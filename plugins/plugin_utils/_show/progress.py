# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run has come, in a line, and what its jobs do that run now, in a line each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .costs import money
from .text import spoken, unstyled

# The ends that are told beside what is done, in this order.
OTHER_ENDS = ("failed", "lost", "unproven", "cancelled", "skipped")

# How many of a job's last words are shown.
WORDS_MOST = 200

MINUTE = 60.0


@dataclass(frozen=True)
class RunningJob:
    """A job whose agent works."""

    job: str
    node: str

    # Since when, by the clock of the whole.
    since: float

    # What it wrote last, as far as its node has told it; blank: nothing.
    words: str = ""


@dataclass(frozen=True)
class Progress:
    """A run at one moment. Times are of time.monotonic()."""

    # How many jobs this call does, and when it began.
    jobs: int
    begun: float

    # Status -> how many have ended so.
    ended: Mapping[str, int]

    # The longest-running first.
    running: tuple[RunningJob, ...] = ()

    # What has been spent, as far as agents tell it; None: no price is known.
    cost_usd: float | None = None

    # How long an agent of this run has worked on average; None: none has ended.
    mean_seconds: float | None = None

    @property
    def waiting(self) -> int:
        """How many have not begun, or are on their way to their node."""
        return max(0, self.jobs - sum(self.ended.values()) - len(self.running))

    def seconds_left(self, now: float) -> float | None:
        """About how long it takes to the end; None: nothing tells that yet."""
        if self.mean_seconds is None or not self.running:
            return None
        ages = [now - job.since for job in self.running]
        work = self.waiting * self.mean_seconds
        work += sum(max(0.0, self.mean_seconds - age) for age in ages)
        return work / len(self.running)


def progress_line(progress: Progress, now: float) -> str:
    """`3 of 12 done · 1 failed · 4 running · 4 waiting · 2 min 10 s · about 6 min left · $0.41`."""
    parts = [f"{progress.ended.get('success', 0)} of {progress.jobs} done"]
    parts += [
        f"{progress.ended[status]} {status}" for status in OTHER_ENDS if progress.ended.get(status)
    ]
    if progress.running:
        parts.append(f"{len(progress.running)} running")
    if progress.waiting:
        parts.append(f"{progress.waiting} waiting")
    parts.append(spoken(math.floor(now - progress.begun)))

    left = progress.seconds_left(now)
    if left is not None and left >= MINUTE:
        parts.append(f"about {math.ceil(left / MINUTE)} min left")
    elif left is not None:
        parts.append("less than a minute left")
    if progress.cost_usd is not None:
        parts.append(money(progress.cost_usd))
    return " · ".join(parts)


def running_lines(progress: Progress, now: float, most: int) -> list[str]:
    """`▶ lint on node-2 for 3 min: 12 passed`, for so many jobs at most, and how many more."""
    lines = []
    for running in progress.running[:most]:
        seconds = math.floor(now - running.since)
        line = f"▶ {running.job} on {running.node} for {spoken(seconds)}"
        words = " ".join(unstyled(running.words).split())[:WORDS_MOST]
        lines.append(f"{line}: {words}" if words else line)
    more = len(progress.running) - most
    if more > 0:
        lines.append(f"… and {more} more")
    return lines
