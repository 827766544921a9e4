"""`status` as a document: every node with its load, and how each attempt stands."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.status import status
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import RunRecord
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._node.signature import sign
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from played import KNOWN, ViewLink, listed, play_fleet, view_fleet


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
    view = status(
        view_fleet(nodes, answers, Node("localhost", local=True), (("printer", "shared in"),))
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
    view = status(
        view_fleet(
            [Node("a", **KNOWN), Node("b", **KNOWN)], {"a": listed(*rows), "b": listed(*rows)}
        )
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


def test_a_good_end_counts_as_proved_only_with_the_right_signature(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    record = RunRecord("r")
    record.begin({}, {}, "c")
    end = {"class": None, "proof": "verify", "exit_status": 0}
    rows = []
    for attempt in ("u-1", "u-2"):
        record.append("attempt", attempt=attempt, job="docs", node="n", state="sent", store="s")
        row = {"attempt": attempt, "state": "ended", "store": "s", "ended": end, "ended_at": 1.0}
        rows.append(row)
    right = sign(record.key_of("u-1"), "u-1", end)
    record.close()
    rows[0] = {**rows[0], "ended": {**end, "signature": right}}
    rows[1] = {**rows[1], "ended": {**end, "signature": right}}
    # This controller knows nothing of it.
    rows.append({**rows[0], "attempt": "u-3", "run_id": "other"})

    view = status(view_fleet([Node("n", **KNOWN)], {"n": listed(*rows)}))
    told = {row["attempt"]: (row["status"], row["signature"]) for row in view["attempts"]}
    assert told == {
        "u-1": ("success", "valid"),
        "u-2": ("unproven", "wrong"),
        "u-3": ("success", "unsigned"),
    }


def test_what_this_controller_s_record_contradicts_is_not_shown(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    record = RunRecord("r")
    record.append("attempt", attempt="u-1", job="docs", node="good", state="running", store="s")
    record.close()
    running = {"state": "running", "store": "s"}
    lies = [
        {"state": "ended", "ended": {"class": "agent"}},
        {"state": "ended", "store": "s"},
        {"attempt": "u-2", "state": "running"},
    ]
    nodes = [Node("good", **KNOWN), Node("evil", **KNOWN)]
    view = status(view_fleet(nodes, {"good": listed(running), "evil": listed(*lies)}))
    shown = {(row["attempt"], row["node"], row["status"]) for row in view["attempts"]}
    assert shown == {("u-1", "good", "running"), ("u-2", "evil", "running")}


def of(view, name):
    (row,) = [row for row in view["nodes"] if row["name"] == name]
    return row


def test_the_load_is_that_of_now_and_not_what_the_inventory_knows():
    busy = {**KNOWN, "load": {"cpu": 1.0}, "busy": 4, "measured_at": 2e6}
    fleet = view_fleet([Node("n", **KNOWN)], {"n": listed()})
    row = of(status(replace(fleet, measure_now=lambda name, _link: Node(name, **busy))), "n")
    assert (row["load"]["cpu"], row["slots"]["busy"], row["measured_at"]) == (1.0, 4, 2e6)
    assert row["usable"] is False


def test_load_and_attempts_are_asked_for_at_once():
    asked = {"load": threading.Event(), "list": threading.Event()}

    def meet(mine, other):
        asked[mine].set()
        assert asked[other].wait(30), f"{other} was not asked before {mine} was told"

    class Meeting(ViewLink):
        def stream(self, verb, request, seconds):
            meet("list", "load")
            return super().stream(verb, request, seconds)

    def measure(name, _link):
        meet("load", "list")
        return Node(name, **KNOWN)

    view = status(play_fleet({"n": Meeting("n", listed({}))}, measure=measure))
    assert of(view, "n")["state"] == "measured" and view["totals"]["running"] == 1


@pytest.mark.parametrize("why", [Node("n", "unreachable", "timed out"), LinkError("timed out")])
def test_a_node_that_tells_its_jobs_and_not_its_load_is_there(why):
    def measure(_name, _link):
        if isinstance(why, Exception):
            raise why
        return why

    view = status(play_fleet({"n": ViewLink("n", listed({}))}, measure=measure))
    row = of(view, "n")
    assert (row["state"], row["reason"]) == ("unknown", "no load: timed out")
    assert (view["totals"]["answered"], view["totals"]["running"]) == (1, 1)


def test_a_node_that_is_not_there_is_asked_for_nothing_more():
    class Gone(ViewLink):
        def connect(self):
            raise LinkError("no route")

    # Nothing measures here.
    view = status(play_fleet({"n": Gone("n", None)}))
    assert of(view, "n")["reason"] == "not reachable: no route"


def names(fleet):
    return [row["name"] for row in status(fleet)["nodes"]]


def test_the_controller_is_a_row_only_if_a_job_could_go_there():
    def fleet(nodes, own="c", **more):
        here = [*listed({"attempt": "u-2"})[:-1], {"state": "listed", "store": own}]
        there = [*listed()[:-1], {"state": "listed", "store": "s"}]
        answers = {"n": there, "localhost": here}
        return replace(view_fleet(nodes, answers, Node("localhost", local=True)), **more)

    node = Node("n", **KNOWN)
    assert names(fleet([node])) == ["n", "localhost"]
    # The inventory has the controller itself as a node.
    assert names(fleet([node], own="s")) == ["n"]
    # It was said that no job is to go there.
    assert names(fleet([node], falls_back=False)) == ["n"]
    # A broken -i leaves it alone.
    assert names(fleet([])) == []
    # Its jobs are told nevertheless, and it counts as no node.
    view = status(fleet([node], falls_back=False))
    assert [row["node"] for row in view["attempts"]] == ["localhost"]
    assert (view["totals"]["nodes"], view["totals"]["answered"]) == (1, 1)


def test_a_node_tells_its_agents_and_how_its_jobs_are():
    signs = {"quiet": 300.0, "at": 1e6, "waits": "waits for x", "words": "", "cost_usd": 0.5}
    row = {"state": "running", "attempt": "u-1", "job": "a", "signs": signs}
    last = {
        "state": "listed",
        "agents": [{"name": "claude", "version": "2.1.332", "logged_in": "no"}],
    }
    view = status(view_fleet([Node("n", **KNOWN)], {"n": [row, last]}))
    assert view["nodes"][0]["agent_details"] == last["agents"]
    (attempt,) = view["attempts"]
    assert (attempt["quiet"], attempt["waits"], attempt["cost_usd"]) == (300.0, "waits for x", 0.5)
