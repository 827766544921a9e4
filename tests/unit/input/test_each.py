"""`each`: the same job on every node, or on one of every operating system."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import Config
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.each import missing, on_each
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.request import read_request

SYSTEMS = {"mac": "macos", "web": "linux", "db": "linux", "new": None}


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def asked(*jobs, **settings):
        variables = {f"gummy_{key}": value for key, value in settings.items()} | {
            "gummy_jobs": list(jobs),
            "gummy_agent": "shell",
        }
        request = read_request(
            [],
            variables,
            list(SYSTEMS),
            str(tmp_path),
            Config(),
            match=lambda pattern: pattern.split(","),
        )
        return on_each(request, SYSTEMS)

    return asked


def test_a_job_for_every_node_pinned_there_and_tried_once(asked):
    request = asked(
        {"command": "make", "name": "test", "id": "t"},
        {"command": "x", "nodes": "web,db"},
        each="node",
    )
    rows = [(job.name, job.id, job.node, job.attempts, job.of) for job in request.jobs]
    assert rows == [
        *((f"test.{name}", f"t.{name}", name, 1, "test") for name in SYSTEMS),
        ("job-2.web", None, "web", 1, "job-2"),
        ("job-2.db", None, "db", 1, "job-2"),
    ]


def test_a_job_for_every_system_may_take_any_node_of_it_and_those_of_unknown_system_are_told(asked):
    request = asked({"command": "make"}, each="os")
    assert [(job.name, job.nodes, job.node, job.attempts) for job in request.jobs] == [
        ("job-1.macos", ("mac",), None, 3),
        ("job-1.linux", ("web", "db"), None, 3),
    ]
    assert request.notes == ("on none of the systems, for theirs is not known: new",)


@pytest.mark.parametrize(
    ("job", "settings", "sentence"),
    [
        (
            {"node": "web"},
            {"each": "node"},
            "job-1: gummy_each=node and the node web exclude each other; take one of the two away",
        ),
        (
            {"node": "local"},
            {"each": "os"},
            "job-1: gummy_each=os and the node local exclude each other; take one of the two away",
        ),
        (
            {},
            {"each": "node", "min_nodes": 5},
            (
                "gummy_min_nodes: 5 is more than the 4 nodes that job-1 can run on; "
                "give a smaller number"
            ),
        ),
        (
            {"nodes": "new"},
            {"each": "os"},
            (
                "gummy_min_nodes: 1 is more than the 0 known systems that job-1 can run on; "
                "give a smaller number"
            ),
        ),
        (
            {"name": "n" * 62},
            {"each": "node"},
            f"'{'n' * 62}.mac' is no name; give the job a shorter one",
        ),
    ],
)
def test_what_can_not_be_spread_is_said_before_anything_starts(asked, job, settings, sentence):
    with pytest.raises(InputError) as error:
        asked({"command": "x", **job}, **settings)
    assert error.value.problems[0] == sentence


def test_too_few_are_counted_for_each_job(asked):
    jobs = asked({"command": "a"}, {"command": "b", "nodes": "web,db"}, each="node").jobs
    statuses = {
        job.name: "skipped" if job.node in ("mac", "web", "new") else "failed" for job in jobs
    }
    assert missing(jobs, statuses, 1) == []
    assert missing(jobs, statuses, 2) == [
        "job-1 ran on 1 of 4, and gummy_min_nodes asks for 2",
        "job-2 ran on 1 of 2, and gummy_min_nodes asks for 2",
    ]
