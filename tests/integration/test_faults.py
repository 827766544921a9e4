"""What breaks in the middle: nodes, the way to them, and the controller.

No job starts twice, none is lost silently, and the way on is told.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from real_nodes import NODES, Controller, Counter, Fleet, applies, free_port, until

IDLE = {
    "state": "measured",
    "reason": None,
    "load": {"cpu": 0.01, "memory": 0.01, "load_average": 0.01, "io_wait": 0.0},
    "cpus": 8,
    "slots": {"total": 2, "busy": 0},
    "agents": ["shell"],
    "disk": None,
    "python": None,
    "source": "probe",
    "measured_at": None,
    "score": 0.01,
}
BUSIER = {
    **IDLE,
    "load": {"cpu": 0.4, "memory": 0.4, "load_average": 0.4, "io_wait": 0.0},
    "score": 0.4,
}


@pytest.mark.parametrize("known_as", ["measured, and the best", "unknown"])
def test_a_node_that_is_dead_from_the_start_costs_at_most_one_attempt(
    controller: Controller, fleet: Fleet, counter: Counter, known_as: str
) -> None:
    facts: tuple[Mapping[str, Any], ...] = (
        ({"gummy_facts": IDLE}, {"gummy_facts": BUSIER}) if known_as != "unknown" else ({}, {})
    )
    dead = {**fleet.login("node-1"), "ansible_port": free_port(), **facts[0]}
    hosts = {"dead": dead, **{node: {**fleet.login(node), **facts[1]} for node in NODES[1:]}}
    jobs = controller.jobs(*({"command": counter.command()} for _number in range(5)))
    played = controller.run("-e", jobs, inventory=controller.static(hosts))
    tries = [attempt["node"] for row in played.jobs.values() for attempt in row["attempts"]]
    assert played.status == 0 and tries.count("dead") == (1 if facts[0] else 0), played
    assert counter.starts() == [f"job-{number}" for number in range(1, 6)] and {
        row["node"] for row in played.jobs.values()
    } <= {*NODES}


def test_a_node_that_comes_back_has_kept_its_job(
    controller: Controller, repaired: Fleet, counter: Counter
) -> None:
    started = controller.begin(
        "run", "-e", controller.jobs({"command": counter.command("-go"), "node": "node-2"})
    )
    started.wait_for(lambda: "  start  " in started.said() and counter.starts(), "the start")
    repaired.stop("node-2")
    started.wait_for(lambda: "no contact" in started.said(), "the loss of contact")
    counter.let_go("-go")
    store = repaired.home("node-2") / ".local" / "state" / "distributed-gummy"
    uid = re.search(r"attempt (\S+)", started.said())
    assert uid
    until(
        lambda: list(store.glob(f"*/attempts/{uid[1]}/ended.json")),
        "the end of the job on its node",
    )
    repaired.start("node-2")
    played = started.end()
    assert (
        played.status == 0
        and applies(played.job["patch"], controller.project)
        and "back in contact" in played.output
    ), played
    assert counter.starts() == ["job-1"] and len(played.job["attempts"]) == 1


@pytest.mark.once
def test_a_node_that_stays_away_loses_its_jobs_which_can_be_had_later(
    controller: Controller, repaired: Fleet, counter: Counter
) -> None:
    # Two jobs on one node, of which one will end while the node is away.
    holds = {"ended": "-go", "running": "-go-on"}
    jobs = controller.jobs(
        *(
            {"name": name, "command": counter.command(hold), "node": "node-3"}
            for name, hold in holds.items()
        )
    )
    words = ("-e", jobs, "-e", "gummy_run_id=lost", "-e", "gummy_lost_after=10s")
    started = controller.begin("run", *words)
    started.wait_for(lambda: counter.starts() == ["ended", "running"], "both starts")

    # The node goes away for longer than the run waits: both jobs are lost, for now.
    repaired.stop("node-3")
    lost = started.end()
    assert lost.status == 2 and [row["status"] for row in lost.jobs.values()] == ["lost", "lost"], (
        lost
    )

    # The output names the command that fetches them later; the node is back for it.
    command = re.search(
        r"ended: .*ansible-playbook .*distributed\.gummy\.harvest -e (gummy_job=\S+)", lost.output
    )
    assert command, lost

    counter.let_go("-go")
    repaired.start("node-3")
    until(lambda: "ended" in controller.play("harvest", "-e", command[1]).output, "the job's end")

    harvest = controller.play("harvest", "-e", command[1])
    assert harvest.status == 0 and applies(
        str(controller.state / "runs" / "lost" / "ended" / "changes.patch"), controller.project
    ), harvest

    # The other job is taken up by the same call as before, and nothing started twice.
    again = controller.begin("run", *words)
    again.wait_for(
        lambda: "resuming the run" in again.said() and "2 may still run" in again.said(),
        "the resumption",
    )
    counter.let_go("-go-on")
    played = again.end()
    assert played.status == 0 and all(
        applies(row["patch"], controller.project) for row in played.jobs.values()
    ), played
    assert counter.starts() == ["ended", "running"]


@pytest.mark.once
def test_a_killed_run_goes_on_under_its_name_and_starts_nothing_twice(
    controller: Controller, counter: Counter
) -> None:
    jobs = controller.jobs(
        *({"name": f"quick-{n}", "command": counter.command()} for n in range(3)),
        *({"name": f"slow-{n}", "command": counter.command("-go")} for n in range(8)),
    )
    words = ("-e", jobs, "-e", "gummy_run_id=killed")

    # Three jobs have ended and six run when a second call is refused.
    first = controller.begin("run", *words)
    first.wait_for(
        lambda: len(counter.starts()) == 9 and first.said().count(" success, ") == 3,
        "three ends and six running",
    )

    second = controller.run(*words)
    assert second.status != 0 and re.search(
        r"run killed is being driven by another ansible-playbook \(process \d+\)", second.output
    ), second

    # The first call dies; the next one goes on where it was.
    first.kill()
    counter.let_go("-go")
    played = controller.run(*words)
    assert (
        played.status == 0
        and "3 of 11 done" in played.output
        and "6 may still run" in played.output
    ), played
    assert all(applies(row["patch"], controller.project) for row in played.jobs.values())
    assert counter.starts() == sorted(played.jobs) and len(played.jobs) == 11

    # A call for a run that is over starts nothing.
    once_more = controller.run(*words)
    assert (
        once_more.status == 0
        and "11 of 11 done" in once_more.output
        and len(counter.starts()) == 11
    ), once_more


@pytest.mark.once
def test_a_run_whose_main_process_alone_is_killed_starts_nothing_more(
    controller: Controller, counter: Counter
) -> None:
    jobs = controller.jobs(
        *({"name": f"job-{n}", "command": counter.command("-go")} for n in range(7))
    )
    words = ("-e", jobs, "-e", "gummy_run_id=orphan")
    first = controller.begin("run", *words)
    first.wait_for(lambda: len(counter.starts()) == 6, "six starts")
    first.process.kill()
    first.process.wait()
    counter.let_go("-go")
    played = until(
        lambda: (now := controller.run(*words)) and "driven by another" not in now.output and now,
        "the end of the orphan",
    )
    assert played.status == 0 and counter.starts() == sorted(played.jobs), played


@pytest.mark.once
def test_a_login_shell_that_prints_is_told(controller: Controller, fleet: Fleet) -> None:
    noisy = [fleet.home("node-1") / name for name in (".bashrc", ".profile")]
    try:
        for path in noisy:
            fleet.put("node-1", path.name, "echo welcome; echo warning >&2; printf 'no newline'\n")
        played = controller.shell("true", "-e", "gummy_attempts=1", "--limit", "node-1")
    finally:
        for path in noisy:
            path.unlink()
    assert (
        played.status == 2
        and played.job["status"] == "failed"
        and "prints something, which breaks rsync" in played.output
    ), played


@pytest.mark.once
def test_another_controller_reads_logs_and_harvests(
    controller: Controller,
    counter: Counter,
    make_controller: Callable[[pathlib.Path], Controller],
    tmp_path: pathlib.Path,
) -> None:
    other = make_controller(tmp_path / "other")
    job = {"name": "one", "command": "echo said early; " + counter.command("-go")}
    started = controller.begin("run", "-e", controller.jobs(job), "-e", "gummy_run_id=shared")
    started.wait_for(counter.starts, "the start")
    running = other.play("logs", "-e", "gummy_run_id=shared")
    counter.let_go("-go")
    played = started.end()
    assert running.status == 0 and re.search(
        r"^== shared/one on node-\d, attempt \S+, running\nsaid early$",
        running.output,
        re.MULTILINE,
    ), running
    logs = other.play("logs", "-e", json.dumps({"gummy_job": played.job["attempts"][0]["id"][:20]}))
    assert logs.status == 0 and "said early" in logs.output, logs
    # Only the node says that the job is one of this run: it takes the place of no job of ours.
    harvest = other.play("harvest", "-e", "gummy_job=shared/one")
    told_by = other.state / "runs" / "shared" / "told-by" / str(played.job["node"])
    assert harvest.status == 0 and applies(
        str(told_by / "one" / "changes.patch"), controller.project
    ), harvest
    assert "told by the node" in " ".join(harvest.output.split()), harvest
    unknown = other.play("harvest", "-e", "gummy_run_id=shard")
    assert unknown.status != 0 and "no attempt of shard is known" in unknown.output, unknown
