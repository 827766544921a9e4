# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run spends: noted when an attempt ends, and told to the scheduler where it has a budget.

All of it is for the engine's thread alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from .._files.costs import CostRow, Ledger, cost_row, dollars_of, note_once
from .._files.record import RunRecord
from .._input.config import Config
from .._input.pricing import FREE, PRICING
from .._input.request import Job, Request
from .._schedule import messages as ev
from .._show.costs import money

# How many nodes are named when people are told who has spent it.
NAMED_MOST = 3


class Spending:
    """What the attempts of a run have cost, and cost while they run."""

    def __init__(self, request: Request, record: RunRecord) -> None:
        self._config = request.config
        self._has_budget = (request.run_budget_usd, request.day_budget_usd) != (None, None)
        self._record = record
        self._ledger = Ledger()

        # Attempts that run -> what each has cost until now, and its node.
        self._live: dict[str, tuple[str, float]] = {}

        # Whether the sums may have changed since they were told.
        self._is_news = True

    def note_end(self, attempt: str, node: str, job: Job, ended: Mapping[str, Any]) -> None:
        """An attempt has ended like this. Where it is told twice, it counts once."""
        self._live.pop(attempt, None)
        row = row_of_end(self._record.run_id, attempt, node, job, self._config, ended)
        if row is None:
            return
        self._is_news = note_once(self._record, self._ledger, row) or self._is_news

    def note_live(self, attempt: str, node: str, cost: float | None) -> None:
        """An attempt that runs has cost so much until now."""
        if cost is None or attempt in self._record.history.costs:
            return
        self._is_news = self._is_news or self._live.get(attempt) != (node, cost)
        self._live[attempt] = (node, cost)

    @property
    def run_usd(self) -> float | None:
        """What all calls of the run have cost until now; None: no price is known."""
        costs = [row["cost_usd"] for row in self._rows() if row["cost_usd"] is not None]
        costs += [cost for _node, cost in self._live.values()]
        return sum(costs) if costs else None

    def news(self) -> ev.Spent | None:
        """What the scheduler is to know; None: it knows it, or nobody set a limit."""
        if not self._has_budget or not (self._is_news or self._ledger.has_grown()):
            return None
        self._is_news = False
        live = sum(cost for _node, cost in self._live.values())
        return ev.Spent(
            run=dollars_of(self._rows()) + live,
            day=dollars_of(self._ledger.today()) + live,
            by=self._who_has_spent(),
        )

    def _rows(self) -> Iterable[CostRow]:
        return self._record.history.costs.values()

    def _who_has_spent(self) -> str:
        by_node = defaultdict[str, float](float)
        for row in self._rows():
            by_node[row["node"]] += row["cost_usd"] or 0.0
        for node, cost in self._live.values():
            by_node[node] += cost
        dearest = sorted(by_node.items(), key=lambda item: -item[1])[:NAMED_MOST]
        return ", ".join(f"{node} {money(cost)}" for node, cost in dearest if cost)


def row_of_end(
    run_id: str,
    attempt: str,
    node: str,
    job: Job,
    config: Config,
    ended: Mapping[str, Any],
) -> CostRow | None:
    """What an attempt that ended like this has cost; None: its agent costs nothing."""
    if PRICING.get(job.agent) == FREE:
        return None
    return cost_row(
        attempt,
        run_id,
        job.name,
        node,
        agent=job.agent,
        account=config.account_of(job.agent),
        project=job.project,
        told=ended,
    )
