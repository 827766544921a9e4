"""What an agent left is at home, however it ended, and the user's own tree is as it was.

What is old is cleaned away.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import sys
from collections.abc import Iterator

import pytest
from real_nodes import NODES, Controller, Fleet, git

TREES = pathlib.Path(__file__).resolve().parents[1] / "unit" / "node" / "trees.py"
sys.path.insert(0, str(TREES.parent))
import trees

pytestmark = pytest.mark.once
ENDS = {
    "good": "exit 0",
    "bad": "exit 3",
    "late": "exec sleep 1000",
    "cancelled": "exec sleep 1000",
    "killed": "exec sleep 1000",
}


def seen_from_here(spec: pathlib.Path, workspace: str) -> pathlib.Path:
    """A workspace as it is seen from here: a node may see its home by another path.

    spec: of an attempt, as seen from here; workspace: its path on the node.
    """
    home = spec.parents[6]
    assert (home / ".local").is_dir()
    return home.joinpath(*pathlib.Path(workspace).parts[-3:])


@pytest.fixture
def waiting(fleet: Fleet) -> Iterator[str]:
    """The command of an agent that does everything to its tree.

    It says so in its node's home, and ends in one of ways.
    """
    for node in NODES:
        fleet.put(node, "trees.py", TREES.read_bytes())
    yield 'python3 -B "$HOME/trees.py" %d && touch "$HOME/changed-$GUMMY_JOB" && %s'
    for node in NODES:
        for path in fleet.home(node).glob("changed-*"):
            path.unlink()


def place_of(fleet: Fleet, attempt: str, name: str) -> pathlib.Path:
    (found,) = [
        path
        for node in NODES
        for path in fleet.home(node).glob(
            f".local/state/distributed-gummy/*/attempts/{attempt}/{name}"
        )
    ]
    return found


def test_however_an_agent_ends_its_work_is_at_home_and_the_project_is_as_it_was(
    controller: Controller, fleet: Fleet, waiting: str
) -> None:
    # A project with a stash, and something that is not committed yet.
    project = controller.folder / "tree"
    project.mkdir()
    tree = trees.Tree(project, 1)
    tree.fill()
    git(project, "stash")
    tree.write(tree.take(b".file"))
    before = trees.identity(project)

    # One job for each way to end; all change what they can, and then wait.
    jobs = [
        {
            "name": name,
            "command": waiting % (number, end),
            "project": str(project),
            "artifacts": trees.ARTIFACTS,
            "deliver": "branch",
            "timeout": "1h",
        }
        for number, (name, end) in enumerate(ENDS.items(), 10)
    ]
    jobs[2]["timeout"] = "15s"
    started = controller.begin("run", "-e", controller.jobs(*jobs), "-e", "gummy_run_id=ends")
    marks = [[fleet.home(node) / f"changed-{name}" for node in NODES] for name in ENDS]
    started.wait_for(
        lambda: all(any(path.exists() for path in paths) for paths in marks), "all changes"
    )

    # One is cancelled, and the supervisor of one is killed.
    cancelled = controller.play("cancel", "-e", "gummy_job=ends/cancelled")
    assert cancelled.status == 0, cancelled
    (attempt,) = {
        row["attempt"]
        for row in journal(controller, "ends")
        if row.get("job") == "killed" and row["kind"] == "attempt"
    }
    lock = place_of(fleet, attempt, "lock")
    fleet.ssh(
        next(node for node in NODES if fleet.home(node) in lock.parents),
        f"kill -9 {lock.read_text(encoding='utf-8').strip()}",
    )

    # Each end is told as what it is, and the project did not notice.
    played = started.end()
    ends = {
        "good": ("success", None),
        "bad": ("failed", "agent"),
        "late": ("failed", "timeout"),
        "cancelled": ("cancelled", "cancelled"),
        "killed": ("failed", "lost"),
    }
    assert {name: (row["status"], row["class"]) for name, row in played.jobs.items()} == ends, (
        played
    )
    assert trees.identity(project) == before

    # The work of each job makes of the project as it was what lies on its node.
    for name, row in played.jobs.items():
        path = place_of(fleet, row["attempts"][0]["id"], "spec.json")
        spec = json.loads(path.read_text(encoding="utf-8"))
        workspace = seen_from_here(path, spec["workspace"])
        user = controller.folder / f"user-{name}"
        shutil.copytree(project, user, symlinks=True)
        # These were ignored, and did not go to the node.
        for ignored in user.rglob("x.inner"):
            ignored.unlink()
        trees.apply(row["folder"], user, plain=False, nested=row["nested"])
        at_home = trees.listing(user)
        on_the_node = trees.listing(workspace / "tree")
        assert trees.differences(at_home, on_the_node, row["left_out"]) == [], name

        # The parts of a patch that are no lines of text came home beside it.
        assert row["files_changed"] > 10 and row["artifacts"] >= 2 and len(row["nested"]) >= 2, row

        # It is a branch of the project too, by the agent and without a word of warning.
        branch = f"gummy/ends/{name}"
        assert (
            row["delivered"] == {**row["delivered"], "branch": branch, "note": ""}
            and f"branch {branch}" in played.output
        )
        commits = trees.said(project, "log", "--format=%an|%s", branch).splitlines()
        assert any(line.startswith("An Agent|work ") for line in commits)

    # Their changes meet in the same files, and the output has an order to take them in.
    assert played.run["conflicts"] and "apply in this order: " in played.output


def journal(controller: Controller, run_id: str) -> list[dict[str, object]]:
    lines = (
        (controller.state / "runs" / run_id / "journal.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    return [json.loads(line) for line in lines]


def test_clean_says_what_would_go_and_then_frees_that_and_no_more(
    controller: Controller, fleet: Fleet
) -> None:
    # One run is long over, another goes on.
    first = controller.shell("echo x > x", "-e", "gummy_run_id=cleaned")
    started = controller.begin(
        "run",
        "-e",
        controller.jobs(
            {"name": "goes-on", "command": 'until [ -e "$HOME/clean-go" ]; do sleep 0.05; done'}
        ),
    )
    started.wait_for(lambda: "  start  " in started.said(), "a start")

    attempt = place_of(fleet, first.job["attempts"][0]["id"], "acknowledged")
    old = attempt.stat().st_mtime - 40 * 86400
    for path in (
        attempt,
        controller.state / "runs/cleaned/journal.jsonl",
        controller.state / "runs/cleaned/run.json",
    ):
        os.utime(path, (old, old))

    # Asked what would go, it says so and frees nothing.
    shown = controller.play("clean", "--check")
    assert (
        shown.status == 0
        and "clean would free" in shown.output
        and "cleaned" in shown.output
        and "1 attempt" in shown.output
    ), shown
    assert attempt.exists() and (controller.state / "runs/cleaned").exists()

    # Then it frees that, and what goes on comes to a good end.
    done = controller.play("clean")
    assert done.status == 0 and "clean freed" in done.output and "1 attempt" in done.output, done
    assert not attempt.parent.exists() and not (controller.state / "runs/cleaned").exists()
    for node in NODES:
        fleet.put(node, "clean-go", "")
    assert started.end().status == 0


def test_a_branch_that_cannot_be_made_keeps_the_work_and_harvest_makes_it_later(
    controller: Controller,
) -> None:
    project = controller.folder / "project"
    # No branch gummy/... beside it.
    git(project, "branch", "gummy")
    words = ("-e", "gummy_run_id=blocked", "-e", "gummy_deliver=branch")
    played = controller.shell("echo x > new", *words)
    assert (played.status, played.job["class"], played.job["delivered"]) == (
        2,
        "deliver",
        None,
    ) and "the work is in /" in played.output, played
    assert "+x" in pathlib.Path(played.job["patch"]).read_text(encoding="utf-8")
    git(project, "branch", "-D", "gummy")
    brought = controller.play("harvest", "-e", "gummy_run_id=blocked")
    assert (
        brought.status == 0
        and "fetched before; branch gummy/blocked/job-1" in brought.output.replace(", ", "; ")
    ), brought
    assert pathlib.Path(played.job["folder"], "log").exists()
    assert git(project, "show", "gummy/blocked/job-1:new").stdout == "x\n"


def test_a_harvest_that_failed_is_brought_home_by_the_command_that_the_summary_prints(
    controller: Controller, fleet: Fleet
) -> None:
    played = controller.shell("echo precious > work; mv ../baseline.git ../aside")
    assert (played.status, played.job["class"]) == (2, "harvest"), played
    spec = place_of(fleet, played.job["attempts"][0]["id"], "spec.json")
    there = seen_from_here(spec, json.loads(spec.read_text(encoding="utf-8"))["workspace"])
    assert (
        (there / "tree/work").read_text(encoding="utf-8") == "precious\n"
        and f"distributed.gummy.harvest -e gummy_job={spec.parent.name}" in played.output
    )
    (there / "aside").rename(there / "baseline.git")
    brought = controller.play("harvest", "-e", f"gummy_job={spec.parent.name}")
    assert brought.status == 0, brought
    assert "+precious" in (
        pathlib.Path(played.run["folder"]) / played.job["name"] / "changes.patch"
    ).read_text(encoding="utf-8")
