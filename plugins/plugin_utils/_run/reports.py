# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of a run, beside its run.json: what tests say, and the files for people and CI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._files.junit_files import JobTests
from .._files.record import RunRecord
from .._files.run_files import read_run_files, read_tests
from .._show.formats import RUN_FORMATS, page_of_run
from .results import JobRow, TestResults

# What the reports are called in the run's folder, by the end of their names.
NAMES = {".xml": "junit.xml", ".md": "report.md", ".html": "report.html"}


def add_tests(rows: Sequence[JobRow | dict[str, Any]]) -> dict[str, JobTests]:
    """Write into the jobs' rows what their JUnit files say; returns that by job, case by case."""
    tests = read_tests(rows)
    for row in rows:
        row["tests"] = _results(tests.get(row["name"], JobTests()))
    return tests


def _results(tests: JobTests) -> TestResults | None:
    counts = tests.counts
    if counts is None and not tests.refused:
        return None
    return {
        "passed": counts["passed"] if counts else 0,
        "failed": counts["failed"] if counts else 0,
        "errors": counts["errors"] if counts else 0,
        "skipped": counts["skipped"] if counts else 0,
        "files": [file["file"] for file in tests.files],
        "refused": [{"file": file["file"], "why": file["why"]} for file in tests.refused],
    }


def write_reports(
    record: RunRecord, document: Mapping[str, Any], tests: Mapping[str, JobTests]
) -> list[str]:
    """Write the reports into the run's folder; returns a sentence for each that could not be.

    tests: what `add_tests` returned. A report is a view of what has happened: none that fails may
    change how the run ends, whatever is wrong with it.
    """
    problems = []
    try:
        files = read_run_files(document["jobs"], tests)
    except Exception as exc:  # noqa: BLE001
        return [f"the reports could not be made: {exc!r}"]
    for suffix in RUN_FORMATS:
        try:
            record.write_text(NAMES[suffix], page_of_run(suffix, document, files))
        except Exception as exc:  # noqa: BLE001
            problems.append(f"{NAMES[suffix]} could not be made: {exc!r}")
    return problems
