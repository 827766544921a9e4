# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`cancel`: ends what runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from .._files.record import ask_to_cancel
from .._fleet.ask import AttemptRow
from .._fleet.fleet import Fleet
from .find_attempts import AttemptsDocument, ask_about, attempts_document, find_attempts

# How many attempts are cancelled at the same time; each may take its node some seconds.
AT_ONCE = 32


def cancel(fleet: Fleet, job: str | None, run_id: str | None) -> AttemptsDocument:
    """End the attempts that are asked for, all at once.

    job, run_id: as in find_attempts, whose InputError it raises. A whole run is also kept from
    beginning anything more, if it is being driven by this controller.

    It fails where something may still run: a node gave no answer, or needs more time.
    """
    if run_id and not job:
        ask_to_cancel(run_id)

    rows, silent = find_attempts(fleet, job, run_id)
    living = [row for row in rows if row["state"] in ("running", "dead")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(_cancel, living))

    still_running = any(row["state"] == "running" for row in rows)
    return attempts_document("cancel", rows, silent, failed=bool(silent) or still_running)


def _cancel(row: AttemptRow) -> None:
    ask_about(row, "cancel")
