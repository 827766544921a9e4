# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`logs`: what the agents of attempts have printed."""

from __future__ import annotations

from .._fleet.ask import AttemptRow
from .._fleet.fleet import Fleet
from .._links.link import LinkError
from .._links.reader import clean_lines
from .find_attempts import AttemptsDocument, attempts_document, find_attempts

# How long a node may take to send one log, in seconds.
LOG_SECONDS = 120.0
# How many characters of all logs together are told; of each the end is what counts.
LOGS_MOST = 32 * 1024 * 1024


def logs(fleet: Fleet, job: str | None, run_id: str | None) -> AttemptsDocument:
    """The log of every attempt that is asked for.

    job, run_id: as in find_attempts, whose InputError it raises. It fails if a log could not be
    read to its end; the others are told nevertheless.
    """
    rows, silent = find_attempts(fleet, job, run_id)
    failed = False
    for row in rows:
        try:
            row["log"] = _read(row, LOGS_MOST // len(rows))
        except LinkError as exc:
            failed = True
            row["message"] = str(exc)
    return attempts_document("logs", rows, silent, failed=failed)


def _read(row: AttemptRow, most: int) -> str:
    """The whole log of an attempt, or its last `most` characters. Raises LinkError."""
    replies = row["link"].stream("logs", {"attempt": row["attempt"]}, LOG_SECONDS)
    return clean_lines("".join(reply["text"] for reply in replies if reply["state"] == "log"))[
        -most:
    ]
