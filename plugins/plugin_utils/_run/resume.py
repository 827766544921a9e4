# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What earlier calls of a run left, and what of it this call takes up.

The record on the controller knows which attempts may have begun. Where it is gone, or another
controller's, the nodes are asked: `gummy_adopt` makes this controller the one that drives the run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .._errors import InputError
from .._files.paths import NAME
from .._files.record import History, RunRecord
from .._fleet.ask import (
    LIST_SECONDS,
    AttemptRow,
    all_replies,
    ask_all_nodes,
    list_attempts,
)
from .._fleet.fleet import Fleet
from .._input.request import Job, Request
from .._links.link import Link, LinkError
from .._node import wire
from .._schedule import messages as ev
from .results import JobResult, JobRow, job_row

# Classes of failure after which a resumed run takes the job up again: its agent never began, it
# ended for want of quota or of a login, or its harvest is still away. (So does a lost job, which
# has no class of its own here: its status says it.)
TAKEN_UP_AGAIN = frozenset(
    {"queue", "quota", "login", "unreachable", "sync", "refused", "start", "input", "harvest"}
)

# States of the record in which an attempt has certainly not begun.
NOT_BEGUN = frozenset({"reserved", "claimed", "void"})

# What the journal adds to a job's row.
OF_THE_JOURNAL = frozenset({"kind", "at"})


@dataclass
class ResumePlan:
    """What this call of the run does."""

    # The jobs that it does, or goes on with.
    to_do: list[Job] = field(default_factory=list)

    # Attempts of these jobs that may have started.
    found: list[ev.Found] = field(default_factory=list)

    # The rows of the other jobs, by name.
    rows: dict[str, JobRow | dict[str, Any]] = field(default_factory=dict)

    # Sentences for people.
    notes: list[str] = field(default_factory=list)


def take_up(request: Request, history: History, silent: Mapping[str, str]) -> ResumePlan:
    """What of the request's jobs is to be done, and what is left as it is.

    silent: nodes that may hold jobs that the record does not know -> why they can't be asked.
    """
    plan = ResumePlan(notes=_notes_about_edits(request.jobs, history))
    may_have_begun = _newest_that_may_have_begun(history)
    held_back = _why_held_back(silent)

    for job in request.jobs:
        end = history.ended.get(job.digest())
        attempt = may_have_begun.get(job.digest())

        if request.only is not None and _did_fail(end):
            # It was asked for as a new attempt, whatever became of the last one.
            plan.to_do.append(job)
        elif end is not None and _stays_ended(end):
            plan.rows[job.name] = _row_of_the_journal(end, job.name)
        elif attempt is not None:
            # A silent node may have a newer attempt, so the job gets no further one.
            agent = attempt.agent if attempt.agent in job.choices else job.agent
            plan.to_do.append(replace(job, no_more=held_back, agent=agent))
            plan.found.append(ev.Found(attempt.id, job.name, attempt.node))
        elif request.only is not None:
            message = "did not fail: left alone (gummy_only=failed)"
            plan.rows[job.name] = job_row(job, JobResult("waiting", None, message))
        elif held_back:
            plan.rows[job.name] = job_row(job, JobResult("lost", "lost", held_back))
        else:
            plan.to_do.append(job)
    return plan


@dataclass(frozen=True)
class _EarlierAttempt:
    id: str
    node: str
    # The agent that does it; blank: the record does not say it.
    agent: str


def _newest_that_may_have_begun(history: History) -> dict[str, _EarlierAttempt]:
    """By the digest of the job."""
    newest = {}
    for attempt, entry in history.attempts.items():
        if entry["state"] not in NOT_BEGUN:
            newest[str(entry.get("digest"))] = _EarlierAttempt(
                attempt, str(entry["node"]), str(entry.get("agent") or "")
            )
    return newest


def _why_held_back(silent: Mapping[str, str]) -> str:
    """Why a job that the record does not know is not begun; blank: it is."""
    if not silent:
        return ""
    away = "; ".join(f"{node} ({reason})" for node, reason in silent.items())
    return (
        f"no answer from {away}, which may have it: call the run again when it answers, or leave "
        "it out (--limit, gummy_nodes)"
    )


def _did_fail(end: Mapping[str, Any] | None) -> bool:
    return end is not None and end["status"] not in ("success", "lost")


def _stays_ended(end: Mapping[str, Any]) -> bool:
    """Whether a job that ended is left as it is; the class of its failure decides."""
    if end["status"] == "success":
        return True
    if end["status"] == "lost":
        return False
    if end["class"] == "budget":
        # It was not begun for want of a budget of the run or of the day; else it has met its own.
        return bool(end["attempts"])
    return end["class"] not in TAKEN_UP_AGAIN


def _row_of_the_journal(end: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The row as it was written then, under the name that the job has now."""
    row = {key: value for key, value in end.items() if key not in OF_THE_JOURNAL}
    return {**row, "name": name}


def _notes_about_edits(jobs: Iterable[Job], history: History) -> list[str]:
    """What became of jobs that are not what they were."""
    notes = []
    names = set()
    for job in jobs:
        names.add(job.name)
        content_before = history.contents.get(job.name)
        if content_before is None or content_before == job.content():
            continue

        if history.digests.get(job.name) == job.digest():
            notes.append(
                f"{job.name} was edited, and its id says that it is the job it was: what ended or "
                "runs is kept"
            )
        else:
            notes.append(
                f"{job.name} was edited: it is a new job (an id would make it the one it was)"
            )

    gone = [name for name in history.digests if name not in names]
    if gone:
        notes.append(f"no longer in the list, and left as they are: {', '.join(gone)}")
    return notes


# -- where what may have begun is now


def relocate(plan: ResumePlan, history: History, fleet: Fleet, uid: str) -> None:
    """Follow each attempt that may have begun to the name that its node has now.

    A node is its store, whatever of its name, its address or its place in the inventory has
    changed. Only where the name does not lead there any more, all candidates are asked.
    """
    stores = {event.attempt: history.attempts[event.attempt].get("store") for event in plan.found}
    named = {event.node for event in plan.found}
    told = _attempts_told(fleet, uid, without=fleet.candidates.keys() - named)
    if all(_is_there(told, event.node, stores[event.attempt]) for event in plan.found):
        return

    told |= _attempts_told(fleet, uid, without=named)
    for number, event in enumerate(plan.found):
        store = stores[event.attempt]
        if store is None or _is_there(told, event.node, store):
            continue
        for name, (answering, attempts) in told.items():
            if answering == store and event.attempt in attempts:
                plan.found[number] = replace(event, node=name)
                plan.notes.append(f"{event.job}: what was {event.node} is called {name} now")
                break


# Name of a node -> its store, and the ids of the run's attempts that it has.
Told = dict[str, tuple[object, frozenset[str]]]


def _is_there(told: Told, node: str, store: object) -> bool:
    return node in told and store in (None, told[node][0])


def _attempts_told(fleet: Fleet, uid: str, without: Collection[str]) -> Told:
    """What the candidates tell of the run, but for those without and those that are away."""

    def question(_name: str, link: Link) -> tuple[object, frozenset[str]]:
        stream = link.stream("list", {"prefix": f"{uid}-"}, LIST_SECONDS)
        *rows, last = all_replies(link, stream, last="listed")
        return last.get("store"), frozenset(str(row.get("attempt")) for row in rows)

    away = {name for name, node in fleet.candidates.items() if node.state == "unreachable"}
    return ask_all_nodes(fleet, question, without={*without, *away}, only_looks=True)[0]


# -- what the nodes know of the run


def refuse_lost_record(request: Request, fleet: Fleet, controller: str) -> None:
    """Refuse a run that is new here and not on the nodes: its record is gone.

    Raises InputError; nothing has begun.
    """
    answers, _silent = _list_of_all(request, fleet)
    holders = {
        node
        for node, rows in answers.items()
        for row in rows
        if row["controller"] == controller and not row["acknowledged"] and row["state"] != "void"
    }
    if holders:
        problem = (
            f"run {request.run_id} has jobs on {', '.join(sorted(holders))} that its record, which "
            "may have been deleted, knows nothing of: take them over with gummy_adopt=true, or "
            "give another gummy_run_id"
        )
        raise InputError([problem])


def adopt_run(request: Request, record: RunRecord, fleet: Fleet, controller: str) -> dict[str, str]:
    """Make this controller the one that drives the run, and write down what the nodes know of it.

    Returns the nodes that gave no answer -> why. The record keeps their names, and the next call
    asks them again. Raises InputError.
    """
    answers, silent = _list_of_all(request, fleet)
    uid = _uid_of_the_run(request.run_id, _by_begin(answers), ours=record.history.uid)
    record.uid = uid or record.uid

    # If this call ends in the middle, the next one must not take any node for asked.
    record.append("takeover", silent=["those that were not asked yet"])
    silent |= _tell_all(request, record.uid, fleet, controller=controller, without=silent)

    # The first controller may have begun something before it was told that it is out.
    answers, silent_now = _list_of_all(request, fleet)
    silent |= silent_now
    silent |= _nodes_that_contradict(answers)
    for row in _by_begin(answers):
        is_of_the_run = _uid_of(row) == record.uid and row["node"] not in silent
        if is_of_the_run and _may_be_adopted(row, record.history, answers):
            record.append(
                "attempt",
                attempt=row["attempt"],
                job=row["job"],
                node=row["node"],
                state="sent",
                store=row["store"],
                digest=row["digest"],
                agent=row.get("agent"),
                why="taken over",
                adopted=True,
            )

    record.append("takeover", silent=sorted(silent))
    return silent


def _nodes_that_contradict(answers: Mapping[str, list[AttemptRow]]) -> dict[str, str]:
    """Nodes of different stores that say they have the same attempt -> what is wrong with them.

    One of them does not tell the truth, and which one it is can't be told.
    """
    tellers: dict[str, dict[object, str]] = {}
    for node, rows in answers.items():
        for row in rows:
            tellers.setdefault(row["attempt"], {}).setdefault(row.get("store"), node)
    reasons: dict[str, str] = {}
    for attempt, nodes in tellers.items():
        if len(nodes) > 1:
            reason = f"{' and '.join(nodes.values())} both say that they have attempt {attempt}"
            reasons |= dict.fromkeys(nodes.values(), reason)
    return reasons


def _may_be_adopted(
    row: AttemptRow, history: History, answers: Mapping[str, list[AttemptRow]]
) -> bool:
    """Whether an attempt that a node tells is taken into the record.

    It decides its job's fate then. So it takes the place of no attempt that this controller made
    itself, unless that one's own node says that it is over and left its job to be done again.
    """
    if row["attempt"] in history.attempts:
        return False
    told = {
        (each["attempt"], each.get("store")): each for listed in answers.values() for each in listed
    }
    for attempt, entry in history.attempts.items():
        is_ours = not entry.get("adopted") and entry["state"] not in NOT_BEGUN
        if not is_ours or entry.get("digest") != row["digest"]:
            continue
        own = told.get((attempt, entry.get("store")))
        if own is None:
            # Its node has forgotten it: it was brought home. If the node is silent, who knows.
            if entry["node"] not in answers:
                return False
        elif not _left_its_job(own):
            return False
    return True


def _left_its_job(row: AttemptRow) -> bool:
    """Whether another attempt may have followed this one."""
    ended = row["ended"]
    if row["state"] == "ended" and ended is not None:
        return ended.get("class") is not None or not ended.get("proof")
    return row["state"] == "void"


def _list_of_all(
    request: Request, fleet: Fleet
) -> tuple[dict[str, list[AttemptRow]], dict[str, str]]:
    """By node, what it knows of the run, and why others gave no answer."""

    def question(node: str, link: Link) -> list[AttemptRow]:
        rows = list_attempts(node, link, {"run_id": request.run_id})
        return [row for row in rows if _has_good_names(row)]

    return ask_all_nodes(fleet, question)


def _has_good_names(row: AttemptRow) -> bool:
    """Whether what is written to the record of a row is what it should be."""
    names = (row["attempt"], row["job"])
    return (
        all(isinstance(name, str) and NAME.fullmatch(name) for name in names)
        and bool(_uid_of(row))
        and isinstance(row["digest"], str | None)
        and isinstance(row["begun_at"], float | int | None)
    )


def _tell_all(
    request: Request, uid: str, fleet: Fleet, *, controller: str, without: Mapping[str, str]
) -> dict[str, str]:
    """Tell the nodes who drives the run from now on; why some could not be told."""
    adopt: wire.AdoptRequest = {"uid": uid, "run_id": request.run_id, "controller": controller}

    def question(_node: str, link: Link) -> None:
        reply = link.call("adopt", adopt)
        if reply["state"] != "adopted":
            raise LinkError(str(reply.get("message", reply)), "reply")

    _answers, silent = ask_all_nodes(fleet, question, without=without)
    return silent


def _by_begin(answers: Mapping[str, list[AttemptRow]]) -> list[AttemptRow]:
    """All rows, those that began first first."""
    rows = [row for rows_of_node in answers.values() for row in rows_of_node]
    return sorted(rows, key=lambda row: row["begun_at"] or 0.0)


def _uid_of_the_run(run_id: str, rows: list[AttemptRow], *, ours: str = "") -> str | None:
    """The uid under which the nodes know the run; None: they do not know it.

    ours: the one that this controller's record has; blank: it has none. It counts before what any
    node makes up.

    Several controllers may have called a run so. Of those whose every harvest is at home the newest
    is taken. Raises InputError if several are left.
    """
    unfinished = [row for row in rows if not row["acknowledged"]]
    uids = {_uid_of(row) for row in unfinished}
    if ours in uids:
        return ours
    if len(uids) > 1:
        known = sorted({f"{row['controller']}'s on {row['node']}" for row in unfinished})
        problem = (
            f"several runs are called {run_id} ({', '.join(known)}): bring all but one home first "
            "(harvest -e gummy_job=ID)"
        )
        raise InputError([problem])

    if uids:
        return uids.pop()
    if rows:
        return _uid_of(rows[-1])
    return None


def _uid_of(row: AttemptRow) -> str:
    """An attempt's id begins with the uid of its run."""
    return str(row["attempt"]).rpartition("-")[0]
