# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small JSON files of one user that may be deleted at any time: whole or not there, and believed
only if nobody else can write them.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from typing import Any

# Bytes.
CAP = 64 * 1024 * 1024


def cache_file(name: str) -> str:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return os.path.join(
        base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "distributed-gummy", name
    )


def read_private(path: str) -> Any:
    """The data of the file; None if there is none that can be believed. Raises nothing."""
    try:
        if not _is_private(os.path.dirname(path)):
            return None
        with os.fdopen(
            os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb"
        ) as file:
            info = os.fstat(file.fileno())
            if (
                not stat.S_ISREG(info.st_mode)
                or info.st_uid != os.geteuid()
                or info.st_mode & 0o022
                or info.st_size > CAP
            ):
                return None
            return json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return None


def write_private(path: str, data: Mapping[str, Any]) -> None:
    """Raises nothing: a full or read-only disk costs the next playbook some time, and nothing else."""
    folder, name = os.path.split(path)
    with contextlib.suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if not _is_private(folder):
            return
        descriptor, temporary = tempfile.mkstemp(prefix=f"{name.partition('.')[0]}.", dir=folder)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(data, file)
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _is_private(path: str) -> bool:
    """A real folder of ours that nobody else may look into: another user's, or a link, is not
    believed.
    """
    info = os.lstat(path)
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & 0o077
