# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes and settings of placement as people and the inventory give them.

What comes of host variables is read as far as it makes sense, for a play goes on without it; what a
person typed is refused with a sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from .._errors import BadValue
from .._schedule.placement import DEFAULT_WEIGHTS, LOAD_PARTS, Node
from .._schedule.task_types import TASK_TYPES
from .keys import hint, show

# Characters of a node's own words on what it has not got.
REASON_MOST = 500

# Short names of parts of the load, as dw has them.
_ALIASES = {"mem": "memory"}


def check_weights(raw: object) -> dict[str, float]:
    """Weights that a user gave: all parts of the load, those not named with 0.

    Blank: the defaults. BadValue: a sentence.
    """
    if raw is None or raw == "":
        return dict(DEFAULT_WEIGHTS)
    if not isinstance(raw, Mapping) or not raw:
        raise BadValue(
            f"load weights are a mapping of {', '.join(LOAD_PARTS)} to numbers, "
            f"not {show(raw)}; write it like '{{cpu: 1, memory: 0.5}}'"
        )

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


def check_preferences(raw: object) -> dict[str, tuple[str, ...]]:
    """Task type -> names of the nodes that are its first choice; a single name is a list of one.

    Blank: none. BadValue: a sentence.
    """
    if raw is None or raw == "":
        return {}
    if not isinstance(raw, Mapping):
        raise BadValue(
            "host preferences are a mapping of task types to lists of nodes, "
            f"not {show(raw)}; write it like '{{database: [node-1]}}'"
        )
    return {
        read_task_type(task_type): read_names(names, "nodes") for task_type, names in raw.items()
    }


def read_names(raw: object, what: str) -> tuple[str, ...]:
    """A list of texts; a single text is a list of one. BadValue: a sentence.

    what: what the texts name, in the plural.
    """
    names = [raw] if isinstance(raw, str) else raw
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise BadValue(
            f"{show(raw)} is no list of {what}; "
            "write '- name' for each, in quotes if it is no plain text"
        )
    return tuple(names)


def read_task_type(name: object) -> str:
    """A kind of work that placement knows. BadValue: a sentence."""
    if not isinstance(name, str) or name not in TASK_TYPES:
        raise BadValue(f"unknown task type {show(name)}; {hint(str(name), TASK_TYPES)}")
    return str(name)


def node_from_vars(name: str, variables: Mapping[str, Any]) -> Node:
    """A Node of the host variables `gummy_facts` and `gummy_tailnet`.

    What is missing or odd is not known.
    """
    facts = as_mapping(variables.get("gummy_facts"))
    tailnet = as_mapping(variables.get("gummy_tailnet"))
    slots = as_mapping(facts.get("slots"))
    state = facts.get("state")
    agents = facts.get("agents")
    cpus = _count(facts.get("cpus"), 1)
    disk = _number(as_mapping(facts.get("disk")).get("free"))
    # This machine is there, whatever the network says of it.
    online = None if tailnet.get("self") is True else tailnet.get("online")
    has_expired = tailnet.get("expired") is True
    return Node(
        name=name,
        state=state if state in ("measured", "unreachable") else "unknown",
        reason=str(facts["reason"]) if facts.get("reason") else None,
        load=_load(as_mapping(facts.get("load"))),
        cpus=cpus,
        slots=_count(slots.get("total"), _default_slots(cpus)),
        busy=_count(slots.get("busy"), 0),
        agents=frozenset(map(str, agents)) if isinstance(agents, (list, tuple)) else None,
        unseen=_names(facts.get("unseen")),
        missing={
            str(name): str(why)[:REASON_MOST]
            for name, why in as_mapping(facts.get("missing")).items()
        },
        disk_free=None if disk is None else int(disk),
        online=online if isinstance(online, bool) else None,
        excluded="its tailnet key has expired" if has_expired else None,
        remedy="its key has to be renewed: `tailscale up` there" if has_expired else None,
        measured_at=_number(facts.get("measured_at")),
        os=_system(facts.get("os")) or _system(tailnet.get("os")),
        git=_version(facts.get("git")),
    )


def node_from_record(record: Mapping[str, Any]) -> Node:
    """A Node of a person's own record; names as in `Ranked.as_dict`, other keys are ignored.

    BadValue: a sentence.
    """
    name = record.get("name") or record.get("host")
    if not isinstance(name, str):
        keys = ", ".join(sorted(map(str, record)))
        raise BadValue(f"a record of a node needs a name, this one has the keys {keys}")

    load: dict[str, float | None] = {}
    for key in (*LOAD_PARTS, *_ALIASES):
        value = record.get(key)
        if value is None:
            continue
        number = _number(value)
        if number is None or not 0 <= number <= 1:
            raise BadValue(
                f"{key} of {name} is {show(value)}; "
                "loads go from 0 (idle) to 1 (full), so 15 % is 0.15"
            )
        load[_ALIASES.get(key, key)] = number

    cpus = _count(record.get("cpus"), 1)
    return Node(
        name=name,
        state="measured" if load else "unknown",
        load=load,
        cpus=cpus,
        slots=_count(record.get("slots"), _default_slots(cpus)),
        busy=_count(record.get("busy"), 0),
        measured_at=_number(record.get("measured_at")),
    )


def as_mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _names(value: object) -> frozenset[str]:
    """The texts of a list; none where it is no list."""
    return frozenset(map(str, value)) if isinstance(value, (list, tuple)) else frozenset()


def _default_slots(cpus: int) -> int:
    return max(1, cpus // 2)


def _load(raw: Mapping[str, Any]) -> dict[str, float | None]:
    """The parts of a load that are numbers from 0 to 1."""
    numbers = {part: _number(raw.get(part)) for part in LOAD_PARTS}
    return {
        part: number for part, number in numbers.items() if number is not None and 0 <= number <= 1
    }


def _system(value: object) -> str | None:
    """linux, macos, ...: what Tailscale says of a machine is the machine's own free text."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,19}", value):
        return value.lower()
    return None


def _version(value: object) -> tuple[int, int] | None:
    """The first two numbers of a version."""
    match = re.match(r"(\d{1,3})\.(\d{1,3})\b", value) if isinstance(value, str) else None
    return None if match is None else (int(match[1]), int(match[2]))


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
