"""The rows about the inventory.

They are the load of many nodes against plain ssh, and thousands of machines against as many bare
hosts.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import socket
from collections.abc import Iterator

from table import Row
from views import MANY, ask
from world import BenchError, Sample, World

SILENT = 10
PEERS = 5000
# How long plain ssh waits: as long as our probe does.
SSH = ("ssh", "-F", "load_config", "-o", "BatchMode=yes", "-o", "ConnectTimeout=3")


@contextlib.contextmanager
def silent(world: World) -> Iterator[list[str]]:
    """Names of machines that take a connection and never say a word.

    They stand in an ssh config beside the nodes.
    """
    names = [f"silent-{number}" for number in range(SILENT)]
    with contextlib.ExitStack() as stack:
        config = (world.fleet_dir / "ssh_config").read_text(encoding="utf-8")
        for name in names:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
            config += f"\nHost {name}\n    HostName 127.0.0.1\n    Port {server.getsockname()[1]}\n"
        (world.folder / "load_config").write_text(config, encoding="utf-8")
        yield names


def all_at_once(world: World, names: list[str], *options: str) -> Sample:
    """What people type: ssh of all nodes at once, and true there."""
    script = f'{shlex.join([*SSH, *options])} "$1" true || :'
    return world.timed(
        "xargs", "-P", str(len(names)), "-n", "1", "sh", "-c", script, "sh", stdin="\n".join(names)
    )


def measured(sample: Sample, told: dict[str, float], wanted: int) -> Sample:
    if told["measured"] != wanted:
        raise BenchError(f"{told['measured']} nodes were measured, and not {wanted}")
    return {**sample, "wall": told["wall"]}


def load_cold(world: World) -> Sample:
    with silent(world) as dead:
        live = world.nodes[: MANY - SILENT]
        return measured(*ask(world, "load", "load_config", [*live, *dead]), len(live))


def ssh_cold(world: World) -> Sample:
    with silent(world) as dead:
        return all_at_once(world, [*world.nodes[: MANY - SILENT], *dead])


def load_warm(world: World) -> Sample:
    with silent(world):
        return measured(*ask(world, "load-again", "load_config", world.nodes), MANY)


def ssh_warm(world: World) -> Sample:
    masters = (
        "-o",
        "ControlMaster=auto",
        "-o",
        "ControlPersist=60",
        "-o",
        f"ControlPath={world.sockets}/%C",
    )
    with silent(world):
        all_at_once(world, world.nodes, *masters)
        return all_at_once(world, world.nodes, *masters)


def load_few(world: World) -> Sample:
    with silent(world) as dead:
        return measured(*ask(world, "load", "load_config", [*world.nodes[:8], *dead[:2]]), 8)


def in_turn(world: World) -> Sample:
    """As `dw load` asks: one after the other, whether it is there and then for its load."""
    script = (
        "for name; do for _time in 1 2; do "
        'ssh -F load_config -o BatchMode=yes -o ConnectTimeout=2 "$name" uptime; done; done; :'
    )
    with silent(world) as dead:
        return world.timed("sh", "-c", script, "sh", *world.nodes[:8], *dead[:2])


def many_peers(world: World) -> Sample:
    if not (world.folder / "many.tailnet.yml").exists():
        known = json.loads((world.fleet_dir / "status.json").read_text(encoding="utf-8"))
        like = next(iter(known["Peer"].values()))
        suffix = known["MagicDNSSuffix"]
        peers = {
            f"nodekey:{number}": {
                **like,
                "ID": f"n{number}",
                "DNSName": f"peer-{number}.{suffix}.",
                "Tags": [f"tag:role{number % 8}"],
                "TailscaleIPs": [
                    f"100.{65 + number // 65536}.{number // 256 % 256}.{number % 256}",
                    f"fd7a:115c:a1e0::{number + 1:x}",
                ],
            }
            for number in range(PEERS)
        }
        world.write("many.json", {**known, "Peer": peers})
        world.write(
            "many.tailnet.yml",
            {"plugin": "distributed.gummy.tailnet", "status_file": "many.json", "load_sources": []},
        )
    return world.timed("ansible-playbook", "--list-hosts", "-i", "many.tailnet.yml", "debug.yml")


def bare_hosts(world: World) -> Sample:
    world.write("bare.yml", {"all": {"hosts": {f"peer-{number}": None for number in range(PEERS)}}})
    return world.timed("ansible-playbook", "--list-hosts", "-i", "bare.yml", "debug.yml")


ROWS = [
    Row(
        "load-cold",
        f"load of {MANY} nodes, {SILENT} of them silent / ssh of all at once",
        load_cold,
        ssh_cold,
        "wall",
        1.2,
        False,
        MANY,
    ),
    Row(
        "load-warm",
        f"load of {MANY} nodes, warm / ssh over masters",
        load_warm,
        ssh_warm,
        "wall",
        1.5,
        nodes=MANY,
    ),
    Row(
        "load-in-turn",
        "load of 10 nodes, 2 of them silent / one after the other, as dw",
        load_few,
        in_turn,
        "wall",
        0.5,
        False,
        MANY,
    ),
    Row(
        "many-peers",
        f"inventory of {PEERS} machines, no probe / of {PEERS} bare hosts",
        many_peers,
        bare_hosts,
        "wall",
        1.5,
    ),
]
