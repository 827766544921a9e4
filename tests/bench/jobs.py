"""Rows about empty jobs, end to end: what one costs, what many cost, what the controller pays."""

from __future__ import annotations

import json
import shlex

from table import Row
from world import SLOTS, BenchError, Sample, World

MANY = 50


def run(world: World, inventory: str, count: int) -> Sample:
    names = [f"job-{number}" for number in range(count)]
    settings = {
        "gummy_agent": "shell",
        "gummy_project": "project",
        "gummy_jobs": [{"name": name, "command": "true"} for name in names],
        "gummy_output_file": str(world.folder / "run.json"),
    }
    jobs = world.write(f"jobs-{count}.yml", settings)
    sample = world.timed(
        "ansible-playbook", "-i", inventory, "distributed.gummy.run", "-e", f"@{jobs}"
    )
    rows = json.loads((world.folder / "run.json").read_text(encoding="utf-8"))["jobs"]
    if elsewhere := [
        row["name"] for row in rows if row["status"] != "success" or row["node"] not in world.nodes
    ]:
        raise BenchError(f"jobs that did not succeed on a node: {elsewhere}")
    return {**sample, "cpu per job": sample["cpu"] / count}


def one_job(world: World) -> Sample:
    return run(world, "fleet/tailnet.yml", 1)


def one_job_static(world: World) -> Sample:
    return run(world, "static.yml", 1)


def many_jobs(world: World) -> Sample:
    return run(world, "fleet/tailnet.yml", MANY)


def debug_task(world: World) -> Sample:
    return world.timed("ansible-playbook", "-i", "static.yml", "debug.yml")


def parallel(world: World) -> Sample:
    """The same outcome by GNU parallel.

    The project is there in a folder of its own, the command runs, and its log and a patch of what
    it changed come back here.
    """
    masters = [
        "-o",
        "ControlMaster=auto",
        "-o",
        f"ControlPath={world.sockets}/%C",
        "-o",
        "ControlPersist=60",
    ]

    ssh = shlex.join(["ssh", "-F", str(world.fleet_dir / "ssh_config"), *masters])
    nodes = ",".join(f"{SLOTS}/{name}" for name in world.nodes)

    job = (
        "(cd project && true) > log-{} 2>&1; git -C project add -A; "
        "git -C project diff --cached --binary HEAD > patch-{}"
    )
    words = [
        "--transferfile",
        f"{world.folder}/./project",
        "--return",
        "log-{}",
        "--return",
        "patch-{}",
        "--cleanup",
    ]

    numbers = [str(number) for number in range(MANY)]
    sample = world.timed(
        "parallel",
        "--will-cite",
        "-S",
        nodes,
        "--ssh",
        ssh,
        "--workdir",
        "...",
        *words,
        job,
        ":::",
        *numbers,
        cwd="out",
    )

    # What is missing makes the time worth nothing.
    fetched = list((world.folder / "out").iterdir())
    if len(fetched) != 2 * MANY:
        raise BenchError(f"GNU parallel brought {len(fetched)} files home, not {2 * MANY}")
    for path in fetched:
        path.unlink()
    return {**sample, "cpu per job": sample["cpu"] / MANY}


ROWS = [
    Row(
        "one-job",
        "one empty job, warm / a playbook with one debug",
        one_job,
        debug_task,
        "wall",
        1.5,
    ),
    Row(
        "one-job-static",
        "the same with a static inventory (no probe before it)",
        one_job_static,
        debug_task,
        "wall",
        1.5,
    ),
    Row(
        "many-jobs",
        f"{MANY} empty jobs, 5 nodes x 2 slots / GNU parallel",
        many_jobs,
        parallel,
        "wall",
        0.9,
    ),
    Row(
        "cpu-per-job",
        "controller CPU per job of these / GNU parallel",
        many_jobs,
        parallel,
        "cpu per job",
        0.45,
    ),
]
