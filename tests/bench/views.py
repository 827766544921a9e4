"""The row about looking at many nodes: the dashboard of specialists against `ansible -m ping`."""

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
NAMES = ("api-developer", "database-expert")


def ask(world: World, what: str, config: str, names: list[str]) -> tuple[Sample, dict[str, float]]:
    """What the whole program cost, and what it told: `wall` is that of the question alone."""
    bench = ROOT / "tests" / "bench"
    program = [sys.executable, str(bench / "in_collection.py"), str(bench / "ask.py")]
    sample = world.timed(*program, what, config, "asked.json", *names)
    return sample, json.loads((world.folder / "asked.json").read_text(encoding="utf-8"))


def specialists(world: World) -> Sample:
    """Without Ansible's start: the time is that of the dashboard alone, links included."""
    for node in world.nodes:
        for name in NAMES:
            folder = world.fleet_dir / node / "home" / ".gummy" / "specialists" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "meta.yaml").write_text(META.format(name), encoding="utf-8")
    sample, told = ask(world, "specialists", "fleet/ssh_config", world.nodes)
    if (told["answered"], told["dormant"]) != (MANY, MANY * len(NAMES)):
        raise BenchError(f"not every node told its specialists: {told}")
    return {**sample, "wall": told["wall"]}


def ping(world: World) -> Sample:
    return world.timed(
        "ansible", "-i", "static.yml", "all", "-m", "ansible.builtin.ping", "-f", str(MANY)
    )


ROWS = [
    Row(
        "specialists",
        f"the dashboard of {MANY} nodes, warm / ansible -m ping, {MANY} forks",
        specialists,
        ping,
        "wall",
        0.35,
        nodes=MANY,
    )
]
