# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read of `doctor`: what is broken in the whole fleet, then each machine.

Where there is no finding, that is one line. Commands are not cut, so lines may be long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .text import how_many, spoken

# What stands before a finding, by its category.
MARKS = {"critical": "✗", "warning": "!", "info": "-"}
# The categories that stand with their machine; what is critical stands before all machines.
OF_MACHINE = ("warning", "info")

# How many checks that are unknown are named.
UNKNOWN_MOST = 4
# What is said of an agent's login, by the status of its check.
LOGINS = {"ok": "logged in", "failed": "not logged in", "unknown": "login unknown"}

# A document, or a row of one, as it came back through Ansible: data without types.
Row = Mapping[str, Any]


def doctor_text(document: Row) -> list[str]:
    """The findings, the worst first; all is well in one line."""
    machines: Mapping[str, Row] = document["machines"]
    nodes = how_many(len(machines) - 1, "node")
    took = spoken(document["seconds"])
    found = {name: _findings(machine) for name, machine in machines.items()}
    counts = [
        f"{count} {_plural(category, count)}"
        for category in MARKS
        if (count := sum(_count(rows, category) for rows in found.values()))
    ]
    if not counts:
        return [f"doctor: all is well: this machine and {nodes}, {took}"]

    lines = [f"doctor: {', '.join(counts)}: this machine and {nodes}, {took}"]
    for name, rows in found.items():
        for check, row in rows.items():
            if row["category"] == "critical":
                lines += _finding_lines(f"{name}  {check}", row)
    for name, rows in found.items():
        lines += _machine_lines(name, rows, machines[name])
    return lines


def _findings(machine: Row) -> dict[str, Row]:
    return {name: row for name, row in machine["checks"].items() if row["status"] == "failed"}


def _count(rows: Mapping[str, Row], category: str) -> int:
    return len([row for row in rows.values() if row["category"] == category])


def _plural(category: str, count: int) -> str:
    words = {"critical": ("broken", "broken"), "warning": ("warning", "warnings")}
    one, several = words.get(category, ("note", "notes"))
    return one if count == 1 else several


def _finding_lines(title: str, row: Row) -> Iterator[str]:
    """What, why it matters, and what mends it."""
    yield f"{MARKS[row['category']]} {title}: {row['summary']}"
    why = row["details"].get("why")
    if why:
        yield f"    {why}"
    if row["remedy"]:
        yield f"    → {row['remedy']}"


def _machine_lines(name: str, rows: Mapping[str, Row], machine: Row) -> Iterator[str]:
    """The block of a machine."""
    checks: Mapping[str, Row] = machine["checks"]
    good = len([row for row in checks.values() if row["status"] == "ok"])
    unknown = [check for check, row in checks.items() if row["status"] == "unknown"]
    words = [f"{good} of {how_many(len(checks), 'check')} good"]
    broken = _count(rows, "critical")
    if broken:
        words.append(f"{broken} broken, see above")
    if len(unknown) > UNKNOWN_MOST:
        words.append(f"{len(unknown)} unknown")
    elif unknown:
        words.append(f"unknown: {', '.join(unknown)}")
    yield ""
    yield f"{name}  {', '.join(words)}"
    agents = [
        _agent_words(row, checks.get(check.replace("agent_", "login_", 1)))
        for check, row in checks.items()
        if row["details"].get("installed") and row["status"] == "ok"
    ]
    if agents:
        yield f"  agents: {', '.join(agents)}"
    for category in OF_MACHINE:
        for check, row in rows.items():
            if row["category"] == category:
                for line in _finding_lines(check, row):
                    yield f"  {line}"


def _agent_words(row: Row, login: Row | None) -> str:
    """An agent that can be used. login: the row about its login; None: it has none of its own."""
    if login is None:
        return str(row["summary"])
    return f"{row['summary']} ({LOGINS[login['status']]})"
