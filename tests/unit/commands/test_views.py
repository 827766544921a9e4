"""`status` and `specialists` as documents: who is asked, what is made of the answers, and when
there is nothing to see.
"""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands import views
from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet.fleet import Fleet
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import Config
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node

KNOWN = {
    "state": "measured",
    "load": {"cpu": 0.2, "memory": 0.4, "load_average": 0.2},
    "cpus": 8,
    "slots": 4,
    "busy": 1,
    "measured_at": 1e6,
}
ROW = {
    "attempt": "u-1",
    "run_id": "r",
    "job": "docs",
    "agent": "gummy",
    "project_path": "/p",
    "controller": "c",
    "begun_at": 5.0,
}
ONE = {
    "state": "specialist",
    "name": "api",
    "where": "home",
    "status": "active",
    "seen_by": "session",
    "sessions": 3,
}


class Link:
    """A link that answers with these replies, or fails."""

    def __init__(self, name, answer):
        self.name = name
        self.answer = answer

    def stream(self, verb, request, seconds):
        assert 0 <= request["within"] <= 86400 + 3600
        if isinstance(self.answer, Exception):
            raise self.answer
        return iter(self.answer)


def fleet(nodes, answers, fallback=None, left_out=()):
    """answers: by name, what its link says; a node without one must not be asked."""

    def measure(name, link):
        if isinstance(link.answer, LinkError) and link.answer.kind == "unreachable":
            return Node(name, "unreachable", str(link.answer))
        return Node(name, **KNOWN)

    return Fleet(
        nodes=tuple(nodes),
        fallback=fallback,
        make_link=lambda name: Link(name, answers[name]),
        measure=measure,
        config=Config(),
        left_out=left_out,
    )


def listed(*rows):
    return [*({**ROW, **row} for row in rows), {"state": "listed"}]


def told(*rows, **more):
    return [
        *rows,
        {
            "state": "told",
            "reason": None,
            "evidence": "argv_and_cwd",
            "cost_today": 0.5,
            "store": "s",
            **more,
        },
    ]


def test_status_has_every_node_with_its_load_or_the_reason_why_it_is_left_out():
    nodes = [
        Node("ready", **KNOWN),
        Node("off", "unreachable", "offline, says Tailscale"),
        Node("new"),
        Node("dead"),
        Node("old", **KNOWN),
    ]
    answers = {
        "ready": listed(),
        "new": listed(),
        "dead": LinkError("no route"),
        "old": LinkError("install python3 there", "python"),
        "localhost": listed(),
    }
    view = views.status(
        fleet(nodes, answers, Node("localhost", local=True), (("printer", "shared in"),))
    )
    rows = {row["name"]: row for row in view["nodes"]}
    assert list(rows) == ["ready", "off", "new", "dead", "old", "localhost"]
    assert {name: (row["state"], row["usable"], row["reason"]) for name, row in rows.items()} == {
        "ready": ("measured", True, None),
        "off": ("unreachable", False, "not reachable: offline, says Tailscale"),
        "new": ("measured", True, None),
        "dead": ("unreachable", False, "not reachable: no route"),
        "old": ("measured", False, "install python3 there"),
        "localhost": ("measured", False, "no free slot (1 of 1 taken)"),
    }
    assert (
        rows["ready"]["score"] == pytest.approx(0.26)
        and rows["ready"]["slots"] == {"total": 4, "busy": 1}
        and rows["ready"]["measured_at"] == 1e6
    )
    assert (
        rows["ready"]["age"] > 1e6
        and rows["dead"]["slots"] is rows["dead"]["cpus"] is rows["dead"]["age"] is None
        and rows["localhost"]["local"] is True
    )
    assert view["left_out"] == [{"name": "printer", "reason": "shared in"}]
    assert (view["status"], view["totals"]) == (
        "success",
        {"nodes": 6, "answered": 4, "running": 0, "ended_today": 0},
    )


def test_status_says_how_each_attempt_stands_once():
    ended = [
        {"class": None, "proof": "exit status 0", "cost_usd": 0.25},
        {"class": None},
        {"class": "verify", "message": "m"},
        {"class": "cancelled"},
    ]
    rows = [
        {"attempt": f"u-{n}", "state": "ended", "ended": end, "ended_at": 10.0 + n, "seconds": 2.5}
        for n, end in enumerate(ended)
    ]
    rows += [
        {"attempt": "u-5", "state": "running"},
        {"attempt": "u-6", "state": "dead"},
        {"attempt": "u-7", "state": "void"},
    ]
    view = views.status(
        fleet([Node("a", **KNOWN), Node("b", **KNOWN)], {"a": listed(*rows), "b": listed(*rows)})
    )
    assert [(row["attempt"], row["status"], row["class"]) for row in view["attempts"]] == [
        ("u-5", "running", None),
        ("u-6", "dead", None),
        ("u-3", "cancelled", "cancelled"),
        ("u-2", "failed", "verify"),
        ("u-1", "unproven", None),
        ("u-0", "success", None),
    ]
    assert view["totals"]["running"] == 1 and view["totals"]["ended_today"] == 4
    first = view["attempts"][-1]
    assert (
        first["cost_usd"],
        first["seconds"],
        first["project"],
        first["job"],
        first["begun_at"],
    ) == (0.25, 2.5, "/p", "docs", 5.0)


def test_the_dashboard_counts_what_is_there_once_and_names_those_that_say_nothing():
    rows = [ONE, {**ONE, "name": "ui", "status": "dormant", "sessions": None}]
    nodes = [Node("a", **KNOWN), Node("bare"), Node("dead"), Node("off", "unreachable")]
    answers = {
        "a": told(*rows),
        "bare": told(reason="gummy is not there", store="t", cost_today=None),
        "dead": LinkError("no route"),
        "localhost": told(*rows),
    }
    view = views.specialists(fleet(nodes, answers, Node("localhost", local=True)))
    assert {
        row["name"]: (row["state"], row["reason"], row["same_as"], len(row["specialists"]))
        for row in view["nodes"]
    } == {
        "a": ("usable", None, None, 2),
        "bare": ("unusable", "gummy is not there", None, 0),
        "dead": ("no_answer", "no route", None, 0),
        "off": ("no_answer", "not reachable", None, 0),
        "localhost": ("usable", None, "a", 0),
    }
    assert view["totals"] == {
        "active": 1,
        "dormant": 1,
        "nodes": 5,
        "answered": 3,
        "sessions": 3,
        "cost_today": 0.5,
    }
    assert (
        view["nodes"][0]["score"] == pytest.approx(0.26)
        and view["nodes"][1]["score"] is None
        and view["status"] == "success"
    )


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
    node = fleet(
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
    (one,) = views.specialists(node)["nodes"][0]["specialists"]
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
    (row,) = views.status(
        fleet(
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
        view = views.specialists(fleet([Node("a")], {"a": answer, "localhost": told()}, fallback))
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
        views.status(fleet([Node("a")], {"a": LinkError("down"), "localhost": listed()}, fallback))[
            "status"
        ]
        == "failed"
    )


def test_the_controller_alone_is_shown_and_is_no_fleet():
    view = views.status(
        fleet([], {"localhost": listed({"state": "running"})}, Node("localhost", local=True))
    )
    assert (
        view["status"] == "failed"
        and "no node is among the hosts" in view["message"]
        and view["totals"]["running"] == 1
    )
