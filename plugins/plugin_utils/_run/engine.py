# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: carries out what the scheduler says, and tells it what became of that.

Nothing here decides about a job. One loop takes an answer, writes down what is known by it, hands
its event to the scheduler, and carries out the commands that come back.

Which thread may touch what:

* The engine's thread is the one that calls `run`. It alone touches the scheduler, the record's
  journal, the attempts' logs and all other fields of Engine.
* A pool carries out the verbs, each in a thread of its own (verbs.py). A verb is given values, and
  what it returns goes into the queue of answers. It touches nothing of Engine. What takes as long
  as a node likes, the fetches, has a small pool for each node.
* Each watched node has a thread (watch.py), which puts what it is told into the same queue.
* Each node that was asked something has a session, with a thread that reads what comes over it and
  hands it to whoever asked (_links/session.py).
* A thread that measures nodes puts their loads into the queue too.

What several threads share guards itself: the queue, the links (a lock), the watches (a lock each),
and the printer behind `report`.
"""

from __future__ import annotations

import os
import queue
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial, singledispatchmethod

from .._files.record import RunRecord
from .._files.sessions import Sessions
from .._fleet.fleet import Fleet
from .._fleet.settle import settle, with_own
from .._input.request import Job, Request
from .._input.session_key import session_key
from .._links.link import LinkError
from .._links.outputs import reader_is_gone
from .._project.sync import Exclusions
from .._schedule import messages as ev
from .._schedule.placement import Node, is_sure
from .._schedule.scheduler import Scheduler
from .._show.text import clock_time
from . import replies
from .log_tail import log_tail
from .onlooker import EVERY, Onlooker
from .patience import Patience
from .replies import Answer
from .requests import git_need_of, placement_spec
from .results import (
    AttemptLog,
    JobResult,
    JobRow,
    NodeRow,
    RankingRow,
    describe_end,
    job_row,
    kept_ranking,
)
from .spending import Spending
from .verbs import Links, Verbs
from .watch import Watches

# How often the loop looks whether its ansible-playbook is still there, in seconds. An engine whose
# playbook was killed gives the run up to whoever resumes it.
PARENT_CHECK = 2.0

# How often the loop looks whether a claim is late, while there are some, in seconds.
LATE_CHECK = 0.5

# Harvests of one node that are acknowledged together.
ACKS_AT_ONCE = 20

# How many threads carry out verbs: so many a node, some to spare, and an upper bound.
THREADS_A_NODE = 6
THREADS_TO_SPARE = 2
THREADS_MOST = 64

# How many harvests of one node come home at once. They have threads of their own, for a node that
# sends slowly must not take those that the verbs of others need.
FETCHES_A_NODE = 3

# How many nodes are measured at once.
MEASURED_AT_ONCE = 64

# What a node can say of an attempt at any time, whether it was asked or not.
SAID_BY_NODES = (ev.Ended, ev.Misplaced, ev.ProvedRunning, ev.ProvedVoid, ev.Unknown)


class ParentGone(Exception):
    """ansible-playbook is no more: nothing may be placed or started."""


class Engine:
    """Drives the jobs of one call of a run to their ends."""

    def __init__(
        self,
        request: Request,
        fleet: Fleet,
        record: RunRecord,
        *,
        jobs: Iterable[Job],
        nodes: Iterable[Node],
        controller: str,
        exclusions: Mapping[str, Exclusions],
        report: Callable[[str, str, str, str], None],
        onlooker: Onlooker | None = None,
        person_needed: Callable[[str, str, str, str], None] | None = None,
    ) -> None:
        """record: the run's, opened by the caller.

        jobs: those that this call does. nodes: the candidates, and nodes of earlier calls that are
        none any more. controller: this controller's identity. exclusions: project -> what of it
        stays at home. report: takes a line for people as job, verb, node, text; any of the first
        three may be blank. onlooker: is shown how far the run has come, and what agents say.
        person_needed: takes what only a person can mend, as need (of `notify.NEEDS`), job, node,
        agent.
        """
        nodes = list(nodes)
        self._request = request
        self._fleet = fleet
        self._record = record
        self._report = report
        self._person_needed = person_needed
        self._jobs = {job.name: job for job in jobs}
        self._sessions = Sessions()

        # How many slots each node has and what its system is called, as far as we know.
        self._slots = {node.name: node.slots for node in nodes}
        self._systems = {node.name: node.os for node in nodes}
        if fleet.fallback is not None:
            self._slots[fleet.fallback.name] = fleet.fallback.slots
            self._systems[fleet.fallback.name] = fleet.fallback.os

        # What is known of each attempt; those whose answers still count, for a node may tell of
        # attempts that are no business of this call; and how jobs have ended.
        self._logs: dict[str, AttemptLog] = {}
        self._active: set[str] = set()
        self._results: dict[str, JobResult] = {}
        self._spending = Spending(request, record)

        # Harvests by node that are at home, and that their node was not told of yet; and what nodes
        # are being told, of which nobody waits for the answer before the end.
        self._to_acknowledge: dict[str, list[str]] = {}
        self._courtesies: list[Future[None]] = []

        # Whether the call ended before its jobs because nobody read what it printed.
        self.has_left = False
        # Whether anything was sent to a node, started there, or fetched from it.
        self.has_acted = False

        self._is_measuring = False
        self._knows_cancel = False
        self._wake_at: float | None = None
        self._parent = os.getppid()

        self._answers: queue.Queue[Answer] = queue.Queue()
        links = Links(fleet.make_link)
        self._links = links
        self._patience = Patience()
        self._verbs = Verbs(
            request, record, controller, links, exclusions, self._patience, self._answers.put
        )
        self._onlooker = onlooker
        self._watches = Watches(
            links,
            f"{record.uid}-",
            self._answers.put,
            lively=onlooker is not None,
            verbose=onlooker is not None and onlooker.verbose,
        )

        threads = min(THREADS_MOST, THREADS_A_NODE * len(self._slots) + THREADS_TO_SPARE)
        self._pool = ThreadPoolExecutor(threads, "gummy")
        self._fetch_pools: dict[str, ThreadPoolExecutor] = {}

        self._unmeasured = [
            node.name
            for node in nodes
            if node.state == "unknown" and not node.local and node.online is not False
        ]
        self._scheduler = Scheduler(
            [
                placement_spec(job, request.config, self._sessions, git_need_of(job, exclusions))
                for job in self._jobs.values()
            ],
            nodes,
            lambda: f"{record.uid}-{secrets.token_hex(5)}",
            fallback=fleet.fallback,
            local_fallback=request.local_fallback,
            lost_after=request.lost_after,
            queue_timeout=request.queue_timeout,
            weights=request.config.load_weights,
            preferences=request.config.host_preferences,
            detach=request.detach,
            run_budget=request.run_budget_usd,
            day_budget=request.day_budget_usd,
        )

    def run(self, found: Iterable[ev.Found]) -> dict[str, JobRow]:
        """Drive the jobs until each has ended or, in a detached run, goes on or waits.

        found: attempts of earlier calls that may have started. Returns the jobs' rows of run.json
        by name. Raises ParentGone. When nobody reads what it prints, the call leaves its jobs to
        themselves, and `has_left` says so: the process should end soon, for what a thread waits for
        is not waited for.
        """
        try:
            self._tell_what_is_known(found)
            self._loop()
        finally:
            self._watches.stop()
            # First, for a thread may wait for a node that does not answer.
            self._links.close()
            for pool in (self._pool, *self._fetch_pools.values()):
                pool.shutdown(wait=not self.has_left, cancel_futures=True)
        return {name: self._row(name) for name in self._results}

    def node_rows(self) -> dict[str, NodeRow]:
        """What is known of the nodes by now, by name."""
        return {
            name: {"os": self._systems.get(name) or None, "slots": slots}
            for name, slots in self._slots.items()
        }

    def _tell_what_is_known(self, found: Iterable[ev.Found]) -> None:
        """What is to be known before the first placement, in this order; the Tick begins it."""
        # Nodes of which the inventory knows no load.
        self._measure(tuple(self._unmeasured))

        for event in found:
            log = AttemptLog(event.attempt, event.job, event.node, why="resumed")
            entry = self._record.history.attempts.get(event.attempt, {})
            log.store = entry.get("store")
            log.base = entry.get("base")
            log.times = dict(self._record.history.times.get(event.attempt, {}))
            self._logs[event.attempt] = log
            self._active.add(event.attempt)
            self._watches.expect(event.node, event.attempt)
            self._answers.put(Answer(event))

        for attempt, entry in self._record.history.attempts.items():
            if attempt not in self._active:
                self._watches.pass_over(entry["node"], attempt)

        for quarantined in self._fleet.quarantines.known():
            self._answers.put(Answer(quarantined))

        # What earlier calls and other runs have spent comes before the first placement.
        self._tell_spending()
        self._answers.put(Answer(ev.Tick()))

    def _tell_spending(self) -> None:
        spent = self._spending.news()
        if spent is not None:
            self._answers.put(Answer(spent))

    # -- the loop

    def _loop(self) -> None:
        over = False
        while not over:
            event = self._take(self._next_answer())
            if os.getppid() != self._parent:
                raise ParentGone
            if reader_is_gone():
                self.has_left = True
                self._keep_unfinished(self._scheduler.leave())
                return
            self._look_for_cancel()
            self._look_for_late_claims()
            # What was spent is known before a slot that has become free is used.
            spent = self._spending.news()
            if spent is not None:
                over = self._handle(spent)
            if event is not None and not over:
                over = self._handle(event)
            if self._onlooker is not None:
                self._onlooker.look(self._spending.run_usd)
            self._watches.end_idle_polls()

    def _next_answer(self) -> Answer:
        """The next answer; a Tick when it is time to wake up, or to look at the parent."""
        pause = PARENT_CHECK
        late_at = self._patience.next_late_at()
        if late_at is not None:
            # Others may go out meanwhile, of which nobody tells.
            pause = min(LATE_CHECK, max(0.0, late_at - time.monotonic()))
        if self._wake_at is not None:
            pause = min(pause, max(0.0, self._wake_at - time.monotonic()))
        if self._onlooker is not None and self._onlooker.is_behind:
            # What people see of the whole does not contradict the line of a job for long.
            pause = min(pause, EVERY)
        try:
            return self._answers.get(timeout=pause)
        except queue.Empty:
            return Answer(ev.Tick())

    def _take(self, answer: Answer) -> ev.Event | None:
        """Write down what is known by an answer, and tell people; the event for the scheduler."""
        if answer.attempt:
            if answer.attempt not in self._active:
                return None
            log = self._logs[answer.attempt]
            if not self._can_be(answer, log):
                return None
            agent = self._jobs[log.job].agent
            accounts = self._request.config.with_account
            answer = replies.without_false_quota(answer, agent, accounts)
            if isinstance(answer.event, ev.Ended):
                key = self._record.key_of(answer.attempt)
                answer = replies.with_weighed_signature(answer, answer.event, key)
            text = answer.text or replies.line_of_signs(log.signs, answer.facts.get("signs"))
            log.learn(answer.facts)
            self._note_spending(answer, log)
            if self._onlooker is not None:
                self._onlooker.hear(answer, log, self._jobs[log.job].agent)
            if isinstance(answer.event, ev.Fetched) or log.sync.get("files"):
                self.has_acted = True
            if text:
                self._report(log.job, answer.verb or "wait", log.node, text)

        self._look_for_needs(answer.event)
        if isinstance(answer.event, ev.LinkUp) and answer.store:
            self._look_for_misplaced(answer.event.node, answer.store)
        if isinstance(answer.event, ev.Nodes):
            self._is_measuring = False
            for node in answer.event.nodes:
                self._slots[node.name] = node.slots
                self._systems[node.name] = node.os
                self._watches.set_slots(node.name, node.slots)
        return answer.event

    def _note_spending(self, answer: Answer, log: AttemptLog) -> None:
        if isinstance(answer.event, ev.Ended):
            job = self._jobs[log.job]
            self._spending.note_end(log.attempt, log.node, job, answer.event.result)
        elif "signs" in answer.facts:
            cost = answer.facts["signs"]["cost_usd"]
            self._spending.note_live(log.attempt, log.node, cost)

    def _look_for_needs(self, event: ev.Event | None) -> None:
        """Tell of what only a person can mend, whatever the scheduler makes of it."""
        need = replies.need_of(event)
        if need is not None and isinstance(event, ev.AttemptEvent) and event.attempt in self._logs:
            log = self._logs[event.attempt]
            self._tell_need(need, log.job, log.node)

    def _tell_need(self, need: str, job: str, node: str | None) -> None:
        if self._person_needed is not None:
            self._person_needed(need, job, node or "-", self._jobs[job].agent)

    def _can_be(self, answer: Answer, log: AttemptLog) -> bool:
        """Whether what a node says of an attempt is its own to say, and can be so by now.

        A node may say anything, also of another one's attempt, or that one has ended which was
        never started. Such a word is dropped: it is no mistake of ours.
        """
        if answer.told_by not in ("", log.node):
            return False
        return not isinstance(answer.event, SAID_BY_NODES) or self._scheduler.expects(answer.event)

    def _look_for_misplaced(self, node: str, store: str) -> None:
        """Attempts that began in another store than the one that answers under this name now."""
        for attempt in self._active:
            log = self._logs[attempt]
            if log.node == node and log.store not in (None, store):
                self._answers.put(replies.misplaced(attempt))

    def _look_for_late_claims(self) -> None:
        """A claim that its node does not answer is withdrawn: nothing starts without a start."""
        for attempt, seconds in self._patience.newly_late():
            self._answers.put(replies.late(attempt, seconds))

    def _look_for_cancel(self) -> None:
        """The command `cancel` leaves a file in the run's folder."""
        if not self._knows_cancel and self._record.cancelled:
            self._knows_cancel = True
            self._answers.put(Answer(ev.Cancelled()))

    def _handle(self, event: ev.Event) -> bool:
        """Carry out all that follows from an event; whether the run is over by it."""
        self._wake_at = None
        for command in self._scheduler.handle(event, time.monotonic()):
            if isinstance(command, ev.End):
                self._end(command)
                return True
            self._carry_out(command)
        if isinstance(event, ev.Unknown) and event.contact_lost:
            log = self._logs.get(event.attempt)
            if log is not None:
                self._watches.begin_again(log.node)
        return False

    # -- commands: what is done at once, by this thread

    @singledispatchmethod
    def _carry_out(self, command: ev.Command) -> None:
        """The method for this type of command."""
        raise TypeError(f"no such command: {command!r}")

    @_carry_out.register
    def _wake(self, command: ev.Wake) -> None:
        self._wake_at = command.at

    @_carry_out.register
    def _assigned(self, command: ev.Assigned) -> None:
        ranking = command.standing.ranking()
        why = command.why or ranking[0].reason
        self._logs[command.attempt] = AttemptLog(
            command.attempt,
            command.job,
            command.node,
            why=why,
            ranking=kept_ranking(ranking),
            counts=False,
        )
        self._active.add(command.attempt)
        self._watches.expect(command.node, command.attempt)
        job = self._jobs[command.job]
        if job.agents:
            self._jobs[command.job] = replace(job, agent=command.agent)
            why = f"{command.agent}: {why}"
        self._report(command.job, "place", command.node, why)

    @_carry_out.register
    def _write_record(self, command: ev.Record) -> None:
        """On disk when this returns, and so before the commands that follow it."""
        log = self._logs[command.attempt]
        log.state = command.state
        log.times.setdefault(command.state, round(time.time(), 3))
        if self._onlooker is not None:
            self._onlooker.see_state(log)
        self._record.append(
            "attempt",
            attempt=command.attempt,
            job=command.job,
            node=command.node,
            state=command.state,
            store=log.store,
            why=log.why,
            base=log.base,
            agent=self._jobs[command.job].agent,
        )

        # An attempt that never got past the door is forgotten: people would only wonder.
        if command.state == "void" and not log.counts:
            del self._logs[command.attempt]
            self._active.discard(command.attempt)

    @_carry_out.register
    def _note(self, command: ev.Note) -> None:
        until = ""
        if command.until is not None:
            # The scheduler's clock is none that people know.
            now = time.time()
            at = now + command.until - time.monotonic()
            until = f", till {clock_time(at, now)}"
        if command.waits_for:
            # Whoever watches the fleet is told why.
            self._record.append("wait", job=command.job, why=command.waits_for + until)
        self._report(command.job, command.verb, command.node, command.text + until)

    @_carry_out.register
    def _quarantine(self, command: ev.Quarantine) -> None:
        self._fleet.quarantines.keep(command)

    @_carry_out.register
    def _finish(self, command: ev.Finish) -> None:
        log = self._logs.get(command.attempt or "")

        folder = None
        if log is not None:
            job_folder = self._record.job_folder(command.job)
            if os.path.isdir(job_folder):
                folder = job_folder

        ranking: tuple[RankingRow, ...] = ()
        if log is not None:
            ranking = log.ranking
        elif command.standing is not None:
            ranking = kept_ranking(command.standing.ranking())

        tail: tuple[str, ...] = ()
        if folder is not None and command.status != "success":
            tail = log_tail(folder, self._jobs[command.job].agent, command.failure)
        self._results[command.job] = JobResult(
            command.status,
            command.failure,
            command.message,
            node=command.node,
            log=log,
            folder=folder,
            ranking=ranking,
            log_tail=tail,
        )
        row = self._row(command.job)
        self._record.append("finish", **row)
        if self._onlooker is not None:
            self._onlooker.see_end(row)

        if command.status == "success" and command.node is not None:
            self._sessions.keep(session_key(self._jobs[command.job]), command.node)
        self._report(command.job, "fetch", command.node or "-", describe_end(row))
        if command.status == "lost":
            self._tell_need("lost", command.job, command.node)
        elif command.failure == "budget":
            self._tell_need("budget", command.job, command.node)

    def _end(self, command: ev.End) -> None:
        """All jobs have ended, or the run is detached and leaves some of them."""
        self._keep_unfinished(command)
        for node in self._to_acknowledge:
            self._acknowledge(node)
        wait(self._courtesies)

    def _keep_unfinished(self, command: ev.End) -> None:
        """What a call leaves is told, and is no end."""
        what = "goes on"
        if self.has_left and self._request.on_interrupt == "cancel":
            what = "is being cancelled"
        for left in command.unfinished:
            if left.attempt is not None:
                self._results[left.job] = JobResult(
                    "running",
                    None,
                    f"{what} on {left.node}",
                    node=left.node,
                    log=self._logs.get(left.attempt),
                )
            else:
                message = f"waits for the run to be called again ({left.reason})"
                self._results[left.job] = JobResult("waiting", None, message)

    def _row(self, job: str) -> JobRow:
        """The job's row of run.json."""
        attempts = [log for log in self._logs.values() if log.job == job]
        return job_row(self._jobs[job], self._results[job], attempts)

    # -- commands: the walk, by the pool

    @_carry_out.register
    def _claim(self, command: ev.Claim) -> None:
        self._logs[command.attempt].counts = True
        job = self._jobs[command.job]
        slots = self._slots[command.node]
        self._submit(command, lambda: self._verbs.claim(command, job, slots))

    @_carry_out.register
    def _sync(self, command: ev.Sync) -> None:
        job = self._jobs[command.job]
        generation = self._logs[command.attempt].generation
        self._submit(command, lambda: self._verbs.sync(command, job, generation))

    @_carry_out.register
    def _start(self, command: ev.Start) -> None:
        # Whatever is heard of it, the agent may run.
        self.has_acted = True
        job = self._jobs[command.job]
        log = self._logs[command.attempt]
        generation = log.generation
        base = log.base
        key = self._record.key_of(command.attempt)
        self._submit(command, lambda: self._verbs.start(command, job, generation, base, key))

    @_carry_out.register
    def _fence(self, command: ev.Fence) -> None:
        store = self._logs[command.attempt].store
        self._submit(command, lambda: self._verbs.prove(command, store))

    @_carry_out.register
    def _cancel(self, command: ev.Cancel) -> None:
        store = self._logs[command.attempt].store
        self._submit(command, lambda: self._verbs.prove(command, store))

    @_carry_out.register
    def _fetch(self, command: ev.Fetch) -> None:
        job = self._jobs[command.job]
        log = self._logs[command.attempt]
        result = log.result
        files = log.files
        base = log.base
        pool = self._fetch_pools.get(command.node)
        if pool is None:
            pool = ThreadPoolExecutor(FETCHES_A_NODE, "gummy-fetch")
            self._fetch_pools[command.node] = pool
        self._submit(command, lambda: self._verbs.fetch(command, job, result, files, base), pool)

    @_carry_out.register
    def _release(self, command: ev.Release) -> None:
        self._courtesies.append(self._pool.submit(self._verbs.release, command))

    @_carry_out.register
    def _acked(self, command: ev.Ack) -> None:
        """Many are told together: it is a call of its own, and nobody waits for it."""
        attempts = self._to_acknowledge.setdefault(command.node, [])
        attempts.append(command.attempt)
        if len(attempts) >= ACKS_AT_ONCE:
            self._acknowledge(command.node)

    def _acknowledge(self, node: str) -> None:
        attempts = self._to_acknowledge[node]
        if attempts:
            told = self._pool.submit(self._verbs.acknowledge, node, list(attempts))
            self._courtesies.append(told)
            attempts.clear()

    def _submit(
        self,
        command: ev.Command,
        verb: Callable[[], Answer],
        pool: ThreadPoolExecutor | None = None,
    ) -> None:
        """Carry out a verb in a thread of the pool. It has to be given values, and no field."""
        (pool or self._pool).submit(_answer, command, verb, self._answers.put)

    # -- commands: what other threads do

    @_carry_out.register
    def _watch(self, command: ev.Watch) -> None:
        self._watches.watch(command.node, self._slots[command.node])

    @_carry_out.register
    def _unwatch(self, command: ev.Unwatch) -> None:
        self._watches.unwatch(command.node)

    @_carry_out.register
    def _enqueue(self, command: ev.Enqueue) -> None:
        self._watches.enqueue(command.node, self._slots[command.node])

    @_carry_out.register
    def _dequeue(self, command: ev.Dequeue) -> None:
        self._watches.dequeue(command.node)

    @_carry_out.register
    def _refresh(self, command: ev.Refresh) -> None:
        if self._is_measuring:
            return
        self._is_measuring = True
        # Not in the pool, whose threads may all be busy with long syncs.
        threading.Thread(target=self._measure, args=(command.nodes,), daemon=True).start()

    def _measure(self, names: tuple[str, ...]) -> None:
        """Measure these nodes at once. It touches no field but those that guard themselves."""
        agents = frozenset(agent for job in self._jobs.values() for agent in job.choices)
        measure = partial(_measure_one, self._fleet, self._links, agents)
        with ThreadPoolExecutor(max(1, min(MEASURED_AT_ONCE, len(names))), "gummy-measure") as pool:
            nodes = tuple(pool.map(measure, names))
        self._answers.put(Answer(ev.Nodes(nodes)))


def _answer(command: ev.Command, verb: Callable[[], Answer], put: Callable[[Answer], None]) -> None:
    """Carry out a verb; a mistake of ours in it must not leave the run waiting for its answer."""
    try:
        put(verb())
    except Exception as exc:  # noqa: BLE001
        answer = replies.broken(command, exc)
        if answer is not None:
            put(answer)


def _measure_one(fleet: Fleet, links: Links, agents: Collection[str], name: str) -> Node:
    """A node with the load that it has now, and with what these agents need there."""
    try:
        link = links.to(name)
        measured = with_own(fleet.measure(name, link), agents)
        is_sure_of_all = all(is_sure(measured, agent) for agent in agents)
        if measured.state != "unreachable" and not is_sure_of_all:
            measured = settle(fleet, measured, link)
        return measured
    except LinkError as exc:
        return Node(name, "unreachable", str(exc))
