"""Whoever wants the same slot and workspace: there is one writer at a time.

However slow a sync is, and whatever the clock says.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from real_nodes import Controller, Counter, Fleet, applies, copy_of_collection, send, until

pytestmark = pytest.mark.once
SHORT_LEASES = {
    "plugins/plugin_utils/_node/claim.py": (
        (
            "LEASE = 120.0\n"
            "# How often a sync that goes on renews its lease, in seconds.\n"
            "RENEW = 30.0\n"
        ),
        "LEASE = 2.0\nRENEW = 0.5\n",
    )
}
# Each process of the node program lives some twelve years before or after its neighbours.
WRONG_CLOCKS = {
    "plugins/plugin_utils/_node/store.py": (
        "import time\n",
        (
            "import time\n\n_clock = time.time\n"
            "time.time = lambda: _clock() + (4e8 if os.getpid() % 2 else -4e8)\n"
        ),
    ),
}


def with_collection(controller: Controller, folder: pathlib.Path) -> Controller:
    controller.env["ANSIBLE_COLLECTIONS_PATH"] = str(folder)
    return controller


@pytest.fixture
def pair(
    make_controller: Callable[[pathlib.Path], Controller], tmp_path: pathlib.Path
) -> Iterator[tuple[Controller, Controller]]:
    """Two controllers that give node-1 one slot.

    Both note in one file what their rsyncs to it do.
    """
    both = tuple(make_controller(tmp_path / name) for name in ("first", "second"))
    copy = copy_of_collection(tmp_path / "copy", SHORT_LEASES)
    program = tmp_path / "bin" / "rsync"
    program.parent.mkdir()
    note = tmp_path / "syncs"
    real = shutil.which("rsync")
    # The look for secrets reaches no node.
    trial = f'case "$*" in *--dry-run*) exec {real} "$@" ;; esac'
    program.write_text(
        f"#!/bin/sh\n{trial}\n"
        f'echo "begin $$" >> "{note}"\n'
        f'{real} --bwlimit=40 "$@"\n'
        f'status=$?\necho "end $$" >> "{note}"\nexit $status\n'
    )
    program.chmod(0o755)
    for one in both:
        with_collection(one, copy).configure('{"nodes": {"node-1": {"slots": 1}}}')
        one.env["PATH"] = f"{program.parent}{os.pathsep}{one.env['PATH']}"
        # It takes six seconds, which is three leases.
        (one.project / "big").write_bytes(os.urandom(250_000))
    yield both[0], both[1]
    for one in both:
        one.close()


def alternate(lines: list[str]) -> bool:
    """begin A, end A, begin B, end B, ..."""
    words = [line.split() for line in lines]
    firsts = words[::2]
    seconds = words[1::2]
    same = [first[1] for first in firsts] == [second[1] for second in seconds]
    return (
        same
        and {first[0] for first in firsts} == {"begin"}
        and {second[0] for second in seconds} == {"end"}
    )


@pytest.mark.parametrize("who", ["two controllers", "two runs of one controller"])
def test_a_sync_that_outlasts_every_limit_keeps_its_slot_and_the_other_job_waits(
    pair: tuple[Controller, Controller], fleet: Fleet, tmp_path: pathlib.Path, who: str
) -> None:
    first, second = pair if who == "two controllers" else (pair[0], pair[0])
    name = "slow-" + who.replace(" ", "-")
    noted = (
        f'echo "begin $GUMMY_JOB" >> "$HOME/{name}"; {{}}; echo "end $GUMMY_JOB" >> "$HOME/{name}"'
    )
    work = noted.format('echo "$GUMMY_JOB" > writer; cksum big; [ "$(cat writer)" = "$GUMMY_JOB" ]')
    runs = [
        one.begin(
            "run",
            "-e",
            one.jobs({"name": job, "command": work, "node": "node-1"}),
            "-e",
            f"gummy_run_id={name}-{job}",
        )
        for one, job in ((first, "one"), (second, "two"))
    ]
    ended = [run.end() for run in runs]
    assert all(run.status == 0 and len(run.job["attempts"]) >= 1 for run in ended), ended
    assert any(
        "every slot" in run.output or len(run.job["attempts"]) > 1 or "waits" in run.output
        for run in ended
    ), ended
    (lines,) = fleet.lines(name).values()
    assert len(lines) == 4 and alternate(lines), lines
    syncs = (tmp_path / "syncs").read_text().splitlines()
    # The second run of one controller finds on the node what it would send.
    assert len(syncs) == (4 if first is not second else 2) and alternate(syncs), syncs


def test_a_sync_that_slept_longer_than_its_lease_writes_into_nobody_elses_workspace(
    pair: tuple[Controller, Controller], fleet: Fleet, counter: Counter
) -> None:
    one = pair[0]
    check = "cksum < big > before; " + counter.command("-go") + "; cksum < big | cmp - before"
    jobs = {
        name: one.jobs({"name": name, "command": check, "node": "node-1"})
        for name in ("sleeper", "other")
    }
    sleeper = one.begin("run", "-e", jobs["sleeper"], "-e", "gummy_run_id=sleeper")

    def receivers() -> list[int]:
        (node,) = (node for node in fleet.call("status")["nodes"] if node["name"] == "node-1")
        listing = subprocess.run(
            ["ps", "-wwo", "pid=,args=", "-p", ",".join(map(str, node["pids"]))],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        rows = [line.split(None, 1) for line in listing.splitlines()]
        return [
            int(pid)
            for pid, words in rows
            if re.search(r"zip receive |rsync --server(?! --sender)", words)
        ]

    # All of a sync on the node's side is stopped, and another job gets the workspace.
    frozen = until(lambda: len(found := receivers()) >= 3 and found, "the sync")
    send(signal.SIGSTOP, frozen)

    try:
        other = one.begin("run", "-e", jobs["other"], "-e", "gummy_run_id=other")
        other.wait_for(lambda: counter.starts() == ["other"], "the start of the other job")
    finally:
        # Who waited for the project's mirror has ended them: their lease was over.
        send(signal.SIGCONT, frozen)

    # Awake again, the sleeper is refused and waits for its turn.
    sleeper.wait_for(lambda: "waits: node-1" in sleeper.said(), "the refusal of its claim")
    assert counter.starts() == ["other"]

    # Neither found a byte that it had not sent.
    counter.let_go("-go")

    ended = {"other": other.end(), "sleeper": sleeper.end()}
    assert all(
        run.status == 0 and applies(run.job["patch"], one.project) for run in ended.values()
    ), ended
    assert counter.starts() == ["other", "sleeper"]


def test_clocks_that_are_wrong_and_jump_change_nothing(
    controller: Controller, counter: Counter, tmp_path: pathlib.Path
) -> None:
    with_collection(controller, copy_of_collection(tmp_path / "copy", WRONG_CLOCKS))
    jobs = [{"name": f"job-{number}", "command": counter.command("-go")} for number in range(8)]
    words = ("-e", controller.jobs(*jobs), "-e", "gummy_run_id=clocks")
    first = controller.begin("run", *words)
    first.wait_for(lambda: len(counter.starts()) == 6, "six starts")
    first.kill()
    status = controller.play("status")
    assert status.status == 0 and status.output.count("clocks") >= 6, status
    again = controller.begin("run", *words)
    again.wait_for(lambda: "6 may still run" in again.said(), "the resumption")
    counter.let_go("-go")
    played = again.end()
    assert played.status == 0 and counter.starts() == sorted(played.jobs), played
    assert all(
        applies(row["patch"], controller.project) and 0 <= row["seconds"] < 90
        for row in played.jobs.values()
    )
