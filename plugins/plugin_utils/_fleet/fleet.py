# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet: the machines that may take jobs, and how each of them is reached and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from .._files.quarantines import Quarantines
from .._input.config import Config
from .._links.link import Link, LinkError
from .._schedule.placement import Node, Settled


@dataclass(frozen=True)
class Tailnet:
    """What a source of the inventory that is a tailnet has found."""

    # Path of the source.
    source: str
    # Why it knows this machine alone, a sentence; None if it knows the network.
    fault: str | None = None
    # This machine's own part, as the host variable gummy_tailnet has it; empty: not known.
    own: Mapping[str, object] = field(default_factory=dict)
    # Whom it asks for the load.
    load_sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Surroundings:
    """What Ansible's side knows of the controller and of the play's hosts, for `doctor`."""

    # The version of ansible-core.
    ansible: str = ""
    # Sentences about the config file, and about settings of the play's hosts, that are wrong.
    config_problems: tuple[str, ...] = ()
    setting_problems: tuple[str, ...] = ()
    tailnets: tuple[Tailnet, ...] = ()
    # Host -> what the inventory knows of it as a machine of the tailnet (gummy_tailnet).
    in_tailnet: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True)
class ToldLoad:
    """How busy a node is, where it is asked for that along with something else."""

    # What a node's /bin/sh prints it by, and what does so if the node has printed it before: what
    # its CPU does lies between two times then.
    script: str
    next_script: str
    # Name of a node, and what these scripts printed there, the newest last -> the node with it.
    read: Callable[[str, str], Node]


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The candidates of a play with what is needed to ask them.

    It is built on Ansible's side once and used by the run and by all other commands, which
    therefore need nothing of Ansible themselves.
    """

    # The hosts of the play, in its order and without the controller, as the inventory knows them.
    nodes: tuple[Node, ...]
    # The controller itself, if the play's hosts hold localhost: it takes jobs when no node can.
    fallback: Node | None
    # Name of a node -> a new link to it; raises LinkError for settings that lead nowhere.
    make_link: Callable[[str], Link]
    # Name and link of a node -> the node with the load that it has now; raises LinkError.
    measure: Callable[[str, Link], Node]
    # The controller's config file.
    config: Config
    # As `measure`, but the load is not older than the question; None: `measure` is as good.
    measure_now: Callable[[str, Link], Node] | None = None
    # How a node's load is read from what it tells beside something else; None: it is not asked.
    told_load: ToldLoad | None = None
    # Keeps what a node's program has said of the programs there; None: nobody keeps it.
    remember: Callable[[Link, Settled], None] | None = None
    # Whether a job that no node can take goes to the controller.
    falls_back: bool = True
    # How this ansible-playbook was called, as far as a command that people are told to type needs.
    command: str = "ansible-playbook"
    # (name, reason) of machines that the inventory has seen and made no host of.
    left_out: tuple[tuple[str, str], ...] = ()
    # Nodes that rest because they failed, kept from one run to the next.
    quarantines: Quarantines = field(default_factory=lambda: Quarantines({}))
    # What only `doctor` looks at.
    surroundings: Surroundings = Surroundings()

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes' names, without the controller's."""
        return tuple(node.name for node in self.nodes)

    @property
    def candidates(self) -> dict[str, Node]:
        """All that may take jobs by name, the controller last."""
        nodes = list(self.nodes)
        if self.fallback is not None:
            nodes.append(self.fallback)
        return {node.name: node for node in nodes}


def with_load(fleet: Fleet, node: Node, link: Link | None = None) -> Node:
    """The node with its load, measured over its link if nothing is known of it.

    A node that the tailnet says is offline is not asked. Raises LinkError.
    """
    if node.state != "unknown" or node.online is False:
        return node

    measured = fleet.measure(node.name, link or fleet.make_link(node.name))
    return _as_it_is_used(node, measured)


def with_load_of_now(fleet: Fleet, node: Node, link: Link) -> Node:
    """The node with the load that it has at this moment, whatever is known of it.

    Raises LinkError.
    """
    measure = fleet.measure_now or fleet.measure
    return _as_it_is_used(node, measure(node.name, link))


def _as_it_is_used(node: Node, measured: Node) -> Node:
    """The measured node; the controller keeps its own slots."""
    if not node.local:
        return measured
    return replace(measured, local=True, slots=node.slots)


def with_told_load(fleet: Fleet, node: Node, text: object) -> Node:
    """The node with the load that it has told in this text, if there is one in it."""
    if fleet.told_load is None or not isinstance(text, str) or not text:
        return node
    told = fleet.told_load.read(node.name, text)
    return _as_it_is_used(node, told) if told.state == "measured" else node


def with_load_or_reason(fleet: Fleet, node: Node) -> Node:
    """`with_load`, or the node as unreachable with the reason why it can't be measured."""
    try:
        return with_load(fleet, node)
    except LinkError as exc:
        return Node(node.name, "unreachable", str(exc))
