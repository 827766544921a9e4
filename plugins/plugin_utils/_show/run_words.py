# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are told of a run's jobs in its reports, in words that all of them share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .text import how_many, some, spoken

Row = Mapping[str, Any]

# What stands before a run, by its status; a cross for the others.
VERDICT_MARKS = {"success": "✓", "failed": "✗", "unfinished": "▶"}

# How many paths of what runs by itself are listed, of which the first are one of each kind.
SELF_RUNNING_MOST = 10

# What is said of a job that has left nothing.
NO_CHANGES = "no changes"


def duration(seconds: float | None) -> str:
    """`8 min 4 s`; a dash for what is not known."""
    return "–" if seconds is None else spoken(seconds)


def changes(row: Row) -> str:
    """`3 files changed (+10/-2)`; blank for none."""
    if not row["patch"] and not row["files_changed"]:
        return ""
    files = how_many(row["files_changed"], "file")
    return f"{files} changed (+{row['lines_added']}/-{row['lines_deleted']})"


def without_changes(row: Row) -> str:
    """What a job without a patch has left all the same: `no changes`, `no patch: 2 artifacts`."""
    parts = []
    # What git ignores lies there after most jobs, and is no news.
    left_out = [
        entry for entry in row.get("left_out") or () if not entry["why"].endswith("ignored")
    ]
    for what, plural, count in (
        ("nested repository", "nested repositories", len(row.get("nested") or ())),
        ("artifact", "artifacts", row.get("artifacts") or 0),
        ("ref in commits.bundle", "refs in commits.bundle", len(row.get("commits") or ())),
        ("path left out", "paths left out", len(left_out)),
    ):
        if count:
            parts.append(f"{count} {what if count == 1 else plural}")
    return f"no patch: {', '.join(parts)}" if parts else NO_CHANGES


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
        lines += [f"{row['name']}: {each}" for each in unread_tests(row)]
    return lines


def unread_tests(row: Row) -> list[str]:
    """The test results of a job that were not read, and why."""
    refused = (row.get("tests") or {}).get("refused", ())
    return [f"test results in {each['file']} are not read: {each['why']}" for each in refused]


def warnings(row: Row) -> Iterator[str]:
    """What a person has to know of a job's work before it is used."""
    yield from row.get("notes") or ()
    paths = row.get("self_running")
    if paths:
        listed = some(paths, SELF_RUNNING_MOST, row.get("self_running_count") or len(paths))
        yield f"changes what runs by itself elsewhere, so read it first: {listed}"
    if row.get("not_looked_at"):
        yield f"not looked at for that: {some(row['not_looked_at'])}"


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
    return "; ".join(filter(None, words)) or without_changes(row)
