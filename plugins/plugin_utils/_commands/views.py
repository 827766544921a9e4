# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `status` and `specialists` have in common: all nodes are asked about today.

What a node says is data of a stranger: it gets its type and its length here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from .._schedule.placement import Node

# How long a node may take to answer, in seconds.
SECONDS = 30.0
# How many characters of a node's words are passed on: of a name, a sentence, and a path.
NAME_MOST = 128
SENTENCE_MOST = 300
PATH_MOST = 4096
# Numbers from here on are none that arithmetic and clocks can take.
NUMBER_LIMIT = 1e15


class Slots(TypedDict):
    """How many agents a node takes at the same time, and how many it has now."""

    total: int
    busy: int


def slots_of(node: Node) -> Slots | None:
    """The slots of a node that was measured; of another one nobody knows them."""
    if node.state != "measured":
        return None
    return {"total": node.slots, "busy": node.busy}


class ForeignRow(TypedDict):
    """A task of gummy that somebody has started by hand."""

    node: str
    pid: int
    # Its command line from the word gummy on.
    words: str
    # How long it has run.
    seconds: float | None


def foreign_rows(node: str, reply: Mapping[str, Any]) -> list[ForeignRow]:
    """The tasks that a node, asked under this name, tells in its last reply."""
    return [
        {
            "node": node,
            "pid": int(number_of(task.get("pid")) or 0),
            "words": text_of(task.get("words"), SENTENCE_MOST) or "gummy",
            "seconds": number_of(task.get("seconds")),
        }
        for task in reply.get("foreign") or ()
    ]


def today() -> float:
    """Seconds since midnight.

    Nodes are told this, no time: "today" is the asker's day, whatever their clocks and time zones
    say.
    """
    now = time.time()
    midnight = time.mktime((*time.localtime(now)[:3], 0, 0, 0, 0, 0, -1))
    return now - midnight


def away(nodes: Mapping[str, Node]) -> dict[str, str]:
    """Nodes that the inventory has found unreachable, with the reason.

    They are not asked: that would take the time of a connection that fails once more.
    """
    return {
        name: node.reason or "not reachable"
        for name, node in nodes.items()
        if node.state == "unreachable"
    }


def why_it_fails(asked: Mapping[str, Node], answered: Iterable[str]) -> str | None:
    """Why a view tells nothing of the fleet, as a sentence; None if it does.

    It is good when some nodes are away. When none has answered it fails, whatever the controller
    says of itself.
    """
    others = {name for name, node in asked.items() if not node.local}
    if not others:
        return (
            "no node is among the hosts of this play "
            "(a broken or missing -i leaves localhost alone): give -i"
        )
    if not others & set(answered):
        return "no node answers: see the reasons above"
    return None


def text_of(value: object, most: int = NAME_MOST) -> str | None:
    """A text, cut to so many characters; None for anything else."""
    return value[:most] if isinstance(value, str) else None


def number_of(value: object) -> float | None:
    """A number that is 0 or more; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < NUMBER_LIMIT else None


def status_of(state: str, failure: str | None, proof: object) -> str:
    """The state of an attempt; of one that has ended, how."""
    if state != "ended":
        return state
    if failure == "cancelled":
        return "cancelled"
    if failure is not None:
        return "failed"
    return "success" if proof else "unproven"
