# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`gummy_facts` of many nodes: by snapshots, and the rest all at once inside one deadline."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from .._links.at_once import CompletedCommand, run_all
from .._links.link import Link, LinkError
from .._schedule.placement import DEFAULT_WEIGHTS, Settled
from .dw import dw_argv, parse_load
from .facts import (
    NodeFacts,
    default_slots,
    make_facts,
    no_facts,
    score_of,
    with_settled,
)
from .probe import LOAD_SCRIPT, NOW_SCRIPT, SCRIPT, facts_of, has_answered, is_silent
from .snapshots import HOST_LASTS, LOAD_LASTS, Snapshot, Snapshots

T = TypeVar("T")

# Whom a node's load can be asked of.
SOURCES = ("probe", "dw")

# How long a node may take to answer over its link, in seconds.
LINK_SECONDS = 15.0

# A source and a node: whom the node's load is asked of.
Question = tuple[str, str]


@dataclass(frozen=True)
class ProbeTarget:
    """How a node is asked."""

    # Tells these connection settings from others.
    key: str
    # The argv of a program that gives its stdin to a /bin/sh of the node.
    probe: Sequence[str]
    # What dw knows the node by.
    name: str


def measure_all(
    targets: Mapping[str, ProbeTarget],
    snapshots: Snapshots,
    sources: Sequence[str] = ("probe",),
    timeout: float = 5.0,
    *,
    slots: Mapping[str, int] | None = None,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
) -> dict[str, NodeFacts]:
    """`gummy_facts` by node; of several sources the first that measured it counts.

    slots: those of the config, by node. Ends within `timeout` seconds; raises nothing.
    """
    keys = {
        (source, node): f"{source} {target.key}"
        for source in sources
        for node, target in targets.items()
    }
    answers = _still_valid(keys, snapshots)
    due = [question for question in keys if _is_due(answers.get(question), snapshots)]

    for question, outcome in _ask(due, targets, answers, timeout).items():
        answers[question] = _joined(answers.get(question), outcome)
    fresh = {keys[question]: answers[question] for question in due}
    snapshots.put(
        {key: answer for key, answer in fresh.items() if _is_worth_keeping(answer.outcome)}
    )

    facts = {}
    for node, target in targets.items():
        configured = (slots or {}).get(node)
        records = [
            _facts(source, target, answers[source, node], configured, weights) for source in sources
        ]
        facts[node] = _combined(records, configured, weights)
    return facts


def measure_link(
    link: Link,
    snapshots: Snapshots,
    slots: int | None,
    weights: Mapping[str, float],
    *,
    now: bool = False,
) -> NodeFacts:
    """`gummy_facts` of one node over its link, which may know a password. Raises nothing.

    now: ask for the load whatever the snapshots say; they still tell what does not change fast.
    """
    key = f"probe {link.key}"
    answer = snapshots.get(key)
    if now and answer is not None and not has_answered(answer.outcome):
        answer = None
    if now or _is_due(answer, snapshots):
        script = _script(answer)
        if now and answer is not None:
            script = NOW_SCRIPT
        try:
            out = link.shell(script, LINK_SECONDS)
        except LinkError as exc:
            state = "unknown" if exc.kind == "reply" else "unreachable"
            return no_facts(state, str(exc), slots)
        answer = _joined(answer, CompletedCommand(0, out))
        if _is_worth_keeping(answer.outcome):
            snapshots.put({key: answer})
    if answer is None:
        return no_facts("unknown", None, slots)
    facts = facts_of(answer.whole(), slots, weights, answer.measured_at())
    return with_settled(facts, read_settled(answer.settled))


def facts_told(text: str, slots: int | None, weights: Mapping[str, float]) -> NodeFacts:
    """`gummy_facts` of a node that has told its load along with something else.

    text: what NOW_SCRIPT printed there, or that and what LOAD_SCRIPT printed later.
    """
    return facts_of(CompletedCommand(0, text), slots, weights, time.time())


def keep_settled(link: Link, snapshots: Snapshots, settled: Settled) -> None:
    """Note what the node program said of its programs, beside what the probe saw of the node."""
    key = f"probe {link.key}"
    answer = snapshots.get(key)
    if answer is not None and has_answered(answer.outcome):
        text = json.dumps({"agents": settled.agents, "missing": dict(settled.missing)})
        snapshots.put({key: replace(answer, settled=text)})


def read_settled(text: str) -> Settled | None:
    """What a snapshot keeps of that; None: nothing that can be read."""
    try:
        row = json.loads(text) if text else {}
        agents = tuple(map(str, row["agents"]))
        missing = {str(name): str(reason) for name, reason in row["missing"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Settled(agents, missing)


def _still_valid(keys: Mapping[Question, str], snapshots: Snapshots) -> dict[Question, Snapshot]:
    """The snapshots that are young enough; of dw there is nothing but the load, which ages fast."""
    answers = {}
    for question, key in keys.items():
        source, _node = question
        answer = snapshots.get(key, LOAD_LASTS if source == "dw" else HOST_LASTS)
        if answer is not None:
            answers[question] = answer
    return answers


def _is_due(answer: Snapshot | None, snapshots: Snapshots) -> bool:
    """Whether a node has to be asked now.

    A silent one is left alone as long as its snapshot lasts: asking it takes all the time there is.
    """
    return answer is None or not (snapshots.has_load(answer) or is_silent(answer.outcome))


def _ask(
    questions: Iterable[Question],
    targets: Mapping[str, ProbeTarget],
    answers: Mapping[Question, Snapshot],
    timeout: float,
) -> dict[Question, CompletedCommand]:
    """Ask all at once. answers: what is known already, so that only the load has to be asked."""
    commands: dict[Question, Sequence[str]] = {}
    scripts: dict[Question, bytes] = {}
    for question in questions:
        source, node = question
        if source == "dw":
            commands[question] = dw_argv(targets[node].name)
        else:
            commands[question] = targets[node].probe
            scripts[question] = _script(answers.get(question)).encode()
    return run_all(commands, scripts, timeout)


def _script(answer: Snapshot | None) -> str:
    return SCRIPT if answer is None else LOAD_SCRIPT


def _joined(answer: Snapshot | None, outcome: CompletedCommand) -> Snapshot:
    """What is known of a node now: if only its load was asked, that over the rest."""
    if answer is None or not has_answered(outcome):
        return Snapshot(outcome, time.time())
    return replace(answer, load=outcome.out, load_at=time.time())


def _is_worth_keeping(outcome: CompletedCommand) -> bool:
    """What failed at once is asked again: a person may be mending it."""
    return (
        has_answered(outcome) or is_silent(outcome) or (outcome.status == 0 and bool(outcome.out))
    )


def _facts(
    source: str,
    target: ProbeTarget,
    answer: Snapshot,
    slots: int | None,
    weights: Mapping[str, float],
) -> NodeFacts:
    """What one source says of a node. slots: as configured, if they are."""
    if source == "probe":
        facts = facts_of(answer.whole(), slots, weights, answer.measured_at())
        return with_settled(facts, read_settled(answer.settled))
    row = answer.outcome.trouble or parse_load(answer.outcome.out, target.name)
    if isinstance(row, str):
        return no_facts("unknown", f"no load from dw: {row}", slots)
    return make_facts(
        "measured",
        None,
        {"total": slots or 1, "busy": 0},
        load={"memory": row.memory, "load_average": row.load_average},
        cpus=row.cpus,
        source="dw",
        measured_at=answer.measured_at(),
    )


def _combined(
    records: Sequence[NodeFacts], slots: int | None, weights: Mapping[str, float]
) -> NodeFacts:
    """The first record that was measured, with what only the other sources know filled in."""
    best = next((record for record in records if record["state"] == "measured"), records[0])
    in_order = (best, *records)
    combined = best.copy()
    combined["cpus"] = _first(record["cpus"] for record in in_order)
    combined["os"] = _first(record["os"] for record in in_order)
    combined["agents"] = _first(record["agents"] for record in in_order)
    combined["unseen"] = _first(record["unseen"] for record in in_order)
    combined["missing"] = _first(record["missing"] for record in in_order)
    combined["disk"] = _first(record["disk"] for record in in_order)
    combined["python"] = _first(record["python"] for record in in_order)
    combined["python_path"] = _first(record["python_path"] for record in in_order)
    # What an older version of us kept does not have it.
    combined["git"] = _first(record.get("git") for record in in_order)
    combined["slots"] = {
        "total": slots or default_slots(combined["cpus"]),
        "busy": max(record["slots"]["busy"] for record in records),
    }
    combined["score"] = score_of(combined, weights)
    return combined


def _first(values: Iterable[T | None]) -> T | None:
    """The first value that is known."""
    return next((value for value in values if value is not None), None)
