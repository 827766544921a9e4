# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs that wait for a node.

Jobs that any node would answer alike stand in one class, and a class is tried by its first job: if
that one can't be placed, neither can the others. So a decision does not cost more with more jobs.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import messages as ev
from .nodes import Candidates

# The negative of the priority, and the place in the list: the least is the first.
Order = tuple[int, int]


@dataclass
class BusyService:
    """A service that had too much to do for a job."""

    # Since when, how often, and until when the job leaves it alone.
    since: float
    tries: int = 0
    until: float = 0.0


@dataclass(eq=False)
class QueuedJob:
    """A job as the scheduler knows it, from the beginning of the run to its end."""

    spec: ev.PlacementSpec
    order: Order

    # How many attempts counted.
    used: int = 0

    # Nodes that failed this job -> what was wrong.
    failed_on: dict[str, str] = field(default_factory=dict)

    # Nodes that refuse this job for good -> what they say. They are not asked again for it.
    refused_on: dict[str, str] = field(default_factory=dict)

    # Node -> how often it called a request for this job a mistake of ours.
    mistakes: Counter[str] = field(default_factory=Counter)

    # Class and message of the newest failure.
    last_failure: tuple[str, str] = ("unreachable", "no node can take the job")

    # Its newest attempt that ended and was no end of the job; None: there is none.
    last_attempt: str | None = None
    last_node: str | None = None

    # Dollars that its attempts have cost, as far as their agents tell it.
    spent: float = 0.0

    # Account -> its service, of those that had too much to do for it.
    busy: dict[str, BusyService] = field(default_factory=dict)

    # Of its several agents those that a node said it can't run -> these nodes, with why.
    unusable_on: dict[str, dict[str, str]] = field(default_factory=dict)

    # Where it waits; None: it does not.
    job_class: JobClass | None = None

    # Whether it has ended.
    done: bool = False

    # Whether people were told what it waits for.
    wait_was_noted: bool = False

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def exhausted(self) -> bool:
        """Whether it may get no further attempt."""
        return self.used >= self.spec.attempts

    def busy_until(self, account: str) -> float:
        """Until when it leaves the service of this account alone; 0: it need not."""
        service = self.busy.get(account)
        return 0.0 if service is None else service.until


@dataclass(eq=False)
class JobClass:
    """Jobs for which placement has one answer."""

    # The agents that may do them, in their order.
    choices: tuple[ev.Choice, ...]

    # How the nodes stand for them with each of these agents; None: they are for the controller.
    candidates: tuple[Candidates | None, ...]

    failed_on: frozenset[str]
    refused_on: frozenset[str]
    exhausted: bool

    # Until when each of its services is too busy, by account; and the agents that nodes can't run,
    # with these nodes.
    busy_until: frozenset[tuple[str, float]] = frozenset()
    unusable_on: frozenset[tuple[str, str]] = frozenset()

    # Whether something has changed since the class was last tried.
    ready: bool = False

    # Under which order it stands among the classes to be tried; None: under none.
    entry: Order | None = None

    # Its jobs. Some may have left it since; `first` passes over them.
    heap: list[tuple[Order, QueuedJob]] = field(default_factory=list)

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from other classes."""
        return (
            self.choices,
            self.failed_on,
            self.refused_on,
            self.exhausted,
            self.busy_until,
            self.unusable_on,
        )

    def first(self) -> QueuedJob | None:
        """The first of its jobs; None: it has none any more."""
        while self.heap and self.heap[0][1].job_class is not self:
            heapq.heappop(self.heap)
        if not self.heap:
            return None
        return self.heap[0][1]


class Queue:
    """The waiting jobs by class.

    `next` is the class whose first job is to be tried next. Whoever tried a class in vain sets it
    not ready, and it is left alone until it is woken.
    """

    def __init__(self) -> None:
        self._classes: dict[tuple[object, ...], JobClass] = {}
        self._of_candidates: dict[Candidates | None, list[JobClass]] = {}
        self._to_try: list[tuple[Order, int, JobClass]] = []
        self._serial = itertools.count()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[QueuedJob]:
        """The jobs in the order of the list."""
        jobs = {
            job: None
            for job_class in self._classes.values()
            for _order, job in job_class.heap
            if job.job_class is job_class
        }
        return iter(sorted(jobs, key=lambda job: job.order))

    def add(self, job: QueuedJob, *candidates: Candidates | None) -> None:
        """The job waits.

        candidates: how the nodes stand for it with each of its agents; None: it is for the
        controller.
        """
        job_class = self._class_of(job, candidates)
        job.job_class = job_class
        heapq.heappush(job_class.heap, (job.order, job))
        self._length += 1
        self._wake(job_class)

    def _class_of(self, job: QueuedJob, candidates: tuple[Candidates | None, ...]) -> JobClass:
        job_class = JobClass(
            choices=job.spec.all_choices,
            candidates=candidates,
            failed_on=frozenset(job.failed_on),
            refused_on=frozenset(job.refused_on),
            exhausted=job.exhausted,
            busy_until=frozenset((name, service.until) for name, service in job.busy.items()),
            unusable_on=frozenset(
                (agent, node) for agent, nodes in job.unusable_on.items() for node in nodes
            ),
        )
        existing = self._classes.get(job_class.key)
        if existing is not None:
            return existing

        self._classes[job_class.key] = job_class
        for each in dict.fromkeys(candidates):
            self._of_candidates.setdefault(each, []).append(job_class)
        return job_class

    def remove(self, job: QueuedJob) -> None:
        """The job waits no longer."""
        job_class = job.job_class
        job.job_class = None
        self._length -= 1

        if job_class is not None and job_class.first() is None:
            del self._classes[job_class.key]
            for each in dict.fromkeys(job_class.candidates):
                self._of_candidates[each].remove(job_class)

    def wake(self, candidates: Candidates | None = None) -> None:
        """What answers the jobs of these candidates get may have changed."""
        for job_class in self._of_candidates.get(candidates, ()):
            self._wake(job_class)

    def wake_all(self) -> None:
        """What answer any job gets may have changed."""
        for job_class in self._classes.values():
            self._wake(job_class)

    def _wake(self, job_class: JobClass) -> None:
        job = job_class.first()
        if job is None:
            return

        job_class.ready = True
        if job_class.entry is None or job.order < job_class.entry:
            job_class.entry = job.order
            heapq.heappush(self._to_try, (job.order, next(self._serial), job_class))

    def next(self) -> JobClass | None:
        """The ready class whose first job comes first; None: no class is ready."""
        while self._to_try:
            order, _serial, job_class = self._to_try[0]
            job = job_class.first() if job_class.ready else None
            if job is not None and job.order == order:
                return job_class

            # The entry is of a job that has left, or of a class that was tried in vain.
            heapq.heappop(self._to_try)
            if job_class.entry == order:
                job_class.entry = None
            if job is not None:
                self._wake(job_class)
        return None
