"""`status` as a document: every node with its load, and how each attempt stands."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.status import status
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import RunRecord
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._node.signature import sign
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from played import KNOWN, listed, view_fleet


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
