# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the node program:

JSON in on stdin, JSON text sequences (RFC 7464) out, so that a noisy login shell can't hide a
reply.

No verb exits with 255 (that would look like ssh's own failure), and each may be asked again: it is
idempotent by attempt id.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time

from . import claim, runs, waitlist
from .states import move, state_of
from .store import TYPE_CHECKING, Refusal, Store, is_locked, try_lock, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from .store import Attempt

    Reply = dict[str, Any]

# Seconds after which a poll returns, events or not.
POLL = 25.0
# Bytes of a harvest that come with the word that it ended.
INLINE = 32768
LOG_CHUNK = 65536
LOG_MOST = 16 * 1024 * 1024


def _claim(store: Store, request: Reply) -> Iterator[Reply]:
    with contextlib.suppress(OSError):
        # Clean takes programs away that nobody has used for long.
        os.utime(sys.argv[0])
    yield claim.claim(store, request)


def _release(store: Store, request: Reply) -> Iterator[Reply]:
    yield claim.release(store, request["attempt"])


def _start(store: Store, request: Reply) -> Iterator[Reply]:
    from . import supervisor

    yield supervisor.start(store, request)


def _fence(store: Store, request: Reply) -> Iterator[Reply]:
    from . import supervisor

    yield supervisor.fence(store, store.attempt(request["attempt"]))


def _harvest(store: Store, request: Reply) -> Iterator[Reply]:
    from . import supervisor

    yield supervisor.harvest_again(store.attempt(request["attempt"]))


def _cancel(store: Store, request: Reply) -> Iterator[Reply]:
    from . import supervisor

    yield supervisor.cancel(store, store.attempt(request["attempt"]))


def _adopt(store: Store, request: Reply) -> Iterator[Reply]:
    """From now on this controller drives the run: claims and starts of another one are refused."""
    runs.adopt(store, str(request["uid"]), str(request["run_id"]), str(request["controller"]))
    yield {"state": "adopted"}


def _poll(store: Store, request: Reply) -> Iterator[Reply]:
    """What happens to the attempts of one run (ids with this prefix), as it happens; ends with its
    caller, or after POLL seconds.

    Told `+` on stdin it waits in the line until `-`, and says when it is the run's turn to claim a
    slot.
    """
    import select

    run = runs.uid_of(request["prefix"])
    waits = False
    told = set(request["told"])
    watchable = set(request.get("watchable", ()))
    running = set[str]()
    until = time.monotonic() + POLL
    pause = 0.02
    yield {"state": "watching"}
    while time.monotonic() < until:
        for attempt in store.attempts(request["prefix"]):
            if attempt.id not in told and state_of(attempt) not in ("new", "void"):
                if is_locked(attempt.lock):
                    # What began just now may end soon.
                    pause = pause if attempt.id in running else 0.02
                    running.add(attempt.id)
                    if attempt.id not in watchable and attempt.has("watch"):
                        watchable.add(attempt.id)
                        yield {
                            "state": "progress",
                            "attempt": attempt.id,
                            "watch": attempt.read("watch"),
                        }
                    continue
                ended = attempt.ended()
                told.add(attempt.id)
                known = (
                    {"state": "unknown"}
                    if ended is None
                    else {**ended, "state": "ended", "files": _small_harvest(attempt)}
                )
                yield {"attempt": attempt.id, **known}
                pause = 0.02
        if waits and claim.turn(store, run, int(request["slots"])):
            waits = False
            yield {"state": "turn"}
        if select.select([0], [], [], min(pause, 0.05) if waits else pause)[0]:
            word = os.read(0, 4096)
            if word.endswith(b"-") or (waits and not word):
                waitlist.leave(store, run)
            waits = word.endswith(b"+")
            if not word:
                return
        pause = min(pause * 1.2, 0.25)
    if waits:
        waitlist.go_apart(store, run)


def _small_harvest(attempt: Attempt) -> dict[str, str] | None:
    """The harvest's files in base64 if they are few bytes, so that most harvests need no rsync of
    their own; else None.
    """
    import base64

    paths = [os.path.join(attempt.harvest, name) for name in os.listdir(attempt.harvest)]
    if not all(map(os.path.isfile, paths)) or sum(map(os.path.getsize, paths)) > INLINE:
        return None
    files = {}
    for path in paths:
        with open(path, "rb") as file:
            files[os.path.basename(path)] = base64.b64encode(file.read()).decode()
    return files


def _state(attempt: Attempt) -> str:
    """void (also what can't have begun), running, dead (its supervisor died), ended."""
    state = state_of(attempt)
    if state in ("starting", "running"):
        return "running" if is_locked(attempt.lock) else "dead" if state == "running" else "void"
    return {"new": "void", "acknowledged": "ended"}.get(state, state)


def _list(store: Store, request: Reply) -> Iterator[Reply]:
    """All attempts of this store that began, with what tells them apart and how they ended.

    run_id and prefix choose among them; `within` leaves out what ended more seconds ago (an age and
    no time, for two clocks may differ), and of the others what they changed, which may be long.
    """
    within = request.get("within")
    oldest = 0.0 if within is None else time.time() - float(within)
    for attempt in store.attempts(request.get("prefix") or ""):
        if (attempt.written("ended.json") or oldest) < oldest:
            continue
        spec = attempt.spec()
        if spec and request.get("run_id") in (None, spec.get("run_id")):
            told = {
                key: spec.get(key)
                for key in (
                    "run_id",
                    "job",
                    "digest",
                    "agent",
                    "project_path",
                    "controller",
                    "deliver",
                    "title",
                )
            }
            state = _state(attempt)
            ended, ended_at = (
                (attempt.ended(), attempt.written("ended.json"))
                if state == "ended"
                else (None, None)
            )
            begun_at = attempt.written("agent")
            if ended is not None and within is not None:
                ended.pop("harvest", None)
            seconds = (
                round(time.time() - begun_at, 3)
                if begun_at and state == "running"
                else (ended or {}).get("seconds")
            )
            yield {
                "attempt": attempt.id,
                "state": state,
                "acknowledged": attempt.has("acknowledged"),
                **told,
                "ended": ended,
                "begun_at": begun_at,
                "ended_at": ended_at,
                "seconds": seconds,
            }
    yield {"state": "listed"}


def _specialists(store: Store, request: Reply) -> Iterator[Reply]:
    from . import specialists

    return specialists.specialists(store, request)


def _clean(store: Store, request: Reply) -> Iterator[Reply]:
    from . import clean

    for row in clean.clean(
        store,
        float(request["days"]),
        float(request["most"]),
        float(request["free"]),
        bool(request["check"]),
    ):
        yield {"state": "removed", **row}
    yield {"state": "cleaned"}


def _logs(store: Store, request: Reply) -> Iterator[Reply]:
    """The log's last LOG_MOST bytes, in pieces."""
    import codecs

    attempt = store.attempt(request["attempt"])
    # A character may lie across two pieces.
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    with open(attempt.log, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - LOG_MOST))
        while chunk := file.read(LOG_CHUNK):
            yield {"state": "log", "text": decoder.decode(chunk)}
    yield {"state": "read", "size": size}


def _ack(store: Store, request: Reply) -> Iterator[Reply]:
    """S7: this controller has the harvest of these attempts."""
    for name in request["attempts"]:
        attempt = store.attempt(name)
        if state_of(attempt) in ("ended", "acknowledged"):
            move(attempt, "acknowledge", str(request["controller"]).encode())
    yield {"state": "acknowledged"}


VERBS: Mapping[str, Callable[[Store, Reply], Iterator[Reply]]] = {
    "claim": _claim,
    "release": _release,
    "start": _start,
    "fence": _fence,
    "poll": _poll,
    "list": _list,
    "logs": _logs,
    "ack": _ack,
    "cancel": _cancel,
    "harvest": _harvest,
    "adopt": _adopt,
    "specialists": _specialists,
    "clean": _clean,
}


def receive(store: Store, attempt: str, generation: int, words: list[str]) -> int:
    """S2: rsync's remote side, under the workspace's lock and lease; its last word becomes the
    workspace's tree.
    """
    import signal

    from . import workspace as workspaces

    row = claim.lease(store, attempt, generation, renew=False)
    workspace = store.workspace(row["key"], row["workspace"])
    lock = try_lock(os.path.join(workspace, "lock"), patience=5)
    if lock is None:
        raise Refusal("the workspace %s is in use" % workspace, "sync", "node")
    # Who slept before he had the lock may have lost the workspace to another.
    claim.lease(store, attempt, generation)
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    write_whole(
        os.path.join(workspace, "sync.json"),
        json.dumps({"attempt": attempt, "group": os.getpgid(0)}).encode(),
    )
    os.set_inheritable(lock, True)
    argv = ["rsync", *words[:-1], os.path.join(workspace, "tree")]
    # Python ignores them.
    rsync = os.posix_spawnp("rsync", argv, os.environ, setsigdef=(signal.SIGPIPE, signal.SIGXFSZ))
    # While it works; not at its end: the fsync would wait for all that rsync wrote.
    signal.signal(signal.SIGALRM, lambda number, frame: claim.lease(store, attempt, generation))
    signal.setitimer(signal.ITIMER_REAL, claim.RENEW, claim.RENEW)
    status = os.waitpid(rsync, 0)[1]
    signal.setitimer(signal.ITIMER_REAL, 0)
    workspaces.tidy(os.path.join(workspace, "tree"))
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1
    return code if code < 255 else 1


def send(store: Store, attempt: str, words: list[str]) -> int:
    """rsync's remote side of S7; its last word becomes the attempt's harvest."""
    os.execvp("rsync", ["rsync", *words[:-1], store.attempt(attempt).harvest + "/"])


def _say(reply: Reply, stream: Any = sys.stdout) -> None:
    stream.write("\x1e" + json.dumps(reply) + "\n")
    stream.flush()


def main(words: list[str]) -> int:
    verb = words[0] if words else ""
    stream = sys.stderr if verb in ("receive", "send") else sys.stdout
    try:
        store = Store()
        if verb == "receive":
            return receive(store, words[1], int(words[2]), words[3:])
        if verb == "send":
            return send(store, words[1], words[2:])
        if verb not in VERBS:
            raise Refusal("the node program has no verb %r" % verb, "program", "ours")
        request = json.loads(sys.stdin.buffer.readline())
        for reply in VERBS[verb](store, request):
            _say({**reply, "store": store.id})
    except Refusal as exc:
        _say(
            {"state": "refused", "class": exc.kind, "blame": exc.blame, "message": str(exc)}, stream
        )
    except BrokenPipeError:
        return 1
    # A reply in JSON tells the controller more than a traceback.
    except Exception as exc:  # noqa: BLE001
        message = "%s: %s" % (type(exc).__name__, exc)
        _say(
            {
                "state": "refused",
                "class": "program",
                "blame": "node" if isinstance(exc, OSError) else "ours",
                "message": message,
            },
            stream,
        )
        return 1
    return 0
