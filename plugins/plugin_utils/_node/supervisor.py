# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor: starts an attempt's agent at most once, watches it, and makes its harvest.

`start` forks it, and it lives as long as the agent, without its caller. How the attempt ended is
durable before anybody hears of it. If the supervisor dies, whoever looks at the attempt next does
its work (`heal`).
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

from . import (
    agents,
    awake,
    harvest,
    identity,
    launch,
    logins,
    places,
    processes,
    runs,
    setup,
    signature,
    signs,
)
from .baseline import make_baseline
from .claim import Claims, refuse_known, release
from .durations import spoken
from .flow import Flow
from .git import HarvestError
from .states import move, state_of
from .store import TYPE_CHECKING, Attempt, Refusal, Store, read_json, try_lock, write_durably

if TYPE_CHECKING:
    from types import FrameType

    from . import wire
    from .row import Reader, Said

# The newest schema of a job's spec that this program knows; older ones are still harvested.
SPEC = 1
# Seconds between two looks whether somebody cancels.
LOOK = 0.25
# Seconds that a cancel waits: for TERM, KILL and the harvest.
CANCEL_MOST = 25.0
# Bytes that stay ours on a disk that an agent fills, for the word how it ended.
RESERVE = 65536
# Seconds that a start waits for a lock which an ended sync still holds.
PATIENCE = 5.0
# Seconds that a verb waits for another start of its attempt, which may still be refused.
START_PATIENCE = 30.0


# -- start


def start(store: Store, request: wire.StartRequest) -> wire.StartReply:
    """Start the attempt's agent, or say what is known of the attempt already.

    Raises Refusal, which changes nothing.
    """
    attempt = store.attempt(request["attempt"])
    spec = request["spec"]
    _refuse_newer_schema(spec)
    attempt.create()
    # A login shell may be slow, so it is asked before anything is locked.
    silent: list[str] = []
    path = ""
    if state_of(attempt) == "new":
        path = places.search_path(store, silent=silent)
    lock = _lock(attempt)
    if lock is None:
        return {"state": "running"}
    if state_of(attempt) not in ("new", "void"):
        os.close(lock)
        return fence(store, attempt)

    refuse_known(attempt)
    runs.check(store, attempt.id, str(spec.get("controller")))
    passed = launch.passed_values(request)
    own = spec.get("own")
    reason = agents.unusable(spec["agent"], path, spec.get("settings"), silent, own)
    if reason is None and shutil.which("git", path=path) is None:
        reason = places.why_not_found(["git"], path, silent)
    if reason:
        raise Refusal(reason, "agent", "node")
    # The git of the baseline and of the harvest is the agent's.
    os.environ["PATH"] = path
    reason = agents.of_job(spec).refusal(spec)
    if reason:
        raise Refusal(reason, "input", "input")
    reason = logins.reason(store, spec, path, passed)
    if reason:
        raise Refusal(reason, "login", "node")

    stored = _occupy(store, attempt, int(request["generation"]), spec)
    attempt.mark("spec.json", json.dumps(stored).encode())
    move(attempt, "start")
    # Who took the run over meanwhile sees this attempt, or is seen here.
    runs.check(store, attempt.id, str(spec.get("controller")))
    holder = json.dumps({"attempt": attempt.id}).encode()
    write_durably(os.path.join(stored["workspace"], "holder.json"), holder)
    attempt.mark("reserve", os.urandom(RESERVE))

    if os.fork() == 0:
        # It keeps the lock open, so that the lock lives as long as the supervisor.
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        _run_detached(store, attempt, stored, path, passed, request.get("key", ""))
    return {"state": "started", "workspace": stored["workspace"]}


def _refuse_newer_schema(spec: wire.JobSpec) -> None:
    if spec.get("schema", SPEC) > SPEC:
        raise Refusal(
            "the job has schema %s, this program knows %d: update the collection"
            % (spec["schema"], SPEC),
            "schema",
            "input",
        )


def _lock(attempt: Attempt) -> int | None:
    """The attempt's lock, or None when its supervisor has it.

    Another start that holds it is waited for: it may still refuse.
    """
    until = time.monotonic() + START_PATIENCE
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


def _occupy(store: Store, attempt: Attempt, generation: int, spec: wire.JobSpec) -> wire.StoredSpec:
    """Turn the lease into locks that live as long as the supervisor.

    The locks' descriptors stay open on purpose. Returns the spec with what the lease was. Raises
    Refusal.
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

    return {**spec, "workspace": workspace, "slot": row["slot"], "generation": generation}


def _end_stale_sync(workspace: str) -> None:
    """End an rsync whose client vanished: it would keep the workspace's lock for minutes.

    It has written its process group down.
    """
    row = read_json(os.path.join(workspace, "sync.json"))
    lock = try_lock(os.path.join(workspace, "lock"), patience=0.5)
    if lock is not None:
        os.close(lock)
    elif row is not None:
        with contextlib.suppress(OSError):
            os.killpg(int(row["group"]), signal.SIGKILL)


# -- the supervisor's own process


def _run_detached(
    store: Store,
    attempt: Attempt,
    spec: wire.StoredSpec,
    path: str,
    passed: dict[str, str],
    key: str,
) -> None:
    """The forked side, which never returns. Nothing of the caller's session stays open.

    key: what the end is signed with; blank: it is not signed.
    """
    status = 1
    try:
        _leave_session(attempt)
        # Clean leaves a program alone that still runs.
        program = os.open(sys.argv[0], os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(program, fcntl.LOCK_SH)
        processes.become_subreaper()
        # A git of ours that outlives us is found as the agent is.
        os.environ[processes.MARKER] = attempt.id
        # The probe counts the slots whose process lives.
        _write_in_place(store.slot(spec["slot"]), "%d\n" % os.getpid())
        ended = _supervise(store, attempt, spec, path, passed)
        if key:
            ended["signature"] = signature.sign(key, attempt.id, ended)
        # An agent that did not begin has not ended either.
        finish(attempt, spec, ended, "end" if state_of(attempt) == "running" else "fail")
        _write_in_place(store.slot(spec["slot"]), "")
        status = 0
    # Nobody else can say what happened.
    except BaseException as exc:  # noqa: BLE001
        sys.stderr.write("supervisor: %r\n" % (exc,))
        if state_of(attempt) == "starting":
            message = "the node could not start it: %s" % exc
            move(attempt, "fail", json.dumps({"class": "start", "message": message}).encode())
    finally:
        os._exit(status)


def _leave_session(attempt: Attempt) -> None:
    """Become the leader of a session without a terminal, whose output is the attempt's log."""
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(attempt.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, target)


def _write_in_place(path: str, text: str) -> None:
    """Write in place: a rename would leave the lock on the old file."""
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _supervise(
    store: Store, attempt: Attempt, spec: wire.StoredSpec, path: str, passed: dict[str, str]
) -> wire.EndedRecord:
    """Make the baseline and run the agent; returns how that ended."""
    workspace = spec["workspace"]
    tree = os.path.join(workspace, "tree")
    if not spec.get("project"):
        shutil.rmtree(tree, ignore_errors=True)
        os.makedirs(tree, exist_ok=True)
    run = _runner(spec, tree, path, store.umask, passed)
    stays_awake = awake.Awake()
    if spec.get("setup"):
        failed = _set_up(store, attempt, spec, run, passed=passed, stays_awake=stays_awake)
        if failed is not None:
            return failed
    else:
        _make_baseline(store, spec)

    prepared = launch.prepare(store, attempt, spec, path=path, passed=passed, run=run)
    ended = _watch(attempt, spec, prepared, run, stays_awake)
    logins.learn(store, spec, path, ended)
    return ended


def _make_baseline(store: Store, spec: wire.StoredSpec, home: str | None = None) -> str:
    """The baseline's git tree. home: that of what came from home, if setup may have changed it."""
    workspace = spec["workspace"]
    git_dir = os.path.join(workspace, "baseline.git")
    tree = os.path.join(workspace, "tree")
    base = make_baseline(tree, git_dir, spec.get("exclude", ()), store.umask)
    setup.keep_home(tree, git_dir, home)
    return base


def _set_up(
    store: Store,
    attempt: Attempt,
    spec: wire.StoredSpec,
    run: launch.Run,
    *,
    passed: Mapping[str, str],
    stays_awake: awake.Awake,
) -> wire.EndedRecord | None:
    """Run the job's setup, where it is needed, and make the baseline after it.

    What it leaves running goes on until the agent has ended, and so the node stays awake from now
    on. Returns how the attempt ended, if that is by this; the agent has not begun then.
    """
    workspace = spec["workspace"]
    command = str(spec["setup"])
    patterns = spec.get("setup_if") or ()
    wanted = setup.fingerprint(os.path.join(workspace, "tree"), command, patterns)
    if patterns and setup.is_done(workspace, wanted):
        sys.stdout.write("setup: skipped, for nothing that it depends on has changed\n")
        sys.stdout.flush()
        _make_baseline(store, spec)
        return None

    home = _make_baseline(store, spec)
    setup.note(workspace, None)
    stays_awake.begin()
    failure = _run_setup(attempt, spec, run, passed=passed, stays_awake=stays_awake)
    if failure is None:
        setup.note(workspace, wanted)
    else:
        stays_awake.end()
        # No agent changes anything any more.
        failure["survivors"] = processes.end_all(attempt.id, ancestor=os.getpid())
    _make_baseline(store, spec, home)
    return failure


def _run_setup(
    attempt: Attempt,
    spec: wire.StoredSpec,
    run: launch.Run,
    *,
    passed: Mapping[str, str],
    stays_awake: awake.Awake,
) -> wire.EndedRecord | None:
    """Run it, with its own log; returns how the attempt ended, if that is by this."""
    seconds = float(spec.get("setup_timeout") or setup.TIMEOUT)
    reader = agents.of_job(spec).reader()
    watch = _Watch(attempt, spec, reader, time.monotonic() + seconds, stays_awake)
    path = os.path.join(attempt.harvest, setup.LOG)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    failure = "setup"
    try:
        status = watch.until_end(
            run(["/bin/sh", "-c", str(spec["setup"])], more=passed, output=log)
        )
        if status == 0:
            return None
        message = "setup ended with exit status %d" % (status or 0)
    except subprocess.TimeoutExpired:
        message = "setup was still running after %s" % spoken(seconds)
    except _Stalled as exc:
        message = "setup showed no sign of life for %s" % spoken(exc.args[0])
    except _Cancelled:
        failure = "cancelled"
        message = "cancelled"
    except OSError as exc:
        message = "setup could not be run: %s" % exc
    finally:
        os.close(log)
    if failure == "setup":
        message += "; its log is %s in the job's folder" % setup.LOG
    return {"class": failure, "message": message}


def _runner(
    spec: wire.StoredSpec, tree: str, path: str, umask: int, passed: Mapping[str, str]
) -> launch.Run:
    """What starts a program in the tree. passed: what the user passes on in the environment."""
    environment = dict(
        os.environ, PATH=path, GIT_CEILING_DIRECTORIES=spec["workspace"], GUMMY_JOB=spec["job"]
    )
    # Some programs believe this variable, and not where they are.
    environment["PWD"] = tree
    environment.update(identity.neutral_identity(tree, {**environment, **passed}))

    def run(
        argv: list[str],
        stdin: int = subprocess.DEVNULL,
        more: Mapping[str, str] | None = None,
        *,
        piped: bool = False,
        output: int | None = None,
    ) -> subprocess.Popen[bytes]:
        if piped:
            output = subprocess.PIPE
        return subprocess.Popen(
            argv,
            cwd=tree,
            env={**environment, **(more or {})},
            stdin=stdin,
            stdout=output,
            stderr=output,
            start_new_session=True,
            umask=umask,
        )

    return run


class _Cancelled(Exception):
    """A controller has asked for the end."""


class _Stopped(Exception):
    """The node has sent us SIGTERM."""


class _Stalled(Exception):
    """There is no sign of life. Its argument is for how many seconds."""


class _Waited(Exception):
    """It has waited for its service for too long. Its argument is for how many seconds."""


class _OverBudget(Exception):
    """It has cost what it may cost. Its argument is how many dollars that is."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stopped


def _watch(
    attempt: Attempt,
    spec: wire.StoredSpec,
    prepared: launch.Prepared,
    run: launch.Run,
    stays_awake: awake.Awake,
) -> wire.EndedRecord:
    """Run the agent and then `verify`, and end what they leave; returns how it ended."""
    begun_at = time.time()
    begun = time.monotonic()
    deadline = begun + float(spec["timeout"])
    reader = prepared.reader
    watch = _Watch(attempt, spec, reader, deadline, stays_awake)
    ended: wire.EndedRecord = {"class": None, "message": "", "begun_at": begun_at}
    try:
        signal.signal(signal.SIGTERM, _stop)
        move(attempt, "run", b"%f" % begun_at)
        stays_awake.begin()
        child = prepared.begin()
        flow = Flow(child, reader) if child.stdout else None
        status = watch.until_end(child, flow)
        if status is None:
            # It would go on changing files.
            processes.end_all(attempt.id, ancestor=os.getpid())
        ended.update(launch.result(attempt, spec, reader, status))
        if ended["class"] is None and spec.get("verify"):
            sys.stdout.write("\nverify: %s\n" % spec["verify"])
            sys.stdout.flush()
            status = watch.until_end(run(["/bin/sh", "-c", str(spec["verify"])]))
            if status == 0:
                ended["proof"] = "verify"
            else:
                _fail(ended, "verify", "verify ended with exit status %d" % (status or 0))
    except subprocess.TimeoutExpired:
        _fail(ended, "timeout", "still running after %s" % spoken(spec["timeout"]))
    except _Cancelled:
        _fail(ended, "cancelled", "cancelled")
    except _Stalled as exc:
        message = "no sign of life for %s: no CPU, no new process, no output" % spoken(exc.args[0])
        waits = launch.told(attempt, spec, reader).get("waits")
        _fail(ended, "stalled", "; ".join(filter(None, (message, waits))))
    except _Waited as exc:
        ended.update(launch.waited(reader, exc.args[0]))
    except _OverBudget as exc:
        message = "it has cost $%.4g by now, and may cost $%.4g (budget_usd): it was ended"
        _fail(ended, "budget", message % (exc.args[0], spec["budget_usd"]))
    except _Stopped:
        _fail(
            ended,
            "killed",
            "the node ended its supervisor by SIGTERM: it may be shutting down",
        )
    except OSError as exc:
        _fail(ended, "agent", "the agent could not be run: %s" % exc)

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stays_awake.end()
    ended["survivors"] = processes.end_all(attempt.id, ancestor=os.getpid())
    launch.keep_what_was_told(ended, launch.told(attempt, spec, reader))
    ended["seconds"] = round(time.monotonic() - begun, 3)
    return ended


def _fail(ended: wire.EndedRecord, failure: str, message: str) -> None:
    ended["class"] = failure
    ended["message"] = message


class _Watch:
    """Waits for the ends of what an attempt runs, and looks meanwhile how it is."""

    def __init__(
        self,
        attempt: Attempt,
        spec: wire.StoredSpec,
        reader: Reader,
        deadline: float,
        stays_awake: awake.Awake,
    ) -> None:
        self._awake = stays_awake
        self._attempt = attempt
        self._spec = spec
        self._reader = reader
        self._deadline = deadline
        agent = agents.of_job(spec)
        self._stall = spec.get("stall") or agent.stall
        self._wait_most = agent.wait_most
        # Since when it has said that it waits for its service; None: it does not.
        self._waits_since: float | None = None
        self._signs: signs.Signs | None = None
        self._told: tuple[object, ...] = ()

    def until_end(self, child: subprocess.Popen[bytes], flow: Flow | None = None) -> int | None:
        """The exit status, None if it goes on after its result.

        flow: its streams, where they are read. Raises TimeoutExpired, _Cancelled, _Stalled, _Waited
        and _OverBudget.
        """
        while True:
            if self._attempt.has("cancel"):
                raise _Cancelled
            left = max(0.0, min(LOOK, self._deadline - time.monotonic()))
            status = _wait(child, left, flow)
            if status is not None:
                if flow is not None:
                    flow.finish()
                return status

            is_late = time.monotonic() >= self._deadline
            if flow is not None and flow.is_done(is_late=is_late):
                return None
            if is_late:
                raise subprocess.TimeoutExpired(child.args, float("inf"))
            self._look()

    def _look(self) -> None:
        """Tell how it is, and end it if it shows no sign of life."""
        now = time.monotonic()
        if self._signs is None:
            self._signs = signs.Signs(self._sample, now)
        if not self._signs.look(now):
            return
        quiet = self._signs.quiet_for(now)
        said = launch.told(self._attempt, self._spec, self._reader)
        if not said.get("words"):
            # It prints no events: its last line says what it does.
            said["words"] = signs.last_words(self._attempt)
        # What has not changed costs the disk nothing, and who is quiet is so for some time.
        granted = self._awake.look()
        news = (quiet // 15, granted, *said.items())
        if news != self._told:
            self._told = news
            signs.tell(self._attempt, quiet, said, granted)
        if self._stall and quiet >= self._stall:
            raise _Stalled(quiet)
        budget = self._spec.get("budget_usd")
        cost = said.get("cost_usd")
        # What has told its result costs no more.
        if budget is not None and (cost or 0.0) > budget and not said.get("finished"):
            raise _OverBudget(cost)
        self._look_how_long_it_waits(now, bool(said.get("waits")))

    def _look_how_long_it_waits(self, now: float, waits: bool) -> None:
        """An agent may say for ever that it waits, which is a sign of life each time."""
        if not waits:
            self._waits_since = None
        elif self._waits_since is None:
            self._waits_since = now
        elif self._wait_most is not None and now >= self._waits_since + self._wait_most:
            raise _Waited(now - self._waits_since)

    def _sample(self) -> signs.Sample:
        return signs.sample_of(self._attempt, os.getpid())


def _wait(child: subprocess.Popen[bytes], seconds: float, flow: Flow | None) -> int | None:
    """Wait so long at most for the child; its exit status, None if it runs."""
    if flow is not None and flow.is_open:
        flow.pass_on(seconds)
        return child.poll()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=seconds)
    return child.returncode


# -- the end


def finish(
    attempt: Attempt, spec: wire.StoredSpec | None, ended: wire.EndedRecord, event: str = "end"
) -> wire.EndedRecord:
    """Make the harvest, then the durable mark that the attempt has ended; returns how it ended.

    A harvest that fails leaves the workspace as it is and says where. event: of states.py.
    """
    tree = "tree"
    base = None
    if spec is not None:
        tree = os.path.join(spec.get("workspace", ""), "tree")
        base = spec.get("base")
    try:
        record = _make_harvest(attempt, spec)
        ended["harvest"] = record
        if spec is not None:
            launch.weigh_changes(spec, ended, record)
    except (OSError, HarvestError) as exc:
        ended["instead"] = {"class": ended.get("class"), "message": ended.get("message")}
        ended["harvest"] = None
        message = (
            "no harvest could be made (%s); the work lies in %s there; once that is mended,"
            " ansible-playbook distributed.gummy.harvest -e gummy_job=%s brings it"
        )
        _fail(ended, "harvest", message % (exc, tree, attempt.id))
    ended["workspace"] = tree
    ended["base"] = base

    # Now there is room for the two marks, also on a disk that the agent has filled.
    with contextlib.suppress(OSError):
        os.unlink(attempt.path("reserve"))
    data = json.dumps(ended).encode()
    write_durably(os.path.join(attempt.harvest, "result.json"), data)
    move(attempt, event, data)
    return ended


def _make_harvest(attempt: Attempt, spec: wire.StoredSpec | None) -> wire.HarvestRecord:
    if spec is None or "workspace" not in spec:
        raise HarvestError(
            "%s is damaged: of the workspaces, the one whose holder.json names this attempt"
            " is its own" % attempt.path("spec.json")
        )
    launch.remove_leavings(spec, os.path.join(spec["workspace"], "tree"))
    return harvest.make_harvest(
        os.path.join(spec["workspace"], "tree"),
        os.path.join(spec["workspace"], "baseline.git"),
        attempt.harvest,
        spec.get("deliver") or "patch",
        spec.get("artifacts") or (),
    )


def heal(attempt: Attempt) -> wire.EndedRecord | None:
    """Do what a supervisor that died left undone; call it with the attempt's lock held.

    What lives of the agent is ended, then harvested. Returns how the attempt ended, None if it has
    not begun.
    """
    if state_of(attempt) == "running":
        # The supervisor may have died between the harvest and the mark.
        result = attempt.result()
        if result is not None:
            move(attempt, "heal", json.dumps(result).encode())
    if state_of(attempt) == "running":
        os.environ[processes.MARKER] = attempt.id
        lost: wire.EndedRecord = {
            "class": "lost",
            "message": (
                "its supervisor died (it was killed, or the node went down);"
                " what the agent left is in the harvest"
            ),
            "survivors": processes.end_all(attempt.id),
        }
        # What its supervisor had told until then.
        told: Said | None = read_json(attempt.path(signs.FILE))
        launch.keep_what_was_told(lost, told or {})
        finish(attempt, attempt.spec(), lost, "heal")
    return attempt.ended()


# -- the verbs fence, harvest and cancel


def fence(store: Store, attempt: Attempt) -> wire.FenceReply:
    """Prove that an attempt did not start and never will, by a durable tombstone (`void`).

    If it did start, say so: `running` or `ended`. Raises Refusal.
    """
    attempt.create()
    lock = _lock(attempt)
    if lock is None:
        return {"state": "running"}
    try:
        if state_of(attempt) in ("running", "ended", "acknowledged"):
            return _ended(store, heal(attempt))
        if state_of(attempt) == "starting":
            _end_baseline(attempt)
        move(attempt, "fence")
    finally:
        os.close(lock)
    release(store, attempt.id)
    return {"state": "void"}


def _end_baseline(attempt: Attempt) -> None:
    """A supervisor that died before its agent began may have left a git at work."""
    left = processes.end_all(attempt.id)
    if left:
        raise Refusal(
            "attempt %s did not start, and of its baseline these processes do not end: %s"
            % (attempt.id, left),
            "start",
            "node",
        )


def _ended(store: Store, ended: wire.EndedRecord | None) -> wire.EndedReply:
    """The reply that the attempt has ended, like this; one that has not has no more to tell."""
    if ended is None:
        return {"state": "ended"}  # type: ignore[typeddict-item]
    return {**ended, "state": "ended", "store": store.id}


def harvest_again(store: Store, attempt: Attempt) -> wire.HarvestReply:
    """Make the harvest that could not be made when the attempt ended.

    How it ended stays as it was. Raises Refusal.
    """
    lock = _lock(attempt)
    if lock is None:
        return {"state": "running"}
    try:
        ended = attempt.ended()
        if ended is not None and ended.get("class") == "harvest":
            instead = ended.get("instead")
            if instead is not None:
                ended["class"] = instead["class"]
                ended["message"] = instead["message"]
            ended = finish(attempt, attempt.spec(), ended, "harvest")
    finally:
        os.close(lock)
    return _ended(store, ended)


def cancel(store: Store, attempt: Attempt) -> wire.CancelReply:
    """End what runs, its whole tree, and prove that what has not begun never will.

    `running` says that it is asked for, and not over yet. Raises Refusal.
    """
    attempt.create()
    attempt.mark("cancel")
    until = time.monotonic() + CANCEL_MOST
    while time.monotonic() < until:
        reply = fence(store, attempt)
        if reply["state"] != "running":
            return reply
        time.sleep(0.1)
    return {"state": "running"}
