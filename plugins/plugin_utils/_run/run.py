# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run from its request to its document: record, resume, engine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .._files.record import SCHEMA_VERSION, RunRecord, controller_id
from .._files.sessions import Sessions
from .._fleet.fleet import Fleet, with_load_or_reason
from .._input.config import default_path
from .._input.each import missing
from .._input.pass_env import require_values
from .._input.request import Request
from .._project import sync
from .._project.branch import check_branches
from .._project.conflicts import find_conflicts
from .._project.secrets import look_for_secrets_once, secret_warnings
from .._schedule.placement import Node
from .._schedule.plan import plan_work
from .._show.printer import Printer
from .engine import Engine, work_of
from .interrupt import cancel_if_we_die
from .resume import ResumePlan, adopt_run, refuse_lost_record, take_up


def read_projects(request: Request) -> dict[str, sync.Exclusions]:
    """What stays at home of each project.

    Raises InputError, also where a branch is asked for that can't be.
    """
    check_branches(request.jobs)
    projects = {job.project for job in request.jobs if job.project is not None}
    return {project: sync.exclusions(project, request.config.sync_exclude) for project in projects}


def run(request: Request, fleet: Fleet, printer: Printer) -> dict[str, Any]:
    """Drive the run to its end; the document of run.json."""
    projects = read_projects(request)
    record = RunRecord(request.run_id)
    controller = controller_id()
    begun = time.time()
    if request.named and not request.adopt and not record.history.uid:
        refuse_lost_record(request, fleet, controller)
    silent = (
        adopt_run(request, record, fleet, controller)
        if request.adopt or record.history.silent
        else {}
    )
    left = take_up(request, record.history, silent)
    begun_already = {event.job for event in left.found}
    require_values(job for job in left.again if job.name not in begun_already)
    _introduce(request, fleet, record, left, projects, printer)
    secrets = {
        path: found
        for path, excluded in projects.items()
        if (found := look_for_secrets_once(excluded, sync.workspace_key(path, controller)))
    }
    for line in secret_warnings(secrets, request.config.sync_exclude, default_path()):
        printer.say(line)
    record.begin(
        {job.name: job.digest() for job in request.jobs},
        {job.name: job.content() for job in request.jobs},
        controller,
    )
    known = {node.name for node in fleet.nodes} | (
        {fleet.fallback.name} if fleet.fallback else set()
    )
    gone = [
        Node(name, "unreachable", "not among the hosts of this play")
        for name in sorted({event.node for event in left.found} - known)
    ]
    engine = Engine(
        request,
        left.again,
        [*fleet.nodes, *gone],
        fleet.fallback,
        fleet.make_link,
        fleet.measure,
        fleet.quarantines,
        record,
        controller,
        projects,
        printer.event,
    )
    over = cancel_if_we_die(record, fleet) if request.on_interrupt == "cancel" else lambda: None
    engine.run(left.found)
    over()
    rows = left.rows | {name: engine.describe(name) for name in engine.outcomes}
    jobs = [rows[job.name] for job in request.jobs]
    short = missing(request.jobs, {row["name"]: row["status"] for row in jobs}, request.min_nodes)
    document = {
        "schema_version": SCHEMA_VERSION,
        "kind": "run",
        "run_id": request.run_id,
        "uid": record.uid,
        "folder": record.folder,
        "status": verdict({row["status"] for row in jobs}, bool(short)),
        "message": "; ".join(short) or None,
        "command": fleet.command,
        "begun_at": round(begun, 3),
        "seconds": round(time.time() - begun, 3),
        "controller": controller,
        "secrets": secrets,
        "jobs": jobs,
        "conflicts": find_conflicts(jobs),
    }
    record.write("run.json", document)
    return document


def verdict(statuses: set[str], too_few: bool) -> str:
    """success: every job is good, or skipped where enough others ran; unfinished: so far; else
    failed.
    """
    if too_few or statuses - {"success", "skipped", "running", "waiting"}:
        return "failed"
    return "unfinished" if statuses & {"running", "waiting"} else "success"


def _introduce(
    request: Request,
    fleet: Fleet,
    record: RunRecord,
    left: ResumePlan,
    projects: Mapping[str, sync.Exclusions],
    printer: Printer,
) -> None:
    printer.say(f"run {request.run_id}: {len(request.jobs)} jobs, {len(fleet.nodes)} nodes")
    ends = "are cancelled" if request.on_interrupt == "cancel" else "go on"
    printer.say(f"if this is interrupted, the jobs {ends}; how to go on with it:")
    printer.say(
        f"  the same command with -e gummy_run_id={request.run_id}   (takes up what is left)"
    )
    printer.say(f"  {fleet.command} distributed.gummy.logs -e gummy_run_id={request.run_id}")
    if record.history.begun:
        when = time.strftime("%A %H:%M", time.localtime(record.history.begun))
        done = sum(row["status"] not in ("waiting", "lost") for row in left.rows.values())
        printer.say(
            f"resuming the run of {when}: {done} of {len(request.jobs)} done, {len(left.found)} may still run"
        )
    elif left.found:
        printer.say(
            f"taking over the run from what the nodes know: {len(left.found)} of {len(request.jobs)} jobs have begun"
        )
    for note in (*request.notes, *left.notes):
        printer.say(note)
    for project, excluded in projects.items():
        printer.say(f"sync of {project} leaves out: {excluded.describe()}")


def plan(request: Request, fleet: Fleet) -> dict[str, Any]:
    """Where each job would go now and why; nothing is changed.

    Nodes without load data are measured over their links.
    """
    projects = read_projects(request)
    with ThreadPoolExecutor(64) as pool:
        nodes = list(pool.map(lambda node: with_load_or_reason(fleet, node), fleet.nodes))
    sessions = Sessions()
    rows = plan_work(
        [work_of(job, request.config, sessions) for job in request.jobs],
        nodes,
        fleet.quarantines.known(),
        fallback=fleet.fallback,
        local_fallback=request.local_fallback,
        weights=request.config.load_weights,
        preferences=request.config.host_preferences,
    )
    notes = [
        *request.notes,
        *(
            f"{project}: would leave out {excluded.describe()}"
            for project, excluded in projects.items()
        ),
    ]
    if fleet.fallback is None:
        notes.append(
            "no local fallback: localhost is not among the hosts of this play (--limit drops it)"
        )
    left_out = [{"name": name, "reason": reason} for name, reason in fleet.left_out]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "plan",
        "status": "plan",
        "jobs": rows,
        "left_out": left_out,
        "notes": notes,
    }
