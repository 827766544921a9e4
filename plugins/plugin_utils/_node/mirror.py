# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mirror of a project on its node, and the workspaces that are made from it.

A project crosses the network once: into the mirror, which holds what belongs to the project and
nothing else. Each workspace is brought to the mirror's state here, by reflinks where the file
system has them. What an agent left there goes, but for what the rules of belongs.py keep and what
git ignores.
"""

from __future__ import annotations

import contextlib
import os
import stat

from . import copies
from .belongs import KEPT, LIST, Patterns, unpack
from .store import TYPE_CHECKING, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .belongs import Header

# How many paths of a preview are told.
SHOWN_MOST = 1000


class Listed:
    """What belongs, as the mirror's list says it."""

    def __init__(self, header: Header, files: Sequence[bytes]) -> None:
        self.repositories = [os.fsencode(path) for path in header["repositories"]]
        self.plain = [os.fsencode(path) for path in header["plain"]]
        self.kept = Patterns(KEPT)
        if b"" not in self.repositories:
            # Without git nothing is ignored there, but what sync_exclude names.
            self.kept = Patterns([*KEPT, *header["patterns"]])
        self.files = set(files)
        # The folders that hold something that belongs.
        self.folders = {b""}
        for path in (*files, *(path + b".git/" for path in self.repositories)):
            folder = path.rpartition(b"/")[0]
            while folder and folder not in self.folders:
                self.folders.add(folder)
                folder = folder.rpartition(b"/")[0]


def read_listed(data: bytes) -> Listed:
    """The list as it was sent. Raises ValueError."""
    header, files = unpack(data)
    return Listed(header, files)


def read_list_of(mirror: str) -> Listed | None:
    """The list in a mirror's tree; None if none came."""
    try:
        with open(os.path.join(os.fsencode(mirror), LIST), "rb") as file:
            return read_listed(file.read())
    except FileNotFoundError:
        return None


def list_state(mirror: str) -> tuple[int, int] | None:
    """(size, time) of the list in a mirror's tree; None if there is none."""
    try:
        info = os.lstat(os.path.join(os.fsencode(mirror), LIST))
    except FileNotFoundError:
        return None
    return info.st_size, info.st_mtime_ns


def prune(mirror: str, listed: Listed) -> None:
    """Take away from a mirror's tree what no longer belongs. In repositories rsync has done it."""
    top = os.fsencode(mirror)
    folders = [b""]
    while folders:
        folder = folders.pop()
        with os.scandir(os.path.join(top, folder)) as entries:
            for entry in list(entries):
                path = folder + entry.name
                if not entry.is_dir(follow_symlinks=False):
                    if path not in listed.files and path != LIST:
                        os.unlink(entry.path)
                elif entry.name == b".git" and folder in listed.repositories:
                    continue
                elif path in listed.folders:
                    folders.append(path + b"/")
                else:
                    delete_folder(entry.path)


class Making:
    """Brings a workspace's tree to the state of its project's mirror.

    changes and deleted tell how much that changed: files, links and folders.
    """

    def __init__(self, mirror: str, tree: str, scratch: str) -> None:
        """scratch: path for a git dir of ours, which says what is ignored where there is none."""
        self._mirror = os.fsencode(mirror)
        self._tree = os.fsencode(tree)
        self._scratch = scratch
        # What lies in the tree and not in the mirror; folders end with a slash.
        self._extra: list[bytes] = []
        self._copies = copies.Copies()
        self.changes = 0
        self.deleted = 0

    def make(self, listed: Listed | None) -> None:
        """Raises OSError."""
        self._folder(b"", inside_git=False)
        self.take_away(self._extra, listed)

    def take_away(self, extra: Sequence[bytes], listed: Listed | None) -> None:
        """Take away what is stale of what lies in the tree and not in the mirror.

        extra: as in stale(). Raises OSError.
        """
        for path in stale(self._tree, extra, listed, self._scratch):
            self._delete(path)
        for path in extra:
            # Those in which nothing is left.
            if path.endswith(b"/"):
                _remove_empty(os.path.join(self._tree, path))

    def _folder(self, below: bytes, inside_git: bool) -> None:
        """Bring a folder, and all in it, to the mirror's state. below: ends with a slash."""
        source = os.path.join(self._mirror, below)
        target = os.path.join(self._tree, below)
        with os.scandir(target) as entries:
            there = {entry.name: entry for entry in entries}
        with os.scandir(source) as entries:
            wanted = list(entries)

        folders = []
        for entry in wanted:
            path = below + entry.name
            old = there.pop(entry.name, None)
            if path == LIST:
                continue
            if entry.is_dir(follow_symlinks=False):
                self._prepare_folder(path, entry, old)
                folders.append((path + b"/", entry))
            elif entry.is_symlink():
                self._link(path, entry, old)
            elif entry.is_file(follow_symlinks=False):
                self._file(path, entry, old)

        for name, old in there.items():
            path = below + name
            if old.is_dir(follow_symlinks=False):
                path += b"/"
            if inside_git:
                self._delete(path)
            else:
                self._extra.append(path)

        for path, entry in folders:
            self._folder(path, inside_git or entry.name == b".git")
            info = entry.stat(follow_symlinks=False)
            os.chmod(os.path.join(self._tree, path), stat.S_IMODE(info.st_mode))

    def _prepare_folder(
        self, path: bytes, entry: os.DirEntry[bytes], old: os.DirEntry[bytes] | None
    ) -> None:
        """Make a folder that can be written into; its mode follows when that is done."""
        target = os.path.join(self._tree, path)
        if old is not None and not old.is_dir(follow_symlinks=False):
            os.unlink(target)
            old = None
        if old is None:
            os.mkdir(target)
            self.changes += 1
        elif old.stat(follow_symlinks=False).st_mode & 0o700 != 0o700:
            os.chmod(target, 0o700)

    def _link(self, path: bytes, entry: os.DirEntry[bytes], old: os.DirEntry[bytes] | None) -> None:
        target = os.path.join(self._tree, path)
        if old is not None:
            if old.is_symlink() and os.readlink(target) == os.readlink(entry.path):
                return
            self._clear(old)
        copies.link(entry.path, target, entry.stat(follow_symlinks=False))
        self.changes += 1

    def _file(self, path: bytes, entry: os.DirEntry[bytes], old: os.DirEntry[bytes] | None) -> None:
        """As rsync does it: what has the same size and time is taken to be the same."""
        info = entry.stat(follow_symlinks=False)
        target = os.path.join(self._tree, path)
        mode = stat.S_IMODE(info.st_mode)
        if old is not None:
            before = old.stat(follow_symlinks=False)
            if (
                stat.S_ISREG(before.st_mode)
                and before.st_size == info.st_size
                and before.st_mtime_ns == info.st_mtime_ns
            ):
                if stat.S_IMODE(before.st_mode) != mode:
                    os.chmod(target, mode)
                    self.changes += 1
                return
            self._clear(old)
        self._copies.file(entry.path, target, info)
        self.changes += 1

    def _clear(self, old: os.DirEntry[bytes]) -> None:
        """Take away what lies where something else is to be.

        A file that another name leads to as well is not written into.
        """
        if old.is_dir(follow_symlinks=False):
            delete_folder(old.path)
        else:
            os.unlink(old.path)

    def _delete(self, path: bytes) -> None:
        self.changes += 1
        self.deleted += 1
        full = os.path.join(self._tree, path)
        if path.endswith(b"/"):
            delete_folder(full[:-1])
        else:
            os.unlink(full)


# -- what no longer belongs


def foresee(tree: str, listed: Listed) -> list[str]:
    """What a sync with this list would take away from a tree, for people; nothing is changed."""
    import tempfile

    top = os.fsencode(tree)
    if not os.path.isdir(top):
        return []
    extra = []
    folders = [b""]
    while folders:
        folder = folders.pop()
        with os.scandir(os.path.join(top, folder)) as entries:
            for entry in entries:
                path = folder + entry.name
                if not entry.is_dir(follow_symlinks=False):
                    if path not in listed.files:
                        extra.append(path)
                elif entry.name == b".git" and folder in listed.repositories:
                    continue
                elif path in listed.folders:
                    folders.append(path + b"/")
                else:
                    extra.append(path + b"/")
    with tempfile.TemporaryDirectory(prefix="gummy-none-") as scratch:
        gone = sorted(stale(top, extra, listed, scratch, look_only=True))
    return [path.decode("utf-8", "backslashreplace") for path in gone]


def stale(
    tree: bytes,
    extra: Sequence[bytes],
    listed: Listed | None,
    scratch: str,
    *,
    look_only: bool = False,
) -> Iterator[bytes]:
    """What is to go of what lies in a tree and not in the mirror: files, links, repositories.

    extra: paths, those of folders with a slash at their end; listed: None keeps nothing; scratch:
    path for a git dir of ours; look_only: a folder that is closed stays so.
    """
    if not extra:
        return
    if listed is None:
        yield from extra
        return
    ignored = _Ignored(tree, listed, scratch)
    for path in extra:
        yield from _stale(tree, path, listed, ignored, look_only=look_only)


def _stale(
    tree: bytes, path: bytes, listed: Listed, ignored: _Ignored, *, look_only: bool
) -> Iterator[bytes]:
    if listed.kept.name(path) or ignored.has(path):
        return
    if not path.endswith(b"/"):
        yield path
        return
    if os.path.lexists(os.path.join(tree, path, b".git")) and path not in listed.repositories:
        # A repository that an agent made; its harvest is at home.
        yield path
        return
    with contextlib.suppress(FileNotFoundError, PermissionError):
        if not look_only:
            _make_readable(os.path.join(tree, path))
        with os.scandir(os.path.join(tree, path)) as entries:
            inner = [
                path + entry.name + (b"/" if entry.is_dir(follow_symlinks=False) else b"")
                for entry in entries
            ]
        for name in inner:
            yield from _stale(tree, name, listed, ignored, look_only=look_only)


class _Ignored:
    """What git ignores in a workspace, asked for each of its repositories when it is needed."""

    def __init__(self, tree: bytes, listed: Listed, scratch: str) -> None:
        self._tree = tree
        self._scratch = scratch
        self._repositories = listed.repositories
        # A submodule is sent without its repository, and has its own rules.
        self._regions = sorted({*listed.repositories, *listed.plain}, key=len, reverse=True)
        self._names: dict[bytes, set[bytes]] = {}

    def has(self, path: bytes) -> bool:
        """Whether git ignores this path, which ends with a slash if it is a folder."""
        for region in self._regions:
            if path.startswith(region) and path != region:
                return path[len(region) :] in self._ignored_in(region)
        return False

    def _ignored_in(self, region: bytes) -> set[bytes]:
        names = self._names.get(region)
        if names is None:
            names = self._names[region] = self._ask(region)
        return names

    def _ask(self, region: bytes) -> set[bytes]:
        from .git import Git, HarvestError

        folder = os.fsdecode(os.path.join(self._tree, region))
        if not os.path.isdir(folder):
            return set()
        _make_git_dir(self._scratch)
        words = ("-o", "-i", "--directory", "--exclude-standard")
        git = Git(folder, self._scratch, "no-index")
        if region in self._repositories:
            # A git that can't read the repository goes by the rules in the tree.
            with contextlib.suppress(HarvestError):
                return git.names(*words, own=False)
        try:
            return git.names(*words)
        except HarvestError as exc:
            message = "what git ignores in %s can't be told: %s" % (folder, exc)
            raise Refusal(message, "sync", "node") from exc


def _make_git_dir(path: str) -> None:
    """A git dir without anything in it."""
    if os.path.exists(os.path.join(path, "HEAD")):
        return
    for name in ("objects", "refs"):
        os.makedirs(os.path.join(path, name), exist_ok=True)
    with open(os.path.join(path, "HEAD"), "w", encoding="ascii") as file:
        file.write("ref: refs/heads/none\n")


# -- files


def _make_readable(folder: bytes) -> None:
    """An agent may have closed its folders."""
    if os.lstat(folder).st_mode & 0o700 != 0o700:
        os.chmod(folder, 0o700)


def delete_folder(folder: bytes) -> None:
    """Delete a folder with all that is in it; no link is followed."""
    _make_readable(folder)
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                delete_folder(entry.path)
            else:
                os.unlink(entry.path)
    os.rmdir(folder)


def _remove_empty(folder: bytes) -> None:
    """Remove the folders in which nothing is left, this one too."""
    with contextlib.suppress(OSError):
        with os.scandir(folder) as entries:
            inner = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        if len(inner) == len(os.listdir(folder)):
            for path in inner:
                _remove_empty(path)
        os.rmdir(folder)
