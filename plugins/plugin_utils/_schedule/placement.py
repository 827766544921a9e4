# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which node takes a job, and why: pure functions from what is known of the nodes to a ranking.

docs/placement.md tells the rules to users, with examples that a test compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .task_types import TASK_TYPES

# The parts of a node's load; each goes from 0 (idle) to 1 (full).
LOAD_PARTS = ("cpu", "memory", "load_average", "io_wait")
DEFAULT_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"cpu": 0.4, "memory": 0.3, "load_average": 0.3, "io_wait": 0.0}
)

# Bytes that must be free on a node: room for a workspace's changes and the harvest.
DISK_RESERVE = 256 * 1024 * 1024

# What the score of a node falls by that has the specialist's session.
AFFINITY = 0.1

# What each job needs beside its agent: for its baseline, and for the ways of its project.
TOOLS = ("git", "rsync")

# What a node can be for a job: able to take it now, when a slot is free, or not at all.
FREE = 0
WAITS = 1
REJECTED = 2

# How people call the parts of the load; the others are called as they are.
_SHORT = {"memory": "mem", "load_average": "load", "io_wait": "io wait"}


@dataclass(frozen=True)
class Node:
    """A candidate."""

    name: str

    # measured, unknown (it answers, or may; its load is not known) or unreachable.
    state: str = "unknown"

    # Why it is unreachable, or why its load is not known.
    reason: str | None = None

    # Part of the load -> 0 (idle) to 1 (full); a part that is not known is None or absent.
    load: Mapping[str, float | None] = field(default_factory=dict)

    cpus: int = 1

    # How many slots it has, how many of them others hold, and how many this run holds.
    slots: int = 1
    busy: int = 0
    in_flight: int = 0

    # The agents that can be used there; None: that is not known.
    agents: frozenset[str] | None = None

    # Agents, and tools that each job needs, that were not found there and may be there for all
    # that; and those that certainly are not, with why.
    unseen: frozenset[str] = frozenset()
    missing: Mapping[str, str] = field(default_factory=dict)

    # Free bytes where the workspaces lie; None: that is not known.
    disk_free: int | None = None

    # What the tailnet says; None: it is in none.
    online: bool | None = None

    # The caller's reason against it, and what would change that.
    excluded: str | None = None
    remedy: str | None = None

    # Whether it is the controller itself.
    local: bool = False

    # When its load was measured, in Unix seconds.
    measured_at: float | None = None

    # The serial number of its newest job in this run; 0: it had none.
    last_used: int = 0

    # linux, macos, ...; None: that is not known.
    os: str | None = None

    # The version of its git; None: that is not known.
    git: tuple[int, int] | None = None


@dataclass(frozen=True)
class Settled:
    """What the node program has said of the programs of its node, which is the last word."""

    # The agents that can be used there.
    agents: tuple[str, ...]
    # Of the other agents, and of tools that are not there either, why.
    missing: Mapping[str, str]


@dataclass(frozen=True)
class Need:
    """What a job asks of a node."""

    agent: str = "shell"

    # A key of TASK_TYPES.
    task_type: str = "general"

    # The only node that may take it; `local`: the controller itself.
    node: str | None = None

    # The only nodes that may take it; None: all of them.
    nodes: frozenset[str] | None = None

    # Nodes that may not take it.
    exclude: frozenset[str] = frozenset()

    # The node that has the specialist's session.
    home: str | None = None

    # The oldest git that can read its project, and for what of it; None: any.
    git: tuple[int, int] | None = None
    git_for: str = ""


@dataclass(frozen=True)
class Ranked:
    """A node's place in a ranking."""

    host: str

    # The sum of the parts, from 0 (idle) to 1 (full); None: nothing of its load is known.
    score: float | None
    parts: Mapping[str, float]

    # Why it can't take the job now; None: it can.
    rejected: str | None

    # Whether it is rejected only until a slot is free.
    waits: bool

    # Why it has this place, for people.
    reason: str

    # What would have to change for it to take the job; None: it is the first one.
    change: str | None

    node: Node

    def as_dict(self, now: float) -> dict[str, Any]:
        """The public record: what the filters return and `run.json` keeps.

        now: Unix seconds, for the age of what was measured.
        """
        node = self.node
        load = node.load
        return {
            "host": self.host,
            "score": None if self.score is None else round(self.score, 4),
            "reason": self.reason,
            "rejected": self.rejected,
            "waits": self.waits,
            "change": self.change,
            "cpu": load.get("cpu"),
            "mem": load.get("memory"),
            "load_average": load.get("load_average"),
            "io_wait": load.get("io_wait"),
            "parts": {part: round(value, 4) for part, value in self.parts.items()},
            "cpus": node.cpus,
            "slots": node.slots,
            "busy": node.busy + node.in_flight,
            "measured_at": node.measured_at,
            "age": self._age(now),
        }

    def _age(self, now: float) -> float | None:
        if self.node.measured_at is None:
            return None
        return round(max(0.0, now - self.node.measured_at), 1)


class Scorer:
    """How nodes stand for jobs of one Need.

    It is the one place that both `rank`, for people, and the scheduler's quick choice ask.
    """

    def __init__(
        self, need: Need, weights: Mapping[str, float], preferences: Mapping[str, Sequence[str]]
    ) -> None:
        """weights: part of the load -> weight; preferences: task type -> first-choice nodes."""
        self.need = need
        self.preferred = frozenset(preferences.get(need.task_type, ()))

        # The task type makes one part of the load count by 1 more.
        self.weights = {part: weights.get(part, 0.0) for part in LOAD_PARTS}
        heavier_part = TASK_TYPES[need.task_type]
        if heavier_part is not None:
            self.weights[heavier_part] += 1

    def standing(self, node: Node) -> tuple[int, tuple[Any, ...]]:
        """FREE, WAITS or REJECTED, and a key by which nodes are compared: the least is the best."""
        if obstacle(node, self.need) is not None:
            return REJECTED, (node.name,)

        if node.busy + node.in_flight >= node.slots:
            return WAITS, self._key(node)
        return FREE, self._key(node)

    def _key(self, node: Node) -> tuple[Any, ...]:
        not_preferred = (not is_sure(node, self.need.agent), node.name not in self.preferred)
        value = _total(self.parts(node))

        # Nodes without load data come after those that have some, and take turns.
        if value is None:
            not_home = node.name != self.need.home
            return (not_preferred, 1, not_home, _fill(node), node.last_used, node.name)
        return (not_preferred, 0, value, -node.cpus, _fill(node), node.name)

    def parts(self, node: Node) -> dict[str, float]:
        """What each part adds to the node's score; none where nothing of its load is known."""
        parts = _parts(node.load, self.weights, _fill(node))
        if parts and node.name == self.need.home:
            parts["affinity"] = -min(AFFINITY, sum(parts.values()))
        return parts


def score(
    load: Mapping[str, float | None],
    weights: Mapping[str, float],
    task_type: str,
    in_flight: int,
    slots: int,
) -> float | None:
    """0 (idle) to 1 (full), or None without load data. in_flight: slots taken, by whomever."""
    scorer = Scorer(Need(task_type=task_type), weights, {})
    return _total(_parts(load, scorer.weights, in_flight / max(slots, 1)))


def rank(
    nodes: Iterable[Node],
    need: Need,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
    preferences: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[Ranked]:
    """Every node: usable ones best first, then those that wait for a slot, then the rejected."""
    scorer = Scorer(need, weights, preferences)
    standings = sorted(
        ((*scorer.standing(node), node) for node in nodes), key=lambda standing: standing[:2]
    )
    usable = [node for group, _key, node in standings if group != REJECTED]
    free = [node for group, _key, node in standings if group == FREE]

    best = free[0] if free else None
    blind = not any(_parts(node.load, scorer.weights, 0.0) for node in usable)
    return [_ranked(scorer, group, node, best, blind) for group, _key, node in standings]


def _ranked(scorer: Scorer, group: int, node: Node, best: Node | None, blind: bool) -> Ranked:
    """blind: nothing is known of any usable node's load."""
    parts = scorer.parts(node)
    rejected: str | None = None
    change: str | None = None

    if group == REJECTED:
        rejected, change = obstacle(node, scorer.need) or ("", None)
    elif group == WAITS:
        rejected = f"no free slot ({node.busy + node.in_flight} of {node.slots} taken)"
        change = "a job has to end there, or nodes.<name>.slots in the config to be raised"
    elif best is not None and node is not best:
        change = _overtakes(scorer, node, best)

    return Ranked(
        host=node.name,
        score=_total(parts),
        parts=parts,
        rejected=rejected,
        waits=group == WAITS,
        reason=rejected or _reason(node, scorer, parts, blind),
        change=change,
        node=node,
    )


def _overtakes(scorer: Scorer, node: Node, best: Node) -> str:
    """What would make this node better than the best."""
    if best.name in scorer.preferred and node.name not in scorer.preferred:
        return f"{best.name} would have to be full, or host_preferences to name this node"

    ahead = _total(scorer.parts(best))
    if _total(scorer.parts(node)) is not None:
        return f"its score would have to fall below {ahead or 0.0:.2f}, that of {best.name}"
    if ahead is not None:
        return "its load would have to be known"
    return f"it is its turn after {best.name}"


# -- the parts of the score


def _parts(
    load: Mapping[str, float | None], weights: Mapping[str, float], fill: float
) -> dict[str, float]:
    """What each part of the load adds to the score, by its weight. fill: the share of slots taken.

    The share of slots taken is a floor under the whole score, not under a part: else a part with
    much weight (io_wait for api) would let a burst of jobs herd onto one node.
    """
    known: dict[str, float] = {}
    for part in LOAD_PARTS:
        value = load.get(part)
        if value is not None and weights[part] > 0:
            known[part] = value

    total = sum(weights[part] for part in known)
    parts = {part: value * weights[part] / total for part, value in known.items()}

    mean = sum(parts.values())
    if parts and fill > mean:
        parts["in_flight"] = min(fill, 1.0) - mean
    return parts


def _total(parts: Mapping[str, float]) -> float | None:
    """The score; rounded, so that what is equal on paper is equal here."""
    if not parts:
        return None
    return round(sum(parts.values()), 9)


def _fill(node: Node) -> float:
    return (node.busy + node.in_flight) / max(node.slots, 1)


def obstacle(node: Node, need: Need) -> tuple[str, str] | None:
    """Why this node can't take the job, now or later, and what would change that."""
    if need.node is not None and not _is_pinned_to(node, need.node):
        return f"the job is pinned to {need.node}", "its node would have to be another"
    if need.nodes is not None and node.name not in need.nodes:
        return "not among the job's nodes", "its nodes would have to name it"
    if node.name in need.exclude:
        return "excluded", "take it out of exclude"

    if node.excluded:
        return node.excluded, node.remedy or ""
    if node.state == "unreachable":
        reason = f"not reachable: {node.reason}" if node.reason else "not reachable"
        return reason, "it has to answer ssh"
    # A node that was measured has proved that it is there, whatever the tailnet says.
    if node.online is False and node.state != "measured":
        return "offline", "it has to be online in the tailnet"

    for tool in TOOLS:
        if tool in node.missing:
            return f"no {tool}: {node.missing[tool]}", f"{tool} has to be installed there"
    if _lacks_agent(node, need.agent):
        remedy = f"{need.agent} has to be where a person finds it who types there"
        remedy += ", and what it needs"
        why = node.missing.get(need.agent)
        return f"no usable {need.agent}" + (f": {why}" if why else ""), remedy
    if need.git is not None and node.git is not None and node.git < need.git:
        has = ".".join(map(str, node.git))
        wanted = ".".join(map(str, need.git))
        reason = f"its git is {has}, and {need.git_for or 'a project'} needs {wanted}"
        return reason, f"git {wanted} or newer has to be there"
    if node.disk_free is not None and node.disk_free < DISK_RESERVE:
        free = node.disk_free // 1024**2
        needed = DISK_RESERVE // 1024**2
        reason = f"disk nearly full ({free} MB free, {needed} MB needed)"
        return reason, "free some: the clean playbook removes what is old"
    return None


def _lacks_agent(node: Node, agent: str) -> bool:
    """Whether the agent is certainly not usable there."""
    if agent == "shell" or node.agents is None or agent in node.agents:
        return False
    return agent not in node.unseen


def lacks_program(node: Node, agent: str) -> bool:
    """Whether the agent, or a tool that each job needs, is certainly not there."""
    return _lacks_agent(node, agent) or any(tool in node.missing for tool in TOOLS)


def is_sure(node: Node, agent: str) -> bool:
    """Whether nothing that a job of this agent needs there is still to be looked for."""
    return not node.unseen or not (node.unseen & {agent, *TOOLS})


def _is_pinned_to(node: Node, pin: str) -> bool:
    return node.name == pin or (pin == "local" and node.local)


def _reason(node: Node, scorer: Scorer, parts: Mapping[str, float], blind: bool) -> str:
    """Why a node that can take the job has its place."""
    value = _total(parts)
    if value is not None:
        figures = [f"score {value:.2f}"]
        for part in LOAD_PARTS:
            if part in parts:
                figures.append(f"{_SHORT.get(part, part)} {100 * (node.load[part] or 0):.0f} %")
        if "in_flight" in parts:
            figures.append(f"{node.busy + node.in_flight} of {node.slots} slots taken")
        reason = ", ".join(figures)
    elif blind:
        reason = "no load data: round robin"
    else:
        reason = "no load data"

    if scorer.need.node is not None:
        reason += ", the job is pinned to it"
    if node.name in scorer.preferred:
        reason += f", first choice for {scorer.need.task_type}"
    if node.name == scorer.need.home:
        reason += ", has the specialist's session"
    return reason
