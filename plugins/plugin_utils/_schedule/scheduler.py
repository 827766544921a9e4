# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler: an event and the time in, commands out; no I/O, no clock, no randomness of its
own.

Everything that decides about a job lives here, so that tests and simulations drive the very code
that a run uses. Two rules hold it together: an attempt's stage changes only as STAGES says (an
event that the table does not know is an error), and a job gets another attempt only when the last
one is `void` - which after `sent` only a fence can prove - or ended for want of quota.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from . import messages as ev
from .nodes import CLOSED, SILENT, Candidates, NodeState, NodeTable
from .placement import DEFAULT_WEIGHTS, FREE, WAITS, Node, Ranked, rank
from .queue import JobClass, Queue, QueuedJob
from .stages import BEGINS, HOLDS_SLOT, MAY_RUN, ProtocolError, TrackedAttempt

# Seconds that a load snapshot is good for while jobs wait.
FRESH = 30.0
# Full nodes in whose lines jobs of one kind wait at once.
LINES = 16
# Seconds, doubling; a node that is merely out of reach is asked until lost_after.
FETCH_RETRY = 2.0
# Tries when the node answers and the fetch itself fails.
FETCHES = 4
# Seconds that an account rests when its agent does not say until when.
QUOTA_PAUSE = 900.0
# Seconds that nothing is placed while all nodes are asked whether it is us who are offline.
SUSPICION = 30.0


class Scheduler:
    """`handle(event, now)` is all there is; nothing is placed before the first Tick, so that what
    earlier calls left comes first.

    `fallback` is the controller itself, for when no node can take a job. detach: end as soon as all
    that can begin now runs. queue_timeout, lost_after: seconds.
    """

    def __init__(
        self,
        work: Iterable[ev.PlacementSpec],
        nodes: Iterable[Node],
        new_id: Callable[[], str],
        *,
        fallback: Node | None = None,
        local_fallback: bool = True,
        lost_after: float = 3600.0,
        queue_timeout: float | None = None,
        weights: Mapping[str, float] = DEFAULT_WEIGHTS,
        preferences: Mapping[str, Sequence[str]] | None = None,
        detach: bool = False,
    ) -> None:
        self._weights = weights
        self._preferences = preferences or {}
        self._places = NodeTable(nodes, fallback, self._weights, self._preferences)
        self._jobs = {
            item.name: QueuedJob(item, (-item.priority, number)) for number, item in enumerate(work)
        }
        self._queue = Queue()
        self._attempts: dict[str, TrackedAttempt] = {}
        self._local_fallback = local_fallback
        self._lost_after = lost_after
        self._queue_timeout = queue_timeout
        self._new_id = new_id
        self._ours: dict[str, int] = {}
        # Account -> when it goes on.
        self._paused: dict[str, float] = {}
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._serial = itertools.count(1)
        self._refreshed = float("-inf")
        # Nodes that failed to answer since any node last did.
        self._unheard: set[str] = set()
        self._asking_all_until = float("-inf")
        self._offline_since: float | None = None
        self._overdue = False
        self._out: list[ev.Command] = []
        self._now = 0.0
        self._open = len(self._jobs)
        self._stages: Counter[str] = Counter()
        self._watched: set[str] = set()
        # Nodes in whose line this run waits, or where its turn has come.
        self._lines: set[str] = set()
        self._touched: dict[NodeState, None] = {}
        self._begun = self._ended = False
        self._detach = detach
        self._cancelling = False
        # How jobs end that have not begun: status, class, message.
        self._stopped: tuple[str, str, str] | None = None
        for job in self._jobs.values():
            self._enqueue(job)

    def handle(self, event: ev.Event, now: float) -> list[ev.Command]:
        """Everything that follows from this event. Raises ProtocolError."""
        self._out = []
        self._now = now
        self._apply(event, now)
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        self._settle()
        while self._begun and (bucket := self._queue.next()) is not None:
            bucket.ready = self._place(bucket)
            self._settle()
        if self._lines and not len(self._queue):
            for name in sorted(self._lines):
                self._stand(self._places[name])
                self._say(ev.Dequeue(name))
            self._settle()
        self._refresh(now)
        if not self._ended and (not self._open or self._may_detach()):
            self._ended = True
            self._say(ev.End())
        elif not self._ended and (wake := self._next_wake()) is not None:
            self._say(ev.Wake(wake))
        return self._out

    def watched(self) -> set[str]:
        """Nodes that may run an attempt of ours, or in whose line we have a place."""
        return self._watched | self._lines

    def unfinished(self) -> dict[str, tuple[TrackedAttempt | None, str]]:
        """By job that has not ended: its attempt that goes on, or None and what it waits for."""
        going = {
            attempt.job: attempt
            for place in self._all_places()
            for attempt in place.live.values()
            if attempt.stage in MAY_RUN
        }
        return {
            name: (going.get(name), "" if name in going else self._reasons(job))
            for name, job in self._jobs.items()
            if not job.done
        }

    def waiting(self) -> list[tuple[str, list[Ranked]]]:
        """Unplaced jobs with the ranking as it would be now, for people."""
        return [(job.work.name, self._rank(job)) for job in self._queue]

    def ranking_for(self, job: str) -> list[Ranked]:
        """How all nodes stand for this job now."""
        return self._rank(self._jobs[job])

    def ranking(self, place: ev.Assigned) -> list[Ranked]:
        """How all nodes stood when this job was placed."""
        return self._rank(self._jobs[place.job], place.nodes, place.node)

    # -- events

    def _apply(self, event: ev.Event, now: float) -> None:
        if isinstance(event, ev.Nodes):
            self._measured(event.nodes)
        elif isinstance(event, ev.LinkUp):
            self._link_up(self._touch(event.node))
        elif isinstance(event, ev.LinkDown):
            place = self._touch(event.node)
            self._stand(place)
            # A claim will tell.
            place.contended = False
            if place.silent_since is None:
                place.silent_since = now
                place.silence = []
                self._at(now + self._lost_after, lambda: self._give_up(place))
            if event.reason not in place.silence:
                place.silence.append(event.reason)
                if place.may_run:
                    self._say(
                        ev.Note(
                            "wait",
                            f"no contact: {event.reason}; its jobs go on, asking again",
                            node=event.node,
                        )
                    )
        elif isinstance(event, ev.Granted):
            self._stand(self._places[event.node], turn=True)
        elif isinstance(event, ev.Found):
            self._queue.remove(self._jobs[event.job])
            attempt = TrackedAttempt(event.attempt, event.job, event.node, stage="")
            self._attempts[event.attempt] = attempt
            self._move(attempt, "fencing")
            self._say(ev.Fence(event.attempt, event.node))
        elif isinstance(event, ev.Quarantined):
            place = self._touch(event.node)
            place.failures = event.failures
            place.closed_until = now + event.seconds
            place.why = event.why
            place.inherited = True
            self._at(place.closed_until, lambda: self._touch(place))
        elif isinstance(event, ev.Cancelled):
            self._cancelling = True
            self._stop("cancelled", "cancelled", "cancelled before it began")
            for attempt in self._may_run():
                self._say(ev.Cancel(attempt.id, attempt.node))
        elif isinstance(event, ev.Tick):
            if not self._begun and self._queue_timeout is not None:
                self._at(now + self._queue_timeout, self._end_waiting)
            self._begun = True
        else:
            self._step(self._attempts[event.attempt], event)

    def _step(self, attempt: TrackedAttempt, event: ev.OfAttempt) -> None:
        """One move of an attempt along STAGES, and what follows from it."""
        word = event.outcome if isinstance(event, ev.Fenced) else type(event).__name__.lower()
        before = attempt.stage
        if before == "fencing" and word == "ended" and isinstance(event, ev.Fenced):
            # The Ended that follows carries the result.
            return
        if before == "void" and word == "ended" and attempt.ended is not None:
            # It ended as class start, and is told so once more.
            return
        stage = attempt.next(word)
        self._move(
            attempt, "void" if self._stopped is not None and stage in ("claimed", "sent") else stage
        )
        place = self._touch(attempt.node)
        if isinstance(event, (ev.Refused, ev.Failed, ev.Unknown)) and attempt.stage in (
            "void",
            "fencing",
        ):
            attempt.cause = event
        if attempt.stage == "claimed":
            self._hears(place)
            # After a failure a start must show that it works again.
            place.proved = place.proved or not place.failures
        elif attempt.stage == "running":
            self._works(place)
        if attempt.stage == before and attempt.stage not in ("fencing", "ended"):
            return
        if attempt.stage == "claimed":
            if isinstance(event, ev.Claimed):
                place.contended = event.contended
                place.twin = (
                    place.twin
                    if event.store is None
                    else self._places.first_of_store(event.store, place)
                )
            self._say(ev.Sync(attempt.id, attempt.job, attempt.node))
        elif attempt.stage == "sent":
            self._say(self._record(attempt), ev.Start(attempt.id, attempt.job, attempt.node))
        elif attempt.stage == "running":
            self._say(self._record(attempt), ev.Watch(attempt.node))
            if self._cancelling:
                self._say(ev.Cancel(attempt.id, attempt.node))
        elif attempt.stage == "fencing":
            self._fence(attempt, event)
        elif attempt.stage == "void":
            self._void(attempt, event, before)
        elif attempt.stage == "ended":
            self._fetch(attempt, event)
        elif attempt.stage == "fetched":
            self._home(attempt, event.undelivered if isinstance(event, ev.Fetched) else "")
        if before == "reserved":
            self._answer_held(place)

    def _move(self, attempt: TrackedAttempt, stage: str) -> None:
        before = attempt.stage
        attempt.stage = stage
        place = self._touch(attempt.node)
        self._stages[before] -= 1
        self._stages[stage] += 1
        place.begins += (stage in BEGINS) - (before in BEGINS)
        place.may_run += (stage in MAY_RUN) - (before in MAY_RUN)
        (self._watched.add if place.may_run else self._watched.discard)(attempt.node)
        if stage in HOLDS_SLOT:
            place.live[attempt.id] = attempt
        else:
            place.live.pop(attempt.id, None)
        if stage == "fencing" and before != "fencing":
            attempt.since = self._now
            self._at(self._now + self._lost_after, lambda: self._give_up(place))
        elif stage in MAY_RUN and before not in MAY_RUN and place.silent_since is not None:
            self._at(place.silent_since + self._lost_after, lambda: self._give_up(place))

    def _fence(self, attempt: TrackedAttempt, event: ev.OfAttempt) -> None:
        """Ask at once when the node answers; a silent one is asked when its link is back."""
        if isinstance(event, ev.Started):
            return
        if self._places[attempt.node].silent_since is None:
            self._say(ev.Fence(attempt.id, attempt.node))
        else:
            self._say(ev.Watch(attempt.node))

    def _void(self, attempt: TrackedAttempt, event: ev.OfAttempt, before: str) -> None:
        """It certainly did not start: the job may go elsewhere."""
        job = self._jobs[attempt.job]
        place = self._places[attempt.node]
        cause = attempt.cause
        failed: tuple[str, str] | None = None
        self._say(self._record(attempt))
        if before == "claimed" or (
            before == "reserved" and not isinstance(event, (ev.Busy, ev.Refused))
        ):
            self._say(ev.Release(attempt.id, attempt.node))
        if isinstance(event, ev.Busy):
            place.contended = True
        elif isinstance(cause, ev.Refused) and cause.kind == "lease":
            # The controller slept, or the claim took too long to be used: nobody's fault.
            place.busy_until = self._now + 1.0
            self._at(place.busy_until, lambda: self._touch(place))
        elif isinstance(cause, ev.Refused) and cause.blame == "input":
            self._stop("failed", "input", cause.message)
        elif isinstance(cause, ev.Refused) and cause.blame == "ours":
            kind = cause.kind or cause.failure
            self._ours[kind] = self._ours.get(kind, 0) + 1
            # Going on would only repeat it.
            if self._ours[kind] > 1:
                self._stop(
                    "failed", "refused", f"this is a fault of distributed.gummy: {cause.message}"
                )
        elif self._stopped is None and (cause is not None or before == "sent"):
            # An earlier call that broke off is no failure.
            failure = cause.failure if isinstance(cause, (ev.Refused, ev.Failed)) else "unreachable"
            message = cause.message if cause is not None else "no contact before the start"
            self._say(ev.Note("place", f"{failure}: {message}", attempt.job, attempt.node))
            # What was on its way when it failed costs nothing.
            job.used += before not in ("reserved", "claimed") or not place.closed(self._now)
            job.failed_on[attempt.node] = message
            job.last = (failure, f"{attempt.node}: {message}")
            if isinstance(cause, ev.Failed) and cause.lasting:
                place.node = replace(place.node, state="unreachable", reason=message)
            else:
                failed = failure, message
        if self._stopped is not None:
            self._end_job(job, ev.Finish(attempt.job, *self._stopped))
        elif not job.done and job.work.no_more:
            self._finish(attempt, "lost", "lost", job.work.no_more)
        elif not job.done:
            self._enqueue(job)
        if failed is not None:
            self._fails(place, *failed)

    def _fetch(self, attempt: TrackedAttempt, event: ev.OfAttempt) -> None:
        if isinstance(event, ev.Ended) and attempt.ended is None:
            attempt.ended = event
            attempt.since = self._now
            # The agent never began, so another node may take it.
            if event.failure == "start":
                self._move(attempt, "void")
                attempt.cause = ev.Refused(attempt.id, "start", "node", event.message)
                self._void(attempt, event, "ended")
                return
            self._works(self._places[attempt.node])
            if event.failure == "quota":
                self._pause(self._jobs[attempt.job].work.account, event)
            self._say(self._record(attempt), ev.Fetch(attempt.id, attempt.job, attempt.node))
        elif isinstance(event, ev.Failed):
            attempt.fetches += 1
            if self._now - attempt.since >= self._lost_after or (
                event.failure != "unreachable" and attempt.fetches >= FETCHES
            ):
                where = (attempt.ended.result if attempt.ended else {}).get(
                    "workspace", "its store"
                )
                message = f"the harvest could not be fetched ({event.message}); it is kept on {attempt.node}, the work in {where}"
                self._finish(attempt, "failed", "harvest", message)
            else:
                self._say(
                    ev.Note("fetch", f"{event.message}; trying again", attempt.job, attempt.node)
                )
                again = ev.Fetch(attempt.id, attempt.job, attempt.node)
                self._at(
                    self._now + min(FETCH_RETRY * 2 ** (attempt.fetches - 1), 60.0),
                    lambda: self._say(again),
                )

    def _home(self, attempt: TrackedAttempt, undelivered: str) -> None:
        ended = attempt.ended
        job = self._jobs[attempt.job]
        if ended is None:
            raise ProtocolError(f"attempt {attempt.id} was fetched and never ended")
        self._say(ev.Ack(attempt.id, attempt.node))
        job.used += ended.failure == "quota"
        if (
            ended.failure == "quota"
            and self._stopped is None
            and not job.exhausted
            and not job.done
            and not job.work.no_more
        ):
            self._enqueue(job)
        elif ended.failure:
            message = "; ".join(filter(None, (ended.message, undelivered)))
            self._finish(
                attempt,
                "cancelled" if ended.failure == "cancelled" else "failed",
                ended.failure,
                message,
            )
        elif undelivered:
            self._finish(attempt, "failed", "deliver", undelivered)
        elif ended.proof or job.work.accept_unproven:
            self._finish(attempt, "success", None, ended.message)
        else:
            self._finish(
                attempt, "unproven", None, ended.message or "nothing shows that the agent succeeded"
            )

    def _pause(self, account: str, ended: ev.Ended) -> None:
        """The account is used up, not the node: jobs of other accounts go on."""
        seconds = QUOTA_PAUSE if ended.pause is None else max(ended.pause, 1.0)
        if self._now + seconds > self._paused.get(account, 0.0):
            self._paused[account] = self._now + seconds
            self._at(self._now + seconds, self._queue.wake_all)
            self._say(
                ev.Note(
                    "place",
                    f"the account {account} has no quota left: its jobs wait for {seconds / 60:.0f} min ({ended.message})",
                )
            )

    # -- nodes

    def _touch(self, place: NodeState | str) -> NodeState:
        """A place that changes, or may have changed."""
        place = self._places[place] if isinstance(place, str) else place
        self._touched[place] = None
        return place

    def _settle(self) -> None:
        """Bring the order of the nodes up to date, and wake the jobs that may go on."""
        while self._touched:
            place, _none = self._touched.popitem()
            # It gets a quarantine and a trial instead of being asked again.
            if place.silent_since is not None and not place.may_run:
                place.silent_since = None
                self._fails(place, "unreachable", place.silence[-1])
                self._touched.pop(place, None)
            self._places.changed(place, self._now)
            for view in [view for view in place.views if view.woken]:
                view.woken = False
                self._queue.wake(view)
            if place is self._places.fallback:
                self._queue.wake_all()

    def _measured(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            place = self._touch(node.name)
            # Our own are counted as in flight.
            place.node = replace(node, busy=max(0, node.busy - place.may_run))
            if node.state == "measured":
                self._hears(place)
                place.proved = place.proved or not place.failures
            elif (
                node.state == "unreachable"
                and place.silent_since is None
                and (place.proved or self._asking_all_until > self._now)
            ):
                place.node = replace(place.node, state="unknown")
                self._fails(place, "unreachable", node.reason or "not reachable")
        self._asking_all_until = float("-inf")
        self._queue.wake_all()

    def _link_up(self, place: NodeState) -> None:
        if place.silent_since is not None:
            self._say(ev.Note("wait", "back in contact", node=place.node.name))
        self._hears(place)
        for attempt in place.live.values():
            if attempt.stage == "fencing":
                self._say(ev.Fence(attempt.id, attempt.node))
            elif attempt.stage == "running" and self._cancelling:
                self._say(ev.Cancel(attempt.id, attempt.node))

    def _hears(self, place: NodeState) -> None:
        place.hears()
        self._unheard.clear()
        if self._offline_since is not None:
            self._offline_since = None
            self._say(ev.Note("place", "a node answers again"))
            self._queue.wake_all()

    def _works(self, place: NodeState) -> None:
        if place.failures:
            self._say(ev.Quarantine(place.node.name, 0, 0.0, ""))
        place.works()
        self._hears(place)

    def _fails(self, place: NodeState, failure: str, why: str) -> None:
        before = place.failures
        place.fails(failure, f"{failure}: {why}", self._now)
        self._at(place.closed_until, lambda: self._touch(place))
        if place is self._places.fallback:
            return
        if failure == "unreachable":
            self._unheard.add(place.node.name)
        if alike := self._places.all_fail_alike(failure):
            self._forgive(alike, failure, why)
        elif place.failures > before:
            self._say(
                ev.Quarantine(
                    place.node.name, place.failures, place.closed_until - self._now, place.why
                )
            )
            if (
                len(self._unheard) > 1
                and self._offline_since is None
                and self._asking_all_until <= self._now
            ):
                self._suspect()

    def _suspect(self) -> None:
        """Several nodes gave no answer, and none did meanwhile: before more attempts are spent, all
        are asked at once.
        """
        self._asking_all_until = self._now + SUSPICION
        self._at(self._asking_all_until, self._queue.wake_all)
        self._say(
            ev.Refresh(
                tuple(place.node.name for place in self._places if place.silent_since is None)
            )
        )

    def _forgive(self, places: Sequence[NodeState], failure: str, why: str) -> None:
        """All nodes fail alike: none of them is blamed, and an offline controller costs no job an
        attempt.
        """
        names = {place.node.name for place in places}
        if any(place.failures == 1 for place in places):
            self._say(
                ev.Note(
                    "place",
                    f"all nodes fail alike ({failure}: {why}): the fault may lie here, not with them",
                )
            )
        if failure == "unreachable" and self._offline_since is None:
            self._offline_since = self._now
            self._at(self._now + self._lost_after, self._queue.wake_all)
        for place in places:
            place.failures = 0 if failure == "unreachable" else min(place.failures, 1)
            place.closed_until = place.closed_until if place.failures else 0.0
            self._say(ev.Quarantine(place.node.name, 0, 0.0, ""))
            self._touch(place)
        for job in list(self._queue) if failure == "unreachable" else []:
            if forgiven := names & set(job.failed_on):
                self._queue.remove(job)
                job.used -= min(len(forgiven), job.used)
                job.failed_on = {
                    name: message for name, message in job.failed_on.items() if name not in forgiven
                }
                self._enqueue(job)

    def _give_up(self, place: NodeState) -> None:
        """Promise 1 before patience: a job that may run on a silent node is lost for this run,
        never placed elsewhere.
        """
        for attempt in list(place.live.values()):
            since = [place.silent_since] if place.silent_since is not None else []
            since += [attempt.since] if attempt.stage == "fencing" else []
            if attempt.stage in MAY_RUN and since and self._now >= min(since) + self._lost_after:
                self._move(attempt, "lost")
                self._say(self._record(attempt))
                message = f"no answer from {attempt.node} for {self._now - min(since):.0f} s; the job may still run there"
                self._finish(attempt, "lost", "lost", message)

    def _all_places(self) -> list[NodeState]:
        return [*self._places, *([self._places.fallback] if self._places.fallback else [])]

    def _may_run(self) -> list[TrackedAttempt]:
        return [
            attempt
            for place in self._all_places()
            for attempt in place.live.values()
            if attempt.stage in MAY_RUN
        ]

    # -- placement

    def _place(self, bucket: JobClass) -> bool:
        """NodeState the first job of the bucket, or end it (True); or leave it, for none like it can be
        placed now.
        """
        job = bucket.first()
        view = bucket.view
        if job is None:
            return False
        if self._paused.get(bucket.account, 0.0) > self._now:
            return self._wait(job, f"the account {bucket.account} has no quota left", "quota")
        if view is None:
            return self._reserve_local(job, "the job asks for it")
        if self._asking_all_until > self._now:
            return self._wait(job, "all nodes are asked whether they answer")
        offline = self._offline_since is not None
        if not bucket.exhausted:
            if not offline and (best := view.best(bucket.failed_on)) is not None:
                return self._reserve(job, self._places[best])
            if view.has(WAITS, bucket.failed_on) or view.has(SILENT, bucket.failed_on):
                self._line_up(view, bucket.failed_on)
                return self._wait(job)
            if not offline and self._reopen(view, bucket.failed_on):
                return True
        others = not offline and (
            view.has(FREE, bucket.failed_on) or view.has(WAITS, bucket.failed_on)
        )
        if not others and self._may_fall_back(job):
            return self._reserve_local(job)
        if not bucket.exhausted and not offline:
            # Nodes that failed this job are better than none.
            if (best := view.best()) is not None:
                return self._reserve(job, self._places[best])
            if view.has(CLOSED) or view.has(WAITS):
                self._line_up(view)
                return self._wait(job)
        if self._offline_since is not None and self._now < self._offline_since + self._lost_after:
            return self._wait(job, "no node answers: is this machine offline?")
        failure, message = job.last
        text = (
            message
            if bucket.exhausted and job.failed_on
            else f"no node can take the job: {self._reasons(job)}"
        )
        return self._end_queued(job, failure, text)

    def _reopen(self, view: Candidates, without: Collection[str]) -> bool:
        """A node whose quarantine is of an earlier run gets its trial when no other node is left:
        somebody may have mended it.
        """
        for name in sorted(view.groups[CLOSED] - set(without)):
            if (place := self._places[name]).inherited:
                place.inherited = False
                place.closed_until = self._now
                self._touch(place)
                return True
        return False

    def _line_up(self, view: Candidates, without: Collection[str] = ()) -> None:
        for name in view.lines(without, LINES) if self._offline_since is None else []:
            self._wait_at(self._places[name])

    def _wait_at(self, place: NodeState) -> None:
        if self._detach or self._overdue:
            return
        self._stand(place, in_line=True)
        self._say(ev.Enqueue(place.node.name))

    def _stand(self, place: NodeState, in_line: bool = False, turn: bool = False) -> None:
        """Whether this run waits in the node's line, or its turn has come there."""
        place.in_line = in_line
        place.turn = turn
        (self._lines.add if in_line or turn else self._lines.discard)(place.node.name)
        self._touch(place)

    def _wait(self, job: QueuedJob, why: str | None = None, failure: str = "queue") -> bool:
        """What it waits for is told once, and only when others make it wait: that the run's own
        jobs take turns is no news.
        """
        if self._overdue:
            text = why or self._reasons(job)
            return self._end_queued(
                job, failure, f"it waited for {self._queue_timeout:.0f} s (queue_timeout): {text}"
            )
        if not job.told and not any(self._stages[stage] for stage in HOLDS_SLOT):
            job.told = True
            self._say(ev.Note("place", f"waits: {why or self._reasons(job)}", job.work.name))
        return False

    def _reasons(self, job: QueuedJob) -> str:
        """What the nodes that the job may run on say to it; those that it waits for, if there are
        any.
        """
        need = job.work.need
        ranking = self._rank(job)
        its = [
            entry
            for entry in ranking
            if entry.host == need.node or entry.host in (need.nodes or ())
        ] or ranking
        told = [
            f"{entry.host}: {entry.rejected or 'can take it'}"
            for entry in [entry for entry in its if entry.waits] or its
        ]
        more = [f"and {len(told) - 5} more"] if len(told) > 5 else []
        return "; ".join([*told[:5], *more]) or "there are no candidates"

    def _end_waiting(self) -> None:
        self._overdue = True
        self._queue.wake_all()

    def _rank(
        self, job: QueuedJob, nodes: Iterable[Node] | None = None, chosen: str | None = None
    ) -> list[Ranked]:
        """For people: as `view` orders them, and nodes that failed the job with what was wrong."""
        marked = [
            replace(
                node,
                excluded=job.failed_on[node.name],
                remedy="it failed this job, and is tried again when no other node is left",
            )
            if node.name in job.failed_on and node.name != chosen
            else node
            for node in (self._places.seen() if nodes is None else nodes)
        ]
        return rank(marked, job.work.need, self._weights, self._preferences)

    def _may_fall_back(self, job: QueuedJob) -> bool:
        need = job.work.need
        fallback = self._places.fallback
        pinned = need.node is not None or need.nodes is not None
        return (
            self._local_fallback
            and fallback is not None
            and not pinned
            and fallback.node.name not in job.failed_on
        )

    def _reserve_local(self, job: QueuedJob, why: str = "") -> bool:
        place = self._places.fallback
        if place is None:
            return self._end_queued(
                job,
                "unreachable",
                "localhost is not among the hosts of this play (--limit drops it)",
            )
        if place.node.name in job.failed_on:
            return self._end_queued(job, *job.last)
        if place.contended and place.may_line_up(self._now):
            self._wait_at(place)
        if place.live or place.busy_until > self._now or (place.contended and not place.turn):
            return self._wait(job, "the controller takes one job at a time")
        return self._reserve(
            job, place, f"runs here: {why or f'no node can take it ({self._reasons(job)})'}"
        )

    def _reserve(self, job: QueuedJob, place: NodeState, why: str | None = None) -> bool:
        self._queue.remove(job)
        asked = any(other.stage == "reserved" for other in place.live.values())
        attempt = TrackedAttempt(
            self._new_id(),
            job.work.name,
            place.node.name,
            stage="",
            held=asked and not place.proved,
        )
        self._attempts[attempt.id] = attempt
        nodes = self._places.seen()
        place.last_used = next(self._serial)
        self._stand(place)
        self._move(attempt, "reserved")
        self._say(
            ev.Assigned(attempt.id, attempt.job, attempt.node, why, nodes), self._record(attempt)
        )
        if not attempt.held:
            self._say(ev.Claim(attempt.id, attempt.job, attempt.node))
        return True

    def _answer_held(self, place: NodeState) -> None:
        """A node that did not prove itself is asked once; the others whose turn is there go on, or
        elsewhere, when it has answered.
        """
        for attempt in [attempt for attempt in place.live.values() if attempt.held]:
            attempt.held = False
            if place.proved and place.busy_until <= self._now and not place.contended:
                self._say(ev.Claim(attempt.id, attempt.job, attempt.node))
            else:
                self._move(attempt, "void")
                self._say(self._record(attempt))
                self._enqueue(self._jobs[attempt.job])

    def _enqueue(self, job: QueuedJob) -> None:
        self._queue.add(
            job,
            None if job.work.need.node == "local" else self._places.view(job.work.need, self._now),
        )

    def _refresh(self, now: float) -> None:
        """While jobs wait, loads older than FRESH are measured anew."""
        if len(self._queue) and now >= self._refreshed + FRESH:
            first = self._refreshed == float("-inf")
            self._refreshed = now
            if not first:
                self._say(
                    ev.Refresh(
                        tuple(
                            place.node.name for place in self._places if place.silent_since is None
                        )
                    )
                )

    def _at(self, when: float, what: Callable[[], object]) -> None:
        heapq.heappush(self._timers, (when, next(self._serial), what))

    def _next_wake(self) -> float | None:
        times = [self._timers[0][0]] if self._timers else []
        return min([*times, *([self._refreshed + FRESH] if len(self._queue) else [])], default=None)

    # -- ends

    def _finish(
        self, attempt: TrackedAttempt, status: str, failure: str | None, message: str
    ) -> None:
        self._end_job(
            self._jobs[attempt.job],
            ev.Finish(attempt.job, status, failure, message, attempt.id, attempt.node),
        )

    def _end_queued(self, job: QueuedJob, failure: str, message: str) -> bool:
        self._queue.remove(job)
        skipped = job.work.skippable and self._places.out_of_reach(job.work.need)
        self._end_job(
            job, ev.Finish(job.work.name, "skipped" if skipped else "failed", failure, message)
        )
        return True

    def _end_job(self, job: QueuedJob, finish: ev.Finish) -> None:
        if not job.done:
            job.done = True
            self._open -= 1
            self._say(finish)

    def _stop(self, status: str, failure: str, message: str) -> None:
        """Nothing more begins; what may run goes on."""
        self._stopped = self._stopped or (status, failure, message)
        held = [
            attempt
            for place in self._all_places()
            for attempt in place.live.values()
            if attempt.held
        ]
        for attempt in held:
            attempt.held = False
            self._move(attempt, "void")
            self._say(self._record(attempt))
        for job in [*(self._jobs[attempt.job] for attempt in held), *self._queue]:
            if job.bucket is not None:
                self._queue.remove(job)
            self._end_job(job, ev.Finish(job.work.name, *self._stopped))

    def _may_detach(self) -> bool:
        """What is left either runs or can't be placed now, for that has just been tried."""
        return (
            self._detach
            and self._begun
            and not any(self._stages[stage] for stage in (*BEGINS, "ended"))
        )

    def _record(self, attempt: TrackedAttempt) -> ev.Record:
        return ev.Record(attempt.id, attempt.job, attempt.node, attempt.stage)

    def _say(self, *commands: ev.Command) -> None:
        self._out += commands
