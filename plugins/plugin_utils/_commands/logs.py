# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`logs`: what the agents of attempts have printed."""

from __future__ import annotations

from .._fleet.fleet import Fleet
from .._links.reader import clean_lines
from .find_attempts import AttemptsDocument, attempts_document, find_attempts
from .read_log import read_log

# How many characters of all logs together are told; of each the end is what counts.
LOGS_MOST = 32 * 1024 * 1024


def logs(fleet: Fleet, job: str | None, run_id: str | None) -> AttemptsDocument:
    """The log of every attempt that is asked for.

    job, run_id: as in find_attempts, whose InputError it raises. It fails if a log could not be
    read to its end; what came of it is told, and so are the others.
    """
    rows, silent = find_attempts(fleet, job, run_id)
    failed = False
    most = LOGS_MOST // len(rows)
    for row in rows:
        log = read_log(row)
        row["log"] = clean_lines(log.text)[-most:]
        if log.message:
            row["message"] = log.message
        failed = failed or not log.is_whole
    return attempts_document("logs", rows, silent, failed=failed)
