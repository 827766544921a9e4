"""A worker whose parent was killed ends, and whatever a process called ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import parent
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.guardian import (
    PROGRAM as PROGRAM_OF_GUARDIAN,
)

PROGRAM = """
import os, sys, time
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.parent import (
    ended_with_parent,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.process import Process

if os.fork() == 0:
    with ended_with_parent(look=0.05, grace=0.05):
        process = Process(["sleep", "600"])
        print(os.getpid(), process._process.pid, flush=True)
        for _line in process.lines(600.0):
            pass
else:
    time.sleep(600)
"""


# As a worker of Ansible has both ends of the pipe to its play, which takes some 64 KB.
SEES_IT_FIRST = """
import os, time
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.parent import (
    ended_with_parent,
)

reader, writer = os.pipe()
parent = os.getpid()
if os.fork() == 0:
    with ended_with_parent(look=600.0, grace=5.0):
        print(os.getpid(), flush=True)
        while os.getppid() == parent:
            time.sleep(0.01)
    os.write(writer, bytes(1 << 20))
else:
    time.sleep(600)
"""

# What called it may have left a fork behind, as a run does that is to be cancelled.
FORKED = """
import os, signal, sys, time
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.process import Process, run

# Tests in the background of a shell hand on that SIGINT is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
run(["true"])
process = Process(["/bin/sh", "-c", "sleep 600 & echo $!; exec sleep 600"])
its_own = int(next(process.lines(30)))
Process(["true"]).close()
has_begun, begins = os.pipe()
left_behind = os.fork()
if left_behind == 0:
    os.write(begins, b"x")
    time.sleep(600)
# One that was stopped before it began would not have let go of anything yet.
os.read(has_begun, 1)
print(os.getpid(), left_behind, process._process.pid, its_own, flush=True)
time.sleep(600)
"""


def start(program):
    """The program, with this collection."""
    collections = next(
        str(folder.parent)
        for folder in Path(parent.__file__).parents
        if folder.name == "ansible_collections"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": collections},
        start_new_session=True,
    )


def wait_until_all_are_gone(*pids):
    until = time.monotonic() + 20.0
    while any(map(is_alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(is_alive, pids))


def is_alive(pid):
    """Whether it runs. A zombie does not."""
    try:
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
    except FileNotFoundError:
        pytest.skip("no ps")
    return bool(state.strip()) and not state.startswith("Z")


def test_a_worker_that_waits_for_a_node_ends_with_its_play():
    play = start(PROGRAM)
    worker, called = map(int, play.stdout.readline().split())
    assert is_alive(worker) and is_alive(called)

    play.kill()
    play.wait()
    play.stdout.close()
    wait_until_all_are_gone(worker, called)


def test_a_worker_that_sees_the_end_of_its_play_itself_gives_its_result_to_nobody():
    play = start(SEES_IT_FIRST)
    worker = int(play.stdout.readline())

    play.kill()
    play.wait()
    play.stdout.close()
    wait_until_all_are_gone(worker)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_a_process_called_ends_with_it_whatever_ends_it(number):
    """A terminal tells the whole group, and a fork that stays behind keeps nothing alive."""
    caller = start(FORKED)
    pid, left_behind, *called = map(int, caller.stdout.readline().split())
    assert all(map(is_alive, called))
    if number == signal.SIGINT:
        os.kill(left_behind, signal.SIGSTOP)
        os.killpg(pid, number)
    else:
        os.kill(pid, number)

    caller.wait(20.0)
    caller.stdout.close()
    wait_until_all_are_gone(*called)
    assert is_alive(left_behind)
    os.kill(left_behind, signal.SIGKILL)


def test_what_has_ended_is_no_business_of_the_guardian_any_more(tmp_path):
    """Its number may be another's by then."""
    told = tmp_path / "told"
    kills = f"kill() {{ echo \"$@\" >> '{told}'; }}\n"
    words = "begun 1\nbegun 22\nbegun 2\nended 7\nended 22\nbegun 3\nended 1\n"
    subprocess.run(
        ["/bin/sh", "-c", kills + PROGRAM_OF_GUARDIAN], input=words, text=True, check=True
    )
    assert told.read_text() == "-KILL -2\n-KILL -3\n"


def test_nothing_is_left_of_the_watch_where_all_goes_well():
    with parent.ended_with_parent():
        pass
    assert not [each for each in threading.enumerate() if each.name == "gummy-parent"]
