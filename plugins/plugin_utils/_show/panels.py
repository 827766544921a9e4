# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel of `status`: its document as text of 80 columns.

Nothing is computed here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from .costs import day_cost_lines, price_of_job
from .ends import attempt_mark, job_words
from .figures import duration, percent
from .report import left_out_lines
from .text import GAP, fit, fitted_table, width, wrapped_table

COLUMNS = 80
# How many ended attempts `status` shows; the document has all.
ENDED_MOST = 20
# From how many seconds without a sign of life on that is told.
QUIET_TOLD = 60
# How wide the columns of an attempt behind its name may be, but for its cost, and how narrow names
# become.
LIMITS = (10, 18, 11, 6)
NAME_LEAST = 12

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
    lines += [fit(line, COLUMNS) for line in _attempt_lines(status["attempts"])]
    lines += _foreign_lines(status["foreign"])
    return lines + day_cost_lines(status, COLUMNS, "cost ")


def _node_lines(nodes: Sequence[Row]) -> list[str]:
    """Numbers of the measured nodes, then the reasons of those about which there is something.

    That is a node that no job would go to, or of which something is not known.
    """
    lines = []
    rows = [_node_cells(node) for node in nodes if node["state"] == "measured"]
    if rows:
        heads = ["NODE", "SCORE", "CPU", "MEM", "LOAD", "IO", "SLOTS", "AGE", "AGENTS"]
        lines += fitted_table([heads, *rows], (15, 5, 5, 5, 5, 5, 5, 6), COLUMNS)
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
    load = [percent(value) for value in node["load"].values()]
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
    lines = ["", *fitted_table([heads, *rows], _limits([heads, *rows]), COLUMNS)]
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


def _limits(rows: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """How wide the columns may be: a cost is never cut, and a name gets what is left."""
    *others, cost = [max(map(width, column)) for column in zip(*rows, strict=True)][1:]
    taken = cost + sum(map(min, others, LIMITS)) + len(GAP) * (len(LIMITS) + 1)
    return (max(NAME_LEAST, COLUMNS - taken), *LIMITS)


def _foreign_lines(tasks: Sequence[Row]) -> list[str]:
    """Tasks of gummy that somebody started by hand, each with a sign of its own."""
    rows = [
        [f"! {task['words']}", task["node"], "by hand", "", _duration(task["seconds"]), ""]
        for task in tasks
    ]
    return fitted_table(rows, (26, 12, 11, 11, 6), COLUMNS)


def _life(row: Row) -> str:
    """What there is to say of a running one: that it waits, shows no sign of life, or no sleep."""
    if row["quiet"] is not None and row["quiet"] >= QUIET_TOLD:
        return f"no sign of life for {_duration(row['quiet'])}"
    if row["waits"]:
        return str(row["waits"])
    granted = row.get("awake")
    return f"its node is kept awake ({granted})" if granted else ""


def _attempt_cells(row: Row) -> list[str]:
    return [
        f"{row['run_id'] or '?'}/{row['job'] or '?'}",
        row["node"],
        f"{attempt_mark(row)} {job_words(row)}",
        _moment(row["begun_at"]),
        _duration(row["seconds"]),
        price_of_job(row),
    ]


# -- numbers


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
    return "-" if seconds is None else duration(seconds)
