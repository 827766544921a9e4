"""What `status` and `specialists` share: words of strangers, and when there is nothing to see."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.specialists import (
    specialists,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.status import status
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from played import KNOWN, ONE, listed, told, view_fleet


@pytest.mark.parametrize("odd", [None, True, -1, float("nan"), 10**400, "x" * 9999, [1], {"a": 1}])
def test_what_a_node_says_gets_its_type(odd):
    keys = (
        "name",
        "where",
        "status",
        "seen_by",
        "workspace",
        "project",
        "sessions",
        "last_active",
        "session_id",
        "cost_usd",
        "reason",
    )
    node = view_fleet(
        [Node("a", **KNOWN)],
        {
            "a": told(
                {"state": "specialist", **dict.fromkeys(keys, odd)},
                cost_today=odd,
                more=odd,
                evidence=odd,
            )
        },
    )
    (one,) = specialists(node)["nodes"][0]["specialists"]
    assert (
        one["where"] == "workspace"
        and one["status"] == "dormant"
        and one["sessions"] is one["cost_usd"] is None
    )
    assert all(
        value is None or (isinstance(value, str) and len(value) <= 4096) for value in one.values()
    )
    keys = (
        "attempt",
        "run_id",
        "job",
        "agent",
        "project_path",
        "controller",
        "begun_at",
        "ended_at",
        "seconds",
        "ended",
    )
    (row,) = status(
        view_fleet(
            [Node("a", **KNOWN)],
            {"a": [{"state": "running", **dict.fromkeys(keys, odd)}, {"state": "listed"}]},
        )
    )["attempts"]
    assert (
        row["status"] == "running" and row["seconds"] is row["begun_at"] is row["cost_usd"] is None
    )


@pytest.mark.parametrize(
    "fallback", [None, Node("localhost", local=True)], ids=["nodes alone", "with the controller"]
)
def test_a_view_fails_when_no_node_answers_whatever_the_controller_says(fallback):
    for answer in (
        LinkError("down"),
        LinkError("no Python", "python"),
        [ONE],
        [{"state": "refused", "message": "its store is newer"}],
    ):
        view = specialists(view_fleet([Node("a")], {"a": answer, "localhost": told()}, fallback))
        assert (view["status"], view["message"]) == (
            "failed",
            "no node answers: see the reasons above",
        )
        assert (
            view["nodes"][0]["state"] == "no_answer"
            and view["nodes"][0]["reason"]
            and view["nodes"][0]["specialists"] == []
        )
    assert (
        status(view_fleet([Node("a")], {"a": LinkError("down"), "localhost": listed()}, fallback))[
            "status"
        ]
        == "failed"
    )


def test_the_controller_alone_is_shown_and_is_no_view_fleet():
    view = status(
        view_fleet([], {"localhost": listed({"state": "running"})}, Node("localhost", local=True))
    )
    assert (
        view["status"] == "failed"
        and "no node is among the hosts" in view["message"]
        and view["totals"]["running"] == 1
    )
