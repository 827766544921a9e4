# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening what a node may have put there: regular files and nothing else."""

from __future__ import annotations

import os
import stat
from typing import IO


def open_regular(path: str) -> IO[bytes] | None:
    """The file, open for reading; None for what is gone, is no file, or is a link to one."""
    # Without O_NONBLOCK a named pipe would hold us up for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")
