"""A worker whose parent was killed ends, and with it whatever it called."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import parent

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
    collections = next(
        str(folder.parent)
        for folder in Path(parent.__file__).parents
        if folder.name == "ansible_collections"
    )
    play = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": collections},
    )
    worker, called = map(int, play.stdout.readline().split())
    assert is_alive(worker) and is_alive(called)

    play.kill()
    play.wait()
    play.stdout.close()
    until = time.monotonic() + 20.0
    while (is_alive(worker) or is_alive(called)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(worker) and not is_alive(called)


def test_nothing_is_left_of_the_watch_where_all_goes_well():
    with parent.ended_with_parent():
        pass
    assert not [each for each in threading.enumerate() if each.name == "gummy-parent"]
