# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`harvest`: brings the work of ended attempts home, from whatever controller."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypedDict

from .._errors import BadValue
from .._files.costs import Ledger, cost_row, note_once
from .._files.paths import NAME
from .._files.record import RunFolder, RunRecord, controller_id
from .._fleet.ask import AttemptRow
from .._fleet.fleet import Fleet
from .._input.config import Config
from .._input.pricing import FREE, PRICING
from .._links.link import LinkError
from .._links.reader import clean_lines
from .._links.signatures import UNSIGNED, WRONG, judge
from .._project.bring_home import BranchWish, bring_home, deliver
from .._project.harvest_files import HarvestLimit, size_of
from .._project.self_running import PATCH
from .._project.sync import TransferError, fetch_harvest
from .find_attempts import AttemptsDocument, ask_about, attempts_document, find_attempts

# So many times the limit of one harvest comes home in one call from a node whose attempts this
# controller has no record of: it could make up any number of them.
TOLD_MOST = 10

# From how many nodes harvests come at once.
AT_ONCE = 64

# Beside a harvest, the name of the branch that this command could make of it at last.
DELIVERED = "delivered"

# How many bytes of a patch are shown as a difference.
DIFF_MOST = 1_000_000

# What people should know of the signature of an end, by its verdict.
SIGNATURES = {"wrong": WRONG, "unsigned": UNSIGNED}


class Difference(TypedDict):
    """A patch, as Ansible's callbacks show one."""

    # RUN/JOB in a line, then the patch, made harmless for a terminal.
    prepared: str


def harvest(
    fleet: Fleet,
    job: str | None,
    run_id: str | None,
    limit: int | None = None,
    *,
    check: bool = False,
) -> AttemptsDocument:
    """Fetch the harvest of what has ended into the folder of its run, and acknowledge it.

    job, run_id: as in find_attempts, whose InputError it raises. limit: bytes of one harvest; by
    default what the config says. check: only tell what would be fetched.

    Of an attempt that this controller has no record of only its node says whose it is: its harvest
    gets a folder of its own, `told-by/NODE` in the run's, and no branch is made of it.

    Nodes that bring theirs slowly hold up no others: those of one node come one after the other,
    and nodes at once.

    It fails if a harvest could not be brought home; why stands in the attempt's row.
    """
    return harvest_and_compare(fleet, job, run_id, limit, check=check)[0]


def harvest_and_compare(
    fleet: Fleet,
    job: str | None,
    run_id: str | None,
    limit: int | None = None,
    *,
    check: bool = False,
    compare: bool = False,
) -> tuple[AttemptsDocument, list[Difference]]:
    """`harvest`, and with `compare` the patches that it brings or would bring."""
    rows, silent = find_attempts(fleet, job, run_id)
    most = HarvestLimit(limit or fleet.config.harvest_limit)
    if check:
        _foresee_all(rows)
    else:
        _harvest_all(rows, most, fleet.config)
    differences = list(_differences(rows, most, check)) if compare else []
    failed = any(row.get("folder", "") is None for row in rows)
    return attempts_document("harvest", rows, silent, failed=failed, check=check), differences


def has_changed(document: AttemptsDocument) -> bool:
    """Whether something was fetched or made of it, or would be."""
    return any(row.get("fetched") for row in document["attempts"])


def _harvest_all(rows: Sequence[AttemptRow], most: HarvestLimit, config: Config) -> None:
    by_node = defaultdict[str, list[AttemptRow]](list)
    for row in rows:
        by_node[row["node"]].append(row)

    controller = controller_id()
    records = _OpenRecords()

    def harvest_node(rows: Sequence[AttemptRow]) -> None:
        _harvest_node(rows, controller, most, records, config)

    with ThreadPoolExecutor(min(AT_ONCE, len(by_node))) as pool:
        # What any of them raises is raised here, after the others are done.
        list(pool.map(harvest_node, by_node.values()))


class _OpenRecords:
    """The records of runs, each opened once for all threads that use it at that moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Run -> its record, and how many use it.
        self._open: dict[str, tuple[RunRecord, int]] = {}

    @contextlib.contextmanager
    def of(self, run_id: str) -> Iterator[RunRecord]:
        """Raises InputError for a run that another ansible-playbook drives."""
        with self._lock:
            record, users = self._open.get(run_id) or (RunRecord(run_id), 0)
            self._open[run_id] = (record, users + 1)
        try:
            yield record
        finally:
            with self._lock:
                record, users = self._open.pop(run_id)
                if users > 1:
                    self._open[run_id] = (record, users - 1)
                else:
                    record.close()


def _harvest_node(
    rows: Sequence[AttemptRow],
    controller: str,
    most: HarvestLimit,
    records: _OpenRecords,
    config: Config,
) -> None:
    """Bring the attempts of one node home, one after the other. It has a thread of its own."""
    # What the node has filled this controller's disk with, by its own word alone.
    taken = 0
    for row in rows:
        limit = most
        if row["told"]:
            left = TOLD_MOST * most.bytes - taken
            limit = replace(most, bytes=max(0, min(most.bytes, left)))

        _harvest(row, controller, limit, records, config)
        folder = row.get("folder")
        if row["told"] and folder:
            taken += _size_or_limit(folder, most)


def _size_or_limit(folder: str, most: HarvestLimit) -> int:
    """What can't be measured counts as much as there may be: a node may choose paths so long."""
    try:
        return size_of(folder)
    except OSError:
        return most.bytes


def _harvest(
    row: AttemptRow,
    controller: str,
    limit: HarvestLimit,
    records: _OpenRecords,
    config: Config,
) -> None:
    """Bring one attempt's harvest home if it has ended, and say in its row where it is now."""
    if row["state"] == "dead":
        # Who sees first that a supervisor died has the node make the harvest.
        ask_about(row, "fence")

    again = _has_failed(row)
    if again:
        # The harvest itself failed. What was in its way may be mended by now.
        ask_about(row, "harvest")

    if row["state"] == "ended" and _is_named_well(row):
        with records.of(row["run_id"]) as record:
            row["folder"], row["message"] = _bring_home(record, row, controller, limit, again)
            if row.get("fetched"):
                _note_cost(record, row, config)


def _has_failed(row: AttemptRow) -> bool:
    """Whether the attempt has ended and its node could not make the harvest."""
    ended = row.get("ended")
    return row["state"] == "ended" and ended is not None and ended.get("class") == "harvest"


def _is_named_well(row: AttemptRow) -> bool:
    """Whether the names, which come from a node, may become paths here."""
    return all(NAME.fullmatch(str(name)) for name in (row["run_id"], row["job"], row["attempt"]))


def _foresee_all(rows: Sequence[AttemptRow]) -> None:
    """Say in each row what would be fetched, and where to; nothing is asked or written."""
    # Each run's journal is read once, however many of its attempts there are.
    runs: dict[str, RunFolder] = {}
    for row in rows:
        if row["state"] not in ("dead", "ended") or not _is_named_well(row):
            continue
        run_id = row["run_id"]
        if run_id not in runs:
            runs[run_id] = RunFolder(run_id)
            runs[run_id].read()
        _foresee(row, runs[run_id])


def _foresee(row: AttemptRow, run: RunFolder) -> None:
    """The same for one attempt, of this run."""
    teller = row["node"] if row["told"] else None
    folder = run.job_folder(row["job"], teller)
    is_here = run.fetched(row["job"], teller) == row["attempt"]
    if row["state"] == "dead":
        message = "its supervisor died: its harvest would be made and fetched"
    elif _has_failed(row):
        message = "its harvest would be made anew and fetched"
    elif not is_here:
        message = "would be fetched"
    elif _is_undelivered(run, row):
        message = "fetched before; its branch would be made"
    else:
        row["folder"], row["message"] = folder, "fetched before"
        return
    row["fetched"], row["folder"], row["message"] = True, folder, message


def _differences(rows: list[AttemptRow], limit: HarvestLimit, check: bool) -> Iterator[Difference]:
    """The patches of what was fetched, or would be; of a check they come from the nodes."""
    for row in rows:
        folder = row.get("folder")
        if not row.get("fetched") or folder is None:
            continue
        # The harvest of one whose supervisor died, or that has failed, is not made yet.
        if check and (row["state"] == "dead" or _has_failed(row)):
            continue
        if check and not os.path.isdir(folder):
            with (
                contextlib.suppress(LinkError, TransferError, OSError),
                tempfile.TemporaryDirectory(prefix="gummy-check-") as there,
            ):
                fetch_harvest(row["link"], row["attempt"], there, limit)
                yield from _difference(row, there)
        else:
            yield from _difference(row, folder)


def _difference(row: AttemptRow, folder: str) -> Iterator[Difference]:
    path = os.path.join(folder, PATCH)
    if os.path.islink(path) or not os.path.isfile(path):
        return
    with open(path, encoding="utf-8", errors="backslashreplace") as file:
        text = file.read(DIFF_MOST)
    name = f"{row['run_id']}/{row['job']} on {row['node']}"
    yield {"prepared": f"{name}\n{clean_lines(text)}"}


def _bring_home(
    record: RunRecord, row: AttemptRow, controller: str, limit: HarvestLimit, again: bool
) -> tuple[str | None, str]:
    """The folder of the harvest, None if it is not there, and what a person should know of it.

    again: it was just made anew, so one that is here already does not count.
    """
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
            project=_project_of(record, row),
            acknowledge_as=controller,
            limit=limit,
            teller=teller,
        )
    except (LinkError, TransferError, BadValue, OSError) as exc:
        # An OSError may be the node's doing as well: it sends paths that are too long, say.
        return None, str(exc)
    row["fetched"] = True
    words = (
        home.describe(),
        unwished,
        SIGNATURES.get(row["signature"] or "", ""),
        home.self_running.describe(),
    )
    return home.folder, "; ".join(filter(None, words))


def _note_cost(record: RunRecord, row: AttemptRow, config: Config) -> None:
    """What it has cost counts today, if no call of its run has heard that it ended.

    Of what only a node calls a job of this run, another controller keeps account.
    """
    entry = record.history.attempts.get(row["attempt"])
    agent = str(row.get("agent"))
    if row["told"] or entry is None or PRICING.get(agent) == FREE:
        return
    cost = cost_row(
        row["attempt"],
        record.run_id,
        row["job"],
        row["node"],
        agent=agent,
        account=config.account_of(agent),
        project=_project_of(record, row),
        told=row["ended"] or {},
    )
    note_once(record, Ledger(), cost)


def _fetched_before(record: RunRecord, row: AttemptRow) -> tuple[str, str]:
    """A harvest that is at home already: only a branch that could not be made is tried again."""
    folder = record.job_folder(row["job"], row["node"] if row["told"] else None)
    if not _is_undelivered(record, row):
        return folder, "fetched before"

    wish, unwished = _wish_of(record, row)
    home = deliver(
        record,
        folder,
        row["job"],
        result=row["ended"] or {},
        wish=wish,
        project=_project_of(record, row),
    )
    if home.delivered is not None:
        row["fetched"] = True
        with open(os.path.join(folder, DELIVERED), "w", encoding="utf-8") as file:
            file.write(home.delivered["branch"] + "\n")
    words = ("fetched before", home.describe(), unwished, home.self_running.describe())
    return folder, "; ".join(filter(None, words))


def _is_undelivered(run: RunFolder, row: AttemptRow) -> bool:
    """Whether a branch of the job was asked for and could not be made, then and since."""
    return (
        not row["told"]
        and not os.path.exists(os.path.join(run.job_folder(row["job"]), DELIVERED))
        and any(
            end.get("job") == row["job"] and end.get("class") == "deliver"
            for end in run.history.ended.values()
        )
    )


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


def _project_of(record: RunRecord, row: AttemptRow) -> str | None:
    """Where the job's project lies here, by this controller's own record; None: it has none."""
    entry = record.history.attempts.get(row["attempt"])
    if row["told"] or entry is None:
        return None
    project = entry.get("project")
    return None if project is None else str(project)
