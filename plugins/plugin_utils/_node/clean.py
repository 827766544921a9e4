# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes away what is old from a store: never what runs, what no controller has acknowledged, or a
program in use.

What goes is renamed first, to a name that nobody else looks at. Workspaces make the next sync
quick, so they go only when the disk is needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from .claim import Claims, harvested
from .states import MARKS, state_of
from .store import Attempt, Store, try_lock

DAY = 86400.0
# Seconds that an acknowledged attempt stays, whatever its size: its controller may still write down
# that it has it.
RECENT = 3600.0
PROGRAM = re.compile(r"[0-9a-f]{64}\.zip")
GONE = ".gone-"


def clean(
    store: Store, days: float, most: float, free: float, check: bool
) -> Iterator[dict[str, Any]]:
    """{what, name, bytes, why} of all that goes. days: age; most: bytes of all attempts; free:
    bytes that should be free on the disk.
    """
    for folder in ("attempts", "workspaces"):
        _leftovers(os.path.join(store.root, folder), check)
    gone = list(_attempts(store, time.time() - days * DAY, most, check))
    yield from gone
    _runs(store, time.time() - days * DAY, {row["name"] for row in gone}, check)
    yield from _programs(time.time() - days * DAY, check)
    yield from _workspaces(store, free, sum(row["bytes"] for row in gone) if check else 0, check)


def _row(what: str, name: str, size: float, why: str) -> dict[str, Any]:
    return {"what": what, "name": name, "bytes": size, "why": why}


def _attempts(store: Store, oldest: float, most: float, check: bool) -> Iterator[dict[str, Any]]:
    """The oldest first, so that what is too much goes as well."""
    sizes = {attempt.id: size_of(attempt.folder) for attempt in store.attempts()}
    total = sum(sizes.values())
    now = time.time()
    known = (
        (since, attempt)
        for attempt in store.attempts()
        if (since := _over_since(attempt)) is not None
    )
    for since, attempt in sorted(known, key=lambda pair: (pair[0], pair[1].id)):
        why = (
            "old"
            if since < oldest
            else "more than is kept"
            if total > most and since < now - RECENT
            else None
        )
        if why and (check or _remove_attempt(attempt)):
            total -= sizes.get(attempt.id, 0)
            yield _row("attempt", attempt.id, sizes.get(attempt.id, 0), why)


def _over_since(attempt: Attempt) -> float | None:
    """When nothing was left to do for it: acknowledged, or proven never to start.

    None: it may run, or have something that nobody fetched.
    """
    state = state_of(attempt)
    if state == "acknowledged" and (attempt.ended() or {}).get("class") == "harvest":
        return None
    return attempt.written(MARKS[state]) if state in ("acknowledged", "void") else None


def _remove_attempt(attempt: Attempt) -> bool:
    lock = try_lock(attempt.lock)
    if lock is None:
        return False
    try:
        return _over_since(attempt) is not None and _remove(attempt.folder)
    finally:
        os.close(lock)


def _remove(path: str) -> bool:
    aside = os.path.join(
        os.path.dirname(path), "%s%s-%d" % (GONE, os.path.basename(path), os.getpid())
    )
    try:
        os.rename(path, aside)
    except OSError:
        return False
    _delete(aside)
    return True


def _delete(path: str) -> None:
    """Also what an agent made unwritable."""
    for where, folders, _files in os.walk(path):
        for name in folders:
            full = os.path.join(where, name)
            if not os.path.islink(full):
                with contextlib.suppress(OSError):
                    os.chmod(full, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def _leftovers(folder: str, check: bool) -> None:
    """Of a clean that was killed."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.startswith(GONE) and not check and os.stat(path).st_ctime < time.time() - DAY:
            _delete(path)


def _runs(store: Store, oldest: float, gone: Iterable[str], check: bool) -> None:
    """Who drives a run of which nothing is left."""
    folder = os.path.join(store.root, "runs")
    left = {attempt.id for attempt in store.attempts()} - set(gone)
    uids = {name.rpartition("-")[0] for name in left}
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.endswith(".json") and name[: -len(".json")] not in uids and not check:
            with contextlib.suppress(OSError):
                if os.stat(path).st_mtime < oldest:
                    os.unlink(path)


def _programs(oldest: float, check: bool) -> Iterator[dict[str, Any]]:
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
        yield _row("program", name, size, "old")


def _workspaces(
    store: Store, free: float, expected: float, check: bool
) -> Iterator[dict[str, Any]]:
    """The longest unused first, those with a specialist's memory last, until enough of the disk is
    free. expected: bytes that would be.
    """
    folder = os.path.join(store.root, "workspaces")
    keys = [key for key in os.listdir(folder) if not key.startswith(GONE)]
    found = [
        (key, int(number))
        for key in keys
        for number in os.listdir(os.path.join(folder, key))
        if number.isdigit()
    ]

    def order(place: tuple[str, int]) -> tuple[bool, float]:
        path = store.workspace(*place)
        times = [
            os.stat(each).st_mtime
            for each in (path, os.path.join(path, "holder.json"), os.path.join(path, "sync.json"))
            if os.path.exists(each)
        ]
        return os.path.isdir(os.path.join(path, "tree", ".gummy", "specialists")), max(
            times, default=0.0
        )

    for key, number in sorted(found, key=order):
        if _free(store) + expected >= free:
            return
        path = store.workspace(key, number)
        size = size_of(path)
        if _may_go(store, key, number, check):
            expected += size if check else 0
            yield _row("workspace", "%s/%d" % (key, number), size, "the disk is needed")


def _free(store: Store) -> int:
    disk = os.statvfs(store.root)
    return disk.f_bavail * disk.f_frsize


def _may_go(store: Store, key: str, number: int, check: bool) -> bool:
    """Whether nobody has or is about to have this workspace; then it is gone, unless this is a
    check.
    """
    path = store.workspace(key, number)
    with store.locked():
        if any(
            (row["key"], row["workspace"]) == (key, number) for row in Claims(store).rows
        ) or not harvested(store, path):
            return False
        lock = try_lock(os.path.join(path, "lock"))
        if lock is None:
            return False
        aside = os.path.join(
            store.root, "workspaces", "%s%s-%d-%d" % (GONE, key, number, os.getpid())
        )
        try:
            if check:
                return True
            os.rename(path, aside)
        except OSError:
            return False
        finally:
            os.close(lock)
    _delete(aside)
    return True


def size_of(folder: str) -> int:
    """Bytes on the disk."""
    total = 0
    for where, _folders, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_blocks * 512
    return total
