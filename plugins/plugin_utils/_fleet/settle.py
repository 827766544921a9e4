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

from .._links.link import Link, LinkError
from .._node import wire
from .._schedule.placement import Node, Settled, is_sure
from .ask import AT_ONCE, LIST_SECONDS, MESSAGE_MOST, all_replies
from .fleet import Fleet

# No attempt's id begins so: only the programs are asked for.
NO_ATTEMPT = "~"
# Kinds of errors after which the next question may be answered.
MAY_PASS = frozenset({"unreachable", "timeout", "reply"})
# What of a node's list of programs is taken.
NAMES = frozenset({"claude", "gummy", "git", "rsync"})


def settled(fleet: Fleet, nodes: Iterable[Node], agents: Collection[str]) -> list[Node]:
    """The nodes, those asked of which it is not sure whether they have what these agents need.

    One that gives no answer stays as it is: what is asked of it next tells why.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda node: _settled(fleet, node, agents), nodes))


def _settled(fleet: Fleet, node: Node, agents: Collection[str]) -> Node:
    is_away = node.state == "unreachable" or node.online is False or node.excluded is not None
    if is_away or all(is_sure(node, agent) for agent in agents):
        return node
    try:
        return settle(fleet, node, fleet.make_link(node.name))
    except LinkError as exc:
        if exc.kind in MAY_PASS:
            return node
        return replace(node, excluded=str(exc), remedy="a person has to mend that there")


def settle(fleet: Fleet, node: Node, link: Link) -> Node:
    """The node with what its program says of the programs there. Raises LinkError."""
    request: wire.ListRequest = {"prefix": NO_ATTEMPT, "agents": True}
    stream = link.stream("list", request, LIST_SECONDS)
    return with_told(fleet, node, link, all_replies(link, stream, last="listed")[-1])


def with_told(fleet: Fleet, node: Node, link: Link, listed: Mapping[str, Any]) -> Node:
    """The node with what the last reply of `list` tells of its programs, which is remembered."""
    agents = listed.get("agents")
    missing = listed.get("missing")
    if not isinstance(agents, list) or not isinstance(missing, list):
        return node
    found = Settled(
        tuple(row["name"] for row in agents if row["name"] in NAMES),
        {row["name"]: row["reason"][:MESSAGE_MOST] for row in missing if row["name"] in NAMES},
    )
    if fleet.remember is not None:
        fleet.remember(link, found)
    return replace(node, agents=frozenset(found.agents), unseen=frozenset(), missing=found.missing)
