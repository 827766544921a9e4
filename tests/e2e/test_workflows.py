"""What users do on a real tailnet, and what befalls them there."""

from __future__ import annotations

import json
import pathlib
import re
import time
from collections.abc import Callable, Iterator

import pytest
import real_tailnet
from real_nodes import Controller, applies, until
from real_tailnet import GATE, MOVED, MOVES, NODES, SUFFIX, Tailnet
from test_tailnet import ON_NODES, Counter, Listing, counter, read

# pytest finds the fixture by its name here.
__all__ = ["counter"]

# What a node without power may cost the jobs of others, in seconds; the machine may be busy.
COSTS = 15.0
META = "name: api-developer\nstatus: dormant\nturns: 2\nlast_active: null\n"


@pytest.fixture
def other(
    tailnet: Tailnet,
    tmp_path: pathlib.Path,
    make_environment: Callable[[pathlib.Path], dict[str, str]],
) -> Iterator[Controller]:
    """A second controller, with a state of its own."""
    folder = tmp_path / "other"
    folder.mkdir()
    one = Controller(
        tailnet,
        folder,
        make_environment(folder / "home"),
        {"nodes": {node: {"slots": 1} for node in NODES}},
        within=real_tailnet.inside("controller"),
    )
    yield one
    one.close()


# -- the four workflows


def test_two_kinds_of_work_go_to_the_nodes_that_are_free_and_preferred(
    controller: Controller, counter: Counter
) -> None:
    slots = {node: {"slots": 1} for node in NODES}
    preferred = {"database": ["node-3"], "api": ["node-2"]}
    controller.configure(json.dumps({"nodes": slots, "host_preferences": preferred}))
    busy = {"name": "busy", "node": "node-3", "command": counter.held}
    first = controller.begin("run", *ON_NODES, "-e", controller.jobs(busy))
    first.wait_for(lambda: "node-3" in counter.starts(), "the work that keeps node-3 busy")
    jobs = controller.jobs(
        {"name": "database", "task_type": "database", "command": counter.command},
        {"name": "api", "task_type": "api", "command": counter.command},
    )
    played = controller.run(*ON_NODES, "-e", jobs)
    counter.let_go()
    assert first.end().status == 0
    assert played.status == 0 and played.jobs["api"]["node"] == "node-2", played
    assert played.jobs["database"]["node"] not in ("node-2", "node-3"), played


def test_a_batch_over_all_nodes_brings_its_results_together(
    controller: Controller, counter: Counter
) -> None:
    jobs = controller.jobs({"name": "where", "command": counter.command}, gummy_each="node")
    played = controller.run(*ON_NODES, "-e", jobs)
    assert played.status == 0 and len(played.jobs) == len(NODES), played
    assert {row["node"] for row in played.jobs.values()} == {*NODES}
    for row in played.jobs.values():
        assert f"\n+{row['node']}\n" in read(row["patch"]), played
    assert {node: len(jobs) for node, jobs in counter.starts().items()} == dict.fromkeys(NODES, 1)


def test_the_dashboard_shows_the_specialists_of_all_nodes(
    controller: Controller, tailnet: Tailnet
) -> None:
    for node in NODES:
        folder = tailnet.home(node) / ".gummy" / "specialists" / "api-developer"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "meta.yaml").write_text(META, encoding="utf-8")
    played = controller.play("specialists", *ON_NODES)
    assert played.status == 0, played
    assert all(node in played.output for node in NODES), played
    assert played.output.count("api-developer") >= len(NODES), played


def test_a_project_goes_to_a_named_node_and_is_worked_on_there(
    controller: Controller, counter: Counter
) -> None:
    synced = controller.play("sync", "-e", "gummy_nodes=node-3")
    assert synced.status == 0, synced
    job = {"name": "there", "node": "node-3", "command": f"{counter.command}; cat a.txt >> new.txt"}
    played = controller.run("-e", controller.jobs(job))
    assert played.status == 0 and counter.starts() == {"node-3": ["there"]}, played
    assert "+one\n" in read(played.job["patch"])


# -- what befalls them


def test_a_node_that_loses_its_power_behind_a_warm_connection_costs_seconds(
    controller: Controller, repaired: Tailnet, counter: Counter
) -> None:
    jobs = controller.jobs(*({"command": counter.command} for _node in NODES))
    begun = time.monotonic()
    warm = controller.run(*ON_NODES, "-e", jobs)
    usual = time.monotonic() - begun
    assert warm.status == 0 and {*counter.starts()} == {*NODES}, warm
    plan = controller.play("plan", *ON_NODES, "-e", jobs)
    assert plan.status == 0, plan

    repaired.cut_off("node-1")
    begun = time.monotonic()
    played = controller.run(*ON_NODES, "-e", jobs)
    seconds = time.monotonic() - begun
    assert played.status == 0, played
    assert [len(row["attempts"]) for row in played.jobs.values()] == [1] * len(NODES), played
    assert "node-1" not in {row["node"] for row in played.jobs.values()}
    assert sum(map(len, counter.starts().values())) == 2 * len(NODES)
    # Three nodes do the work of four.
    assert seconds < 2 * usual + COSTS, f"{usual} {seconds}\n{played}"


def test_a_node_whose_key_has_expired_gets_no_job_and_the_reason_is_told(
    controller: Controller, repaired: Tailnet, counter: Counter
) -> None:
    repaired.announce("node-4", KeyExpiry="2020-01-01T00:00:00Z", Expired=True)
    try:
        repaired.until_it_says("node-4", Expired=True)
        assert "node-4" not in Listing(controller).hosts
        seen = controller.play("status", *ON_NODES)
        said = " ".join(seen.output.split())
        assert "its key has expired" in said, seen
        jobs = controller.jobs(*({"command": counter.command} for _node in NODES))
        played = controller.run(*ON_NODES, "-e", jobs)
        assert played.status == 0 and "node-4" not in counter.starts(), played
    finally:
        repaired.announce("node-4", KeyExpiry="0001-01-01T00:00:00Z", Expired=False)
        repaired.until_it_says("node-4", Online=True)


def test_jobs_outlive_a_controller_that_leaves_the_tailnet_for_a_while(
    controller: Controller, repaired: Tailnet, counter: Counter
) -> None:
    job = {"command": counter.held, "node": "node-2"}
    started = controller.begin("run", *ON_NODES, "-e", controller.jobs(job))
    started.wait_for(lambda: "  start  " in started.said() and counter.starts(), "the start")
    repaired.tailscale("controller", "down")
    try:
        counter.let_go()
        attempt = re.search(r"attempt (\S+)", started.said())
        store = repaired.home("node-2") / ".local" / "state" / "distributed-gummy"
        until(
            lambda: attempt and list(store.glob(f"*/attempts/{attempt[1]}/ended.json")),
            "the end of the job on its node",
        )
    finally:
        up = ("--accept-dns=false", "--netfilter-mode=off", "--hostname=controller")
        repaired.tailscale("controller", "up", f"--login-server=http://{GATE}:9911", *up)
    played = started.end()
    assert played.status == 0 and applies(played.job["patch"], controller.project), played
    assert counter.starts() == {"node-2": ["job-1"]} and len(played.job["attempts"]) == 1


def test_a_node_that_changes_its_name_in_the_middle_of_a_run_brings_its_job_home(
    controller: Controller, repaired: Tailnet, counter: Counter
) -> None:
    """First under a run that goes on, and then under one that is called again."""
    jobs = controller.jobs({"name": "long", "command": counter.held})
    words = ("-e", jobs, "-e", "gummy_run_id=moves", "-e", f"gummy_nodes={MOVES}:{MOVED}")
    goes_on = controller.begin(
        "run", *ON_NODES, "-e", controller.jobs({"command": counter.held, "node": MOVES})
    )
    goes_on.wait_for(counter.starts, "the start of the one that goes on")

    repaired.announce(MOVES, Name=f"{MOVED}.{SUFFIX}.")
    repaired.until_it_says(MOVES, DNSName=f"{MOVED}.{SUFFIX}.")
    counter.let_go()
    played = goes_on.end()
    assert played.status == 0 and played.job["status"] == "success", played

    counter.hold()
    stopped = controller.begin("run", *words)
    stopped.wait_for(lambda: len(counter.starts()[MOVES]) == 2, "the start of the other")
    stopped.kill()
    repaired.announce(MOVES, Name=f"{MOVES}.{SUFFIX}.")
    repaired.until_it_says(MOVES, DNSName=f"{MOVES}.{SUFFIX}.")
    counter.let_go()
    again = controller.run(*words)
    assert again.status == 0 and again.job["node"] == MOVES, again
    assert f"what was {MOVED} is called {MOVES} now" in again.output, again
    assert len(counter.starts()[MOVES]) == 2


def test_two_controllers_share_the_nodes_and_no_slot_is_used_twice(
    controller: Controller, other: Controller, counter: Counter, tailnet: Tailnet
) -> None:
    alone = 'mkdir "$HOME/at-work" || touch "$HOME/two-at-work"; sleep 0.5; rmdir "$HOME/at-work"'
    both = [
        one.begin(
            "run",
            *ON_NODES,
            "-e",
            one.jobs(*({"command": f"{counter.command}; {alone}"} for _job in range(6))),
        )
        for one in (controller, other)
    ]
    for started in both:
        played = started.end()
        assert played.status == 0 and len(played.jobs) == 6, played
    assert sum(map(len, counter.starts().values())) == 12
    assert not [node for node in NODES if (tailnet.home(node) / "two-at-work").exists()]
