# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which programs a node has, where the inventory could not tell.

The inventory looks for them with a short script, and a person who types on a node may find more.
Only the node program asks for that, so it is asked before a node is rejected for want of a program.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from .._input.config import AGENT_SETTINGS, OwnAgent
from .._links.link import Link, LinkError
from .._node import wire
from .._schedule.placement import TOOLS, Node, Settled, is_sure
from .ask import AT_ONCE, LIST_SECONDS, MESSAGE_MOST, all_replies
from .fleet import Fleet

# No attempt's id begins so: only the programs are asked for.
NO_ATTEMPT = "~"
# Kinds of errors after which the next question may be answered.
MAY_PASS = frozenset({"unreachable", "timeout", "reply"})
# What of a node's list of programs is taken, beside the agents of the config.
NAMES = frozenset(AGENT_SETTINGS) | frozenset(TOOLS)


def settled(fleet: Fleet, nodes: Iterable[Node], agents: Collection[str]) -> list[Node]:
    """The nodes, those asked of which it is not sure whether they have what these agents need.

    One that gives no answer stays as it is: what is asked of it next tells why.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda node: _settled(fleet, node, agents), nodes))


def with_own(node: Node, agents: Collection[str]) -> Node:
    """The node, on which nobody has looked yet for those of these agents that are the user's own.

    The inventory knows nothing of them.
    """
    own = {name for name in agents if name not in AGENT_SETTINGS and name not in node.missing}
    if node.agents is None or own <= node.agents:
        return node
    return replace(node, unseen=node.unseen | (own - node.agents))


def _settled(fleet: Fleet, node: Node, agents: Collection[str]) -> Node:
    node = with_own(node, agents)
    is_away = node.state == "unreachable" or node.online is False or node.excluded is not None
    if is_away or all(is_sure(node, agent) for agent in agents):
        return node
    try:
        return settle(fleet, node, fleet.make_link(node.name))
    except LinkError as exc:
        if exc.kind in MAY_PASS:
            return node
        return replace(node, excluded=str(exc), remedy="a person has to mend that there")


def own_agents(fleet: Fleet) -> dict[str, wire.OwnAgent]:
    """The agents of the user's config, as a node is told of them."""
    return {name: own_agent(own) for name, own in fleet.config.own_agents.items()}


def own_agent(own: OwnAgent) -> wire.OwnAgent:
    """An agent of the user's config, as a node is told of it."""
    return {
        "argv": list(own.argv),
        "prompt": own.prompt,
        "reads": own.reads,
        "login_file": own.login_file,
    }


def settle(fleet: Fleet, node: Node, link: Link) -> Node:
    """The node with what its program says of the programs there. Raises LinkError."""
    request: wire.ListRequest = {"prefix": NO_ATTEMPT, "agents": True, "own": own_agents(fleet)}
    stream = link.stream("list", request, LIST_SECONDS)
    return with_told(fleet, node, link, all_replies(link, stream, last="listed")[-1])


def with_told(fleet: Fleet, node: Node, link: Link, listed: Mapping[str, Any]) -> Node:
    """The node with what the last reply of `list` tells of its programs, which is remembered."""
    agents = listed.get("agents")
    missing = listed.get("missing")
    if not isinstance(agents, list) or not isinstance(missing, list):
        return node
    known = NAMES | frozenset(fleet.config.own_agents)
    found = Settled(
        tuple(row["name"] for row in agents if row["name"] in known),
        {row["name"]: row["reason"][:MESSAGE_MOST] for row in missing if row["name"] in known},
    )
    if fleet.remember is not None:
        # What the config says of the user's own agents may be another thing in a moment.
        ours = {name: why for name, why in found.missing.items() if name in NAMES}
        told = tuple(name for name in found.agents if name in NAMES)
        fleet.remember(link, Settled(told, ours))
    return replace(node, agents=frozenset(found.agents), unseen=frozenset(), missing=found.missing)
