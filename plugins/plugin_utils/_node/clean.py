# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes away what is old from a store.

It leaves alone what runs, what no controller has acknowledged, and a program in use. What goes is
renamed first, to a name that nobody else looks at. Workspaces make the next sync quick, so they go
only when the disk is needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import sys
import time
from collections.abc import Collection, Iterator

from .claim import Claims, harvested
from .states import MARKS, state_of
from .store import OWNER, TYPE_CHECKING, Attempt, Store, is_locked, try_lock

if TYPE_CHECKING:
    from . import wire

# The seconds of a day.
DAY = 86400.0
# Seconds that an acknowledged attempt stays, whatever its size: its controller may still write down
# that it has it.
RECENT = 3600.0
PROGRAM = re.compile(r"[0-9a-f]{64}\.zip")
# How the names of what is going away begin.
GONE = ".gone-"


def clean(
    store: Store, days: float, most: float, free: float, check: bool
) -> Iterator[wire.CleanRow]:
    """Take away what is old and too much, or with `check` only say what would go.

    days: the age from which on it is old; most: bytes that all attempts may have; free: bytes that
    should be free on the disk.
    """
    oldest = time.time() - days * DAY
    for folder in ("attempts", "workspaces"):
        _remove_leftovers(os.path.join(store.root, folder), check)
    for key in _keys(store):
        _remove_leftovers(store.short_folder(key), check)
    gone = list(_attempts(store, oldest, most, check))
    yield from gone
    _runs(store, oldest, {row["name"] for row in gone}, check)
    yield from _programs(oldest, check)
    # A check frees nothing, so it has to count what it would free.
    expected = sum(row["bytes"] for row in gone) if check else 0
    yield from _workspaces(store, free, expected, check)


# -- attempts and their runs


def _attempts(store: Store, oldest: float, most: float, check: bool) -> Iterator[wire.CleanRow]:
    """The oldest first, so that what is too much goes as well."""
    sizes = {attempt.id: size_of(attempt.folder) for attempt in store.attempts()}
    total = sum(sizes.values())
    recent = time.time() - RECENT
    for since, attempt in _over(store):
        if since < oldest:
            why = "old"
        elif total > most and since < recent:
            why = "more than is kept"
        else:
            continue
        if check or _remove_attempt(attempt):
            size = sizes.get(attempt.id, 0)
            total -= size
            yield {"what": "attempt", "name": attempt.id, "bytes": size, "why": why}


def _over(store: Store) -> list[tuple[float, Attempt]]:
    """The attempts for which nothing is left to do, since when; the oldest first."""
    rows = []
    for attempt in store.attempts():
        since = _over_since(attempt)
        if since is not None:
            rows.append((since, attempt))
    return sorted(rows, key=lambda row: (row[0], row[1].id))


def _over_since(attempt: Attempt) -> float | None:
    """When nothing was left to do for it: acknowledged, or proven never to start.

    None: it may run, or have something that nobody fetched.
    """
    state = state_of(attempt)
    if state not in ("acknowledged", "void"):
        return None
    ended = attempt.ended()
    if state == "acknowledged" and ended is not None and ended.get("class") == "harvest":
        return None
    return attempt.written(MARKS[state])


def _remove_attempt(attempt: Attempt) -> bool:
    lock = try_lock(attempt.lock)
    if lock is None:
        return False
    try:
        return _over_since(attempt) is not None and _remove(attempt.folder)
    finally:
        os.close(lock)


def _runs(store: Store, oldest: float, gone: Collection[str], check: bool) -> None:
    """Forget who drives a run of which nothing is left."""
    folder = os.path.join(store.root, "runs")
    left = {attempt.id for attempt in store.attempts()} - set(gone)
    uids = {name.rpartition("-")[0] for name in left}
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.endswith(".json") and name[: -len(".json")] not in uids and not check:
            with contextlib.suppress(OSError):
                if os.stat(path).st_mtime < oldest:
                    os.unlink(path)


# -- programs


def _programs(oldest: float, check: bool) -> Iterator[wire.CleanRow]:
    """Programs that no supervisor holds, and no controller has used."""
    own = os.path.realpath(sys.argv[0])
    for name in sorted(os.listdir(os.path.dirname(own))):
        path = os.path.join(os.path.dirname(own), name)
        if not PROGRAM.fullmatch(name) or path == own or os.stat(path).st_mtime >= oldest:
            continue
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            size = os.fstat(file.fileno()).st_size
            if not check:
                os.unlink(path)
        yield {"what": "program", "name": name, "bytes": size, "why": "old"}


# -- workspaces


def _workspaces(store: Store, free: float, expected: int, check: bool) -> Iterator[wire.CleanRow]:
    """The longest unused first, until enough of the disk is free.

    expected: bytes that would be free besides, if this were no check.
    """
    for _with_memory, _used, key, number in sorted(_by_use(store)):
        if _free(store) + expected >= free:
            return
        size = size_of(store.workspace(key, number))
        if _is_last(store, key, number):
            size += size_of(store.mirror(key))
        if _may_go(store, key, number, check):
            if check:
                expected += size
            yield {
                "what": "workspace",
                "name": "%s/%d" % (key, number),
                "bytes": size,
                "why": "the disk is needed",
            }


def _by_use(store: Store) -> Iterator[tuple[bool, float, str, int]]:
    """(whether it has a specialist's memory, when it was used, key, number) of each workspace.

    So those with a specialist's memory are the last ones in the order.
    """
    for key in _keys(store):
        for number in _numbers(store, key):
            path = store.workspace(key, number)
            signs = (path, os.path.join(path, "holder.json"), os.path.join(path, "sync.json"))
            used = max(
                (os.stat(sign).st_mtime for sign in signs if os.path.exists(sign)), default=0.0
            )
            memory = os.path.join(path, "tree", ".gummy", "specialists")
            yield os.path.isdir(memory), used, key, number


def _keys(store: Store) -> list[str]:
    names = os.listdir(os.path.join(store.root, "workspaces"))
    return [name for name in names if not name.startswith(GONE)]


def _numbers(store: Store, key: str) -> list[int]:
    folder = os.path.join(store.root, "workspaces", key)
    return [int(name) for name in os.listdir(folder) if name.isdigit()]


def _is_last(store: Store, key: str, number: int) -> bool:
    """Whether the key has no other workspace: then nobody needs its mirror."""
    return _numbers(store, key) == [number]


def _free(store: Store) -> int:
    """Bytes that are free on the disk."""
    disk = os.statvfs(store.root)
    return disk.f_bavail * disk.f_frsize


def _may_go(store: Store, key: str, number: int, check: bool) -> bool:
    """Whether nobody has or is about to have this workspace.

    Then it is gone, unless this is a check.
    """
    path = store.workspace(key, number)
    with store.locked():
        claimed = any((row["key"], row["workspace"]) == (key, number) for row in Claims(store).rows)
        if claimed or not harvested(store, path):
            return False
        if check:
            return not is_locked(os.path.join(path, "lock"))
        lock = try_lock(os.path.join(path, "lock"))
        if lock is None:
            return False
        mirror = store.mirror(key) if _is_last(store, key, number) else None
        aside = _aside(path)
        try:
            os.rename(path, aside)
        except OSError:
            return False
        finally:
            os.close(lock)
        with contextlib.suppress(OSError):
            # Of a workspace that lay in the store itself there is no pointer left.
            os.unlink(store.pointer(key, number))
        gone = [aside]
        if mirror is not None:
            gone += _mirror_aside(mirror)
    for folder in gone:
        _delete(folder)
    if mirror is not None:
        _forget(os.path.dirname(mirror))
    return True


def _aside(path: str) -> str:
    """A name beside a folder that nobody else looks at."""
    folder, name = os.path.split(path)
    return os.path.join(folder, "%s%s-%d" % (GONE, name, os.getpid()))


def _mirror_aside(mirror: str) -> list[str]:
    """The mirror under its new name, unless a sync has it."""
    try:
        lock = try_lock(os.path.join(mirror, "lock"))
    except FileNotFoundError:
        return []
    if lock is None:
        return []
    try:
        os.rename(mirror, _aside(mirror))
    except OSError:
        return []
    finally:
        os.close(lock)
    return [_aside(mirror)]


def _forget(folder: str) -> None:
    """Remove the home's folder of a key of which there is nothing left."""
    with contextlib.suppress(OSError):
        if os.listdir(folder) == [OWNER]:
            os.unlink(os.path.join(folder, OWNER))
            os.rmdir(folder)


# -- files


def _remove(path: str) -> bool:
    name = "%s%s-%d" % (GONE, os.path.basename(path), os.getpid())
    aside = os.path.join(os.path.dirname(path), name)
    try:
        os.rename(path, aside)
    except OSError:
        return False
    _delete(aside)
    return True


def _remove_leftovers(folder: str, check: bool) -> None:
    """Finish the work of a clean that was killed."""
    if not os.path.isdir(folder):
        return
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.startswith(GONE) and not check and os.stat(path).st_ctime < time.time() - DAY:
            _delete(path)


def _delete(path: str) -> None:
    """Delete a folder, also what an agent made unwritable in it."""
    for where, folders, _files in os.walk(path):
        for name in folders:
            full = os.path.join(where, name)
            if not os.path.islink(full):
                with contextlib.suppress(OSError):
                    os.chmod(full, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def size_of(folder: str) -> int:
    """Bytes on the disk."""
    total = 0
    for where, _folders, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_blocks * 512
    return total
