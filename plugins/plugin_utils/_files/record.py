# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's folder on the controller: the journal that resume reads, run.json, a folder per job.

The journal is one JSON object a line, on disk before what it announces happens.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, BinaryIO, TypedDict
from urllib.parse import quote

from .._errors import BadValue, InputError
from .paths import (
    PRIVATE,
    path_of,
    private_folder,
    state_home,
    write_json,
    write_once,
    write_whole,
)

# The version of the documents that the commands write for other programs.
SCHEMA_VERSION = 1

JOURNAL = "journal.jsonl"
LOCK = "lock"
CANCEL = "cancel"
KEY = "key"

# Names in the folder that are taken, although a job may be called so: its folder gets a `~` then.
OURS = frozenset(
    {LOCK, CANCEL, KEY, JOURNAL, "run.json", "junit.xml", "report.md", "report.html", "told-by"}
)

# Where in the folder harvests are of which only a node says that they are of this run.
TOLD_BY = "told-by"


def run_folder(run_id: str) -> str:
    """Where the run of this name is kept, whether there is one or not.

    Raises BadValue for what is no name, and InputError for a state that is another user's.
    """
    return path_of(runs_folder(), run_id)


def runs_folder() -> str:
    """Where all runs are kept. Raises InputError for a state that is another user's."""
    return os.path.join(known_state_home(), "runs")


def ask_to_cancel(run_id: str) -> None:
    """Leave a mark for the engine that drives this run, if this controller has one."""
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        open(os.path.join(run_folder(run_id), CANCEL), "w"),
    ):
        pass


def is_driven(run_id: str) -> bool:
    """Whether an engine of this controller drives the run now."""
    try:
        lock = os.open(os.path.join(run_folder(run_id), LOCK), os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def driver_of(run_id: str) -> int | None:
    """The process of this controller that drives the run, as far as it can be seen from outside.

    Its lock is left alone, so that who only looks again and again is in nobody's way. None: no
    process has this number any more, or the run was never driven from here.
    """
    try:
        with open(os.path.join(run_folder(run_id), LOCK), encoding="ascii") as file:
            pid = int(file.read(32))
        os.kill(pid, 0)
    except PermissionError:
        return pid
    except (OSError, ValueError, OverflowError):
        return None
    return pid


def known_controller_id() -> str | None:
    """This controller's identity; None if it has none yet."""
    try:
        with open(os.path.join(known_state_home(), "controller-id"), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return None


def controller_id() -> str:
    """This controller's identity: random, made at first use."""
    known = known_controller_id()
    if known is not None:
        return known
    # The first of two processes wins, and both read the winner's.
    path = os.path.join(own_state_home(), "controller-id")
    write_once(path, f"{secrets.token_hex(8)}\n".encode())
    return controller_id()


def known_state_home() -> str:
    """Where the controller keeps its state, whether there is any or not.

    Raises InputError for one that is another user's.
    """
    if os.path.lexists(state_home()):
        own_state_home()
    return state_home()


def own_state_home(*names: str) -> str:
    """Where the controller keeps its state, or the folder of these names in it.

    Each folder on the way is made if it is not there. Raises InputError for one that is another
    user's.
    """
    folder = state_home()
    try:
        private_folder(folder)
        for name in names:
            folder = private_folder(os.path.join(folder, name))
    except BadValue as exc:
        raise InputError([str(exc)]) from exc
    return folder


class BranchOrder(TypedDict):
    """The branch that was asked for of a job, as the journal keeps it."""

    # Where the project lies on this controller.
    project: str
    # The title of the commit that is to hold the work.
    title: str


@dataclass
class History:
    """What the journal says of earlier calls."""

    # The run's identity on the nodes; blank if no call of the run has begun.
    uid: str = ""
    # When the first call began, in seconds since 1970.
    begun: float = 0.0
    # Job's name -> what the newest list of jobs knew it by.
    digests: dict[str, str] = field(default_factory=dict)
    # Job's name -> the digest of its work in the newest list, to see that it was edited.
    contents: dict[str, str] = field(default_factory=dict)
    # Attempt's id -> all that its entries say, the newest last.
    attempts: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Job's digest -> how it finished.
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Job's name -> the branch that the newest list of jobs asks for of it.
    branches: dict[str, BranchOrder] = field(default_factory=dict)
    # Job's name -> where its project lies on this controller, by the newest list of jobs.
    projects: dict[str, str] = field(default_factory=dict)
    # Attempt's id -> what it has cost, as costs.py has it.
    costs: dict[str, Any] = field(default_factory=dict)
    # Nodes that could not be asked when the run was adopted: they may hold jobs that the record
    # does not know.
    silent: list[str] = field(default_factory=list)
    # Job's name -> what people were told that it waits for, the newest last.
    waits: dict[str, str] = field(default_factory=dict)
    # Attempt's id -> state -> when it came to be in it, in seconds since 1970.
    times: dict[str, dict[str, float]] = field(default_factory=dict)

    def apply(self, entry: Mapping[str, Any]) -> None:
        """Take in one entry of the journal; a kind that is not known changes nothing."""
        kind = entry.get("kind")
        if kind == "run":
            self.uid = entry["uid"]
            self.begun = self.begun or entry["at"]
            self.digests.update(entry["jobs"])
            self.contents.update(entry.get("contents", {}))
            for job in entry["jobs"]:
                # What a later list no longer asks for is not made.
                self.branches.pop(job, None)
                self.projects.pop(job, None)
            self.branches.update(entry.get("branches", {}))
            self.projects.update(entry.get("projects", {}))
        elif kind == "attempt":
            job = entry["job"]
            first = {
                "digest": self.digests.get(job),
                "branch": self.branches.get(job),
                "project": self.projects.get(job),
            }
            if entry.get("adopted"):
                # Only a node says that it is of this job: no branch is made of it by itself.
                first["branch"] = first["project"] = None
            self.attempts.setdefault(entry["attempt"], first).update(entry)
            if "state" in entry:
                times = self.times.setdefault(entry["attempt"], {})
                times.setdefault(entry["state"], entry["at"])
        elif kind == "cost":
            # An older version noted no day.
            self.costs[entry["cost"]["attempt"]] = {"day": "", **entry["cost"]}
        elif kind == "takeover":
            self.silent = entry["silent"]
        elif kind == "wait":
            self.waits[entry["job"]] = entry["why"]
        elif kind == "finish":
            self.ended[self.digests.get(entry["job"], "")] = dict(entry)


def read_history(folder: str) -> History:
    """What the journal in a run's folder says.

    A line that a power cut left half-written is passed over: what it announces never happened. So
    is one that is no entry, whatever wrote it.
    """
    history = History()
    with (
        contextlib.suppress(FileNotFoundError),
        open(os.path.join(folder, JOURNAL), "rb") as file,
    ):
        for line in file:
            with contextlib.suppress(
                ValueError, KeyError, TypeError, AttributeError, RecursionError
            ):
                history.apply(json.loads(line))
    return history


def read_key(folder: str) -> bytes:
    """The key of the run in this folder; blank if it has none that can be read."""
    try:
        with open(os.path.join(folder, KEY), encoding="ascii") as file:
            return bytes.fromhex(file.read())
    except (OSError, ValueError):
        return b""


def key_of(run_key: bytes, history: History, attempt: str) -> str | None:
    """The key, in hex, that the attempt's supervisor was given to sign its end with.

    run_key: as `read_key` gives it. Each attempt has its own, made of the run's: an agent that
    reads the memory of its supervisor learns nothing of other attempts. None: this controller gave
    it none.
    """
    entry = history.attempts.get(attempt)
    if not run_key or entry is None or entry.get("adopted"):
        return None
    return hmac.new(run_key, attempt.encode(), "sha256").hexdigest()


class RunFolder:
    """A run's folder, whether there is one or not, for who only looks.

    `history` is what the calls of the run left, once it was read.
    """

    def __init__(self, run_id: str) -> None:
        """Raises BadValue for what is no name."""
        self.run_id = run_id
        self.folder = run_folder(run_id)
        self.history = History()

    def read(self) -> None:
        """Bring `history` up to date."""
        self.history = read_history(self.folder)

    def job_folder(self, name: str, teller: str | None = None) -> str:
        """Where the harvest of the job of this name is.

        teller: the node of whose word alone it is this run's; such harvests have a folder of their
        own, `told-by/NODE`, so that none takes the place of a job's. Raises BadValue.
        """
        if teller is not None:
            return path_of(os.path.join(self.folder, TOLD_BY, _folder_of_node(teller)), name)
        folder = path_of(self.folder, name)
        if name in OURS:
            folder += "~"
        return folder

    def fetched(self, name: str, teller: str | None = None) -> str | None:
        """The attempt whose harvest is the job's folder. teller: as for `job_folder`."""
        path = os.path.join(self.job_folder(name, teller), "attempt")
        try:
            with open(path, encoding="ascii") as file:
                return file.read().strip()
        except (OSError, ValueError):
            return None


class RunRecord(RunFolder):
    """A run's folder, opened by one engine at a time; another one gets an InputError.

    `history` grows with what this call adds.
    """

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self._cancel = os.path.join(self.folder, CANCEL)

        own_state_home("runs", run_id)
        self._lock = _lock(os.path.join(self.folder, LOCK), run_id)
        self.read()
        self._journal = _open_journal(os.path.join(self.folder, JOURNAL))
        self.uid = self.history.uid or secrets.token_hex(6)
        # Two attempts of one job may come home at once.
        self._keeping = threading.Lock()
        # So may two of different nodes, each with its own entries.
        self._appending = threading.Lock()

    def append(self, kind: str, **data: Any) -> None:
        """Add an entry to the journal: it is on disk when this returns."""
        entry = {"kind": kind, "at": round(time.time(), 3), **data}
        with self._appending:
            self.history.apply(entry)
            self._journal.write(json.dumps(entry).encode() + b"\n")
            self._journal.flush()
            os.fsync(self._journal.fileno())

    def begin(
        self,
        digests: Mapping[str, str],
        contents: Mapping[str, str],
        controller: str,
        branches: Mapping[str, BranchOrder] | None = None,
        *,
        projects: Mapping[str, str] | None = None,
    ) -> None:
        """Note that a call of the run begins, with its list of jobs as in `History`.

        branches: what is made of the jobs that ask for one. Whoever brings them home later has
        only this to go by, for what a node says of it counts nothing. projects: where the jobs'
        projects lie, likewise.

        A cancel that was asked of an earlier call does not hold for this one.
        """
        self._make_key()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._cancel)
        self.append(
            "run",
            uid=self.uid,
            jobs=dict(digests),
            contents=dict(contents),
            branches=dict(branches or {}),
            projects=dict(projects or {}),
            controller=controller,
            schema_version=SCHEMA_VERSION,
        )

    def _make_key(self) -> None:
        """Make the key of the run, unless supervisors were started without one."""
        if all(entry.get("adopted") for entry in self.history.attempts.values()):
            key = f"{secrets.token_hex(32)}\n".encode()
            write_once(os.path.join(self.folder, KEY), key, PRIVATE)

    @cached_property
    def _key(self) -> bytes:
        """The run's key, which is there since the run began."""
        return read_key(self.folder)

    def key_of(self, attempt: str) -> str | None:
        """As the function of this name."""
        return key_of(self._key, self.history, attempt)

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called for the run since it began."""
        return os.path.exists(self._cancel)

    def fetch_folder(self, attempt: str) -> str:
        """Where an attempt's harvest lies while it is fetched. Raises BadValue."""
        return path_of(self.folder, attempt, before=".fetch-")

    def keep(self, name: str, fetched: str, attempt: str, teller: str | None = None) -> str:
        """Make a fetched harvest the job's folder; an earlier attempt's is kept beside it.

        teller: as for `job_folder`. Raises BadValue.
        """
        folder = self.job_folder(name, teller)
        # It becomes a part of a name below.
        path_of(self.folder, attempt)
        os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
        with self._keeping:
            if os.path.lexists(folder):
                aside = f"{folder}.before-{attempt}"
                # There is one already if the attempt is fetched again after an interruption.
                while os.path.lexists(aside):
                    aside += "~"
                os.rename(folder, aside)
            os.rename(fetched, folder)
            with open(os.path.join(folder, "attempt"), "w", encoding="ascii") as file:
                file.write(attempt + "\n")
        return folder

    def close(self) -> None:
        """Let another engine have the run."""
        self._journal.close()
        os.close(self._lock)

    def write(self, name: str, document: Mapping[str, Any]) -> str:
        """Write a JSON document into the folder, whole or not at all. Returns its path."""
        path = os.path.join(self.folder, name)
        write_json(path, document)
        return path

    def write_text(self, name: str, text: str) -> None:
        """Write a text into the folder, whole or not at all. Raises OSError."""
        write_whole(os.path.join(self.folder, name), text.encode("utf-8", "replace"))


def _folder_of_node(node: str) -> str:
    """A node's name as a folder's: hosts may be called anything."""
    name = quote(node, safe="")
    if name.startswith("."):
        name = "%2E" + name[1:]
    return name


def _lock(path: str, run_id: str) -> int:
    """The descriptor that holds the run's lock. Raises InputError if another process has it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 32).decode(errors="replace").strip()
        problem = (
            f"run {run_id} is being driven by another ansible-playbook (process {owner}): "
            "wait for it, or give another gummy_run_id"
        )
        raise InputError([problem]) from None
    # The next one who wants it is told our process.
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _open_journal(path: str) -> BinaryIO:
    """The journal, open as long as the run, with its last line ended.

    A power cut may have left half a line, which the next entry must not stand behind.
    """
    journal = open(path, "ab+")  # noqa: SIM115
    size = journal.seek(0, os.SEEK_END)
    journal.seek(max(0, size - 1))
    if journal.read() not in (b"", b"\n"):
        journal.write(b"\n")
    return journal
