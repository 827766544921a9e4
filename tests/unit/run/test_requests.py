"""What the scheduler and the nodes are asked for a job, from what people typed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.sessions import Sessions
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import Config
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.session_key import (
    session_key,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import wire
from ansible_collections.distributed.gummy.plugins.plugin_utils._node.belongs import NODE_OWNED
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.bring_home import (
    BranchWish,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.requests import (
    TITLE_MOST,
    branch_wish,
    claim_request,
    commit_title,
    job_spec,
    placement_spec,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.messages import (
    PlacementSpec,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Need
from job_builder import shell_job
from played_run import make_request

ASKED = shell_job("docs", agent="gummy", command=None, prompt="write it", project="/p")
BRANCH = replace(ASKED, deliver="branch")


# -- the scheduler


def test_a_plain_job_asks_for_any_node():
    assert placement_spec(shell_job("a"), Config(), Sessions()) == PlacementSpec(
        "a", Need("shell"), attempts=3, account="shell", limit=60.0
    )


def test_what_a_job_says_of_its_placement_goes_to_the_scheduler():
    job = shell_job(
        "a.n",
        task_type="database",
        node="n",
        attempts=5,
        accept_unproven=True,
        priority=7,
        of="a",
        no_more="n2 may have it",
        timeout=3600.0,
    )
    assert placement_spec(job, Config(), Sessions()) == PlacementSpec(
        "a.n",
        Need("shell", "database", node="n"),
        attempts=5,
        accept_unproven=True,
        priority=7,
        account="shell",
        # With `each`, a node that is out of reach is passed over.
        skippable=True,
        limit=3600.0,
        no_more="n2 may have it",
    )


@pytest.mark.parametrize(
    ("nodes", "expected"), [(None, None), ((), frozenset()), (("m", "n"), frozenset({"m", "n"}))]
)
def test_nodes_that_are_none_are_not_the_same_as_no_nodes(nodes, expected):
    spec = placement_spec(shell_job("a", nodes=nodes), Config(), Sessions())
    assert spec.need.nodes == expected


@pytest.mark.parametrize(
    ("agents", "account"),
    [({}, "gummy"), ({"gummy": {}}, "gummy"), ({"gummy": {"account": "max"}}, "max")],
)
def test_an_account_is_the_agent_s_own_unless_the_config_says_whose_it_is(agents, account):
    assert placement_spec(ASKED, Config(agents=agents), Sessions()).account == account


def test_a_job_of_a_specialist_is_at_home_where_its_session_lives():
    job = replace(ASKED, specialist="api")
    sessions = Sessions()
    assert placement_spec(job, Config(), sessions).need.home is None
    sessions.keep(session_key(job), "n")
    assert placement_spec(job, Config(), sessions).need.home == "n"
    assert placement_spec(ASKED, Config(), sessions).need.home is None


# -- the nodes


def test_a_claim_says_all_that_the_wire_asks_for():
    request = claim_request(ASKED, "u-1", run_id="r", controller="me", slots=4)
    assert request.keys() == keys_of(wire.ClaimRequest)
    assert (request["attempt"], request["run_id"], request["controller"], request["slots"]) == (
        "u-1",
        "r",
        "me",
        4,
    )


def test_jobs_of_one_project_and_controller_take_each_other_s_workspaces():
    def key(job, controller="me"):
        return claim_request(job, "u-1", run_id="r", controller=controller, slots=1)["key"]

    other = replace(ASKED, name="other")
    assert key(ASKED) == key(other) and key(ASKED).startswith("p-")
    assert key(replace(ASKED, project="/other/p")) != key(ASKED)
    assert key(ASKED, "another") != key(ASKED)
    assert key(shell_job("a")) == key(shell_job("b")) == "scratch-me"


def keys_of(typed_dict):
    """All keys of a TypedDict, those that it has from others too."""
    return typed_dict.__required_keys__ | typed_dict.__optional_keys__


@pytest.mark.parametrize("job", [ASKED, BRANCH, shell_job("a")])
def test_the_spec_of_a_job_has_exactly_the_keys_of_the_wire_and_can_be_sent(job):
    spec = job_spec(job, make_request([job]), controller="me", base=None)
    assert spec.keys() == keys_of(wire.JobSpec)
    assert json.loads(json.dumps(spec)).keys() == spec.keys()


def test_the_spec_of_a_job_says_what_people_asked_for():
    job = replace(
        BRANCH,
        setup="npm ci",
        setup_if=("*.lock",),
        verify="make test",
        timeout=90.0,
        stall=60.0,
        budget_usd=2.5,
        artifacts=("out/*",),
        expect_changes="yes",
    )
    config = Config(agents={"gummy": {"account": "max"}}, sync_exclude=("*.log",))
    spec = job_spec(job, make_request([job], config=config), controller="me", base="c0ffee")
    assert spec == {
        "schema": 1,
        "digest": job.digest(),
        "agent": "gummy",
        "prompt": "write it",
        "command": None,
        "setup": "npm ci",
        "setup_if": ("*.lock",),
        "setup_timeout": 1800.0,
        "verify": "make test",
        "timeout": 90.0,
        "job": "docs",
        "run_id": "r",
        "controller": "me",
        "project": True,
        "project_path": "/p",
        "deliver": "branch",
        "artifacts": ("out/*",),
        "base": "c0ffee",
        "title": "docs: write it",
        "exclude": [*NODE_OWNED, "*.log"],
        "settings": {"account": "max"},
        "own": None,
        "expect_changes": "yes",
        "pinned": False,
        "stall": 60.0,
        "budget_usd": 2.5,
    }


def test_values_of_variables_are_no_part_of_the_spec_which_lies_on_the_node_s_disk(monkeypatch):
    monkeypatch.setenv("GUMMY_TEST_TOKEN", "a secret")
    job = replace(ASKED, pass_env=("GUMMY_TEST_TOKEN",))
    spec = job_spec(job, make_request([job]), controller="me", base=None)
    assert "a secret" not in json.dumps(spec)


# -- commits and branches


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({"prompt": "write it"}, "docs: write it"),
        ({"prompt": "\n  write it\nand then more\n"}, "docs: write it"),
        ({"prompt": None, "command": "make docs"}, "docs: make docs"),
        ({"prompt": None, "command": None}, "docs: "),
        ({"prompt": "x" * 99}, "docs: " + "x" * (TITLE_MOST - 6)),
    ],
)
def test_a_commit_s_title_is_the_first_line_of_what_was_asked(fields, title):
    assert commit_title(replace(ASKED, **fields)) == title


@pytest.mark.parametrize(
    ("job", "failure", "is_wished"),
    [
        (BRANCH, None, True),
        # What a failed agent has done is of use too.
        (BRANCH, "agent", True),
        (BRANCH, "quota", False),
        (ASKED, None, False),
        (replace(BRANCH, deliver="none"), None, False),
        (replace(BRANCH, project=None), None, False),
    ],
)
def test_a_branch_is_wished_where_one_was_asked_for_and_no_other_attempt_will_do_it(
    job, failure, is_wished
):
    expected = BranchWish("/p", "docs: write it") if is_wished else None
    assert branch_wish(job, failure) == expected
