# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels of `status` and `specialists`: their documents as text of 80 columns; nothing is
computed here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .report import left_out_lines
from .text import fit, fitted_table

COLUMNS = 80
# Attempts that `status` shows; the document has all.
MOST_ENDED = 20
MARKS = {"running": "▶", "success": "✓", "unproven": "?"}
LIVES = {"active": "⚡", "dormant": "💤"}


def status_text(status: Mapping[str, Any]) -> list[str]:
    totals = status["totals"]
    answered = f"{totals['answered']} of {totals['nodes']} nodes answer"
    lines = [
        f"status: {answered}; {totals['running']} running, {totals['ended_today']} ended today",
        *_nodes(status["nodes"]),
    ]
    lines += left_out_lines(status["left_out"])
    ended = [row for row in status["attempts"] if row["ended_at"] is not None]
    rows = [row for row in status["attempts"] if row["ended_at"] is None] + ended[:MOST_ENDED]
    if rows:
        heads = ["JOB", "NODE", "STATUS", "BEGAN", "TOOK", "COST"]
        lines += [
            "",
            *fitted_table([heads, *map(_attempt_cells, rows)], (26, 12, 11, 11, 5), COLUMNS),
        ]
    if ended[MOST_ENDED:]:
        lines.append(
            f"… and {len(ended) - MOST_ENDED} more that ended today: gummy_output_file has them all"
        )
    return [fit(line, COLUMNS) for line in lines]


def _nodes(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Numbers of the measured nodes, then a line for each that no job would go to, or of which
    something is not known.
    """
    heads = ["NODE", "SCORE", "CPU", "MEM", "LOAD", "IO", "SLOTS", "AGE", "AGENTS"]
    rows = [_node_cells(node) for node in nodes if node["state"] == "measured"]
    reasons = [
        [node["name"], node["reason"] or "load unknown"]
        for node in nodes
        if node["state"] != "measured" or node["reason"]
    ]
    return [
        *(fitted_table([heads, *rows], (17, 5, 5, 5, 5, 5, 5, 4), COLUMNS) if rows else []),
        *fitted_table(reasons, (22,), COLUMNS),
    ]


def _node_cells(node: Mapping[str, Any]) -> list[str]:
    load = ["-" if value is None else f"{100 * value:.0f} %" for value in node["load"].values()]
    agents = "?" if node["agents"] is None else ", ".join(node["agents"]) or "none"
    score = "-" if node["score"] is None else f"{node['score']:.2f}"
    return [
        node["name"],
        score,
        *load,
        "{busy}/{total}".format(**node["slots"]),
        _duration(node["age"]),
        agents,
    ]


def _attempt_cells(row: Mapping[str, Any]) -> list[str]:
    name = f"{row['run_id'] or '?'}/{row['job'] or '?'}"
    mark = MARKS.get(row["status"], "✗")
    return [
        name,
        row["node"],
        f"{mark} {row['class'] or row['status']}",
        _moment(row["begun_at"]),
        _duration(row["seconds"]),
        _cost(row["cost_usd"]),
    ]


def specialists_text(dashboard: Mapping[str, Any]) -> list[str]:
    totals = dashboard["totals"]
    counts = " · ".join(f"{mark} {totals[status]} {status}" for status, mark in LIVES.items())
    nodes = f"{totals['answered']} of {totals['nodes']} nodes"
    lines = [
        f"{counts} · {nodes} · {_sessions(totals['sessions'])} · cost today {_cost(totals['cost_today'])}"
    ]
    for node in dashboard["nodes"]:
        lines.append(f"{node['name']}  {_node_words(node)}")
        rows = [_specialist_cells(one) for one in node["specialists"]]
        lines += [f"  {line}" for line in fitted_table(rows, (2, 21, 16, 12), COLUMNS - 2)]
        if node["more"]:
            lines.append("  … and more: no more are read of one node")
    return [fit(line, COLUMNS) for line in lines]


def _node_words(node: Mapping[str, Any]) -> str:
    if node["reason"]:
        return f"✗ {node['reason']}"
    if node["same_as"]:
        return f"the same store as {node['same_as']}: counted there"
    words = [] if node["score"] is None else [f"score {node['score']:.2f}"]
    words += [] if node["cost_today"] is None else [f"cost today {_cost(node['cost_today'])}"]
    words += [] if node["specialists"] else ["no specialists"]
    return ", ".join(words)


def _specialist_cells(one: Mapping[str, Any]) -> list[str]:
    where = (
        "home"
        if one["where"] == "home"
        else (one["project"] or one["workspace"] or "?").rstrip("/").rpartition("/")[2]
    )
    last = one["reason"] or f"{_last(one['last_active']):<11}  {_cost(one['cost_usd'])}"
    return [LIVES[one["status"]], one["name"], where, _sessions(one["sessions"]), last]


def _sessions(count: int | None) -> str:
    return "n/a" if count is None else f"{count} session{'' if count == 1 else 's'}"


def _last(told: str | None) -> str:
    try:
        return _moment(datetime.fromisoformat(told).timestamp()) if told else "never"
    except (ValueError, OverflowError):
        return str(told)


def _cost(dollars: float | None) -> str:
    return "n/a" if dollars is None else f"${dollars:.2f}"


def _moment(at: float | None) -> str:
    """By this machine's clock, in 11 columns: the time of today, date and time of this year, or a
    date.
    """
    if at is None:
        return "-"
    try:
        when = time.localtime(at)
        now = time.localtime()
    except (OverflowError, ValueError, OSError):
        return "?"
    return time.strftime(
        "%H:%M" if when[:3] == now[:3] else "%m-%d %H:%M" if when[0] == now[0] else "%Y-%m-%d", when
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, size, most in (("s", 1, 120), ("m", 60, 7200), ("h", 3600, 172800)):
        if seconds < most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"
