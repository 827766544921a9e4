"""`status` and `specialists` on real nodes.

What they show is what is there, from any controller, and what is away has its reason.
"""

from __future__ import annotations

import json
import pathlib
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from real_nodes import NODES, Controller, Fleet, Played, until

HOSTILE = (
    "name: {{ lookup('pipe', 'touch MARK') }}\n"
    "turns: 7\n"
    "last_active: \x1b[2J\x1b]0;owned\x07 today\n"
    "status: active\n"
    "session_id: $(id)\n"
)


def look(
    controller: Controller, playbook: str, *words: str, **more: Any
) -> tuple[Played, dict[str, Any]]:
    """What the playbook showed, and the document that it wrote."""
    path = controller.folder / f"{playbook}.json"
    path.unlink(missing_ok=True)
    played = controller.play(playbook, *words, "-e", f"gummy_output_file={path}", **more)
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert document["schema_version"] == 1 and document["kind"] == playbook
    assert "changed=0" in played.output and "\x1b[2J" not in played.output
    return played, document


def of_node(document: dict[str, Any], name: str) -> dict[str, Any]:
    (row,) = [row for row in document["nodes"] if row["name"] == name]
    return row


@pytest.fixture
def held(fleet: Fleet) -> Iterator[Callable[[str], str]]:
    """A command that waits in its node's home for a file, and that a failed test lets go."""
    names: list[str] = []

    def hold(name: str) -> str:
        names.append(name)
        return f'until [ -e "$HOME/{name}" ]; do sleep 0.05; done'

    yield hold
    for name in names:
        for node in NODES:
            fleet.put(node, name, "")


@pytest.mark.once
def test_a_specialist_is_active_while_its_claude_lives_and_its_sessions_are_counted(
    controller: Controller, with_doubles: Fleet, held: Callable[[str], str]
) -> None:
    lib = controller.project / ".gummy" / "lib"
    lib.mkdir(parents=True)
    (lib / "core.sh").touch()

    def seen(*facts: Any) -> bool:
        """Does node-1 have one database-expert of this project: status, what shows it, sessions?"""
        _played, document = look(controller, "specialists", "--limit", "node-1")
        found = [
            one
            for one in of_node(document, "node-1")["specialists"]
            if one["project"] == str(controller.project)
        ]
        return [(one["name"], one["status"], one["seen_by"], one["sessions"]) for one in found] == [
            ("database-expert", *facts)
        ]

    # Two sessions, one after the other: active while claude lives, dormant then.
    # The first session has no id before its end.
    for number, shown_by in enumerate(("cwd", "session")):
        prompt = {
            "gummy_prompt": f"one more query ;; run {held(f'specialist-{number}')}",
            "gummy_node": "node-1",
            "gummy_accept_unproven": True,
        }

        started = controller.begin("run", "-e", json.dumps(prompt))
        started.wait_for(
            lambda shown_by=shown_by, number=number: seen("active", shown_by, number),
            "a living specialist",
        )

        with_doubles.put("node-1", f"specialist-{number}", "")
        assert started.end().status == 0, started.said()
        assert seen("dormant", None, number + 1)

    # What the dashboard and the document say of it then.
    played, document = look(controller, "specialists", "--limit", "node-1")
    (one,) = [
        one
        for one in of_node(document, "node-1")["specialists"]
        if one["project"] == str(controller.project)
    ]

    assert re.search(
        r"^│ 💤 database-expert +project +2 sessions +(n/a|\$\d+\.\d\d) +(just now|\d+ s ago) +│$",
        played.output,
        re.MULTILINE,
    ), played
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}Z", one["last_active"])
    assert (one["where"], one["reason"]) == ("workspace", None) and one["workspace"].startswith(
        "project-"
    )


def test_the_dashboard_has_whatever_lies_there_and_names_nodes_that_are_away_or_bare(
    controller: Controller, with_doubles: Fleet, repaired: Fleet
) -> None:
    # On node-1 are a specialist whose file is half written and one whose file is hostile.
    repaired.ssh(
        "node-1",
        "mkdir -p ~/.gummy/specialists/half ~/.gummy/specialists/hostile ~/.claude/logs/gummy",
    )
    repaired.put("node-1", ".gummy/specialists/half/meta.yaml", "name: half\nturns: 4\nlast_ac")
    repaired.put(
        "node-1",
        ".gummy/specialists/hostile/meta.yaml",
        HOSTILE.replace("MARK", str(controller.folder / "templated")),
    )
    repaired.put(
        "node-1",
        ".claude/logs/gummy/gummy-1795371072-task.log",
        json.dumps({"type": "result", "total_cost_usd": 0.75}) + "\n",
    )

    # node-2 has no gummy, and node-3 is away.
    gummy = repaired.home("node-2") / "bin" / "gummy"
    double = gummy.read_bytes()
    gummy.unlink()
    repaired.stop("node-3")

    try:
        played, document = look(controller, "specialists")
    finally:
        repaired.put("node-2", "bin/gummy", double, 0o755)
        repaired.ssh("node-1", "rm -r ~/.gummy")

    # What can be read is shown, and nothing else of those files.
    rows = {
        one["name"]: one
        for one in of_node(document, "node-1")["specialists"]
        if one["where"] == "home"
    }
    assert {
        name: (row["sessions"], row["status"], row["last_active"], row["session_id"])
        for name, row in rows.items()
    } == {
        "half": (4, "dormant", None, None),
        "hostile": (7, "dormant", None, None),
    }, played
    assert all("no valid" in row["reason"] for row in rows.values())
    assert re.search(
        r"^│ 💤 half +home +4 sessions +n/a +n/a +│\n│    meta.yaml: no valid ",
        played.output,
        re.MULTILINE,
    ), played

    # Nodes without an answer are named with the reason.
    assert of_node(document, "node-1")["cost_today"] >= 0.75
    assert (
        "│ ✗ gummy is not found on this node: install it there" in played.output
        and of_node(document, "node-2")["state"] == "unusable"
    )

    away = of_node(document, "node-3")
    assert (
        away["state"] == "no_answer"
        and away["reason"]
        and re.search(r"^┌─ node-3 ─+ no answer ─┐\n│ ✗ \S", played.output, re.MULTILINE)
    ), played

    # The last line counts what was seen, and no template was rendered.
    totals = document["totals"]
    assert (
        played.status == 0
        and (totals["nodes"], totals["answered"]) == (4, 3)
        and totals["sessions"] >= 11
    )
    assert "═ specialists · 3 of 4 nodes ═" in played.output
    assert (
        f" active · {totals['sessions']} sessions · today ${totals['cost_today']:.2f}\n"
        in played.output
    )
    assert not (controller.folder / "templated").exists()


def test_another_controller_sees_a_job_while_it_runs_and_how_it_ended(
    controller: Controller,
    fleet: Fleet,
    held: Callable[[str], str],
    make_controller: Callable[[pathlib.Path], Controller],
    tmp_path: pathlib.Path,
) -> None:
    other = make_controller(tmp_path / "other")
    jobs = controller.jobs(
        {"name": "slow", "command": held("status-go") + "; exit 3", "node": "node-2"}
    )
    started = controller.begin("run", "-e", jobs, "-e", "gummy_run_id=seen")
    started.wait_for(lambda: "  start  " in started.said(), "the start")

    slots: list[dict[str, int]] = []

    def mine() -> tuple[Played, list[dict[str, Any]]]:
        asked_at = time.time()
        played, document = look(other, "status")
        for node in NODES:
            # The inventory believes what nodes said in the last half minute; this is of now.
            assert of_node(document, node)["measured_at"] > asked_at, document
        slots.append(of_node(document, "node-2")["slots"])
        return played, [
            row
            for row in document["attempts"]
            if (row["run_id"], row["project"]) == ("seen", str(controller.project))
        ]

    # While it runs: whose it is, where, and how busy the nodes are.
    running, rows = until(lambda: (now := mine())[1] and now, "the attempt")
    assert [
        (row["status"], row["node"], row["job"], row["agent"], row["ended_at"]) for row in rows
    ] == [("running", "node-2", "slow", "shell", None)]
    assert slots[-1] == {"total": 2, "busy": 1}
    assert re.search(
        r"^seen/slow +node-2 +▶ running +\d\d:\d\d +\d+ s ", running.output, re.MULTILINE
    ), running

    for node in NODES:
        assert re.search(
            rf"^{node} +0\.\d\d +\d+ % +\d+ % +\d+ % +(\d+ %|-) +\d/2 +\d+ s ",
            running.output,
            re.MULTILINE,
        ), running

    # After its end: how it ended.
    fleet.put("node-2", "status-go", "")
    assert started.end().status == 2, started.said()

    ended, rows = mine()
    assert slots[-1] == {"total": 2, "busy": 0}
    assert [(row["status"], row["class"], row["seconds"] > 0) for row in rows] == [
        ("failed", "agent", True)
    ], ended
    assert (
        re.search(r"^seen/slow +node-2 +✗ failed \(agent\) ", ended.output, re.MULTILINE)
        and ended.status == 0
    ), ended


def test_status_measures_what_the_inventory_does_not_know_and_fails_when_no_node_answers(
    controller: Controller, repaired: Fleet
) -> None:
    inventory = controller.static({node: repaired.login(node) for node in NODES})
    repaired.stop("node-1")
    played, document = look(controller, "status", inventory=inventory)
    away = of_node(document, "node-1")
    there = of_node(document, "node-2")
    assert played.status == 0 and (away["state"], away["usable"], away["score"]) == (
        "unreachable",
        False,
        None,
    ), played
    assert (
        there["state"] == "measured"
        and there["load"]["memory"] > 0
        and there["slots"]["total"] == 2
        and there["age"] < 60
    )
    assert (
        re.search(r"^node-1  not reachable: \S", played.output, re.MULTILINE)
        and of_node(document, "localhost")["local"] is True
    )
    _played, document = look(
        controller, "status", "-e", "gummy_local_fallback=false", inventory=inventory
    )
    assert [row["name"] for row in document["nodes"]] == [*NODES]
    for node in NODES[1:]:
        repaired.stop(node)
    nobody, document = look(controller, "status", inventory=inventory)
    assert (
        nobody.status == 2 and document["status"] == "failed" and "no node answers" in nobody.output
    ), nobody
