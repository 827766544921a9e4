# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where jobs would go now, and why: the scheduler's first word, before anything is done."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from . import messages as ev
from .placement import DEFAULT_WEIGHTS, Node, Ranked
from .scheduler import Scheduler


class PlannedJob(TypedDict):
    """A job's row in the document of `plan`, which the filter plan_jobs returns too."""

    name: str
    task_type: str
    # Of several the one that it would be done by.
    agent: str

    # Where it would go; None: it waits, or can't run.
    node: str | None

    # Whether it waits for a slot.
    waits: bool

    # Why it would go there, or what keeps it.
    why: str

    # Every node as `Ranked.as_dict` gives it, the best first.
    ranking: list[dict[str, Any]]


def plan_work(
    work: Sequence[ev.PlacementSpec],
    nodes: Iterable[Node],
    before: Iterable[ev.Event] = (),
    *,
    now: float | None = None,
    fallback: Node | None = None,
    local_fallback: bool = True,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
    preferences: Mapping[str, Sequence[str]] | None = None,
) -> list[PlannedJob]:
    """A row for each job, in their order.

    before: what earlier runs left, as events. now: Unix seconds, for the age of what was measured;
    None: the time it is. The others are the scheduler's.
    """
    if now is None:
        now = time.time()

    scheduler = Scheduler(
        work,
        nodes,
        iter(map(str, range(len(work) + 1))).__next__,
        fallback=fallback,
        local_fallback=local_fallback,
        weights=weights,
        preferences=preferences,
    )
    for event in before:
        scheduler.handle(event, 0.0)

    answers: dict[str, tuple[str, str | None, bool, str, list[Ranked]]] = {}
    for command in scheduler.handle(ev.Tick(), 0.0):
        if isinstance(command, ev.Assigned):
            ranking = command.standing.ranking()
            why = command.why or ranking[0].reason
            answers[command.job] = (command.agent, command.node, False, why, ranking)
        elif isinstance(command, ev.Finish) and command.standing is not None:
            ranking = command.standing.ranking()
            why = f"can't run: {command.message}"
            answers[command.job] = (command.standing.need.agent, None, False, why, ranking)
    for job, standing in scheduler.waiting():
        ranking = standing.ranking()
        answers[job] = (standing.need.agent, None, True, _what_is_full(ranking), ranking)

    return [_row(spec, *answers[spec.name], now=now) for spec in work]


def _what_is_full(ranking: Sequence[Ranked]) -> str:
    full = [entry.host for entry in ranking if entry.waits]
    if len(full) == 1:
        return f"no free slot on {full[0]}"
    return "every usable slot is taken"


def _row(
    spec: ev.PlacementSpec,
    agent: str,
    node: str | None,
    waits: bool,
    why: str,
    ranking: Sequence[Ranked],
    *,
    now: float,
) -> PlannedJob:
    return {
        "name": spec.name,
        "task_type": spec.need.task_type,
        "agent": agent,
        "node": node,
        "waits": waits,
        "why": why,
        "ranking": [entry.as_dict(now) for entry in ranking],
    }
