# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How jobs end, in words: the same in progress, summary, `status`, documents and on the pages.

A job ends `success`, `failed` (with a class), `unproven`, `lost`, `skipped` or `cancelled`; in a
sentence it succeeded, failed, is unproven, is lost, was skipped or was cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .text import how_many, spoken

# What stands before a job, by its status.
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

# What is said of a job in a sentence, by its status.
IN_A_SENTENCE = {
    "success": "succeeded",
    "failed": "failed",
    "unproven": "is unproven",
    "lost": "is lost",
    "skipped": "was skipped",
    "cancelled": "was cancelled",
    "running": "is running",
    "waiting": "is waiting",
}

# What is no reason to name a job of its own.
UNNAMED = frozenset({"success", "skipped", "running", "waiting"})

# What is counted beside the jobs that succeeded, in this order.
COUNTED = ("running", "waiting", "skipped")

# How many jobs that did not succeed have a sentence of their own, and how long its reason may be.
NAMED_MOST = 3
REASON_MOST = 200

# From how many times on it is told that jobs ran side by side.
FASTER_LEAST = 1.1

# A document, or a row of one, as it came back through Ansible.
Row = Mapping[str, Any]


def status_words(status: str, failure: str | None = None, kind: str | None = None) -> str:
    """`success`, `failed (agent)`, `failed (quota, credit)`.

    failure: its class; kind: of class quota, which is told where it is no mere limit.
    """
    if failure is None or failure == status:
        return status
    if kind in ("credit", "busy"):
        return f"{status} ({failure}, {kind})"
    return f"{status} ({failure})"


def job_words(row: Row) -> str:
    """The same of a job or an attempt, by its row."""
    return status_words(row["status"], row["class"], row.get("quota_kind"))


def attempt_mark(row: Row) -> str:
    """What stands before an attempt; a cross for one whose supervisor died."""
    return MARKS.get(row["status"], "✗")


def end_words(ended: Row) -> str:
    """How an attempt ended, by what its node noted of that."""
    failure = ended.get("class")
    if failure == "cancelled":
        return "cancelled"
    if failure is not None:
        return status_words("failed", str(failure), ended.get("kind"))
    return "success" if ended.get("proof") else "unproven"


def run_sentences(run: Row) -> str:
    """`3 of 4 jobs succeeded in 8 min 4 s (…). lint failed on node-2: exit status 4.`"""
    jobs: Sequence[Row] = run["jobs"]
    named = [row for row in jobs if row["status"] not in UNNAMED]
    sentences = [whole_words(run), *map(_sentence, named[:NAMED_MOST])]
    if len(named) > NAMED_MOST:
        sentences.append(f"{len(named) - NAMED_MOST} more did not succeed")
    return " ".join(f"{sentence}." for sentence in sentences)


def headline(run: Row) -> str:
    """`3 of 4 jobs succeeded`."""
    jobs: Sequence[Row] = run["jobs"]
    return f"{_count(jobs, 'success')} of {how_many(len(jobs), 'job')} succeeded"


def whole_words(run: Row) -> str:
    """`3 of 4 jobs succeeded in 8 min 4 s (…)`, which names no job and holds no word of one."""
    jobs: Sequence[Row] = run["jobs"]
    counts = {status: _count(jobs, status) for status in COUNTED}
    words = f"{headline(run)} in {spoken(run['seconds'])}"
    times = run.get("times_as_fast")
    if times is not None and times >= FASTER_LEAST:
        work = spoken(run["work_seconds"])
        words += f" ({work} of work, {times:.1f} times as fast as one after the other)"
    others = [f"{counts[status]} {status}" for status in COUNTED if counts[status]]
    return "; ".join([words, ", ".join(others)]) if others else words


def _count(jobs: Sequence[Row], status: str) -> int:
    return len([row for row in jobs if row["status"] == status])


def _sentence(row: Row) -> str:
    """`lint failed on node-2: exit status 4`, without the end of the sentence."""
    words = f"{row['name']} {IN_A_SENTENCE[row['status']]}"
    if row["node"]:
        words += f" on {row['node']}"
    lines = str(row["message"] or "").strip().splitlines()
    if not lines:
        return words
    reason = lines[0]
    if len(reason) > REASON_MOST:
        reason = f"{reason[: REASON_MOST - 1]}…"
    return f"{words}: {reason.rstrip('.')}"
