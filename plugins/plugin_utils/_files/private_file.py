# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small JSON files of one user that may be deleted at any time.

A file is whole or not there, and it is believed only if nobody else can write it: another user who
could plant one would choose where jobs go.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Mapping
from typing import Any

from .paths import OTHERS_MAY_ANYTHING, PRIVATE, cache_home, write_whole

# Bytes of the largest file that is read.
CAP = 64 * 1024 * 1024

# What others may not do with a file that is believed, in the bits of its mode.
OTHERS_MAY_WRITE = 0o022


def cache_file(name: str) -> str:
    """The path of a file of this name in the user's cache."""
    return os.path.join(cache_home(), name)


def read_private(path: str) -> Any:
    """The data of the file; None if there is none that can be believed. Raises nothing."""
    try:
        if not _is_private(os.path.dirname(path)):
            return None
        # A link is not followed, and a pipe does not keep us waiting.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags), "rb") as file:
            if not _is_believed(os.fstat(file.fileno())):
                return None
            return json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return None


def read_rows(path: str, file_format: int, name: str) -> dict[str, Any]:
    """The rows that the file has under this name; none if it is of another format, or is not what
    it should be. Raises nothing.

    What a row is, who asks has to look at.
    """
    data = read_private(path)
    try:
        if data["format"] != file_format:
            return {}
        return dict(data[name].items())
    except (TypeError, KeyError, AttributeError):
        return {}


def write_private(path: str, data: Mapping[str, Any]) -> None:
    """Write the file whole. Raises nothing.

    A full or read-only disk costs the next playbook some time, and nothing else.
    """
    folder = os.path.dirname(path)
    with contextlib.suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if _is_private(folder):
            write_whole(path, json.dumps(data).encode(), PRIVATE)


def _is_private(path: str) -> bool:
    """Whether it is a real folder of ours, no link, that nobody else may look into."""
    info = os.lstat(path)
    return (
        stat.S_ISDIR(info.st_mode)
        and info.st_uid == os.geteuid()
        and not info.st_mode & OTHERS_MAY_ANYTHING
    )


def _is_believed(info: os.stat_result) -> bool:
    """Whether it is a real file of ours that nobody else may write, and not endless."""
    return (
        stat.S_ISREG(info.st_mode)
        and info.st_uid == os.geteuid()
        and not info.st_mode & OTHERS_MAY_WRITE
        and info.st_size <= CAP
    )
