# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler: an event and the time in, commands out; no I/O, no clock, no randomness of its own. This is private to the collection.

Everything that decides about a job lives here, so that tests and simulations drive the very code that a run uses. Two rules hold it together:
an attempt's stage changes only as STAGES says (an event that the table does not know is an error), and a job gets another attempt only when
the last one is `void` - which after `sent` only a fence can prove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from . import _events as ev
from ._placement import DEFAULT_WEIGHTS, Need, Node, Ranked, rank

# stage -> event -> next stage. `sent`: a start may be under way. `fencing`: we ask whether it began.
STAGES: Mapping[str, Mapping[str, str]] = {
    "reserved": {"claimed": "claimed", "busy": "void", "refused": "void", "failed": "void", "unknown": "void"},
    "claimed": {"synced": "sent", "refused": "void", "failed": "void", "unknown": "void"},
    "sent": {"started": "running", "ended": "ended", "refused": "fencing", "unknown": "fencing", "void": "void"},
    "running": {"started": "running", "running": "running", "refused": "running", "ended": "ended", "unknown": "fencing", "void": "void"},
    "fencing": {"void": "void", "running": "running", "started": "fencing", "ended": "ended", "unknown": "fencing", "refused": "fencing"},
    "ended": {**dict.fromkeys(("started", "ended", "running", "unknown", "refused", "failed"), "ended"), "fetched": "fetched"},
    "fetched": dict.fromkeys(("started", "ended", "running", "unknown", "refused"), "fetched"),
    "lost": dict.fromkeys(("started", "running", "unknown", "ended", "void", "refused", "failed", "fetched"), "lost"),
    "void": dict.fromkeys(("started", "unknown", "refused", "void"), "void"),
}
BEGINS = frozenset({"reserved", "claimed", "sent"})  # on a node that did not prove itself, one attempt at a time
MAY_RUN = frozenset({"sent", "running", "fencing"})
HOLDS_SLOT = frozenset({"reserved", "claimed"}) | MAY_RUN
QUARANTINE = 30.0  # seconds after a node's first failure; doubles with each further one
QUARANTINE_MOST = 600.0
FRESH = 30.0  # seconds that a load snapshot is good for while jobs wait
BUSY_MOST = 8.0  # seconds between two claims on a node whose slots other controllers hold
FETCH_RETRY = 2.0  # seconds, doubling; a node that is merely out of reach is asked until lost_after
FETCHES = 4  # tries when the node answers and the fetch itself fails
RANKING_KEPT = 25  # nodes of a ranking that the record keeps


class ProtocolError(Exception):
    """An event that the table does not know: a mistake of ours, never ignored."""


@dataclass
class _Attempt:
    id: str
    job: str
    node: str
    stage: str = "reserved"
    cause: ev.Refused | ev.Failed | ev.Unknown | None = None
    ended: ev.Ended | None = None
    fetches: int = 0
    since: float = 0.0


@dataclass
class _Job:
    work: ev.Work
    used: int = 0
    failed_on: dict[str, str] = field(default_factory=dict)
    last: tuple[str, str] = ("unreachable", "no node can take the job")
    done: bool = False
    told: bool = False


@dataclass
class _Place:
    """A node as this run knows it."""

    node: Node
    proved: bool = False
    failures: int = 0
    closed_until: float = 0.0
    busy_until: float = 0.0
    busy_answers: int = 0
    silent_since: float | None = None
    in_flight: int = 0
    begins: int = 0


class Scheduler:
    """`handle(event, now)` is all there is; nothing is placed before the first Tick, so that Found comes first.

    `fallback` is the controller itself, for when no node can take a job. detach: end as soon as all that can begin now runs.
    """

    def __init__(
        self,
        work: Iterable[ev.Work],
        nodes: Iterable[Node],
        new_id: Callable[[], str],
        *,
        fallback: Node | None = None,
        local_fallback: bool = True,
        lost_after: float = 3600.0,
        weights: Mapping[str, float] = DEFAULT_WEIGHTS,
        preferences: Mapping[str, Sequence[str]] | None = None,
        trust_links: bool = False,
        detach: bool = False,
    ) -> None:
        self._jobs = {item.name: _Job(item) for item in work}
        self._queue = list(self._jobs)
        self._nodes = {node.name: _Place(node, proved=trust_links) for node in nodes}
        self._fallback = _Place(fallback, proved=True) if fallback is not None else None
        self._local_fallback = local_fallback
        self._lost_after = lost_after
        self._weights, self._preferences = weights, preferences or {}
        self._new_id = new_id
        self._attempts: dict[str, _Attempt] = {}
        self._ours: dict[str, int] = {}
        self._retries: dict[str, float] = {}
        self._refreshed = float("-inf")
        self._out: list[ev.Command] = []
        self._now = 0.0
        self._turn = 0
        self._begun = self._ended = False
        self._detach = detach
        self._cancelling = False
        self._stopped: tuple[str, str, str] | None = None  # how jobs end that have not begun: status, class, message

    def handle(self, event: ev.Event, now: float) -> list[ev.Command]:
        """Everything that follows from this event. Raises ProtocolError."""
        self._out, self._now = [], now
        self._apply(event, now)
        self._give_up_silent(now)
        self._end_silence(now)
        if self._begun:
            self._place_all(now)
        self._refresh(now)
        if not self._ended and (all(job.done for job in self._jobs.values()) or self._may_detach()):
            self._ended = True
            self._say(ev.End())
        elif not self._ended and (wake := self._next_wake(now)) is not None:
            self._say(ev.Wake(wake))
        return self._out

    def watched(self) -> set[str]:
        """Nodes that may run an attempt of ours."""
        return {attempt.node for attempt in self._attempts.values() if attempt.stage in MAY_RUN}

    def unfinished(self) -> dict[str, tuple[_Attempt | None, str]]:
        """By job that has not ended: its attempt that goes on, or None and what it waits for."""
        going = {attempt.job: attempt for attempt in self._attempts.values() if attempt.stage in MAY_RUN}
        left = {name: job for name, job in self._jobs.items() if not job.done}
        return {name: (going.get(name), "" if name in going else _reasons(self._rank(job, self._now), job)) for name, job in left.items()}

    def waiting(self) -> list[tuple[str, list[Ranked]]]:
        """Unplaced jobs with the ranking as it would be now, for people."""
        return [(name, self._rank(self._jobs[name], self._now)) for name in self._queue]

    # -- events

    def _apply(self, event: ev.Event, now: float) -> None:
        if isinstance(event, ev.Nodes):
            for node in event.nodes:
                self._measured(node, now)
        elif isinstance(event, ev.LinkUp):
            self._link_up(event.node)
        elif isinstance(event, ev.LinkDown):
            place = self._node(event.node)
            if place.silent_since is None:
                place.silent_since = now
                if event.node in self.watched():
                    self._say(ev.Note("wait", f"no contact: {event.reason}; its jobs go on, asking again", node=event.node))
        elif isinstance(event, ev.Found):
            self._queue.remove(event.job)
            self._attempts[event.attempt] = _Attempt(event.attempt, event.job, event.node, "fencing", since=now)
            self._node(event.node).in_flight += 1
            self._say(ev.Fence(event.attempt, event.node))
        elif isinstance(event, ev.Cancelled):
            self._cancelling = True
            self._stop("cancelled", "cancelled", "cancelled before it began")
            for attempt in self._attempts.values():
                if attempt.stage in MAY_RUN:
                    self._say(ev.Cancel(attempt.id, attempt.node))
        elif isinstance(event, ev.Tick):
            self._begun = True
        else:
            self._step(self._attempts[event.attempt], event, now)

    def _step(self, attempt: _Attempt, event: ev.Event, now: float) -> None:
        """One move of an attempt along STAGES, and what follows from it."""
        word = event.outcome if isinstance(event, ev.Fenced) else type(event).__name__.lower()
        before = attempt.stage
        if before == "fencing" and word == "ended" and isinstance(event, ev.Fenced):
            return  # the Ended that follows carries the result
        if before == "void" and word == "ended" and attempt.ended is not None:
            return  # it ended as class start, and is told so once more
        if word not in STAGES[before]:
            raise ProtocolError(f"attempt {attempt.id} of {attempt.job} on {attempt.node}: {word} while {before}")
        stage = STAGES[before][word]
        self._move(attempt, "void" if self._stopped is not None and stage in ("claimed", "sent") else stage, now)
        place = self._node(attempt.node)
        if isinstance(event, (ev.Refused, ev.Failed, ev.Unknown)) and attempt.stage in ("void", "fencing"):
            attempt.cause = event
        if attempt.stage == "claimed":
            self._hears(place)
            place.busy_answers = 0
            place.proved = place.proved or not place.failures  # after a failure a start must show that it works again
        elif attempt.stage == "running":
            self._works(place)
        follow = {
            "claimed": lambda: self._say(ev.Sync(attempt.id, attempt.job, attempt.node)),
            "sent": lambda: self._send(attempt),
            "running": lambda: self._run(attempt),
            "fencing": lambda: self._fence(attempt, event),
            "void": lambda: self._void(attempt, event, before, now),
            "ended": lambda: self._fetch(attempt, event, now),
            "fetched": lambda: self._home(attempt),
        }
        if attempt.stage != before or attempt.stage in ("fencing", "ended"):
            follow[attempt.stage]()

    def _move(self, attempt: _Attempt, stage: str, now: float) -> None:
        place, before, attempt.stage = self._node(attempt.node), attempt.stage, stage
        place.in_flight -= before in HOLDS_SLOT and stage not in HOLDS_SLOT
        place.begins -= before in BEGINS and stage not in BEGINS
        if stage == "fencing" and before != "fencing":
            attempt.since = now

    def _send(self, attempt: _Attempt) -> None:
        self._say(self._record(attempt), ev.Start(attempt.id, attempt.job, attempt.node))

    def _run(self, attempt: _Attempt) -> None:
        self._say(self._record(attempt), ev.Watch(attempt.node))
        if self._cancelling:
            self._say(ev.Cancel(attempt.id, attempt.node))

    def _fence(self, attempt: _Attempt, event: ev.Event) -> None:
        """Ask at once when the node answers; a silent one is asked when its link is back."""
        if isinstance(event, ev.Started):
            return
        if self._node(attempt.node).silent_since is None:
            self._say(ev.Fence(attempt.id, attempt.node))
        else:
            self._say(ev.Watch(attempt.node))

    def _void(self, attempt: _Attempt, event: ev.Event, before: str, now: float) -> None:
        """It certainly did not start: the job may go elsewhere."""
        job, place, cause = self._jobs[attempt.job], self._node(attempt.node), attempt.cause
        self._say(self._record(attempt))
        if before == "claimed" or (before == "reserved" and not isinstance(event, (ev.Busy, ev.Refused))):
            self._say(ev.Release(attempt.id, attempt.node))
        if isinstance(event, ev.Busy):
            place.busy_until = now + min(event.retry_after * 2**place.busy_answers, BUSY_MOST)
            place.busy_answers += 1
        elif isinstance(cause, ev.Refused) and cause.kind == "lease":
            place.busy_until = now + 1.0  # the controller slept, or the claim took too long to be used: nobody's fault
        elif isinstance(cause, ev.Refused) and cause.blame == "input":
            self._stop("failed", "input", cause.message)
        elif isinstance(cause, ev.Refused) and cause.blame == "ours":
            kind = cause.kind or cause.failure
            self._ours[kind] = self._ours.get(kind, 0) + 1
            if self._ours[kind] > 1:  # going on would only repeat it
                self._stop("failed", "refused", f"this is a fault of distributed.gummy: {cause.message}")
        elif self._stopped is None and (cause is not None or before == "sent"):  # an earlier call that broke off is no failure
            failure = cause.failure if isinstance(cause, (ev.Refused, ev.Failed)) else "unreachable"
            message = cause.message if cause is not None else "no contact before the start"
            self._say(ev.Note("place", f"{failure}: {message}", attempt.job, attempt.node))
            self._fails(place, now)
            job.used += 1
            job.failed_on[attempt.node] = message
            job.last = (failure, f"{attempt.node}: {message}")
        if self._stopped is not None:
            self._end_job(job, ev.Finish(attempt.job, *self._stopped))
        elif not job.done:
            self._queue.insert(0, attempt.job)

    def _fetch(self, attempt: _Attempt, event: ev.Event, now: float) -> None:
        if isinstance(event, ev.Ended) and attempt.ended is None:
            attempt.ended, attempt.since = event, now
            if event.failure == "start":  # the agent never began, so another node may take it
                attempt.stage, attempt.cause = "void", ev.Refused(attempt.id, "start", "node", event.message)
                self._void(attempt, event, "ended", now)
                return
            self._works(self._node(attempt.node))
            self._say(self._record(attempt), ev.Fetch(attempt.id, attempt.job, attempt.node))
        elif isinstance(event, ev.Failed):
            attempt.fetches += 1
            if now - attempt.since >= self._lost_after or (event.failure != "unreachable" and attempt.fetches >= FETCHES):
                where = (attempt.ended.result if attempt.ended else {}).get("workspace", "its store")
                message = f"the harvest could not be fetched ({event.message}); it is kept on {attempt.node}, the work in {where}"
                self._finish(attempt, "failed", "harvest", message)
            else:
                self._say(ev.Note("fetch", f"{event.message}; trying again", attempt.job, attempt.node))
                self._retries[attempt.id] = now + min(FETCH_RETRY * 2 ** (attempt.fetches - 1), 60.0)

    def _home(self, attempt: _Attempt) -> None:
        ended = attempt.ended
        if ended is None:
            raise ProtocolError(f"attempt {attempt.id} was fetched and never ended")
        self._say(ev.Ack(attempt.id, attempt.node))
        if ended.failure:
            self._finish(attempt, "cancelled" if ended.failure == "cancelled" else "failed", ended.failure, ended.message)
        elif ended.proof or self._jobs[attempt.job].work.accept_unproven:
            self._finish(attempt, "success", None, ended.message)
        else:
            self._finish(attempt, "unproven", None, ended.message or "nothing shows that the agent succeeded")

    # -- nodes

    def _node(self, name: str) -> _Place:
        if self._fallback is not None and name == self._fallback.node.name:
            return self._fallback
        return self._nodes[name]

    def _measured(self, node: Node, now: float) -> None:
        place = self._node(node.name)
        running = sum(1 for attempt in self._attempts.values() if attempt.node == node.name and attempt.stage in MAY_RUN)
        place.node = replace(node, busy=max(0, node.busy - running))  # our own are counted as in flight
        if node.state != "unreachable":
            place.proved = place.proved or (node.state == "measured" and not place.failures)
        elif place.silent_since is None and place.proved:
            place.node = replace(place.node, state="unknown")
            self._fails(place, now)

    def _link_up(self, name: str) -> None:
        place = self._node(name)
        if place.silent_since is not None:
            self._hears(place)
            self._say(ev.Note("wait", "back in contact", node=name))
        for attempt in self._attempts.values():
            if attempt.node == name and attempt.stage == "fencing":
                self._say(ev.Fence(attempt.id, name))
            elif attempt.node == name and attempt.stage == "running" and self._cancelling:
                self._say(ev.Cancel(attempt.id, name))

    def _hears(self, place: _Place) -> None:
        place.silent_since = None
        if place.node.state == "unreachable":
            place.node = replace(place.node, state="unknown")

    def _works(self, place: _Place) -> None:
        self._hears(place)
        place.proved, place.failures, place.closed_until = True, 0, 0.0

    def _fails(self, place: _Place, now: float) -> None:
        place.proved = False  # the next one is a trial
        if place.closed_until > now:
            return  # what was under way when it failed says nothing new
        place.failures += 1
        place.closed_until = now + min(QUARANTINE * 2 ** (place.failures - 1), QUARANTINE_MOST)

    def _give_up_silent(self, now: float) -> None:
        """Promise 1 before patience: a job that may run on a silent node is lost for this run, never placed elsewhere."""
        for attempt in self._attempts.values():
            until = self._lost_at(attempt)
            if until is not None and now >= until:
                self._move(attempt, "lost", now)
                self._say(self._record(attempt))
                silent = now - until + self._lost_after
                self._finish(attempt, "lost", "lost", f"no answer from {attempt.node} for {silent:.0f} s; the job may still run there")

    def _lost_at(self, attempt: _Attempt) -> float | None:
        """When an attempt that may run is given up, if nothing is heard: its node is silent, or can't say what became of it."""
        silent = self._node(attempt.node).silent_since
        since = [at for at in (silent, attempt.since if attempt.stage == "fencing" else None) if at is not None]
        return min(since) + self._lost_after if since and attempt.stage in MAY_RUN else None

    def _end_silence(self, now: float) -> None:
        """Only a node that may run an attempt is asked again; another one gets a quarantine and a trial instead."""
        silent = [place for place in self._places() if place.silent_since is not None]
        watched = self.watched() if silent else set()
        for place in silent:
            if place.node.name not in watched:
                place.silent_since = None
                self._fails(place, now)

    def _places(self) -> list[_Place]:
        return [*self._nodes.values(), *([self._fallback] if self._fallback else [])]

    # -- placement

    def _place_all(self, now: float) -> None:
        for due in [name for name, at in self._retries.items() if at <= now]:
            del self._retries[due]
            attempt = self._attempts[due]
            self._say(ev.Fetch(attempt.id, attempt.job, attempt.node))
        blocked: set[tuple[Need, frozenset[str]]] = set()
        for name in list(self._queue):
            job = self._jobs[name]
            like = (job.work.need, frozenset(job.failed_on))
            if like not in blocked and not self._place(job, now):
                blocked.add(like)

    def _place(self, job: _Job, now: float) -> bool:
        """Place the job, or end it, or leave it in the queue (False: nothing like it can be placed now)."""
        name, need = job.work.name, job.work.need
        if need.node == "local":
            return self._reserve_local(job, "the job asks for it", now)
        ranking = self._rank(job, now)
        exhausted = job.used >= job.work.attempts
        if not exhausted and self._reserve_best(job, ranking):
            return True
        if not exhausted and (any(entry.waits for entry in ranking) or self._may_answer(job)):
            self._tell_waiting(job, ranking)
            return False
        others = [entry for entry in ranking if entry.rejected is None or entry.waits]
        if not others and self._may_fall_back(job):
            return self._reserve_local(job, f"no node can take it ({_reasons(ranking, job)})", now, ranking)
        if not exhausted:
            again = self._rank(job, now, forgive=True)  # nodes that failed this job are better than none
            if self._reserve_best(job, again):
                return True
            closed = any(place.closed_until > now for host, place in self._nodes.items() if self._allowed(job, host))
            if closed or any(entry.waits for entry in again):
                return False
        failure, message = job.last
        text = message if exhausted and job.failed_on else f"no node can take the job: {_reasons(ranking, job)}"
        self._queue.remove(name)
        self._end_job(job, ev.Finish(name, "failed", failure, text))
        return True

    def _tell_waiting(self, job: _Job, ranking: Sequence[Ranked]) -> None:
        """Once, and only when others make it wait: that the run's own jobs take turns is no news."""
        if not job.told and not any(place.in_flight for place in self._places()):
            job.told = True
            self._say(ev.Note("place", f"waits: {_reasons([entry for entry in ranking if entry.waits] or ranking, job)}", job.work.name))

    def _reserve_best(self, job: _Job, ranking: Sequence[Ranked]) -> bool:
        best = next((entry for entry in ranking if entry.rejected is None), None)
        if best is not None:
            self._reserve(job, self._nodes[best.host], best.reason, ranking)
        return best is not None

    def _rank(self, job: _Job, now: float, forgive: bool = False) -> list[Ranked]:
        candidates = []
        for name, place in self._nodes.items():
            excluded, slots = place.node.excluded, place.node.slots
            if place.silent_since is not None:
                excluded = excluded or "no contact"
            elif place.closed_until > now:
                excluded = excluded or f"failed {place.failures} x, tried again in {place.closed_until - now:.0f} s"
            elif name in job.failed_on and not forgive:
                excluded = excluded or job.failed_on[name]
            if place.busy_until > now:
                slots = min(slots, place.in_flight)
            elif not place.proved:
                trial = place.node.busy + place.in_flight - place.begins + 1
                slots = min(slots, trial)  # one at a time: a dead node costs at most one attempt
            candidates.append(replace(place.node, in_flight=place.in_flight, slots=max(slots, 0), excluded=excluded))
        return rank(candidates, job.work.need, self._weights, self._preferences, self._turn)

    def _may_answer(self, job: _Job) -> bool:
        """Whether a node that runs jobs of ours is merely silent: it is busy, and worth waiting for until its jobs are given up."""
        return any(place.silent_since is not None for host, place in self._nodes.items() if self._allowed(job, host) and host not in job.failed_on)

    def _allowed(self, job: _Job, host: str) -> bool:
        need = job.work.need
        return need.node in (None, host) and (need.nodes is None or host in need.nodes)

    def _may_fall_back(self, job: _Job) -> bool:
        need = job.work.need
        pinned = need.node is not None or need.nodes is not None
        return self._local_fallback and self._fallback is not None and not pinned and self._fallback.node.name not in job.failed_on

    def _reserve_local(self, job: _Job, why: str, now: float, ranking: Sequence[Ranked] = ()) -> bool:
        if self._fallback is None:
            self._queue.remove(job.work.name)
            self._end_job(job, ev.Finish(job.work.name, "failed", "unreachable", "localhost is not among the hosts of this play (--limit drops it)"))
            return True
        if self._fallback.node.name in job.failed_on:
            self._queue.remove(job.work.name)
            self._end_job(job, ev.Finish(job.work.name, "failed", *job.last))
            return True
        if self._fallback.in_flight >= 1 or self._fallback.busy_until > now:
            return False
        self._reserve(job, self._fallback, f"runs here: {why}", ranking)
        return True

    def _reserve(self, job: _Job, place: _Place, why: str, ranking: Sequence[Ranked]) -> None:
        attempt = _Attempt(self._new_id(), job.work.name, place.node.name)
        self._attempts[attempt.id] = attempt
        self._queue.remove(job.work.name)
        place.in_flight += 1
        place.begins += 1
        self._turn += 1
        kept = tuple(entry.as_dict() for entry in ranking[:RANKING_KEPT])
        self._say(
            ev.Record(attempt.id, attempt.job, attempt.node, "reserved", why),
            ev.Place(attempt.id, attempt.job, attempt.node, why, kept),
            ev.Claim(attempt.id, attempt.job, attempt.node),
        )

    def _refresh(self, now: float) -> None:
        """While jobs wait, loads older than FRESH are measured anew."""
        if self._queue and now >= self._refreshed + FRESH:
            first, self._refreshed = self._refreshed == float("-inf"), now
            if not first:
                self._say(ev.Refresh(tuple(name for name, place in self._nodes.items() if place.silent_since is None)))

    def _next_wake(self, now: float) -> float | None:
        times = [*self._retries.values(), *(at for attempt in self._attempts.values() if (at := self._lost_at(attempt)) is not None)]
        if self._queue:
            times += [at for place in self._places() for at in (place.closed_until, place.busy_until) if at > now]
            times.append(self._refreshed + FRESH)
        return min(times, default=None)

    # -- ends

    def _finish(self, attempt: _Attempt, status: str, failure: str | None, message: str) -> None:
        self._end_job(self._jobs[attempt.job], ev.Finish(attempt.job, status, failure, message, attempt.id, attempt.node))

    def _end_job(self, job: _Job, finish: ev.Finish) -> None:
        if not job.done:
            job.done = True
            self._say(finish)

    def _stop(self, status: str, failure: str, message: str) -> None:
        """Nothing more begins; what may run goes on."""
        self._stopped = self._stopped or (status, failure, message)
        for name in self._queue:
            self._end_job(self._jobs[name], ev.Finish(name, *self._stopped))
        self._queue.clear()

    def _may_detach(self) -> bool:
        """What is left either runs or can't be placed now, for that has just been tried."""
        return self._detach and self._begun and not any(attempt.stage in BEGINS or attempt.stage == "ended" for attempt in self._attempts.values())

    def _record(self, attempt: _Attempt) -> ev.Record:
        return ev.Record(attempt.id, attempt.job, attempt.node, attempt.stage)

    def _say(self, *commands: ev.Command) -> None:
        self._out += commands


def _reasons(ranking: Sequence[Ranked], job: _Job) -> str:
    told = [f"{entry.host}: {job.failed_on.get(entry.host) or entry.rejected}" for entry in ranking]
    ranked = {entry.host for entry in ranking}
    told = [f"{host}: {reason}" for host, reason in job.failed_on.items() if host not in ranked] + told
    more = [f"and {len(told) - 5} more"] if len(told) > 5 else []
    return "; ".join([*told[:5], *more]) or "there are no candidates"
