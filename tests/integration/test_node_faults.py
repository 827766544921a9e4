"""A node breaks while a job is there: it dies, its disk is full, its store is damaged.

The job starts once and is never called good without reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from real_nodes import Controller, Counter, Fleet, Playing, applies, send, until

pytestmark = pytest.mark.once
NODE = "node-2"


def begin(
    controller: Controller, counter: Counter, command: str = "", *words: str
) -> tuple[Playing, tuple[str, ...]]:
    """A job on NODE that has started and waits, and the words that call its run again."""
    job = {
        "name": "one",
        "command": command or "echo half > work; " + counter.command("-go"),
        "node": NODE,
    }
    again = ("-e", controller.jobs(job), "-e", f"gummy_run_id={counter.name[:60]}", *words)
    started = controller.begin("run", *again)
    started.wait_for(lambda: "  start  " in started.said() and counter.starts(), "the start")
    return started, again


def store(fleet: Fleet) -> pathlib.Path:
    (found,) = fleet.home(NODE).glob(".local/state/distributed-gummy/*/attempts")
    return found.parent


def sessions(fleet: Fleet) -> list[int]:
    ours = [
        pid
        for node in fleet.call("status")["nodes"]
        if node["name"] == NODE
        for pid in node["pids"]
    ]
    return [
        pid
        for pid in ours
        if " session"
        in subprocess.run(
            ["ps", "-wwo", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        and not is_supervisor(pid)
    ]


def is_supervisor(pid: int) -> bool:
    """Whether it is one that a child of a session forked: its stdin is /dev/null, or an orphan."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/fd/0") == os.devnull
    parent = subprocess.run(
        ["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return parent.strip() in ("", "1")


def attempt(fleet: Fleet, started: Playing) -> pathlib.Path:
    (name,) = re.findall(r"attempt (\S+)", started.said())
    return store(fleet) / "attempts" / name


def test_a_node_that_is_started_anew_has_lost_its_job_and_kept_its_work(
    controller: Controller, repaired: Fleet, counter: Counter
) -> None:
    ask = "cat /proc/sys/kernel/random/boot_id 2>/dev/null; cat /etc/machine-id 2>/dev/null; true"
    before = repaired.ssh(NODE, ask).split()
    started, again = begin(controller, counter)
    repaired.call("stop", NODE)
    started.wait_for(lambda: "no contact" in started.said(), "the loss of contact")
    repaired.start(NODE)
    after = repaired.ssh(NODE, ask).split()
    if repaired.state["namespaces"]:
        assert before[0] != after[0] and before[1:] == after[1:]
    played = started.end()
    assert (played.status, played.job["class"]) == (2, "lost") and len(
        played.job["attempts"]
    ) == 1, played
    assert "+half" in pathlib.Path(played.job["patch"]).read_text(
        encoding="utf-8"
    ) and counter.starts() == ["one"]
    counter.let_go("-go")
    anew = controller.run(*again, "-e", "gummy_only=failed")
    assert (
        anew.status == 0
        and anew.job["workspace"] == played.job["workspace"]
        and counter.starts() == ["one", "one"]
    ), anew


def test_an_agent_that_is_killed_failed_and_its_work_comes_home(
    controller: Controller, fleet: Fleet, counter: Counter
) -> None:
    started, _again = begin(
        controller,
        counter,
        f'echo $$ > "$HOME/{counter.name}-pid"; echo half > work; ' + counter.command("-go"),
    )
    fleet.ssh(NODE, f'kill -9 "$(cat "$HOME/{counter.name}-pid")"')
    played = started.end()
    assert (played.status, played.job["status"], played.job["class"]) == (
        2,
        "failed",
        "killed",
    ) and "SIGKILL" in played.job["message"], played
    assert "+half" in pathlib.Path(played.job["patch"]).read_text(
        encoding="utf-8"
    ) and counter.starts() == ["one"]


@pytest.mark.parametrize(
    "name", ["claims.json", "spec.json", "holder.json", "slot", "result.json", "ended.json"]
)
def test_a_store_with_half_a_file_tells_no_lie(
    controller: Controller, fleet: Fleet, counter: Counter, name: str
) -> None:
    started, again = begin(controller, counter)
    folder = attempt(fleet, started)
    spec = json.loads((folder / "spec.json").read_text())
    if name in ("result.json", "ended.json"):
        # It ends while nobody listens, so that nobody has read the file yet.
        started.kill()
        counter.let_go("-go")
        until((folder / "ended.json").exists, "the end of the job on its node")

    # The file is cut in half, as by a machine that lost power.
    workspace = pathlib.Path(str(spec["workspace"])).relative_to(
        pathlib.Path(fleet.ssh(NODE, "pwd -P").strip())
    )
    path = {
        "claims.json": store(fleet) / name,
        "spec.json": folder / name,
        "holder.json": fleet.home(NODE) / workspace / name,
        "slot": store(fleet) / "slots" / str(spec["slot"]),
        "result.json": folder / "harvest" / name,
        "ended.json": folder / name,
    }[name]
    os.truncate(path, path.stat().st_size // 2)

    # The job comes to its one end, and the node takes another.
    counter.let_go("-go")
    played = controller.run(*again) if name in ("result.json", "ended.json") else started.end()
    assert (
        played.status == 0
        and applies(played.job["patch"], controller.project)
        and counter.starts() == ["one"]
    ), played

    after = controller.shell("true", "-e", f"gummy_nodes={NODE}")
    assert after.status == 0, after


# Writes a success in place of its supervisor, which would find that verify fails, and ends it.
FORGER = """
folder=$(echo "${XDG_STATE_HOME:-$HOME/.local/state}"/distributed-gummy/attempts/"$GUMMY_ATTEMPT")
[ -d "$folder" ] || folder=$(dirname "$(find "$HOME" -path "*/$GUMMY_ATTEMPT/lock" | head -1)")
mkdir -p "$folder/harvest"
cat >"$folder/harvest/result.json" <<'END'
{"class": null, "proof": "verify", "message": "", "exit_status": 0, "harvest": null,
 "signature": "%s"}
END
kill -9 "$(cat "$folder/lock")"
sleep 60
"""


@pytest.mark.parametrize("signature", ["", "0" * 64])
def test_a_success_that_the_agent_writes_in_place_of_its_supervisor_is_unproven(
    controller: Controller, fleet: Fleet, signature: str
) -> None:
    row = {"command": FORGER % signature, "verify": "false", "node": NODE, "deliver": "none"}
    played = controller.run("-e", controller.jobs(row))
    job = played.job
    assert (job["status"], job["class"], job["signature"]) == ("unproven", None, "wrong"), played
    assert "its signature is wrong" in job["message"]
    assert played.status != 0


def test_a_store_of_a_newer_schema_is_left_alone_and_its_jobs_are_waited_for(
    controller: Controller, fleet: Fleet, counter: Counter
) -> None:
    started, _again = begin(controller, counter)
    path = store(fleet) / "store.json"
    known = path.read_text()
    started.wait_for(
        lambda: sessions(fleet), "the session, which must ask again to meet the newer schema"
    )
    try:
        path.write_text(json.dumps({**json.loads(known), "format": 2}))
        send(signal.SIGKILL, sessions(fleet))
        started.wait_for(
            lambda: re.search(
                r"no contact: the store at \S+ has format 2, this program knows 1", started.said()
            ),
            "the refusal",
        )
        other = controller.shell(
            "true",
            "-e",
            f"gummy_nodes={NODE}",
            "-e",
            "gummy_attempts=1",
            "-e",
            "gummy_local_fallback=false",
        )
        assert (
            other.status == 2
            and "use the newer collection" in other.output
            and other.job["class"] == "refused"
        ), other
        assert json.loads(path.read_text())["format"] == 2
    finally:
        path.write_text(known)
    counter.let_go("-go")
    played = started.end()
    assert played.status == 0 and counter.starts() == ["one"], played


def test_a_store_that_became_another_one_proves_nothing(
    controller: Controller, fleet: Fleet, counter: Counter
) -> None:
    started, again = begin(controller, counter)
    started.kill()
    path = store(fleet) / "store.json"
    known = path.read_text()
    try:
        os.truncate(path, 5)
        lost = controller.run(*again, "-e", "gummy_lost_after=5s")
        assert (lost.status, lost.job["status"]) == (
            2,
            "lost",
        ) and "another store answers" in lost.output, lost
    finally:
        path.write_text(known)
    counter.let_go("-go")
    played = controller.run(*again)
    assert played.status == 0 and counter.starts() == ["one"], played


def test_a_record_that_is_deleted_under_a_run_is_made_again_from_what_the_nodes_know(
    controller: Controller, fleet: Fleet, counter: Counter
) -> None:
    started, again = begin(controller, counter)
    shutil.rmtree(controller.state / "runs")
    counter.let_go("-go")
    first = started.end()
    taken = controller.run(*again, "-e", "gummy_adopt=true")
    assert first.status != 0 or applies(first.job["patch"], controller.project), first
    assert (
        taken.status == 0
        and applies(taken.job["patch"], controller.project)
        and counter.starts() == ["one"]
    ), taken


# -- a full disk


class Disk:
    """The home of node-1 of a fleet of its own, on a small file system."""

    # A claim wants 256 MB free.
    SIZE = 400 << 20

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.home = str(fleet.home("node-1"))
        owner = os.stat(self.home)
        self.fleet.call("stop", "node-1")
        self.mount(
            f"size={self.SIZE},mode=700,uid={owner.st_uid},gid={owner.st_gid}",
            "-t",
            "tmpfs",
            "none",
        )
        self.fleet.start("node-1")

    def mount(self, options: str, *words: str) -> None:
        subprocess.run(["mount", *words, "-o", options, self.home], check=True)

    def fill(self) -> None:
        """There is no room for another page."""
        disk = os.statvfs(self.home)
        self.mount(f"remount,size={(disk.f_blocks - disk.f_bfree) * disk.f_frsize}")

    def make_room(self) -> None:
        self.mount(f"remount,size={self.SIZE}")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    if os.geteuid() != 0 or not os.path.isdir("/proc/self"):
        pytest.skip("a small file system needs root on Linux")
    fleet = Fleet(tmp_path_factory.mktemp("disk") / "fleet", "--size", "1")
    one = None
    try:
        one = Disk(fleet)
        yield one
    finally:
        fleet.call("stop", "node-1")
        if one is not None:
            subprocess.run(["umount", one.home], check=True)
        fleet.call("down")


@pytest.fixture
def small(
    disk: Disk, tmp_path: pathlib.Path, make_environment: Callable[[pathlib.Path], dict[str, str]]
) -> Iterator[Controller]:
    """A controller of that node whose rsync can be watched.

    It begins and ends as the files `before` and `after` in the controller's folder say.
    """
    folder = tmp_path / "controller"
    folder.mkdir()
    one = Controller(
        disk.fleet, folder, make_environment(folder / "home"), {"nodes": {"node-1": {"slots": 2}}}
    )
    program = folder / "bin" / "rsync"
    program.parent.mkdir()
    wait = 'touch "{folder}/{name}-reached"; while [ -e "{folder}/{name}" ]; do sleep 0.02; done'
    before, after = (wait.format(folder=folder, name=name) for name in ("before", "after"))
    program.write_text(
        f'#!/bin/sh\n{before}\n{shutil.which("rsync")} "$@"\nstatus=$?\n{after}\nexit $status\n'
    )
    program.chmod(0o755)
    one.env["PATH"] = f"{program.parent}{os.pathsep}{one.env['PATH']}"
    yield one
    for name in ("before", "after"):
        (folder / name).unlink(missing_ok=True)
    disk.make_room()
    one.close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_disk_that_gets_full_at_the_sync_or_at_the_start_costs_no_job(
    disk: Disk, small: Controller, when: str
) -> None:
    hold = small.folder / when
    name = f"disk-{when}"
    hold.touch()
    job = {"name": name, "command": f'echo {name} >> "$HOME/{name}"; echo done > done.txt'}
    started = small.begin(
        "run",
        "-e",
        small.jobs(job, gummy_nodes="node-1", gummy_local_fallback=False),
        "-e",
        f"gummy_run_id={name}",
    )
    started.wait_for((small.folder / f"{when}-reached").exists, "the rsync")
    disk.fill()
    hold.unlink()
    started.wait_for(lambda: "No space left on device" in started.said(), "the full disk")
    assert not disk.fleet.lines(name)
    disk.make_room()
    played = started.end()
    if played.status:
        played = small.run(*started.process.args[started.process.args.index("-e") :])  # type: ignore[union-attr,index]
    assert (
        played.status == 0
        and applies(played.job["patch"], small.project)
        and disk.fleet.count(name) == 1
    ), played


def test_a_disk_that_gets_full_under_a_job_makes_it_no_success_and_takes_nothing_of_its_log(
    disk: Disk, small: Controller
) -> None:
    wait = 'until [ -e "$HOME/.log-go" ]; do sleep 0.02; done'
    job = {
        "name": "logs",
        "command": f'echo logs >> "$HOME/disk-log"; echo early; {wait}; '
        'i=0; while [ $i -lt 9000 ]; do echo "line $i"; i=$((i+1)); done',
    }
    words = (
        "-e",
        small.jobs(job, gummy_nodes="node-1", gummy_local_fallback=False),
        "-e",
        "gummy_run_id=disk-log",
        "-e",
        "gummy_lost_after=5s",
    )
    started = small.begin("run", *words)
    started.wait_for(
        lambda: "  start  " in started.said() and disk.fleet.lines("disk-log"), "the start"
    )
    disk.fleet.put("node-1", ".log-go.new", "")
    disk.fill()
    (disk.fleet.home("node-1") / ".log-go.new").rename(disk.fleet.home("node-1") / ".log-go")
    first = started.end()
    assert first.status == 2 and first.job["status"] in ("failed", "lost"), first
    disk.make_room()
    played = small.run(*words)
    assert (
        played.status == 2
        and played.job["class"] in ("lost", "harvest", "agent")
        and disk.fleet.count("disk-log") == 1
    ), played
    log = small.play("logs", "-e", "gummy_job=disk-log/logs")
    assert log.status == 0 and "early" in log.output, log
    after = small.shell("true", "-e", "gummy_nodes=node-1", "-e", "gummy_local_fallback=false")
    assert after.status == 0, after
