# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The specialists that live on this node, and what gummy's work cost today. Nothing is changed.

What lies in a workspace may be a stranger's: no link is followed, nothing blocks, and of a file
only as much is read as it may hold.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import stat
import sys
import time

from .results import dollars
from .store import NAME, TYPE_CHECKING, is_locked, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .store import Store

    Row = dict[str, Any]
    Processes = list[tuple[set[bytes], bytes]]

# Seconds that a login shell may take.
LOGIN = 5
# Specialists of one node.
MOST = 1000
# Bytes.
META_MOST = 65536
# Bytes of a log's end, where its result event stands.
TAIL = 262144
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}\Z")
FORMS = {
    "turns": re.compile(r"[0-9]{1,9}\Z"),
    "last_active": re.compile(
        r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})\Z"
    ),
    "session_id": SESSION,
}


def specialists(store: Store, request: Row) -> Iterator[Row]:
    """A row for each, then what holds for the node. request: within (seconds since the asker's
    midnight).

    A row: name, where (workspace, home), workspace, project, status (active, dormant), seen_by
    (session, cwd, None), sessions, last_active, session_id, cost_usd, reason (why something of it
    is not known).
    """
    from . import agents

    processes = _processes_linux() if sys.platform == "linux" else _processes_ps()
    left = MOST
    for place, top, below, tree in _places(store):
        rows = _found(top, below)[:left]
        left -= len(rows)
        seen = _living({row["session_id"] for row in rows} - {None}, tree, processes)
        for row in rows:
            seen_by = "cwd" if None in seen else "session" if row["session_id"] in seen else None
            yield {
                "state": "specialist",
                **place,
                **row,
                "cost_usd": None,
                "status": "active" if seen_by else "dormant",
                "seen_by": seen_by,
            }
    path = agents.told_path(LOGIN)
    reason = agents.unusable("gummy", path or os.environ.get("PATH", os.defpath))
    if reason and not path:
        reason = "its login shell did not tell its PATH within %d s; this session's PATH: %s" % (
            LOGIN,
            reason,
        )
    yield {
        "state": "told",
        "reason": reason,
        "evidence": "argv_and_cwd" if sys.platform == "linux" else "argv",
        "cost_today": cost_since(store, time.time() - float(request["within"])),
        "more": left == 0,
    }


def _places(store: Store) -> Iterator[tuple[Row, str, tuple[str, ...], str | None]]:
    """(what is told of the place, a folder of the user's, what lies below it and may be anybody's,
    the project if a process in it tells).
    """
    top = os.path.join(store.root, "workspaces")
    for key in sorted(filter(NAME.match, os.listdir(top))):
        for number in sorted(filter(str.isdigit, os.listdir(os.path.join(top, key)))):
            tree = os.path.join(top, key, number, "tree")
            spec, runs = _holder(store, os.path.join(top, key, number))
            place = {
                "where": "workspace",
                "workspace": "%s/%s" % (key, number),
                "project": spec.get("project_path"),
            }
            yield (
                place,
                tree,
                (".gummy", "specialists"),
                None if runs and spec.get("agent") != "gummy" else os.path.realpath(tree),
            )
    yield (
        {"where": "home", "workspace": None, "project": None},
        os.path.join(os.path.expanduser("~"), ".gummy", "specialists"),
        (),
        None,
    )


def _holder(store: Store, workspace: str) -> tuple[Row, bool]:
    """(spec of the last attempt in this workspace, whether it runs)."""
    name = (read_json(os.path.join(workspace, "holder.json")) or {}).get("attempt")
    if not isinstance(name, str) or not NAME.match(name):
        return {}, False
    attempt = store.attempt(name)
    return attempt.spec(), attempt.has("starting") and is_locked(attempt.lock)


def _found(top: str, below: tuple[str, ...]) -> list[Row]:
    """The specialists in a folder; below `top` no link is followed."""
    try:
        folder = os.open(top, FOLDER)
        for name in below:
            outer = folder
            try:
                folder = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=outer)
            finally:
                os.close(outer)
    except OSError:
        # There are none, or what is there is no folder of its own.
        return []
    try:
        with os.scandir(folder) as entries:
            few = itertools.islice(
                (
                    entry
                    for entry in entries
                    if entry.is_symlink() or entry.is_dir(follow_symlinks=False)
                ),
                MOST,
            )
            return sorted(
                (_specialist(folder, entry) for entry in few), key=lambda row: str(row["name"])
            )
    finally:
        os.close(folder)


def _specialist(parent: int, entry: os.DirEntry[str]) -> Row:
    """name, sessions, last_active, session_id, reason."""
    row: Row = {
        "name": re.sub(r"[^A-Za-z0-9._-]", "?", entry.name)[:128],
        "sessions": None,
        "last_active": None,
        "session_id": None,
    }
    if entry.is_symlink():
        return {**row, "reason": "a symbolic link: not followed"}
    if not NAME.match(entry.name):
        return {**row, "reason": "no specialist's name: not read"}
    try:
        folder = os.open(entry.name, FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as exc:
        return {**row, "reason": "can't be read: %s" % exc.strerror}
    try:
        # What gummy resumes with.
        session = _text(folder, "session.txt", 256)[0].strip()
        text, reason = _text(folder, "meta.yaml", META_MOST)
    finally:
        os.close(folder)
    meta = {
        key.strip(): value.strip(" \t\r\"'")
        for key, colon, value in (line.partition(":") for line in text.splitlines())
        if colon
    }
    known = {
        key: match.group()
        for key, form in FORMS.items()
        if (match := form.match(meta.get(key, "")))
    }
    lacking = [key for key in FORMS if key not in known and meta.get(key) != "null"]
    return {
        **row,
        "sessions": int(known["turns"]) if "turns" in known else None,
        "last_active": known.get("last_active"),
        "session_id": session if SESSION.match(session) else known.get("session_id"),
        "reason": reason or ("meta.yaml: no valid %s" % ", ".join(lacking) if lacking else None),
    }


def _text(folder: int, name: str, most: int) -> tuple[str, str | None]:
    """(the head of a file, why it can't be read)."""
    try:
        with os.fdopen(_regular(name, folder), "rb") as stream:
            return stream.read(most).decode("utf-8", "replace"), None
    except FileNotFoundError:
        return "", "no %s: no session yet" % name
    except OSError as exc:
        return "", "%s can't be read: %s" % (
            name,
            "a symbolic link" if exc.errno == errno.ELOOP else exc.strerror,
        )


def _regular(path: str, folder: int | None = None) -> int:
    """A descriptor of a regular file; all else raises OSError and does not block."""
    file = os.open(path, FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "no regular file")
    return file


def _living(sessions: set[str], tree: str | None, processes: Processes) -> set[str | None]:
    """The sessions that a process's argv holds; {None} if none is named and a process works in the
    tree: whose it is can't be told.
    """
    seen: set[str | None] = {
        one
        for one in sessions
        for words, _cwd in processes
        if {one.encode(), b"--resume=" + one.encode()} & words
    }
    if seen or tree is None:
        return seen
    inside = os.fsencode(tree)
    return (
        {None}
        if any(cwd == inside or cwd.startswith(inside + b"/") for _words, cwd in processes)
        else set()
    )


def _processes_linux() -> Processes:
    """(argv, working directory) of this user's processes."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        # It ended, or is not ours to see.
        with contextlib.suppress(OSError):
            if os.stat("/proc/" + pid).st_uid == os.geteuid() and int(pid) != os.getpid():
                with open("/proc/%s/cmdline" % pid, "rb") as file:
                    words = set(file.read().split(b"\0"))
                found.append((words, os.readlink(os.fsencode("/proc/%s/cwd" % pid))))
    return found


def _processes_ps() -> Processes:
    """argv alone: macOS tells working directories only by lsof, which takes seconds."""
    import subprocess

    listing = subprocess.run(["ps", "-xwwo", "command="], capture_output=True, check=False).stdout
    return [(set(line.split()), b"") for line in listing.splitlines()]


def cost_since(store: Store, since: float) -> float | None:
    """US dollars of the results since then: of gummy's logs, and of attempts whose log is not among
    these. None if none tells a cost.
    """
    costs = []
    counted = set()
    logs = os.path.join(os.path.expanduser("~"), ".claude", "logs", "gummy")
    for name in os.listdir(logs) if os.path.isdir(logs) else ():
        # Removed meanwhile.
        with contextlib.suppress(OSError):
            path = os.path.join(logs, name)
            if name.endswith(".log") and os.lstat(path).st_mtime >= since:
                costs.append(_result_cost(path))
                counted.add(name.rpartition("-")[0])
    for attempt in store.attempts():
        if (attempt.written("ended.json") or 0.0) >= since:
            ended = attempt.ended() or {}
            if str(ended.get("watch")).rpartition(" ")[2] not in counted:
                costs.append(dollars(ended.get("cost_usd")))
    known = [cost for cost in costs if cost is not None]
    return round(sum(known), 6) if known else None


def _result_cost(path: str) -> float | None:
    """total_cost_usd of the last result event in a log's tail."""
    with os.fdopen(_regular(path), "rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
        lines = stream.read(TAIL).splitlines()
    for line in reversed(lines):
        with contextlib.suppress(ValueError, RecursionError):
            event = json.loads(line) if b'"result"' in line else None
            if isinstance(event, dict) and event.get("type") == "result":
                return dollars(event.get("total_cost_usd"))
    return None
