# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel of `specialists`: a frame for each node. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .costs import money, price
from .figures import ago, duration, percent, sessions, slots
from .frames import COLUMNS, LEAST, columns_of, frame, heading, told
from .text import fit, how_many

# What stands before a specialist, by its status.
SIGNS = {"active": "⚡", "dormant": "💤"}
# From how many columns on a line has room for where a specialist lives, and how wide that may be.
ROOMY = 72
WHERE_MOST = 18

# A document, or a row of one, as it came back through Ansible: data without types. Its keys are
# explained where it is made.
Row = Mapping[str, Any]


def specialists_text(dashboard: Row, columns: int = COLUMNS) -> list[str]:
    """A heading, a frame for each node, and a line of totals. columns: of the terminal."""
    columns = max(LEAST, columns)
    totals = dashboard["totals"]
    counted = f"{totals['answered']} of {totals['nodes']} nodes"
    lines = [heading(f"specialists · {counted}", columns)]
    nodes = dashboard["nodes"]
    cells = [_cells(row, columns) for node in nodes for row in node["specialists"]]
    # One width for each column, whatever the frame.
    rows = iter(columns_of(cells, columns))
    for node in nodes:
        lines += frame(node["name"], node_figures(node), _node_lines(node, rows, columns), columns)
    return [*lines, *told_totals(totals, columns)]


def told_totals(totals: Row, columns: int) -> list[str]:
    """How many there are, and what they cost."""
    line = (
        f"{_counted(totals)} · {sessions(totals['sessions'])} · today {money(totals['cost_today'])}"
    )
    return [fit(line, columns)]


def told_totals_of_day(totals: Row, cost: Row) -> str:
    """The same in fewer words, for the title of a frame. cost: of today."""
    return f"{_counted(totals)} · today {price(cost)}"


def _counted(totals: Row) -> str:
    return f"{how_many(totals['specialists'], 'specialist')}, {totals['active']} active"


def node_figures(node: Row) -> str:
    """What is known of a node's load, for the title of its frame."""
    load = node["load"]
    if load["cpu"] is None and load["memory"] is None and node["slots"] is None:
        return "no answer" if node["state"] == "no_answer" else "load n/a"
    return f"cpu {percent(load['cpu'])}  mem {percent(load['memory'])}  {slots(node['slots'])}"


def _node_lines(node: Row, rows: Iterator[str], columns: int) -> list[str]:
    """What stands in a node's frame. rows: the lines of its specialists, and then of others'."""
    if node["same_as"]:
        return told("=", f"the same store as {node['same_as']}: counted there", columns)
    lines = []
    if node["reason"]:
        lines += told("✗", node["reason"], columns)
    for row in node["specialists"]:
        lines.append(next(rows))
        if row["reason"]:
            lines += told("  ", row["reason"], columns)
    if node["more"]:
        lines += told("…", "and more: no more are read of one node", columns)
    if not lines:
        lines.append("no specialists")
    return lines


def _cells(row: Row, columns: int) -> list[str]:
    cells = [SIGNS[row["status"]], row["name"]]
    if columns >= ROOMY:
        cells.append(where(row))
    return [*cells, sessions(row["sessions"]), money(row["cost_usd"]), _activity(row)]


def where(row: Row) -> str:
    """The last part of its project's path, or `home`."""
    if row["where"] == "home":
        return "home"
    path = row["project"] or row["workspace"] or "?"
    return fit(path.rstrip("/").rpartition("/")[2], WHERE_MOST)


def _activity(row: Row) -> str:
    if row["status"] == "active":
        return "working" if row["works"] is None else f"working, {duration(row['works'])}"
    return "never" if row["last_active"] is None and row["reason"] is None else ago(row["idle"])
