# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where jobs would go now, and why: the scheduler's first word, before anything is done."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import messages as ev
from .placement import DEFAULT_WEIGHTS, Node
from .scheduler import Scheduler


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
) -> list[dict[str, Any]]:
    """A row for each job: name, task_type, agent, node (None: it waits, or can't run), waits, why,
    ranking. before: what earlier runs left; now: Unix seconds, for the age of what was measured.
    """
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
    rows: dict[str, dict[str, Any]] = {}
    for command in scheduler.handle(ev.Tick(), 0.0):
        if isinstance(command, ev.Assigned):
            ranking = scheduler.ranking(command)
            rows[command.job] = {
                "node": command.node,
                "waits": False,
                "why": command.why or ranking[0].reason,
                "ranking": ranking,
            }
        elif isinstance(command, ev.Finish):
            rows[command.job] = {
                "node": None,
                "waits": False,
                "why": f"can't run: {command.message}",
                "ranking": scheduler.ranking_for(command.job),
            }
    for name, ranking in scheduler.waiting():
        full = [entry.host for entry in ranking if entry.waits]
        why = f"no free slot on {full[0]}" if len(full) == 1 else "every usable slot is taken"
        rows[name] = {"node": None, "waits": True, "why": why, "ranking": ranking}
    known = {
        item.name: {"name": item.name, "task_type": item.need.task_type, "agent": item.need.agent}
        for item in work
    }
    now = time.time() if now is None else now
    return [
        {
            **known[name],
            **rows[name],
            "ranking": [entry.as_dict(now) for entry in rows[name]["ranking"]],
        }
        for name in known
    ]
