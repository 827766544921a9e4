# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where jobs would go now, and why: the scheduler's first word, before anything is done. This is private to the collection."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import _events as ev
from ._errors import BadValue
from ._keys import hint, show
from ._node_data import check_preferences, check_weights, nodes_for_filter, read_names, read_task_type
from ._placement import DEFAULT_WEIGHTS, Need, Node
from ._scheduler import Scheduler
from ._task_types import task_type_of

JOB = ("name", "task_type", "prompt", "node", "nodes", "exclude", "priority")


def plan_work(
    work: Sequence[ev.Work],
    nodes: Iterable[Node],
    before: Iterable[ev.Event] = (),
    *,
    now: float | None = None,
    fallback: Node | None = None,
    local_fallback: bool = True,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
    preferences: Mapping[str, Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    """A row for each job: name, task_type, agent, node (None: it waits, or can't run), waits, why,
    ranking. before: what earlier runs left; now: Unix seconds, for the age of what was measured.
    """
    scheduler = Scheduler(
        work, nodes, iter(map(str, range(len(work) + 1))).__next__,
        fallback=fallback, local_fallback=local_fallback, weights=weights, preferences=preferences,
    )  # fmt: skip
    for event in before:
        scheduler.handle(event, 0.0)
    rows: dict[str, dict[str, Any]] = {}
    for command in scheduler.handle(ev.Tick(), 0.0):
        if isinstance(command, ev.Place):
            ranking = scheduler.ranking(command)
            rows[command.job] = {"node": command.node, "waits": False, "why": command.why or ranking[0].reason, "ranking": ranking}
        elif isinstance(command, ev.Finish):
            rows[command.job] = {"node": None, "waits": False, "why": f"can't run: {command.message}", "ranking": scheduler.ranking_for(command.job)}
    for name, ranking in scheduler.waiting():
        full = [entry.host for entry in ranking if entry.waits]
        why = f"no free slot on {full[0]}" if len(full) == 1 else "every usable slot is taken"
        rows[name] = {"node": None, "waits": True, "why": why, "ranking": ranking}
    known = {item.name: {"name": item.name, "task_type": item.need.task_type, "agent": item.need.agent} for item in work}
    now = time.time() if now is None else now
    return [{**known[name], **rows[name], "ranking": [entry.as_dict(now) for entry in rows[name]["ranking"]]} for name in known]


def plan_for_filter(data: Any, jobs: Any, hostvars: Any, weights: Any, preferences: Any) -> list[dict[str, Any]]:
    """`plan_work` for people's playbooks. BadValue: a sentence."""
    nodes, prefer = nodes_for_filter(data, hostvars), check_preferences(preferences)
    if isinstance(jobs, (str, Mapping)) or not isinstance(jobs, Iterable):
        raise BadValue(f"jobs are a list of names or mappings, not {show(jobs)}")
    work = [_work(job, number) for number, job in enumerate(jobs, 1)]
    if twice := [name for name, count in Counter(item.name for item in work).items() if count > 1]:
        raise BadValue(f"two jobs have the name {show(twice[0])}; give each job its own")
    return plan_work(work, nodes, local_fallback=False, weights=check_weights(weights), preferences=prefer)


def _work(job: Any, number: int) -> ev.Work:
    given = {"name": job} if isinstance(job, str) else job
    if not isinstance(given, Mapping):
        raise BadValue(f"a job is a name or a mapping, not {show(job)}")
    for key in given:
        if key not in JOB:
            raise BadValue(f"job {number}: unknown key {show(key)}; {hint(str(key), JOB)}")
    priority, node = given.get("priority", 0), given.get("node")
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise BadValue(f"job {number}: priority {show(priority)} is no whole number; write one, such as 10")
    if node is not None and not isinstance(node, str):
        raise BadValue(f"job {number}: node {show(node)} is no name; write one, in quotes if it is no plain text")
    task_type = read_task_type(given["task_type"]) if given.get("task_type", "auto") != "auto" else task_type_of(str(given.get("prompt", "")))
    nodes = None if given.get("nodes") is None else frozenset(read_names(given["nodes"], "nodes"))
    need = Need(task_type=task_type, node=node, nodes=nodes, exclude=frozenset(read_names(given.get("exclude", []), "nodes")))
    return ev.Work(str(given.get("name") or f"job-{number}"), need, priority=priority)
