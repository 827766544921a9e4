"""An agent replaces the node program of its login: what it wrote is not run, and is replaced."""

from __future__ import annotations

import hashlib
import json
import pathlib
import shlex
from collections.abc import Callable

import pytest
from real_nodes import Controller, Fleet, applies

pytestmark = pytest.mark.once

# What the agent puts in the place of each program; it notes that somebody has run it.
PWNED = """
import json, os, sys
with open(os.path.expanduser("~/pwned"), "a") as file:
    print("pwned", *sys.argv[1:], file=file)
print("\\x1e" + json.dumps({"state": "listed", "store": "pwned"}))
"""
AGENT = f"""
import glob, os, zipfile
for path in glob.glob(os.path.expanduser("~/.local/state/distributed-gummy/bin/*.zip")):
    with zipfile.ZipFile(path + ".x", "w") as archive:
        archive.writestr("__main__.py", {PWNED!r})
    os.replace(path + ".x", path)
"""
CHANGE = f"python3 -c {shlex.quote(AGENT)}; echo done > done.txt"


def programs(fleet: Fleet) -> list[pathlib.Path]:
    return [*(fleet.home("node-1") / ".local/state/distributed-gummy/bin").glob("*.zip")]


def wrong(fleet: Fleet) -> list[pathlib.Path]:
    return [
        path
        for path in programs(fleet)
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.stem
    ]


def test_what_an_agent_put_in_the_place_of_the_program_is_not_run_and_is_replaced(
    controller: Controller,
    fleet: Fleet,
    tmp_path: pathlib.Path,
    make_controller: Callable[[pathlib.Path], Controller],
) -> None:
    # Another test may have left a program of another version there, which nobody would repair.
    for path in programs(fleet):
        path.unlink()

    # The agent replaces it while its run goes on, and the run ends as any other.
    first = controller.shell(CHANGE, "-e", "gummy_node=node-1")
    assert first.status == 0 and applies(first.job["patch"], controller.project), first

    # The next playbook of the same controller finds it out, unless the run's last verbs did.
    second = controller.play("status")
    assert second.status == 0, second
    said = " ".join((first.output + second.output).split())
    assert "the node program on node-1 has been changed since it was installed" in said, second
    assert "node program on node-2" not in said and not wrong(fleet)

    # Nor does a controller that has never been here run what lies there.
    command = ["python3", "-c", AGENT]
    fleet.ssh("node-1", shlex.join(command))
    assert wrong(fleet)
    other = make_controller(tmp_path / "other")
    try:
        third = other.play("status", "-e", json.dumps({"gummy_nodes": "node-1"}))
        assert third.status == 0 and "pwned" not in third.output, third
    finally:
        other.close()
    assert not wrong(fleet) and fleet.lines("pwned") == {}

    # The agent's program would have noted that it was run.
    fleet.ssh("node-1", shlex.join(command))
    fleet.ssh(
        "node-1", "for each in .local/state/*/bin/*.zip; do python3 $each list </dev/null; done"
    )
    assert set(fleet.lines("pwned")["node-1"]) == {"pwned list"}
    (fleet.home("node-1") / "pwned").unlink()
    for path in programs(fleet):
        path.unlink()
