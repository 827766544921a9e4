# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: carries out what the scheduler says, over links, with threads; nothing here decides
about a job.

One thread runs the scheduler; verbs run in a pool and come back as events; each watched node has
one thread that polls.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .._errors import InputError
from .._files.quarantines import Quarantines
from .._files.record import RunRecord
from .._files.sessions import Sessions
from .._input.config import Config
from .._input.pass_env import values_for
from .._input.request import Job, Request
from .._input.routing import session_key
from .._links.link import Link, LinkError
from .._links.process import Process
from .._node import wire
from .._project import sync as _sync
from .._project.branch import DeliveredBranch, DeliverError, deliver_branch, describe_delivery, head
from .._schedule import messages as ev
from .._schedule.placement import Need, Node, Ranked
from .._schedule.scheduler import Scheduler

# Schema of what `start` tells a node of a job.
SPEC = 1
# Nodes of a ranking that the record keeps.
RANKING_KEPT = 25
# Seconds.
PAUSE_MOST = 7 * 86400.0
# Seconds; a poll returns within 25.
POLL_LONGEST = 45.0
ACKS_AT_ONCE = 20
LINE_UP = b"+"
# What an open poll is told.
LEAVE_LINE = b"-"
# Seconds that a poll stays open on a node without a job: the next job is often on its way.
LINGER = 1.0
# Seconds; an engine whose ansible-playbook was killed gives the run up to whoever resumes it.
PARENT_CHECK = 2.0


class ParentGone(Exception):
    """ansible-playbook is no more: nothing may be placed or started."""


@dataclass
class AttemptLog:
    """What is known of one attempt, for the record and for people."""

    attempt: str
    job: str
    node: str
    why: str = ""
    ranking: tuple[Mapping[str, Any], ...] = ()
    generation: int = 0
    store: str | None = None
    base: str | None = None
    sync: dict[str, Any] = field(default_factory=dict)
    delivered: DeliveredBranch | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] | None = None
    state: str = "reserved"
    # False: it never got past the door, and is no attempt for people.
    counts: bool = True


@dataclass
class JobResult:
    """A job's end."""

    finish: ev.Finish
    trail: AttemptLog | None
    folder: str | None = None
    ranking: tuple[Mapping[str, Any], ...] = ()


class Engine:
    """run() drives the request to its end. make_link: name -> Link (LinkError); measure: link ->
    Node; say: a line for people.
    """

    def __init__(
        self,
        request: Request,
        jobs: Iterable[Job],
        nodes: Iterable[Node],
        fallback: Node | None,
        make_link: Callable[[str], Link],
        measure: Callable[[str, Link], Node],
        quarantines: Quarantines,
        record: RunRecord,
        controller: str,
        exclusions: Mapping[str, _sync.Exclusions],
        say: Callable[[str, str, str, str], None],
    ) -> None:
        self._request = request
        self._record = record
        self._controller = controller
        self._jobs = {job.name: job for job in jobs}
        self._nodes = {node.name: node for node in [*nodes, *([fallback] if fallback else [])]}
        self._make_link = make_link
        self._measure = measure
        self._say = say
        self._exclusions = exclusions
        self._quarantines = quarantines
        self._sessions = Sessions()
        self._links: dict[str, Link] = {}
        self._events: queue.Queue[ev.Event] = queue.Queue()
        self._trails: dict[str, AttemptLog] = {}
        self._active: set[str] = set()
        self._watching: dict[str, Process | None] = {}
        self._listening: dict[str, Process] = {}
        self._in_line: set[str] = set()
        self._wanted: frozenset[str] = frozenset()
        self._idle_since: dict[str, float] = {}
        self._acks: dict[str, list[str]] = {}
        self._measuring = False
        self._parent = os.getppid()
        self._pool = ThreadPoolExecutor(min(64, 6 * len(self._nodes) + 2), "gummy")
        self._stopped = threading.Event()
        self.outcomes: dict[str, JobResult] = {}
        self._scheduler = Scheduler(
            [work_of(job, request.config, self._sessions) for job in self._jobs.values()],
            nodes,
            lambda: f"{record.uid}-{secrets.token_hex(5)}",
            fallback=fallback,
            local_fallback=request.local_fallback,
            lost_after=request.lost_after,
            queue_timeout=request.queue_timeout,
            weights=request.config.load_weights,
            preferences=request.config.host_preferences,
            detach=request.detach,
        )

    def run(self, found: Iterable[ev.Found]) -> dict[str, JobResult]:
        """Returns when every job has ended, or, detached, goes on or waits. Raises ParentGone."""
        try:
            self._measure_unknown()
            for event in found:
                self._trails[event.attempt] = AttemptLog(
                    event.attempt,
                    event.job,
                    event.node,
                    "resumed",
                    store=self._recorded_store(event.attempt),
                )
                self._active.add(event.attempt)
                self._events.put(event)
            for known in self._quarantines.known():
                self._events.put(known)
            self._events.put(ev.Tick())
            self._loop()
        finally:
            self._stopped.set()
            for process in self._watching.values():
                if process is not None:
                    process.kill()
            self._pool.shutdown(wait=True, cancel_futures=True)
        return self.outcomes

    def _loop(self) -> None:
        wake: float | None = None
        cancelled = False
        while True:
            try:
                pause = (
                    PARENT_CHECK
                    if wake is None
                    else min(PARENT_CHECK, max(0.0, wake - time.monotonic()))
                )
                event: ev.Event = self._events.get(timeout=pause)
            except queue.Empty:
                event = ev.Tick()
            if os.getppid() != self._parent:
                raise ParentGone
            if not cancelled and (cancelled := self._record.cancelled):
                self._events.put(ev.Cancelled())
            wake = None
            for command in self._scheduler.handle(event, time.monotonic()):
                if isinstance(command, ev.Wake):
                    wake = command.at
                elif isinstance(command, ev.End):
                    self._leave(command)
                    self._send_acks(all_of_them=True)
                    return
                else:
                    self._do(command)
            now = time.monotonic()
            for name, process in self._watching.items():
                if name in self._wanted:
                    self._idle_since[name] = now
                elif process is not None and now - self._idle_since.get(name, now) >= LINGER:
                    process.end_input()

    def _leave(self, command: ev.End) -> None:
        """Detached: what goes on and what waits is told, and is no end."""
        for left in command.unfinished:
            name = left.job
            if left.attempt is not None:
                finish = ev.Finish(
                    name, "running", None, f"goes on on {left.node}", left.attempt, left.node
                )
            else:
                finish = ev.Finish(
                    name, "waiting", None, f"waits for the run to be called again ({left.reason})"
                )
            self.outcomes[name] = JobResult(finish, self._trails.get(finish.attempt or ""))

    def _do(self, command: ev.Command) -> None:
        if isinstance(command, ev.Record):
            trail = self._trails.setdefault(
                command.attempt, AttemptLog(command.attempt, command.job, command.node)
            )
            trail.state = command.state
            known = {
                "job": command.job,
                "node": command.node,
                "state": command.state,
                "store": trail.store,
                "why": trail.why,
            }
            self._record.append("attempt", attempt=command.attempt, **known)
            if command.state == "void" and not trail.counts:
                del self._trails[command.attempt]
                self._active.discard(command.attempt)
        elif isinstance(command, ev.Assigned):
            ranking = command.standing.ranking()
            why = command.why or ranking[0].reason
            self._trails[command.attempt] = AttemptLog(
                command.attempt, command.job, command.node, why, self._kept(ranking), counts=False
            )
            self._active.add(command.attempt)
            self._say(command.job, "place", command.node, why)
        elif isinstance(command, ev.Finish):
            self._finish(command)
        elif isinstance(command, ev.Note):
            self._say(command.job, command.verb, command.node, command.text)
        elif isinstance(command, ev.Unwatch):
            self._wanted -= {command.node}
        elif isinstance(command, ev.Watch):
            self._wanted |= {command.node}
            if command.node not in self._watching:
                self._watching[command.node] = None
                threading.Thread(target=self._watch, args=(command.node,), daemon=True).start()
        elif isinstance(command, ev.Enqueue):
            self._in_line.add(command.node)
            self._tell(command.node, LINE_UP)
        elif isinstance(command, ev.Dequeue):
            self._in_line.discard(command.node)
            self._tell(command.node, LEAVE_LINE)
        elif isinstance(command, ev.Quarantine):
            self._quarantines.keep(command)
        elif isinstance(command, ev.Refresh):
            if not self._measuring:
                self._measuring = True
                threading.Thread(
                    target=self._measure_all, args=(command.nodes,), daemon=True
                ).start()
        elif isinstance(command, ev.Ack):
            self._acks.setdefault(command.node, []).append(command.attempt)
            self._send_acks()
        else:
            verbs: dict[type, Callable[[Any], None]] = {
                ev.Claim: self._claim,
                ev.Sync: self._sync,
                ev.Start: self._start,
                ev.Fence: self._fence,
                ev.Fetch: self._fetch,
                ev.Release: self._release,
                ev.Cancel: self._cancel,
            }
            self._pool.submit(self._guarded, verbs[type(command)], command)

    def _guarded(self, verb: Callable[[Any], None], command: Any) -> None:
        """A mistake of ours in a verb must not leave the run waiting for its event."""
        try:
            verb(command)
        except Exception as exc:  # noqa: BLE001
            if self._stopped.is_set() or isinstance(command, ev.Release | ev.Cancel):
                return
            message = f"{type(exc).__name__}: {exc}"
            if isinstance(command, ev.Start | ev.Fence):
                self._events.put(ev.Unknown(command.attempt, message))
            else:
                self._events.put(ev.Failed(command.attempt, "refused", message))

    # -- the verbs

    def _link(self, name: str) -> Link:
        link = self._links.get(name)
        if link is None:
            link = self._links.setdefault(name, self._make_link(name))
        return link

    def _claim(self, command: ev.Claim) -> None:
        job = self._jobs[command.job]
        trail = self._trails[command.attempt]
        trail.counts = True
        request: wire.ClaimRequest = {
            "attempt": command.attempt,
            "key": _sync.workspace_key(job.project, self._controller),
            "slots": self._nodes[command.node].slots,
            "run_id": self._request.run_id,
            "controller": self._controller,
        }
        try:
            reply = self._link(command.node).call("claim", request, 60)
        except LinkError as exc:
            self._events.put(failed(command.attempt, exc))
            return
        if reply["state"] == "claimed":
            trail.generation = int(reply["generation"])
            trail.store = reply.get("store")
            self._events.put(ev.Claimed(command.attempt, trail.store, reply["contended"] is True))
        elif reply["state"] == "busy":
            trail.counts = False
            self._events.put(ev.Busy(command.attempt))
        else:
            self._refused(command.attempt, reply)

    def _refused(self, attempt: str, reply: Mapping[str, Any]) -> None:
        blame = reply["blame"] if reply.get("blame") in ("ours", "input") else "node"
        self._events.put(
            ev.Refused(
                attempt,
                "refused",
                blame,
                str(reply.get("message", reply)),
                str(reply.get("class", "")),
            )
        )

    def _sync(self, command: ev.Sync) -> None:
        job = self._jobs[command.job]
        trail = self._trails[command.attempt]
        begun = time.monotonic()
        if job.project is None:
            self._events.put(ev.Synced(command.attempt))
            return
        excluded = self._exclusions[job.project]
        trail.base = head(job.project) if job.deliver == "branch" else None
        try:
            sent = _sync.send_project(
                self._link(command.node), excluded, command.attempt, trail.generation
            )
        except LinkError as exc:
            self._events.put(failed(command.attempt, exc))
        except _sync.TransferError as exc:
            if exc.refusal is not None:
                self._refused(command.attempt, exc.refusal)
            else:
                self._events.put(ev.Failed(command.attempt, exc.failure, str(exc)))
        else:
            seconds = round(time.monotonic() - begun, 2)
            trail.sync = {**asdict(sent), "seconds": seconds, "excluded": excluded.describe()}
            self._say(
                command.job,
                "sync",
                command.node,
                f"{sent.describe()} sent in {seconds:.1f} s",
            )
            self._events.put(ev.Synced(command.attempt))

    def _start(self, command: ev.Start) -> None:
        job = self._jobs[command.job]
        trail = self._trails[command.attempt]
        spec: wire.JobSpec = {
            "schema": SPEC,
            "digest": job.digest(),
            "agent": job.agent,
            "prompt": job.prompt,
            "command": job.command,
            "verify": job.verify,
            "timeout": job.timeout,
            "job": job.name,
            "run_id": self._request.run_id,
            "controller": self._controller,
            "project": job.project is not None,
            "project_path": job.project,
            "deliver": job.deliver,
            "artifacts": job.artifacts,
            "base": trail.base,
            "title": title_of(job),
            "exclude": [*_sync.NODE_OWNED, *self._request.config.sync_exclude],
            "settings": self._request.config.agents.get(job.agent, {}),
            "expect_changes": job.expect_changes,
        }
        try:
            request: wire.StartRequest = {
                "attempt": command.attempt,
                "generation": trail.generation,
                "spec": spec,
                "env": values_for(job),
            }
            reply = self._link(command.node).call("start", request, 90)
        except InputError as exc:
            self._events.put(ev.Refused(command.attempt, "input", "input", str(exc)))
            return
        except LinkError as exc:
            self._events.put(ev.Unknown(command.attempt, str(exc), contact_lost=True))
            return
        if reply["state"] in ("started", "running"):
            self._say(command.job, "start", command.node, f"{job.agent}, attempt {command.attempt}")
            self._events.put(ev.Started(command.attempt))
        elif reply["state"] == "ended":
            self._ended(command.attempt, reply)
        elif reply["state"] == "void":
            self._events.put(ev.ProvedVoid(command.attempt))
        else:
            self._refused(command.attempt, reply)

    def _fence(self, command: ev.Fence) -> None:
        self._ask_for_proof(command, "fence")

    def _cancel(self, command: ev.Cancel) -> None:
        self._ask_for_proof(command, "cancel")

    def _ask_for_proof(
        self, command: ev.Fence | ev.Cancel, verb: Literal["fence", "cancel"]
    ) -> None:
        trail = self._trails[command.attempt]
        try:
            reply = self._link(command.node).call(verb, {"attempt": command.attempt}, 60)
            if reply["state"] not in ("void", "running", "ended"):
                raise LinkError(str(reply.get("message", reply)), "reply")
            if trail.store is not None and reply.get("store") != trail.store:
                raise LinkError(
                    f"another store answers ({reply.get('store')}): this is not the node, or not the login, that has the job"
                )
        except LinkError as exc:
            self._events.put(ev.Unknown(command.attempt, str(exc), contact_lost=True))
            return
        if reply["state"] == "ended":
            self._ended(command.attempt, reply)
        elif reply["state"] == "void":
            self._events.put(ev.ProvedVoid(command.attempt))
        else:
            self._events.put(ev.ProvedRunning(command.attempt))

    def _ended(self, attempt: str, reply: Mapping[str, Any]) -> None:
        trail = self._trails[attempt]
        trail.result = {key: value for key, value in reply.items() if key != "files"}
        trail.files = reply.get("files")
        ended = ev.Ended(
            attempt,
            reply.get("class"),
            reply.get("proof"),
            str(reply.get("message") or ""),
            trail.result,
            pause_of(reply, time.time()),
        )
        self._events.put(ended)
        status = reply.get("class") or ("good" if reply.get("proof") else "unproven")
        self._say(
            trail.job, "wait", trail.node, f"ended after {reply.get('seconds', 0):.1f} s: {status}"
        )

    def _watch(self, name: str) -> None:
        """S6 seen from here: one poll per node, asked again until nothing of ours may run there."""
        pause = 0.5
        told = set[str]()
        watchable = set[str]()
        while not self._stopped.is_set():
            if name not in self._wanted:
                self._stopped.wait(0.05)
                continue
            try:
                self._poll(name, told, watchable)
                pause = 0.5
            # A poll that dies must not leave the run waiting for its events.
            except Exception as exc:  # noqa: BLE001
                if self._stopped.is_set():
                    return
                self._in_line.discard(name)
                self._events.put(
                    ev.LinkDown(
                        name,
                        str(exc) if isinstance(exc, LinkError) else f"{type(exc).__name__}: {exc}",
                    )
                )
                self._stopped.wait(pause)
                pause = min(pause * 2, 5.0)

    def _poll(self, name: str, told: set[str], watchable: set[str]) -> None:
        def opened(process: Process) -> None:
            self._watching[name] = process

        slots = self._nodes[name].slots
        request: wire.PollRequest = {
            "prefix": self._record.uid + "-",
            "told": sorted(told),
            "watchable": sorted(watchable),
            "slots": slots,
        }
        try:
            for reply in self._link(name).stream("poll", request, POLL_LONGEST, opened):
                attempt = reply.get("attempt")
                if reply["state"] == "refused":
                    raise LinkError(str(reply.get("message", reply)), "reply")
                if reply["state"] == "watching":
                    self._events.put(ev.LinkUp(name))
                    if (process := self._watching[name]) is not None:
                        # It has read the request; what comes now is no part of it.
                        self._listening[name] = process
                    if name in self._in_line:
                        self._tell(name, LINE_UP)
                elif reply["state"] == "turn":
                    self._in_line.discard(name)
                    self._events.put(ev.Granted(name))
                elif attempt in self._active and reply["state"] == "ended":
                    told.add(attempt)
                    self._ended(attempt, reply)
                elif attempt in self._active and reply["state"] == "progress":
                    watchable.add(attempt)
                    trail = self._trails[attempt]
                    self._say(trail.job, "wait", trail.node, f"watch it there: {reply['watch']}")
                elif attempt in self._active and reply["state"] == "unknown":
                    self._events.put(ev.Unknown(attempt, "its supervisor is gone"))
        finally:
            self._listening.pop(name, None)
            self._watching[name] = None

    def _tell(self, name: str, word: bytes) -> None:
        """Change what an open poll does."""
        if (process := self._listening.get(name)) is not None:
            process.write(word)

    def _fetch(self, command: ev.Fetch) -> None:
        folder = os.path.join(self._record.folder, f".fetch-{command.attempt}")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder, mode=0o700)
        try:
            if not _sync.unpack(self._trails[command.attempt].files, folder):
                _sync.fetch_harvest(self._link(command.node), command.attempt, folder)
        except LinkError as exc:
            self._events.put(failed(command.attempt, exc))
        except _sync.TransferError as exc:
            self._events.put(ev.Failed(command.attempt, exc.failure, str(exc)))
        else:
            kept = self._record.keep(command.job, folder, command.attempt)
            undelivered = self._deliver(
                self._jobs[command.job], self._trails[command.attempt], kept
            )
            self._events.put(ev.Fetched(command.attempt, undelivered))

    def _deliver(self, job: Job, trail: AttemptLog, folder: str) -> str:
        """Why what was asked for can't be done; blank if it is."""
        if (
            job.deliver != "branch"
            or job.project is None
            or not trail.result.get("harvest")
            or trail.result.get("class") == "quota"
        ):
            return ""
        try:
            trail.delivered = deliver_branch(
                job.project,
                folder,
                trail.result,
                run_id=self._request.run_id,
                job=job.name,
                title=title_of(job),
            )
        except DeliverError as exc:
            return str(exc)
        if trail.delivered:
            self._say(job.name, "fetch", trail.node, describe_delivery(trail.delivered))
        return ""

    def _release(self, command: ev.Release) -> None:
        # The lease ends by itself.
        with contextlib.suppress(LinkError):
            if (link := self._links.get(command.node)) is not None and link.connected:
                link.call("release", {"attempt": command.attempt}, 20)

    def _send_acks(self, all_of_them: bool = False) -> None:
        for name, attempts in self._acks.items():
            if attempts and (all_of_them or len(attempts) >= ACKS_AT_ONCE):
                self._pool.submit(self._ack, name, list(attempts))
                attempts.clear()
        if all_of_them:
            self._pool.shutdown(wait=True)

    def _ack(self, name: str, attempts: list[str]) -> None:
        # Resume sends it again.
        with contextlib.suppress(LinkError):
            self._link(name).call("ack", {"attempts": attempts, "controller": self._controller}, 20)

    def _measure_unknown(self) -> None:
        """Nodes that the inventory knows no load of are measured over their links, all at once,
        before the first placement.
        """
        names = [
            name
            for name, node in self._nodes.items()
            if node.state == "unknown" and not node.local and node.online is not False
        ]
        self._measure_all(tuple(names))

    def _measured(self, name: str) -> Node:
        try:
            node = self._measure(name, self._link(name))
        except LinkError as exc:
            node = Node(name, "unreachable", str(exc))
        self._nodes[name] = node
        return node

    def _measure_all(self, names: tuple[str, ...]) -> None:
        """Beside the pool, whose threads may all be busy with long syncs."""
        with ThreadPoolExecutor(max(1, min(64, len(names))), "gummy-measure") as pool:
            self._events.put(ev.Nodes(tuple(pool.map(self._measured, names))))
        self._measuring = False

    # -- ends

    def _recorded_store(self, attempt: str) -> str | None:
        return self._record.history.attempts.get(attempt, {}).get("store")

    def _finish(self, command: ev.Finish) -> None:
        trail = self._trails.get(command.attempt or "")
        folder = self._record.job_folder(command.job)
        if trail is not None:
            kept = trail.ranking
        else:
            kept = self._kept(command.standing.ranking() if command.standing else [])
        self.outcomes[command.job] = JobResult(
            command, trail, folder if trail and os.path.isdir(folder) else None, kept
        )
        row = self.describe(command.job)
        self._record.append("finish", **row)
        if command.status == "success" and command.node is not None:
            self._sessions.keep(session_key(self._jobs[command.job]), command.node)
        text = f"{command.status}{f' ({command.failure})' if command.failure else ''}"
        self._say(command.job, "fetch", command.node or "-", f"{text}{changes(row)}")

    def _kept(self, ranking: Sequence[Ranked]) -> tuple[Mapping[str, Any], ...]:
        return tuple(entry.as_dict(time.time()) for entry in ranking[:RANKING_KEPT])

    def describe(self, name: str) -> dict[str, Any]:
        """The job's row of run.json."""
        outcome = self.outcomes[name]
        return job_row(
            self._jobs[name],
            outcome,
            [trail for trail in self._trails.values() if trail.job == name],
        )


def job_row(job: Job, outcome: JobResult, attempts: Sequence[AttemptLog] = ()) -> dict[str, Any]:
    """A job in run.json."""
    finish = outcome.finish
    trail = outcome.trail
    result: Mapping[str, Any] = trail.result if trail else {}
    harvest: Mapping[str, Any] = result.get("harvest") or {}
    patch = (
        os.path.join(outcome.folder, "changes.patch")
        if outcome.folder and harvest.get("patch")
        else None
    )
    return {
        "job": job.name,
        "name": job.name,
        "status": finish.status,
        "class": finish.failure,
        "message": finish.message,
        "node": finish.node,
        "agent": job.agent,
        "task_type": job.task_type,
        "project": job.project,
        "why": trail.why if trail else None,
        "exit_status": result.get("exit_status"),
        "proof": result.get("proof"),
        "cost_usd": result.get("cost_usd"),
        "turns": result.get("turns"),
        "session_id": result.get("session_id"),
        "seconds": result.get("seconds"),
        "sync": trail.sync if trail else {},
        "folder": outcome.folder,
        "patch": patch,
        "files_changed": harvest.get("files", 0),
        "lines_added": harvest.get("added", 0),
        "lines_deleted": harvest.get("deleted", 0),
        "left_out": harvest.get("left_out", []),
        "nested": harvest.get("nested", []),
        "artifacts": harvest.get("artifacts", 0),
        "commits": harvest.get("commits", {}),
        "delivered": trail.delivered if trail else None,
        "watch": result.get("watch"),
        "workspace": result.get("workspace"),
        "attempts": [
            {"id": t.attempt, "node": t.node, "state": t.state, "why": t.why} for t in attempts
        ],
        "ranking": list(outcome.ranking),
    }


def failed(attempt: str, exc: LinkError) -> ev.Failed:
    """A login that is refused is for a person to mend: the node gets no trial."""
    failure = "refused" if exc.kind in ("python", "settings") else "unreachable"
    return ev.Failed(
        attempt, failure, str(exc), lasting=exc.kind in ("host_key", "login", "settings")
    )


def pause_of(reply: Mapping[str, Any], now: float) -> float | None:
    """Seconds until there is quota again, if the agent says so; its word is worth a week at most."""
    at = reply.get("reset_at")
    return min(max(0.0, at - now), PAUSE_MOST) if isinstance(at, (int, float)) else None


def work_of(job: Job, config: Config, sessions: Sessions) -> ev.PlacementSpec:
    need = Need(
        job.agent,
        job.task_type,
        job.node,
        None if job.nodes is None else frozenset(job.nodes),
        home=sessions.home_of(session_key(job)),
    )
    account = config.agents.get(job.agent, {}).get("account", job.agent)
    return ev.PlacementSpec(
        job.name,
        need,
        job.attempts,
        job.accept_unproven,
        job.priority,
        account=account,
        skippable=job.of is not None,
        no_more=job.no_more,
    )


def title_of(job: Job) -> str:
    """The message of a commit that holds the job's work."""
    asked = (job.prompt or job.command or "").strip().split("\n", 1)[0]
    return f"{job.name}: {asked}"[:72]


def changes(row: Mapping[str, Any]) -> str:
    """`, 2 files changed (+3/-1), patch /…` of a row of run.json."""
    if not row["patch"]:
        return (
            f"; {row['message']}"
            if row["status"] != "success" and row["message"]
            else ", no changes"
        )
    files = row["files_changed"]
    counted = f", {files} file{'s' if files != 1 else ''} changed (+{row['lines_added']}/-{row['lines_deleted']}), patch {row['patch']}"
    return counted + (
        f"; {row['message']}" if row["status"] != "success" and row["message"] else ""
    )
