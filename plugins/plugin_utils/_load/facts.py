# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host variable `gummy_facts`: what is known of a node's load, and how well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from .._schedule.placement import LOAD_PARTS, Settled, score


class Slots(TypedDict):
    """The room of a node for jobs."""

    # How many jobs it may have at once: as configured, else half its cpus.
    total: int
    # How many it has, whoever sent them.
    busy: int


class Disk(TypedDict):
    """The file system of a node's home."""

    # Bytes that are free for the user.
    free: int


class NodeFacts(TypedDict):
    """The variable as playbooks see it; None stands for what is not known."""

    # measured; unknown, which it may answer in spite of; or unreachable.
    state: str
    # Why it is not measured, or only in part, for people.
    reason: str | None
    # Part of the load -> 0 (idle) to 1 (full).
    load: dict[str, float | None]
    # How many cpus it has.
    cpus: int | None
    # linux or macos.
    os: str | None
    # Always told, so that placement has a number; 1 where even the cpus are not known.
    slots: Slots
    # The agents that can be used there, as far as they were found.
    agents: list[str] | None
    # The agents, and the tools git and rsync, that were not found, though a person who types there
    # may find them: only the node program asks for that. None: they were not looked for.
    unseen: list[str] | None
    # What the node program has not found either -> why; None: it was not asked.
    missing: dict[str, str] | None
    disk: Disk | None
    # The version of the Python that runs the node program there, and where it is.
    python: str | None
    python_path: str | None
    # The version of its git.
    git: str | None
    # Which source measured it: probe or dw.
    source: str | None
    # When it said so, in seconds since 1970.
    measured_at: float | None
    # The mean of the load by the weights of the config, 0 (idle) to 1 (full).
    score: float | None
    # Tells the connection settings that it was measured with from others; the inventory sets it.
    via: str | None


def default_slots(cpus: int | None) -> int:
    """How many jobs fit on a node if the config does not say it: half its cpus, at least 1."""
    return max(1, (cpus or 1) // 2)


def no_load() -> dict[str, float | None]:
    """All parts of a load, none of them known."""
    return dict.fromkeys(LOAD_PARTS)


def make_facts(
    state: str,
    reason: str | None,
    slots: Slots,
    *,
    load: Mapping[str, float | None] | None = None,
    cpus: int | None = None,
    os: str | None = None,
    agents: Sequence[str] | None = None,
    unseen: Sequence[str] | None = None,
    disk_free: int | None = None,
    python: str | None = None,
    python_path: str | None = None,
    git: str | None = None,
    source: str | None = None,
    measured_at: float | None = None,
) -> NodeFacts:
    """The variable of a node, but for its score and its connection settings.

    disk_free: bytes; all else as in `NodeFacts`.
    """
    return {
        "state": state,
        "reason": reason,
        "load": {**no_load(), **(load or {})},
        "cpus": cpus,
        "os": os,
        "slots": slots,
        "agents": None if agents is None else list(agents),
        "unseen": None if unseen is None else list(unseen),
        "missing": None,
        "disk": None if disk_free is None else {"free": disk_free},
        "python": python,
        "python_path": python_path,
        "git": git,
        "source": source,
        "measured_at": measured_at,
        "score": None,
        "via": None,
    }


def no_facts(state: str, reason: str | None, slots: int | None = None) -> NodeFacts:
    """The variable of a node of which nothing is known.

    state: unknown (it may be reachable) or unreachable; slots: as configured, if they are.
    """
    return make_facts(state, reason, {"total": slots or 1, "busy": 0})


def with_settled(facts: NodeFacts, settled: Settled | None) -> NodeFacts:
    """The variable with what the node program has said of the programs there; None: nothing."""
    if settled is None or facts["state"] == "unreachable":
        return facts
    told = facts.copy()
    told["agents"] = list(settled.agents)
    told["unseen"] = []
    told["missing"] = dict(settled.missing)
    return told


def score_of(facts: NodeFacts, weights: Mapping[str, float]) -> float | None:
    """The score that the variable shows: for work of no special kind, with the slots taken."""
    slots = facts["slots"]
    value = score(facts["load"], weights, "general", slots["busy"], slots["total"])
    if value is None:
        return None
    return round(value, 4)
