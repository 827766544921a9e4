# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs that wait for a node, those that any node would answer alike in one bucket."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import messages as ev
from .nodes import Candidates
from .placement import Need

# Priority, the highest first; then as they stand in the list.
Order = tuple[int, int]


@dataclass(eq=False)
class QueuedJob:
    """A job as the scheduler knows it. used: attempts that counted; failed_on: node -> why; last:
    class and message of the newest failure.
    """

    work: ev.PlacementSpec
    order: Order
    used: int = 0
    failed_on: dict[str, str] = field(default_factory=dict)
    last: tuple[str, str] = ("unreachable", "no node can take the job")
    bucket: JobClass | None = None
    done: bool = False
    told: bool = False

    @property
    def exhausted(self) -> bool:
        return self.used >= self.work.attempts


@dataclass(eq=False)
class JobClass:
    """Jobs for which placement has one answer. view:

    None for the controller itself; ready: something has changed since it was last tried.

    entry: its place in the queue's order.
    """

    need: Need
    view: Candidates | None
    account: str
    failed_on: frozenset[str]
    exhausted: bool
    ready: bool = False
    entry: Order | None = None
    heap: list[tuple[Order, QueuedJob]] = field(default_factory=list)

    def first(self) -> QueuedJob | None:
        while self.heap and self.heap[0][1].bucket is not self:
            heapq.heappop(self.heap)
        return self.heap[0][1] if self.heap else None


class Queue:
    """add, remove, and `next`: the bucket whose first job is the next to be tried.

    A bucket that was tried in vain is set not ready, until woken.
    """

    def __init__(self) -> None:
        self._buckets: dict[tuple[object, ...], JobClass] = {}
        self._of_view: dict[Candidates | None, list[JobClass]] = {}
        self._ready: list[tuple[Order, int, JobClass]] = []
        self._serial = itertools.count()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[QueuedJob]:
        """In the order of the list."""
        found = [
            job
            for bucket in self._buckets.values()
            for _order, job in bucket.heap
            if job.bucket is bucket
        ]
        return iter(sorted(dict.fromkeys(found), key=lambda job: job.order))

    def add(self, job: QueuedJob, view: Candidates | None) -> None:
        key = (job.work.need, job.work.account, frozenset(job.failed_on), job.exhausted)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = JobClass(job.work.need, view, *key[1:])
            self._of_view.setdefault(view, []).append(bucket)
        job.bucket = bucket
        heapq.heappush(bucket.heap, (job.order, job))
        self._length += 1
        self._wake(bucket)

    def remove(self, job: QueuedJob) -> None:
        bucket = job.bucket
        job.bucket = None
        self._length -= 1
        if bucket is not None and bucket.first() is None:
            key = (bucket.need, bucket.account, bucket.failed_on, bucket.exhausted)
            del self._buckets[key]
            self._of_view[bucket.view].remove(bucket)

    def wake(self, view: Candidates | None = None) -> None:
        """What answers the jobs of this view get may have changed."""
        for bucket in self._of_view.get(view, ()):
            self._wake(bucket)

    def wake_all(self) -> None:
        for bucket in self._buckets.values():
            self._wake(bucket)

    def next(self) -> JobClass | None:
        while self._ready:
            order, _serial, bucket = self._ready[0]
            job = bucket.first() if bucket.ready else None
            if job is not None and job.order == order:
                return bucket
            heapq.heappop(self._ready)
            if bucket.entry == order:
                bucket.entry = None
            if job is not None:
                self._wake(bucket)
        return None

    def _wake(self, bucket: JobClass) -> None:
        if (job := bucket.first()) is not None:
            bucket.ready = True
            if bucket.entry is None or job.order < bucket.entry:
                bucket.entry = job.order
                heapq.heappush(self._ready, (job.order, next(self._serial), bucket))
