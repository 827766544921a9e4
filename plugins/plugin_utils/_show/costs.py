# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs have cost, for people: the sums of a document, of which nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .text import GAP, how_many, some, wrapped

# How many nodes, agents and so on are named.
NAMED_MOST = 5

# An agent that costs nothing.
FREE = "shell"

# The groups of a summary that are shown, with what they are of: in all, of a run, whose jobs stand
# in a table with what they cost, and of today.
GROUPS = (
    ("by_node", "node"),
    ("by_agent", "agent"),
    ("by_account", "account"),
    ("by_project", "project"),
)
GROUPS_OF_RUN = (*GROUPS, ("by_day", "day"))
GROUPS_OF_DAY = (*GROUPS, ("by_job", "job"))

# A part of a document, as it came back through Ansible. costs.py of the files explains its keys.
Row = Mapping[str, Any]


def money(dollars: float | None) -> str:
    """`$0.41`; of less than a cent so many digits that something is seen."""
    if dollars is None:
        return "n/a"
    if 0 < dollars < 0.01:
        return f"${dollars:.4f}"
    return f"${dollars:.2f}"


def price(row: Row) -> str:
    """The dollars of a row; of one without a price its tokens, if it has these."""
    tokens = row.get("tokens")
    if row["cost_usd"] is not None or not tokens:
        return money(row["cost_usd"])
    return f"{_thousands(tokens['input'] + tokens['output'])} tokens"


def _thousands(count: int) -> str:
    """`950`, `12k`, `3.4M`."""
    if count < 1000:
        return str(count)
    if count < 1_000_000:
        return f"{count / 1000:.0f}k"
    return f"{count / 1_000_000:.1f}M"


def price_of_job(row: Row) -> str:
    """What a job or an attempt has cost, a dash if it costs nothing."""
    if row["agent"] == FREE and row["cost_usd"] is None:
        return "–"
    return price(row)


def with_costs_of_jobs(run: Row) -> Row:
    """The run, whose jobs have cost what all their attempts have."""
    shares = {share["name"]: share for share in (run.get("cost") or {}).get("by_job", ())}
    jobs = []
    for row in run["jobs"]:
        share = shares.get(f"{run['run_id']}/{row['name']}", row)
        jobs.append({**row, "cost_usd": share["cost_usd"], "tokens": share["tokens"]})
    return {**run, "jobs": jobs}


def run_cost_words(run: Row) -> str:
    """What a run has cost, in a few words; blank if nothing that costs anything has ended."""
    summary = run.get("cost")
    if not summary or not summary["attempts"]:
        return ""
    return whole_price(summary)


def price_on_node(run: Row, node: str) -> str:
    """What a run has cost on a node; a dash if nothing there costs anything."""
    shares: Sequence[Row] = (run.get("cost") or {}).get("by_node", ())
    share = next((share for share in shares if share["name"] == node), None)
    return "–" if share is None else price(share)


def run_cost_lines(run: Row) -> list[str]:
    """A line about what a run has cost; none if nothing that costs anything has ended."""
    words = run_cost_words(run)
    if not words:
        return []
    summary = run["cost"]
    line = f"cost {words}"
    if len(summary["by_node"]) > 1:
        line += f": {_named(summary['by_node'])}"
    if run.get("today_usd") is not None:
        line += f"; today {money(run['today_usd'])}"
    return [line]


def day_cost_lines(document: Row, columns: int, head: str = "") -> list[str]:
    """What this controller has spent today, by node, agent, account, project and job, and before.

    document: has `cost`, of today, and `cost_days`. columns: how wide a line may be;
    head: what the first one begins with.
    """
    lines: list[str] = []
    for line in _lines_of_day(document):
        # What is told of today stands below it, and the rest of a long line below its beginning.
        indent = GAP if lines else ""
        first, *rest = wrapped(line if lines else f"{head}{line}", columns - 2 * len(GAP))
        lines += [f"{indent}{first}", *(f"{indent}{GAP}{part}" for part in rest)]
    return lines


def _lines_of_day(document: Row) -> list[str]:
    today = document["cost"]
    days: Sequence[Row] = document.get("cost_days", ())
    if not days:
        return []
    lines = [f"today {whole_price(today) if today['attempts'] else 'nothing'}"]
    lines += share_lines(today, GROUPS_OF_DAY)
    if len(days) > 1 or not today["attempts"]:
        # Of a date the year says nothing here.
        named = [f"{day['name'][5:]} {price(day)}" for day in days]
        lines.append(f"by day: {', '.join(named)}")
    return lines


def share_lines(summary: Row, groups: Sequence[tuple[str, str]]) -> list[str]:
    """`by agent: claude $0.39, qwen 12k tokens`, of what there is more than one of."""
    lines = []
    for key, what in groups:
        shares: Sequence[Row] = summary.get(key, ())
        # What is the whole of it says nothing more; accounts are called as agents by default.
        if len(shares) < 2 or (key == "by_account" and _same_names(summary)):
            continue
        lines.append(f"by {what}: {_named(shares)}")
    return lines


def share_lines_of_run(run: Row) -> list[str]:
    """The same of a run."""
    return share_lines(run["cost"], GROUPS_OF_RUN) if run_cost_words(run) else []


def _same_names(summary: Row) -> bool:
    names = [{share["name"] for share in summary[key]} for key in ("by_agent", "by_account")]
    return names[0] == names[1]


def whole_price(summary: Row) -> str:
    """`$1.20 in 14 attempts, 2 of which tell no price`."""
    words = f"{price(summary)} in {how_many(summary['attempts'], 'attempt')}"
    unpriced = summary["unpriced"]
    if unpriced and unpriced < summary["attempts"]:
        words += f", {unpriced} of which tell{'s' if unpriced == 1 else ''} no price"
    return words


def _named(shares: Sequence[Row]) -> str:
    return some([f"{share['name'] or 'none'} {price(share)}" for share in shares], NAMED_MOST)
