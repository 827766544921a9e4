"""A run from its request to its document, over nodes that are played, and the plan of one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._files import record as _record
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.quarantines import (
    Quarantines,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import controller_id
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.run import (
    PlanDocument,
    RunDocument,
    plan,
    run,
    verdict,
)
from job_builder import shell_job
from played import play_fleet
from played_nodes import PlayedNode
from played_run import RUN, make_request, measured

JOBS = [shell_job(name) for name in ("a", "b")]


# -- the verdict


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ({"success"}, "success"),
        # Enough others ran where a node was passed over.
        ({"success", "skipped"}, "success"),
        ({"running"}, "unfinished"),
        ({"waiting"}, "unfinished"),
        ({"success", "skipped", "running", "waiting"}, "unfinished"),
        ({"failed"}, "failed"),
        ({"success", "unproven"}, "failed"),
        ({"success", "lost"}, "failed"),
        ({"running", "cancelled"}, "failed"),
    ],
)
def test_a_run_is_as_good_as_its_worst_job(statuses, expected):
    assert verdict(statuses, too_few=False) == expected


@pytest.mark.parametrize("statuses", [{"success"}, {"success", "running"}, {"skipped"}])
def test_a_run_failed_where_a_job_ran_on_too_few_nodes(statuses):
    assert verdict(statuses, too_few=True) == "failed"


# -- the run


class Lines:
    """Plays the printer, and keeps what it was given."""

    def __init__(self):
        self.said = []
        self.events = []

    def say(self, line):
        self.said.append(line)

    def event(self, *words):
        self.events.append(words)

    def stand(self, progress):
        """How far the run has come is told often."""


class World:
    """Runs over played nodes, one call after the other."""

    def __init__(self):
        self.lines = Lines()
        self._links = []

    def run(self, jobs, *links, **changes):
        self._links += links
        self.lines = Lines()
        fleet = play_fleet(
            {link.name: link for link in links},
            [measured(link.name) for link in links],
            command="ansible-playbook -i hosts",
            quarantines=Quarantines({link.name: link.name for link in links}),
        )
        return run(make_request(jobs, **{"named": False, **changes}), fleet, self.lines)

    def close(self):
        for link in self._links:
            link.close()


@pytest.fixture
def world(short_pauses, no_thread_is_left):
    made = World()
    yield made
    made.close()


def test_the_document_of_a_run_is_what_lies_in_its_folder(world):
    document = world.run(JOBS, PlayedNode("n"))
    assert document.keys() == RunDocument.__annotations__.keys()
    assert json.loads(Path(document["folder"], "run.json").read_text()) == document

    assert (document["kind"], document["status"], document["message"]) == ("run", "success", None)
    assert (document["run_id"], document["controller"]) == (RUN, controller_id())
    assert [row["name"] for row in document["jobs"]] == ["a", "b"]
    assert document["command"] == "ansible-playbook -i hosts"


def test_people_are_told_first_how_to_go_on_after_an_interruption(world):
    world.run(JOBS, PlayedNode("n"), notes=("a note",))
    assert world.lines.said == [
        "run r: 2 jobs, 1 node",
        "if this is interrupted, the jobs go on; how to go on with it:",
        "  the same command with -e gummy_run_id=r   (takes up what is left)",
        "  ansible-playbook -i hosts distributed.gummy.logs -e gummy_run_id=r",
        "a note",
    ]
    assert {verb for _job, verb, _node, _text in world.lines.events} == {
        "place",
        "start",
        "wait",
        "fetch",
    }


@pytest.mark.parametrize(("min_nodes", "status"), [(1, "success"), (2, "failed")])
def test_a_job_on_too_few_nodes_fails_a_run_whose_jobs_are_good(world, min_nodes, status):
    jobs = [shell_job("a.n", node="n", of="a"), shell_job("a.m", node="m", of="a")]
    document = world.run(jobs, PlayedNode("n"), each="node", min_nodes=min_nodes)
    assert [row["status"] for row in document["jobs"]] == ["success", "skipped"]
    assert document["status"] == status
    assert (document["message"] is None) == (status == "success")


def test_a_run_that_is_called_again_does_what_is_left_and_nothing_twice(world):
    first = world.run(JOBS[:1], PlayedNode("n"))
    node = PlayedNode("n")
    second = world.run(JOBS, node)

    assert [row["status"] for row in second["jobs"]] == ["success", "success"]
    assert second["jobs"][0] == first["jobs"][0] and second["uid"] == first["uid"]
    (start,) = node.requests("start")
    assert start["spec"]["job"] == "b"
    assert any(line.startswith("resuming the run of ") for line in world.lines.said)
    assert any(line.endswith("1 of 2 done, 0 may still run") for line in world.lines.said)


def test_a_run_is_changed_by_the_calls_that_start_or_fetch_something(world):
    assert world.run(JOBS[:1], PlayedNode("n"))["changed"]

    idle = PlayedNode("n")
    assert not world.run(JOBS[:1], idle)["changed"] and idle.requests("start") == []


def test_a_run_whose_jobs_ask_for_what_is_not_set_here_begins_nothing(world):
    node = PlayedNode("n")
    with pytest.raises(InputError, match="GUMMY_TEST_IS_NOT_SET is not set here"):
        world.run([shell_job("a", pass_env=("GUMMY_TEST_IS_NOT_SET",))], node)
    assert node.asked == []


# -- the plan


def test_a_plan_measures_what_is_not_known_and_says_where_each_job_would_go():
    def measure(name, link):
        if name == "down":
            raise LinkError("no route to host")
        return measured(name)

    links = {name: PlayedNode(name) for name in ("down", "up")}
    fleet = play_fleet(links, measure=measure, left_out=(("phone", "no ssh there"),))
    document = plan(make_request(JOBS, notes=("a note",)), fleet)

    assert document.keys() == PlanDocument.__annotations__.keys()
    assert [(row["name"], row["node"], row["waits"]) for row in document["jobs"]] == [
        ("a", "up", False),
        ("b", "up", False),
    ]
    rejected = {entry["host"]: entry["rejected"] for entry in document["jobs"][0]["ranking"]}
    assert rejected == {"up": None, "down": "not reachable: no route to host"}
    assert document["left_out"] == [{"name": "phone", "reason": "no ssh there"}]
    assert document["notes"] == [
        "a note",
        "no local fallback: localhost is not among the hosts of this play (--limit drops it)",
    ]
    assert all(link.asked == [] for link in links.values())


def test_a_plan_of_a_run_that_was_called_before_places_what_is_left(world):
    world.run(JOBS[:1], PlayedNode("n"))
    fleet = play_fleet({"n": PlayedNode("n")}, measure=lambda name, link: measured(name))
    document = plan(make_request(JOBS), fleet)

    first, second = document["jobs"]
    assert (first["node"], first["why"]) == ("n", "success before: left as it is")
    assert first["before"] == "success" and first["ranking"] == []
    assert second["node"] == "n" and "before" not in second
    assert document["notes"][0].endswith("1 of 2 done, 0 may still run")

    world.run(JOBS, PlayedNode("n"))
    assert all(row["before"] == "success" for row in plan(make_request(JOBS), fleet)["jobs"])


def test_a_plan_follows_what_may_still_run():
    record = _record.RunRecord(RUN)
    record.begin({"a": JOBS[0].digest()}, {"a": JOBS[0].content()}, "c")
    record.append("attempt", attempt="x" * 12, job="a", node="gone", state="sent", store="s")
    record.close()
    fleet = play_fleet({}, [measured("n")])
    (row,) = plan(make_request(JOBS[:1]), fleet)["jobs"]
    assert (row["node"], row["before"]) == ("gone", "running")
    assert row["why"] == "began before: it would be followed to its end, and brought home"


def test_a_plan_with_the_controller_among_the_hosts_needs_no_note():
    fleet = play_fleet({}, [measured("n")], fallback=replace(measured("localhost"), local=True))
    assert plan(make_request(JOBS), fleet)["notes"] == []
