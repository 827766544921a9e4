"""The runbooks in examples/ do what they say, as they are, on the local fleet."""

from __future__ import annotations

import datetime
import json
import pathlib

import pytest
from real_nodes import NODES, ROOT, Controller, Counter, Fleet, Played, until

pytestmark = pytest.mark.once

RUNBOOKS = ROOT / "examples" / "runbooks"
NODE = "node-2"


def play(controller: Controller, name: str, *words: str) -> Played:
    return controller.play(str(RUNBOOKS / name), *words)


def test_a_node_is_drained_when_its_job_has_ended_and_the_work_is_at_home(
    controller: Controller, counter: Counter
) -> None:
    job = {"name": "long", "node": NODE, "command": counter.command("-go")}
    run = ("-e", controller.jobs(job), "-e", f"gummy_run_id={counter.name[:40]}")
    controller.run(*run, "-e", "gummy_detach=true")
    until(counter.starts, "the job")

    words = ("-e", f"node={NODE}", "-e", "pause=1")
    impatient = play(controller, "drain.yml", *words, "-e", "patience=1")
    assert impatient.status == 2, impatient
    draining = controller.begin(str(RUNBOOKS / "drain.yml"), *words)
    draining.wait_for(lambda: "Wait until" in draining.said(), "the wait")
    counter.let_go("-go")
    drained = draining.end()
    assert drained.status == 0, drained
    assert [*(controller.state / "runs" / counter.name[:40]).rglob("changes.patch")], drained


def test_a_node_that_does_not_answer_is_not_taken_for_empty(
    controller: Controller, repaired: Fleet
) -> None:
    repaired.stop(NODE)
    words = ("-e", f"node={NODE}", "-e", "pause=1", "-e", "patience=1")
    assert play(controller, "drain.yml", *words).status == 2
    moved = play(controller, "move.yml", "-e", f"node={NODE}", "-e", "gummy_run_id=any")
    assert moved.status == 2 and "End what it does" not in moved.output, moved


def test_jobs_move_away_from_a_node_and_the_others_go_on_where_they_are(
    controller: Controller, counter: Counter, fleet: Fleet
) -> None:
    first = {"name": "first", "command": counter.command("-go"), "node": NODE}
    stays = {"name": "stays", "command": counter.command("-go"), "node": "node-1"}
    run_id = counter.name[:40]
    run = ("-e", controller.jobs(first, stays), "-e", f"gummy_run_id={run_id}")
    driving = controller.begin("run", *run)
    driving.wait_for(lambda: len(counter.starts()) == 2, "both jobs")
    driving.kill()

    later = {"name": "later", "command": counter.command()}
    jobs = controller.jobs(first, stays, later)
    moving = controller.begin(
        str(RUNBOOKS / "move.yml"), "-e", f"node={NODE}", "-e", f"gummy_run_id={run_id}", "-e", jobs
    )
    moving.wait_for(lambda: "cancelled" in moving.said(), "the end of the job on the node")
    counter.let_go("-go")
    moved = moving.end()
    assert moved.status == 0, moved
    assert counter.starts() == ["first", "first", "later", "stays"], moved
    record = json.loads(
        (controller.state / "runs" / run_id / "run.json").read_text(encoding="utf-8")
    )
    ended = {row["name"]: (row["status"], row["node"]) for row in record["jobs"]}
    assert {status for status, _node in ended.values()} == {"success"}, ended
    assert ended["stays"][1] == "node-1" and ended["first"][1] != NODE, ended
    assert ended["later"][1] != NODE, ended


def test_the_nightly_job_goes_round_and_is_done_once_a_night(
    controller: Controller, counter: Counter
) -> None:
    words = ("-e", json.dumps({"command": counter.command()}))
    nodes = []
    for night in ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-03"):
        days = datetime.date.fromisoformat(night).toordinal()
        played = play(
            controller, "nightly.yml", *words, "-e", f"night={night}", "-e", f"days={days}"
        )
        assert played.status == 0, played
        path = controller.state / "runs" / f"nightly-{night}" / "run.json"
        (row,) = json.loads(path.read_text(encoding="utf-8"))["jobs"]
        nodes.append(row["node"])
    assert len(counter.starts()) == 3 and len(set(nodes)) == len(NODES), nodes

    tonight = play(controller, "nightly.yml", *words)
    today = datetime.date.today().isoformat()
    assert tonight.status == 0, tonight
    assert (controller.state / "runs" / f"nightly-{today}").is_dir(), "it is named after the day"


def test_disk_is_freed_where_it_is_scarce_and_what_is_still_full_is_named(
    controller: Controller, fleet: Fleet
) -> None:
    enough = play(controller, "free_disk.yml", "-e", "free_gb=0")
    assert enough.status == 0 and "changed=0" in enough.output, enough
    full = play(controller, "free_disk.yml", "-e", "free_gb=1000000")
    assert full.status == 2 and f"{NODE} has " in full.output, full


def test_each_runbook_is_tested() -> None:
    text = pathlib.Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in RUNBOOKS.iterdir() if f'"{path.name}"' not in text] == []
