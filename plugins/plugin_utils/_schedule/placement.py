# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which node takes a job, and why: pure functions from what is known of the nodes to a ranking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .task_types import TASK_TYPES

LOAD_PARTS = ("cpu", "memory", "load_average", "io_wait")
DEFAULT_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"cpu": 0.4, "memory": 0.3, "load_average": 0.3, "io_wait": 0.0}
)
# Bytes: room for a workspace's changes and the harvest.
DISK_RESERVE = 256 * 1024 * 1024
# What the score of a node falls by that has the specialist's session.
AFFINITY = 0.1
FREE = 0
WAITS = 1
# Can take the job now, when a slot is free, not at all.
REJECTED = 2
_SHORT = {"memory": "mem", "load_average": "load", "io_wait": "io wait"}


@dataclass(frozen=True)
class Node:
    """A candidate.

    `load`: 0..1 each; `busy`: slots that others hold; `in_flight`: slots of this run; `last_used`:
    serial of its newest job.

    `excluded`: the caller's reason against it; `remedy`: what would change that.
    """

    name: str
    state: str = "unknown"
    reason: str | None = None
    load: Mapping[str, float | None] = field(default_factory=dict)
    cpus: int = 1
    slots: int = 1
    busy: int = 0
    in_flight: int = 0
    agents: frozenset[str] | None = None
    disk_free: int | None = None
    online: bool | None = None
    excluded: str | None = None
    remedy: str | None = None
    local: bool = False
    measured_at: float | None = None
    last_used: int = 0
    os: str | None = None


@dataclass(frozen=True)
class Need:
    """What a job asks of a node.

    `node`: a pin (`local`: the controller); `nodes`: the only ones allowed; `home`: has the
    specialist's session.
    """

    agent: str = "shell"
    task_type: str = "general"
    node: str | None = None
    nodes: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()
    home: str | None = None


@dataclass(frozen=True)
class Ranked:
    """A node's place.

    `parts` add up to `score`; `rejected`: why not; `waits`: rejected only until a slot is free.

    `change`: what would have to change for it to take the job; None for the first one.
    """

    host: str
    score: float | None
    parts: Mapping[str, float]
    rejected: str | None
    waits: bool
    reason: str
    change: str | None
    node: Node

    def as_dict(self, now: float) -> dict[str, Any]:
        """The public record: what the filters return and `run.json` keeps. now:

        Unix seconds, for the age of what was measured.
        """
        load = self.node.load
        node = self.node
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
            "age": None if node.measured_at is None else round(max(0.0, now - node.measured_at), 1),
        }


class Scorer:
    """How nodes stand for jobs of one Need: the one place that `rank` and the scheduler's quick
    choice both ask.
    """

    def __init__(
        self, need: Need, weights: Mapping[str, float], preferences: Mapping[str, Sequence[str]]
    ) -> None:
        more = TASK_TYPES[need.task_type]
        self.need = need
        self.weights = {part: weights.get(part, 0.0) + (part == more) for part in LOAD_PARTS}
        self.preferred = frozenset(preferences.get(need.task_type, ()))

    def standing(self, node: Node) -> tuple[int, tuple[Any, ...]]:
        """(FREE, WAITS or REJECTED, a key: the least is the best).

        A node without load data comes after those that have some.
        """
        if _obstacle(node, self.need) is not None:
            return REJECTED, (node.name,)
        first = node.name not in self.preferred
        value = _total(self.parts(node))
        fill = _fill(node)
        if value is None:
            key: tuple[Any, ...] = (
                first,
                1,
                node.name != self.need.home,
                fill,
                node.last_used,
                node.name,
            )
        else:
            key = (first, 0, value, -node.cpus, node.name)
        return WAITS if node.busy + node.in_flight >= node.slots else FREE, key

    def parts(self, node: Node) -> dict[str, float]:
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
    """0 (idle) to 1 (full), or None without load data. `in_flight`: slots taken, by whomever."""
    return _total(
        _parts(
            load, Scorer(Need(task_type=task_type), weights, {}).weights, in_flight / max(slots, 1)
        )
    )


def rank(
    nodes: Iterable[Node],
    need: Need,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
    preferences: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[Ranked]:
    """Every node: usable ones best first, then those that wait for a slot, then the rejected by
    name.
    """
    scale = Scorer(need, weights, preferences)
    stood = sorted(((*scale.standing(node), node) for node in nodes), key=lambda row: row[:2])
    blind = not any(
        _parts(node.load, scale.weights, 0.0) for group, _key, node in stood if group != REJECTED
    )
    best = next((node for group, _key, node in stood if group == FREE), None)
    return [_ranked(scale, group, node, best, blind) for group, _key, node in stood]


def _ranked(scale: Scorer, group: int, node: Node, best: Node | None, blind: bool) -> Ranked:
    parts = scale.parts(node)
    value = _total(parts)
    taken = f"{node.busy + node.in_flight} of {node.slots}"
    if group == REJECTED:
        rejected, change = _obstacle(node, scale.need) or ("", None)
    elif group == WAITS:
        rejected = f"no free slot ({taken} taken)"
        change = "a job has to end there, or nodes.<name>.slots in the config to be raised"
    else:
        rejected = None
        change = None if node is best or best is None else _overtakes(scale, node, best)
    reason = rejected or _reason(node, scale, value, parts, blind)
    return Ranked(node.name, value, parts, rejected, group == WAITS, reason, change, node)


def _overtakes(scale: Scorer, node: Node, best: Node) -> str:
    """What would make this node better than the best."""
    if best.name in scale.preferred and node.name not in scale.preferred:
        return f"{best.name} would have to be full, or host_preferences to name this node"
    ahead = _total(scale.parts(best))
    if _total(scale.parts(node)) is None:
        return (
            "its load would have to be known"
            if ahead is not None
            else f"it is its turn after {best.name}"
        )
    return f"its score would have to fall below {ahead or 0.0:.2f}, that of {best.name}"


# -- the parts of the score


def _parts(
    load: Mapping[str, float | None], weights: Mapping[str, float], fill: float
) -> dict[str, float]:
    """Weighted contributions.

    A floor under the whole score, not under a part: else a heavy part (io_wait for api) lets a
    burst herd.
    """
    known = {
        part: value
        for part in LOAD_PARTS
        if weights[part] > 0 and (value := load.get(part)) is not None
    }
    total = sum(weights[part] for part in known)
    parts = {part: value * weights[part] / total for part, value in known.items()}
    if parts and fill > (mean := sum(parts.values())):
        parts["in_flight"] = min(fill, 1.0) - mean
    return parts


def _total(parts: Mapping[str, float]) -> float | None:
    # Rounded, so that what is equal on paper is equal here.
    return round(sum(parts.values()), 9) if parts else None


def _fill(node: Node) -> float:
    return (node.busy + node.in_flight) / max(node.slots, 1)


def _obstacle(node: Node, need: Need) -> tuple[str, str] | None:
    """Why this node can't take the job, now or later, and what would change that."""
    if (
        need.node is not None
        and node.name != need.node
        and not (need.node == "local" and node.local)
    ):
        return f"the job is pinned to {need.node}", "its node would have to be another"
    if need.nodes is not None and node.name not in need.nodes:
        return "not among the job's nodes", "its nodes would have to name it"
    if node.name in need.exclude:
        return "excluded", "take it out of exclude"
    if node.excluded:
        return node.excluded, node.remedy or ""
    if node.state == "unreachable":
        return (
            f"not reachable: {node.reason}" if node.reason else "not reachable"
        ), "it has to answer ssh"
    # A node that was measured has proved that it is there.
    if node.online is False and node.state != "measured":
        return "offline", "it has to be online in the tailnet"
    if need.agent != "shell" and node.agents is not None and need.agent not in node.agents:
        return (
            f"no usable {need.agent}",
            f"{need.agent} has to be on the PATH of a login shell there, and what it needs",
        )
    if node.disk_free is not None and node.disk_free < DISK_RESERVE:
        free = node.disk_free // 1024**2
        needed = DISK_RESERVE // 1024**2
        return (
            f"disk nearly full ({free} MB free, {needed} MB needed)",
            "free some: the clean playbook removes what is old",
        )
    return None


def _reason(
    node: Node, scale: Scorer, value: float | None, parts: Mapping[str, float], blind: bool
) -> str:
    told = [f", first choice for {scale.need.task_type}"] if node.name in scale.preferred else []
    told += [", has the specialist's session"] if node.name == scale.need.home else []
    if value is None:
        return "".join(["no load data: round robin" if blind else "no load data", *told])
    loads = [
        f"{_SHORT.get(part, part)} {100 * (node.load[part] or 0):.0f} %"
        for part in LOAD_PARTS
        if part in parts
    ]
    taken = (
        [f"{node.busy + node.in_flight} of {node.slots} slots taken"]
        if "in_flight" in parts
        else []
    )
    return "".join([", ".join([f"score {value:.2f}", *loads, *taken]), *told])
