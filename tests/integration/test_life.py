"""The life of runs on real nodes: detach, cancel, interrupt, do the failed ones anew, take over.

The jobs count their starts on the nodes.
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence

import pytest
from real_nodes import NODES, Controller, Counter, Fleet, Playing, applies, until

pytestmark = pytest.mark.once


class Held:
    """Commands that count their starts in their node's home, and are held.

    They write something, and wait there to be let go.
    """

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet = fleet
        self.name = name
        self.command = (
            f'echo "$GUMMY_JOB" >> "$HOME/{name}"; echo half > work; '
            f'until [ -e "$HOME/{name}-go" ]; do sleep 0.05; done; echo all > work'
        )

    def jobs(self, count: int, **more: object) -> list[dict[str, object]]:
        return [
            {"name": f"job-{number}", "command": self.command, **more}
            for number in range(1, count + 1)
        ]

    def starts(self) -> list[str]:
        return sorted(line for lines in self.fleet.lines(self.name).values() for line in lines)

    def let_go(self) -> None:
        for node in NODES:
            self.fleet.put(node, f"{self.name}-go", "")

    def processes(self) -> int:
        """Shells of these commands that live on this machine, which all nodes share."""
        listing = subprocess.run(
            ["ps", "-axwwo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        ).stdout
        rows = [line.split(None, 2) for line in listing.splitlines()]
        shells = {
            row[0]: row[1]
            for row in rows
            if row[2:] and row[2].startswith("/bin/sh -c") and f"{self.name}-go" in row[2]
        }
        # For a moment a child of theirs has their words too.
        return sum(parent not in shells for parent in shells.values())


@pytest.fixture
def held(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[Held]:
    one = Held(fleet, re.sub(r"\W", "-", request.node.name))
    yield one
    one.let_go()


@pytest.fixture
def other(
    make_controller: Callable[[pathlib.Path], Controller], tmp_path: pathlib.Path
) -> Iterator[Controller]:
    one = make_controller(tmp_path / "other")
    yield one
    one.close()


def running(
    controller: Controller,
    held: Held,
    count: int,
    starts: int,
    *words: str,
    nodes: Sequence[str] = (),
) -> tuple[Playing, Sequence[str]]:
    """A run of so many jobs, once so many have started; and its words.

    The first of them are pinned to these nodes.
    """
    jobs = [
        {**job, **({"node": nodes[number]} if number < len(nodes) else {})}
        for number, job in enumerate(held.jobs(count))
    ]
    again = ("-e", controller.jobs(*jobs), "-e", f"gummy_run_id={held.name[:60]}", *words)
    started = controller.begin("run", *again)
    started.wait_for(
        lambda: len(held.starts()) == starts and started.said().count("  start  ") == starts,
        f"{starts} starts",
    )
    return started, again


def test_a_detached_run_says_what_started_and_what_waits_and_the_next_call_takes_up_the_rest(
    controller: Controller, held: Held
) -> None:
    words = ("-e", controller.jobs(*held.jobs(8)), "-e", "gummy_run_id=detached")
    first = controller.run(*words, "-e", "gummy_detach=true")
    assert first.status == 0 and first.run["status"] == "unfinished", first
    assert (
        sorted(row["status"] for row in first.jobs.values()) == ["running"] * 6 + ["waiting"] * 2
        and len(held.starts()) == 6
    )
    assert "0 of 8 jobs succeeded in " in first.output and "; 6 running, 2 waiting." in first.output
    assert "call the run again for the rest" in first.output
    held.let_go()
    second = controller.run(*words)
    assert second.status == 0 and "0 of 8 done, 6 may still run" in second.output, second
    assert held.starts() == sorted(second.jobs) and all(
        applies(row["patch"], controller.project) for row in second.jobs.values()
    )


def test_a_detached_run_that_is_called_again_detached_brings_home_what_has_ended(
    controller: Controller, held: Held
) -> None:
    words = ("-e", controller.jobs(*held.jobs(1)), "-e", "gummy_run_id=twice")
    words = (*words, "-e", "gummy_detach=true")
    assert controller.run(*words).run["status"] == "unfinished"
    assert controller.run(*words).run["status"] == "unfinished"
    held.let_go()
    until(lambda: controller.run(*words).run["status"] == "success", "the end of the job", 60)
    assert len(held.starts()) == 1


def test_a_cancelled_run_ends_all_it_runs_begins_nothing_and_brings_home_what_there_was(
    controller: Controller, held: Held
) -> None:
    started, again = running(controller, held, 9, 6)
    assert held.processes() == 6
    cancelled = controller.play("cancel", "-e", f"gummy_run_id={held.name[:60]}")
    assert cancelled.status == 0 and cancelled.output.count("  cancelled\n") == 6, cancelled
    played = started.end()
    assert played.status == 2 and {row["status"] for row in played.jobs.values()} == {
        "cancelled"
    }, played
    assert len(held.starts()) == 6 and held.processes() == 0
    patches = [row["patch"] for row in played.jobs.values() if row["patch"]]
    assert len(patches) == 6 and all(
        "+half" in pathlib.Path(patch).read_text(encoding="utf-8") for patch in patches
    )
    held.let_go()
    anew = controller.run(*again, "-e", "gummy_only=failed")
    assert anew.status == 0 and len(held.starts()) == 6 + 9, anew


def test_one_job_is_cancelled_from_another_controller_and_the_others_go_on(
    controller: Controller, other: Controller, held: Held
) -> None:
    started, _again = running(controller, held, 2, 2)
    cancelled = other.play("cancel", "-e", f"gummy_job={held.name[:60]}/job-1")
    assert cancelled.status == 0, cancelled
    started.wait_for(lambda: "cancelled" in started.said(), "the end of the cancelled job")
    held.let_go()
    played = started.end()
    assert {name: row["status"] for name, row in played.jobs.items()} == {
        "job-1": "cancelled",
        "job-2": "success",
    }, played


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("wish", ["leave", "cancel"])
def test_an_interrupt_leaves_the_jobs_or_cancels_them(
    controller: Controller, held: Held, wish: str, number: signal.Signals
) -> None:
    started, again = running(controller, held, 8, 6, "-e", f"gummy_on_interrupt={wish}")
    started.process.send_signal(number)
    started.process.wait()
    if wish == "cancel":
        until(lambda: held.processes() == 0, "the end of all jobs")
    else:
        assert held.processes() == 6
    held.let_go()
    played = until(
        lambda: (now := controller.run(*again)) and "driven by another" not in now.output and now,
        "the end of the orphan",
    )
    ends = sorted(row["status"] for row in played.jobs.values())
    assert ends == (["success"] * 8 if wish == "leave" else ["cancelled"] * 6 + ["success"] * 2), (
        played
    )
    assert held.starts() == sorted(played.jobs)


def test_only_the_failed_jobs_are_done_anew_as_new_attempts(
    controller: Controller, fleet: Fleet
) -> None:
    count = 'echo "$GUMMY_JOB" >> "$HOME/only"; '
    jobs = [
        {"name": "good", "command": count + "true"},
        {"name": "bad", "command": count + 'test -e "$HOME/mended"'},
    ]
    words = ("-e", controller.jobs(*jobs), "-e", "gummy_run_id=only")
    first = controller.run(*words)
    assert first.status == 2 and first.jobs["bad"]["class"] == "agent", first
    again = controller.run(*words)
    assert again.status == 2 and "2 of 2 done" in again.output and fleet.count("only") == 2, again
    for node in NODES:
        fleet.put(node, "mended", "")
    anew = controller.run(*words, "-e", "gummy_only=failed")
    assert (
        anew.status == 0 and fleet.count("only", "good") == 1 and fleet.count("only", "bad") == 2
    ), anew
    assert first.jobs["bad"]["attempts"][0]["id"] != anew.jobs["bad"]["attempts"][0]["id"]


def test_a_run_of_another_controller_is_taken_over_and_the_first_one_starts_nothing_more(
    controller: Controller, other: Controller, held: Held
) -> None:
    first, again = running(controller, held, 8, 6)
    first.kill()
    words = ("-e", other.jobs(*held.jobs(8)), *again[2:])
    # It is its own, and goes on.
    refused = controller.begin("run", *again)
    refused.wait_for(lambda: "6 may still run" in refused.said(), "the resumption")
    # The job is the same only in the same project.
    project = ("-e", f"gummy_project={controller.project}")
    taken = other.begin("run", *words, *project, "-e", "gummy_adopt=true")
    taken.wait_for(
        lambda: (
            "taking over the run from what the nodes know: 6 of 8 jobs have begun" in taken.said()
        ),
        "the takeover",
    )
    held.let_go()
    played = taken.end()
    loser = refused.end()
    assert (
        played.status == 0
        and len(played.jobs) == 8
        and all(applies(row["patch"], controller.project) for row in played.jobs.values())
    ), played
    assert held.starts() == sorted(played.jobs)
    assert loser.status == 2 and "was taken over by another controller" in loser.output, loser


def test_a_run_whose_record_was_deleted_is_not_begun_anew_but_taken_over(
    controller: Controller, held: Held
) -> None:
    first, again = running(controller, held, 2, 2)
    first.kill()
    shutil.rmtree(controller.state / "runs")
    anew = controller.run(*again)
    assert (
        anew.status == 2
        and not anew.jobs
        and "gummy_adopt=true" in anew.output
        and len(held.starts()) == 2
    ), anew
    held.let_go()
    taken = controller.run(*again, "-e", "gummy_adopt=true")
    assert taken.status == 0 and held.starts() == ["job-1", "job-2"], taken.output


def test_while_a_node_is_silent_a_takeover_places_nothing_that_it_may_hold(
    controller: Controller, other: Controller, held: Held, repaired: Fleet
) -> None:
    away = NODES[0]
    first, again = running(controller, held, 2, 2, nodes=NODES[:2])
    first.kill()
    repaired.stop(away)
    held.let_go()
    project = (
        "-e",
        f"gummy_project={controller.project}",
        "-e",
        "gummy_adopt=true",
        "-e",
        "gummy_lost_after=15s",
    )
    taken = other.run("-e", other.jobs(*held.jobs(2)), *again[2:], *project)
    statuses = sorted(row["status"] for row in taken.jobs.values())
    assert (
        taken.status == 2
        and statuses == ["lost", "success"]
        and f"no answer from {away}" in taken.output
    ), taken
    repaired.start(away)
    whole = other.run("-e", other.jobs(*held.jobs(2)), *again[2:], *project)
    assert whole.status == 0 and held.starts() == ["job-1", "job-2"], whole


def journal(controller: Controller, again: Sequence[str]) -> list[dict[str, object]]:
    run_id = next(word.partition("=")[2] for word in again if word.startswith("gummy_run_id="))
    lines = (
        (controller.state / "runs" / run_id / "journal.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    return [json.loads(line) for line in lines]


def test_a_job_whose_supervisor_was_killed_is_lost_and_its_work_is_brought_home_by_whoever_asks(
    controller: Controller, other: Controller, held: Held
) -> None:
    first, again = running(controller, held, 1, 1)
    first.kill()
    (entry,) = [row for row in journal(controller, again) if row.get("state") == "running"]
    (lock,) = controller.fleet.home(str(entry["node"])).glob(
        f".local/state/distributed-gummy/*/attempts/{entry['attempt']}/lock"
    )
    controller.fleet.ssh(str(entry["node"]), f"kill -9 {lock.read_text(encoding='utf-8').strip()}")
    shown = other.play("status")
    assert re.search(r"✗ dead|dead", shown.output), shown
    brought = other.play("harvest", "-e", f"gummy_run_id={held.name[:60]}")
    assert brought.status == 0 and held.processes() == 0, brought
    # The other controller has its node's word alone that the job is one of this run.
    told_by = other.state / "runs" / held.name[:60] / "told-by" / str(entry["node"])
    patch = told_by / "job-1" / "changes.patch"
    assert "+half" in patch.read_text(encoding="utf-8")
    played = controller.run(*again)
    assert (played.status, played.job["class"], len(held.starts())) == (2, "lost", 1), played


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("gummy_run_id=detachd",), r"no attempt of detachd is known .* detached \(\d+ \w+"),
        (("gummy_job=jobb-1",), r"no attempt of jobb-1 is known .* detached/job-1 \(success"),
        (("gummy_job=../../etc/passwd",), "is no job: give RUN/name"),
        (("gummy_job=-oProxyCommand=x",), "is no job"),
        ((), "say which: gummy_job=NAME"),
    ],
)
@pytest.mark.parametrize("playbook", ["logs", "cancel", "harvest"])
def test_a_job_or_run_that_is_not_known_is_an_error_with_the_nearest(
    controller: Controller, playbook: str, words: Sequence[str], says: str
) -> None:
    controller.shell("true", "-e", "gummy_run_id=detached", "-e", "gummy_nodes=node-1")
    played = controller.play(playbook, *(word for one in words for word in ("-e", one)))
    assert played.status != 0 and re.search(says, " ".join(played.output.split())), played


def test_a_node_that_runs_a_job_is_kept_awake_and_status_says_by_what(
    controller: Controller, repaired: Fleet, counter: Counter
) -> None:
    grants = '#!/bin/sh\nwhile case $1 in --*) ;; *) false ;; esac; do shift; done\nexec "$@"\n'
    (repaired.home("node-1") / "awake").mkdir(exist_ok=True)
    repaired.put("node-1", "awake/systemd-inhibit", grants, 0o755)
    repaired.put("node-1", ".bashrc", 'PATH="$HOME/awake:$PATH"\nexport PATH\n')
    try:
        jobs = controller.jobs({"command": counter.command("-go"), "node": "node-1"})
        started = controller.begin("run", "-e", jobs)
        started.wait_for(counter.starts, "the start")

        def status() -> str:
            return controller.play("status").output

        until(lambda: "its node is kept awake (sleep:idle)" in status(), "what keeps it awake")
        counter.let_go("-go")
        assert started.end().job["status"] == "success"
        assert "kept awake" not in status()
    finally:
        (repaired.home("node-1") / ".bashrc").unlink()


def test_a_job_that_a_logout_would_end_is_not_begun_and_the_reason_is_told(
    controller: Controller, repaired: Fleet
) -> None:
    logind = (
        '#!/bin/sh\ncase "$*" in *Kill*) echo KillUserProcesses=yes ;; *) echo Linger=no ;; esac\n'
    )
    (repaired.home("node-1") / "logind").mkdir(exist_ok=True)
    repaired.put("node-1", "logind/loginctl", logind, 0o755)
    repaired.put("node-1", ".bashrc", 'PATH="$HOME/logind:$PATH"\nexport PATH\n')
    for remembered in repaired.home("node-1").glob(".local/state/distributed-gummy/*/logout.json"):
        remembered.unlink()
    try:
        run = controller.shell("true", "-e", "gummy_node=node-1")
        assert run.job["status"] == "failed" and run.job["class"] == "refused", run.job
        assert "loginctl enable-linger" in run.job["message"], run.job
    finally:
        (repaired.home("node-1") / ".bashrc").unlink()
