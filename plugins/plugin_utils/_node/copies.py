# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of files on one node, by reflinks where the file system has them."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys

from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

# Asks Linux for a reflink (linux/fs.h).
FICLONE = 0x40049409
# Bytes that are copied at once where there is no reflink.
PIECE = 1 << 24


class Copies:
    """Copies files, and remembers what the file system can't do."""

    def __init__(self) -> None:
        self._may_clone = True

    def file(self, source: bytes, target: bytes, info: os.stat_result) -> None:
        """Make a file that is not there yet, with the mode and the time of the source.

        info: of the source. Raises OSError.
        """
        times = (info.st_mtime_ns, info.st_mtime_ns)
        mode = stat.S_IMODE(info.st_mode)
        if sys.platform == "darwin" and self._may_clone:
            if _clone_on_macos(source, target):
                os.chmod(target, mode)
                os.utime(target, ns=times)
                return
            self._may_clone = False
        # A fifo that came in the place of the file would be waited for.
        given = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                if not self._is_cloned(given, made):
                    _copy_content(given, made)
                os.fchmod(made, mode)
                os.utime(made, ns=times)
            finally:
                os.close(made)
        finally:
            os.close(given)

    def _is_cloned(self, given: int, made: int) -> bool:
        if not self._may_clone or sys.platform != "linux":
            return False
        try:
            fcntl.ioctl(made, FICLONE, given)
        except OSError:
            # This file system has none, or the two lie on different ones.
            self._may_clone = False
        return self._may_clone


def link(source: bytes, target: bytes, info: os.stat_result) -> None:
    """Make a link that is not there yet, with the time of the source. Raises OSError.

    info: of the source.
    """
    os.symlink(os.readlink(source), target)
    if os.utime in os.supports_follow_symlinks:
        os.utime(target, ns=(info.st_mtime_ns, info.st_mtime_ns), follow_symlinks=False)


def _copy_content(given: int, made: int) -> None:
    copy: Any = getattr(os, "copy_file_range", None)
    while copy is not None:
        try:
            if not copy(given, made, PIECE):
                return
        except OSError as exc:
            if exc.errno not in (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP):
                raise
            copy = None
    while True:
        data = os.read(given, PIECE)
        if not data:
            return
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(made, rest) :]


def _clone_on_macos(source: bytes, target: bytes) -> bool:
    import ctypes

    clone = getattr(ctypes.CDLL(None), "clonefile", None)
    return clone is not None and clone(source, target, 0) == 0
