# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From Ansible's side of an action to the core's: settings, candidates, links."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

from .._errors import BadValue, InputError
from .._files.quarantines import Quarantines
from .._files.record import run_folder
from .._input.config import Config, load_config
from .._input.each import on_each
from .._input.keys import TOP_KEYS, setting
from .._input.nodes import node_from_vars
from .._input.pass_env import require_values
from .._input.request import Request, read_project, read_request, unknown_settings
from .._links.link import Link, LinkError
from .._load.measure import measure_link
from .._load.snapshots import Snapshots
from .._schedule.placement import Node
from .._tailnet.left_out import LEFT_OUT
from .connect import LinkMaker, local_link, settings_of, why_no_node

LOCAL = "localhost"


@dataclass(frozen=True)
class Fleet:
    """The candidates of a play. fallback: the controller itself, if the play's hosts hold
    localhost; left_out: (who, why) of the inventory.
    """

    names: tuple[str, ...]
    nodes: tuple[Node, ...]
    fallback: Node | None
    make_link: Callable[[str], Link]
    measure: Callable[[str, Link], Node]
    config: Config
    left_out: tuple[tuple[str, str], ...] = ()
    quarantines: Quarantines = field(default_factory=lambda: Quarantines({}))


def measured(fleet: Fleet, node: Node, link: Link | None = None) -> Node:
    """The node, with its load measured over its link if nothing is known of it.

    Raises LinkError.
    """
    if node.state != "unknown" or node.online is False:
        return node
    found = fleet.measure(node.name, link or fleet.make_link(node.name))
    return replace(found, local=True, slots=node.slots) if node.local else found


def looked_at(fleet: Fleet, node: Node) -> Node:
    """`measured`, or unreachable with the reason."""
    try:
        return measured(fleet, node)
    except LinkError as exc:
        return Node(node.name, "unreachable", str(exc))


def extra_vars() -> list[str]:
    """The -e words as they were typed."""
    return [str(word) for word in context.CLIARGS.get("extra_vars", ())]


def command() -> str:
    """How this ansible-playbook was called, as far as another playbook of ours needs it."""
    sources = [
        word for path in context.CLIARGS.get("inventory") or () for word in ("-i", str(path))
    ]
    return shlex.join(["ansible-playbook", *sources])


def find_fleet(action: ActionBase, task_vars: Mapping[str, Any]) -> Fleet:
    """Raises InputError."""
    hostvars = task_vars["hostvars"]
    hosts = [str(name) for name in task_vars["ansible_play_hosts_all"]]
    if len(hosts) != len(task_vars["ansible_play_batch"]):
        raise InputError(
            [
                "this play runs in batches (serial), and the nodes must all be seen at once: remove serial"
            ]
        )
    pattern = str(task_vars.get("gummy_nodes") or "").strip()
    # The guard play runs over all hosts.
    if pattern:
        chosen = frozenset(match(action, task_vars, pattern))
        hosts = [name for name in hosts if name in chosen]
    if not hosts:
        raise InputError(
            [
                f"gummy_nodes={pattern} matches no host of the inventory (and --limit): see `ansible-inventory --graph`"
            ]
        )
    config = load_config()
    names = tuple(name for name in hosts if name != LOCAL)
    given = {name: hostvars.raw_get(name) for name in names}
    common = hostvars.raw_get(LOCAL)
    problems = [problem for name in names if (problem := _leak(name, given[name], common))]
    problems += [
        problem
        for name in names
        if (problem := why_no_node(name, _plain(given[name]), action._task))
    ]
    if problems:
        raise InputError(problems[:5])
    slots = config.slots
    # The first host's then stands where -k's was.
    own_password = any(name in task_vars for name in C.MAGIC_VARIABLE_MAPPING["password"])
    maker = LinkMaker(action._task, "" if own_password else action._play_context.password or "")
    believe = not (setting(task_vars, "refresh") or context.CLIARGS.get("flush_cache"))
    snapshots = Snapshots(believe)
    vias = {name: settings_of(given[name], action._task) for name in names}
    quarantines = Quarantines({name: f"{name} {via}" for name, via in vias.items()}, believe)

    def measure(name: str, link: Link) -> Node:
        facts = measure_link(link, snapshots, slots.get(name), config.load_weights)
        return node_from_vars(name, {**given.get(name, {}), "gummy_facts": facts})

    return Fleet(
        names,
        tuple(_node(name, given[name], slots, vias[name]) for name in names),
        Node(LOCAL, local=True) if LOCAL in hosts else None,
        lambda name: (
            local_link(LOCAL)
            if name == LOCAL and LOCAL not in names
            else maker.make(name, hostvars[name])
        ),
        measure,
        config,
        tuple(row for rows in LEFT_OUT.values() for row in rows),
        quarantines,
    )


def _plain(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Without templates: what those say shows when a link is made."""
    return {
        key: value
        for key, value in variables.items()
        if key.startswith("ansible_") and "{{" not in str(value)
    }


def _node(name: str, variables: Mapping[str, Any], slots: Mapping[str, int], via: str) -> Node:
    facts = variables.get("gummy_facts")
    if isinstance(facts, Mapping) and facts.get("via") not in (None, via):
        # Another source of the inventory, -e or the play leads elsewhere, or to another login.
        facts = None
    if name in slots and isinstance(facts, Mapping):
        facts = {**facts, "slots": {**(facts.get("slots") or {}), "total": slots[name]}}
    return node_from_vars(name, {**variables, "gummy_facts": facts})


def _leak(name: str, variables: Mapping[str, Any], common: Mapping[str, Any]) -> str | None:
    """A setting in host_vars or a group other than all would be the first host's for the whole run."""
    for key in TOP_KEYS:
        if f"gummy_{key}" in variables and variables[f"gummy_{key}"] != common.get(f"gummy_{key}"):
            return f"gummy_{key} is set for host {name} alone (host_vars, or a group other than all): settings belong in -e, the play's vars or group all"
    return None


def find_request(action: ActionBase, task_vars: Mapping[str, Any], fleet: Fleet) -> Request:
    """Raises InputError with all that is wrong."""
    settings = {
        f"gummy_{key}": task_vars[f"gummy_{key}"] for key in TOP_KEYS if f"gummy_{key}" in task_vars
    }
    names = [*fleet.names, *([LOCAL] if fleet.fallback else [])]
    request = read_request(
        extra_vars(),
        settings,
        names,
        os.getcwd(),
        fleet.config,
        match=lambda pattern: match(action, task_vars, pattern),
        extra_var_names=_typed_names(action),
    )
    # Of an earlier call's jobs some may need no value any more.
    if not (request.adopt or os.path.isdir(run_folder(request.run_id))):
        require_values(request.jobs)
    if not fleet.names and any(job.node not in ("local", LOCAL) for job in request.jobs):
        raise InputError(
            [
                "no node is among the hosts of this play (a broken or missing -i leaves localhost alone): give -i, or gummy_node=local to work here"
            ]
        )
    return on_each(request, _systems(fleet)) if request.each else request


def _systems(fleet: Fleet) -> dict[str, str | None]:
    """The operating system of each node: from the inventory, else by asking it."""
    with ThreadPoolExecutor(64) as pool:
        return dict(
            zip(
                fleet.names,
                pool.map(lambda node: node.os or looked_at(fleet, node).os, fleet.nodes),
                strict=True,
            )
        )


def check_names(action: ActionBase) -> None:
    """Raises InputError for extra variables that look like settings and are none."""
    if problems := unknown_settings(_typed_names(action)):
        raise InputError(problems)


def find_project(task_vars: Mapping[str, Any]) -> str | None:
    """The project that `sync` is about. Raises InputError."""
    try:
        return read_project(setting(task_vars, "project"), os.getcwd())
    except BadValue as exc:
        raise InputError([f"gummy_project: {exc}"]) from exc


def _typed_names(action: ActionBase) -> list[str]:
    """Names of all extra vars, those of files included."""
    manager = (
        action._task.get_variable_manager()
        if hasattr(action._task, "get_variable_manager")
        else None
    )
    return [str(name) for name in (manager.extra_vars if manager is not None else {})]


def match(action: ActionBase, task_vars: Mapping[str, Any], pattern: str) -> list[str]:
    """Host names of a pattern, as Ansible reads it."""
    lookup = lookup_loader.get(
        "ansible.builtin.inventory_hostnames", loader=action._loader, templar=action._templar
    )
    return [str(name) for name in lookup.run([pattern], variables=task_vars)]
