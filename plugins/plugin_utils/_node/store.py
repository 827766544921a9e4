# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: a node's state folder.

Paths, durable writes, locks, clocks and identity; no rules about jobs.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import re
import sys
import time

# Typing and subprocess cost a verb more than its work.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


class Refusal(Exception):
    """A verb's clear no: nothing was changed. blame: node, input or ours (DESIGN section 4)."""

    def __init__(self, message: str, kind: str, blame: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.blame = blame


def checked(name: Any) -> str:
    """A name that may become a path component; anything else is refused."""
    if not isinstance(name, str) or not NAME.match(name):
        raise Refusal(
            "%r is no valid name: letters, digits, dot, dash and underscore, at most 128" % (name,),
            "input",
            "ours",
        )
    return name


def machine_id() -> str:
    """What tells this machine from others that may share a home directory; the probe uses the same
    rule.
    """
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            found = file.read()
    except (OSError, ValueError):
        found = ""
    if not found.strip() and sys.platform == "darwin":
        match = re.search(
            r'"IOPlatformUUID" = "([^"]+)"',
            _output("ioreg", "-rd1", "-c", "IOPlatformExpertDevice"),
        )
        found = match.group(1) if match else ""
    return (
        re.sub(r"[^A-Za-z0-9-]", "", found.strip())
        or re.sub(r"[^A-Za-z0-9-]", "", os.uname().nodename)
        or "unknown"
    )


def _output(*argv: str) -> str:
    import subprocess

    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


@functools.cache
def boot_id() -> str:
    """Changes with every boot: a lease of another boot is void."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return _output("sysctl", "-n", "kern.bootsessionuuid").strip()


def boot_clock() -> float:
    """Seconds since boot, sleep included where the system can say; a wrong wall clock changes
    nothing.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def write_whole(path: str, data: bytes, durably: bool = False) -> None:
    """Whole or not at all for all who read, until a power cut."""
    temporary = "%s.%d.tmp" % (path, os.getpid())
    with open(temporary, "wb") as file:
        file.write(data)
        if durably:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)


def write_durably(path: str, data: bytes) -> None:
    """Whole or not at all, and still there after a power cut."""
    write_whole(path, data, durably=True)
    sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_json(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            data = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def try_lock(path: str, patience: float = 0.0) -> int | None:
    """An exclusively locked descriptor, closed on exec; None if somebody else holds it after
    `patience` seconds.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() >= until:
                os.close(fd)
                return None
            time.sleep(0.02)


def is_locked(path: str) -> bool:
    """Whether somebody holds the lock; two who ask at once do not take each other for the holder."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


class Store:
    """The state folder of this node: attempts, workspaces, slots, and the identity that the
    controller records.
    """

    def __init__(self, state: str | None = None) -> None:
        home = (
            state
            or os.environ.get("XDG_STATE_HOME")
            or os.path.join(os.path.expanduser("~"), ".local", "state")
        )
        self.root = os.path.join(home, "distributed-gummy", machine_id())
        # The login's own, for the agent.
        self.umask = os.umask(0o077)
        for name in ("attempts", "workspaces", "slots", "runs"):
            os.makedirs(os.path.join(self.root, name), exist_ok=True)
        self.id = self._identity()

    def _identity(self) -> str:
        path = os.path.join(self.root, "store.json")
        known = read_json(path)
        if known is None:
            with self.locked():
                known = read_json(path)
                if known is None:
                    known = {"format": FORMAT, "id": os.urandom(16).hex()}
                    write_durably(path, json.dumps(known).encode())
        if known.get("format") != FORMAT:
            message = (
                "the store at %s has format %s, this program knows %d: use the newer collection"
                % (self.root, known.get("format"), FORMAT)
            )
            raise Refusal(message, "store", "node")
        return str(known["id"])

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """The store's one short lock: claims change only while it is held."""
        fd = try_lock(os.path.join(self.root, "claims.lock"), patience=20)
        if fd is None:
            raise Refusal(
                "the store at %s stays locked: look for a stopped python3 process there"
                % self.root,
                "store",
                "node",
            )
        try:
            yield
        finally:
            os.close(fd)

    def attempt(self, name: Any) -> Attempt:
        return Attempt(os.path.join(self.root, "attempts", checked(name)))

    def attempts(self, prefix: str = "") -> list[Attempt]:
        folder = os.path.join(self.root, "attempts")
        return [
            Attempt(os.path.join(folder, name))
            for name in sorted(os.listdir(folder))
            if name.startswith(prefix) and NAME.match(name)
        ]

    def workspace(self, key: Any, number: int) -> str:
        return os.path.join(self.root, "workspaces", checked(key), str(int(number)))

    def slot(self, number: int) -> str:
        return os.path.join(self.root, "slots", str(int(number)))


class Attempt:
    """One attempt's folder: spec.json, lock, harvest/, the marks of states.py, and `cancel`, which
    asks its supervisor to end it.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.id = os.path.basename(folder)
        self.harvest = os.path.join(folder, "harvest")
        self.log = os.path.join(self.harvest, "log")
        self.lock = os.path.join(folder, "lock")

    def create(self) -> None:
        if not os.path.isdir(self.harvest):
            os.makedirs(self.harvest, exist_ok=True)
            # Else a power cut takes the marks with the folder.
            sync_folder(os.path.dirname(self.folder))

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def has(self, mark: str) -> bool:
        return os.path.exists(self.path(mark))

    def written(self, mark: str) -> float | None:
        """When a mark was made, by this node's clock; None if there is none."""
        try:
            return os.stat(self.path(mark)).st_mtime
        except OSError:
            return None

    def read(self, mark: str) -> str:
        with open(self.path(mark), encoding="utf-8", errors="backslashreplace") as file:
            return file.read()

    def mark(self, name: str, data: bytes = b"") -> None:
        write_durably(self.path(name), data)

    def spec(self) -> dict[str, Any]:
        return read_json(self.path("spec.json")) or {}

    def result(self) -> dict[str, Any] | None:
        """How it ended, as the harvest tells it: the whole harvest is made when this is there."""
        return read_json(os.path.join(self.harvest, "result.json"))

    def ended(self) -> dict[str, Any] | None:
        if not self.has("ended.json"):
            return None
        damaged = {
            "class": "harvest",
            "message": "%s is damaged; what was harvested lies beside it" % self.path("ended.json"),
        }
        return read_json(self.path("ended.json")) or self.result() or damaged
