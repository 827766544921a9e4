# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The board of `watch`: nodes with bars, what runs, what waits, what ended last."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from .costs import day_cost_lines, price_of_job
from .dashboard import told_totals_of_day
from .ends import attempt_mark, job_words
from .figures import ago, duration, load_bar, percent, slots
from .frames import BORDERS, COLUMNS, LEAST, columns_of, frame, heading, told
from .text import GAP, fit, pad, unstyled, width

# From how many seconds without a sign of life on that is told.
QUIET_TOLD = 60
# How many that have ended are shown; the document has all.
ENDED_MOST = 8
# How wide names may be, and bars.
NAME_MOST = 20
NARROW_NAME_MOST = 12
NARROW = 72
BAR_LEAST = 3
BAR_MOST = 20
# Columns of a node's line beside its name and its two bars.
FIGURES = 37
# Lines of a frame beside those in it, and from how many below the heading on costs have a share.
FRAME = 2
ROOMY_ROWS = 30

# A document, or a row of one, as it came back through Ansible: data without types.
Row = Mapping[str, Any]

# A part of the board: its title, what stands at the right of that, and its lines.
Part = tuple[str, str, list[str]]


def board_text(board: Row, columns: int = COLUMNS, rows: int | None = None) -> list[str]:
    """The board as lines. columns, rows: of the terminal; without rows it is as long as it is."""
    columns = max(LEAST, columns)
    totals = board["totals"]
    clock = time.strftime("%H:%M:%S", time.localtime(board["at"]))
    counted = f"{totals['answered']} of {totals['nodes']} nodes"
    lines = [heading(f"watch · {counted} · {clock}", columns)]

    parts: list[Part] = [
        ("nodes", told_totals_of_day(totals, board["cost"]), _node_lines(board["nodes"], columns)),
        ("running", _running_count(totals), _running_lines(board, columns)),
        ("waiting", str(totals["waiting"] or ""), _waiting_lines(board["waiting"], columns)),
        ("ended today", str(totals["ended_today"] or ""), _ended_lines(board, columns)),
        ("cost", "", day_cost_lines(board, columns - BORDERS)),
    ]
    parts = [part for part in parts if part[2]]
    if parts and rows is not None:
        parts = _fitted(parts, rows - len(lines))
    for title, right, part in parts:
        lines += frame(title, right, part, columns)
    return lines if rows is None else lines[:rows]


def _fitted(parts: list[Part], rows: int) -> list[Part]:
    """The parts in so many lines, their frames among them; what is left out is counted.

    Each gets as many lines as the others, as long as it needs them. What it costs comes last, and
    on a low terminal only where the others need less.
    """
    room = rows - FRAME * len(parts)
    needs = [len(lines) for _title, _right, lines in parts]
    if rows < ROOMY_ROWS and parts[-1][0] == "cost":
        needs[-1] = min(needs[-1], room - sum(needs[:-1]))
        if needs[-1] < 1:
            room += FRAME
            del parts[-1], needs[-1]
    shares = [1] * len(parts)
    left = room - sum(shares)
    while left > 0 and shares != needs:
        for index, need in enumerate(needs):
            if shares[index] < need and left > 0:
                shares[index] += 1
                left -= 1
    return [
        (title, right, _cut(lines, share))
        for (title, right, lines), share in zip(parts, shares, strict=True)
    ]


def _cut(lines: Sequence[str], most: int) -> list[str]:
    if len(lines) <= most:
        return list(lines)
    kept = list(lines[: most - 1])
    return [*kept, f"… and {len(lines) - len(kept)} more lines"]


# -- nodes


def _node_lines(nodes: Sequence[Row], columns: int) -> list[str]:
    most = NARROW_NAME_MOST if columns < NARROW else NAME_MOST
    names = [fit(node["name"], most) for node in nodes]
    widest = max(map(width, names), default=0)
    size = min(BAR_MOST, max(BAR_LEAST, (columns - BORDERS - widest - FIGURES) // 2))
    lines: list[str] = []
    for node, name in zip(nodes, names, strict=True):
        head = f"{pad(name, widest)}{GAP}"
        if node["state"] == "asked":
            lines.append(f"{head}is asked")
        elif node["reason"]:
            since = "" if node["silent"] is None else f" for {duration(node['silent'])}"
            text = f"no answer{since}: {node['reason']}"
            # The sign stands where the bars of others begin.
            parts = told("✗", text, columns - len(head))
            indent = " " * width(head)
            lines += [head + part for part in parts[:1]] + [indent + part for part in parts[1:]]
        else:
            lines.append(fit(head + _figures(node, size), columns - BORDERS))
        lines += _active_lines(node, columns)
    return lines


def _figures(node: Row, size: int) -> str:
    load = node["load"]
    parts = [
        f"{label} {load_bar(load[part], size)} {percent(load[part]):>5}"
        for label, part in (("cpu", "cpu"), ("mem", "memory"))
    ]
    return GAP.join([*parts, slots(node["slots"])])


def _active_lines(node: Row, columns: int) -> list[str]:
    active = [row for row in node["specialists"] if row["status"] == "active"]
    if not active:
        return []
    words = ", ".join(
        row["name"] if row["works"] is None else f"{row['name']} ({duration(row['works'])})"
        for row in active
    )
    return [f"  {line}" for line in told("⚡", words, columns - 2)]


# -- attempts


def _running_count(totals: Row) -> str:
    count = str(totals["running"] or "")
    if totals["foreign"]:
        return f"{totals['running']}, and {totals['foreign']} by hand"
    return count


def _running_lines(board: Row, columns: int) -> list[str]:
    attempts = [row for row in board["attempts"] if row["ended_at"] is None]
    cells = [
        [
            attempt_mark(row),
            f"{row['run_id'] or '?'}/{row['job'] or '?'}",
            row["node"],
            row["status"] if row["status"] != "running" else duration(row["seconds"]),
            price_of_job(row),
        ]
        for row in attempts
    ]
    cells += [
        ["!", task["words"], task["node"], duration(task["seconds"]), "by hand"]
        for task in board["foreign"]
    ]
    below = [_life_of(row) for row in attempts] + [[] for _task in board["foreign"]]
    lines = []
    for line, notes in zip(columns_of(cells, columns), below, strict=True):
        lines.append(line)
        lines += [fit(f"    {note}", columns - BORDERS) for note in notes]
    return lines


def _life_of(row: Row) -> list[str]:
    """Whether it lives, what it waits for, and what it wrote last."""
    notes = []
    if row["quiet"] is not None and row["quiet"] >= QUIET_TOLD:
        notes.append(f"no sign of life for {duration(row['quiet'])}")
    if row["waits"]:
        notes.append(row["waits"])
    if row["line"]:
        notes.append(unstyled(row["line"]))
    return notes


def _waiting_lines(rows: Sequence[Row], columns: int) -> list[str]:
    lines = []
    for row in rows:
        name = f"{row['run_id'] or '?'}/{row['job']}" if row["job"] else f"run {row['run_id']}"
        lines += told("…", f"{name} waits for {row['reason']}", columns)
    return lines


def _ended_lines(board: Row, columns: int) -> list[str]:
    ended = [row for row in board["attempts"] if row["ended_at"] is not None]
    cells = []
    for row in ended[:ENDED_MOST]:
        name = f"{row['run_id'] or '?'}/{row['job'] or '?'}"
        cell = [attempt_mark(row), name, row["node"]]
        cost = price_of_job(row)
        if columns >= NARROW:
            cell += [job_words(row), duration(row["seconds"])]
        else:
            # Where there is little room, the name says more than the class.
            cell.append(row["status"])
            cost = cost.replace("tokens", "tok.")
        when = ago(max(0.0, board["at"] - row["ended_at"]))
        cells.append([*cell, cost, when])
    lines = columns_of(cells, columns)
    if len(ended) > ENDED_MOST:
        lines.append(f"… and {len(ended) - ENDED_MOST} more: gummy_output_file has them all")
    return lines
