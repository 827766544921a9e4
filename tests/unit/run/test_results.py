"""How a job ended, for people and for run.json."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.self_running import (
    SelfRunning,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import results as _results
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.results import (
    AttemptLog,
    JobResult,
    JobRow,
    describe_end,
    job_row,
    kept_ranking,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
    rank,
)
from job_builder import shell_job

JOB = shell_job("docs", agent="gummy", command=None, prompt="write it", project="/p")
HARVEST = {
    "patch": "changes.patch",
    "files": 2,
    "added": 3,
    "deleted": 1,
    "changed": [],
    "left_out": [{"path": "big", "why": "too large"}],
    "nested": ["vendor"],
    "head": "c0ffee",
    "commits": {"refs/heads/x": "c0ffee"},
    "artifacts": 4,
}
ENDED = {
    "class": None,
    "proof": "exit status 0",
    "exit_status": 0,
    "cost_usd": 0.25,
    "turns": 7,
    "session_id": "s-1",
    "seconds": 12.5,
    "watch": "gummy-watch u-1",
    "workspace": "/w/0",
    "harvest": HARVEST,
}
BRANCH = {"branch": "gummy/r/docs", "commit": "c", "base": "b", "note": ""}


def good_log():
    return AttemptLog(
        "u-1",
        "docs",
        "n",
        why="score 0.10",
        sync={"files": 1, "bytes": 2, "seconds": 0.5, "excluded": "nothing"},
        result=ENDED,
        delivered=BRANCH,
        state="ended",
    )


# -- the row


def test_a_row_has_every_key_that_it_is_said_to_have_whatever_became_of_the_job():
    log = good_log()
    rows = [
        job_row(JOB, JobResult("success", None, "", node="n", log=log, folder="/f"), [log]),
        job_row(JOB, JobResult("waiting", None, "waits")),
    ]
    for row in rows:
        assert row.keys() == JobRow.__annotations__.keys() | {"class"}


def test_the_row_of_a_job_that_ran_says_what_its_node_said_of_the_end():
    log = good_log()
    row = job_row(JOB, JobResult("success", None, "fine", node="n", log=log, folder="/f"), [log])

    assert (row["job"], row["name"], row["agent"], row["task_type"], row["project"]) == (
        "docs",
        "docs",
        "gummy",
        "general",
        "/p",
    )
    assert (row["status"], row["class"], row["message"]) == ("success", None, "fine")
    assert (row["node"], row["why"], row["folder"]) == ("n", "score 0.10", "/f")
    assert (row["sync"], row["delivered"]) == (log.sync, BRANCH)

    of_the_agent = ("proof", "exit_status", "cost_usd", "turns", "session_id", "seconds")
    for key in (*of_the_agent, "watch", "workspace"):
        assert row[key] == ENDED[key]

    assert (row["files_changed"], row["lines_added"], row["lines_deleted"]) == (2, 3, 1)
    for key in ("left_out", "nested", "artifacts", "commits"):
        assert row[key] == HARVEST[key]


def test_a_row_names_what_runs_by_itself_how_many_there_are_and_what_was_not_looked_at():
    log = good_log()
    log.self_running = SelfRunning((".envrc",), 1001, ("changes.patch (too large)",))
    row = job_row(JOB, JobResult("success", None, "", node="n", log=log, folder="/f"), [log])
    assert (row["self_running"], row["self_running_count"]) == ([".envrc"], 1001)
    assert row["not_looked_at"] == ["changes.patch (too large)"]


def test_the_row_of_a_job_that_no_attempt_decided_is_blank_where_nothing_is_known():
    ranking = ({"host": "n", "rejected": "offline"},)
    result = JobResult("failed", "unreachable", "no node can take the job", ranking=ranking)
    row = job_row(JOB, result)
    assert (row["status"], row["class"], row["node"], row["why"]) == (
        "failed",
        "unreachable",
        None,
        None,
    )
    assert (row["exit_status"], row["sync"], row["folder"], row["patch"]) == (None, {}, None, None)
    assert (row["files_changed"], row["left_out"], row["commits"]) == (0, [], {})
    assert (row["attempts"], row["ranking"]) == ([], list(ranking))


def test_a_row_names_all_attempts_of_the_job_in_their_order():
    logs = [
        AttemptLog("u-1", "docs", "n", why="score 0.10", state="void"),
        AttemptLog(
            "u-2",
            "docs",
            "m",
            why="resumed",
            state="ended",
            slot=1,
            times={"sent": 10.0, "running": 11.0, "ended": 20.0, "fetched": 21.0},
        ),
    ]
    row = job_row(JOB, JobResult("failed", "agent", "", node="m", log=logs[1]), logs)
    assert row["attempts"] == [
        {
            "id": "u-1",
            "node": "n",
            "state": "void",
            "why": "score 0.10",
            "slot": None,
            "begun_at": None,
            "ended_at": None,
        },
        {
            "id": "u-2",
            "node": "m",
            "state": "ended",
            "why": "resumed",
            "slot": 1,
            "begun_at": 10.0,
            "ended_at": 20.0,
        },
    ]


@pytest.mark.parametrize(
    ("verify", "failure", "proof", "told"),
    [
        (None, None, "exit status 0", None),
        ("true", None, "verify", "passed"),
        ("true", "verify", None, "failed"),
        ("true", "agent", None, "skipped"),
    ],
)
def test_a_row_tells_what_became_of_verify(verify, failure, proof, told):
    log = AttemptLog("u-1", "docs", "n", result={"proof": proof})
    result = JobResult("failed" if failure else "success", failure, "", node="n", log=log)
    assert job_row(replace(JOB, verify=verify), result, [log])["verify"] == told


@pytest.mark.parametrize(
    ("folder", "harvest", "patch"),
    [
        ("/f", HARVEST, "/f/changes.patch"),
        # The node has one, and it did not come home.
        (None, HARVEST, None),
        ("/f", {**HARVEST, "patch": None}, None),
        # No harvest could be made.
        ("/f", None, None),
    ],
)
def test_a_patch_is_named_where_it_can_be_read(folder, harvest, patch):
    log = AttemptLog("u-1", "docs", "n", result={**ENDED, "harvest": harvest})
    row = job_row(JOB, JobResult("success", None, "", node="n", log=log, folder=folder))
    assert row["patch"] == patch


def test_a_log_learns_what_an_answer_tells_and_keeps_the_rest():
    log = AttemptLog("u-1", "docs", "n", why="score 0.10")
    log.learn({"generation": 3, "store": "s"})
    log.learn({"result": ENDED, "files": None})
    log.learn({})
    assert log == AttemptLog(
        "u-1", "docs", "n", why="score 0.10", generation=3, store="s", result=ENDED
    )


def test_of_a_long_ranking_the_best_are_kept(monkeypatch):
    monkeypatch.setattr(_results, "RANKING_KEPT", 2)
    nodes = [Node(name, "measured", load={"cpu": 0.1}) for name in "cab"]
    assert [row["host"] for row in kept_ranking(rank(nodes, Need()))] == ["a", "b"]


# -- the end in one line

PATCH = {"patch": "/f/changes.patch", "files_changed": 2, "lines_added": 3, "lines_deleted": 1}


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"status": "success"}, "success, no changes"),
        (
            {"status": "success", "left_out": [{"path": "x", "why": "ignored"}]},
            "success, no changes",
        ),
        (
            {
                "status": "success",
                "nested": ["vendor"],
                "artifacts": 2,
                "left_out": [{"path": "s", "why": "socket, fifo or device"}],
            },
            "success, no patch: 1 nested repository, 2 artifacts, 1 path left out",
        ),
        (
            {"status": "success", **PATCH},
            "success, 2 files changed (+3/-1), patch /f/changes.patch",
        ),
        (
            {"status": "success", **PATCH, "files_changed": 1},
            "success, 1 file changed (+3/-1), patch /f/changes.patch",
        ),
        # What a good job's agent said is in its row.
        ({"status": "success", "message": "all is done"}, "success, no changes"),
        (
            {"status": "failed", "class": "agent", "message": "exit status 4", **PATCH},
            "failed (agent), 2 files changed (+3/-1), patch /f/changes.patch; exit status 4",
        ),
        (
            {"status": "failed", "class": "agent", "message": "exit status 4"},
            "failed (agent); exit status 4",
        ),
        ({"status": "failed", "class": "agent"}, "failed (agent), no changes"),
        (
            {"status": "unproven", "message": "nothing shows that the agent succeeded"},
            "unproven; nothing shows that the agent succeeded",
        ),
        (
            {"status": "cancelled", "class": "cancelled", "message": "cancelled before it began"},
            "cancelled; cancelled before it began",
        ),
    ],
)
def test_the_end_of_a_job_in_one_line(fields, line):
    row = job_row(JOB, JobResult("", None, ""))
    assert describe_end({**row, **fields}) == line
