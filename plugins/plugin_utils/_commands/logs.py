# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`logs`: what the agents of attempts have printed."""

from __future__ import annotations

from collections.abc import Callable

from .._fleet.ask import AttemptRow
from .._fleet.fleet import Fleet
from .._links.link import LinkError
from .find_attempts import AttemptsDocument, attempts_document, find_attempts

# How long a node may take to send one log, in seconds.
LOG_SECONDS = 120.0


def logs(
    fleet: Fleet, job: str | None, run_id: str | None, show_line: Callable[[str], None]
) -> AttemptsDocument:
    """Show the log of every attempt that is asked for, line by line under a head of its own.

    job, run_id: as in find_attempts, whose InputError it raises. It fails if a log could not be
    read to its end; the others are shown nevertheless.
    """
    rows, silent = find_attempts(fleet, job, run_id)
    failed = False
    for row in rows:
        show_line(
            f"== {row['run_id']}/{row['job']} on {row['node']}, "
            f"attempt {row['attempt']}, {row['state']}"
        )
        try:
            text = _read(row)
        except LinkError as exc:
            failed = True
            row["message"] = str(exc)
            show_line(f"no log: {exc}")
            continue
        for line in text.splitlines():
            show_line(line)
    return attempts_document("logs", rows, silent, failed=failed)


def _read(row: AttemptRow) -> str:
    """The whole log of an attempt, for a line may lie across two pieces. Raises LinkError."""
    replies = row["link"].stream("logs", {"attempt": row["attempt"]}, LOG_SECONDS)
    return "".join(reply["text"] for reply in replies if reply["state"] == "log")
