# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`cancel`: ends what runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from .._files.record import ask_to_cancel, is_driven
from .._fleet.ask import AttemptRow
from .._fleet.fleet import Fleet
from .find_attempts import AttemptsDocument, ask_about, attempts_document, find_attempts

# How many attempts are cancelled at the same time; each may take its node some seconds.
AT_ONCE = 32


class CancelDocument(AttemptsDocument):
    """What `cancel` tells."""

    # Whether an engine of this controller drove the run, and was told to begin nothing more.
    stopped: bool


def cancel(
    fleet: Fleet, job: str | None, run_id: str | None, *, check: bool = False
) -> CancelDocument:
    """End the attempts that are asked for, all at once.

    job, run_id: as in find_attempts, whose InputError it raises. A whole run is also kept from
    beginning anything more, if it is being driven by this controller. check: only tell what would
    be ended.

    It fails where something may still run: a node gave no answer, or needs more time.
    """
    stops = bool(run_id) and not job and is_driven(str(run_id))
    if stops and not check:
        ask_to_cancel(str(run_id))

    rows, silent = find_attempts(fleet, job, run_id)
    living = [row for row in rows if row["state"] in ("running", "dead")]
    if check:
        for row in living:
            row["cancelled"] = True
    else:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(_cancel, living))

    still_running = not check and any(row["state"] == "running" for row in rows)
    document = attempts_document(
        "cancel", rows, silent, failed=bool(silent) or still_running, check=check
    )
    return {**document, "stopped": stops}


def _cancel(row: AttemptRow) -> None:
    ask_about(row, "cancel")
    # Of one that could not be asked the message says why.
    row["cancelled"] = "message" not in row and str(row["state"]) != "refused"


def has_changed(document: CancelDocument) -> bool:
    """Whether something was ended, or would be."""
    return document["stopped"] or any(row.get("cancelled") for row in document["attempts"])
