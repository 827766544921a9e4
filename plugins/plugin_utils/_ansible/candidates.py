# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The candidates of a play: from Ansible's hosts and their variables to a `Fleet`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleError
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible.release import __version__ as ansible_version

from .._errors import BadValue, InputError
from .._files.quarantines import Quarantines
from .._fleet.fleet import Fleet, Surroundings, Tailnet, ToldLoad
from .._input.config import Config, load_config
from .._input.keys import TOP_KEYS, coerce, plain, setting, show
from .._input.nodes import node_from_vars
from .._links.link import Link
from .._load.measure import facts_told, keep_settled, measure_link
from .._load.probe import LOAD_SCRIPT, NOW_SCRIPT
from .._load.snapshots import Snapshots
from .._schedule.placement import Node
from .._tailnet.left_out import FOUND, LEFT_OUT
from .connect import LinkMaker, settings_of, why_no_node
from .manners import failed_hosts, live_hosts

# The controller's own name among the hosts of a play.
LOCAL = "localhost"
# How many hosts with wrong settings are named at once; more would only be scrolled away.
PROBLEMS_MOST = 5

# Variables of a host, templates and all, as the inventory and the play give them.
HostVars = Mapping[str, Any]


def find_fleet(
    action: ActionBase,
    task_vars: Mapping[str, Any],
    nodes: Any = None,
    *,
    forgiving: bool = False,
    anew: bool = False,
) -> Fleet:
    """The fleet of the play that this action runs in.

    nodes: of the task's options, a host pattern of the whole inventory; None for the play's hosts.
    forgiving: whether a config file and settings of hosts that are wrong are told by the fleet's
    surroundings.
    anew: ask nodes for all that is measured, whatever they said a moment ago.

    Raises InputError for hosts, settings and a config file that no job can be placed with.
    """
    pattern = _pattern(nodes, "nodes")
    if pattern:
        hosts = _hosts_of_pattern(action, task_vars, pattern)
        # They are reached by their own variables: the play may be one of localhost, and say
        # `connection: local` for that.
        task = Task()
    else:
        hosts = _hosts_of_play(action, task_vars)
        task = action._task
    config_problems: list[str] = []
    setting_problems: list[str] = []
    config = Config()
    try:
        config = load_config()
    except InputError as exc:
        config_problems += exc.problems

    all_hostvars = task_vars["hostvars"]
    hostvars = {name: all_hostvars.raw_get(name) for name in hosts if name != LOCAL}
    name = str(task_vars["inventory_hostname"])
    own = {name: all_hostvars.raw_get(name)}
    try:
        _check_settings(hostvars, own, all_hostvars.raw_get(LOCAL), task)
    except InputError as exc:
        setting_problems += exc.problems
    if not forgiving and (config_problems or setting_problems):
        raise InputError(config_problems or setting_problems)

    make_link = _link_maker(action, task, task_vars)
    believe = _believes_caches(task_vars)
    vias = {name: settings_of(variables, task) for name, variables in hostvars.items()}
    slots = config.slots
    snapshots = Snapshots(believe and not anew)

    return Fleet(
        nodes=tuple(
            _node(name, variables, slots.get(name), vias[name])
            for name, variables in hostvars.items()
        ),
        fallback=Node(LOCAL, local=True) if LOCAL in hosts else None,
        make_link=make_link,
        measure=_measurer(hostvars, snapshots, slots, config),
        measure_now=_measurer(hostvars, snapshots, slots, config, now=True),
        told_load=ToldLoad(NOW_SCRIPT, LOAD_SCRIPT, _reader_of_load(hostvars, slots, config)),
        remember=lambda link, found: keep_settled(link, snapshots, found),
        falls_back=setting(task_vars, "local_fallback"),
        config=config,
        command=command(),
        left_out=tuple(row for rows in LEFT_OUT.values() for row in rows),
        quarantines=Quarantines({name: f"{name} {via}" for name, via in vias.items()}, believe),
        surroundings=Surroundings(
            ansible=ansible_version,
            config_problems=tuple(config_problems),
            setting_problems=tuple(setting_problems),
            tailnets=tuple(Tailnet(source, *found) for source, found in FOUND.items()),
            in_tailnet={
                name: variables["gummy_tailnet"]
                for name, variables in hostvars.items()
                if isinstance(variables.get("gummy_tailnet"), Mapping)
            },
        ),
    )


def command() -> str:
    """How this ansible-playbook was called, as far as another playbook of ours needs it."""
    words = ["ansible-playbook"]
    for path in context.CLIARGS.get("inventory") or ():
        words += ["-i", str(path)]
    return shlex.join(words)


def match(action: ActionBase, task_vars: Mapping[str, Any], pattern: str) -> list[str]:
    """Host names of a pattern, as Ansible reads it."""
    lookup = lookup_loader.get(
        "ansible.builtin.inventory_hostnames", loader=action._loader, templar=action._templar
    )
    return [str(name) for name in lookup.run([pattern], variables=task_vars)]


# -- the steps of find_fleet


def _pattern(raw: object, where: str) -> str:
    """A host pattern that was given; blank: none was. Raises InputError."""
    try:
        return str(coerce(TOP_KEYS["nodes"], plain(raw)) or "")
    except BadValue as exc:
        raise InputError([f"{where}: {exc}"]) from exc


def _hosts_of_play(action: ActionBase, task_vars: Mapping[str, Any]) -> list[str]:
    """The play's hosts, those of `gummy_nodes` alone if it is given. Raises InputError."""
    hosts = live_hosts(task_vars)

    # A play may have chosen by this pattern already; those of our playbooks have all hosts, for one
    # without hosts would be skipped, with exit status 0.
    pattern = _pattern(task_vars.get("gummy_nodes"), "gummy_nodes")
    if pattern:
        chosen = frozenset(match(action, task_vars, pattern))
        hosts = [name for name in hosts if name in chosen]
    if not hosts:
        problem = (
            f"gummy_nodes={pattern} matches no host of the inventory (and --limit): "
            "see `ansible-inventory --graph`"
        )
        raise InputError([problem])
    return hosts


def _hosts_of_pattern(action: ActionBase, task_vars: Mapping[str, Any], pattern: str) -> list[str]:
    """The inventory's hosts of a pattern, as far as --limit leaves them. Raises InputError."""
    inventory = action._task.get_variable_manager()._inventory
    failed = failed_hosts(task_vars)
    try:
        # The restriction is the play's own hosts.
        everywhere = inventory.get_hosts(pattern, ignore_limits=True, ignore_restrictions=True)
        limited = inventory.get_hosts(pattern, ignore_restrictions=True)
    except AnsibleError as exc:
        problem = f"nodes: {show(pattern)} is no host pattern ({exc}); write it as for --limit"
        raise InputError([problem]) from exc

    all_hosts = [str(host.name) for host in everywhere]
    within_limit = [str(host.name) for host in limited]
    hosts = [name for name in within_limit if name not in failed]
    if hosts:
        return hosts
    if within_limit:
        problem = (
            f"nodes: {show(pattern)}: every host of it failed earlier in this play: "
            f"{', '.join(within_limit[:PROBLEMS_MOST])}"
        )
    elif all_hosts:
        limit = context.CLIARGS.get("subset")
        problem = (
            f"nodes: {show(pattern)} has {', '.join(all_hosts[:PROBLEMS_MOST])}, and --limit "
            f"{limit} leaves none of them: name them there as well as the play's own hosts, "
            f"as in --limit {shlex.quote(f'{limit}:{all_hosts[0]}')}"
        )
    else:
        problem = (
            f"nodes: {show(pattern)} matches no host of the inventory: "
            "see `ansible-inventory --graph`"
        )
    raise InputError([problem])


def _check_settings(
    hostvars: Mapping[str, HostVars],
    own: Mapping[str, HostVars],
    common: HostVars,
    task: Any,
) -> None:
    """Raise InputError for hosts with a setting that would count for all, or that are no nodes.

    own: those of the host in whose name the action runs, which need not be one of these; common:
    the variables that every host has.
    """
    leaks = [_leak(name, variables, common) for name, variables in {**hostvars, **own}.items()]
    reasons = [
        why_no_node(name, _without_templates(variables), task)
        for name, variables in hostvars.items()
    ]
    problems = [problem for problem in [*leaks, *reasons] if problem]
    if problems:
        raise InputError(problems[:PROBLEMS_MOST])


def _leak(name: str, variables: HostVars, common: HostVars) -> str | None:
    """A sentence about a setting in host_vars, or in a group other than all.

    The action runs once, with the variables of the play's first host: what is set for that host
    alone would be taken for everybody's.
    """
    for key in TOP_KEYS:
        variable = f"gummy_{key}"
        if variable in variables and variables[variable] != common.get(variable):
            return (
                f"{variable} is set for host {name} alone (host_vars, or a group other than all): "
                "settings belong in -e, the play's vars or group all"
            )
    return None


def _without_templates(variables: HostVars) -> dict[str, Any]:
    """The connection settings that are no templates: what those say shows when a link is made."""
    return {
        key: value
        for key, value in variables.items()
        if key.startswith("ansible_") and "{{" not in str(value)
    }


def _link_maker(
    action: ActionBase, task: Any, task_vars: Mapping[str, Any]
) -> Callable[[str], Link]:
    """What makes the link to a candidate from its settings, with -k's password where it counts."""
    # Where the first host has a password of its own, that one stands where -k's was.
    own_password = any(name in task_vars for name in C.MAGIC_VARIABLE_MAPPING["password"])
    password = "" if own_password else action._play_context.password or ""
    maker = LinkMaker(task, password)
    templated = task_vars["hostvars"]

    def make_link(name: str) -> Link:
        if name == LOCAL:
            return maker.local(LOCAL)
        return maker.make(name, templated[name])

    return make_link


def _believes_caches(task_vars: Mapping[str, Any]) -> bool:
    """Whether what earlier commands wrote down of the nodes counts."""
    return not (setting(task_vars, "refresh") or context.CLIARGS.get("flush_cache"))


def _measurer(
    hostvars: Mapping[str, HostVars],
    snapshots: Snapshots,
    slots: Mapping[str, int],
    config: Config,
    *,
    now: bool = False,
) -> Callable[[str, Link], Node]:
    """What measures a candidate over its link. slots: of the config file, by name."""

    def measure(name: str, link: Link) -> Node:
        facts = measure_link(link, snapshots, slots.get(name), config.load_weights, now=now)
        return node_from_vars(name, {**hostvars.get(name, {}), "gummy_facts": facts})

    return measure


def _reader_of_load(
    hostvars: Mapping[str, HostVars], slots: Mapping[str, int], config: Config
) -> Callable[[str, str], Node]:
    """What makes a node of what it has told of its load. slots: as for `_measurer`."""

    def read(name: str, text: str) -> Node:
        facts = facts_told(text, slots.get(name), config.load_weights)
        return node_from_vars(name, {**hostvars.get(name, {}), "gummy_facts": facts})

    return read


def _node(name: str, variables: HostVars, slots: int | None, via: str) -> Node:
    """The node as the inventory knows it.

    slots: of the config file, which counts more than what was measured; via: what tells the
    connection settings that this play uses.
    """
    facts = variables.get("gummy_facts")
    if isinstance(facts, Mapping) and facts.get("via") not in (None, via):
        # Another source of the inventory, -e or the play leads to another machine or login than
        # the one that was measured.
        facts = None
    if slots is not None and isinstance(facts, Mapping):
        facts = {**facts, "slots": {**(facts.get("slots") or {}), "total": slots}}
    return node_from_vars(name, {**variables, "gummy_facts": facts})
