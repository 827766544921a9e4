"""The panel of `specialists` on real nodes: each number in it is counted again in their files."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from real_nodes import NODES, Controller, Fleet, until

pytestmark = pytest.mark.once

SESSION = "2f0d9c0e-aaaa-bbbb-cccc-0000000000{:02d}"
STATE = ".local/state/distributed-gummy"
# Where specialists live: node, folder, names. Each has a number of its own, by which it differs.
PLACES = (
    ("node-1", ".gummy", ("database-expert", "testing-specialist")),
    ("node-1", "code/shop/.gummy", ("api-developer",)),
    ("node-2", ".gummy", ("frontend-specialist", "security-specialist")),
)
# The one that works.
ACTIVE = 4
WAIT = "until [ -e ~/let-go ]; do sleep 0.1; done"
FIGURES = re.compile(r"┌─ (\S+) ─+ cpu (\d+ %|-)  mem (\d+) %  (\d+)/(\d+) slots ─┐")
CELLS = re.compile(
    r"│ (⚡|💤) (\S+) +(\S+) +(\d+) sessions? +(n/a|\$[\d.]+) +(working|working, .*?|.*? ago) +│"
)


@pytest.fixture
def laid_out(controller: Controller, with_doubles: Fleet) -> Iterator[Fleet]:
    """Specialists in homes and in a project, with what sessions and today's work have cost."""
    fleet = with_doubles
    # Those that earlier tests left in workspaces are not of this one.
    for node in NODES:
        for folder in fleet.home(node).glob(".dg/*/*/tree/.gummy/specialists"):
            shutil.rmtree(folder)
    # The nodes have stores from here on.
    assert controller.play("specialists").status == 0
    number = 0
    for node, top, names in PLACES:
        for name in names:
            number += 1
            folder = fleet.home(node) / top / "specialists" / name
            folder.mkdir(parents=True)
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 4000 * number))
            (folder / "meta.yaml").write_text(
                f"name: {name}\nsession_id: {SESSION.format(number)}\nstatus: active\n"
                f"turns: {3 * number}\nlast_active: {at}\n",
                encoding="utf-8",
            )
            costs = store_of(fleet, node) / "costs"
            costs.mkdir(exist_ok=True)
            if number % 2:
                (costs / SESSION.format(number)).write_text(f"{number / 7:.10f}")
        event = {"type": "result", "total_cost_usd": number / 9}
        (fleet.home(node) / ".claude" / "logs" / "gummy").mkdir(parents=True, exist_ok=True)
        fleet.put(node, f".claude/logs/gummy/gummy-17953710{number}-task.log", json.dumps(event))

    living = subprocess.Popen(
        [
            *("ssh", "-F", fleet.ssh_config, "node-2"),
            f"sh -c '{WAIT}' sh --resume {SESSION.format(ACTIVE)}",
        ],
        stdin=subprocess.DEVNULL,
    )
    yield fleet
    fleet.put("node-2", "let-go", "")
    living.wait(60)
    for node in NODES:
        for name in (".gummy", "code", ".claude"):
            shutil.rmtree(fleet.home(node) / name, ignore_errors=True)
        shutil.rmtree(store_of(fleet, node) / "costs", ignore_errors=True)
    (fleet.home("node-2") / "let-go").unlink()


def store_of(fleet: Fleet, node: str) -> pathlib.Path:
    (store,) = fleet.home(node).glob(f"{STATE}/*/store.json")
    return store.parent


def rows_of(fleet: Fleet, node: str) -> set[tuple[str, str, str, str]]:
    """Name, place, sessions and cost of each specialist, by the node's files alone."""
    rows = set()
    for place, pattern in (("home", ".gummy"), ("shop", "code/shop/.gummy")):
        for meta in fleet.home(node).glob(f"{pattern}/specialists/*/meta.yaml"):
            text = meta.read_text(encoding="utf-8")
            (session,) = re.findall(r"session_id: (.*)", text)
            (turns,) = re.findall(r"turns: (\d+)", text)
            cost = "n/a"
            for path in store_of(fleet, node).glob(f"costs/{session}"):
                cost = f"${float(path.read_text()):.2f}"
            rows.add((meta.parent.name, place, turns, cost))
    return rows


def cost_today(fleet: Fleet, node: str) -> float:
    """What gummy's logs say, and what attempts without a log there ended with."""
    logs = list(fleet.home(node).glob(".claude/logs/gummy/*.log"))
    events = [json.loads(log.read_text().splitlines()[-1]) for log in logs]
    ends = [
        json.loads(path.read_text()) for path in store_of(fleet, node).glob("attempts/*/ended.json")
    ]
    costs = [event["total_cost_usd"] for event in events]
    names = {log.name.rpartition("-")[0] for log in logs}
    for end in ends:
        if str(end.get("watch")).split()[-1] not in names:
            costs.append(end.get("cost_usd") or 0.0)
    return sum(costs)


def memory_of(fleet: Fleet, node: str) -> float:
    lines = fleet.ssh(node, "cat /proc/meminfo").splitlines()
    rows = {line.split()[0]: int(line.split()[1]) for line in lines}
    return 1 - rows["MemAvailable:"] / rows["MemTotal:"]


def document_of(controller: Controller, *words: str) -> tuple[str, dict[str, Any]]:
    path = controller.folder / "panel.json"
    played = controller.play("specialists", *words, "-e", f"gummy_output_file={path}")
    assert played.status == 0, played
    return played.output, json.loads(path.read_text(encoding="utf-8"))


def test_each_number_of_the_panel_is_that_of_the_nodes_files(
    controller: Controller, laid_out: Fleet
) -> None:
    words = ["-e", json.dumps({"gummy_specialist_paths": "~/code/*"})]

    def is_seen() -> Any:
        output, document = document_of(controller, *words)
        return document["totals"]["active"] == 1 and (output, document)

    output, document = until(is_seen, "the one that works")

    # By node what stands in its frame.
    frames: dict[str, list[str]] = {}
    figures = {}
    for line in output.splitlines():
        if found := FIGURES.fullmatch(line):
            frames[found[1]] = []
            figures[found[1]] = found.groups()[2:]
        elif line.startswith("│") and frames:
            [*frames.values()][-1].append(line)
    assert [*frames] == [*NODES, "localhost"], output

    sessions = 0
    total = 0.0
    for node in NODES:
        cells = [found.groups() for line in frames[node] if (found := CELLS.fullmatch(line))]
        expected = rows_of(laid_out, node)
        assert {tuple(row[1:5]) for row in cells} == expected, output
        sessions += sum(int(turns) for _name, _place, turns, _cost in expected)
        total += cost_today(laid_out, node)

        memory, busy, slots = figures[node]
        assert (busy, slots) == ("0", "2"), output
        assert abs(int(memory) / 100 - memory_of(laid_out, node)) < 0.15

    # Who works is told by its process, whatever its meta.yaml claims; the others by their clocks.
    shown = {
        row[1]: (row[0], row[5])
        for node in NODES
        for line in frames[node]
        if (found := CELLS.fullmatch(line)) and (row := found.groups())
    }
    assert {name for name, (sign, _last) in shown.items() if sign == "⚡"} == {
        "frontend-specialist"
    }
    assert shown["frontend-specialist"][1].startswith("working"), output
    assert shown["database-expert"][1] == "1 h ago" and shown["api-developer"][1] == "3 h ago"

    totals = document["totals"]
    assert (totals["specialists"], totals["sessions"]) == (5, sessions)
    assert totals["cost_today"] == pytest.approx(total, abs=1e-5)
    assert f"5 specialists, 1 active · {sessions} sessions · today ${total:.2f}\n" in output


def test_the_ascii_form_has_nothing_else_and_bad_paths_are_told_before_anybody_is_asked(
    controller: Controller, fleet: Fleet
) -> None:
    output, _document = document_of(controller, "-e", "gummy_ascii=true")
    assert output.isascii()
    assert re.search(r"^\+=+ specialists - 4 of 4 nodes =+\+$", output, re.MULTILINE)

    for wrong in ("code", "../code", "~root/code", "$HOME/code", ["/srv", 7], "/a\x1b[2J"):
        words = json.dumps({"gummy_specialist_paths": wrong})
        played = controller.play("specialists", "-e", words)
        assert played.status == 2 and "is no folder of a node" in played.output, played
        assert "\x1b" not in played.output and "specialists ·" not in played.output
    assert controller.play("specialists", "-e", "gummy_specialist_path=/srv").status == 2
