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

# What a verb does takes less time than to import typing or subprocess. So nothing here imports
# typing, not even for its TYPE_CHECKING, and subprocess comes in where it is needed.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from . import wire

# The format of a store's files; a store with another one is left alone.
FORMAT = 1
# The folder of the home in which the workspaces lie, and the file in each folder of it that says
# which store and key have it.
SHORT = ".dg"
OWNER = "owner"
# The names of attempts, workspaces and runs, which become parts of paths.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


class Refusal(Exception):
    """A verb's clear no: nothing was changed."""

    def __init__(self, message: str, kind: str, blame: wire.Blame) -> None:
        """message: a sentence for a person; kind: a class of wire.RefusedReply."""
        super().__init__(message)
        self.kind = kind
        self.blame = blame


def checked(name: Any) -> str:
    """The name, which may become a part of a path. Anything else is refused."""
    if not isinstance(name, str) or not NAME.match(name):
        raise Refusal(
            "%r is no valid name: letters, digits, dot, dash and underscore, at most 128" % (name,),
            "input",
            "ours",
        )
    return name


def machine_id() -> str:
    """What tells this machine from others that may share a home directory.

    The probe uses the same rule.
    """
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            machine = file.read()
    except (OSError, ValueError):
        machine = ""
    if not machine.strip() and sys.platform == "darwin":
        listing = _output("ioreg", "-rd1", "-c", "IOPlatformExpertDevice")
        match = re.search(r'"IOPlatformUUID" = "([^"]+)"', listing)
        if match:
            machine = match.group(1)
    return _plain(machine) or _plain(os.uname().nodename) or "unknown"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "", name)


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
    """Seconds since boot, sleep included where the system can say.

    A wrong wall clock changes nothing here.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def write_whole(path: str, data: bytes, durably: bool = False) -> None:
    """Write a file that readers see whole or not at all, until a power cut."""
    temporary = "%s.%d.tmp" % (path, os.getpid())
    with open(temporary, "wb") as file:
        file.write(data)
        if durably:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)


def write_durably(path: str, data: bytes) -> None:
    """Write a file that is whole or not there at all, also after a power cut."""
    write_whole(path, data, durably=True)
    sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    """Make what was renamed in a folder outlive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_json(path: str) -> Any:
    """The dict in a JSON file, None if there is none that can be read.

    What its keys are the caller says, by the type of the variable that takes it.
    """
    try:
        with open(path, "rb") as file:
            data = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def try_lock(path: str, patience: float = 0.0) -> int | None:
    """An exclusively locked descriptor, which is closed on exec.

    None if somebody else holds the lock after `patience` seconds.
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


def try_lock_shared(path: str) -> int | None:
    """A descriptor with a shared lock; None if somebody holds it alone, or there is no file."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def is_locked(path: str) -> bool:
    """Whether somebody holds the lock; two who ask at once don't take each other for the holder.

    Nothing is made by asking.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _letters(text: str) -> str:
    """Ten letters that stand for a text."""
    import hashlib

    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    letters = ""
    for _time in range(10):
        number, letter = divmod(number, 26)
        letters += chr(ord("a") + letter)
    return letters


def _owner(folder: str) -> str | None:
    """Who has a folder of workspaces; None if it is not there, blank if that can't be read."""
    try:
        with open(os.path.join(folder, OWNER), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return "" if os.path.lexists(folder) else None


class Store:
    """The state folder of this node, and the identity of it that the controller records."""

    def __init__(self, state: str | None = None, home: str | None = None) -> None:
        """state: where such folders lie, by default where XDG says; home: of the login.

        Raises Refusal, OSError.
        """
        self._home = home or os.path.expanduser("~")
        state = (
            state or os.environ.get("XDG_STATE_HOME") or os.path.join(self._home, ".local", "state")
        )
        self.root = os.path.join(state, "distributed-gummy", machine_id())
        # The login's own umask, which the agent gets back.
        self.umask = os.umask(0o077)
        for name in ("attempts", "workspaces", "slots", "runs"):
            os.makedirs(os.path.join(self.root, name), exist_ok=True)
        self.id = self._identity()

    def _identity(self) -> str:
        path = os.path.join(self.root, "store.json")
        identity = read_json(path)
        if identity is None:
            with self.locked():
                # Another verb may have been quicker.
                identity = read_json(path)
                if identity is None:
                    identity = {"format": FORMAT, "id": os.urandom(16).hex()}
                    write_durably(path, json.dumps(identity).encode())

        if identity.get("format") != FORMAT:
            message = (
                "the store at %s has format %s, this program knows %d: use the newer collection"
                % (self.root, identity.get("format"), FORMAT)
            )
            raise Refusal(message, "store", "node")
        return str(identity["id"])

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store's one short lock: claims change only under it. Raises Refusal."""
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
        """Those whose ids begin with the prefix, in the order of ids."""
        folder = os.path.join(self.root, "attempts")
        return [
            Attempt(os.path.join(folder, name))
            for name in sorted(os.listdir(folder))
            if name.startswith(prefix) and NAME.match(name)
        ]

    def pointer(self, key: Any, number: int) -> str:
        """What the store has of a workspace: a link to it.

        It is the workspace itself where the home could not be written, or an older program made it.
        """
        return os.path.join(self.root, "workspaces", checked(key), str(int(number)))

    def workspace(self, key: Any, number: int) -> str:
        """Path of a workspace's folder, or where it would be made."""
        pointer = self.pointer(key, number)
        try:
            leads_to = os.path.join(os.path.dirname(pointer), os.readlink(pointer))
            return os.path.normpath(leads_to)
        except FileNotFoundError:
            return os.path.join(self.short_folder(key), str(int(number)))
        except OSError:
            return pointer

    def short_folder(self, key: Any) -> str:
        """Where the workspaces of this key lie: a path so short that a socket below it has room.

        Programs that bind one in their project fail where its path has more than 104 bytes (macOS)
        or 108. It need not be there yet. A folder that another store or key has is not taken. Where
        the store was put outside of the home or on another disk, or the home can't be written, they
        stay in the store.
        """
        if not self._has_short_folders():
            return os.path.join(self.root, "workspaces", checked(key))
        number = 0
        while True:
            name = _letters("%s %s %d" % (self.id, key, number))
            folder = os.path.join(self._home, SHORT, name)
            if _owner(folder) in (None, self._owner(key)):
                return folder
            number += 1

    def _has_short_folders(self) -> bool:
        try:
            home = os.path.realpath(self._home)
            if os.path.commonpath([home, os.path.realpath(self.root)]) != home:
                return False
            if os.stat(home).st_dev != os.stat(self.root).st_dev:
                return False
            folder = os.path.join(self._home, SHORT)
            if not os.path.lexists(folder):
                folder = self._home
            return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
        except OSError:
            return False

    def mirror(self, key: Any) -> str:
        """Path of the folder with the project's mirror, from which its workspaces are made."""
        return os.path.join(self.short_folder(checked(key)), "mirror")

    def make_workspace(self, key: Any, number: int) -> str:
        """Make the workspace's folder, where it is not there, and return its path.

        Call it with the store locked, and of a workspace that nobody uses.
        """
        pointer = self.pointer(key, number)
        os.makedirs(os.path.dirname(pointer), exist_ok=True)
        folder = self.short_folder(key)
        if not os.path.islink(pointer) and folder != os.path.dirname(pointer):
            with contextlib.suppress(OSError):
                self._point(pointer, folder, key)
        path = self.workspace(key, number) if os.path.islink(pointer) else pointer
        os.makedirs(os.path.join(path, "tree"), exist_ok=True)
        return path

    def _point(self, pointer: str, folder: str, key: Any) -> None:
        """Make the pointer; a workspace of an older program moves to where it points to."""
        os.makedirs(folder, exist_ok=True)
        write_whole(os.path.join(folder, OWNER), self._owner(key).encode())
        target = os.path.join(folder, os.path.basename(pointer))
        if os.path.isdir(pointer):
            os.rename(pointer, target)
        # So it is right too where the home is seen by another path.
        leads_to = os.path.relpath(target, os.path.dirname(pointer))
        seen = os.path.join(os.path.dirname(pointer), leads_to)
        if os.path.realpath(seen) != os.path.realpath(target):
            leads_to = target
        os.symlink(leads_to, pointer)

    def _owner(self, key: Any) -> str:
        return "%s %s" % (self.id, key)

    def slot(self, number: int) -> str:
        return os.path.join(self.root, "slots", str(int(number)))


class Attempt:
    """One attempt's folder.

    In it lie spec.json, its lock, harvest/, the marks of states.py, and `cancel`, which asks its
    supervisor to end it.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.id = os.path.basename(folder)
        self.harvest = os.path.join(folder, "harvest")
        self.log = os.path.join(self.harvest, "log")
        self.lock = os.path.join(folder, "lock")

    def create(self) -> None:
        """Make the folder, if it is not there."""
        if not os.path.isdir(self.harvest):
            os.makedirs(self.harvest, exist_ok=True)
            # Without this a power cut could take the marks with the folder.
            sync_folder(os.path.dirname(self.folder))

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def has(self, mark: str) -> bool:
        return os.path.exists(self.path(mark))

    def written(self, mark: str) -> float | None:
        """When a mark was made, in seconds since 1970 by this node's clock; None without one."""
        try:
            return os.stat(self.path(mark)).st_mtime
        except OSError:
            return None

    def read(self, mark: str) -> str:
        with open(self.path(mark), encoding="utf-8", errors="backslashreplace") as file:
            return file.read()

    def mark(self, name: str, data: bytes = b"") -> None:
        """Make a mark, durably."""
        write_durably(self.path(name), data)

    def spec(self) -> wire.StoredSpec | None:
        """What it is to do; None if it has not been started, or the file is damaged."""
        spec: wire.StoredSpec | None = read_json(self.path("spec.json"))
        return spec

    def result(self) -> wire.EndedRecord | None:
        """How it ended, as the harvest tells it: the whole harvest is made when this is there."""
        result: wire.EndedRecord | None = read_json(os.path.join(self.harvest, "result.json"))
        return result

    def ended(self) -> wire.EndedRecord | None:
        """How it ended; None if it has not."""
        path = self.path("ended.json")
        if not self.has("ended.json"):
            return None
        damaged: wire.EndedRecord = {
            "class": "harvest",
            "message": "%s is damaged; what was harvested lies beside it" % path,
        }
        ended: wire.EndedRecord | None = read_json(path)
        return ended or self.result() or damaged
