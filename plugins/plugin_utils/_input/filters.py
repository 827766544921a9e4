# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters take from people's playbooks, checked: nodes, jobs, weights, preferences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from .._errors import BadValue
from .._schedule import messages as ev
from .._schedule.placement import Need, Node, Ranked, rank
from .._schedule.plan import PlannedJob, plan_work
from .._schedule.task_types import task_type_of
from .keys import hint, show
from .nodes import (
    as_mapping,
    check_preferences,
    check_weights,
    node_from_record,
    node_from_vars,
    read_names,
    read_task_type,
)

JOB = ("name", "task_type", "prompt", "node", "nodes", "exclude", "priority")


def rank_for_filter(
    data: Any, hostvars: Any, task_type: str, exclude: Any, weights: Any
) -> list[Ranked]:
    """`rank` for people's playbooks. BadValue: a sentence."""
    need = Need(
        task_type=read_task_type(task_type),
        exclude=frozenset(map(str, [exclude] if isinstance(exclude, str) else exclude or ())),
    )
    return rank(nodes_for_filter(data, hostvars), need, check_weights(weights))


def nodes_for_filter(data: Any, hostvars: Any) -> list[Node]:
    """Nodes as host names (with `hostvars`), a hostvars mapping, or records.

    BadValue: a sentence.
    """
    if isinstance(data, Mapping):
        nodes = [node_from_vars(str(name), as_mapping(data[name])) for name in data]
    elif isinstance(data, Iterable) and not isinstance(data, str):
        nodes = [_node_of(item, hostvars) for item in data]
    else:
        raise BadValue(
            f"nodes are a list of host names, a list of records or hostvars, not {show(data)}"
        )
    if len({node.name for node in nodes}) < len(nodes):
        raise BadValue("a node stands in the list more than once; name each one once")
    return nodes


def _node_of(item: Any, hostvars: Any) -> Node:
    if isinstance(item, Mapping):
        return node_from_record(item)
    if not isinstance(item, str):
        raise BadValue(f"a node is a host name or a record, not {show(item)}")
    if hostvars is None:
        raise BadValue("a list of host names needs their variables as well: hostvars=hostvars")
    if item not in hostvars:
        raise BadValue(f"hostvars has no host {show(item)}; {hint(item, hostvars)}")
    return node_from_vars(str(item), as_mapping(hostvars[item]))


def plan_for_filter(
    data: Any, jobs: Any, hostvars: Any, weights: Any, preferences: Any
) -> list[PlannedJob]:
    """`plan_work` for people's playbooks. BadValue: a sentence."""
    nodes = nodes_for_filter(data, hostvars)
    prefer = check_preferences(preferences)
    if isinstance(jobs, (str, Mapping)) or not isinstance(jobs, Iterable):
        raise BadValue(f"jobs are a list of names or mappings, not {show(jobs)}")
    work = [_work(job, number) for number, job in enumerate(jobs, 1)]
    if twice := [name for name, count in Counter(item.name for item in work).items() if count > 1]:
        raise BadValue(f"two jobs have the name {show(twice[0])}; give each job its own")
    return plan_work(
        work, nodes, local_fallback=False, weights=check_weights(weights), preferences=prefer
    )


def _work(job: Any, number: int) -> ev.PlacementSpec:
    given = {"name": job} if isinstance(job, str) else job
    if not isinstance(given, Mapping):
        raise BadValue(f"a job is a name or a mapping, not {show(job)}")
    for key in given:
        if key not in JOB:
            raise BadValue(f"job {number}: unknown key {show(key)}; {hint(str(key), JOB)}")
    priority = given.get("priority", 0)
    node = given.get("node")
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise BadValue(
            f"job {number}: priority {show(priority)} is no whole number; write one, such as 10"
        )
    if node is not None and not isinstance(node, str):
        raise BadValue(
            f"job {number}: node {show(node)} is no name; write one, in quotes if it is no plain text"
        )
    task_type = (
        read_task_type(given["task_type"])
        if given.get("task_type", "auto") != "auto"
        else task_type_of(str(given.get("prompt", "")))
    )
    nodes = None if given.get("nodes") is None else frozenset(read_names(given["nodes"], "nodes"))
    need = Need(
        task_type=task_type,
        node=node,
        nodes=nodes,
        exclude=frozenset(read_names(given.get("exclude", []), "nodes")),
    )
    return ev.PlacementSpec(str(given.get("name") or f"job-{number}"), need, priority=priority)
