"""How jobs end, what they changed and how long it took: in the same words wherever it is read."""

from __future__ import annotations

import json
import pathlib
import re

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.views import status_of
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.results import (
    describe_end,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._show import (
    board,
    ends,
    outcome,
    panels,
    progress,
    report,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.formats import page_of_run

ROOT = pathlib.Path(__file__).parents[3]
EXAMPLE = json.loads((ROOT / "tests/fixtures/report/run.json").read_text(encoding="utf-8"))
BOARD = json.loads((ROOT / "tests/fixtures/panels/watch.json").read_text(encoding="utf-8"))
STATES = (ROOT / "docs" / "states.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
# How an attempt of which the node tells may have ended, with the words for it.
ENDS = [
    ("success", None, None, "success"),
    ("unproven", None, None, "unproven"),
    ("failed", "agent", None, "failed (agent)"),
    ("failed", "quota", "reset", "failed (quota)"),
    ("failed", "quota", "credit", "failed (quota, credit)"),
    ("failed", "quota", "busy", "failed (quota, busy)"),
    ("failed", "stalled", None, "failed (stalled)"),
    ("cancelled", "cancelled", None, "cancelled"),
]
# The same of jobs that only the controller ends.
ENDS_OF_JOBS = [
    *ENDS,
    ("lost", "lost", None, "lost"),
    ("failed", "budget", None, "failed (budget)"),
    ("skipped", "unreachable", None, "skipped (unreachable)"),
]


def classes() -> set[str]:
    """Those of the architecture's table."""
    (rows,) = re.findall(r"## Classes of failure\n(.*?)\n\nA class tells", ARCHITECTURE, re.DOTALL)
    heads = re.findall(r"^\| ([^|]+) \|", rows, re.MULTILINE)[1:]
    return {word for head in heads for word in re.findall(r"`(\w+)`", head.partition(", kind")[0])}


def job(status, failure, kind, **more):
    row = dict(EXAMPLE["jobs"][0])
    row.update({"name": "it", "status": status, "class": failure, "quota_kind": kind})
    row.update({"message": "exit status 4", "delivered": None, "patch": None, **more})
    return row


def attempt(status, failure, kind):
    row = next(row for row in BOARD["attempts"] if row["ended_at"] is not None)
    return {**row, "status": status, "class": failure, "quota_kind": kind}


def shown_of_job(row) -> dict[str, str]:
    """Where people read of a job, with what stands there."""
    run = {**EXAMPLE, "jobs": [row], "conflicts": [], "cost": None}
    return {
        "summary": "\n".join(report.run_summary(run)),
        "progress": describe_end(row),
        "report.md": page_of_run(".md", run, {}),
        "report.html": page_of_run(".html", run, {}),
    }


@pytest.mark.parametrize(("status", "failure", "kind", "words"), ENDS_OF_JOBS)
def test_a_jobs_end_is_told_in_the_same_words_everywhere(status, failure, kind, words):
    row = job(status, failure, kind)
    shown = shown_of_job(row)
    for where, text in shown.items():
        assert re.search(rf"(?:^|[ >]){re.escape(words)}(?=  | \||[,;<\n]|$)", text), where
    if status in ("failed", "lost"):
        assert f"it {words}: exit status 4" in outcome.why_failed(
            {"kind": "run", "jobs": [row], "message": None}, {"failed", "lost"}
        )


@pytest.mark.parametrize(("status", "failure", "kind", "words"), ENDS)
def test_an_attempts_end_is_told_in_the_words_of_a_jobs(status, failure, kind, words):
    row = attempt(status, failure, kind)
    document = {**BOARD, "attempts": [row]}
    mark = ends.MARKS[status]
    assert re.search(
        rf"{re.escape(mark)} {row['run_id']}/\S+ +\S+ +{re.escape(words)}  ",
        "\n".join(board.board_text(document, 120)),
    )
    totals = {"nodes": 1, "answered": 1, "running": 0, "ended_today": 1}
    status_document = {**document, "nodes": [], "left_out": [], "totals": totals}
    # The panel has 18 columns for it.
    short = f"{mark} {words}"[:17]
    assert f"  {short}" in "\n".join(panels.status_text(status_document))

    proof = "verify" if status == "success" else None
    assert ends.end_words({"class": failure, "kind": kind, "proof": proof}) == words
    assert status_of("ended", failure, proof) == status


def test_every_place_knows_the_same_ends():
    over = ends.MARKS.keys() - {"running", "waiting"}
    assert (
        {"success", *progress.OTHER_ENDS}
        == over
        == ends.IN_A_SENTENCE.keys()
        - {
            "running",
            "waiting",
        }
    )
    listed = (ROOT / "skills/distributed-gummy/SKILL.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"\nA job's `status`: (.*)", listed)
    assert [status for status in ends.MARKS if f"`{status}`" not in sentence] == []


def test_every_class_is_told_by_docs_and_skill_in_the_words_that_are_printed():
    told = STATES.partition("## How a job ends")[2]
    skill = (ROOT / "skills/distributed-gummy/SKILL.md").read_text(encoding="utf-8")
    for failure in sorted(classes()):
        words = ends.status_words("cancelled" if failure == "cancelled" else "failed", failure)
        assert f"`{words}`" in told or f"`({failure})`" in told, failure
        assert f"`{failure}`" in skill.partition("## What a failure asks for")[2], failure


@pytest.mark.parametrize("files", [1, 3])
def test_what_a_job_changed_is_told_in_the_same_words_everywhere(files):
    changed = {"patch": "/f/changes.patch", "files_changed": files}
    row = job("success", None, None, **changed, lines_added=7, lines_deleted=2)
    words = f"{files} file{'s' if files > 1 else ''} changed (+7/-2)"
    for where, text in shown_of_job(row).items():
        assert words in text.replace("\\", "").replace("&#43;", "+"), where
    row = job_row_of_nothing()
    assert {where for where, text in shown_of_job(row).items() if "no changes" not in text} == set()


def job_row_of_nothing():
    row = job("success", None, None, files_changed=0, message="", verify=None, tests=None)
    return {**row, "left_out": [], "nested": [], "artifacts": 0, "commits": {}}


def test_no_sentence_counts_long_times_in_seconds_alone():
    """Formats such as `{x:.0f} s`, which say `90 s` where all others say `1 min 30 s`."""
    units = "(?:s|min|h|seconds|minutes|hours)"
    pattern = re.compile(rf"(?:\{{[^{{}}]*:\.?\d*[fgd]\}}|%\.?\d*[fg]) {units}\b")
    found = [
        f"{path.name}: {line.strip()}"
        for path in (ROOT / "plugins" / "plugin_utils").glob("_*/*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if pattern.search(line)
    ]
    assert found == []
