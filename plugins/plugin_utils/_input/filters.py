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

# The keys that a job of `plan_jobs` may have.
JOB_KEYS = ("name", "task_type", "prompt", "node", "nodes", "exclude", "priority")


def rank_for_filter(
    data: Any, hostvars: Any, task_type: str, exclude: Any, weights: Any
) -> list[Ranked]:
    """`rank` for people's playbooks.

    data, hostvars: as for `nodes_for_filter`; exclude: a name or names. BadValue: a sentence.
    """
    names = [exclude] if isinstance(exclude, str) else exclude or ()
    need = Need(task_type=read_task_type(task_type), exclude=frozenset(map(str, names)))
    return rank(nodes_for_filter(data, hostvars), need, check_weights(weights))


def plan_for_filter(
    data: Any, jobs: Any, hostvars: Any, weights: Any, preferences: Any
) -> list[PlannedJob]:
    """`plan_work` for people's playbooks.

    data, hostvars: as for `nodes_for_filter`; jobs: a list of names or mappings. BadValue: a
    sentence.
    """
    nodes = nodes_for_filter(data, hostvars)
    first_choices = check_preferences(preferences)
    if isinstance(jobs, (str, Mapping)) or not isinstance(jobs, Iterable):
        raise BadValue(f"jobs are a list of names or mappings, not {show(jobs)}")
    specs = [_spec(job, number) for number, job in enumerate(jobs, 1)]
    for name, count in Counter(spec.name for spec in specs).items():
        if count > 1:
            raise BadValue(f"two jobs have the name {show(name)}; give each job its own")
    return plan_work(
        specs,
        nodes,
        local_fallback=False,
        weights=check_weights(weights),
        preferences=first_choices,
    )


def nodes_for_filter(data: Any, hostvars: Any) -> list[Node]:
    """Nodes as host names (with `hostvars`), a hostvars mapping, or records.

    BadValue: a sentence.
    """
    if isinstance(data, Mapping):
        nodes = [node_from_vars(str(name), as_mapping(data[name])) for name in data]
    elif isinstance(data, Iterable) and not isinstance(data, str):
        nodes = [_node(item, hostvars) for item in data]
    else:
        raise BadValue(
            f"nodes are a list of host names, a list of records or hostvars, not {show(data)}"
        )
    if len({node.name for node in nodes}) < len(nodes):
        raise BadValue("a node stands in the list more than once; name each one once")
    return nodes


def _node(item: Any, hostvars: Any) -> Node:
    """A node of a list. BadValue: a sentence."""
    if isinstance(item, Mapping):
        return node_from_record(item)
    if not isinstance(item, str):
        raise BadValue(f"a node is a host name or a record, not {show(item)}")
    if hostvars is None:
        raise BadValue("a list of host names needs their variables as well: hostvars=hostvars")
    if item not in hostvars:
        raise BadValue(f"hostvars has no host {show(item)}; {hint(item, hostvars)}")
    return node_from_vars(str(item), as_mapping(hostvars[item]))


def _spec(job: Any, number: int) -> ev.PlacementSpec:
    """A job of a list, as placement knows it. BadValue: a sentence."""
    values = {"name": job} if isinstance(job, str) else job
    if not isinstance(values, Mapping):
        raise BadValue(f"a job is a name or a mapping, not {show(job)}")
    for key in values:
        if key not in JOB_KEYS:
            raise BadValue(f"job {number}: unknown key {show(key)}; {hint(str(key), JOB_KEYS)}")
    priority = values.get("priority", 0)
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise BadValue(
            f"job {number}: priority {show(priority)} is no whole number; write one, such as 10"
        )
    node = values.get("node")
    if node is not None and not isinstance(node, str):
        raise BadValue(
            f"job {number}: node {show(node)} is no name; "
            "write one, in quotes if it is no plain text"
        )

    if values.get("task_type", "auto") == "auto":
        task_type = task_type_of(str(values.get("prompt", "")))
    else:
        task_type = read_task_type(values["task_type"])
    nodes = values.get("nodes")
    need = Need(
        task_type=task_type,
        node=node,
        nodes=None if nodes is None else frozenset(read_names(nodes, "nodes")),
        exclude=frozenset(read_names(values.get("exclude", []), "nodes")),
    )
    return ev.PlacementSpec(str(values.get("name") or f"job-{number}"), need, priority=priority)
