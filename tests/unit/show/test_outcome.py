"""One line says which jobs failed, and why there is nothing to show."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.keys import BAD_ENDS
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.outcome import (
    find_document,
    why_bad,
    why_failed,
)


def row(name, status="success", failure=None, message=""):
    return {"name": name, "status": status, "class": failure, "message": message}


def run(*rows, message=None):
    return {"kind": "run", "status": "failed", "message": message, "jobs": list(rows)}


LINT = row("lint", "failed", "agent", "exit status 4")
MIXED = run(
    row("build"),
    LINT,
    row("docs", "lost", "lost", "silent for 1 h\nand more"),
    row("api", "unproven"),
    row("ui", "cancelled"),
    row("db", "running"),
)


def test_the_jobs_that_failed_are_named_with_class_and_reason():
    others = [row(f"job-{number}") for number in range(4)]
    said = why_failed(run(LINT, *others), BAD_ENDS)
    assert said == "1 of 5 jobs did not succeed: lint failed (agent): exit status 4"
    assert why_failed(run(LINT), BAD_ENDS).startswith("1 of 1 job did not succeed: lint")
    assert why_failed(MIXED, BAD_ENDS) == (
        "4 of 6 jobs did not succeed: lint failed (agent): exit status 4, "
        "docs lost: silent for 1 h, api unproven, ui cancelled"
    )


@pytest.mark.parametrize(
    ("fail_on", "names"),
    [(["lost"], ["docs"]), (["failed", "cancelled"], ["lint", "ui"]), ([], []), (["skipped"], [])],
)
def test_what_fails_is_the_user_s_to_say(fail_on, names):
    said = why_failed(MIXED, fail_on)
    assert [name for name in ("lint", "docs", "api", "ui") if name in (said or "")] == names
    assert (said is None) == (not names)


def test_too_few_nodes_are_a_failure_of_the_run():
    few = run(row("a"), message="a ran on 1 of 2 nodes")
    assert why_failed(few, BAD_ENDS) == "a ran on 1 of 2 nodes"
    assert why_failed(few, []) is None and why_failed(few, ["lost"]) is None


def test_many_failed_jobs_and_what_a_terminal_obeys_still_make_one_line():
    said = why_failed(
        run(*[row(f"j{number}", "failed", "agent") for number in range(99)]), BAD_ENDS
    )
    assert "j9 failed (agent), and 89 more" in said and "j10" not in said
    assert "\x1b" not in why_failed(run(row("x", "failed", "agent", "\x1b[2J")), BAD_ENDS)


def test_other_documents_say_themselves_whether_they_are_good():
    assert why_bad({"kind": "plan", "status": "plan"}, BAD_ENDS) is None
    assert why_bad({"kind": "sync", "status": "failed"}, BAD_ENDS)
    assert why_bad({"kind": "sync", "status": "failed", "message": "so"}, BAD_ENDS) == "so"
    assert why_bad(MIXED, []) is None


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (None, "it is empty"),
        ("text", "it is a text"),
        ([1], "it is a list"),
        (3, "it is a number"),
        ({}, "give the name that a task of this collection registered"),
        ({"rc": 0, "stdout": "x"}, "give the name that a task of this collection registered"),
        ({"document": "x"}, "give the name"),
        ({"document": {}}, "one of the kind None is not known"),
        ({"document": {"kind": "odd", "status": "success"}}, "'odd' is not known here"),
        ({"document": {"kind": "run"}}, "is not known here"),
        ({"skipped": True, "changed": False}, "was skipped"),
        ({"failed": True, "msg": "why"}, "the task that registered it failed: why"),
        ({"results": [{"document": {}}]}, "result of a loop"),
    ],
)
def test_what_is_no_document_is_told_in_a_sentence(result, sentence):
    document, said = find_document(result, "mine", {"run", "plan"})
    assert document is None and said.startswith("mine has no document") and sentence in said


def test_a_document_is_found_also_in_the_result_of_a_task_that_failed():
    result = {"failed": True, "document": MIXED}
    assert find_document(result, "mine", {"run"}) == (MIXED, "")
