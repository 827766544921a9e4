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
    "running": {"started": "running", "ended": "ended", "unknown": "fencing"},
    "fencing": {"void": "void", "running": "running", "started": "fencing", "ended": "ended", "unknown": "fencing", "refused": "fencing"},
    "ended": {"started": "ended", "ended": "ended", "running": "ended", "unknown": "ended", "failed": "ended", "fetched": "fetched"},
    "fetched": {"started": "fetched", "ended": "fetched", "running": "fetched"},
    "lost": dict.fromkeys(("started", "running", "unknown", "ended", "void", "refused", "failed", "fetched"), "lost"),
    "void": {"started": "void", "unknown": "void"},
}
MAY_RUN = frozenset({"sent", "running", "fencing"})
HOLDS_SLOT = frozenset({"reserved", "claimed"}) | MAY_RUN
QUARANTINE = 30.0  # seconds after a node's first failure; doubles with each further one
QUARANTINE_MOST = 600.0
FRESH = 30.0  # seconds that a load snapshot is good for while jobs wait
FETCH_RETRY = 2.0
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
    told: str = ""


@dataclass
class _Place:
    """A node as this run knows it."""

    node: Node
    proved: bool = False
    failures: int = 0
    closed_until: float = 0.0
    busy_until: float = 0.0
    silent_since: float | None = None
    in_flight: int = 0


class Scheduler:
    """`handle(event, now)` is all there is; `fallback` is the controller itself, for when no node can take a job."""

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
        self._turn = 0
        self._ended = False

    def handle(self, event: ev.Event, now: float) -> list[ev.Command]:
        """Everything that follows from this event. Raises ProtocolError."""
        self._out = []
        self._apply(event, now)
        self._give_up_silent(now)
        self._place_all(now)
        self._refresh(now)
        if not self._ended and all(job.done for job in self._jobs.values()):
            self._ended = True
            self._say(ev.End())
        elif not self._ended and (wake := self._next_wake(now)) is not None:
            self._say(ev.Wake(wake))
        return self._out

    def watched(self) -> set[str]:
        """Nodes that may run an attempt of ours."""
        return {attempt.node for attempt in self._attempts.values() if attempt.stage in MAY_RUN}

    def waiting(self) -> list[tuple[str, list[Ranked]]]:
        """Unplaced jobs with the ranking as it would be now, for people."""
        return [(name, self._rank(self._jobs[name], 0.0)) for name in self._queue]

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
                self._say(ev.Note("wait", f"no contact: {event.reason}; its jobs go on, asking again", node=event.node))
        elif isinstance(event, ev.Found):
            self._queue.remove(event.job)
            self._attempts[event.attempt] = _Attempt(event.attempt, event.job, event.node, "fencing")
            self._node(event.node).in_flight += 1
            self._say(ev.Fence(event.attempt, event.node))
        elif not isinstance(event, ev.Tick):
            self._step(self._attempts[event.attempt], event, now)

    def _step(self, attempt: _Attempt, event: ev.Event, now: float) -> None:
        """One move of an attempt along STAGES, and what follows from it."""
        word = event.outcome if isinstance(event, ev.Fenced) else type(event).__name__.lower()
        before = attempt.stage
        if before == "fencing" and word == "ended" and isinstance(event, ev.Fenced):
            return  # the Ended that follows carries the result
        if word not in STAGES[before]:
            raise ProtocolError(f"attempt {attempt.id} of {attempt.job} on {attempt.node}: {word} while {before}")
        attempt.stage = STAGES[before][word]
        place = self._node(attempt.node)
        if before in HOLDS_SLOT and attempt.stage not in HOLDS_SLOT:
            place.in_flight -= 1
        if isinstance(event, (ev.Refused, ev.Failed, ev.Unknown)) and attempt.stage in ("void", "fencing"):
            attempt.cause = event
        if attempt.stage in ("claimed", "running"):
            self._works(place)
        follow = {
            "claimed": lambda: self._say(ev.Sync(attempt.id, attempt.job, attempt.node)),
            "sent": lambda: self._send(attempt),
            "running": lambda: self._say(self._record(attempt), ev.Watch(attempt.node)),
            "fencing": lambda: self._fence(attempt, event),
            "void": lambda: self._void(attempt, event, before, now),
            "ended": lambda: self._fetch(attempt, event, now),
            "fetched": lambda: self._home(attempt),
        }
        if attempt.stage != before or attempt.stage in ("fencing", "ended"):
            follow[attempt.stage]()

    def _send(self, attempt: _Attempt) -> None:
        self._say(self._record(attempt), ev.Start(attempt.id, attempt.job, attempt.node))

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
        if before in ("reserved", "claimed") and not isinstance(event, (ev.Busy, ev.Refused)):
            self._say(ev.Release(attempt.id, attempt.node))
        if isinstance(event, ev.Busy):
            place.busy_until = now + event.retry_after
        elif isinstance(cause, ev.Refused) and cause.blame == "ours":
            self._ours[cause.failure] = self._ours.get(cause.failure, 0) + 1
            if self._ours[cause.failure] > 1:
                self._stop_run(cause)
                return
        else:
            failure = cause.failure if isinstance(cause, (ev.Refused, ev.Failed)) else "unreachable"
            message = cause.message if cause is not None else "no contact before the start"
            self._say(ev.Note("place", f"{failure}: {message}", attempt.job, attempt.node))
            self._fails(place, now)
            job.used += 1
            job.failed_on[attempt.node] = message
            job.last = (failure, f"{attempt.node}: {message}")
        if not job.done:
            self._queue.insert(0, attempt.job)

    def _fetch(self, attempt: _Attempt, event: ev.Event, now: float) -> None:
        if isinstance(event, ev.Ended) and attempt.ended is None:
            attempt.ended, attempt.since = event, now
            if event.failure == "start":  # the agent never began, so another node may take it
                attempt.stage, attempt.cause = "void", ev.Refused(attempt.id, "start", "node", event.message)
                self._void(attempt, event, "ended", now)
                return
            self._say(self._record(attempt), ev.Fetch(attempt.id, attempt.job, attempt.node))
        elif isinstance(event, ev.Failed):
            attempt.fetches += 1
            if now - attempt.since >= self._lost_after:
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
            self._finish(attempt, "failed", ended.failure, ended.message)
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
            place.proved = place.proved or node.state == "measured"
        elif place.silent_since is None and place.proved:
            place.node = replace(place.node, state="unknown")
            self._fails(place, now)

    def _link_up(self, name: str) -> None:
        place = self._node(name)
        if place.silent_since is not None:
            place.silent_since = None
            self._say(ev.Note("wait", "back in contact", node=name))
        for attempt in self._attempts.values():
            if attempt.node == name and attempt.stage == "fencing":
                self._say(ev.Fence(attempt.id, name))

    def _works(self, place: _Place) -> None:
        place.proved, place.failures, place.closed_until, place.silent_since = True, 0, 0.0, None

    def _fails(self, place: _Place, now: float) -> None:
        place.failures += 1
        place.proved = False  # the next one is a trial
        place.closed_until = now + min(QUARANTINE * 2 ** (place.failures - 1), QUARANTINE_MOST)

    def _give_up_silent(self, now: float) -> None:
        """Promise 1 before patience: a job that may run on a silent node is lost for this run, never placed elsewhere."""
        for attempt in self._attempts.values():
            since = self._node(attempt.node).silent_since
            if attempt.stage in MAY_RUN and since is not None and now - since >= self._lost_after:
                attempt.stage = "lost"
                self._node(attempt.node).in_flight -= 1
                self._say(self._record(attempt))
                self._finish(attempt, "lost", "lost", f"no answer from {attempt.node} for {now - since:.0f} s; the job may still run there")

    # -- placement

    def _place_all(self, now: float) -> None:
        for due in [name for name, at in self._retries.items() if at <= now]:
            del self._retries[due]
            attempt = self._attempts[due]
            self._say(ev.Fetch(attempt.id, attempt.job, attempt.node))
        blocked: set[Need] = set()
        for name in list(self._queue):
            job = self._jobs[name]
            if job.work.need in blocked:
                continue
            if not self._place(job, now):
                blocked.add(job.work.need)

    def _place(self, job: _Job, now: float) -> bool:
        """Place the job, or end it, or leave it in the queue (False: nothing like it can be placed now)."""
        name, need = job.work.name, job.work.need
        if need.node == "local":
            return self._reserve_local(job, "the job asks for it")
        ranking = self._rank(job, now)
        usable = [entry for entry in ranking if entry.rejected is None]
        exhausted = job.used >= job.work.attempts
        if usable and not exhausted:
            best = usable[0]
            self._reserve(job, self._nodes[best.host], best.reason, ranking)
            return True
        hope = any(self._has_hope(job, entry) for entry in ranking) and not exhausted
        if hope:
            return False
        if self._may_fall_back(job):
            return self._reserve_local(job, f"no node can take it ({_reasons(ranking, job)})")
        if not exhausted and any(self._may_return(place, now) for host, place in self._nodes.items() if self._allowed(job, host)):
            return False
        failure, message = job.last
        text = message if exhausted and job.failed_on else f"no node can take the job: {_reasons(ranking, job)}"
        self._queue.remove(name)
        self._end_job(job, ev.Finish(name, "failed", failure, text))
        return True

    def _rank(self, job: _Job, now: float) -> list[Ranked]:
        candidates = []
        for name, place in self._nodes.items():
            excluded, slots = place.node.excluded, place.node.slots
            if place.silent_since is not None:
                excluded = excluded or "no contact"
            elif place.closed_until > now:
                excluded = excluded or f"failed {place.failures} x, tried again in {place.closed_until - now:.0f} s"
            elif name in job.failed_on and len(job.failed_on) < len(self._nodes):
                excluded = excluded or job.failed_on[name]
            if place.busy_until > now:
                slots = min(slots, place.in_flight)
            elif not place.proved:
                slots = min(slots, 1)  # one trial at a time: a dead node costs at most one attempt
            candidates.append(replace(place.node, in_flight=place.in_flight, slots=max(slots, 0), excluded=excluded))
        return rank(candidates, job.work.need, self._weights, self._preferences, self._turn)

    def _has_hope(self, job: _Job, entry: Ranked) -> bool:
        """Whether waiting for this node makes sense: it is only busy."""
        return entry.waits and entry.host not in job.failed_on

    def _may_return(self, place: _Place, now: float) -> bool:
        """Whether a node in quarantine, or one that went silent not too long ago, is worth waiting for when nothing else is left."""
        return place.closed_until > now or (place.silent_since is not None and now - place.silent_since < self._lost_after)

    def _allowed(self, job: _Job, host: str) -> bool:
        need = job.work.need
        return need.node in (None, host) and (need.nodes is None or host in need.nodes)

    def _may_fall_back(self, job: _Job) -> bool:
        need = job.work.need
        pinned = need.node is not None or need.nodes is not None
        return self._local_fallback and self._fallback is not None and not pinned and self._fallback.node.name not in job.failed_on

    def _reserve_local(self, job: _Job, why: str) -> bool:
        if self._fallback is None:
            self._queue.remove(job.work.name)
            self._end_job(job, ev.Finish(job.work.name, "failed", "unreachable", "localhost is not among the hosts of this play (--limit drops it)"))
            return True
        if self._fallback.node.name in job.failed_on:
            self._queue.remove(job.work.name)
            self._end_job(job, ev.Finish(job.work.name, "failed", *job.last))
            return True
        if self._fallback.in_flight >= 1:
            return False
        self._reserve(job, self._fallback, f"runs here: {why}", [])
        return True

    def _reserve(self, job: _Job, place: _Place, why: str, ranking: Sequence[Ranked]) -> None:
        attempt = _Attempt(self._new_id(), job.work.name, place.node.name)
        self._attempts[attempt.id] = attempt
        self._queue.remove(job.work.name)
        place.in_flight += 1
        self._turn += 1
        kept = tuple(entry.as_dict() for entry in ranking[:RANKING_KEPT])
        self._say(
            ev.Record(attempt.id, attempt.job, attempt.node, "reserved", why),
            ev.Place(attempt.id, attempt.job, attempt.node, why, kept),
            ev.Claim(attempt.id, attempt.job, attempt.node),
        )

    def _refresh(self, now: float) -> None:
        """While jobs wait, loads older than FRESH are measured anew."""
        if self._queue and now - self._refreshed >= FRESH:
            first, self._refreshed = self._refreshed == float("-inf"), now
            if not first:
                self._say(ev.Refresh(tuple(name for name, place in self._nodes.items() if place.silent_since is None)))

    def _next_wake(self, now: float) -> float | None:
        times = list(self._retries.values())
        for place in [*self._nodes.values(), *([self._fallback] if self._fallback else [])]:
            times += [at for at in (place.closed_until, place.busy_until) if at > now and self._queue]
            if place.silent_since is not None and now < place.silent_since + self._lost_after:
                times.append(place.silent_since + self._lost_after)
        if self._queue:
            times.append(self._refreshed + FRESH)
        return min(times, default=None)

    # -- ends

    def _finish(self, attempt: _Attempt, status: str, failure: str | None, message: str) -> None:
        self._end_job(self._jobs[attempt.job], ev.Finish(attempt.job, status, failure, message, attempt.id, attempt.node))

    def _end_job(self, job: _Job, finish: ev.Finish) -> None:
        if not job.done:
            job.done = True
            self._say(finish)

    def _stop_run(self, cause: ev.Refused) -> None:
        """The same mistake of ours twice: going on would only repeat it."""
        for name in [*self._queue, *(a.job for a in self._attempts.values() if a.stage in ("reserved", "claimed", "void"))]:
            self._end_job(self._jobs[name], ev.Finish(name, "failed", "refused", f"this is a fault of distributed.gummy: {cause.message}"))
        self._queue.clear()

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
