"""Rows about nodes that say nothing, and about runs that wait: what they cost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

from table import Row
from views import ask
from world import PROGRAM, BenchError, Sample, World

# Of the nodes of the row `dead-behind-warm`, the first one has no power.
THREE = 3
FOUR = 4
# Of the nodes of the row `views` so many have none.
MANY = 50
DEAD = 10
# How long the jobs of the row `waiting` take, in seconds.
WAIT = 60
STARTS = 20
# How often the nodes with power are asked in the row `watch-silent`.
BOARDS = 5
# Stands in for Python on the nodes, and counts how often it is started.
COUNTED = 'printf x >> "$HOME/python-starts"; exec python3 "$@"'


# -- what has no power


def sshds(world: World, names: Sequence[str]) -> list[int]:
    """All sshd of these nodes: what has power there, as far as the network can see."""
    listing = subprocess.run(
        [sys.executable, PROGRAM, "status", "--dir", world.fleet_dir],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pids = {
        pid
        for node in json.loads(listing)["nodes"]
        if node["name"] in names
        for pid in node["pids"]
    }
    rows = subprocess.run(
        ["ps", "-axwwo", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    found = []
    for row in rows:
        pid, _space, words = row.strip().partition(" ")
        if int(pid) in pids and words.strip().lstrip("/").startswith(("sshd", "usr/sbin/sshd")):
            found.append(int(pid))
    return found


@contextlib.contextmanager
def without_power(world: World, names: Sequence[str]) -> Iterator[None]:
    pids = sshds(world, names)
    if len(pids) <= len(names):
        raise BenchError(f"not all of {names} are connected")
    send(signal.SIGSTOP, pids)
    try:
        yield
    finally:
        send(signal.SIGCONT, pids)


def send(number: signal.Signals, pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def hosts(world: World) -> dict[str, dict[str, object]]:
    static = json.loads((world.folder / "static.yml").read_text(encoding="utf-8"))
    return dict(static["all"]["hosts"])


def facts(score: float) -> dict[str, object]:
    """What an inventory knew of a node a moment ago."""
    parts = {"cpu": score, "memory": score, "load_average": score, "io_wait": 0.0}
    return {
        "state": "measured",
        "reason": None,
        "load": parts,
        "cpus": 8,
        "slots": {"total": 2, "busy": 0},
        "agents": ["shell"],
        "disk": None,
        "python": None,
        "source": "probe",
        "measured_at": None,
        "score": score,
    }


def play_four(world: World, names: Sequence[str]) -> Sample:
    """Four empty jobs on these nodes, of which the first one is the best."""
    known = hosts(world)
    chosen = {
        name: {**known[name], "gummy_facts": facts(0.1 + number / 10)}
        for number, name in enumerate(names)
    }
    inventory = world.write("three.json", {"all": {"hosts": chosen}})
    settings = {
        "gummy_agent": "shell",
        "gummy_project": "project",
        "gummy_local_fallback": False,
        "gummy_jobs": [{"name": f"job-{number}", "command": "true"} for number in range(FOUR)],
        "gummy_output_file": str(world.folder / "run.json"),
    }
    jobs = world.write("jobs-four.yml", settings)
    words = ("-i", inventory, "distributed.gummy.run", "-e", f"@{jobs}", "-e", "gummy_refresh=true")
    sample = world.timed("ansible-playbook", *words)
    rows = json.loads((world.folder / "run.json").read_text(encoding="utf-8"))["jobs"]
    if any(row["status"] != "success" or len(row["attempts"]) != 1 for row in rows):
        raise BenchError(f"not all jobs succeeded in one attempt: {rows}")
    return sample


def dead_behind_warm(world: World) -> Sample:
    names = world.nodes[:THREE]
    # Somebody else's run has connected them all.
    play_four(world, names)
    for name in names:
        play_four(world, [name])
    with without_power(world, names[:1]):
        return play_four(world, names)


def without_the_dead(world: World) -> Sample:
    return play_four(world, world.nodes[1:THREE])


# -- views


def look(world: World, names: Sequence[str]) -> Sample:
    known = hosts(world)
    inventory = world.write("seen.json", {"all": {"hosts": {name: known[name] for name in names}}})
    words = ("-i", inventory, "distributed.gummy.status", "-f", str(MANY))
    return world.timed("ansible-playbook", *words)


def views(world: World) -> Sample:
    look(world, world.nodes)
    with without_power(world, world.nodes[:DEAD]):
        return look(world, world.nodes)


def views_without_the_dead(world: World) -> Sample:
    return look(world, world.nodes[DEAD:])


def boards(world: World, dead: int) -> Sample:
    """Seconds until the others have answered so often, while so many nodes have no power."""
    with without_power(world, world.nodes[:dead]) if dead else contextlib.nullcontext():
        _sample, told = ask(world, f"watch-others:{BOARDS}", "fleet/ssh_config", world.nodes)
    return {"wall": told["wall"]}


def watch_beside_the_dead(world: World) -> Sample:
    ask(world, "watch", "fleet/ssh_config", world.nodes)
    return boards(world, DEAD)


def watch_without_the_dead(world: World) -> Sample:
    return boards(world, 0)


# -- runs that wait


def waiting(world: World) -> Sample:
    settings = {
        "gummy_agent": "shell",
        "gummy_project": "project",
        "gummy_jobs": [{"name": f"job-{n}", "command": f"sleep {WAIT}"} for n in range(5)],
    }
    jobs = world.write("jobs-wait.yml", settings)
    words = ("-i", "static.yml", "distributed.gummy.run", "-e", f"@{jobs}")
    return world.timed("ansible-playbook", *words)


def pause(world: World) -> Sample:
    play = {
        "hosts": world.nodes[0],
        "gather_facts": False,
        "tasks": [{"ansible.builtin.pause": {"seconds": WAIT}}],
    }
    return world.timed("ansible-playbook", "-i", "static.yml", world.write("pause.yml", [play]))


# -- starts of Python


def output(*argv: str) -> str:
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def starts(world: World) -> Sample:
    """How often Python was started on the nodes for these jobs, by their number."""
    known = hosts(world)
    ssh = ["ssh", "-F", str(world.fleet_dir / "ssh_config")]
    for name in known:
        script = (
            f"printf '#!/bin/sh\\n%s\\n' '{COUNTED}' > counted; chmod 755 counted;"
            " : > python-starts; pwd -P"
        )
        done = subprocess.run(
            [*ssh, name, script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        known[name]["ansible_python_interpreter"] = done.stdout.strip() + "/counted"
    inventory = world.write("counted.json", {"all": {"hosts": known}})
    settings = {
        "gummy_agent": "shell",
        "gummy_project": "project",
        "gummy_jobs": [{"name": f"job-{n}", "command": "true"} for n in range(STARTS)],
    }
    jobs = world.write("jobs-starts.yml", settings)
    words = ("-i", inventory, "distributed.gummy.run", "-e", f"@{jobs}")
    world.timed("ansible-playbook", *words)
    # One session for each node is there whatever the number of jobs.
    count = -len(known)
    for name in known:
        count += int(output(*ssh, name, "wc -c < python-starts"))
    return {"wall": 1.0, "starts per job": count / STARTS}


def one_start(_world: World) -> Sample:
    return {"wall": 1.0, "starts per job": 1.0}


ROWS = [
    Row(
        "starts-per-job",
        f"starts of Python on the nodes for each of {STARTS} jobs, beside the sessions / one",
        starts,
        one_start,
        "starts per job",
        1.0,
    ),
    Row(
        "waiting",
        f"CPU of a run whose jobs take {WAIT} s / a playbook that waits in `pause`",
        waiting,
        pause,
        "cpu",
        1.3,
    ),
    Row(
        "dead-behind-warm",
        "four jobs, one of three nodes without power / without that node",
        dead_behind_warm,
        without_the_dead,
        "wall",
        6.0,
        difference=True,
    ),
    Row(
        "watch-silent",
        f"{BOARDS} looks at those with power, {DEAD} of {MANY} nodes have none / all have",
        watch_beside_the_dead,
        watch_without_the_dead,
        "wall",
        1.0,
        nodes=MANY,
        difference=True,
    ),
    Row(
        "views",
        f"status of {MANY} nodes, {DEAD} of them without power / without these",
        views,
        views_without_the_dead,
        "wall",
        3.0,
        nodes=MANY,
        difference=True,
    ),
]
