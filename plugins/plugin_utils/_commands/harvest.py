# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`harvest`: brings the work of ended attempts home, from whatever controller."""

from __future__ import annotations

from dataclasses import replace

from .._errors import BadValue
from .._files.paths import NAME
from .._files.record import RunRecord, controller_id
from .._fleet.ask import AttemptRow
from .._fleet.fleet import Fleet
from .._links.link import LinkError
from .._links.signatures import UNSIGNED, WRONG, judge
from .._project.bring_home import BranchWish, bring_home, deliver
from .._project.harvest_files import HarvestLimit, size_of
from .._project.self_running import describe_self_running
from .._project.sync import TransferError
from .find_attempts import AttemptsDocument, ask_about, attempts_document, find_attempts

# So many times the limit of one harvest comes home in one call from a node whose attempts this
# controller has no record of: it could make up any number of them.
TOLD_MOST = 10

# What people should know of the signature of an end, by its verdict.
SIGNATURES = {"wrong": WRONG, "unsigned": UNSIGNED}


def harvest(
    fleet: Fleet, job: str | None, run_id: str | None, limit: int | None = None
) -> AttemptsDocument:
    """Fetch the harvest of what has ended into the folder of its run, and acknowledge it.

    job, run_id: as in find_attempts, whose InputError it raises. limit: bytes of one harvest; by
    default what the config says.

    Of an attempt that this controller has no record of only its node says whose it is: its harvest
    gets a folder of its own, `told-by/NODE` in the run's, and no branch is made of it.

    It fails if a harvest could not be brought home; why stands in the attempt's row.
    """
    rows, silent = find_attempts(fleet, job, run_id)
    controller = controller_id()
    most = HarvestLimit(limit or fleet.config.harvest_limit)
    # What each node has filled this controller's disk with, by its own word alone.
    taken: dict[str, int] = {}
    for row in rows:
        if not row["told"]:
            _harvest(row, controller, most)
            continue
        node = row["node"]
        left = TOLD_MOST * most.bytes - taken.get(node, 0)
        _harvest(row, controller, replace(most, bytes=max(0, min(most.bytes, left))))
        folder = row.get("folder")
        if folder:
            taken[node] = taken.get(node, 0) + size_of(folder)

    failed = any(row.get("folder", "") is None for row in rows)
    return attempts_document("harvest", rows, silent, failed=failed)


def _harvest(row: AttemptRow, controller: str, limit: HarvestLimit) -> None:
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
    named_well = all(
        NAME.fullmatch(str(name)) for name in (row["run_id"], row["job"], row["attempt"])
    )
    if row["state"] == "ended" and named_well:
        row["folder"], row["message"] = _bring_home(row, controller, limit, again)


def _bring_home(
    row: AttemptRow, controller: str, limit: HarvestLimit, again: bool
) -> tuple[str | None, str]:
    """The folder of the harvest, None if it is not there, and what a person should know of it.

    again: it was just made anew, so one that is here already does not count.
    """
    record = RunRecord(row["run_id"])
    teller = row["node"] if row["told"] else None
    try:
        if record.fetched(row["job"], teller) == row["attempt"] and not again:
            return _fetched_before(record, row)
        key = None if row["told"] else record.key_of(row["attempt"])
        row["signature"] = judge(row["ended"] or {}, row["attempt"], key)
        wish, unwished = _wish_of(record, row)
        home = bring_home(
            record,
            row["link"],
            row["attempt"],
            row["job"],
            result=row["ended"] or {},
            wish=wish,
            acknowledge_as=controller,
            limit=limit,
            teller=teller,
        )
    except (LinkError, TransferError, BadValue) as exc:
        return None, str(exc)
    finally:
        record.close()
    words = (
        home.describe(),
        unwished,
        SIGNATURES.get(row["signature"] or "", ""),
        describe_self_running(home.self_running),
    )
    return home.folder, "; ".join(filter(None, words))


def _fetched_before(record: RunRecord, row: AttemptRow) -> tuple[str, str]:
    """A harvest that is at home already: only a branch that could not be made is tried again."""
    folder = record.job_folder(row["job"], row["node"] if row["told"] else None)
    undelivered = not row["told"] and any(
        end.get("job") == row["job"] and end.get("class") == "deliver"
        for end in record.history.ended.values()
    )
    if not undelivered:
        return folder, "fetched before"

    wish, unwished = _wish_of(record, row)
    home = deliver(record, folder, row["job"], result=row["ended"] or {}, wish=wish)
    return folder, "; ".join(filter(None, ("fetched before", home.describe(), unwished)))


def _wish_of(record: RunRecord, row: AttemptRow) -> tuple[BranchWish | None, str]:
    """The branch that was asked for, by this controller's own record, or why none is made.

    What the node says of it counts nothing: it would choose where git runs, and what it makes.
    """
    entry = record.history.attempts.get(row["attempt"])
    if row["told"] or entry is None:
        return None, f"told by the node: this controller has no record of attempt {row['attempt']}"

    order = entry.get("branch")
    if order is not None:
        return BranchWish(order["project"], order["title"], entry.get("base")), ""
    if row.get("deliver") == "branch":
        return None, "no branch is made: the record of the run does not say of what and where"
    return None, ""
