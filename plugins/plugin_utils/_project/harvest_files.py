# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a harvest is let in: files that we know by name, and no more of them than was allowed.

A node may send anything. Whatever it sends lands in a folder of its own first, is measured while it
grows, and only what a harvest can hold is moved on from there.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

# The files and the folder that a harvest may have. The node program that makes it says the same; a
# test compares them.
KNOWN = frozenset(
    {
        "log",
        "setup.log",
        "report.md",
        "result.json",
        "changes.patch",
        "commits.bundle",
        "branch.raw",
        "branch.pack",
    }
)
ARTIFACTS = "artifacts"
# A folder of bundles of nested repositories, each with a number.
NESTED = "nested"
BUNDLE = re.compile(r"[1-9][0-9]{0,5}\.bundle")
# So many files of artifacts come, and from so many folders below each other.
FILES_MOST = 100_000
DEPTH_MOST = 64
# The longest component of a path, in bytes, that a usual file system takes.
COMPONENT_MOST = 255
# How often a growing harvest is measured, in seconds; more rarely if that takes long itself.
MEASURE_EVERY = 0.2
# A harvest of which less than so many bytes have come in so many seconds is given up. This is a
# tenth of what a modem brings; each file counts for some bytes, however small it is.
LEAST_BYTES = 500_000
LEAST_SECONDS = 600.0
BYTES_OF_A_FILE = 512
# What makes a folder a repository for git, which then obeys the settings in it.
REPOSITORY = (frozenset({"objects", "refs"}), frozenset({"commondir"}))


@dataclass(frozen=True)
class HarvestLimit:
    """How much of one harvest is let in."""

    # Together, on the disk.
    bytes: int = 2 * 10**9
    # Files, folders and whatever else is sent.
    files: int = FILES_MOST

    def why_over(self, folder: str) -> str:
        """In what the folder is over the limit, as the end of a sentence; blank if it is not."""
        return self.measure(folder)[1]

    def measure(self, folder: str) -> tuple[int, str]:
        """How much has come, by which can be told whether more comes, and `why_over`."""
        total = 0
        count = 0
        try:
            for count, info in enumerate(_everything_in(folder), 1):
                if count > self.files:
                    return total, f"more than {self.files} files"
                total += info.st_size
                if total > self.bytes:
                    return total, f"more than {self.bytes / 1e6:.0f} MB"
        except OSError as exc:
            # What can't be measured, say in a path too long, could be any size.
            return total, f"what can't be measured ({exc.strerror})"
        return total + count * BYTES_OF_A_FILE, ""


def size_of(folder: str) -> int:
    """Bytes of all that lies in the folder. Raises OSError."""
    return sum(info.st_size for info in _everything_in(folder))


def _everything_in(folder: str) -> Iterator[os.stat_result]:
    """All that lies in the folder, also while it is written to. Links are not followed.

    Raises OSError for what can't be looked into.
    """
    folders = [folder]
    while folders:
        here = folders.pop()
        with contextlib.suppress(FileNotFoundError):
            for entry in _entries(here):
                with contextlib.suppress(FileNotFoundError):
                    info = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(info.st_mode):
                        folders.append(entry.path)
                    yield info


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        entries = os.scandir(folder)
    except PermissionError:
        # A node may close its folders to us. This one is ours.
        os.chmod(folder, 0o700)
        entries = os.scandir(folder)
    with entries:
        yield from entries


class Pace:
    """Whether what grows does so fast enough."""

    def __init__(self, now: float) -> None:
        """now: of any clock that goes on evenly, in seconds."""
        self._size = 0
        self._since = now

    def is_too_slow(self, size: int, now: float) -> bool:
        """size: how large it is now."""
        if size - self._size >= LEAST_BYTES:
            self._size = size
            self._since = now
        return now - self._since >= LEAST_SECONDS


class GrowthWatch:
    """Measures a folder that is written to, and says so once it is over its limit or too slow.

    It has a thread of its own from `begin` to `end`.
    """

    def __init__(self, folder: str, limit: HarvestLimit) -> None:
        self._folder = folder
        self._limit = limit
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        # In what the folder is over its limit; blank as long as it is not.
        self.why = ""
        # Whether who writes was stopped because too little came.
        self.is_too_slow = False

    def begin(self, stop: Callable[[], None]) -> None:
        """Measure from now on. stop: ends whoever writes, once that is too much or too slow."""
        self._thread = threading.Thread(target=self._measure, args=(stop,), daemon=True)
        self._thread.start()

    def _measure(self, stop: Callable[[], None]) -> None:
        pace = Pace(time.monotonic())
        while not self._over.wait(MEASURE_EVERY):
            size, self.why = self._limit.measure(self._folder)
            self.is_too_slow = pace.is_too_slow(size, time.monotonic())
            if self.why or self.is_too_slow:
                stop()
                return

    def end(self) -> str:
        """Stop measuring, after a last look. Returns `why`."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self.why = self.why or self._limit.why_over(self._folder)
        return self.why


def keep_known(source: str, target: str) -> None:
    """Move what a harvest can hold from one folder into another, which is made.

    That is regular files with the names that we know, bundles in `nested`, and what lies in
    `artifacts`. Links, devices and all other names stay where they are. Raises OSError.
    """
    os.mkdir(target, 0o700)
    for name in sorted(KNOWN):
        _move(os.path.join(source, name), os.path.join(target, name))
    _keep_bundles(os.path.join(source, NESTED), os.path.join(target, NESTED))
    _keep_tree(os.path.join(source, ARTIFACTS), os.path.join(target, ARTIFACTS))


def _keep_bundles(source: str, target: str) -> None:
    if not _is_folder(source):
        return
    os.chmod(source, 0o700)
    for name in os.listdir(source):
        if BUNDLE.fullmatch(name):
            _move(os.path.join(source, name), os.path.join(target, name))


def _keep_tree(source: str, target: str) -> None:
    """The same for a tree of files with any names, a `.git` never.

    git must find no repository in it, with settings and hooks that whoever types git there obeys:
    the HEAD of one that needs no `.git` is put beside its name.
    """
    if not _is_folder(source):
        return
    waiting = [(source, target, 0)]
    while waiting:
        here, there, depth = waiting.pop()
        os.chmod(here, 0o700)
        names = sorted(os.listdir(here))
        is_repository = _looks_like_a_repository(names)
        for name in names:
            kept_name = _plain_name(name)
            if kept_name is None:
                continue
            if is_repository and kept_name.casefold() == "head":
                kept_name += "~"
            path = os.path.join(here, name)
            if _is_folder(path):
                if depth < DEPTH_MOST:
                    waiting.append((path, os.path.join(there, kept_name), depth + 1))
                continue
            _move(path, os.path.join(there, kept_name))


def _looks_like_a_repository(names: list[str]) -> bool:
    folded = {name.casefold() for name in names}
    return any(parts <= folded for parts in REPOSITORY)


def _plain_name(name: str) -> str | None:
    """A name of an artifact as a person may see it; None for one that is not let in.

    A terminal obeys control characters, so they come as %XX, as do bytes that are no text.
    """
    plain = "".join(each if each.isprintable() else quote(os.fsencode(each)) for each in name)
    # Some file systems pass over characters without a width, and blanks or dots at the end.
    bare = "".join(each for each in name if each.isprintable()).rstrip(" .").casefold()
    if bare in (".git", "git~1") or len(os.fsencode(plain)) > COMPONENT_MOST:
        return None
    return plain


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _move(source: str, target: str) -> None:
    """Move a regular file where nothing is yet; anything else stays where it is."""
    try:
        mode = os.lstat(source).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode) and not os.path.lexists(target):
        os.chmod(source, 0o600 | mode & 0o755)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        os.rename(source, target)


def remove_tree(folder: str) -> None:
    """Take a folder away with all that a node put there, however deep it is."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        subprocess.run(["rm", "-rf", "--", folder], check=False, stderr=subprocess.DEVNULL)
