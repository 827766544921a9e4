# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`gummy_facts` of many nodes: by snapshots, and the rest all at once inside one deadline."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .._links.at_once import CompletedCommand, run_all
from .._links.link import Link, LinkError
from .._schedule.placement import DEFAULT_WEIGHTS, LOAD_PARTS, score
from .dw import dw_argv, parse_load
from .probe import LOAD_SCRIPT, SCRIPT, default_slots, facts_of, has_answered, is_silent, no_facts
from .snapshots import HOST_LASTS, LOAD_LASTS, Snapshot, Snapshots

SOURCES = ("probe", "dw")
LINK_SECONDS = 15.0
# What one source may know and another not.
FILLED = ("cpus", "os", "agents", "disk", "python", "python_path")


@dataclass(frozen=True)
class ProbeTarget:
    """How a node is asked. key: what tells these connection settings from others; probe: argv that
    gives its /bin/sh our stdin; name: for dw.
    """

    key: str
    probe: Sequence[str]
    name: str


def measure_all(
    ways: Mapping[str, ProbeTarget],
    snapshots: Snapshots,
    sources: Sequence[str] = ("probe",),
    timeout: float = 5.0,
    slots: Mapping[str, int] | None = None,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
) -> dict[str, dict[str, Any]]:
    """`gummy_facts` by node; of several sources the first that measured it counts.

    Ends within `timeout` seconds; raises nothing.
    """
    keys = {
        (source, name): f"{source} {way.key}" for source in sources for name, way in ways.items()
    }
    known = {
        one: found
        for one, key in keys.items()
        if (found := snapshots.get(key, LOAD_LASTS if one[0] == "dw" else HOST_LASTS))
    }
    asked = [one for one in keys if _is_due(known.get(one), snapshots)]
    commands = {
        (source, name): ways[name].probe if source == "probe" else dw_argv(ways[name].name)
        for source, name in asked
    }
    scripts = {one: _script(known.get(one)) if one[0] == "probe" else b"" for one in asked}
    for one, outcome in run_all(commands, scripts, timeout).items():
        known[one] = _joined(known.get(one), outcome)
    snapshots.put({keys[one]: known[one] for one in asked if _is_worth_keeping(known[one].outcome)})
    facts = {}
    for name, way in ways.items():
        given = (slots or {}).get(name)
        facts[name] = _combined(
            [_facts(source, way, known[source, name], given, weights) for source in sources],
            given,
            weights,
        )
    return facts


def measure_link(
    link: Link, snapshots: Snapshots, slots: int | None, weights: Mapping[str, float]
) -> dict[str, Any]:
    """`gummy_facts` of one node over its link, which may know a password. Raises nothing."""
    key = f"probe {link.key}"
    found = snapshots.get(key)
    if _is_due(found, snapshots):
        try:
            outcome = CompletedCommand(0, link.shell(_script(found).decode(), LINK_SECONDS))
        except LinkError as exc:
            return no_facts("unknown" if exc.kind == "reply" else "unreachable", str(exc), slots)
        found = _joined(found, outcome)
        snapshots.put({key: found} if _is_worth_keeping(found.outcome) else {})
    return (
        no_facts("unknown", None, slots)
        if found is None
        else facts_of(found.whole(), slots, weights, found.measured_at())
    )


def _is_due(found: Snapshot | None, snapshots: Snapshots) -> bool:
    """A silent node is left alone as long as its snapshot lasts: asking it takes all the time there
    is.
    """
    return found is None or not (snapshots.has_load(found) or is_silent(found.outcome))


def _script(found: Snapshot | None) -> bytes:
    return (SCRIPT if found is None else LOAD_SCRIPT).encode()


def _joined(found: Snapshot | None, outcome: CompletedCommand) -> Snapshot:
    if found is None or not has_answered(outcome):
        return Snapshot(outcome, time.time())
    return replace(found, load=outcome.out, load_at=time.time())


def _is_worth_keeping(outcome: CompletedCommand) -> bool:
    """What failed at once is asked again: a person may be mending it."""
    return (
        has_answered(outcome) or is_silent(outcome) or (outcome.status == 0 and bool(outcome.out))
    )


def _facts(
    source: str, way: ProbeTarget, found: Snapshot, slots: int | None, weights: Mapping[str, float]
) -> dict[str, Any]:
    if source == "probe":
        return facts_of(found.whole(), slots, weights, found.measured_at())
    row = found.outcome.trouble or parse_load(found.outcome.out, way.name)
    if isinstance(row, str):
        return no_facts("unknown", f"no load from dw: {row}", slots)
    load = {**dict.fromkeys(LOAD_PARTS), "memory": row.memory, "load_average": row.load_average}
    return {
        **no_facts("measured", None, slots),
        "load": load,
        "cpus": row.cpus,
        "source": "dw",
        "measured_at": found.measured_at(),
    }


def _combined(
    records: Sequence[dict[str, Any]], slots: int | None, weights: Mapping[str, float]
) -> dict[str, Any]:
    best = next((record for record in records if record["state"] == "measured"), records[0])
    whole = dict(best)
    for key in FILLED:
        whole[key] = next(
            (record[key] for record in (best, *records) if record[key] is not None), None
        )
    whole["slots"] = {
        "total": slots or default_slots(whole["cpus"]),
        "busy": max(record["slots"]["busy"] for record in records),
    }
    value = score(
        whole["load"], weights, "general", whole["slots"]["busy"], whole["slots"]["total"]
    )
    return {**whole, "score": None if value is None else round(value, 4)}
