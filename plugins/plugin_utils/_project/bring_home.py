# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ended attempt's harvest comes home: fetched, kept in its run's folder, delivered as a branch.

The run and the command harvest do it in the same way. The run acknowledges many attempts together
and later, when the job's end is in its record; harvest acknowledges at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .._files.record import RunRecord
from .._links.link import Link
from .branch import DeliveredBranch, DeliverError, deliver_branch, describe_delivery
from .harvest_files import HarvestLimit, keep_known, remove_tree
from .home_patch import make_patch_at_home
from .self_running import NOTHING, SelfRunning, look_for_self_running
from .sync import RSYNC_SECONDS, fetch_harvest, unpack

# What is let in of a harvest where nobody says another limit.
USUAL_LIMIT = HarvestLimit()


@dataclass(frozen=True)
class BranchWish:
    """A branch that is asked for."""

    # Where the project lies on this controller; its repository gets the branch.
    project: str
    # The message of the commit that holds the job's work.
    title: str
    # The commit that this controller saw at HEAD when the project was sent; None: it does not know.
    base: str | None = None


@dataclass(frozen=True)
class BroughtHome:
    """A harvest that is at home, and what became of the branch that was asked for."""

    # The job's folder in the run's.
    folder: str
    # The branch; None if none was asked for, nothing has changed, or it could not be made.
    delivered: DeliveredBranch | None = None
    # Why the branch that was asked for could not be made; blank otherwise.
    undelivered: str = ""
    # What of the work runs by itself elsewhere.
    self_running: SelfRunning = NOTHING
    # What a person has to know of the patch, and of the agent's commits beside it.
    notes: tuple[str, ...] = ()
    # Whether people may be told to fetch those.
    offers_commits: bool = True

    def describe(self) -> str:
        """The branch, or why there is none, and the notes; blank if there is nothing to say."""
        branch = self.undelivered
        if self.delivered is not None:
            branch = describe_delivery(self.delivered)
        return "; ".join(filter(None, (branch, *self.notes)))


def bring_home(
    record: RunRecord,
    link: Link,
    attempt: str,
    job: str,
    *,
    result: Mapping[str, Any],
    files: Mapping[str, str] | None = None,
    wish: BranchWish | None = None,
    project: str | None = None,
    acknowledge_as: str | None = None,
    limit: HarvestLimit = USUAL_LIMIT,
    seconds: float = RSYNC_SECONDS,
    teller: str | None = None,
) -> BroughtHome:
    """Fetch the harvest of an ended attempt, keep it as the job's folder, and deliver it.

    record: of the attempt's run, opened by the caller; job: its name in the run; result: how the
    attempt ended, in the node's words; files: the harvest itself, as name -> content in base64, if
    it came with that word; wish: the branch that is to be made of it; project: where the job's
    project lies on this controller, by its own record; acknowledge_as: this controller's identity,
    if the node is to be told at once that the harvest is at home; limit: how much is let in;
    seconds: how long the fetch may take; teller: the node of whose word alone it is that run's, as
    for `RunRecord.job_folder`.

    Raises LinkError, TransferError, and BadValue for what is no name. A harvest that was kept may
    then still be on the node as well, for what is not acknowledged stays there: it can be brought
    home again.
    """
    # Before anything is fetched it is clear where it goes.
    record.job_folder(job, teller)
    fetched = record.fetch_folder(attempt)
    # A fetch that was interrupted left its own behind.
    remove_tree(fetched)
    sent = os.path.join(fetched, "sent")
    known = os.path.join(fetched, "known")
    os.makedirs(sent, mode=0o700)

    try:
        if not unpack(files, sent):
            fetch_harvest(link, attempt, sent, limit, seconds)
        keep_known(sent, known)
        folder = record.keep(job, known, attempt, teller)
    finally:
        remove_tree(fetched)

    if acknowledge_as is not None:
        link.call("ack", {"attempts": [attempt], "controller": acknowledge_as})
    return deliver(record, folder, job, result=result, wish=wish, project=project)


def deliver(
    record: RunRecord,
    folder: str,
    job: str,
    *,
    result: Mapping[str, Any],
    wish: BranchWish | None,
    project: str | None = None,
) -> BroughtHome:
    """Make the branch that is asked for of a harvest that is at home, and look at what came.

    Without a wish, and where the attempt left no harvest, there is no branch to make. project:
    where the patch is to fit. Raises nothing.
    """
    home = _make_branch(record, folder, job, result=result, wish=wish)
    if project is not None and isinstance(result.get("harvest"), Mapping):
        patch = make_patch_at_home(project, folder, result)
        known = home.delivered["note"] if home.delivered is not None else home.undelivered
        notes = tuple(note for note in patch.notes if note not in known)
        home = replace(home, notes=notes, offers_commits=patch.offers_commits)
    harvest = result.get("harvest")
    nested: Sequence[str] = ()
    if isinstance(harvest, Mapping):
        nested = harvest.get("nested") or ()
    found = look_for_self_running(
        folder,
        nested=nested,
        project=wish.project if wish is not None else None,
        delivered=home.delivered,
    )
    return replace(home, self_running=found)


def _make_branch(
    record: RunRecord,
    folder: str,
    job: str,
    *,
    result: Mapping[str, Any],
    wish: BranchWish | None,
) -> BroughtHome:
    harvest = result.get("harvest")
    if wish is None or not harvest or not isinstance(harvest, Mapping):
        return BroughtHome(folder)
    if wish.base is not None:
        # Where the branch begins, this controller knows better than the node.
        result = {**result, "base": wish.base, "harvest": {**harvest, "head": wish.base}}
    try:
        delivered = deliver_branch(
            wish.project, folder, result, run_id=record.run_id, job=job, title=wish.title
        )
    except DeliverError as exc:
        return BroughtHome(folder, undelivered=str(exc))
    return BroughtHome(folder, delivered)
