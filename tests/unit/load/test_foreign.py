"""Tasks of gummy that somebody has started by hand: the probe and the node program see the same."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.at_once import (
    CompletedCommand,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._load import probe

PLUGIN_UTILS = pathlib.Path(probe.__file__).parents[1]
# A shell that it forks is called as it is.
SCRIPT = """#!/bin/bash
( echo begun; until [ -e "$GO" ]; do sleep 0.05; done )
exit 0
"""
LOOK = (
    "import json; from _node import people; "
    "print(json.dumps(people.foreign_tasks(people.of_this_login())))"
)

Begin = Callable[..., subprocess.Popen[bytes]]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


@pytest.fixture
def begin(tmp_path: pathlib.Path) -> Iterator[Begin]:
    """Starts a gummy, which lives until the test has ended."""
    program = tmp_path / "bin" / "gummy"
    program.parent.mkdir()
    program.write_text(SCRIPT)
    program.chmod(0o755)
    begun: list[subprocess.Popen[bytes]] = []

    def start(*words: str, **env: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [str(program), *words],
            env={"PATH": os.environ["PATH"], "GO": str(tmp_path / "go"), **env},
            stdout=subprocess.PIPE,
        )
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        return process

    yield start
    (tmp_path / "go").touch()
    for process in begun:
        process.communicate()


def seen() -> tuple[list[dict[str, object]], int, int]:
    """The tasks by the node program, how many the probe counts, and what it makes of them."""
    told = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=PLUGIN_UTILS, capture_output=True, check=True
    )
    printed = subprocess.run(
        ["/bin/sh", "-c", probe.LOAD_SCRIPT], capture_output=True, text=True, check=True
    ).stdout
    (counted,) = [value for key, value in probe.lines_of(printed) if key == "foreign"]
    facts = probe.facts_of(CompletedCommand(0, printed), 4, {"cpu": 1.0}, 0.0)
    return json.loads(told.stdout), int(counted), facts["slots"]["busy"]


def test_both_see_the_same_tasks_and_none_of_ours(begin: Begin) -> None:
    # Others may work on this machine.
    before, counted_before, busy_before = seen()
    assert len(before) == counted_before

    task = begin("task", "fix", "the\ntest \x1b[2J gummy task 'twice'")
    begin("plan", "a move")
    begin("task", "of ours", GUMMY_ATTEMPT="a-1")
    begin("setup")
    begin("watch", "task")

    tasks, counted, busy = seen()
    pids = {row["pid"] for row in before}
    new = {row["pid"]: row for row in tasks if row["pid"] not in pids}
    assert len(new) == 2 and counted - counted_before == 2
    assert str(new[task.pid]["words"]).startswith("gummy task fix the\ntest")
    assert {str(row["words"]).split()[1] for row in new.values()} == {"task", "plan"}
    assert all(0 <= float(str(row["seconds"])) < 300 for row in new.values())

    # They take slots, so that others are chosen first.
    assert busy - busy_before == 2
