# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run from its request to its document: record, resume, engine. This is private to the collection."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import _events as ev
from . import _sync
from ._engine import Engine, work_of
from ._fleet import Fleet, command, measured
from ._link import LinkError
from ._placement import Node
from ._printer import Printer
from ._record import SCHEMA_VERSION, RunRecord, controller_id
from ._request import Job, Request
from ._scheduler import Scheduler

# A job that ended before its agent began, was lost sight of, or whose harvest is still away, is taken up again when the run is resumed.
TAKEN_UP_AGAIN = frozenset({"unreachable", "sync", "refused", "start", "lost", "harvest"})


def read_projects(request: Request) -> dict[str, _sync.Exclusions]:
    """What stays at home of each project. Raises InputError."""
    projects = {job.project for job in request.jobs if job.project is not None}
    return {project: _sync.exclusions(project, request.config.sync_exclude) for project in projects}


def run(request: Request, fleet: Fleet, printer: Printer) -> dict[str, Any]:
    """Drive the run to its end; the document of run.json."""
    projects = read_projects(request)
    record, controller, begun = RunRecord(request.run_id), controller_id(), time.time()
    again, found, done = resume(request, record)
    printer.say(f"run {request.run_id}: {len(request.jobs)} jobs, {len(fleet.nodes)} nodes")
    printer.say("if this is interrupted, the jobs go on; how to go on with it:")
    printer.say(f"  the same command with -e gummy_run_id={request.run_id}   (takes up what is left)")
    printer.say(f"  {command()} distributed.gummy.logs -e gummy_run_id={request.run_id}")
    if record.history.uid:
        when = time.strftime("%A %H:%M", time.localtime(record.history.begun))
        printer.say(f"resuming the run of {when}: {len(done)} of {len(request.jobs)} done, {len(found)} may still run")
    for project, excluded in projects.items():
        printer.say(f"sync of {project} leaves out: {excluded.describe()}")
    record.begin({job.name: job.digest() for job in request.jobs}, controller)
    known = {node.name for node in fleet.nodes} | ({fleet.fallback.name} if fleet.fallback else set())
    gone = [Node(name, "unreachable", "not among the hosts of this play") for name in sorted({event.node for event in found} - known)]
    engine = Engine(
        request, again, [*fleet.nodes, *gone], fleet.fallback, fleet.make_link, fleet.measure, record, controller, projects, printer.event
    )  # fmt: skip
    engine.run(found)
    rows = {row["name"]: row for row in done} | {name: engine.describe(name) for name in engine.outcomes}
    document = {
        "schema_version": SCHEMA_VERSION, "kind": "run", "run_id": request.run_id, "uid": record.uid, "folder": record.folder,
        "status": "success" if all(rows[job.name]["status"] == "success" for job in request.jobs) else "failed",
        "command": command(), "begun_at": round(begun, 3), "seconds": round(time.time() - begun, 3), "controller": controller,
        "jobs": [rows[job.name] for job in request.jobs],
    }  # fmt: skip
    record.write("run.json", document)
    return document


def resume(request: Request, record: RunRecord) -> tuple[list[Job], list[ev.Found], list[dict[str, Any]]]:
    """(jobs to be done, attempts that may still run, rows of the jobs that ended), from what earlier calls wrote down."""
    again, found, done = [], [], []
    for job in request.jobs:
        ended = record.history.ended.get(job.digest())
        tries = [(name, entry) for name, entry in record.history.attempts.items() if entry.get("digest") == job.digest()]
        open_tries = [(name, entry) for name, entry in tries if entry["state"] not in ("reserved", "claimed", "void")]
        if ended is not None and (ended["class"] not in TAKEN_UP_AGAIN or ended["status"] == "success"):
            done.append({**{key: value for key, value in ended.items() if key not in ("kind", "at")}, "name": job.name})
            continue
        again.append(job)
        if open_tries:
            name, entry = open_tries[-1]
            found.append(ev.Found(name, job.name, str(entry["node"])))
    return again, found, done


def plan(request: Request, fleet: Fleet) -> dict[str, Any]:
    """Where each job would go now and why; nothing is changed. Nodes without load data are measured over their links."""
    projects = read_projects(request)
    with ThreadPoolExecutor(64) as pool:
        nodes = list(pool.map(lambda node: _measured(node, fleet), fleet.nodes))
    scheduler = Scheduler(
        [work_of(job) for job in request.jobs], nodes, iter(map(str, range(len(request.jobs) + 1))).__next__,
        fallback=fleet.fallback, local_fallback=request.local_fallback,
        weights=request.config.load_weights, preferences=request.config.host_preferences, trust_links=True,
    )  # fmt: skip
    commands = scheduler.handle(ev.Tick(), 0.0)
    placed = {command.job: command for command in commands if isinstance(command, ev.Place)}
    ended = {command.job: command for command in commands if isinstance(command, ev.Finish)}
    waiting = dict(scheduler.waiting())
    rows = []
    for job in request.jobs:
        row: dict[str, Any] = {"name": job.name, "task_type": job.task_type, "agent": job.agent, "node": None, "ranking": []}
        if job.name in placed:
            row.update(node=placed[job.name].node, why=placed[job.name].why, ranking=list(placed[job.name].ranking))
        elif job.name in ended:
            row.update(why=f"can't run: {ended[job.name].message}")
        else:
            row.update(why="every usable slot is taken", ranking=[entry.as_dict() for entry in waiting[job.name]])
        rows.append(row)
    notes = [f"{project}: would leave out {excluded.describe()}" for project, excluded in projects.items()]
    if fleet.fallback is None:
        notes.append("no local fallback: localhost is not among the hosts of this play (--limit drops it)")
    left_out = [{"name": name, "reason": reason} for name, reason in fleet.left_out]
    return {"schema_version": SCHEMA_VERSION, "kind": "plan", "status": "plan", "jobs": rows, "left_out": left_out, "notes": notes}


def _measured(node: Node, fleet: Fleet) -> Node:
    try:
        return measured(fleet, node)
    except LinkError as exc:
        return Node(node.name, "unreachable", str(exc))
