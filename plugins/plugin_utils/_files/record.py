# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's folder on the controller: the journal that resume reads, run.json, a folder per job.

The journal is one JSON object a line, on disk before what it announces happens.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._errors import InputError

SCHEMA_VERSION = 1
# Names in the folder that jobs may have too.
OURS = frozenset(
    {"lock", "cancel", "journal.jsonl", "run.json", "junit.xml", "report.md", "report.html"}
)


def state_home() -> str:
    """Where the controller keeps its runs."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return os.path.join(
        base if os.path.isabs(base) else os.path.expanduser("~/.local/state"), "distributed-gummy"
    )


def run_folder(run_id: str) -> str:
    return os.path.join(state_home(), "runs", run_id)


def ask_to_cancel(run_id: str) -> None:
    """For the engine that drives this run, if this controller has one."""
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        open(os.path.join(run_folder(run_id), "cancel"), "w"),
    ):
        pass


def controller_id() -> str:
    """This controller's identity: random, made at first use."""
    path = os.path.join(state_home(), "controller-id")
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        os.makedirs(state_home(), mode=0o700, exist_ok=True)
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(8) + "\n")
        # The first of two at once wins, both read the winner's.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        os.unlink(temporary)
        return controller_id()


@dataclass
class History:
    """What the journal says of earlier calls.

    digests, contents: by the job's name, of the newest list; attempts: id -> its newest state;
    ended: job's digest -> how it finished; silent: nodes that a takeover could not ask, which may
    hold jobs that the record does not know.
    """

    uid: str = ""
    begun: float = 0.0
    digests: dict[str, str] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)

    def read(self, entry: Mapping[str, Any]) -> None:
        kind = entry.get("kind")
        if kind == "run":
            self.uid = entry["uid"]
            self.begun = self.begun or entry["at"]
            self.digests.update(entry["jobs"])
            self.contents.update(entry.get("contents", {}))
        elif kind == "attempt":
            known = self.attempts.setdefault(
                entry["attempt"], {"digest": self.digests.get(entry["job"])}
            )
            known.update(entry)
        elif kind == "takeover":
            self.silent = entry["silent"]
        elif kind == "finish":
            self.ended[self.digests.get(entry["job"], "")] = dict(entry)


def read_history(folder: str) -> History:
    """What the journal in a run's folder says; a line that a power cut left half-written announces
    nothing that happened.
    """
    history = History()
    with (
        contextlib.suppress(FileNotFoundError),
        open(os.path.join(folder, "journal.jsonl"), "rb") as file,
    ):
        for line in file:
            with contextlib.suppress(ValueError):
                history.read(json.loads(line))
    return history


class RunRecord:
    """Opened by one engine at a time; another one gets an InputError.

    `history` is what earlier calls left.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.folder = run_folder(run_id)
        self._cancel = os.path.join(self.folder, "cancel")
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self._lock = os.open(
            os.path.join(self.folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._lock, 32).decode(errors="replace").strip()
            problem = f"run {run_id} is being driven by another ansible-playbook (process {owner}): wait for it, or give another gummy_run_id"
            raise InputError([problem]) from None
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())
        self.history = read_history(self.folder)
        # Open as long as the run.
        self._journal = open(os.path.join(self.folder, "journal.jsonl"), "ab+")  # noqa: SIM115
        self._journal.seek(-min(1, self._journal.seek(0, os.SEEK_END)), os.SEEK_END)
        if self._journal.read() not in (b"", b"\n"):
            self._journal.write(b"\n")
        self.uid = self.history.uid or secrets.token_hex(6)

    def append(self, kind: str, **data: Any) -> None:
        """On disk when this returns."""
        entry = {"kind": kind, "at": round(time.time(), 3), **data}
        self.history.read(entry)
        self._journal.write(json.dumps(entry).encode() + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def begin(
        self, digests: Mapping[str, str], contents: Mapping[str, str], controller: str
    ) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._cancel)
        self.append(
            "run",
            uid=self.uid,
            jobs=dict(digests),
            contents=dict(contents),
            controller=controller,
            schema_version=SCHEMA_VERSION,
        )

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called for the run since it began."""
        return os.path.exists(self._cancel)

    def job_folder(self, name: str) -> str:
        return os.path.join(self.folder, f"{name}~" if name in OURS else name)

    def keep(self, name: str, fetched: str, attempt: str) -> str:
        """Make a fetched harvest the job's folder; an earlier attempt's is kept beside it."""
        folder = self.job_folder(name)
        if os.path.exists(folder):
            aside = f"{folder}.before-{attempt}"
            # Fetched again after an interruption.
            while os.path.exists(aside):
                aside += "~"
            os.rename(folder, aside)
        os.rename(fetched, folder)
        with open(os.path.join(folder, "attempt"), "w", encoding="ascii") as file:
            file.write(attempt + "\n")
        return folder

    def fetched(self, name: str) -> str | None:
        """The attempt whose harvest is the job's folder."""
        try:
            with open(os.path.join(self.job_folder(name), "attempt"), encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return None

    def close(self) -> None:
        self._journal.close()
        os.close(self._lock)

    def write(self, name: str, document: Mapping[str, Any]) -> str:
        """A JSON document in the folder, whole or not at all."""
        path = os.path.join(self.folder, name)
        write_json(path, document)
        return path


def write_json(path: str, document: Mapping[str, Any]) -> None:
    temporary = f"{path}.{os.getpid()}.tmp"
    # A path that is not UTF-8 becomes JSON's \udcxx.
    with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
        json.dump(document, file, indent=1, ensure_ascii=False)
        file.write("\n")
    os.replace(temporary, path)
