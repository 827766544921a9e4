"""In check mode every playbook says what it would do, and changes nothing.

There is a job that runs, one that has ended and was not fetched, and a repository with changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping

import pytest
from real_nodes import NODES, ROOT, Controller, Counter, Fleet, Played, git, until

pytestmark = pytest.mark.once

PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
SHELL = ("-e", '{"gummy_agent": "shell", "gummy_command": "echo more > more.txt"}')
# Playbook -> the words behind it, what it says, and whether something would be changed.
SAYS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], bool]] = {
    "cancel": (
        ("-e", "gummy_run_id=held"),
        ("held/waits", "running: would be ended"),
        True,
    ),
    "clean": ((), ("clean would free",), False),
    "doctor": ((), ("doctor: ", "node-1  "), False),
    "harvest": (
        ("-e", "gummy_run_id=left", "--diff"),
        ("left/ends", "runs/left/ends, would be fetched", "+++ b/new.txt", "+new"),
        True,
    ),
    "install": (
        ("--diff",),
        (
            "0 of 3 nodes can use gummy",
            "installed by your own command:",
            "+touch ~/installed",
        ),
        True,
    ),
    "local_fleet": (
        ("-e", "gummy_fleet_state=down"),
        ("Would end node-1, node-2, node-3 and remove ",),
        True,
    ),
    "logs": (("-e", "gummy_run_id=left"), ("== left/ends on node-", "said by the job"), False),
    "plan": (SHELL, ("plan: nothing is changed", "job-1  ->  node-"), False),
    "run": (SHELL, ("plan: nothing is changed", "job-1  ->  node-"), False),
    "specialists": ((), ("node-1",), False),
    "status": ((), ("left/ends", "held/waits"), False),
    "watch": ((), ("left/ends", "held/waits", "node-1 "), False),
    "sync": ((), ("would send", "to node-", "  a.txt", "  new.md"), True),
}
# What may change: the node program in its folder, caches, the files of ssh and of Ansible itself,
# what a node's shell said of its PATH, and what the supervisor of the job that runs tells of it
# (the last two are written into their folders).
MAY_CHANGE = re.compile(
    r"/(\.cache|\.ssh|\.ansible|\.local/state/distributed-gummy/bin)(/|$)"
    r"|/distributed-gummy/[0-9a-f]{32}(/shell\.json)?$"
    r"|/attempts/[^/]+(/signs\.json[^/]*)?$"
)


def everything(*tops: pathlib.Path) -> dict[str, tuple[object, ...]]:
    """Each path below these folders: kind, mode, time, and what is in it."""
    found: dict[str, tuple[object, ...]] = {}
    for top in tops:
        for folder, folders, files in os.walk(top):
            for path in (os.path.join(folder, name) for name in (*folders, *files)):
                if MAY_CHANGE.search(path.removeprefix(str(top))):
                    continue
                info = os.lstat(path)
                content = ""
                if stat.S_ISREG(info.st_mode):
                    content = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
                found[path] = (info.st_mode, info.st_mtime_ns, info.st_ino, content)
    return found


class World:
    """A controller with work that has to be left alone, and all that it and the nodes keep."""

    def __init__(self, controller: Controller, fleet: Fleet) -> None:
        self.controller = controller
        self.fleet = fleet

    def everything(self) -> dict[str, tuple[object, ...]]:
        homes = [self.fleet.home(node) for node in NODES]
        return everything(pathlib.Path(self.controller.env["HOME"]), self.project, *homes)

    @property
    def project(self) -> pathlib.Path:
        return self.controller.project

    def play(self, playbook: str, *words: str) -> Played:
        if playbook == "local_fleet":
            words = (*words, "-e", f"gummy_fleet_dir={self.fleet.folder}")
        return self.controller.play(playbook, *words)

    def attempts(self, run_id: str, mark: str) -> list[pathlib.Path]:
        return [
            path
            for node in NODES
            for path in self.fleet.home(node).glob(
                f".local/state/distributed-gummy/*/attempts/*/{mark}"
            )
            if f'"run_id": "{run_id}"' in (path.parent / "spec.json").read_text(encoding="utf-8")
        ]


@pytest.fixture
def world(controller: Controller, fleet: Fleet, counter: Counter) -> Iterator[World]:
    one = World(controller, fleet)
    # The nodes have no agent, and there is something that would install it.
    for node in NODES:
        shutil.rmtree(fleet.home(node) / "bin", ignore_errors=True)
    agents = {"gummy": {"install": "touch ~/installed"}}
    slots = {node: {"slots": 2} for node in NODES}
    controller.configure(json.dumps({"nodes": slots, "agents": agents}))
    # Ansible's own modules go over Ansible's own master, whose socket can't lie as deep as a test.
    sockets = tempfile.mkdtemp(prefix="gummy-cp-")
    controller.env["ANSIBLE_SSH_CONTROL_PATH_DIR"] = sockets
    (one.project / "new.md").write_text("not committed\n", encoding="utf-8")
    (one.project / "a.txt").write_text("changed\n", encoding="utf-8")
    git(one.project, "stash")
    git(one.project, "stash", "apply")
    ends = "echo said by the job; echo new > new.txt"
    jobs = {
        "left": {"name": "ends", "command": ends},
        "held": {"name": "waits", "command": counter.command("-go")},
    }
    for run_id, job in jobs.items():
        words = ("-e", f"gummy_run_id={run_id}", "-e", "gummy_detach=true")
        played = controller.run("-e", controller.jobs(job), *words)
        assert played.status == 0, played.output
    until(lambda: one.attempts("left", "ended.json"), "an end")
    until(lambda: one.attempts("held", "agent"), "a start")
    yield one
    counter.let_go("-go")
    until(lambda: one.attempts("held", "ended.json"), "the other end")
    # Nodes are others' too: nothing of it stays unfetched there.
    for run_id in jobs:
        controller.play("harvest", "-e", f"gummy_run_id={run_id}")
    shutil.rmtree(sockets)


def changed(played: Played) -> bool:
    """Whether the recap counts a task that has changed something."""
    counts = re.findall(r" changed=([0-9]+) ", played.output)
    assert counts, played
    return any(int(count) for count in counts)


def test_every_playbook_has_its_row() -> None:
    assert sorted(SAYS) == PLAYBOOKS


def test_every_playbook_says_what_it_would_do_and_changes_nothing(
    world: World, tmp_path: pathlib.Path
) -> None:
    # The first of all checks is the one that finds no cache and no master of ssh.
    before = world.everything()
    assert any(path.endswith("ended.json") for path in before)
    for playbook, (words, says, changes) in SAYS.items():
        output = tmp_path / f"{playbook}.json"
        played = world.play(playbook, *words, "--check", "-e", f"gummy_output_file={output}")
        assert played.status == 0, played.output
        assert output.exists() or playbook == "local_fleet"
        assert [text for text in says if text not in played.output] == [], played
        after = world.everything()
        differs = {path for path in {*before, *after} if before.get(path) != after.get(path)}
        assert differs == set(), played
        assert changed(played) is changes, played


def test_what_was_said_is_done_and_a_second_time_nothing_is_left_to_do(world: World) -> None:
    for playbook in ("harvest", "cancel", "sync"):
        words, _says, _changes = SAYS[playbook]
        first = world.play(playbook, *words)
        assert first.status == 0 and changed(first), first
        again = world.play(playbook, *words)
        assert again.status == 0 and not changed(again), again
        foreseen = world.play(playbook, *words, "--check")
        assert foreseen.status == 0 and not changed(foreseen), foreseen
    assert (world.controller.state / "runs/left/ends/changes.patch").exists()

    # A mode alone, and a file that is gone, are something to send.
    os.chmod(world.project / "new.md", 0o755)
    assert changed(world.play("sync", "--check")) and changed(world.play("sync"))
    (world.project / "new.md").unlink()
    gone = world.play("sync", "--check")
    assert "delete 1" in gone.output and "  delete new.md" in gone.output, gone
    assert changed(world.play("sync")) and not changed(world.play("sync"))


def test_a_controller_without_an_identity_and_without_state_gets_none_by_a_check(
    controller: Controller, fleet: Fleet
) -> None:
    homes = [fleet.home(node) for node in NODES]
    before = everything(*homes, controller.project)
    played = controller.play("sync", "--check")
    assert played.status == 0 and "would send" in played.output, played
    assert not controller.state.exists()
    # A node that nobody has used may have got an empty store.
    after = everything(*homes, controller.project)
    new = {path for path in after if path not in before and not os.path.isdir(path)}
    assert {pathlib.Path(path).name for path in new} <= {"store.json", "claims.lock"}
    assert all(after[path] == seen for path, seen in before.items() if not os.path.isdir(path))
