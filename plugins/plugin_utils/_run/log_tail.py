# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a failed job's log, as a person reads it."""

from __future__ import annotations

import os

from .._node.setup import LOG as SETUP_LOG
from .._show.agent_events import readable_lines
from .._show.text import fit

# How many lines are told, how many columns each may have, and of how many bytes they are.
LINES_MOST = 15
COLUMNS_MOST = 200
BYTES_MOST = 1 << 16


def log_tail(folder: str, agent: str, failure: str | None) -> tuple[str, ...]:
    """The last lines of the log in a job's folder; none if there is none that can be read.

    failure: the job's class: of one whose setup failed it is that one's log.
    """
    is_setup = failure == "setup"
    path = os.path.join(folder, SETUP_LOG if is_setup else "log")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            begin = max(0, os.fstat(file.fileno()).st_size - BYTES_MOST)
            file.seek(begin)
            data = file.read(BYTES_MOST)
    except OSError:
        return ()

    text = data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    if begin:
        # It is not known what the first line was.
        text = text.partition("\n")[2]
    lines = readable_lines("shell" if is_setup else agent, text)
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(fit(line, COLUMNS_MOST).rstrip() for line in lines[-LINES_MOST:])
