# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report.md of a run, of a size that fits GitHub's $GITHUB_STEP_SUMMARY, which takes 1 MiB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .agent_events import readable_log
from .costs import price_of_job, run_cost_words, share_lines_of_run, with_costs_of_jobs
from .ends import MARKS, headline, job_words
from .markup import fenced, markdown
from .run_words import VERDICT_MARKS, duration, result_words
from .text import how_many

Row = Mapping[str, Any]

# How many bytes the whole has, and how many of them the table of jobs may take.
BYTES_MOST = 900_000
TABLE_MOST = 500_000

# After so many parts that did not fit, the page is full: a smaller one might still fit, but a run
# of thousands of jobs is not to be written out for that.
REFUSED_MOST = 20

# How many characters of a job's result stand in the table, and lines of a log or tests below it.
RESULT_MOST = 300
LOG_LINES = 40
TESTS_MOST = 20
# Bytes of one patch.
PATCH_MOST = 60_000
# Ends after which a person wants to know why.
BAD = frozenset({"failed", "lost", "unproven"})


class _Blocks:
    """The blocks of a page, as long as there is room for them."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.left_out = 0
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether so much did not fit that making more of it would be in vain."""
        return self.left_out >= REFUSED_MOST

    def add(self, block: str, most: int = BYTES_MOST) -> bool:
        """Take a block, if the page is not larger than `most` bytes with it."""
        size = len(block.encode("utf-8", "replace")) + 2
        if self._bytes + size > most:
            self.left_out += 1
            return False
        self._bytes += size
        self.blocks.append(block)
        return True


def markdown_of_run(run: Row, files: Mapping[str, Row]) -> str:
    """The text of report.md. files: what lies in the jobs' folders, by job."""
    run = with_costs_of_jobs(run)
    page = _Blocks()
    mark = VERDICT_MARKS.get(run["status"], "✗")
    page.add(f"## {mark} {markdown(run['run_id'])}: {markdown(headline(run))}")
    page.add(_facts(run))
    shares = share_lines_of_run(run)
    if shares:
        page.add("\n".join(f"- cost {markdown(line)}" for line in shares))
    if run["message"]:
        page.add(markdown(run["message"]))
    page.add(_table(run["jobs"]), TABLE_MOST + BYTES_MOST // 10)

    for row in run["jobs"]:
        if row["status"] not in BAD:
            continue
        if page.is_full:
            page.left_out += 1
        else:
            page.add("\n\n".join(_failure(row, files.get(row["name"], {}))))
    for row in run["jobs"]:
        patch = files.get(row["name"], {}).get("patch")
        if patch and page.is_full:
            page.left_out += 1
        elif patch:
            page.add(_details(f"changes of {row['name']}", _patch(row, files[row["name"]])))
    if page.left_out:
        left_out = how_many(page.left_out, "part")
        page.blocks.append(f"{left_out} left out for want of room: report.html has all.")
    return "\n\n".join(page.blocks) + "\n"


def _facts(run: Row) -> str:
    nodes = {attempt["node"] for row in run["jobs"] for attempt in row["attempts"]}
    facts = [duration(run["seconds"]), run_cost_words(run), how_many(len(nodes), "node")]
    return markdown(" · ".join(filter(None, facts)))


def _table(rows: Sequence[Row]) -> str:
    """The jobs, as many as there is room for."""
    lines = ["| | job | status | node | time | cost | result |", "|---|---|---|---|---:|---:|---|"]
    size = 0
    for number, row in enumerate(rows):
        line = _table_line(row)
        size += len(line.encode("utf-8", "replace")) + 1
        if size > TABLE_MOST:
            left = how_many(len(rows) - number, "more job")
            lines += ["", f"and {left}: run.json has all of them."]
            break
        lines.append(line)
    return "\n".join(lines)


def _table_line(row: Row) -> str:
    result = result_words(row)
    if len(result) > RESULT_MOST:
        result = result[: RESULT_MOST - 1] + "…"
    cells = [
        MARKS[row["status"]],
        row["name"],
        job_words(row),
        row["node"] or "–",
        duration(row["seconds"]),
        price_of_job(row),
        result,
    ]
    return f"| {' | '.join(markdown(cell) for cell in cells)} |"


def _failure(row: Row, files: Row) -> Iterator[str]:
    """A job that did not end well: its tests that failed, and the end of its log."""
    where = f" on {row['node']}" if row["node"] else ""
    name = markdown(row["name"])
    yield f"### {name}: {markdown(job_words(row) + where)}"
    if row["message"]:
        yield markdown(row["message"])
    failed = [
        case
        for file in files.get("tests", ())
        for case in file["cases"]
        if case["outcome"] in ("failed", "error")
    ]
    if failed:
        lines = [f"- {markdown(_case_words(case))}" for case in failed[:TESTS_MOST]]
        if len(failed) > TESTS_MOST:
            lines.append(f"- and {len(failed) - TESTS_MOST} more")
        yield "\n".join(lines)
    log = readable_log(row["agent"], row["class"], files.get("log", ""))[-LOG_LINES:]
    if log:
        yield _details(f"end of the log of {row['name']}", fenced("\n".join(log)))


def _case_words(case: Row) -> str:
    name = ".".join(filter(None, [case["classname"], case["name"]]))
    return f"{name}: {case['message'][:RESULT_MOST]}" if case["message"] else name


def _patch(row: Row, files: Row) -> str:
    patch = files["patch"]
    left = files["patch_left"]
    if len(patch) > PATCH_MOST:
        kept = patch[:PATCH_MOST].rpartition("\n")[0] + "\n"
        left += len(patch) - len(kept)
        patch = kept
    block = fenced(patch, "diff")
    if left:
        block += f"\n\n{left:,} bytes more: {markdown(row['patch'])}"
    return block


def _details(title: str, content: str) -> str:
    return f"<details><summary>{markdown(title)}</summary>\n\n{content}\n\n</details>"
