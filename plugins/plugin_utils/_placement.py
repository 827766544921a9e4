# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which node takes a job, and why: pure functions from what is known of the nodes to a ranking. This is private to the collection."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ._keys import BadValue, hint, show

LOAD_PARTS = ("cpu", "memory", "load_average", "io_wait")
DEFAULT_WEIGHTS: Mapping[str, float] = MappingProxyType({"cpu": 0.4, "memory": 0.3, "load_average": 0.3, "io_wait": 0.0})
# The part of the load that counts one more for work of this type.
TASK_TYPES: Mapping[str, str | None] = MappingProxyType(
    {"general": None, "database": "cpu", "api": "io_wait", "frontend": "memory", "testing": None, "security": None}
)
# gummy's own keywords as whole words; "REST" only in capitals, because of "the rest".
KEYWORDS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "database": "database databases query queries schema schemas migration migrations sql",
        "api": "api apis endpoint endpoints route routes REST restful graphql",
        "testing": "test tests testing spec specs jest vitest",
        "security": "security auth authentication authorization permission permissions vulnerability vulnerabilities",
        "frontend": "ui component components react vue frontend",
    }.items()
}
DISK_RESERVE = 256 * 1024 * 1024  # bytes: room for a workspace's changes and the harvest
_SHORT = {"memory": "mem", "load_average": "load", "io_wait": "io wait"}
_ALIASES = {"mem": "memory"}


@dataclass(frozen=True)
class Node:
    """A candidate. `load`: 0..1 each; `busy`: slots that others hold; `in_flight`: slots of this run; `excluded`: the caller's reason."""

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
    local: bool = False
    measured_at: float | None = None


@dataclass(frozen=True)
class Need:
    """What a job asks of a node. `node`: a pin (`local`: the controller); `nodes`: the only ones allowed."""

    agent: str = "shell"
    task_type: str = "general"
    node: str | None = None
    nodes: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ranked:
    """A node's place. `parts` add up to `score`; `rejected`: why not; `waits`: rejected only until a slot is free."""

    host: str
    score: float | None
    parts: Mapping[str, float]
    rejected: str | None
    waits: bool
    reason: str
    node: Node

    def as_dict(self) -> dict[str, Any]:
        """The public record: what `best_node` and `rank_nodes` return and `run.json` keeps."""
        load, node = self.node.load, self.node
        return {
            "host": self.host,
            "score": None if self.score is None else round(self.score, 4),
            "reason": self.reason,
            "rejected": self.rejected,
            "waits": self.waits,
            "cpu": load.get("cpu"),
            "mem": load.get("memory"),
            "load_average": load.get("load_average"),
            "io_wait": load.get("io_wait"),
            "parts": {part: round(value, 4) for part, value in self.parts.items()},
            "cpus": node.cpus,
            "slots": node.slots,
            "busy": node.busy + node.in_flight,
            "measured_at": node.measured_at,
        }


def task_type_of(prompt: str) -> str:
    """The task type whose keywords a prompt names most; a tie or none is `general`."""
    words = {word if word == "REST" else word.lower() for word in re.findall(r"[^\W_]+", prompt)}
    hits = sorted(((len(words & known), name) for name, known in KEYWORDS.items()), reverse=True)
    return hits[0][1] if hits[0][0] > hits[1][0] else "general"


def check_weights(raw: object) -> dict[str, float]:
    """Weights given by a user; parts not named weigh nothing. Blank: the defaults. BadValue: a sentence."""
    if raw is None or raw == "":
        return dict(DEFAULT_WEIGHTS)
    if not isinstance(raw, Mapping) or not raw:
        raise BadValue(f"load weights are a mapping of {', '.join(LOAD_PARTS)} to numbers, not {show(raw)}")
    weights = dict.fromkeys(LOAD_PARTS, 0.0)
    for name, value in raw.items():
        part = _ALIASES.get(name, name)
        if part not in weights:
            raise BadValue(f"unknown load weight {str(name)!r}; {hint(str(name), LOAD_PARTS)}")
        number = _number(value)
        if number is None or number < 0:
            raise BadValue(f"load weight {part} is {show(value)}; give a number, 0 or more")
        weights[part] = number
    if not any(weights.values()):
        raise BadValue("all load weights are 0; give at least one part more than 0")
    return weights


def score(load: Mapping[str, float | None], weights: Mapping[str, float], task_type: str, in_flight: int, slots: int) -> float | None:
    """0 (idle) to 1 (full), or None without load data. `in_flight`: slots taken, by whomever."""
    parts = _parts(load, _typed(weights, task_type), in_flight / max(slots, 1))
    return _total(parts)


def rank(
    nodes: Iterable[Node],
    need: Need,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
    preferences: Mapping[str, Sequence[str]] = MappingProxyType({}),
    turn: int = 0,
) -> list[Ranked]:
    """Every node: usable ones best first, then those that wait for a slot, then the rejected by name. `turn` rotates the blind choice."""
    typed = _typed(weights, need.task_type)
    preferred = frozenset(preferences.get(need.task_type, ()))
    seen = [(node, _obstacle(node, need), _parts(node.load, typed, _fill(node))) for node in nodes]
    fits = sorted(node.name for node, obstacle, _parts_seen in seen if obstacle is None)
    blind = not any(parts for _node_seen, obstacle, parts in seen if obstacle is None)
    place = {name: (index - turn) % len(fits) for index, name in enumerate(fits)} if blind else {}
    ranked: list[tuple[Any, Ranked]] = []
    for node, obstacle, parts in seen:
        waits = obstacle is None and node.busy + node.in_flight >= node.slots
        rejected = f"no free slot ({node.busy + node.in_flight} of {node.slots} taken)" if waits else obstacle
        value = _total(parts)
        first = node.name in preferred
        reason = rejected or _reason(node, typed, value, parts, blind) + (f", first choice for {need.task_type}" if first else "")
        group = 1 if waits else 2 if obstacle else 0
        order = (0, place[node.name]) if node.name in place else (value is None, _fill(node) if value is None else value)
        key = (2, node.name) if group == 2 else (group, not first, order, -node.cpus, node.name)
        ranked.append((key, Ranked(node.name, value, parts, rejected, waits, reason, node)))
    return [entry for _key, entry in sorted(ranked, key=lambda pair: pair[0])]


def node_from_vars(name: str, variables: Mapping[str, Any]) -> Node:
    """A Node of the host variables `gummy_facts` and `gummy_tailnet`; what is missing or odd is not known."""
    facts, tailnet = _mapping(variables.get("gummy_facts")), _mapping(variables.get("gummy_tailnet"))
    slots, load, state, agents = _mapping(facts.get("slots")), _mapping(facts.get("load")), facts.get("state"), facts.get("agents")
    cpus, disk, online = _count(facts.get("cpus"), 1), _number(_mapping(facts.get("disk")).get("free")), tailnet.get("online")
    return Node(
        name=name,
        state=state if state in ("measured", "unreachable") else "unknown",
        reason=str(facts["reason"]) if facts.get("reason") else None,
        load={part: number for part in LOAD_PARTS if (number := _number(load.get(part))) is not None and 0 <= number <= 1},
        cpus=cpus,
        slots=_count(slots.get("total"), max(1, cpus // 2)),
        busy=_count(slots.get("busy"), 0),
        agents=frozenset(map(str, agents)) if isinstance(agents, (list, tuple)) else None,
        disk_free=None if disk is None else int(disk),
        online=online if isinstance(online, bool) else None,
        excluded="its tailnet key has expired" if tailnet.get("expired") is True else None,
        measured_at=_number(facts.get("measured_at")),
    )


def node_from_record(record: Mapping[str, Any]) -> Node:
    """A Node of a person's own record; names as in `Ranked.as_dict`, other keys are ignored. BadValue: a sentence."""
    name = record.get("name") or record.get("host")
    if not isinstance(name, str):
        raise BadValue(f"a record of a node needs a name, this one has the keys {', '.join(sorted(map(str, record)))}")
    load: dict[str, float | None] = {}
    for key in (*LOAD_PARTS, *_ALIASES):
        if (value := record.get(key)) is not None:
            number = _number(value)
            if number is None or not 0 <= number <= 1:
                raise BadValue(f"{key} of {name} is {show(value)}; loads go from 0 (idle) to 1 (full), so 15 % is 0.15")
            load[_ALIASES.get(key, key)] = number
    cpus = _count(record.get("cpus"), 1)
    return Node(
        name=name,
        state="measured" if load else "unknown",
        load=load,
        cpus=cpus,
        slots=_count(record.get("slots"), max(1, cpus // 2)),
        busy=_count(record.get("busy"), 0),
        measured_at=_number(record.get("measured_at")),
    )


def rank_for_filter(data: Any, hostvars: Any, task_type: str, exclude: Any, weights: Any) -> list[Ranked]:
    """`rank` for people's playbooks: nodes as host names (with `hostvars`), a hostvars mapping, or records. BadValue: a sentence."""
    if task_type not in TASK_TYPES:
        raise BadValue(f"unknown task type {task_type!r}; {hint(str(task_type), TASK_TYPES)}")
    if isinstance(data, Mapping):
        nodes = [node_from_vars(str(name), _mapping(data[name])) for name in data]
    elif isinstance(data, Iterable) and not isinstance(data, str):
        nodes = [_node_of(item, hostvars) for item in data]
    else:
        raise BadValue(f"nodes are a list of host names, a list of records or hostvars, not {show(data)}")
    if len({node.name for node in nodes}) < len(nodes):
        raise BadValue("a node stands in the list more than once; name each one once")
    names = [exclude] if isinstance(exclude, str) else exclude or ()
    return rank(nodes, Need(task_type=task_type, exclude=frozenset(map(str, names))), check_weights(weights))


def _node_of(item: Any, hostvars: Any) -> Node:
    if isinstance(item, Mapping):
        return node_from_record(item)
    if not isinstance(item, str):
        raise BadValue(f"a node is a host name or a record, not {show(item)}")
    if hostvars is None:
        raise BadValue("a list of host names needs their variables as well: hostvars=hostvars")
    if item not in hostvars:
        raise BadValue(f"hostvars has no host {show(item)}; {hint(item, hostvars)}")
    return node_from_vars(str(item), _mapping(hostvars[item]))


def _typed(weights: Mapping[str, float], task_type: str) -> dict[str, float]:
    more = TASK_TYPES[task_type]
    return {part: weights.get(part, 0.0) + (part == more) for part in LOAD_PARTS}


def _parts(load: Mapping[str, float | None], weights: Mapping[str, float], fill: float) -> dict[str, float]:
    """Weighted contributions. A floor under the whole score, not under a part: else a heavy part (io_wait for api) lets a burst herd."""
    known = {part: value for part in LOAD_PARTS if weights[part] > 0 and (value := load.get(part)) is not None}
    total = sum(weights[part] for part in known)
    parts = {part: value * weights[part] / total for part, value in known.items()}
    if parts and fill > (mean := sum(parts.values())):
        parts["in_flight"] = min(fill, 1.0) - mean
    return parts


def _total(parts: Mapping[str, float]) -> float | None:
    return round(sum(parts.values()), 9) if parts else None  # rounded, so that what is equal on paper is equal here


def _fill(node: Node) -> float:
    return (node.busy + node.in_flight) / max(node.slots, 1)


def _obstacle(node: Node, need: Need) -> str | None:
    """Why this node can't take the job, now or later."""
    if need.node is not None and node.name != need.node and not (need.node == "local" and node.local):
        return f"the job is pinned to {need.node}"
    if need.nodes is not None and node.name not in need.nodes:
        return "not among the job's nodes"
    if node.name in need.exclude:
        return "excluded"
    if node.excluded:
        return node.excluded
    if node.state == "unreachable":
        return f"not reachable: {node.reason}" if node.reason else "not reachable"
    if node.online is False and node.state != "measured":  # a node that was measured has proved that it is there
        return "offline"
    if need.agent != "shell" and node.agents is not None and need.agent not in node.agents:
        return f"no usable {need.agent}"
    if node.disk_free is not None and node.disk_free < DISK_RESERVE:
        return f"disk nearly full ({node.disk_free // 1024**2} MB free, {DISK_RESERVE // 1024**2} MB needed)"
    return None


def _reason(node: Node, weights: Mapping[str, float], value: float | None, parts: Mapping[str, float], blind: bool) -> str:
    if value is None:
        return "no load data: round robin" if blind else "no load data"
    loads = [f"{_SHORT.get(part, part)} {100 * (node.load[part] or 0):.0f} %" for part in LOAD_PARTS if part in parts]
    taken = [f"{node.busy + node.in_flight} of {node.slots} slots taken"] if "in_flight" in parts else []
    return ", ".join([f"score {value:.2f}", *loads, *taken])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _count(value: object, default: int) -> int:
    number = _number(value)
    return default if number is None or number < 0 else int(number)
