# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`each`: every job once on each node, or on one node of each operating system."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from .._errors import InputError
from .._files.paths import NAME
from .request import Job, Request


def on_each(request: Request, systems: Mapping[str, str | None]) -> Request:
    """The request with a job for each place. systems: the candidates, each with its operating
    system (None: not known). Raises InputError.
    """
    problems: list[str] = []
    jobs = [one for job in request.jobs for one in _expand(job, request, systems, problems)]
    problems += [
        f"{job.name!r} is no name; give the job a shorter one"
        for job in jobs
        if not NAME.fullmatch(job.name)
    ]
    if problems:
        raise InputError(problems)
    unknown = [name for name, system in systems.items() if system is None]
    notes = (
        [f"on none of the systems, for theirs is not known: {', '.join(unknown)}"]
        if request.each == "os" and unknown
        else []
    )
    return replace(request, jobs=tuple(jobs), notes=(*request.notes, *notes))


def _expand(
    job: Job, request: Request, systems: Mapping[str, str | None], problems: list[str]
) -> Sequence[Job]:
    if job.node is not None:
        problems.append(
            f"{job.name}: gummy_each={request.each} and the node {job.node} exclude each other; take one of the two away"
        )
        return []
    nodes = [name for name in systems if job.nodes is None or name in job.nodes]
    if request.each == "node":
        jobs = [replace(_one(job, name), node=name, nodes=None, attempts=1) for name in nodes]
    else:
        known = dict.fromkeys(system for name in nodes if (system := systems[name]) is not None)
        jobs = [
            replace(
                _one(job, system), nodes=tuple(name for name in nodes if systems[name] == system)
            )
            for system in known
        ]
    if request.min_nodes > len(jobs):
        what = "nodes" if request.each == "node" else "known systems"
        problems.append(
            f"gummy_min_nodes: {request.min_nodes} is more than the {len(jobs)} {what} that {job.name} can run on; give a smaller number"
        )
    return jobs


def _one(job: Job, place: str) -> Job:
    word = re.sub(r"[^A-Za-z0-9._-]+", "-", place)
    return replace(
        job, name=f"{job.name}.{word}", id=f"{job.id}.{word}" if job.id else None, of=job.name
    )


def missing(jobs: Sequence[Job], statuses: Mapping[str, str], least: int) -> list[str]:
    """A sentence for each job that ran on too few nodes."""
    ran: dict[str, list[bool]] = {}
    for job in jobs:
        if job.of is not None:
            ran.setdefault(job.of, []).append(statuses[job.name] != "skipped")
    return [
        f"{name} ran on {sum(rows)} of {len(rows)}, and gummy_min_nodes asks for {least}"
        for name, rows in ran.items()
        if sum(rows) < least
    ]
