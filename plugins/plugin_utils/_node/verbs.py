# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the node program, and its command line.

A request comes as a line of JSON on stdin, and replies go out as JSON text sequences (RFC 7464), so
that a noisy login shell can't hide a reply. wire.py says what is in them. A run asks most of its
requests in one session (session.py), which answers each as if it were a call. No verb exits with
255, which would look like ssh's own failure, and each may be asked again: it is idempotent by
attempt id.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import sys
import time

from . import claim, runs, waitlist
from .states import move, state_of
from .store import (
    TYPE_CHECKING,
    Refusal,
    Store,
    boot_id,
    is_locked,
    read_json,
    try_lock,
    try_lock_shared,
    write_whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType
    from typing import Any, Literal, TextIO, TypeVar

    from . import talk, wire
    from .store import Attempt

    T = TypeVar("T")

# The pauses of a poll between two looks, in seconds: they grow while nothing happens.
SHORTEST_PAUSE = 0.02
LONGEST_PAUSE = 0.25
# The longest pause while the run waits for a slot, in seconds.
WAITING_PAUSE = 0.05
# What the system says of a folder that isn't ours to write, and of a disk that has no room.
NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# Seconds that a login shell may take to tell its PATH for a table.
LOGIN_SECONDS = 5.0
# Bytes of a harvest that come with the word that its attempt ended.
INLINE = 32768
# Bytes of a log that go into one reply, and into all of them.
LOG_CHUNK = 65536
LOG_MOST = 16 * 1024 * 1024
# Seconds that a sync waits for another one of its project. Its client hears nothing meanwhile, and
# gives up twice as late.
MIRROR_PATIENCE = 8.0
# In the mirror's folder: in which state of the project it is, as its controller has confirmed.
MIRRORED = "mirrored.json"


# -- an attempt's way


def _claim(store: Store, request: wire.ClaimRequest) -> Iterator[wire.ClaimReply]:
    with contextlib.suppress(OSError):
        # Clean takes programs away that nobody has used for long.
        os.utime(sys.argv[0])
    if "SSH_CONNECTION" in os.environ and sys.platform == "linux":
        from . import awake

        awake.refuse_to_end_at_logout(store)
    yield claim.claim(store, request)


def _release(store: Store, request: wire.AttemptRequest) -> Iterator[wire.ReleaseReply]:
    yield claim.release(store, request["attempt"])


def _start(store: Store, request: wire.StartRequest) -> Iterator[wire.StartReply]:
    from . import supervisor

    yield supervisor.start(store, request)


def _fence(store: Store, request: wire.AttemptRequest) -> Iterator[wire.FenceReply]:
    from . import places, supervisor

    # A supervisor that died left its harvest to be made.
    places.find_for_us(store, "git")
    yield supervisor.fence(store, store.attempt(request["attempt"]))


def _harvest(store: Store, request: wire.AttemptRequest) -> Iterator[wire.HarvestReply]:
    from . import places, supervisor

    # A supervisor that died left its harvest to be made.
    places.find_for_us(store, "git")
    yield supervisor.harvest_again(store, store.attempt(request["attempt"]))


def _cancel(store: Store, request: wire.AttemptRequest) -> Iterator[wire.CancelReply]:
    from . import places, supervisor

    # A supervisor that died left its harvest to be made.
    places.find_for_us(store, "git")
    yield supervisor.cancel(store, store.attempt(request["attempt"]))


def _ack(store: Store, request: wire.AckRequest) -> Iterator[wire.AckReply]:
    """This controller has the harvest of these attempts; others of them are passed over."""
    for name in request["attempts"]:
        attempt = store.attempt(name)
        if state_of(attempt) in ("ended", "acknowledged"):
            move(attempt, "acknowledge", str(request["controller"]).encode())
    yield {"state": "acknowledged"}


def _adopt(store: Store, request: wire.AdoptRequest) -> Iterator[wire.AdoptReply]:
    """From now on this controller drives the run: claims and starts of another are refused."""
    runs.adopt(store, str(request["uid"]), str(request["run_id"]), str(request["controller"]))
    yield {"state": "adopted"}


# -- poll


def _poll(store: Store, request: wire.PollRequest) -> Iterator[wire.PollReply]:
    return _Poll(store, request).replies()


class _Poll:
    """What happens to the attempts of one run, as it happens.

    It ends with its caller. Told `+` on stdin its run waits in the waitlist until `-`, and the poll
    says when the run may claim a slot.
    """

    def __init__(self, store: Store, request: wire.PollRequest) -> None:
        self._store = store
        self._request = request
        self._run = runs.uid_of(request["prefix"])
        # Ids of attempts whose end was told.
        self._ended = set(request["told"])
        # Ids of attempts of which was told how a person can watch them.
        self._watchable = set(request.get("watchable", ()))
        # By an attempt's id: when its signs of life were written that were read last, and what was
        # told of them. At first there is nothing to tell of an agent that works.
        self._signs_read: dict[str, float] = {}
        self._signs_told: dict[str, tuple[int, str]] = {}
        # Whether what an agent says and costs is news, and what was told of that.
        self._lively = bool(request.get("lively"))
        self._lively_told: dict[str, tuple[object, ...]] = {}
        # What tells what agents print; None: nobody wants to know that.
        self._talk: talk.Talk | None = None
        if request.get("said") is not None:
            from . import talk

            self._talk = talk.Talk(request["said"])
        # Ids of attempts that were seen running.
        self._running = set[str]()
        # Whether the run waits for a slot.
        self._waits = False
        # Seconds until the next look.
        self._pause = SHORTEST_PAUSE

    def replies(self) -> Iterator[wire.PollReply]:
        yield {"state": "watching"}
        while True:
            for attempt in self._store.attempts(self._request["prefix"]):
                if attempt.id not in self._ended and state_of(attempt) not in ("new", "void"):
                    yield from self._look_at(attempt)
            if self._waits and claim.is_granted(
                self._store, self._run, int(self._request["slots"])
            ):
                self._waits = False
                yield {"state": "turn"}
            if not self._listen():
                return
            self._pause = min(self._pause * 1.2, LONGEST_PAUSE)

    def _look_at(self, attempt: Attempt) -> Iterator[wire.PollReply]:
        if is_locked(attempt.lock):
            if attempt.id not in self._running:
                # What began just now may end soon.
                self._running.add(attempt.id)
                self._pause = SHORTEST_PAUSE
            if attempt.id not in self._watchable and attempt.has("watch"):
                self._watchable.add(attempt.id)
                yield {"state": "progress", "attempt": attempt.id, "watch": attempt.read("watch")}
            yield from self._look_at_signs(attempt)
            yield from self._look_at_talk(attempt)
            return

        yield from self._look_at_talk(attempt)
        ended = attempt.ended()
        self._ended.add(attempt.id)
        self._pause = SHORTEST_PAUSE
        if ended is None:
            yield {"state": "unknown", "attempt": attempt.id}
            return
        yield {
            **ended,
            "state": "ended",
            "attempt": attempt.id,
            "files": _small_harvest(attempt),
            "store": self._store.id,
        }

    def _look_at_signs(self, attempt: Attempt) -> Iterator[wire.PollReply]:
        from . import signs

        written = attempt.written(signs.FILE)
        if not written or written == self._signs_read.get(attempt.id):
            return
        self._signs_read[attempt.id] = written
        told = signs.told(attempt)
        if told is None:
            return
        news = signs.news(told)
        is_news = news != self._signs_told.get(attempt.id, (0, ""))
        if self._lively:
            words = (told["words"], told["cost_usd"])
            is_news = is_news or words != self._lively_told.get(attempt.id, ("", None))
            self._lively_told[attempt.id] = words
        if is_news:
            self._signs_told[attempt.id] = news
            yield {"state": "signs", "attempt": attempt.id, "signs": told}

    def _look_at_talk(self, attempt: Attempt) -> Iterator[wire.PollReply]:
        if self._talk is None:
            return
        text, size = self._talk.news(attempt)
        if text:
            yield {"state": "said", "attempt": attempt.id, "text": text, "size": size}

    def _listen(self) -> bool:
        """Wait for a word of the caller, as long as the pause; False when the caller is gone."""
        import select

        pause = min(self._pause, WAITING_PAUSE) if self._waits else self._pause
        if not select.select([0], [], [], pause)[0]:
            return True
        word = os.read(0, 4096)
        if word.endswith(b"-") or (self._waits and not word):
            waitlist.leave(self._store, self._run)
        self._waits = word.endswith(b"+")
        return bool(word)


def _small_harvest(attempt: Attempt) -> dict[str, str] | None:
    """The harvest's files in base64 if they are few bytes, else None.

    So most harvests need no rsync of their own.
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


# -- what people look at


def _list(store: Store, request: wire.ListRequest) -> Iterator[wire.ListReply]:
    """All attempts of this store that began and that the request does not leave out.

    How long ago an attempt ended is asked as an age and not as a time, for two clocks may differ.
    """
    within = request.get("within")
    oldest = 0.0 if within is None else time.time() - float(within)
    for attempt in store.attempts(request.get("prefix") or ""):
        ended_at = attempt.written("ended.json")
        if ended_at and ended_at < oldest:
            continue
        spec = attempt.spec()
        if not spec or not _is_called(attempt, spec, request.get("word") or ""):
            continue
        if request.get("run_id") in (None, spec.get("run_id")):
            # What an attempt changed may be long, and is not asked for by age.
            yield _row(attempt, spec, with_harvest=within is None)
    if request.get("agents"):
        from . import agents, logins, people, places

        silent: list[str] = []
        own = request.get("own") or {}
        path = places.search_path(store, LOGIN_SECONDS, silent)
        yield {
            "state": "listed",
            "agents": logins.table(store, path, own),
            "missing": agents.missing(path, silent, own),
            "foreign": people.foreign_tasks(people.of_this_login()),
        }
    else:
        yield {"state": "listed"}


def _is_called(attempt: Attempt, spec: wire.StoredSpec, word: str) -> bool:
    """Whether the word is what people call the attempt: its job's name, or its id's beginning."""
    return attempt.id.startswith(word) or spec.get("job") == word


def _row(attempt: Attempt, spec: wire.StoredSpec, with_harvest: bool) -> wire.AttemptRow:
    state = _listed_state(attempt)
    ended = None
    ended_at = None
    if state == "ended":
        ended = attempt.ended()
        ended_at = attempt.written("ended.json")
    begun_at = attempt.written("agent")
    if ended is not None and not with_harvest:
        ended.pop("harvest", None)

    seconds = None
    if begun_at and state == "running":
        seconds = round(time.time() - begun_at, 3)
    elif ended is not None:
        seconds = ended.get("seconds")
    return {
        "attempt": attempt.id,
        "state": state,
        "acknowledged": attempt.has("acknowledged"),
        "run_id": spec.get("run_id"),
        "job": spec.get("job"),
        "digest": spec.get("digest"),
        "agent": spec.get("agent"),
        "project_path": spec.get("project_path"),
        "controller": spec.get("controller"),
        "deliver": spec.get("deliver"),
        "title": spec.get("title"),
        "ended": ended,
        "begun_at": begun_at,
        "ended_at": ended_at,
        "seconds": seconds,
        "signs": _signs(attempt) if state == "running" else None,
    }


def _signs(attempt: Attempt) -> wire.Signs | None:
    """How the agent of one that runs was a few seconds ago."""
    from . import signs

    return signs.told(attempt)


def _listed_state(attempt: Attempt) -> Literal["void", "running", "dead", "ended"]:
    """The state as people see it; `void` is also what can't have begun."""
    state = state_of(attempt)
    if state in ("starting", "running") and is_locked(attempt.lock):
        return "running"
    if state == "running":
        return "dead"
    if state in ("ended", "acknowledged"):
        return "ended"
    return "void"


def _logs(store: Store, request: wire.AttemptRequest) -> Iterator[wire.LogsReply]:
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


def _board(store: Store, request: wire.BoardRequest) -> Iterator[wire.BoardReply]:
    from . import board

    return board.board(store, request, _list(store, {"within": request["within"]}))


def _follow(store: Store, request: wire.FollowRequest) -> Iterator[wire.FollowReply]:
    from . import follow

    return follow.follow(store, request)


def _specialists(store: Store, request: wire.SpecialistsRequest) -> Iterator[wire.SpecialistsReply]:
    from . import specialists

    return specialists.specialists(store, request)


# -- clean


def _clean(store: Store, request: wire.CleanRequest) -> Iterator[wire.CleanReply]:
    from . import clean

    rows = clean.clean(
        store,
        float(request["days"]),
        float(request["most"]),
        float(request["free"]),
        bool(request["check"]),
    )
    for row in rows:
        yield {
            "state": "removed",
            "what": row["what"],
            "name": row["name"],
            "bytes": row["bytes"],
            "why": row["why"],
        }
    yield {"state": "cleaned"}


def _foresee(store: Store, request: wire.ForeseeRequest) -> Iterator[wire.ForeseeReply]:
    """What a sync would take away; nothing is changed. Raises Refusal."""
    import base64
    import zlib

    from . import mirror, places

    # What git ignores there is asked of git.
    places.find_for_us(store, "git")
    workspace = claim.foresee(store, request["key"], int(request["slots"]))
    if workspace is None:
        raise Refusal("every slot is taken: try again later", "lease", "node")
    listed = mirror.read_listed(zlib.decompress(base64.b64decode(request["listed"])))
    paths = mirror.foresee(os.path.join(workspace, "tree"), listed)
    yield {"state": "foreseen", "deleted": len(paths), "paths": paths[: mirror.SHOWN_MOST]}


def _remake(store: Store, request: wire.MirrorRequest) -> Iterator[wire.RemakeReply]:
    """Make the workspace from a mirror that is in the state of the project at home.

    So nothing has to be sent. Raises Refusal.
    """
    attempt = request["attempt"]
    generation = int(request["generation"])
    with _workspace_of(store, attempt, generation) as (row, workspace, _lock):
        folder = store.mirror(row["key"])
        digest = request["digest"]
        with _renewed(store, attempt, generation):
            made = _remake_lent(store, folder, workspace, digest) or _remake_from_mirror(
                store, folder, workspace, digest
            )
    yield made or {"state": "stale"}


def _remake_lent(store: Store, folder: str, workspace: str, digest: str) -> wire.MadeReply | None:
    """Make a workspace that has the mirror's tree, if the agent has left all of that as it was."""
    from . import lent

    lock = try_lock_shared(os.path.join(folder, "lock"))
    if lock is None:
        return None
    try:
        if not _is_mirrored(folder, digest) or not lent.is_lent(folder):
            return None
        extra = lent.beside(folder, os.path.join(workspace, "tree"))
        return None if extra is None else _make_workspace(store, folder, workspace, 0, extra)
    finally:
        os.close(lock)


def _remake_from_mirror(
    store: Store, folder: str, workspace: str, digest: str
) -> wire.MadeReply | None:
    """Make a workspace from the mirror in this folder, if that is in this state."""
    lock = _lock_in_state(folder, digest)
    if lock is None:
        return None
    try:
        return _make_workspace(store, folder, workspace, 0)
    finally:
        os.close(lock)


def _lock_in_state(folder: str, digest: str) -> int | None:
    """A shared lock of a mirror that is whole and in this state; None if there is none.

    One that is lent is taken back. Who finds that somebody does so waits for a while.
    """
    from . import lent

    path = os.path.join(folder, "lock")
    until = 0.0
    while _is_mirrored(folder, digest):
        if lent.is_lent(folder):
            until = until or time.monotonic() + MIRROR_PATIENCE
            lock = try_lock(path)
        else:
            lock = try_lock_shared(path)
        if lock is None:
            if time.monotonic() > until:
                return None
            time.sleep(0.02)
            continue
        _take_back_if_lent(folder)
        fcntl.flock(lock, fcntl.LOCK_SH)
        # A sync may have begun before we had the lock.
        if _is_mirrored(folder, digest):
            return lock
        os.close(lock)
    return None


def _is_mirrored(folder: str, digest: str) -> bool:
    from . import lent

    mirrored = read_json(os.path.join(folder, MIRRORED))
    # After a power cut files may be there without their content, and rsync finds those.
    if mirrored != {"digest": digest, "boot": boot_id()}:
        return False
    return lent.is_lent(folder) or os.path.isdir(os.path.join(folder, "tree"))


def _take_back_if_lent(folder: str) -> None:
    """Make the tree of a mirror anew that is lent; the caller has its lock."""
    from . import lent

    if lent.is_lent(folder) and not lent.take_back(folder):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, MIRRORED))


def _mirrored(store: Store, request: wire.MirrorRequest) -> Iterator[wire.MirroredReply]:
    """Note in which state a mirror is, unless another sync of it has begun."""
    row = claim.lease(store, request["attempt"], int(request["generation"]))
    folder = store.mirror(row["key"])
    lock = try_lock_shared(os.path.join(folder, "lock"))
    if lock is not None:
        try:
            last = read_json(os.path.join(folder, "sync.json")) or {}
            if last.get("attempt") == request["attempt"]:
                data = json.dumps({"digest": request["digest"], "boot": boot_id()}).encode()
                write_whole(os.path.join(folder, MIRRORED), data)
        finally:
            os.close(lock)
    yield {"state": "noted"}


# `receive`, `preview` and `send` are not here, for nobody asks them in JSON: they are the remote
# sides of rsync, which has stdin and stdout for itself. main() calls them.
REMOTE_SIDES = ("receive", "preview", "send")
VERBS: Mapping[str, Callable[[Store, Any], Iterator[Mapping[str, object]]]] = {
    "claim": _claim,
    "release": _release,
    "start": _start,
    "fence": _fence,
    "poll": _poll,
    "list": _list,
    "logs": _logs,
    "follow": _follow,
    "ack": _ack,
    "cancel": _cancel,
    "harvest": _harvest,
    "adopt": _adopt,
    "specialists": _specialists,
    "board": _board,
    "clean": _clean,
    "foresee": _foresee,
    "remake": _remake,
    "mirrored": _mirrored,
}


# -- the remote sides of rsync


def receive(store: Store, attempt: str, generation: int, words: list[str]) -> int:
    """rsync's remote side of a sync; returns an exit status.

    words: rsync's own, of which the last one becomes the tree of the project's mirror. Then the
    workspace is made from it, under its lock, and how much that changed is told on stderr. The
    attempt's lease is renewed meanwhile. Raises Refusal.
    """
    # Now, for the program may be gone from the disk when rsync has ended.
    from . import git as _git  # noqa: F401
    from . import lent as _lent  # noqa: F401
    from . import mirror as _mirror  # noqa: F401
    from . import places as _places  # noqa: F401
    from . import workspace as _workspaces  # noqa: F401

    with _workspace_of(store, attempt, generation) as (row, workspace, lock):
        # If our caller vanishes, the next start finds this group and ends it.
        if os.getpgrp() != os.getpid():
            os.setpgid(0, 0)
        group = json.dumps({"attempt": attempt, "group": os.getpgid(0)}).encode()
        write_whole(os.path.join(workspace, "sync.json"), group)
        os.set_inheritable(lock, True)

        with _renewed(store, attempt, generation):
            status = _sync(store, row["key"], workspace, group, words)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1
    return code if code < 255 else 1


def _sync(store: Store, key: str, workspace: str, group: bytes, words: list[str]) -> int:
    """rsync into the mirror, then the workspace from that; returns rsync's wait status."""
    from . import mirror as mirrors

    with _mirror_of(store, key, group) as (folder, held):
        tree = os.path.join(folder, "tree")
        is_first = not os.listdir(tree) and not os.listdir(os.path.join(workspace, "tree"))
        before = mirrors.list_state(tree)
        argv = ["rsync", *words[:-1], tree + "/"]
        if is_first:
            # Nothing is there that a file half written could spoil: no file needs a second name.
            argv.insert(argv.index("--server") + 1, "--inplace")
        status = _with_rsync(store, lambda: _run_rsync(argv))
        if status == 0:
            after = mirrors.list_state(tree)
            sent = after[0] if after and after != before else 0
            listed = mirrors.read_list_of(tree)
            if listed is not None:
                mirrors.prune(tree, listed)
            made = _lend(folder, workspace, sent) if is_first and after else None
            if made is None:
                # Others may now make their workspaces from it too.
                fcntl.flock(held, fcntl.LOCK_SH)
                made = _make_workspace(store, folder, workspace, sent)
            _reply({**made, "store": store.id}, sys.stderr)
    return status


@contextlib.contextmanager
def _workspace_of(
    store: Store, attempt: str, generation: int
) -> Iterator[tuple[claim.Lease, str, int]]:
    """(the attempt's lease, its workspace, the lock of that), while the context lasts.

    Raises Refusal.
    """
    row = claim.lease(store, attempt, generation, renew=False)
    workspace = store.workspace(row["key"], row["workspace"])
    lock = try_lock(os.path.join(workspace, "lock"), patience=5)
    if lock is None:
        raise Refusal("the workspace %s is in use" % workspace, "sync", "node")
    try:
        # Who slept before he had the lock may have lost the workspace to another.
        claim.lease(store, attempt, generation)
        yield row, workspace, lock
    finally:
        os.close(lock)


def _make_workspace(
    store: Store, folder: str, workspace: str, sent: int, extra: Sequence[bytes] | None = None
) -> wire.MadeReply:
    """Bring a workspace to the state of its project's mirror; call it with both locked.

    folder: of the mirror; sent: bytes of the list, if it came just now; extra: all that the
    workspace has beside the tree of the mirror, if it has that.
    """
    from . import mirror as mirrors
    from . import places
    from . import workspace as workspaces

    # What git ignores there is asked of git.
    places.find_for_us(store, "git")
    source = os.path.join(folder, "tree")
    tree = os.path.join(workspace, "tree")
    making = mirrors.Making(source, tree, os.path.join(folder, "none.git"))
    if extra is None:
        making.make(mirrors.read_list_of(source))
    else:
        making.take_away(extra, mirrors.read_list_of(folder))
    workspaces.tidy(tree)
    return {
        "state": "made",
        "changes": making.changes,
        "deleted": making.deleted,
        "listed": sent,
    }


def _lend(folder: str, workspace: str, sent: int) -> wire.MadeReply | None:
    """Make a mirror's tree that of an empty workspace; call it with both locked.

    folder, sent: as in _make_workspace. None: it can't be moved there.
    """
    from . import lent
    from . import workspace as workspaces

    workspaces.tidy(os.path.join(folder, "tree"))
    changes = lent.lend(folder, os.path.join(workspace, "tree"))
    if changes is None:
        return None
    return {"state": "made", "changes": changes, "deleted": 0, "listed": sent}


@contextlib.contextmanager
def _mirror_of(store: Store, key: str, group: bytes) -> Iterator[tuple[str, int]]:
    """(folder of the key's mirror, its lock), while the context lasts. Raises Refusal."""
    folder = store.mirror(key)
    os.makedirs(folder, exist_ok=True)
    lock = try_lock(os.path.join(folder, "lock"), patience=MIRROR_PATIENCE)
    if lock is None:
        _end_vanished_sync(store, folder)
        raise Refusal(
            "another sync of this project goes on at %s" % folder,
            "mirror",
            "node",
        )
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, MIRRORED))
        write_whole(os.path.join(folder, "sync.json"), group)
        # rsync holds it too, should we be killed.
        os.set_inheritable(lock, True)
        _take_back_if_lent(folder)
        os.makedirs(os.path.join(folder, "tree"), exist_ok=True)
        yield folder, lock
    finally:
        os.close(lock)


def _end_vanished_sync(store: Store, folder: str) -> None:
    """End a sync that holds a mirror, and whose attempt has no lease any more."""
    import signal

    row = read_json(os.path.join(folder, "sync.json"))
    if row is None:
        return
    with store.locked():
        is_alive = claim.Claims(store).of(str(row["attempt"])) is not None
    if not is_alive:
        with contextlib.suppress(OSError):
            os.killpg(int(row["group"]), signal.SIGKILL)


@contextlib.contextmanager
def _renewed(store: Store, attempt: str, generation: int) -> Iterator[None]:
    """Renew the attempt's lease again and again while the context lasts."""
    import signal

    def renew(number: int, frame: FrameType | None) -> None:
        claim.lease(store, attempt, generation)
        # Only now, for a slow disk must not be asked once more meanwhile.
        signal.setitimer(signal.ITIMER_REAL, claim.RENEW)

    signal.signal(signal.SIGALRM, renew)
    signal.setitimer(signal.ITIMER_REAL, claim.RENEW)
    try:
        yield
    finally:
        # Not once more at its end: the fsync would wait for all that was written.
        signal.setitimer(signal.ITIMER_REAL, 0)


def _run_rsync(argv: list[str]) -> int:
    """Run rsync; returns its wait status. Raises FileNotFoundError where PATH has none."""
    import signal

    # Python ignores these two, and rsync would too.
    defaults = (signal.SIGPIPE, signal.SIGXFSZ)
    rsync = os.posix_spawnp("rsync", argv, os.environ, setsigdef=defaults)
    return os.waitpid(rsync, 0)[1]


def _with_rsync(store: Store, act: Callable[[], T]) -> T:
    """What needs rsync; where the session's PATH has none, that of a person is looked into."""
    try:
        return act()
    except FileNotFoundError:
        from . import places

        path = os.environ["PATH"] = places.search_path(store)
    try:
        return act()
    except FileNotFoundError:
        raise Refusal(places.why_not_found(["rsync"], path), "program", "node") from None


def preview(store: Store, key: str, slots: int, words: list[str]) -> int:
    """rsync's remote side of a sync that only says what it would send.

    It looks at the workspace that a claim of this key would be given. Raises Refusal, also for an
    rsync that would change something.
    """
    letters = [word.partition(".")[0] for word in words if re.match("-[a-zA-Z]", word)]
    if not any("n" in each for each in letters):
        raise Refusal("an rsync that changes files is no preview", "input", "ours")
    workspace = claim.foresee(store, key, slots)
    if workspace is None:
        raise Refusal("every slot is taken: try again later", "lease", "node")
    argv = ["rsync", *words[:-1], os.path.join(workspace, "tree") + "/"]
    _with_rsync(store, lambda: os.execvp("rsync", argv))


def send(store: Store, attempt: str, words: list[str]) -> int:
    """rsync's remote side of a fetch; its last word becomes the attempt's harvest."""
    argv = ["rsync", *words[:-1], store.attempt(attempt).harvest + "/"]
    _with_rsync(store, lambda: os.execvp("rsync", argv))


# -- the command line


def main(words: list[str]) -> int:
    """Do what the words of the command line ask for; returns an exit status."""
    verb = words[0] if words else ""
    if verb in REMOTE_SIDES:
        # rsync has stdin and stdout for itself.
        return _guarded(lambda: _be_remote_side(verb, words[1:]), sys.stderr)
    return answer(verb, None)


def _be_remote_side(verb: str, words: list[str]) -> int:
    store = Store()
    if verb == "receive":
        return receive(store, words[0], int(words[1]), words[2:])
    if verb == "preview":
        return preview(store, words[0], int(words[1]), words[2:])
    return send(store, words[0], words[1:])


def answer(verb: str, request: Any) -> int:
    """Do what a verb is asked for and tell it on stdout; returns an exit status.

    request: as wire.py has it; None: a line of stdin is it.
    """

    def reply_to_all() -> int:
        store = Store()
        if verb not in VERBS:
            raise Refusal("the node program has no verb %r" % verb, "program", "ours")
        asked = json.loads(sys.stdin.buffer.readline()) if request is None else request
        for reply in VERBS[verb](store, asked):
            _reply({**reply, "store": store.id}, sys.stdout)
        return 0

    return _guarded(reply_to_all, sys.stdout)


def _guarded(act: Callable[[], int], stream: TextIO) -> int:
    """Act, and tell in JSON what went wrong; returns an exit status."""
    try:
        return act()
    except Refusal as exc:
        _reply(_refused(exc.kind, exc.blame, str(exc)), stream)
    except BrokenPipeError:
        return 1
    except OSError as exc:
        kind, message = _why_not_written(exc)
        _reply(_refused(kind, "node", message), stream)
        return 1
    # A reply in JSON tells the controller more than a traceback.
    except Exception as exc:  # noqa: BLE001
        _reply(_refused("program", "ours", "%s: %s" % (type(exc).__name__, exc)), stream)
        return 1
    return 0


def _why_not_written(exc: OSError) -> tuple[str, str]:
    """(class of the refusal, a sentence for a person) of what this node's system refused.

    The class is `home` where no other try helps before a person has made the state's folder ours.
    """
    path = exc.filename if isinstance(exc.filename, str) else ""
    reason = "%s: %s" % (exc.strerror, path) if exc.strerror and path else str(exc)
    if exc.errno in NOT_OURS and "/distributed-gummy" in path:
        return "home", (
            "the state of the jobs on this node can't be written (%s): the home of the login, or"
            " what XDG_STATE_HOME says there, has to be writable" % reason
        )
    if exc.errno in FULL:
        return "disk", "no room is left on this node's disk, or its quota is used up (%s)" % reason
    return "program", "this node's system refuses it: %s" % reason


def _refused(kind: str, blame: wire.Blame, message: str) -> wire.RefusedReply:
    return {"state": "refused", "class": kind, "blame": blame, "message": message}


def _reply(reply: Mapping[str, object], stream: TextIO) -> None:
    stream.write("\x1e" + json.dumps(reply) + "\n")
    stream.flush()
