"""Every point at which the process that drives a run, or its session with a node, can be ended.

The run goes on, under its name or by itself, and its job starts once.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from real_nodes import NODES, Controller, Fleet, applies, until

pytestmark = pytest.mark.once
HOOK = pathlib.Path(__file__).with_name("crash_point")
AT_ONCE = 6
# How many points a run has, at the very most.
MOST = 60


def marks(fleet: Fleet, uid: str) -> dict[str, set[str]]:
    """The files of each attempt of this run that a node knows of."""
    folders = [
        path
        for node in NODES
        for path in fleet.home(node).glob(f".local/state/distributed-gummy/*/attempts/{uid}-*")
    ]
    return {folder.name: {path.name for path in folder.iterdir()} for folder in folders}


class Crashed:
    """A run of one job on a controller of its own, ended at one point and called again."""

    def __init__(self, controller: Controller, fleet: Fleet, who: str, number: int) -> None:
        self.controller = controller
        self.fleet = fleet
        self.name = f"crash-{who}-{number}"
        # By settings of its own it has an ssh master of its own.
        more = f" -o ConnectionAttempts={number + 1}"
        login = fleet.login("node-1")
        hosts = {
            "node-1": {**login, "ansible_ssh_common_args": login["ansible_ssh_common_args"] + more}
        }
        job = {
            "name": self.name,
            "command": f'echo "$GUMMY_JOB" >> "$HOME/crash-starts"; echo {number} > done.txt',
        }
        self.words = ("-e", controller.jobs(job), "-e", f"gummy_run_id={self.name}")
        self.inventory = controller.static(hosts)
        mark = controller.folder / "crash"
        crash = {"PYTHONPATH": str(HOOK), "GUMMY_CRASH_POINT": f"{who} {number} {mark}"}
        first = controller.begin("run", *self.words, inventory=self.inventory, env=crash)
        if who == "session":
            # The run goes on by itself, in one attempt.
            played = first.end()
            self.point = mark.read_text(encoding="utf-8") if mark.exists() else ""
            assert played.status == 0, f"ended at {self.name}, {self.point!r}:\n{played}"
            assert len(played.job["attempts"]) == 1, f"ended at {self.point!r}:\n{played}"
            return
        until(lambda: mark.exists() or first.process.poll() is not None, "the point, or the end")
        # A worker that dies in the middle of a word to its playbook can make it hang.
        with contextlib.suppress(subprocess.TimeoutExpired):
            first.process.wait(3)
        first.kill()
        self.point = mark.read_text(encoding="utf-8") if mark.exists() else ""
        assert self.point or first.process.returncode == 0, first.said()

    def check(self) -> None:
        def resumed() -> object:
            played = self.controller.run(*self.words, inventory=self.inventory)
            return "driven by another" not in played.output and played

        played = until(resumed, "the end of the orphan")
        where = f"ended at {self.name}, {self.point!r}:\n{played}"
        assert played.status == 0 and applies(played.job["patch"], self.controller.project), where
        assert self.fleet.count("crash-starts", self.name) == 1, where
        journal = (self.controller.state / "runs" / self.name / "journal.jsonl").read_text(
            encoding="utf-8"
        )
        attempts = marks(self.fleet, played.run["uid"])
        assert all(attempt in journal for attempt in attempts), where
        assert sum("agent" in files for files in attempts.values()) == 1, where
        assert all(
            files & {"ended.json", "void"} for files in attempts.values() if "starting" in files
        ), where


@pytest.fixture(autouse=True)
def leases_end(fleet: Fleet) -> Iterator[None]:
    """The claims of the dead would keep slots from the tests that follow, for two minutes."""
    yield
    for node in NODES:
        for claims in fleet.home(node).glob(".local/state/distributed-gummy/*/claims.json"):
            claims.unlink()


@pytest.mark.parametrize("who", ["worker", "all", "session"])
def test_wherever_a_run_is_ended_it_goes_on_and_its_job_starts_once(
    fleet: Fleet,
    make_controller: Callable[[pathlib.Path], Controller],
    tmp_path: pathlib.Path,
    who: str,
) -> None:
    def crash(number: int) -> str:
        controller = make_controller(tmp_path / f"{who}-{number}")
        controller.configure(json.dumps({"nodes": {node: {"slots": 64} for node in NODES}}))
        try:
            one = Crashed(controller, fleet, who, number)
            one.check()
        finally:
            controller.close()
        return one.point

    points: list[str] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for first in range(1, MOST, AT_ONCE):
            points += pool.map(crash, range(first, first + AT_ONCE))
            if not all(points):
                break
    assert not all(points), "it never got through"
    verbs = ("session", "claim", "rsync", "start", "poll", "ack")
    assert points.count("journal") == 6 and {
        f"{when} {verb}" for verb in verbs for when in ("before", "begun", "ended")
    } <= {*points}, points
