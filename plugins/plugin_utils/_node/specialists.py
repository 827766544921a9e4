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
import glob
import itertools
import json
import os
import re
import stat
import sys
import time

from .events import dollars
from .session_costs import SESSION, cost_of
from .store import NAME, TYPE_CHECKING, is_locked, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Literal, TypedDict

    from . import wire
    from .people import Process
    from .store import Store

    class Home(TypedDict):
        """Where specialists live: keys of wire.SpecialistReply."""

        where: Literal["workspace", "project", "home"]
        workspace: str | None
        project: str | None

    class Memory(TypedDict):
        """What a specialist's own folder says: keys of wire.SpecialistReply."""

        name: str
        sessions: int | None
        last_active: str | None
        idle: float | None
        session_id: str | None
        reason: str | None


# Seconds that a login shell may take.
LOGIN = 5
# Specialists of one node that are told, and projects that its user has named.
MOST = 1000
PROJECTS_MOST = 200
# Bytes of a session.txt, of a meta.yaml, and of a log's end, where its result event stands.
SESSION_MOST = 256
META_MOST = 65536
TAIL = 262144
# A folder of the user's, and a file of anybody's, opened so that nothing blocks.
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
TIME = re.compile(
    r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})\Z"
)
# The keys of a meta.yaml, and how their values must look.
FORMS = {"turns": re.compile(r"[0-9]{1,9}\Z"), "last_active": TIME, "session_id": SESSION}


def specialists(store: Store, request: wire.SpecialistsRequest) -> Iterator[wire.SpecialistsReply]:
    """A row for each specialist, then what holds for the node."""
    from . import people
    from .load import Load

    load = Load(request.get("load") or "")
    processes = people.of_this_login()
    left = MOST
    for row in rows(store, processes, request.get("paths") or ()):
        left -= 1
        yield row
    yield _node(store, float(request["within"]), more=left == 0, load=load.text())


def rows(
    store: Store, processes: Sequence[Process], paths: Sequence[str]
) -> Iterator[wire.SpecialistReply]:
    """The first MOST specialists. paths: the projects that are looked into beside workspaces."""
    left = MOST
    for home, top, below, tree in _homes(store, paths):
        memories = _memories(top, below)[:left]
        left -= len(memories)
        sessions = {memory["session_id"] for memory in memories if memory["session_id"] is not None}
        seen = _living(sessions, tree, processes)
        for memory in memories:
            yield _row(store, home, memory, seen)


def _row(
    store: Store, home: Home, memory: Memory, seen: dict[str | None, float | None]
) -> wire.SpecialistReply:
    """seen: as _living returns it."""
    seen_by: Literal["session", "cwd"] | None = None
    works = None
    if None in seen:
        seen_by = "cwd"
        works = seen[None]
    elif memory["session_id"] in seen:
        seen_by = "session"
        works = seen[memory["session_id"]]
    return {
        "state": "specialist",
        "where": home["where"],
        "workspace": home["workspace"],
        "project": home["project"],
        "name": memory["name"],
        "sessions": memory["sessions"],
        "last_active": memory["last_active"],
        "idle": memory["idle"],
        "session_id": memory["session_id"],
        "reason": memory["reason"],
        "cost_usd": cost_of(store.root, memory["session_id"]),
        "status": "active" if seen_by else "dormant",
        "seen_by": seen_by,
        "works": works,
    }


def _node(store: Store, within: float, more: bool, load: str) -> wire.NodeReply:
    from . import agents, places

    silent: list[str] = []
    path = places.search_path(store, LOGIN, silent)
    reason = agents.unusable("gummy", path, None, silent)
    return {
        "state": "told",
        "reason": reason,
        "evidence": "argv_and_cwd" if sys.platform == "linux" else "argv",
        "cost_today": cost_since(store, time.time() - within),
        "more": more,
        "load": load,
    }


# -- where they live


def _homes(
    store: Store, paths: Sequence[str]
) -> Iterator[tuple[Home, str, tuple[str, ...], str | None]]:
    """Where specialists may live: in workspaces, in named projects, and in the user's home.

    Each as (what is told of it, a folder of the user's, the folders below that may be anybody's,
    the project if a process that works in it tells of a specialist).
    """
    top = os.path.join(store.root, "workspaces")
    for key in sorted(filter(NAME.match, os.listdir(top))):
        for number in sorted(filter(str.isdigit, os.listdir(os.path.join(top, key)))):
            workspace = store.workspace(key, int(number))
            tree = os.path.join(workspace, "tree")
            spec, runs = _holder(store, workspace)
            home: Home = {
                "where": "workspace",
                "workspace": "%s/%s" % (key, number),
                "project": spec.get("project_path") if spec else None,
            }
            of_another = runs and (spec is None or spec.get("agent") != "gummy")
            project = None if of_another else os.path.realpath(tree)
            yield home, tree, (".gummy", "specialists"), project

    for project in _projects(paths):
        its: Home = {"where": "project", "workspace": None, "project": project}
        yield its, project, (".gummy", "specialists"), os.path.realpath(project)

    own: Home = {"where": "home", "workspace": None, "project": None}
    yield own, os.path.join(os.path.expanduser("~"), ".gummy", "specialists"), (), None


def _projects(paths: Sequence[str]) -> list[str]:
    """The folders that the user has named, each once; `~` is the home, and `*` any name."""
    found: dict[str, str] = {}
    for path in paths:
        matches = glob.iglob(os.path.expanduser(path))
        for match in itertools.islice(matches, PROJECTS_MOST):
            if os.path.isdir(match) and len(found) < PROJECTS_MOST:
                found.setdefault(os.path.realpath(match), match.rstrip("/"))
    return sorted(found.values())


def _holder(store: Store, workspace: str) -> tuple[wire.StoredSpec | None, bool]:
    """(spec of the last attempt in this workspace, whether it runs)."""
    name = (read_json(os.path.join(workspace, "holder.json")) or {}).get("attempt")
    if not isinstance(name, str) or not NAME.match(name):
        return None, False
    attempt = store.attempt(name)
    return attempt.spec(), attempt.has("starting") and is_locked(attempt.lock)


# -- what they remember


def _memories(top: str, below: tuple[str, ...]) -> list[Memory]:
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
            few = list(itertools.islice(filter(_may_be_one, entries), MOST))
        return sorted((_memory(folder, entry) for entry in few), key=lambda memory: memory["name"])
    finally:
        os.close(folder)


def _may_be_one(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() or entry.is_dir(follow_symlinks=False)


def _memory(parent: int, entry: os.DirEntry[str]) -> Memory:
    memory: Memory = {
        "name": re.sub(r"[^A-Za-z0-9._-]", "?", entry.name)[:128],
        "sessions": None,
        "last_active": None,
        "idle": None,
        "session_id": None,
        "reason": None,
    }
    if entry.is_symlink():
        memory["reason"] = "a symbolic link: not followed"
        return memory
    if not NAME.match(entry.name):
        memory["reason"] = "no specialist's name: not read"
        return memory
    try:
        folder = os.open(entry.name, FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as exc:
        memory["reason"] = "can't be read: %s" % exc.strerror
        return memory
    try:
        # gummy resumes with what stands here, whatever the other file says.
        session = _text(folder, "session.txt", SESSION_MOST)[0].strip()
        text, memory["reason"] = _text(folder, "meta.yaml", META_MOST)
    finally:
        os.close(folder)

    values, lacking = _meta(text)
    if "turns" in values:
        memory["sessions"] = int(values["turns"])
    memory["last_active"] = values.get("last_active")
    memory["idle"] = _since(memory["last_active"])
    memory["session_id"] = session if SESSION.match(session) else values.get("session_id")
    if memory["reason"] is None and lacking:
        memory["reason"] = "meta.yaml: no valid %s" % ", ".join(lacking)
    return memory


def _meta(text: str) -> tuple[dict[str, str], list[str]]:
    """(the valid values of a meta.yaml, the keys that have none)."""
    meta = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            meta[key.strip()] = value.strip(" \t\r\"'")

    values = {}
    lacking = []
    for key, form in FORMS.items():
        match = form.match(meta.get(key, ""))
        if match:
            values[key] = match.group()
        elif meta.get(key) != "null":
            lacking.append(key)
    return values, lacking


def _since(at: str | None) -> float | None:
    """Seconds since a time as gummy writes it, by this node's clock; None where it is none."""
    import datetime

    if at is None:
        return None
    # Older Pythons read neither the Z nor fractions of any length.
    text = re.sub(r"\.[0-9]+", "", at.replace("Z", "+00:00"))
    if text[-3] != ":":
        text = "%s:%s" % (text[:-2], text[-2:])
    try:
        then = datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return round(max(0.0, time.time() - then), 1)


def _text(folder: int, name: str, most: int) -> tuple[str, str | None]:
    """(the head of a file, why it can't be read)."""
    try:
        with os.fdopen(_regular(name, folder), "rb") as stream:
            return stream.read(most).decode("utf-8", "replace"), None
    except FileNotFoundError:
        return "", "no %s: no session yet" % name
    except OSError as exc:
        reason = "a symbolic link" if exc.errno == errno.ELOOP else exc.strerror
        return "", "%s can't be read: %s" % (name, reason)


def _regular(path: str, folder: int | None = None) -> int:
    """A descriptor of a regular file; all else raises OSError and does not block."""
    file = os.open(path, FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "no regular file")
    return file


# -- who is at work


def _living(
    sessions: set[str], tree: str | None, processes: Sequence[Process]
) -> dict[str | None, float | None]:
    """The sessions that a process's argv holds, with how long the oldest such process has run.

    Its one key is None if there is none and a process works in the tree: whose it is can't be told.
    """
    seen: dict[str | None, float | None] = {}
    for session in sessions:
        signs = {session.encode(), b"--resume=" + session.encode()}
        ages = [process.age for process in processes if not signs.isdisjoint(process.words)]
        if ages:
            seen[session] = _longest(ages)
    if seen or tree is None:
        return seen

    inside = os.fsencode(tree)
    ages = [
        process.age
        for process in processes
        if process.cwd == inside or process.cwd.startswith(inside + b"/")
    ]
    return {None: _longest(ages)} if ages else {}


def _longest(ages: Sequence[float | None]) -> float | None:
    known = [age for age in ages if age is not None]
    return max(known) if known else None


# -- what it cost


def cost_since(store: Store, since: float) -> float | None:
    """US dollars of the results since then; None if none tells a cost.

    These are results in gummy's logs, and of attempts whose log is not among them.
    """
    costs = []
    counted = set()
    logs = os.path.join(os.path.expanduser("~"), ".claude", "logs", "gummy")
    for name in os.listdir(logs) if os.path.isdir(logs) else ():
        # An error says that it was removed meanwhile.
        with contextlib.suppress(OSError):
            path = os.path.join(logs, name)
            if name.endswith(".log") and os.lstat(path).st_mtime >= since:
                costs.append(_result_cost(path))
                counted.add(name.rpartition("-")[0])

    for attempt in store.attempts():
        if (attempt.written("ended.json") or 0.0) < since:
            continue
        ended = attempt.ended()
        # The last word of `gummy-watch ID` is what gummy's log is called by.
        if ended and str(ended.get("watch")).rpartition(" ")[2] not in counted:
            costs.append(dollars(ended.get("cost_usd")))

    sums = [cost for cost in costs if cost is not None]
    return round(sum(sums), 6) if sums else None


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
