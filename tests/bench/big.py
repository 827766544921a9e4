"""What is big: 100,000 files, a log of 200 MB, a patch of 50 MB.

Measured is the largest memory of any process of ours, on the controller and on the node.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import sync
from world import ROOT, BenchError, World

FILES = 100_000
LOG = 200_000_000
PATCH = 50_000_000
# What the supervisor does, in a process whose memory can be asked for: its own, and that of the
# largest git.
HARVEST = """
import json, os, resource, sys

sys.path.insert(0, sys.argv[1])
from _node import baseline, harvest

tree, top = sys.argv[2:4]
baseline.make_baseline(tree, top + "/git")
exec(sys.argv[4])
harvest.make_harvest(tree, top + "/git", top + "/out", "branch")
processes = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
print(json.dumps({"peak": [resource.getrusage(which).ru_maxrss for which in processes]}))
"""
GROW = f"open(tree + '/large', 'wb').write(os.urandom({PATCH}))"


def peak(world: World, *argv: str) -> tuple[float, float]:
    """Seconds and MB of the largest process among the command and its children.

    Raises BenchError.
    """
    with tempfile.TemporaryFile("w+") as output:
        begun = time.monotonic()
        process = subprocess.Popen(
            argv,
            cwd=world.folder,
            env=world.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if process.returncode:
            raise BenchError(
                f"{' '.join(argv)[:200]} ended with {process.returncode}: {output.read()[-2000:]}"
            )
    return time.monotonic() - begun, usage.ru_maxrss / 1024


def run(world: World, command: str, **settings: Any) -> tuple[float, float, dict[str, Any]]:
    given = {
        "gummy_agent": "shell",
        "gummy_command": command,
        "gummy_output_file": str(world.folder / "run.json"),
        **settings,
    }
    seconds, mb = peak(
        world,
        "ansible-playbook",
        "-i",
        "static.yml",
        "distributed.gummy.run",
        "-e",
        f"@{world.write('big.json', given)}",
    )
    return (
        seconds,
        mb,
        json.loads((world.folder / "run.json").read_text(encoding="utf-8"))["jobs"][0],
    )


def harvested(world: World, tree: pathlib.Path, change: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=world.folder) as top:
        words = [
            sys.executable,
            "-c",
            HARVEST,
            str(ROOT / "plugins" / "plugin_utils"),
            str(tree),
            top,
            change,
        ]
        done = subprocess.run(words, capture_output=True, check=True)
    return dict(json.loads(done.stdout))


def measure(world: World, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def keep(
        what: str, seconds: float, controller: float | None = None, node: float | None = None
    ) -> None:
        rows.append({"what": what, "seconds": seconds, "controller": controller, "node": node})
        progress(lines(rows)[-1])

    seconds, mb, _job = run(world, "true", gummy_project="project")
    keep("one empty job, for comparison", seconds, mb)

    seconds, mb, job = run(world, f"head -c {LOG} /dev/zero | tr '\\0' x", gummy_project="none")
    size = os.path.getsize(job["folder"] + "/log")
    if size < LOG:
        raise BenchError(f"the log came home with {size} bytes")
    keep("a log of 200 MB, run and brought home", seconds, mb)

    seconds, mb, job = run(
        world,
        f"head -c {PATCH} /dev/urandom > large",
        gummy_project="project",
        gummy_deliver="branch",
    )
    if os.path.getsize(job["patch"]) < PATCH or not job["delivered"]:
        raise BenchError(f"the patch did not come home as a branch: {job}")

    tree = world.folder / "copy"
    shutil.copytree(world.project, tree)
    found = harvested(world, tree, GROW)
    keep("a patch of 50 MB, run and made a branch", seconds, mb, max(found["peak"]) / 1024)

    # Many files: the sync of all, of none, and a job that changes one.
    shutil.rmtree(world.folder / "big", ignore_errors=True)
    sync.lay(world, FILES, FILES * 1000)
    for what in ("cold", "unchanged"):
        seconds = sync.ours(world, "large")["wall"]
        peer = sync.peers(world, "large")["wall"]
        keep(f"sync of {FILES:,} files, {what} ({seconds / peer:.2f} x rsync)", seconds)

    seconds, mb, job = run(world, "echo x > new", gummy_project="big")
    found = harvested(world, world.folder / "big", "open(tree + '/new', 'w').write('x')")
    keep(f"a job on {FILES:,} files", seconds, mb, max(found["peak"]) / 1024)
    return rows


def lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    def mb(number: float | None) -> str:
        return "" if number is None else f"{number:.0f} MB"

    head = f"{'big':58} {'seconds':>8} {'controller':>11} {'node':>8}   (the largest process)"
    return [
        head,
        *(
            f"{row['what']:58} {row['seconds']:8.1f} "
            f"{mb(row['controller']):>11} {mb(row['node']):>8}"
            for row in rows
        ),
    ]
