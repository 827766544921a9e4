"""A node is known by its store: its jobs come home whatever it is called by then, on real nodes."""

from __future__ import annotations

import re

from real_nodes import Controller, Counter, Fleet

RUN = ("-e", "gummy_run_id=renamed")


def begin(controller: Controller, fleet: Fleet, counter: Counter) -> str:
    """A run that was killed while its job ran on node-1, which it knew as `before`; the job."""
    jobs = controller.jobs({"name": "long", "command": counter.command("-go")})
    hosts = {"before": fleet.login("node-1"), "other": fleet.login("node-2")}
    started = controller.begin(
        "run", "-e", jobs, *RUN, "-e", "gummy_nodes=before", inventory=controller.static(hosts)
    )
    started.wait_for(lambda: "  start  " in started.said() and counter.starts(), "the start")
    started.kill()
    return jobs


def test_a_node_with_another_name_gives_its_job_to_the_run_that_is_called_again(
    controller: Controller, repaired: Fleet, counter: Counter
) -> None:
    jobs = begin(controller, repaired, counter)
    counter.let_go("-go")
    hosts = {"after": repaired.login("node-1"), "other": repaired.login("node-2")}
    again = controller.run("-e", jobs, *RUN, inventory=controller.static(hosts))
    assert again.job["status"] == "success" and again.job["node"] == "after", again
    assert "what was before is called after now" in again.output, again
    assert len(counter.starts()) == 1


def test_two_nodes_that_have_changed_names_give_the_job_to_harvest_and_to_the_run(
    controller: Controller, repaired: Fleet, counter: Counter
) -> None:
    jobs = begin(controller, repaired, counter)
    counter.let_go("-go")
    hosts = {"before": repaired.login("node-2"), "after": repaired.login("node-1")}
    swapped = controller.static(hosts)
    looked = controller.play("harvest", *RUN, "--check", inventory=swapped)
    assert re.search(r"renamed/long|long", looked.output), looked
    again = controller.run("-e", jobs, *RUN, inventory=swapped)
    assert again.job["status"] == "success" and again.job["node"] == "after", again


def test_another_machine_under_the_name_is_told_at_once_and_the_job_is_not_begun_anew(
    controller: Controller, repaired: Fleet, counter: Counter
) -> None:
    jobs = begin(controller, repaired, counter)
    hosts = controller.static({"before": repaired.login("node-2")})
    again = controller.run("-e", jobs, *RUN, inventory=hosts)
    assert again.job["status"] == "lost", again.job
    assert "another machine, or another login, answers" in again.job["message"], again.job

    counter.let_go("-go")
    hosts = controller.static({"somewhere": repaired.login("node-1")})
    home = controller.run("-e", jobs, *RUN, inventory=hosts)
    assert home.job["status"] == "success", home.job
    assert len(counter.starts()) == 1
