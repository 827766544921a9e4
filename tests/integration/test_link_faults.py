"""The way to a node breaks while its jobs run.

They go on, the run takes them up again, and none starts twice.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterable

import pytest
from real_nodes import Controller, Counter, Fleet, Playing, applies, descendants, send, until

pytestmark = pytest.mark.once


def commands(pids: Iterable[int] | None = None) -> dict[int, str]:
    """Command lines by process id."""
    listing = subprocess.run(
        ["ps", "-axwwo", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = {
        int(pid): words
        for pid, words in (
            line.split(None, 1) for line in listing.splitlines() if len(line.split()) > 1
        )
    }
    return rows if pids is None else {pid: rows[pid] for pid in pids if pid in rows}


def begin(controller: Controller, counter: Counter, *words: str) -> tuple[Playing, tuple[str, ...]]:
    """Two jobs that wait on node-1, and the words that call their run again."""
    jobs = controller.jobs(
        *(
            {"name": f"job-{number}", "command": counter.command("-go"), "node": "node-1"}
            for number in (1, 2)
        )
    )
    again = ("-e", jobs, "-e", f"gummy_run_id={counter.name[:60]}", *words)
    started = controller.begin("run", *again)
    started.wait_for(
        lambda: started.said().count("  start  ") == 2 and len(counter.starts()) == 2, "both starts"
    )
    return started, again


@pytest.mark.parametrize("what", ["ssh", "master", "worker"])
def test_what_the_controller_loses_is_made_anew_and_starts_nothing_twice(
    controller: Controller, counter: Counter, what: str
) -> None:
    started, again = begin(controller, counter)

    def sessions() -> dict[int, str]:
        return {
            pid: words
            for pid, words in commands(descendants(started.process.pid)).items()
            if re.match(r"\S*ssh .* session'?$", words)
        }

    # Find the process to kill: a session, its ssh master, or the playbook's worker.
    (session, words), *_others = until(sessions, "the session").items()
    socket = re.search(r"ControlPath=(\S+)", words)
    assert socket
    victims = {
        "ssh": lambda: [session],
        "master": lambda: [
            pid for pid, title in commands().items() if title.startswith(f"ssh: {socket[1]} ")
        ],
        "worker": lambda: [
            int((controller.state / "runs" / again[3].partition("=")[2] / "lock").read_text())
        ],
    }[what]()
    assert len(victims) == 1

    # It dies, and what it did is taken up.
    send(signal.SIGKILL, victims)
    if what == "worker":
        # Its playbook may wait for a word that it began.
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.process.wait(5)
        started.kill()
        started = controller.begin("run", *again)
    else:
        until(lambda: {*sessions()} - {session}, "another session")

    # Each job began once and its work is at home.
    counter.let_go("-go")
    played = started.end()
    assert played.status == 0 and counter.starts() == ["job-1", "job-2"], played
    assert all(
        applies(row["patch"], controller.project) and len(row["attempts"]) == 1
        for row in played.jobs.values()
    )


def test_a_node_that_is_silent_for_longer_than_every_time_out_is_found_again(
    controller: Controller, fleet: Fleet, counter: Counter
) -> None:
    hosts = {
        "node-1": {
            **fleet.login("node-1"),
            "ansible_ssh_args": "-o ServerAliveInterval=1 -o ServerAliveCountMax=2 "
            "-o ConnectTimeout=2",
        }
    }

    jobs = controller.jobs({"command": counter.command("-go")})
    started = controller.begin("run", "-e", jobs, inventory=controller.static(hosts))
    started.wait_for(lambda: "  start  " in started.said() and counter.starts(), "the start")

    # All sshd of the node stop, and with them every connection to it.
    (node,) = (node for node in fleet.call("status")["nodes"] if node["name"] == "node-1")
    sshds = [
        pid
        for pid, words in commands(node["pids"]).items()
        if words.lstrip("/").startswith(("sshd", "usr/sbin/sshd"))
    ]
    assert len(sshds) > 1
    send(signal.SIGSTOP, sshds)

    # The run loses contact, and meanwhile the job ends on its node.
    try:
        started.wait_for(lambda: "no contact" in started.said(), "the loss of contact")
        counter.let_go("-go")
        store = fleet.home("node-1") / ".local" / "state" / "distributed-gummy"
        (uid,) = re.findall(r"attempt (\S+)", started.said())
        until(
            lambda: list(store.glob(f"*/attempts/{uid}/ended.json")),
            "the end of the job on its node",
        )
    finally:
        send(signal.SIGCONT, sshds)

    # The node is back, and the work comes home.
    played = started.end()
    assert (
        played.status == 0
        and "back in contact" in played.output
        and applies(played.job["patch"], controller.project)
    ), played
    assert counter.starts() == ["job-1"] and len(played.job["attempts"]) == 1


def slow_rsync(controller: Controller) -> pathlib.Path:
    """The controller's rsync sends 60 kB a second while the returned file is there."""
    wish = controller.folder / "slowly"
    wish.touch()
    program = controller.folder / "bin" / "rsync"
    program.parent.mkdir()
    real = shlex.quote(str(shutil.which("rsync")))
    program.write_text(
        "#!/bin/sh\n"
        f'[ -e {shlex.quote(str(wish))} ] && set -- --bwlimit=60 "$@"\n'
        f'exec {real} "$@"\n'
    )
    program.chmod(0o755)
    controller.env["PATH"] = f"{program.parent}{os.pathsep}{controller.env['PATH']}"
    return wish


@pytest.mark.parametrize("where", ["here", "there"])
def test_an_rsync_that_is_killed_half_way_is_another_attempt_of_a_job_that_starts_once(
    controller: Controller, fleet: Fleet, counter: Counter, where: str
) -> None:
    wish = slow_rsync(controller)
    big = os.urandom(400_000)
    (controller.project / "big").write_bytes(big)
    started = controller.begin(
        "run", "-e", controller.jobs({"command": counter.command(), "node": "node-3"})
    )
    started.wait_for(
        lambda: any(
            0 < path.stat().st_size < len(big)
            for path in fleet.home("node-3").glob(".dg/*/mirror/tree/big")
        ),
        "half of the file",
    )
    (node,) = (node for node in fleet.call("status")["nodes"] if node["name"] == "node-3")
    pids = descendants(started.process.pid) if where == "here" else node["pids"]
    rsyncs = [pid for pid, words in commands(pids).items() if re.match(r"\S*rsync ", words)]
    assert rsyncs
    wish.unlink()
    send(signal.SIGKILL, rsyncs)
    played = started.end()
    assert played.status == 0 and applies(played.job["patch"], controller.project), played
    assert played.job["attempts"][0]["state"] == "void" and len(played.job["attempts"]) == 2, played
    assert counter.starts() == ["job-1"]
    folder = pathlib.Path(played.job["workspace"]).parents[1].name
    (whole,) = fleet.home("node-3").glob(f".dg/{folder}/[0-9]/tree/big")
    assert whole.read_bytes() == big
