# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""junit.xml of a run: a case for each job and each `verify`, and the tests that jobs brought home.

What jobs brought home stands under the node that it was made on, and its system.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .markup import escaped, escaped_lines

Row = Mapping[str, Any]

# Classes in which the agent itself, or what checks it, did not succeed; with all others the job
# could not be carried out, which JUnit calls an error.
FAILURES = frozenset({"agent", "verify", "timeout", "stalled", "killed", "setup"})
# Ends of a job that are neither good nor bad.
LEFT_OUT = frozenset({"skipped", "cancelled", "running", "waiting"})
# What a case has become in JUnit's words -> the element that says so.
ELEMENTS = {"failed": "failure", "error": "error", "skipped": "skipped"}


def junit_of_run(run: Row, files: Mapping[str, Row]) -> str:
    """The text of junit.xml. files: what lies in the jobs' folders, by job."""
    suites = [_suite_of_jobs(run)]
    verified = [_case_of_verify(row) for row in run["jobs"] if row.get("verify")]
    if verified:
        suites.append(_suite("verify", verified))
    suites += _suites_brought_home(run, files)

    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="{escaped(run["run_id"])}" {_sums(suites)} time="{run["seconds"]:.3f}">',
    ]
    for suite in suites:
        lines += _suite_lines(suite)
    return "\n".join([*lines, "</testsuites>", ""])


def _suite(name: str, cases: Sequence[Row], **properties: object) -> Row:
    """A suite of cases. properties: what is told of all of them; None is not told."""
    return {"name": name, "cases": cases, "properties": properties}


def _suite_of_jobs(run: Row) -> Row:
    return _suite("jobs", [_case_of_job(run["run_id"], row) for row in run["jobs"]])


def _case_of_job(run_id: str, row: Row) -> Row:
    outcome = "passed"
    if row["status"] in LEFT_OUT:
        outcome = "skipped"
    elif row["status"] == "unproven" or row["class"] in FAILURES:
        outcome = "failed"
    elif row["status"] != "success":
        outcome = "error"
    return {
        "classname": run_id,
        "name": row["name"],
        "outcome": outcome,
        "type": row["class"] or row["status"],
        "seconds": row["seconds"],
        "message": row["message"],
        "text": f"on {row['node']}" if row["node"] else "",
    }


def _case_of_verify(row: Row) -> Row:
    outcomes = {"passed": "passed", "failed": "failed"}
    return {
        "classname": "verify",
        "name": row["name"],
        "outcome": outcomes.get(row["verify"], "skipped"),
        "type": "verify",
        "seconds": None,
        "message": row["message"] or "its agent did not succeed",
        "text": f"on {row['node']}" if row["node"] else "",
    }


def _suites_brought_home(run: Row, files: Mapping[str, Row]) -> Iterator[Row]:
    """A suite for each file, under its node and that node's system."""
    nodes = run.get("nodes") or {}
    for row in run["jobs"]:
        node = row["node"]
        system = (nodes.get(node) or {}).get("os")
        where = f"{node} ({system})" if system else str(node)
        for file in files.get(row["name"], {}).get("tests", ()):
            cases = [{**case, "classname": _classname(case), "type": ""} for case in file["cases"]]
            name = f"{where} / {row['name']} / {file['file']}"
            yield _suite(
                name,
                cases,
                node=node,
                os=system,
                job=row["name"],
                file=file["file"],
                not_listed=_not_listed(file) or None,
            )


def _classname(case: Row) -> str:
    return str(case["classname"] or case["suite"])


def _not_listed(file: Row) -> int:
    """How many cases of a file were counted and are too many to be listed."""
    counts: Mapping[str, int] = file["counts"]
    return sum(counts.values()) - len(file["cases"])


def _sums(suites: Sequence[Row]) -> str:
    """The counts of all suites, as attributes."""
    counts = [_counts(suite) for suite in suites]
    return " ".join(
        f'{key}="{sum(each[key] for each in counts)}"' for key in ("tests", "failures", "errors")
    )


def _counts(suite: Row) -> dict[str, int]:
    outcomes = [case["outcome"] for case in suite["cases"]]
    return {
        "tests": len(outcomes),
        "failures": outcomes.count("failed"),
        "errors": outcomes.count("error"),
        "skipped": outcomes.count("skipped"),
    }


def _suite_lines(suite: Row) -> Iterator[str]:
    counts = " ".join(f'{key}="{count}"' for key, count in _counts(suite).items())
    seconds = sum(case["seconds"] or 0 for case in suite["cases"])
    node = suite["properties"].get("node")
    hostname = f' hostname="{escaped(node)}"' if node else ""
    yield f'  <testsuite name="{escaped(suite["name"])}" {counts} time="{seconds:.3f}"{hostname}>'
    known = {key: value for key, value in suite["properties"].items() if value is not None}
    if known:
        yield "    <properties>"
        for key, value in known.items():
            yield f'      <property name="{key}" value="{escaped(value)}"/>'
        yield "    </properties>"
    for case in suite["cases"]:
        yield from _case_lines(case)
    yield "  </testsuite>"


def _case_lines(case: Row) -> Iterator[str]:
    names = f'classname="{escaped(case["classname"])}" name="{escaped(case["name"])}"'
    head = f'    <testcase {names} time="{case["seconds"] or 0:.3f}"'
    element = ELEMENTS.get(case["outcome"])
    if element is None:
        yield f"{head}/>"
        return
    yield f"{head}>"
    about = f'message="{escaped(case["message"])}"'
    if element == "skipped":
        yield f"      <skipped {about}/>"
    else:
        text = escaped_lines(case["text"])
        yield f'      <{element} {about} type="{escaped(case["type"])}">{text}</{element}>'
    yield "    </testcase>"
