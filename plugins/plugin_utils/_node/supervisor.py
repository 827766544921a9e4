# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor: starts an attempt's agent at most once (S4, S5), watches it, makes its harvest
and says how it ended (S6).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from . import agents, harvest, launch, processes, runs
from .baseline import make_baseline
from .claim import Claims, refuse_known, release
from .git import HarvestError
from .states import move, state_of
from .store import Attempt, Refusal, Store, read_json, try_lock, write_durably

# Schema of a job's spec; older ones are still harvested.
SPEC = 1
# Seconds between two looks whether somebody cancels.
LOOK = 0.25
# Seconds that a cancel waits: TERM, KILL and the harvest.
CANCEL_MOST = 25.0
# Bytes that stay ours on a disk that an agent fills, for the word how it ended.
RESERVE = 65536
# Seconds that a start waits for a lock which an ended sync still holds.
PATIENCE = 5.0


def start(store: Store, request: dict[str, Any]) -> dict[str, Any]:
    """S4. request: attempt, generation, spec.

    Answers started, or what is known of the attempt already; refused changes nothing.
    """
    attempt = store.attempt(request["attempt"])
    spec: dict[str, Any] = dict(request["spec"])
    if spec.get("schema", SPEC) > SPEC:
        raise Refusal(
            "the job has schema %s, this program knows %d: update the collection"
            % (spec["schema"], SPEC),
            "schema",
            "input",
        )
    attempt.create()
    path = agents.login_path() if state_of(attempt) == "new" else ""
    lock = _lock(attempt)
    if lock is None:
        return {"state": "running"}
    if state_of(attempt) not in ("new", "void"):
        os.close(lock)
        return fence(store, attempt)
    refuse_known(attempt)
    runs.check(store, attempt.id, str(spec.get("controller")))
    passed = launch.passed_values(request)
    reason = agents.unusable(spec["agent"], path)
    if reason:
        raise Refusal(reason, "agent", "node")
    workspace = _take_over(store, attempt, int(request["generation"]), spec)
    attempt.mark("spec.json", json.dumps(spec).encode())
    move(attempt, "start")
    # Who took the run over meanwhile sees this attempt, or is seen here.
    runs.check(store, attempt.id, str(spec.get("controller")))
    write_durably(
        os.path.join(workspace, "holder.json"), json.dumps({"attempt": attempt.id}).encode()
    )
    attempt.mark("reserve", os.urandom(RESERVE))
    if os.fork() == 0:
        # Kept open: the lock lives as long as the supervisor.
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        _run_detached(store, attempt, spec, path, passed)
    return {"state": "started", "workspace": workspace}


def _lock(attempt: Attempt) -> int | None:
    """The attempt's lock, or None when its supervisor has it.

    Another start that holds it is waited for: it may still refuse.
    """
    until = time.monotonic() + 30
    while True:
        started = state_of(attempt) not in ("new", "void")
        # Somebody may just look whether it is locked.
        lock = try_lock(attempt.lock, 0.1)
        if lock is not None or started:
            return lock
        if time.monotonic() > until:
            raise Refusal(
                "attempt %s stays locked: look for a stopped python3 process on this node"
                % attempt.id,
                "start",
                "node",
            )


def _take_over(store: Store, attempt: Attempt, generation: int, spec: dict[str, Any]) -> str:
    """Turn the lease into locks that live as long as the supervisor.

    The descriptors stay open on purpose.
    """
    with store.locked():
        claims = Claims(store)
        row = claims.of(attempt.id, generation)
        if row is None:
            raise Refusal("the claim of attempt %s has run out" % attempt.id, "lease", "ours")
        workspace = store.workspace(row["key"], row["workspace"])
        _end_stale_sync(workspace)
        locks = [
            try_lock(store.slot(row["slot"]), PATIENCE),
            try_lock(os.path.join(workspace, "lock"), PATIENCE),
        ]
        if None in locks:
            raise Refusal(
                "slot or workspace of attempt %s are still in use" % attempt.id, "start", "node"
            )
        claims.drop(attempt.id)
        claims.save()
    spec.update(workspace=workspace, slot=row["slot"], generation=generation)
    return workspace


def _end_stale_sync(workspace: str) -> None:
    """An rsync whose client vanished keeps the workspace's lock for minutes: end the group it wrote
    down.
    """
    row = read_json(os.path.join(workspace, "sync.json"))
    lock = try_lock(os.path.join(workspace, "lock"), patience=0.5)
    if lock is not None:
        os.close(lock)
    elif row is not None:
        with contextlib.suppress(OSError):
            os.killpg(int(row["group"]), signal.SIGKILL)


def _run_detached(
    store: Store, attempt: Attempt, spec: dict[str, Any], path: str, passed: dict[str, str]
) -> None:
    """The forked side: never returns. Nothing of the caller's session stays open."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        log = os.open(attempt.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for target, source in ((0, null), (1, log), (2, log)):
            os.dup2(source, target)
        program = os.open(sys.argv[0], os.O_RDONLY | os.O_CLOEXEC)
        # Clean leaves a program alone that still runs.
        fcntl.flock(program, fcntl.LOCK_SH)
        processes.become_subreaper()
        # A git of ours that outlives us is found as the agent is.
        os.environ[processes.MARKER] = attempt.id
        # The probe counts the slots whose process lives.
        _sign(store.slot(spec["slot"]), "%d\n" % os.getpid())
        _supervise(store, attempt, spec, path, passed)
        _sign(store.slot(spec["slot"]), "")
        status = 0
    # The last one who can say what happened.
    except BaseException as exc:  # noqa: BLE001
        sys.stderr.write("supervisor: %r\n" % (exc,))
        if state_of(attempt) == "starting":
            move(
                attempt,
                "fail",
                json.dumps(
                    {"class": "start", "message": "the node could not start it: %s" % exc}
                ).encode(),
            )
    finally:
        os._exit(status)


def _sign(path: str, text: str) -> None:
    """In place: a rename would leave the lock on the old file."""
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _supervise(
    store: Store, attempt: Attempt, spec: dict[str, Any], path: str, passed: dict[str, str]
) -> None:
    tree = os.path.join(spec["workspace"], "tree")
    if not spec.get("project"):
        shutil.rmtree(tree, ignore_errors=True)
        os.makedirs(tree, exist_ok=True)
    make_baseline(
        tree, os.path.join(spec["workspace"], "baseline.git"), spec.get("exclude", ()), store.umask
    )
    environment = dict(
        os.environ, PATH=path, GIT_CEILING_DIRECTORIES=spec["workspace"], GUMMY_JOB=spec["job"]
    )

    def run(
        argv: list[str], stdin: int = subprocess.DEVNULL, more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv,
            cwd=tree,
            env={**environment, **(more or {})},
            stdin=stdin,
            start_new_session=True,
            umask=store.umask,
        )

    begin = launch.prepare(store, attempt, spec, path, passed, run)
    begun_at = time.time()
    begun = time.monotonic()
    deadline = begun + float(spec["timeout"])
    ended: dict[str, Any] = {"class": None, "begun_at": begun_at}
    try:
        signal.signal(signal.SIGTERM, _stop)
        move(attempt, "run", b"%f" % begun_at)
        status = _await(begin(), deadline, attempt)
        ended.update(launch.result(attempt, spec, status))
        if ended["class"] is None and spec.get("verify"):
            sys.stdout.write("\nverify: %s\n" % spec["verify"])
            sys.stdout.flush()
            status = _await(run(["/bin/sh", "-c", spec["verify"]]), deadline, attempt)
            failed = {"class": "verify", "message": "verify ended with exit status %d" % status}
            ended.update({"proof": "verify"} if status == 0 else failed)
    except subprocess.TimeoutExpired:
        ended.update({"class": "timeout", "message": "still running after %s s" % spec["timeout"]})
    except _Cancelled:
        ended.update({"class": "cancelled", "message": "cancelled"})
    except _Stopped:
        ended.update(
            {
                "class": "killed",
                "message": "the node ended its supervisor by SIGTERM: it may be shutting down",
            }
        )
    except OSError as exc:
        ended.update({"class": "agent", "message": "the agent could not be run: %s" % exc})
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ended["survivors"] = processes.end_all(attempt.id, ancestor=os.getpid())
    ended["seconds"] = round(time.monotonic() - begun, 3)
    finish(attempt, spec, ended)


class _Cancelled(Exception):
    """A controller has asked for the end."""


class _Stopped(Exception):
    """SIGTERM."""


def _stop(number: int, frame: Any) -> None:
    raise _Stopped


def _await(child: subprocess.Popen[bytes], deadline: float, attempt: Attempt) -> int:
    """The exit status; raises TimeoutExpired, _Cancelled."""
    while True:
        if attempt.has("cancel"):
            raise _Cancelled
        try:
            return child.wait(timeout=max(0.0, min(LOOK, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                raise


def finish(
    attempt: Attempt, spec: dict[str, Any], ended: dict[str, Any], event: str = "end"
) -> dict[str, Any]:
    """S6: the harvest, then the durable mark.

    A harvest that fails leaves the workspace as it is and says where.
    """
    tree = os.path.join(spec.get("workspace", ""), "tree")
    wanted = spec.get("deliver") or "patch", spec.get("artifacts") or ()
    try:
        if "workspace" not in spec:
            raise HarvestError(
                "%s is damaged: of the workspaces, the one whose holder.json names this attempt is its own"
                % attempt.path("spec.json")
            )
        ended["harvest"] = harvest.make_harvest(
            tree, os.path.join(spec["workspace"], "baseline.git"), attempt.harvest, *wanted
        )
        launch.weigh_changes(spec, ended)
    except (OSError, HarvestError) as exc:
        ended.update(
            instead={"class": ended.get("class"), "message": ended.get("message")}, harvest=None
        )
        message = "no harvest could be made (%s); the work lies in %s there; once that is mended, ansible-playbook distributed.gummy.harvest -e gummy_job=%s"
        ended.update(
            {"class": "harvest", "message": message % (exc, tree, attempt.id) + " brings it"}
        )
    ended.update(workspace=tree, base=spec.get("base"))
    with contextlib.suppress(OSError):
        os.unlink(attempt.path("reserve"))
    write_durably(os.path.join(attempt.harvest, "result.json"), json.dumps(ended).encode())
    move(attempt, event, json.dumps(ended).encode())
    return ended


def fence(store: Store, attempt: Attempt) -> dict[str, Any]:
    """The only proof that an attempt did not start: a durable tombstone (`void`); else `running` or
    `ended`.
    """
    attempt.create()
    lock = _lock(attempt)
    if lock is None:
        return {"state": "running"}
    try:
        if state_of(attempt) in ("running", "ended", "acknowledged"):
            return {"state": "ended", **(heal(attempt) or {})}
        if state_of(attempt) == "starting" and (left := processes.end_all(attempt.id)):
            raise Refusal(
                "attempt %s did not start, and of its baseline these processes do not end: %s"
                % (attempt.id, left),
                "start",
                "node",
            )
        move(attempt, "fence")
    finally:
        os.close(lock)
    release(store, attempt.id)
    return {"state": "void"}


def heal(attempt: Attempt) -> dict[str, Any] | None:
    """For whoever sees an attempt whose supervisor died; call it with the attempt's lock held.

    What lives is ended, then harvested.
    """
    if state_of(attempt) == "running" and (known := attempt.result()) is not None:
        move(attempt, "heal", json.dumps(known).encode())
    if state_of(attempt) == "running":
        os.environ[processes.MARKER] = attempt.id
        lost: dict[str, Any] = {
            "class": "lost",
            "message": "its supervisor died (it was killed, or the node went down); what the agent left is in the harvest",
            "survivors": processes.end_all(attempt.id),
        }
        finish(attempt, attempt.spec(), lost, "heal")
    return attempt.ended()


def harvest_again(attempt: Attempt) -> dict[str, Any]:
    """The harvest that could not be made when the attempt ended; how it ended stays as it was."""
    lock = _lock(attempt)
    if lock is None:
        return {"state": "running"}
    try:
        ended = attempt.ended()
        if ended is not None and ended.get("class") == "harvest":
            ended = finish(
                attempt, attempt.spec(), {**ended, **ended.get("instead", {})}, "harvest"
            )
    finally:
        os.close(lock)
    return {"state": "ended", **(ended or {})}


def cancel(store: Store, attempt: Attempt) -> dict[str, Any]:
    """Ends what runs, its whole tree, and proves that what has not begun never will.

    `running`: it is asked for, and not over yet.
    """
    attempt.create()
    attempt.mark("cancel")
    until = time.monotonic() + CANCEL_MOST
    while time.monotonic() < until:
        answer = fence(store, attempt)
        if answer["state"] != "running":
            return answer
        time.sleep(0.1)
    return {"state": "running"}
