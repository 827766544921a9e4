# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots: what nodes said when they were last asked, shared by all playbooks of one user for a while. This is private to the collection.

A snapshot holds what was printed, not what was made of it, so that a changed config holds at once. The file may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ._at_once import Outcome

LOAD_LASTS = 30.0  # seconds
HOST_LASTS = 60.0  # seconds; whether a node answers, its programs, disk and cpus
CAP = 64 * 1024 * 1024  # bytes
FORMAT = 1


@dataclass(frozen=True)
class Snapshot:
    """A node's answer and when it was given; load: what a later question for the load alone was answered, if there was one."""

    outcome: Outcome
    at: float
    load: str = ""
    load_at: float = 0.0

    def whole(self) -> Outcome:
        """All that is known, the newest last."""
        return replace(self.outcome, out=self.outcome.out + self.load)

    def measured_at(self) -> float:
        return max(self.at, self.load_at)


def folder() -> str:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return os.path.join(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "distributed-gummy")


class Snapshots:
    """get() and put() by key. believe: False takes nothing from the file, and still writes what is new. Raises nothing."""

    def __init__(self, believe: bool = True, now: Callable[[], float] = time.time) -> None:
        self._path = os.path.join(folder(), "nodes.json")
        self._now = now
        self._known = self._read() if believe else {}
        self._one_at_a_time = threading.Lock()

    def get(self, key: str, lasts: float = HOST_LASTS) -> Snapshot | None:
        """The snapshot of this key if its answer is at most `lasts` seconds old."""
        found = self._known.get(key)
        return found if found is not None and 0 <= self._now() - found.at <= lasts else None

    def has_load(self, snapshot: Snapshot) -> bool:
        return 0 <= self._now() - snapshot.measured_at() <= LOAD_LASTS

    def put(self, found: Mapping[str, Snapshot]) -> None:
        """What others wrote meanwhile stays, unless it is of the same nodes or has run out."""
        if not found:
            return
        with self._one_at_a_time:
            self._known.update(found)
            self._write(found)

    def _write(self, found: Mapping[str, Snapshot]) -> None:
        now = self._now()
        kept = {key: each for key, each in {**self._read(), **found}.items() if 0 <= now - each.at <= HOST_LASTS}
        data = {"format": FORMAT, "nodes": {key: asdict(each) for key, each in kept.items()}}
        with contextlib.suppress(OSError):  # a full or read-only disk costs the next playbook some time, and nothing else
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            if not _is_private(os.path.dirname(self._path)):
                return
            descriptor, temporary = tempfile.mkstemp(prefix="nodes.", dir=os.path.dirname(self._path))
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump(data, file)
                os.replace(temporary, self._path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)

    def _read(self) -> dict[str, Snapshot]:
        try:
            if not _is_private(os.path.dirname(self._path)):
                return {}
            with os.fdopen(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                info = os.fstat(file.fileno())
                if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o022 or info.st_size > CAP:
                    return {}
                data = json.loads(file.read())
            return dict(_rows(data["nodes"].items())) if data["format"] == FORMAT else {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return {}


def _rows(items: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Snapshot]]:
    for key, row in items:
        with contextlib.suppress(TypeError, KeyError, ValueError):
            said = row["outcome"]
            status, trouble = said["status"], said["trouble"]
            outcome = Outcome(None if status is None else int(status), str(said["out"]), str(said["err"]), None if trouble is None else str(trouble))
            yield key, Snapshot(outcome, float(row["at"]), str(row["load"]), float(row["load_at"]))


def _is_private(path: str) -> bool:
    """A real folder of ours that nobody else may look into: another user's, or a link, is not believed."""
    info = os.lstat(path)
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & 0o077
