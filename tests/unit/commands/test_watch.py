"""The board as a document: once, and again and again."""

from __future__ import annotations

import time

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands import watch as _watch
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.watch import (
    Watching,
    watch,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.costs import (
    Ledger,
    cost_row,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import RunRecord
from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet.fleet import ToldLoad
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from played import KNOWN, ONE, ROW, PlayedLink, play_fleet

FOREIGN = {"pid": 7, "words": "gummy task mend it", "seconds": 60.0}


@pytest.fixture(autouse=True)
def no_record(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def seen(*rows, **more):
    return [
        *rows,
        {
            "state": "seen",
            "load": "",
            "cost_today": 0.5,
            "foreign": [],
            "waiting": [],
            "store": "s",
            **more,
        },
    ]


class WatchedLink(PlayedLink):
    """It has a session of one verb."""

    @property
    def session(self):
        return self

    def board(self, request, seconds):
        return self.stream("board", request, seconds)

    def hang_up(self):
        """There is nothing."""


def fleet_of(answers, **more):
    links = {name: WatchedLink(name, answer) for name, answer in answers.items()}
    return play_fleet(links, **more), links


def test_one_look_has_all_of_each_node_and_counts_a_store_once():
    running = {**ROW, "line": "34 of 120", "signs": {"words": "", "quiet": 0.0}, "seconds": 9.0}
    talking = {**ROW, "attempt": "u-2", "line": "{}", "signs": {"words": "I read"}}
    ended = {
        **ROW,
        "attempt": "u-3",
        "state": "ended",
        "ended": {"class": "agent"},
        "ended_at": 9.0,
    }
    board = seen(running, talking, ended, ONE, foreign=[FOREIGN])
    fleet, _links = fleet_of(
        {"a": board, "twin": board, "dead": LinkError("no route"), "localhost": seen(store="here")},
        nodes=[Node("a", **KNOWN), Node("twin"), Node("dead"), Node("off", "unreachable")],
        fallback=Node("localhost", local=True),
    )
    view = watch(fleet)
    assert [
        (row["name"], row["state"], row["reason"], row["same_as"]) for row in view["nodes"]
    ] == [
        ("a", "seen", None, None),
        ("twin", "seen", None, "a"),
        ("dead", "no_answer", "no route", None),
        ("off", "no_answer", "not reachable", None),
        ("localhost", "seen", None, None),
    ]
    assert [(row["attempt"], row["status"], row["line"]) for row in view["attempts"]] == [
        ("u-1", "running", "34 of 120"),
        ("u-2", "running", "I read"),
        ("u-3", "failed", None),
    ]
    assert view["foreign"] == [{"node": "a", **FOREIGN}]
    assert view["totals"] == {
        "nodes": 5,
        "answered": 3,
        "running": 2,
        "waiting": 0,
        "foreign": 1,
        "ended_today": 1,
        "specialists": 1,
        "active": 1,
        "cost_today": None,
    }
    assert view["status"] == "success"


def test_the_cost_of_today_is_what_this_controller_has_noted():
    for attempt in ("u-1", "u-2", "u-2"):
        told = {"cost_usd": 0.25}
        Ledger().note(
            cost_row(attempt, "r", "j", "gone", agent="x", account="x", project=None, told=told)
        )
    fleet, _links = fleet_of({"a": seen()})
    view = watch(fleet)
    assert view["totals"]["cost_today"] == 0.5
    # What a node has noted is whoever's jobs it were.
    assert [row["cost_today"] for row in view["nodes"]] == [0.5]


def test_a_board_of_nobody_has_failed():
    fleet, _links = fleet_of({"a": LinkError("away")})
    view = watch(fleet)
    assert (view["status"], view["message"]) == ("failed", "no node answers: see the reasons above")


def test_jobs_that_wait_are_those_of_runs_that_are_driven_here_and_runs_of_others():
    record = RunRecord("driven")
    record.begin({"placed": "d1", "waits": "d2", "behind": "d3", "ended": "d4"}, {}, "here")
    record.append("attempt", attempt="u-1", job="placed", node="a", state="running")
    record.append("attempt", attempt="u-2", job="waits", node="a", state="void")
    record.append("wait", job="waits", why="a: no free slot (2 of 2 taken)")
    record.append("finish", job="ended", status="failed", attempts=[])
    other = RunRecord("left")
    other.begin({"one": "d"}, {}, "here")
    other.close()

    waiting = [{"run_id": "theirs", "controller": "x"}, {"run_id": None, "controller": None}]
    fleet, _links = fleet_of(
        {"a": seen(waiting=waiting), "b": seen(waiting=waiting[:1], store="t")}
    )
    # The process that drove it is this one, and so it lives.
    rows = [row for row in watch(fleet)["waiting"] if row["run_id"] != "left"]
    record.close()
    assert rows == [
        {"run_id": "driven", "job": "waits", "reason": "a: no free slot (2 of 2 taken)"},
        {"run_id": "driven", "job": "behind", "reason": "the jobs before it in its run"},
        {
            "run_id": "theirs",
            "job": None,
            "reason": "a slot of a, b; another controller drives the run",
        },
        {"run_id": None, "job": None, "reason": "a slot of a; another controller drives the run"},
    ]


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_again_and_again_each_node_is_asked_by_itself(monkeypatch):
    monkeypatch.setattr(_watch, "EVERY", 0.01)
    monkeypatch.setattr(_watch, "FIRST_PAUSE", 0.01)

    def read(name, text):
        return Node(name, state="measured", load={"cpu": float(text.count("@gummy-probe begin"))})

    fleet, links = fleet_of(
        {"a": seen(ONE, load="\n@gummy-probe begin @end\n"), "b": LinkError("no route")},
        told_load=ToldLoad("first", "next", read),
    )
    watching = Watching(fleet, ("~/code",))
    try:
        until(lambda: len(links["a"].asked) > 3 and len(links["b"].asked) > 2)
        view = watching.document()
        assert [(row["state"], row["reason"]) for row in view["nodes"]] == [
            ("seen", None),
            ("no_answer", "no route"),
        ]
        requests = [request for _verb, request in links["a"].asked]
        assert [request["load"] for request in requests[:3]] == ["first", "next", "next"]
        assert all(request["paths"] == ["~/code"] for request in requests)
        # What a CPU does lies between two looks, however many there were.
        assert view["nodes"][0]["load"]["cpu"] == 2.0

        # A node that falls silent keeps what runs there, and loses what may be another by now.
        links["a"].answers = LinkError("gone")
        until(lambda: watching.document()["nodes"][0]["state"] == "no_answer")
        (row, _other) = watching.document()["nodes"]
        assert (row["reason"], row["specialists"], row["cost_today"]) == ("gone", [], 0.5)
        monkeypatch.setattr(_watch, "LASTS", 0.0)
        assert watching.document()["nodes"][0]["silent"] >= 0
    finally:
        watching.close()
    asked = len(links["a"].asked)
    time.sleep(0.1)
    assert len(links["a"].asked) == asked


def test_before_anybody_has_answered_nothing_has_failed():
    class Slow(WatchedLink):
        def stream(self, verb, request, seconds):
            time.sleep(0.3)
            return super().stream(verb, request, seconds)

    link = Slow("a", seen())
    watching = Watching(play_fleet({"a": link}), ())
    try:
        view = watching.document()
        assert (view["status"], view["nodes"][0]["state"]) == ("success", "asked")
    finally:
        watching.close()
