# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What earlier calls of a run left, and what of it this call takes up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .._errors import InputError
from .._files.record import History, RunRecord
from .._fleet.ask import AttemptRow, ask_all_nodes, list_attempts
from .._fleet.fleet import Fleet
from .._input.request import Job, Request
from .._links.link import Link, LinkError
from .._node import wire
from .._schedule import messages as ev
from .engine import JobResult, job_row

# When the run is resumed, what ended before its agent began or for want of quota is taken up again,
# and a harvest that is still away; so is a lost job.
TAKEN_UP_AGAIN = frozenset(
    {"queue", "quota", "unreachable", "sync", "refused", "start", "input", "harvest"}
)
NOT_BEGUN = frozenset({"reserved", "claimed", "void"})


@dataclass
class ResumePlan:
    """again: jobs to be done; found: their attempts that may still run; rows: of the other jobs, by
    name; notes: sentences for people.
    """

    again: list[Job] = field(default_factory=list)
    found: list[ev.Found] = field(default_factory=list)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def take_up(request: Request, history: History, silent: Mapping[str, str]) -> ResumePlan:
    """silent: nodes that may hold jobs that the record does not know, with the reason why they
    can't be asked.
    """
    left = ResumePlan(notes=_edits(request.jobs, history))
    away = "; ".join(f"{node} ({reason})" for node, reason in silent.items())
    held_back = (
        f"no answer from {away}, which may have it: call the run again when it answers, or leave it out (--limit, gummy_nodes)"
        if silent
        else ""
    )
    # The newest that may have begun.
    tries: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for attempt, entry in history.attempts.items():
        if entry["state"] not in NOT_BEGUN:
            tries[str(entry.get("digest"))] = attempt, entry
    for job in request.jobs:
        ended = history.ended.get(job.digest())
        mine = tries.get(job.digest())
        status = None if ended is None else ended["status"]
        anew = request.only is not None and status not in (None, "success", "lost")
        if (
            ended is not None
            and status != "lost"
            and not anew
            and (ended["class"] not in TAKEN_UP_AGAIN or status == "success")
        ):
            left.rows[job.name] = {
                **{key: value for key, value in ended.items() if key not in ("kind", "at")},
                "name": job.name,
            }
        elif mine and not anew:
            # A silent node may have a newer attempt.
            left.again.append(replace(job, no_more=held_back))
            left.found.append(ev.Found(mine[0], job.name, str(mine[1]["node"])))
        elif request.only is not None and not anew:
            left.rows[job.name] = job_row(
                job,
                JobResult(
                    ev.Finish(
                        job.name, "waiting", None, "did not fail: left alone (gummy_only=failed)"
                    ),
                    None,
                ),
            )
        elif held_back and not anew:
            left.rows[job.name] = job_row(
                job, JobResult(ev.Finish(job.name, "lost", "lost", held_back), None)
            )
        else:
            left.again.append(job)
    return left


def _edits(jobs: Iterable[Job], history: History) -> list[str]:
    """What became of jobs that are not what they were."""
    notes = []
    names = set()
    for job in jobs:
        names.add(job.name)
        before = history.contents.get(job.name)
        if before is None or before == job.content():
            continue
        if history.digests.get(job.name) == job.digest():
            notes.append(
                f"{job.name} was edited, and its id says that it is the job it was: what ended or runs is kept"
            )
        else:
            notes.append(
                f"{job.name} was edited: it is a new job (an id would make it the one it was)"
            )
    gone = [name for name in history.digests if name not in names]
    return [
        *notes,
        *([f"no longer in the list, and left as they are: {', '.join(gone)}"] if gone else []),
    ]


def refuse_lost_record(request: Request, fleet: Fleet, controller: str) -> None:
    """A run of this name that is new here and not on the nodes had a record that is gone.

    Raises InputError; nothing has begun.
    """
    answers, _silent = _known_to_nodes(request, fleet)
    left = {
        node
        for node, rows in answers.items()
        for row in rows
        if row["controller"] == controller and not row["acknowledged"] and row["state"] != "void"
    }
    if left:
        message = f"run {request.run_id} has jobs on {', '.join(sorted(left))} that its record, which may have been deleted, knows nothing of"
        raise InputError(
            [f"{message}: take them over with gummy_adopt=true, or give another gummy_run_id"]
        )


def _known_to_nodes(
    request: Request, fleet: Fleet
) -> tuple[dict[str, list[AttemptRow]], dict[str, str]]:
    return ask_all_nodes(
        fleet, lambda node, link: list_attempts(node, link, {"run_id": request.run_id})
    )


def _told(link: Link, request: wire.AdoptRequest) -> None:
    reply = link.call("adopt", request)
    if reply["state"] != "adopted":
        raise LinkError(str(reply.get("message", reply)), "reply")


def adopt_run(request: Request, record: RunRecord, fleet: Fleet, controller: str) -> dict[str, str]:
    """`gummy_adopt`: the nodes take this controller for the run's, and what they know of it comes
    into the record.

    Returns the nodes that gave no answer, with the reason; the record keeps their names, and the
    next call asks them again. Raises InputError.
    """
    answers, silent = _known_to_nodes(request, fleet)
    rows = sorted(
        (row for found in answers.values() for row in found), key=lambda row: row["begun_at"] or 0.0
    )
    uids = {uid_of(row): None for row in rows if not row["acknowledged"]} or dict.fromkeys(
        map(uid_of, rows[-1:])
    )
    if len(uids) > 1:
        known = ", ".join(
            sorted(
                {
                    f"{row['controller']}'s on {row['node']}"
                    for row in rows
                    if not row["acknowledged"]
                }
            )
        )
        raise InputError(
            [
                f"several runs are called {request.run_id} ({known}): bring all but one home first (harvest -e gummy_job=ID)"
            ]
        )
    record.uid = next(iter(uids), record.uid)
    record.append("takeover", silent=["those that were not asked yet"])
    adopt: wire.AdoptRequest = {
        "uid": record.uid,
        "run_id": request.run_id,
        "controller": controller,
    }
    silent |= ask_all_nodes(fleet, lambda _node, link: _told(link, adopt), without=silent)[1]
    # What the first controller began between the first answer and the adoption.
    answers, again = _known_to_nodes(request, fleet)
    silent |= again
    for row in sorted(
        (row for found in answers.values() for row in found), key=lambda row: row["begun_at"] or 0.0
    ):
        if uid_of(row) == record.uid and row["attempt"] not in record.history.attempts:
            entry = {
                "job": row["job"],
                "node": row["node"],
                "state": "sent",
                "store": row["store"],
                "digest": row["digest"],
                "why": "taken over",
            }
            record.append("attempt", attempt=row["attempt"], **entry)
    record.append("takeover", silent=sorted(silent))
    return silent


def uid_of(row: Mapping[str, Any]) -> str:
    return str(row["attempt"]).rpartition("-")[0]
