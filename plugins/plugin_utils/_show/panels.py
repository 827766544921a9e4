# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels of `status` and `specialists`: their documents as text of 80 columns.

Nothing is computed here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .costs import day_cost_lines
from .ends import status_words
from .report import left_out_lines
from .text import fit, fitted_table, wrapped_table

COLUMNS = 80
# How many ended attempts `status` shows; the document has all.
ENDED_MOST = 20
# From how many seconds without a sign of life on that is told.
QUIET_TOLD = 60
# What stands before an attempt, by its status; a cross for the others.
MARKS = {"running": "▶", "success": "✓", "unproven": "?"}
# What stands before a specialist, by its status.
SPECIALIST_MARKS = {"active": "⚡", "dormant": "💤"}
# Units of a duration with their seconds, and from how many seconds on the next one is taken.
UNITS = (("s", 1, 120), ("m", 60, 7200), ("h", 3600, 172800))
DAY = 86400

# A document, or a row of one, as it came back through Ansible: data without types. Its keys are
# explained where it is made.
Row = Mapping[str, Any]


# -- status


def status_text(status: Row) -> list[str]:
    """The panel of `status`: nodes, machines that are left out, attempts."""
    totals = status["totals"]
    summary = (
        f"status: {totals['answered']} of {totals['nodes']} nodes answer; "
        f"{totals['running']} running, {totals['ended_today']} ended today"
    )
    lines = [summary, *_node_lines(status["nodes"])]
    lines += [fit(line, COLUMNS) for line in left_out_lines(status["left_out"])]
    more = [*_attempt_lines(status["attempts"]), *day_cost_lines(status["cost"])]
    return lines + [fit(line, COLUMNS) for line in more]


def _node_lines(nodes: Sequence[Row]) -> list[str]:
    """Numbers of the measured nodes, then the reasons of those about which there is something.

    That is a node that no job would go to, or of which something is not known.
    """
    lines = []
    rows = [_node_cells(node) for node in nodes if node["state"] == "measured"]
    if rows:
        heads = ["NODE", "SCORE", "CPU", "MEM", "LOAD", "IO", "SLOTS", "AGE", "AGENTS"]
        lines += fitted_table([heads, *rows], (17, 5, 5, 5, 5, 5, 5, 4), COLUMNS)
    reasons = [
        (node["name"], node["reason"] or "load unknown")
        for node in nodes
        if node["state"] != "measured" or node["reason"]
    ]
    known = [
        [node["name"], ", ".join(map(_agent_words, node["agent_details"]))]
        for node in nodes
        if any(row["version"] or row["logged_in"] == "no" for row in node["agent_details"])
    ]
    return lines + wrapped_table(reasons, 22, COLUMNS) + fitted_table(known, (22,), COLUMNS)


def _node_cells(node: Row) -> list[str]:
    load = [_percent(value) for value in node["load"].values()]
    score = "-"
    if node["score"] is not None:
        score = f"{node['score']:.2f}"
    slots = f"{node['slots']['busy']}/{node['slots']['total']}"
    agents = "?"
    if node["agents"] is not None:
        agents = ", ".join(node["agents"]) or "none"
    return [node["name"], score, *load, slots, _duration(node["age"]), agents]


def _agent_words(row: Row) -> str:
    """`claude 2.1.332`, and whether it is not logged in."""
    words = f"{row['name']} {row['version'] or ''}".strip()
    return f"{words} (not logged in)" if row["logged_in"] == "no" else words


def _attempt_lines(attempts: Sequence[Row]) -> list[str]:
    """What runs, and the newest of what has ended."""
    open_rows = [row for row in attempts if row["ended_at"] is None]
    ended_rows = [row for row in attempts if row["ended_at"] is not None]
    rows = [_attempt_cells(row) for row in open_rows + ended_rows[:ENDED_MOST]]
    if not rows:
        return []

    heads = ["JOB", "NODE", "STATUS", "BEGAN", "TOOK", "COST"]
    lines = ["", *fitted_table([heads, *rows], (20, 10, 18, 11, 5), COLUMNS)]
    notes = [
        [cells[0], note]
        for row, cells in zip(open_rows, rows, strict=False)
        if (note := _life(row))
    ]
    lines += fitted_table(notes, (26,), COLUMNS)
    more = len(ended_rows) - ENDED_MOST
    if more > 0:
        lines.append(f"… and {more} more that ended today: gummy_output_file has them all")
    return lines


def _life(row: Row) -> str:
    """What there is to say of a running one: that it waits, shows no sign of life, or no sleep."""
    if row["quiet"] is not None and row["quiet"] >= QUIET_TOLD:
        return f"no sign of life for {_duration(row['quiet'])}"
    if row["waits"]:
        return str(row["waits"])
    granted = row.get("awake")
    return f"its node is kept awake ({granted})" if granted else ""


def _attempt_cells(row: Row) -> list[str]:
    mark = MARKS.get(row["status"], "✗")
    return [
        f"{row['run_id'] or '?'}/{row['job'] or '?'}",
        row["node"],
        f"{mark} {status_words(row['status'], row['class'])}",
        _moment(row["begun_at"]),
        _duration(row["seconds"]),
        _cost(row["cost_usd"]),
    ]


# -- specialists


def specialists_text(dashboard: Row) -> list[str]:
    """The panel of `specialists`: the totals, then each node with its own."""
    lines = [_totals_line(dashboard["totals"])]
    for node in dashboard["nodes"]:
        lines.append(f"{node['name']}  {_node_words(node)}")
        rows = [_specialist_cells(row) for row in node["specialists"]]
        lines += [f"  {line}" for line in fitted_table(rows, (2, 21, 16, 12), COLUMNS - 2)]
        if node["more"]:
            lines.append("  … and more: no more are read of one node")
    return [fit(line, COLUMNS) for line in lines]


def _totals_line(totals: Row) -> str:
    parts = [f"{mark} {totals[status]} {status}" for status, mark in SPECIALIST_MARKS.items()]
    parts += [
        f"{totals['answered']} of {totals['nodes']} nodes",
        _sessions(totals["sessions"]),
        f"cost today {_cost(totals['cost_today'])}",
    ]
    return " · ".join(parts)


def _node_words(node: Row) -> str:
    if node["reason"]:
        return f"✗ {node['reason']}"
    if node["same_as"]:
        return f"the same store as {node['same_as']}: counted there"
    words = []
    if node["score"] is not None:
        words.append(f"score {node['score']:.2f}")
    if node["cost_today"] is not None:
        words.append(f"cost today {_cost(node['cost_today'])}")
    if not node["specialists"]:
        words.append("no specialists")
    return ", ".join(words)


def _specialist_cells(row: Row) -> list[str]:
    where = "home"
    if row["where"] != "home":
        path = row["project"] or row["workspace"] or "?"
        where = path.rstrip("/").rpartition("/")[2]
    last = row["reason"]
    if not last:
        last = f"{_last_active(row['last_active']):<11}  {_cost(row['cost_usd'])}"
    mark = SPECIALIST_MARKS[row["status"]]
    return [mark, row["name"], where, _sessions(row["sessions"]), last]


# -- numbers


def _sessions(count: int | None) -> str:
    if count is None:
        return "n/a"
    if count == 1:
        return "1 session"
    return f"{count} sessions"


def _cost(dollars: float | None) -> str:
    if dollars is None:
        return "n/a"
    return f"${dollars:.2f}"


def _percent(part: float | None) -> str:
    if part is None:
        return "-"
    return f"{100 * part:.0f} %"


def _last_active(at: str | None) -> str:
    """A time of ISO 8601, by this machine's clock; what is none as it is."""
    if not at:
        return "never"
    try:
        return _moment(datetime.fromisoformat(at).timestamp())
    except (ValueError, OverflowError):
        return at


def _moment(at: float | None) -> str:
    """A time in seconds since 1970 by this machine's clock, in 11 columns.

    The time if it is today's, date and time if it is this year's, else a date.
    """
    if at is None:
        return "-"
    try:
        when = time.localtime(at)
        now = time.localtime()
    except (OverflowError, ValueError, OSError):
        return "?"
    if when[:3] == now[:3]:
        return time.strftime("%H:%M", when)
    if when.tm_year == now.tm_year:
        return time.strftime("%m-%d %H:%M", when)
    return time.strftime("%Y-%m-%d", when)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, size, limit in UNITS:
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / DAY:.0f} d"
