# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run from its request to its document, and the plan of one.

The steps of `run`, from top to bottom: read the projects, open the record, take up what earlier
calls left, say what is going to happen, let the engine drive, write the document.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypedDict

from .._errors import InputError
from .._files.costs import CostSummary, Ledger, summarize
from .._files.record import SCHEMA_VERSION, History, RunFolder, RunRecord, controller_id
from .._files.sessions import Sessions
from .._fleet.fleet import Fleet, with_load_or_reason
from .._fleet.settle import settled
from .._input.config import default_path
from .._input.each import missing
from .._input.notify import Notify
from .._input.origins import SettingRow
from .._input.pass_env import require_values
from .._input.request import Job, Request
from .._project.branch import check_branches
from .._project.conflicts import find_conflicts
from .._project.secrets import look_for_secrets_once, secret_warnings
from .._project.sync import Exclusions, check_rsync, exclusions, workspace_key
from .._project.unreadable import why_each_unreadable
from .._schedule.placement import Need, Node, rank
from .._schedule.plan import PlannedJob, plan_work
from .._show.printer import Printer
from .._show.text import how_many
from .engine import Engine
from .interrupt import cancel_if_we_die
from .notify import Notifier
from .onlooker import Onlooker
from .reports import add_tests, write_reports
from .requests import branch_orders, git_need_of, job_projects, placement_spec
from .results import JobResult, JobRow, NodeRow, describe_end, job_row
from .resume import ResumePlan, adopt_run, refuse_lost_record, relocate, take_up

# How many nodes are looked at together for a plan.
AT_ONCE = 64

Projects = Mapping[str, Exclusions]


class ReaderGone(Exception):
    """Nobody reads what the play prints: the call has left its jobs, and its record says so."""


class Work(TypedDict):
    """How much work a call of a run did."""

    # How long its agents worked, one after the other.
    work_seconds: float

    # How many times as fast the call was; None: fewer than two agents ended in it.
    times_as_fast: float | None


class RunDocument(Work):
    """What `run` tells, and what lies in run.json."""

    schema_version: int

    # The word run.
    kind: str

    # The run's name, its uid, and its folder on this controller.
    run_id: str
    uid: str
    folder: str

    # success, failed or unfinished; see `verdict`.
    status: str

    # Whether this call sent, started or fetched anything.
    changed: bool

    # Why the run failed though its jobs did not; None: it is not so.
    message: str | None

    # How this ansible-playbook was called, for what people are told to type.
    command: str

    # When it began, in Unix seconds, and how many seconds it took.
    begun_at: float
    seconds: float

    # This controller's identity.
    controller: str

    # Project -> paths in it that look like secrets and went to the nodes.
    secrets: Mapping[str, Sequence[str]]

    # In the order of the list.
    jobs: list[JobRow | dict[str, Any]]

    # Files that several jobs changed, as find_conflicts tells them.
    conflicts: list[Any]

    # The nodes that the run could use, by name.
    nodes: Mapping[str, NodeRow]

    # What all calls of the run have cost together, and what this controller has spent today.
    cost: CostSummary
    today_usd: float | None


class PlannedRow(PlannedJob, total=False):
    """A job in the plan."""

    # How an earlier call of the run left the job: its status, or running. Such a job is not placed
    # again: `node` is where it was, and `why` says what becomes of it.
    before: str


class ConfigFile(TypedDict):
    """The user's config file."""

    # Where it is, or would be.
    path: str | None

    # Whether there is one.
    exists: bool


class PlanDocument(TypedDict):
    """What `plan` tells."""

    schema_version: int

    # Twice the word plan.
    kind: str
    status: str

    # In the order of the list.
    jobs: list[PlannedJob | PlannedRow]

    # Machines that the inventory saw and made no host of: name and reason.
    left_out: list[dict[str, str]]

    # Where each setting came from: first those that somebody gave, then the defaults.
    settings: list[SettingRow]

    # The user's config file.
    config: ConfigFile

    # Sentences for people.
    notes: list[str]


def read_projects(request: Request) -> dict[str, Exclusions]:
    """Project -> what of it stays at home.

    Raises InputError, also where a branch is asked for that can't be.
    """
    check_branches(request.jobs)
    paths = {job.project for job in request.jobs if job.project is not None}
    return {path: exclusions(path, request.config.sync_exclude) for path in paths}


def run(
    request: Request,
    fleet: Fleet,
    printer: Printer,
    notify: Notify | None = None,
    *,
    verbose: bool = False,
) -> RunDocument:
    """Drive the run to its end. Raises InputError before anything is started, and ReaderGone.

    notify: whom it tells how it ended, and when it needs a person. verbose: whether what agents say
    is shown while they work.
    """
    notifier = Notifier(notify, request.run_id, printer.say)
    try:
        return _run(request, fleet, printer, notifier, verbose=verbose)
    finally:
        notifier.close()


def _run(
    request: Request, fleet: Fleet, printer: Printer, notifier: Notifier, *, verbose: bool
) -> RunDocument:
    projects = read_projects(request)
    record = RunRecord(request.run_id)
    try:
        document = _drive(
            request, fleet, record, projects, printer, notifier=notifier, verbose=verbose
        )
    except InputError:
        record.close()
        raise
    # The same task may call the run again, in a loop or by `retries`, and that is this process.
    # Of a call that left before the end, whose threads still write, the record stays open.
    record.close()
    return document


def _drive(
    request: Request,
    fleet: Fleet,
    record: RunRecord,
    projects: Mapping[str, Exclusions],
    printer: Printer,
    *,
    notifier: Notifier,
    verbose: bool,
) -> RunDocument:
    """The run with its record open. Raises InputError before anything is started, ReaderGone."""
    controller = controller_id()
    begun_at = time.time()

    resume = _take_up(request, fleet, record, controller)
    _introduce(request, fleet, record, resume=resume, projects=projects, printer=printer)
    failed = _fail_unreadable(projects, resume)
    # What goes to no node is looked at when it does.
    at_home = {row["project"] for row in failed}
    sent = {path: excluded for path, excluded in projects.items() if path not in at_home}
    if sent:
        check_rsync()
    secrets = _warn_of_secrets(request, sent, controller, printer)

    record.begin(
        {job.name: job.digest() for job in request.jobs},
        {job.name: job.content() for job in request.jobs},
        controller,
        branch_orders(request.jobs),
        projects=job_projects(request.jobs),
    )
    for row in failed:
        record.append("finish", **row)
        printer.event(row["name"], "place", "-", describe_end(row))
    nodes = settled(fleet, fleet.nodes, agents_of(resume.to_do))
    engine = Engine(
        request,
        _with_fallback_settled(fleet, nodes, resume.to_do),
        record,
        jobs=resume.to_do,
        nodes=[*nodes, *_nodes_that_are_gone(fleet, resume)],
        controller=controller,
        exclusions=projects,
        report=printer.event,
        onlooker=_onlooker(request, resume, printer, verbose=verbose),
        person_needed=notifier.person_needed,
    )
    say_over = _guard_against_our_death(request, fleet, record)
    own_rows = engine.run(resume.found)
    rows = {**resume.rows, **own_rows}
    if not engine.has_left:
        say_over()

    jobs = [rows[job.name] for job in request.jobs]
    tests = add_tests(jobs)
    statuses = {row["name"]: row["status"] for row in jobs}
    too_few = missing(request.jobs, statuses, request.min_nodes)
    seconds = round(time.time() - begun_at, 3)
    document: RunDocument = {
        "schema_version": SCHEMA_VERSION,
        "kind": "run",
        "run_id": request.run_id,
        "uid": record.uid,
        "folder": record.folder,
        "status": verdict(set(statuses.values()), bool(too_few)),
        "changed": engine.has_acted,
        "message": "; ".join(too_few) or None,
        "command": fleet.command,
        "begun_at": round(begun_at, 3),
        "seconds": seconds,
        **work_of(list(own_rows.values()), seconds),
        "controller": controller,
        "secrets": secrets,
        "jobs": jobs,
        "conflicts": find_conflicts(jobs),
        "nodes": engine.node_rows(),
        "cost": summarize(record.history.costs.values()),
        "today_usd": Ledger().cost_today()["cost_usd"],
    }
    if engine.has_left:
        document["message"] = "; ".join(["nobody reads stdout or stderr any more", *too_few])
    record.write("run.json", document)
    for problem in write_reports(record, document, tests):
        printer.say(problem)
    notifier.end(document, request.jobs)
    if engine.has_left:
        raise ReaderGone(_how_it_was_left(request, fleet))
    return document


def _onlooker(
    request: Request, resume: ResumePlan, printer: Printer, *, verbose: bool
) -> Onlooker | None:
    """Who looks on for people; None: they don't want to see anything."""
    if not request.progress:
        return None
    return Onlooker(len(resume.to_do), printer.stand, printer.say, verbose=verbose)


def _take_up(request: Request, fleet: Fleet, record: RunRecord, controller: str) -> ResumePlan:
    """What this call does, from the record and, where that is not enough, from the nodes."""
    if request.named and not request.adopt and not record.history.uid:
        refuse_lost_record(request, fleet, controller)

    silent: Mapping[str, str] = {}
    if request.adopt or record.history.silent:
        silent = adopt_run(request, record, fleet, controller)
    resume = take_up(request, record.history, silent)
    if resume.found:
        relocate(resume, record.history, fleet, record.uid)

    # What has begun has its values already.
    has_begun = {event.job for event in resume.found}
    require_values(job for job in resume.to_do if job.name not in has_begun)
    return resume


def _introduce(
    request: Request,
    fleet: Fleet,
    record: RunRecord,
    *,
    resume: ResumePlan,
    projects: Projects,
    printer: Printer,
) -> None:
    """Tell people what is going to happen, and first of all how to go on after an interruption."""
    jobs = len(request.jobs)
    run_id = request.run_id
    on_interrupt = "are cancelled" if request.on_interrupt == "cancel" else "go on"

    nodes = len(fleet.nodes)
    printer.say(f"run {run_id}: {how_many(jobs, 'job')}, {how_many(nodes, 'node')}")
    printer.say(f"if this is interrupted, the jobs {on_interrupt}; how to go on with it:")
    printer.say(f"  the same command with -e gummy_run_id={run_id}   (takes up what is left)")
    printer.say(f"  {fleet.command} distributed.gummy.logs -e gummy_run_id={run_id}")

    notes = _how_it_is_resumed(request, record.history, resume)
    for note in (*notes, *request.notes, *resume.notes):
        printer.say(note)
    for project, excluded in projects.items():
        printer.say(f"sync of {project} leaves out: {excluded.describe()}")
        for folder in excluded.outside:
            printer.say(f"sync of {project} takes along, as a part of its repository: {folder}")


def _fail_unreadable(projects: Projects, resume: ResumePlan) -> list[JobRow]:
    """The rows of jobs whose project this user can't read; they are taken from what is to be done.

    Nothing of them has begun, and no node is asked. Raises InputError.
    """
    reasons = why_each_unreadable(list(projects.values()), default_path())
    if not reasons:
        return []
    has_begun = {event.job for event in resume.found}
    jobs = [job for job in resume.to_do if job.project in reasons and job.name not in has_begun]
    rows = [job_row(job, JobResult("failed", "input", reasons[str(job.project)])) for job in jobs]
    resume.to_do = [job for job in resume.to_do if job not in jobs]
    resume.rows |= {row["name"]: row for row in rows}
    return rows


def _how_it_is_resumed(request: Request, history: History, resume: ResumePlan) -> list[str]:
    """A sentence about what earlier calls left; none for a new run."""
    jobs = len(request.jobs)
    found = len(resume.found)
    if history.begun:
        when = time.strftime("%A %H:%M", time.localtime(history.begun))
        done = sum(row["status"] not in ("waiting", "lost") for row in resume.rows.values())
        return [f"resuming the run of {when}: {done} of {jobs} done, {found} may still run"]
    if found:
        return [f"taking over the run from what the nodes know: {found} of {jobs} jobs have begun"]
    return []


def _warn_of_secrets(
    request: Request, projects: Projects, controller: str, printer: Printer
) -> dict[str, list[str]]:
    """Project -> paths that look like secrets; told the first time that a project goes to nodes."""
    secrets = {}
    for path, excluded in projects.items():
        suspects = look_for_secrets_once(excluded, workspace_key(path, controller))
        if suspects:
            secrets[path] = suspects

    for line in secret_warnings(secrets, request.config.sync_exclude, default_path()):
        printer.say(line)
    return secrets


def _nodes_that_are_gone(fleet: Fleet, resume: ResumePlan) -> list[Node]:
    """Nodes that have attempts of earlier calls and are no candidates of this one."""
    names = {event.node for event in resume.found} - fleet.candidates.keys()
    reason = "not among the hosts of this play"
    return [Node(name, "unreachable", reason) for name in sorted(names)]


def agents_of(jobs: Iterable[Job]) -> set[str]:
    """All agents that may do one of these jobs."""
    return {agent for job in jobs for agent in job.choices}


def _with_fallback_settled(fleet: Fleet, nodes: Sequence[Node], jobs: Sequence[Job]) -> Fleet:
    """The fleet, in which is known what the controller has, where a job may come to it at once."""
    agents = agents_of(jobs) - {"shell"}
    may_come = any(job.node == "local" for job in jobs) or not any(
        rank(nodes, Need(agent))[0].rejected is None for agent in agents if nodes
    )
    if fleet.fallback is None or not agents or not may_come:
        return fleet
    asked = replace(fleet.fallback, agents=frozenset(), unseen=frozenset(agents))
    (fallback,) = settled(fleet, [asked], agents)
    return replace(fleet, fallback=fallback)


def _guard_against_our_death(
    request: Request, fleet: Fleet, record: RunRecord
) -> Callable[[], None]:
    """With on_interrupt=cancel somebody stays behind; what is returned says that all is well."""
    if request.on_interrupt == "cancel":
        return cancel_if_we_die(record, fleet)
    return lambda: None


def _how_it_was_left(request: Request, fleet: Fleet) -> str:
    what = "are cancelled" if request.on_interrupt == "cancel" else "go on"
    return (
        f"nobody reads stdout or stderr any more, so this call ends here. The jobs {what}; "
        f"go on with the same command and -e gummy_run_id={request.run_id}, or see "
        f"{fleet.command} distributed.gummy.logs -e gummy_run_id={request.run_id}"
    )


def work_of(rows: Sequence[JobRow], seconds: float) -> Work:
    """How much work the jobs of a call were that took so long."""
    worked = [row["seconds"] for row in rows if row["seconds"]]
    work = round(sum(worked), 3)
    times = None
    if len(worked) > 1 and seconds > 0:
        times = round(work / seconds, 2)
    return {"work_seconds": work, "times_as_fast": times}


def verdict(statuses: set[str], too_few: bool) -> str:
    """How the run as a whole stands.

    statuses: of its jobs; too_few: whether jobs of `each` ran on too few nodes.

    success: every job succeeded, or was skipped where enough others ran. unfinished: so far that is
    so, and jobs are left. failed: all else.
    """
    if too_few or statuses - {"success", "skipped", "running", "waiting"}:
        return "failed"
    if statuses & {"running", "waiting"}:
        return "unfinished"
    return "success"


def _rows_of_earlier_calls(resume: ResumePlan) -> dict[str, PlannedRow]:
    """The jobs that a call of the run would not place, by name."""
    rows: dict[str, PlannedRow] = {}
    for name, row in resume.rows.items():
        why = f"{row['status']} before: left as it is"
        if row["status"] in ("waiting", "lost"):
            why = str(row["message"])
        rows[name] = _row_of_earlier_call(row, row["status"], row["node"], why)

    jobs = {job.name: job for job in resume.to_do}
    for event in resume.found:
        job = jobs[event.job]
        kind = {"name": job.name, "task_type": job.task_type, "agent": job.agent}
        why = "began before: it would be followed to its end, and brought home"
        rows[job.name] = _row_of_earlier_call(kind, "running", event.node, why)
    return rows


def _row_of_earlier_call(
    kind: Mapping[str, Any], before: str, node: str | None, why: str
) -> PlannedRow:
    """kind: has the job's name, task type and agent."""
    return {
        "name": kind["name"],
        "task_type": kind["task_type"],
        "agent": kind["agent"],
        "node": node,
        "waits": False,
        "why": why,
        "ranking": [],
        "before": before,
    }


def _row_of_no_node(row: JobRow) -> PlannedJob:
    """A job that would go nowhere, for a reason of this machine."""
    return {
        "name": row["name"],
        "task_type": row["task_type"],
        "agent": row["agent"],
        "node": None,
        "waits": False,
        "why": row["message"],
        "ranking": [],
    }


def plan(request: Request, fleet: Fleet) -> PlanDocument:
    """Where each job would go now and why; nothing is changed. Raises InputError.

    Nodes without load data are measured over their links. Of a run that was called before, only
    what is left is placed.
    """
    projects = read_projects(request)
    earlier = RunFolder(request.run_id)
    earlier.read()
    silent = dict.fromkeys(earlier.history.silent, "not asked for a plan")
    resume = take_up(request, earlier.history, silent)
    notes = [*_how_it_is_resumed(request, earlier.history, resume), *request.notes, *resume.notes]
    unreadable = _fail_unreadable(projects, resume)
    left_as_they_are = _rows_of_earlier_calls(resume)
    to_place = [job for job in resume.to_do if job.name not in left_as_they_are]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        measured = pool.map(
            lambda node: with_load_or_reason(fleet, node), fleet.candidates.values()
        )
        nodes = settled(fleet, measured, agents_of(to_place))
    fallback = next((node for node in nodes if node.local), None)
    nodes = [node for node in nodes if not node.local]

    sessions = Sessions()
    placed = plan_work(
        [
            placement_spec(job, request.config, sessions, git_need_of(job, projects))
            for job in to_place
        ],
        nodes,
        fleet.quarantines.known(),
        fallback=fallback,
        local_fallback=request.local_fallback,
        weights=request.config.load_weights,
        preferences=request.config.host_preferences,
    )

    rows: dict[str, PlannedJob] = {row["name"]: row for row in placed}
    rows |= left_as_they_are
    for row in unreadable:
        # It has not failed before: a run would tell it at once, as this does.
        rows[row["name"]] = _row_of_no_node(row)

    for project, excluded in projects.items():
        notes.append(f"{project}: would leave out {excluded.describe()}")
        notes += [
            f"{project}: would take along, as a part of its repository: {folder}"
            for folder in excluded.outside
        ]
    if fleet.fallback is None:
        notes.append(
            "no local fallback: localhost is not among the hosts of this play (--limit drops it)"
        )

    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "plan",
        "status": "plan",
        "jobs": [rows[job.name] for job in request.jobs],
        "left_out": [{"name": name, "reason": reason} for name, reason in fleet.left_out],
        "settings": list(request.settings),
        "config": {"path": request.config.path, "exists": request.config.exists},
        "notes": notes,
    }
