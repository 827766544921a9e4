# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`logs`: what the agents of attempts have printed."""

from __future__ import annotations

from collections.abc import Callable

from .._fleet.fleet import Fleet
from .find_attempts import AttemptsDocument, attempts_document, find_attempts
from .read_log import read_log


def logs(
    fleet: Fleet, job: str | None, run_id: str | None, show_line: Callable[[str], None]
) -> AttemptsDocument:
    """Show the log of every attempt that is asked for, line by line under a head of its own.

    job, run_id: as in find_attempts, whose InputError it raises. It fails if a log could not be
    read to its end; what came of it is shown, and so are the others.
    """
    rows, silent = find_attempts(fleet, job, run_id)
    failed = False
    for row in rows:
        show_line(
            f"== {row['run_id']}/{row['job']} on {row['node']}, "
            f"attempt {row['attempt']}, {row['state']}"
        )
        log = read_log(row)
        for line in log.text.splitlines():
            show_line(line)
        if log.message:
            row["message"] = log.message
            show_line(f"({log.message})")
        failed = failed or not log.is_whole
    return attempts_document("logs", rows, silent, failed=failed)
