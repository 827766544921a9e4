# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scheduler and the nodes are asked for a job: pure functions of what people typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from .._files.record import BranchOrder
from .._files.sessions import Sessions
from .._fleet.settle import own_agent
from .._input.config import Config
from .._input.request import Job, Request
from .._input.session_key import session_key
from .._node import wire
from .._node.belongs import NODE_OWNED
from .._project.bring_home import BranchWish
from .._project.git_need import GitNeed
from .._project.sync import Exclusions, workspace_key
from .._schedule.messages import Choice, PlacementSpec
from .._schedule.placement import Need

# Version of what `start` tells a node of a job; a node refuses one that is newer than it knows.
SPEC_SCHEMA = 1

# How long the title of a commit may be.
TITLE_MOST = 72


def placement_spec(
    job: Job, config: Config, sessions: Sessions, git: GitNeed | None = None
) -> PlacementSpec:
    """The job as far as placement cares. git: what its project needs."""
    limit = job.timeout
    if job.setup is not None:
        limit += job.setup_timeout

    def choice_of(agent: str) -> Choice:
        need = Need(
            agent=agent,
            task_type=job.task_type,
            node=job.node,
            nodes=None if job.nodes is None else frozenset(job.nodes),
            home=sessions.home_of(session_key(replace(job, agent=agent))),
            git=None if git is None else git.version,
            git_for="" if git is None else git.what,
        )
        return Choice(need, config.account_of(agent))

    first = choice_of(job.agent)
    return PlacementSpec(
        job.name,
        first.need,
        attempts=job.attempts,
        accept_unproven=job.accept_unproven,
        priority=job.priority,
        account=first.account,
        skippable=job.of is not None,
        limit=limit,
        no_more=job.no_more,
        choices=tuple(map(choice_of, job.agents)),
        budget_usd=job.budget_usd,
    )


def git_need_of(job: Job, exclusions: Mapping[str, Exclusions]) -> GitNeed | None:
    """What the job's project needs of a node's git. exclusions: of each project."""
    if job.project is None or job.project not in exclusions:
        return None
    return exclusions[job.project].git_need


def claim_request(
    job: Job, attempt: str, *, run_id: str, controller: str, slots: int
) -> wire.ClaimRequest:
    """What a claim of this attempt asks. slots: how many this controller believes the node has."""
    return {
        "attempt": attempt,
        "key": workspace_key(job.project, controller),
        "slots": slots,
        "run_id": run_id,
        "controller": controller,
    }


def job_spec(
    job: Job,
    request: Request,
    *,
    controller: str,
    base: str | None,
    with_contents: bool = False,
    not_harvested: Sequence[str] = (),
) -> wire.JobSpec:
    """What a node must know of the job.

    base: the commit that its branch is to begin at; with_contents: whether a patch is made anew at
    home, of the contents of all files that changed; not_harvested: patterns of what went along
    although git ignores it.
    """
    deliver = job.deliver
    if deliver == "patch" and with_contents:
        deliver = "contents"
    own = request.config.own_agents.get(job.agent)
    return {
        "schema": SPEC_SCHEMA,
        "digest": job.digest(),
        "agent": job.agent,
        "prompt": job.prompt,
        "command": job.command,
        "setup": job.setup,
        "setup_if": job.setup_if,
        "setup_timeout": job.setup_timeout,
        "verify": job.verify,
        "timeout": job.timeout,
        "job": job.name,
        "run_id": request.run_id,
        "controller": controller,
        "project": job.project is not None,
        "project_path": job.project,
        "deliver": deliver,
        "artifacts": job.artifacts or (),
        "base": base,
        "title": commit_title(job),
        "exclude": [*NODE_OWNED, *request.config.sync_exclude, *not_harvested],
        "settings": request.config.agents.get(job.agent, {}),
        "own": None if own is None else own_agent(own),
        "expect_changes": job.expect_changes,
        "pinned": job.node is not None,
        "stall": job.stall,
        "budget_usd": job.budget_usd,
    }


def commit_title(job: Job) -> str:
    """The title of a commit that holds the job's work."""
    text = job.prompt or job.command or ""
    first_line = text.strip().split("\n", 1)[0]
    return f"{job.name}: {first_line}"[:TITLE_MOST]


def branch_orders(jobs: Iterable[Job]) -> dict[str, BranchOrder]:
    """Job's name -> the branch that is asked for of it, for the journal."""
    return {
        job.name: {"project": job.project, "title": commit_title(job)}
        for job in jobs
        if job.deliver == "branch" and job.project is not None
    }


def job_projects(jobs: Iterable[Job]) -> dict[str, str]:
    """Job's name -> where its project lies on this controller, for the journal."""
    return {job.name: job.project for job in jobs if job.project is not None}


def branch_wish(job: Job, failure: str | None, base: str | None = None) -> BranchWish | None:
    """The branch that is asked for.

    failure: the class of how the attempt ended; None: it is good. base: the commit that it begins
    at, if this controller knows it.

    An attempt that ended for want of quota or a login gets none: another one will do the work.
    """
    if job.deliver != "branch" or job.project is None or failure in ("quota", "login"):
        return None
    return BranchWish(job.project, commit_title(job), base)
