# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror whose tree has become that of the project's first workspace.

So a first sync writes each file once. Nothing is shared: when the mirror is needed again it is
copied from that workspace, as far as the files there are those that were lent; the rest comes from
home. An agent may set a file's time and size back, but not the time of the last change of its
inode.
"""

from __future__ import annotations

import contextlib
import os
import stat

from . import copies
from .belongs import LIST
from .mirror import delete_folder
from .store import TYPE_CHECKING, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

# In the mirror's folder, and it counts only while there is no tree there: which tree has it, and
# the state of each file, link and folder when it was lent.
RECORD = "lent"


def is_lent(mirror: str) -> bool:
    """Whether a workspace has this mirror's tree."""
    return os.path.exists(os.path.join(mirror, RECORD)) and not os.path.exists(
        os.path.join(mirror, "tree")
    )


def lend(mirror: str, tree: str) -> int | None:
    """Make the mirror's tree that of a workspace, which is empty; call it with both locked.

    Returns how many files, links and folders it has; None: it can't be moved there, and nothing is
    changed.
    """
    own = os.path.join(mirror, "tree")
    rows = [row for row in _rows(os.fsencode(own)) if row[1] != LIST]
    record = [os.fsencode(tree), *(b"%s %s" % row for row in rows)]
    write_whole(os.path.join(mirror, RECORD), b"\0".join(record))
    listed = os.path.join(mirror, os.fsdecode(LIST))
    os.rename(os.path.join(own, os.fsdecode(LIST)), listed)
    try:
        os.rename(own, tree)
    except OSError:
        os.rename(listed, os.path.join(own, os.fsdecode(LIST)))
        return None
    return len(rows)


def beside(mirror: str, tree: str) -> list[bytes] | None:
    """What lies in the workspace that has the mirror's tree beside that; folders end with a slash.

    None: another workspace has it, or not all is there as it was lent.
    """
    lender, rows = _read_record(mirror)
    if lender != os.fsencode(tree):
        return None
    states = {path: state for state, path in rows}
    extra = []
    folders = [b""]
    while folders:
        below = folders.pop()
        for state, path in _rows_in(lender, below):
            wanted = states.pop(path, None)
            if wanted is None:
                # What is in a repository is as it is at home, whatever git ignores.
                if b"/.git/" in b"/" + below:
                    return None
                extra.append(path)
            elif wanted != state:
                return None
            elif path.endswith(b"/"):
                folders.append(path)
    return None if states else extra


def take_back(mirror: str) -> bool:
    """Make the mirror's tree anew; call it with the mirror locked.

    Returns whether it holds all that was lent. Raises OSError.
    """
    tree, rows = _read_record(mirror)
    own = os.path.join(os.fsencode(mirror), b"tree")
    # One that was not made to its end.
    with contextlib.suppress(FileNotFoundError):
        delete_folder(own + b".new")
    is_whole = _copy(tree, own + b".new", rows)
    try:
        os.rename(os.path.join(os.fsencode(mirror), LIST), os.path.join(own + b".new", LIST))
    except FileNotFoundError:
        # Somebody was ended right behind this line.
        is_whole = False
    os.rename(own + b".new", own)
    os.unlink(os.path.join(mirror, RECORD))
    return is_whole


def _read_record(mirror: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """(the tree of the workspace that has it, (state, path) of all that was lent)."""
    with open(os.path.join(mirror, RECORD), "rb") as file:
        tree, *rows = file.read().split(b"\0")
    return tree, [(state, path) for state, _blank, path in (row.partition(b" ") for row in rows)]


def _copy(tree: bytes, new: bytes, rows: list[tuple[bytes, bytes]]) -> bool:
    """Copy what is as these rows say; returns whether that was all."""
    os.mkdir(new)
    copying = copies.Copies()
    is_whole = True
    folders = []
    for state, path in rows:
        source = os.path.join(tree, path)
        target = os.path.join(new, path)
        # After a power cut the record may end within a path.
        if path.endswith(b"/") and state.isdigit():
            os.makedirs(target, 0o700, exist_ok=True)
            folders.append((target, int(state)))
        elif not _is_copied(source, target, state, copying):
            is_whole = False
    for target, mode in reversed(folders):
        os.chmod(target, mode)
    return is_whole


def _is_copied(source: bytes, target: bytes, state: bytes, copying: copies.Copies) -> bool:
    """Copy a file or link if it is in this state, and was so until it was copied."""
    try:
        info = os.lstat(source)
        if _state(info) != state:
            return False
        if stat.S_ISLNK(info.st_mode):
            copies.link(source, target, info)
        else:
            copying.file(source, target, info)
        if _state(os.lstat(source)) == state:
            return True
    except OSError:
        # It was closed, went away or became something else. A full disk is met again by rsync.
        pass
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)
    return False


def _rows(tree: bytes, below: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """(state, path) of all that is in a tree, a folder before what is in it."""
    for state, path in _rows_in(tree, below):
        yield state, path
        if path.endswith(b"/"):
            yield from _rows(tree, path)


def _rows_in(tree: bytes, below: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The same of one folder of it; paths of folders end with a slash, their state is a mode."""
    with os.scandir(os.path.join(tree, below)) as entries:
        for entry in list(entries):
            path = below + entry.name
            info = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                yield b"%d" % stat.S_IMODE(info.st_mode), path + b"/"
            else:
                yield _state(info), path


def _state(info: os.stat_result) -> bytes:
    times = (info.st_mtime_ns, info.st_ctime_ns)
    return b"%d:%d:%d:%d:%d" % (info.st_mode, info.st_size, info.st_ino, *times)
