# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are told of a run's jobs in its reports, in words that all of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .text import how_many

Row = Mapping[str, Any]

# What each end is called, and the mark before it.
MARKS = {
    "success": "✓",
    "unproven": "?",
    "failed": "✗",
    "lost": "✗",
    "skipped": "-",
    "cancelled": "-",
    "running": "▶",
    "waiting": "…",
}
VERDICT_MARKS = {"success": "✓", "failed": "✗", "unfinished": "▶"}

# An agent that costs nothing.
FREE = "shell"

MINUTE = 60
HOUR = 3600


def headline(run: Row) -> str:
    """`3 of 4 jobs succeeded`."""
    good = sum(row["status"] == "success" for row in run["jobs"])
    return f"{good} of {how_many(len(run['jobs']), 'job')} succeeded"


def status_words(row: Row) -> str:
    """`failed (verify)`."""
    if row["class"] and row["class"] != row["status"]:
        return f"{row['status']} ({row['class']})"
    return str(row["status"])


def duration(seconds: float | None) -> str:
    """`8 min 4 s`; a dash for what is not known."""
    if seconds is None:
        return "–"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min {int(seconds % MINUTE)} s"
    return f"{int(seconds // HOUR)} h {int(seconds % HOUR // MINUTE)} min"


def dollars(cost: float | None) -> str:
    """`$0.41`; `n/a` where nobody knows."""
    if cost is None:
        return "n/a"
    return f"${cost:.2f}"


def cost_of(row: Row) -> str:
    """What a job cost, a dash if it costs nothing."""
    if row["agent"] == FREE and row["cost_usd"] is None:
        return "–"
    return dollars(row["cost_usd"])


def cost_of_all(rows: Sequence[Row]) -> str:
    """What these jobs cost together, as far as anybody knows."""
    costs = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    unknown = sum(
        row["cost_usd"] is None and row["agent"] != FREE and bool(row["attempts"]) for row in rows
    )
    if not costs:
        return "n/a" if unknown else "$0.00"
    more = f" and {how_many(unknown, 'job')} of unknown cost" if unknown else ""
    return dollars(sum(costs)) + more


def changes(row: Row) -> str:
    """`3 files, +10/-2`; blank for none."""
    if not row["patch"] and not row["files_changed"]:
        return ""
    files = how_many(row["files_changed"], "file")
    return f"{files}, +{row['lines_added']}/-{row['lines_deleted']}"


def tests_words(tests: Row | None) -> str:
    """`1,247 passed, 2 failed`; blank for none."""
    if tests is None:
        return ""
    words = [f"{tests['passed']:,} passed"]
    for key, word in (("failed", "failed"), ("errors", "in error"), ("skipped", "skipped")):
        if tests[key]:
            words.append(f"{tests[key]:,} {word}")
    if tests["refused"]:
        words.append(f"{how_many(len(tests['refused']), 'file')} not read")
    return ", ".join(words)


def lines_of_tests(run: Row) -> list[str]:
    """What the summary says of the test results that jobs brought home: `unit: 1,247 passed`."""
    lines = []
    for row in run["jobs"]:
        tests = row.get("tests")
        if tests is None:
            continue
        if tests["files"]:
            lines.append(f"{row['name']}: {tests_words({**tests, 'refused': ()})}")
        lines += [
            f"{row['name']}: test results in {refused['file']} are not read: {refused['why']}"
            for refused in tests["refused"]
        ]
    return lines


def verify_words(row: Row) -> str:
    """What became of the job's `verify`; blank if it has none."""
    return f"verify {row['verify']}" if row.get("verify") else ""


def result_words(row: Row) -> str:
    """What came of a job, in a line: why it did not end well, or what it changed."""
    words = []
    if row["status"] != "success" and row["message"]:
        words.append(row["message"])
    if row.get("delivered"):
        words.append(f"branch {row['delivered']['branch']}")
    words += [changes(row), tests_words(row.get("tests")), verify_words(row)]
    return "; ".join(filter(None, words)) or "no changes"
