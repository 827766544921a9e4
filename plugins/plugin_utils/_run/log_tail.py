# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a failed job's log, as a person reads it."""

from __future__ import annotations

from .._files.run_files import end_of_log
from .._show.agent_events import readable_log
from .._show.text import fit

# How many lines are told, how many columns each may have, and of how many bytes they are.
LINES_MOST = 15
COLUMNS_MOST = 200
BYTES_MOST = 1 << 16


def log_tail(folder: str, agent: str, failure: str | None) -> tuple[str, ...]:
    """The last lines of the log in a job's folder; none if there is none that can be read.

    failure: the job's class: of one whose setup failed it is that one's log.
    """
    lines = readable_log(agent, failure, end_of_log(folder, failure, BYTES_MOST))
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(fit(line, COLUMNS_MOST).rstrip() for line in lines[-LINES_MOST:])
