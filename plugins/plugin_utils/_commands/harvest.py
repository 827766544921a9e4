# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`harvest`: brings the work of ended attempts home, from whatever controller."""

from __future__ import annotations

from .._files.paths import NAME
from .._files.record import RunRecord, controller_id
from .._fleet.ask import AttemptRow
from .._fleet.fleet import Fleet
from .._links.link import LinkError
from .._project.bring_home import BranchWish, bring_home, deliver
from .._project.sync import TransferError
from .find_attempts import AttemptsDocument, ask_about, attempts_document, find_attempts


def harvest(fleet: Fleet, job: str | None, run_id: str | None) -> AttemptsDocument:
    """Fetch the harvest of what has ended into the folder of its run, and acknowledge it.

    job, run_id: as in find_attempts, whose InputError it raises.

    It fails if a harvest could not be brought home; why stands in the attempt's row.
    """
    rows, silent = find_attempts(fleet, job, run_id)
    controller = controller_id()
    for row in rows:
        _harvest(row, controller)

    failed = any(row.get("folder", "") is None for row in rows)
    return attempts_document("harvest", rows, silent, failed=failed)


def _harvest(row: AttemptRow, controller: str) -> None:
    """Bring one attempt's harvest home if it has ended, and say in its row where it is now."""
    if row["state"] == "dead":
        # Who sees first that a supervisor died has the node make the harvest.
        ask_about(row, "fence")

    ended = row.get("ended")
    failure = ended.get("class") if ended else None
    again = row["state"] == "ended" and failure == "harvest"
    if again:
        # The harvest itself failed. What was in its way may be mended by now.
        ask_about(row, "harvest")

    # The names come from a node, and are to become paths here.
    named_well = all(NAME.fullmatch(str(name)) for name in (row["run_id"], row["job"]))
    if row["state"] == "ended" and named_well:
        row["folder"], row["message"] = _bring_home(row, controller, again)


def _bring_home(row: AttemptRow, controller: str, again: bool) -> tuple[str | None, str]:
    """The folder of the harvest, None if it is not there, and what a person should know of it.

    again: it was just made anew, so one that is here already does not count.
    """
    record = RunRecord(row["run_id"])
    try:
        if record.fetched(row["job"]) == row["attempt"] and not again:
            return _fetched_before(record, row, controller)
        home = bring_home(
            record,
            row["link"],
            row["attempt"],
            row["job"],
            result=row["ended"] or {},
            wish=_wish_of(row, controller),
            acknowledge_as=controller,
        )
    except (LinkError, TransferError) as exc:
        return None, str(exc)
    finally:
        record.close()
    return home.folder, home.describe()


def _fetched_before(record: RunRecord, row: AttemptRow, controller: str) -> tuple[str, str]:
    """A harvest that is at home already: only a branch that could not be made is tried again."""
    folder = record.job_folder(row["job"])
    undelivered = any(
        end.get("job") == row["job"] and end.get("class") == "deliver"
        for end in record.history.ended.values()
    )
    if not undelivered:
        return folder, "fetched before"

    wish = _wish_of(row, controller)
    home = deliver(record, folder, row["job"], result=row["ended"] or {}, wish=wish)
    return folder, "; ".join(filter(None, ("fetched before", home.describe())))


def _wish_of(row: AttemptRow, controller: str) -> BranchWish | None:
    """The branch that was asked for, if the project is this controller's own."""
    project = row.get("project_path")
    if row.get("deliver") != "branch" or row.get("controller") != controller or project is None:
        return None
    return BranchWish(project, row["title"] or row["job"])
