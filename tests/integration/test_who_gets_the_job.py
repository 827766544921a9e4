"""Who gets the job, on real nodes.

Plan and run agree, several controllers share the slots, a bad node costs little, and each node
counts once.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import pytest
from real_nodes import NODES, Controller, Counter, Fleet, free_port, until

pytestmark = pytest.mark.once
RUNS = 5
JOBS = 12
SLOTS = 2


def test_a_plan_of_twelve_jobs_and_the_run_after_it_take_the_same_nodes(
    controller: Controller, tmp_path: pathlib.Path
) -> None:
    jobs = controller.jobs(*({"command": "sleep 0.2"} for _number in range(12)))
    written = tmp_path / "plan.json"
    controller.play("plan", "-e", jobs, "-e", f"gummy_output_file={written}")
    planned = {row["name"]: row for row in json.loads(written.read_text(encoding="utf-8"))["jobs"]}
    placed = {name: row["node"] for name, row in planned.items() if row["node"]}
    assert len(placed) == len(NODES) * SLOTS and {
        tuple(placed.values()).count(node) for node in NODES
    } == {SLOTS}
    assert all(
        row["waits"] and row["why"] == "every usable slot is taken"
        for name, row in planned.items()
        if name not in placed
    )
    played = controller.run("-e", jobs)
    assert (
        played.status == 0
        and {name: played.jobs[name]["attempts"][0]["node"] for name in placed} == placed
    ), played
    for name in placed:
        ours, theirs = (
            [{**entry, "age": None} for entry in row["ranking"]]
            for row in (played.jobs[name], planned[name])
        )
        assert ours == theirs
        assert {entry["host"] for entry in ours} == set(NODES) and all(
            entry["parts"] for entry in ours
        )


def test_several_controllers_share_the_slots_and_none_waits_for_another_to_end(
    fleet: Fleet, make_controller: Callable[[pathlib.Path], Controller], tmp_path: pathlib.Path
) -> None:
    controllers = [make_controller(tmp_path / f"controller-{number}") for number in range(RUNS)]
    try:
        started = []
        for number, one in enumerate(controllers):
            word = f'echo {{}} run-{number} $(date +%s) >> "$HOME/shared-slots"'
            command = f"{word.format('begin')}; sleep 2; {word.format('end')}"
            started.append(
                one.begin("run", "-e", one.jobs(*({"command": command} for _job in range(JOBS))))
            )
        ended = [each.end() for each in started]
    finally:
        for one in controllers:
            one.close()
    assert [played.status for played in ended] == [0] * RUNS, ended
    begun: dict[str, list[int]] = {}
    over: dict[str, list[int]] = {}
    for node, lines in fleet.lines("shared-slots").items():
        at_once = list(accumulate({"begin": 1, "end": -1}[line.split()[0]] for line in lines))
        assert max(at_once) <= SLOTS and at_once[-1] == 0, (node, lines)
        for word, run, second in map(str.split, lines):
            (begun if word == "begin" else over).setdefault(run, []).append(int(second))
    assert sum(map(len, begun.values())) == RUNS * JOBS
    assert max(min(seconds) for seconds in begun.values()) < min(
        max(seconds) for seconds in over.values()
    ), (begun, over)


def test_a_run_that_finds_every_slot_taken_gets_its_turn_before_the_other_ends(
    fleet: Fleet, make_controller: Callable[[pathlib.Path], Controller], tmp_path: pathlib.Path
) -> None:
    many, few = (make_controller(tmp_path / name) for name in ("many", "few"))
    try:
        first = many.begin(
            "run",
            "-e",
            many.jobs(
                *(
                    {"command": 'echo >> "$HOME/taken"; sleep 1'}
                    for _job in range(10 * len(NODES) * SLOTS)
                )
            ),
        )
        first.wait_for(lambda: fleet.count("taken") >= len(NODES) * SLOTS, "every slot taken")
        second = few.run("-e", few.jobs({"command": "true"}, {"command": "true"}))
        began = fleet.count("taken")
        played = first.end()
    finally:
        many.close()
        few.close()
    assert (first.process.returncode, second.status) == (0, 0), (played, second)
    assert began < 10 * len(NODES) * SLOTS, second


def test_a_job_that_waits_for_a_full_node_goes_elsewhere_when_the_node_dies(
    controller: Controller, repaired: Fleet, counter: Counter
) -> None:
    only = controller.static({"node-1": repaired.login("node-1")})
    holders = controller.jobs(*({"command": counter.command("-go")} for _slot in range(SLOTS)))
    assert controller.run("-e", holders, "-e", "gummy_detach=true", inventory=only).status == 0
    waits = controller.begin("run", "-e", controller.jobs({"command": "hostname"}), inventory=only)
    until(
        lambda: any(
            json.loads(path.read_text())["until"]
            for path in repaired.home("node-1").rglob("line.json")
        ),
        "a place in the line",
    )
    repaired.stop("node-1")
    played = waits.end()
    assert played.status == 0 and played.job["node"] == "localhost", played
    assert "runs here: no node can take it" in played.output, played


FACTS = {
    "state": "measured",
    "reason": None,
    "cpus": 8,
    "slots": {"total": SLOTS, "busy": 0},
    "agents": ["gummy"],
    "load": {"cpu": 0.4, "memory": 0.4, "load_average": 0.4, "io_wait": 0.0},
}


def test_a_node_that_fails_every_start_costs_at_most_an_attempt_per_slot_and_the_next_run_none(
    controller: Controller, with_doubles: Fleet
) -> None:
    idle = {**FACTS, "load": dict.fromkeys(FACTS["load"], 0.01)}  # type: ignore[arg-type]
    hosts = {
        node: {**with_doubles.login(node), "gummy_facts": idle if node == "node-1" else FACTS}
        for node in NODES
    }
    # So there is no gummy, of which the inventory was sure.
    gummy = with_doubles.home("node-1") / "bin" / "gummy"
    hidden = gummy.with_name("hidden")
    gummy.rename(hidden)
    try:
        jobs = controller.jobs(
            *({"prompt": f"write made.txt {number}"} for number in range(20)), gummy_agent="gummy"
        )
        first = controller.run("-e", jobs, inventory=controller.static(hosts))
        few = controller.jobs(
            {"prompt": "write made.txt a"}, {"prompt": "write made.txt b"}, gummy_agent="gummy"
        )
        second = controller.run("-e", few, inventory=controller.static(hosts))
    finally:
        hidden.rename(gummy)
    tries = [attempt["node"] for row in first.jobs.values() for attempt in row["attempts"]]
    assert first.status == 0 and 1 <= tries.count("node-1") <= SLOTS and len(first.jobs) == 20, (
        first
    )
    assert second.status == 0 and "quarantined after" in json.dumps(second.jobs), second
    assert "node-1" not in [
        attempt["node"] for row in second.jobs.values() for attempt in row["attempts"]
    ]


@pytest.mark.parametrize(("least", "status"), [(2, 0), (3, 2)])
def test_each_node_gets_the_job_once_and_one_out_of_reach_is_skipped(
    controller: Controller, fleet: Fleet, least: int, status: int
) -> None:
    hosts: dict[str, Any] = {node: fleet.login(node) for node in NODES}
    hosts["node-2"]["ansible_port"] = free_port()
    words = ("-e", f"gummy_min_nodes={least}", "-e", "gummy_each=node")
    played = controller.shell(
        "echo $GUMMY_JOB > here.txt", *words, inventory=controller.static(hosts)
    )
    assert played.status == status, played
    rows = {
        name: (row["status"], row["node"], len(row["attempts"]))
        for name, row in played.jobs.items()
    }
    assert rows == {
        "job-1.node-1": ("success", "node-1", 1),
        "job-1.node-2": ("skipped", None, 0),
        "job-1.node-3": ("success", "node-3", 1),
    }
    assert played.run["message"] == (
        None if status == 0 else "job-1 ran on 2 of 3, and gummy_min_nodes asks for 3"
    )


def test_each_system_gets_the_job_once(controller: Controller) -> None:
    played = controller.shell("uname -s", "-e", "gummy_each=os")
    assert played.status == 0 and list(played.jobs) in (["job-1.linux"], ["job-1.macos"]), played
