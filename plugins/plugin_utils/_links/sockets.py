# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the sockets of ssh's masters lie, so that calls and playbooks share a connection."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from functools import cache


@cache
def control_folder(memory: str, parent: str = "/tmp") -> str:
    """A private folder for ssh's sockets, whose name is short enough for them.

    A socket's path may have 104 bytes on macOS, so it lies where everybody may make folders. When
    somebody else holds the usual name, another one is made, once for all playbooks: `memory` is the
    path of a link in a folder of ours that leads to it.

    Raises OSError if none can be made.
    """
    usual = os.path.join(parent, f"gummy-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(usual, 0o700)
    if _is_ours(usual):
        return usual

    remembered = _remembered(memory, parent)
    if remembered is not None:
        return remembered
    made = tempfile.mkdtemp(prefix="gummy-", dir=parent)
    try:
        os.makedirs(os.path.dirname(memory), mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(memory)
        os.symlink(made, memory)
    except FileExistsError:
        # Another playbook was faster at this moment.
        os.rmdir(made)
        return _remembered(memory, parent) or tempfile.mkdtemp(prefix="gummy-", dir=parent)
    except OSError:
        # It can't be remembered, so it is shared within this process alone.
        pass
    return made


def _remembered(memory: str, parent: str) -> str | None:
    """Where the link leads, if that is a folder that was made here."""
    try:
        path = os.readlink(memory)
    except OSError:
        return None
    folder, name = os.path.split(path)
    return path if folder == parent and name.startswith("gummy-") and _is_ours(path) else None


def _is_ours(path: str) -> bool:
    """Whether it is a real folder of ours, no link, which nobody else may look into."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o077
