"""The rows about looking at many nodes: dashboard and board against what people would type."""

from __future__ import annotations

import json
import sys

from table import Row
from world import ROOT, BenchError, Sample, World

MANY = 50
META = (
    "name: {}\n"
    "created: 2026-01-01T00:00:00Z\n"
    "session_id: 2f0d9c0e-aaaa-bbbb-cccc-000000000002\n"
    "status: dormant\n"
    "turns: 2\n"
    "last_active: null\n"
)
# How many specialists each node has.
SPECIALISTS = 10
# How often each node is asked in the longer and in the shorter of two watches, whose difference is
# what a look costs.
LOOKS = (12, 2)


def ask(world: World, what: str, config: str, names: list[str]) -> tuple[Sample, dict[str, float]]:
    """What the whole program cost, and what it told: `wall` is that of the question alone."""
    bench = ROOT / "tests" / "bench"
    program = [sys.executable, str(bench / "in_collection.py"), str(bench / "ask.py")]
    sample = world.timed(*program, what, config, "asked.json", *names)
    return sample, json.loads((world.folder / "asked.json").read_text(encoding="utf-8"))


def lay_specialists(world: World) -> None:
    for node in world.nodes:
        for number in range(SPECIALISTS):
            name = f"specialist-{number}"
            folder = world.fleet_dir / node / "home" / ".gummy" / "specialists" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "meta.yaml").write_text(META.format(name), encoding="utf-8")


def view(world: World, what: str) -> tuple[Sample, dict[str, float]]:
    """A look at all nodes, each of which has told all of itself, or the bench ends."""
    lay_specialists(world)
    sample, told = ask(world, what, "fleet/ssh_config", world.nodes)
    counted = (told["answered"], told["specialists"], told.get("measured", MANY))
    if counted != (MANY, MANY * SPECIALISTS, MANY):
        raise BenchError(f"not every node told its load and its specialists: {told}")
    return {**sample, "wall": told["wall"]}, told


def specialists(world: World) -> Sample:
    """Without Ansible's start: the time is that of the dashboard alone, links included."""
    return view(world, "specialists")[0]


def watch_once(world: World) -> Sample:
    """The board, likewise."""
    return view(world, "watch")[0]


def watch_again(world: World) -> Sample:
    """What one more look at all nodes costs the controller, ssh masters and drawing's data too."""
    cpu = []
    for looks in LOOKS:
        sample, told = view(world, f"watch:{looks}")
        if told["looks"] < looks:
            raise BenchError(f"not every node answered {looks} times: {told}")
        cpu.append(sample["cpu"])
    return {"wall": 1.0, "refresh": (cpu[0] - cpu[1]) / (LOOKS[0] - LOOKS[1])}


def one_warm_call(world: World) -> Sample:
    """One ssh call of each node over its master."""
    masters = ("-o", "ControlMaster=auto", "-o", "ControlPersist=60")
    path = f"ControlPath={world.sockets}/%C"
    words = ("ssh", "-F", "fleet/ssh_config", *masters, "-o", path, "{}", "true")
    nodes = "\n".join(world.nodes)
    for _time in range(2):
        sample = world.timed("xargs", "-P", str(MANY), "-I", "{}", *words, stdin=nodes)
    return {**sample, "refresh": sample["cpu"]}


def ping(world: World) -> Sample:
    return world.timed(
        "ansible", "-i", "static.yml", "all", "-m", "ansible.builtin.ping", "-f", str(MANY)
    )


ROWS = [
    Row(
        "specialists",
        f"the dashboard of {MANY} nodes with {SPECIALISTS} each, warm / ansible -m ping",
        specialists,
        ping,
        "wall",
        0.35,
        nodes=MANY,
    ),
    Row(
        "watch",
        f"the board of {MANY} nodes with {SPECIALISTS} specialists each, warm / ansible -m ping",
        watch_once,
        ping,
        "wall",
        0.35,
        nodes=MANY,
    ),
    Row(
        "watch-again",
        f"controller's CPU of one more look at {MANY} nodes / of one warm ssh call to each",
        watch_again,
        one_warm_call,
        "refresh",
        1.0,
        nodes=MANY,
    ),
]
