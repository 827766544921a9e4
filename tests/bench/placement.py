"""Rows about who gets the job, on a real fleet.

They tell how long jobs of several lengths take, also with several controllers at once.
"""

from __future__ import annotations

import json
import random
import shlex

import fleet_model
from table import Row
from world import BenchError, Sample, World

# How long the jobs take, in seconds, and how many there are of each length.
LENGTHS = (1, 2, 4)
EACH = 8
# How many slots node-1, node-2 and node-3 have.
SLOTS = (1, 2, 4)
RUNS = 5
JOBS = 12
SECONDS = 2
PAIR = 2


def shuffled() -> list[int]:
    lengths = [length for length in LENGTHS for _job in range(EACH)]
    random.Random(1).shuffle(lengths)
    return lengths


def lengths(world: World) -> Sample:
    """First start to last end, as the nodes saw them."""
    world.set_slots(SLOTS)
    jobs = [
        {"name": f"job-{number}", "command": timed(length)}
        for number, length in enumerate(shuffled())
    ]
    sample = world.timed(
        "ansible-playbook",
        "-i",
        "static.yml",
        "distributed.gummy.run",
        "-e",
        f"@{_settings(world, 'lengths', jobs)}",
    )
    times = [(begun, ended) for _node, begun, ended in seen(world, "lengths")]
    return {
        **sample,
        "wall": max(ended for _begun, ended in times) - min(begun for begun, _ended in times),
    }


def pull(_world: World) -> Sample:
    """The same jobs where any free slot takes the next one and nothing costs any time."""
    fleet = fleet_model.Fleet(
        fleet_model.Mix(
            [(slots, 1.0) for slots in SLOTS], [(0.0, float(length)) for length in shuffled()]
        )
    )
    fleet_model.pull(fleet)
    return {"wall": fleet.run()}


def controllers(world: World) -> Sample:
    """Runs that know nothing of each other, from the first's start to the last's end."""
    world.set_slots([PAIR] * len(SLOTS))
    words = []
    for run in range(RUNS):
        settings = _settings(
            world,
            f"run-{run}",
            [{"name": f"job-{number}", "command": timed(SECONDS)} for number in range(JOBS)],
        )
        play = shlex.join(
            ["ansible-playbook", "-i", "static.yml", "distributed.gummy.run", "-e", f"@{settings}"]
        )
        words.append(f'XDG_STATE_HOME={world.folder}/state-{run} {play} & pids="$pids $!"')
    sample = world.timed("sh", "-c", "\n".join(["trap 'kill $pids; exit 1' TERM", *words, "wait"]))
    spans = [span for run in range(RUNS) for span in seen(world, f"run-{run}")]
    if most := max(_together(spans, node) for node, _begun, _ended in spans) > PAIR:
        raise BenchError(f"{most} jobs ran at once on a node of {PAIR} slots")
    return sample


def evenly(_world: World) -> Sample:
    return {"wall": RUNS * JOBS * SECONDS / (PAIR * len(SLOTS))}


def timed(seconds: int) -> str:
    return f"date +%s.%N; sleep {seconds}; date +%s.%N"


def seen(world: World, name: str) -> list[tuple[str, float, float]]:
    """(node, begun, ended) of each job of this run, from its log."""
    rows = json.loads((world.folder / f"{name}.json").read_text(encoding="utf-8"))["jobs"]
    spans = []
    for row in rows:
        if row["status"] != "success" or row["node"] not in world.nodes:
            raise BenchError(
                f"{name}: {row['name']} ended as {row['status']} on {row['node']}: {row['message']}"
            )
        with open(f"{row['folder']}/log", encoding="utf-8") as log:
            begun, ended = map(float, log.read().split())
        spans.append((row["node"], begun, ended))
    return spans


def _together(spans: list[tuple[str, float, float]], node: str) -> int:
    """The most jobs that this node had at once."""
    changes = sorted(
        change
        for name, begun, ended in spans
        if name == node
        for change in ((begun, 1), (ended, -1))
    )
    at_once = [
        sum(change for _when, change in changes[: number + 1]) for number in range(len(changes))
    ]
    return max(at_once)


def _settings(world: World, name: str, jobs: list[dict[str, str]]) -> str:
    document = {
        "gummy_agent": "shell",
        "gummy_project": "project",
        "gummy_jobs": jobs,
        "gummy_output_file": str(world.folder / f"{name}.json"),
    }
    return world.write(f"jobs-{name}.yml", document)


ROWS = [
    Row(
        "lengths",
        "24 jobs of 1, 2 and 4 s on 1 + 2 + 4 slots, first start to last end / pull",
        lengths,
        pull,
        "wall",
        1.3,
        nodes=3,
    ),
    Row(
        "controllers",
        "60 jobs of 2 s in 5 runs at once on 6 slots / no time between them",
        controllers,
        evenly,
        "wall",
        1.3,
        nodes=3,
    ),
]
