# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`each`: every job once on each node, or on one node of each operating system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from .._errors import InputError
from .._files.paths import NAME
from .request import Job, Request


def on_each(request: Request, systems: Mapping[str, str | None]) -> Request:
    """The request with a job for each node, or for each operating system.

    systems: the candidates, each with its operating system (None: not known). Raises InputError.
    """
    problems: list[str] = []
    jobs: list[Job] = []
    for job in request.jobs:
        if job.node is not None:
            problems.append(
                f"{job.name}: gummy_each={request.each} and the node {job.node} "
                "exclude each other; take one of the two away"
            )
            continue
        copies = _copies(job, request, systems)
        if request.min_nodes > len(copies):
            targets = "nodes" if request.each == "node" else "known systems"
            problems.append(
                f"gummy_min_nodes: {request.min_nodes} is more than the {len(copies)} {targets} "
                f"that {job.name} can run on; give a smaller number"
            )
        jobs += copies
    problems += [
        f"{job.name!r} is no name; give the job a shorter one"
        for job in jobs
        if not NAME.fullmatch(job.name)
    ]
    if problems:
        raise InputError(problems)
    return replace(request, jobs=tuple(jobs), notes=(*request.notes, *_notes(request, systems)))


def missing(jobs: Iterable[Job], statuses: Mapping[str, str], least: int) -> list[str]:
    """A sentence for each job that ran on too few nodes.

    statuses: by the names of the jobs that were made of it; least: on how many it must have run.
    """
    ran: dict[str, list[bool]] = {}
    for job in jobs:
        if job.of is not None:
            ran.setdefault(job.of, []).append(statuses[job.name] != "skipped")
    return [
        f"{name} ran on {copies.count(True)} of {len(copies)}, and gummy_min_nodes asks for {least}"
        for name, copies in ran.items()
        if copies.count(True) < least
    ]


def _copies(job: Job, request: Request, systems: Mapping[str, str | None]) -> Sequence[Job]:
    """The job once for each node that may take it, or for each system that such a node has."""
    nodes = [name for name in systems if job.nodes is None or name in job.nodes]
    if request.each == "node":
        # It is tried once, for there is no other node that it is for.
        return [replace(_copy(job, name), node=name, nodes=None, attempts=1) for name in nodes]

    by_system: dict[str, list[str]] = {}
    for name in nodes:
        system = systems[name]
        if system is not None:
            by_system.setdefault(system, []).append(name)
    return [replace(_copy(job, system), nodes=tuple(names)) for system, names in by_system.items()]


def _copy(job: Job, target: str) -> Job:
    """The job under a name that says which node or system it is for."""
    word = re.sub(r"[^A-Za-z0-9._-]+", "-", target)
    return replace(
        job,
        name=f"{job.name}.{word}",
        id=f"{job.id}.{word}" if job.id else None,
        of=job.name,
    )


def _notes(request: Request, systems: Mapping[str, str | None]) -> list[str]:
    unknown = [name for name, system in systems.items() if system is None]
    if request.each != "os" or not unknown:
        return []
    return [f"on none of the systems, for theirs is not known: {', '.join(unknown)}"]
