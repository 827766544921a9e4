# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reports of a run show beside its document: the patch and the log of each job, its tests.

All of it was brought home from nodes, so of each no more is read than a page can bear.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from .junit_files import JobTests, TestFile, read_job_tests
from .regular_file import open_regular

# How many bytes of a patch are shown, of all patches of a run, and of the end of a log.
PATCH_MOST = 200_000
PATCHES_MOST = 3_000_000
LOG_MOST = 32_768
# The log of a job whose setup failed; the node program calls it so, and a test compares the two.
SETUP_LOG = "setup.log"


class JobFiles(TypedDict):
    """What lies in a job's folder, as far as the reports show it."""

    # The beginning of the patch, and how many bytes of it are left out.
    patch: str
    patch_left: int
    # The end of the log; blank for a job that ended well.
    log: str
    # The test results that it brought home, case by case.
    tests: list[TestFile]


def read_tests(rows: Sequence[Mapping[str, Any]]) -> dict[str, JobTests]:
    """The test results of jobs, by name, from their rows of run.json. It raises nothing."""
    return {
        row["name"]: read_job_tests(row["folder"])
        for row in rows
        if row["folder"] and row.get("artifacts")
    }


def read_run_files(
    rows: Sequence[Mapping[str, Any]], tests: Mapping[str, JobTests] | None = None
) -> dict[str, JobFiles]:
    """What the reports show of these jobs, by name.

    rows: of run.json. tests: what `read_tests` said of them, if it was asked. It raises nothing:
    what is gone by now is not shown.
    """
    if tests is None:
        tests = read_tests(rows)
    files = {}
    left = PATCHES_MOST
    for row in rows:
        job: JobFiles = {"patch": "", "patch_left": 0, "log": "", "tests": []}
        job["tests"] = tests.get(row["name"], JobTests()).files
        if row["patch"]:
            job["patch"], job["patch_left"] = _beginning(row["patch"], min(PATCH_MOST, left))
            left -= len(job["patch"])
        if row["folder"] and row["status"] != "success":
            job["log"] = end_of_log(row["folder"], row["class"])
        files[row["name"]] = job
    return files


def _beginning(path: str, most: int) -> tuple[str, int]:
    """The beginning of a file, in whole lines, and how many bytes there are more."""
    data, size = _read(path, 0, most)
    if len(data) < size:
        data = data[: data.rfind(b"\n") + 1]
    return data.decode("utf-8", "replace"), max(0, size - len(data))


def end_of_log(folder: str, failure: str | None, most: int | None = None) -> str:
    """The end of the log in a job's folder, in whole lines; blank if there is none to be read.

    failure: the job's class; of one whose setup failed it is that one's log. most: bytes.
    """
    most = most or LOG_MOST
    path = os.path.join(folder, SETUP_LOG if failure == "setup" else "log")
    data, size = _read(path, -most, most)
    if len(data) < size:
        # The first line is likely to be half of one.
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace")


def _read(path: str, start: int, most: int) -> tuple[bytes, int]:
    """Some bytes of a regular file, and its size; start: from its end, if it is below 0."""
    file = open_regular(path)
    if file is None:
        return b"", 0
    with file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size + start) if start < 0 else start)
        return file.read(max(0, most)), size
