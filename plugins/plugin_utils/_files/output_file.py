# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that `gummy_output_file` names, and what is done if something is there already."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from .._errors import InputError
from .paths import encode_json, write_whole

# The owner of devices.
ROOT = 0


def write_output(path: str, document: Mapping[str, Any]) -> None:
    """Write a command's document as JSON where the user wants it. Raises InputError."""
    write_content(path, encode_json(document))


def write_content(path: str, content: bytes) -> None:
    """Write what is shown where the user wants it.

    A file of the user is replaced whole, and keeps its rights. A link in its place is replaced and
    never followed. What is no file, such as a device or a named pipe, is written into, if it is the
    user's own or root's. Raises InputError.
    """
    try:
        before = os.lstat(path)
    except FileNotFoundError:
        before = None
    except OSError as exc:
        raise _not_written(path, exc.strerror) from exc

    try:
        if before is None:
            write_whole(path, content)
        elif stat.S_ISLNK(before.st_mode):
            _refuse_link_to_what_is_no_file(path)
            write_whole(path, content)
        elif stat.S_ISREG(before.st_mode):
            write_whole(path, content)
            os.chmod(path, stat.S_IMODE(before.st_mode), follow_symlinks=False)
        else:
            _write_into(path, content)
    except OSError as exc:
        raise _not_written(path, exc.strerror) from exc


def _refuse_link_to_what_is_no_file(path: str) -> None:
    """/dev/stdout is such a link, and root could replace it."""
    try:
        target = os.stat(path)
    except OSError:
        return
    if not stat.S_ISREG(target.st_mode):
        raise _not_written(path, f"it is a link to {os.path.realpath(path)}, which is no file")


def _write_into(path: str, content: bytes) -> None:
    # Without O_NONBLOCK a named pipe that nobody reads would hold us up for ever.
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "wb") as file:
        if os.fstat(descriptor).st_uid not in (os.geteuid(), ROOT):
            raise _not_written(path, "it belongs to another user")
        os.set_blocking(descriptor, True)
        file.write(content)


def _not_written(path: str, reason: str | None) -> InputError:
    return InputError([f"gummy_output_file: {path} could not be written: {reason}"])
