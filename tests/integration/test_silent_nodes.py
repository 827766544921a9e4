"""A node that dies behind an open connection costs seconds; one that is far away is not dead."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from real_nodes import NODES, Controller, Counter, Fleet, send

pytestmark = pytest.mark.once
# How much longer each word takes to a node far away and back, in seconds.
FAR = 0.6
# What a dead node may cost the jobs of others, in seconds; the machine may be busy.
COSTS = 12.0


def sshds(fleet: Fleet, name: str) -> list[int]:
    """All sshd of a node: what has power there, as far as the network can see."""
    (node,) = (node for node in fleet.call("status")["nodes"] if node["name"] == name)
    found = []
    for pid in node["pids"]:
        words = subprocess.run(
            ["ps", "-wwo", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        if words.lstrip("/").startswith(("sshd", "usr/sbin/sshd")):
            found.append(pid)
    return found


@pytest.mark.parametrize("size", [1, 4])
def test_a_node_that_dies_behind_a_warm_connection_costs_seconds(
    controller: Controller, fleet: Fleet, counter: Counter, size: int
) -> None:
    inventory = controller.static({node: fleet.login(node) for node in NODES})
    words = ("-e", controller.jobs(*({"command": counter.command()} for _n in range(size))))
    warm = controller.run("-e", controller.jobs({"command": "true"}), inventory=inventory)
    assert warm.status == 0, warm
    # All three are known, and connected.
    for node in NODES:
        words_of = ("-e", controller.jobs({"command": "true", "node": node}))
        assert controller.run(*words_of, inventory=inventory).status == 0

    without = f"all:!{NODES[0]}"
    begun = time.monotonic()
    assert controller.run(*words, "--limit", without, inventory=inventory).status == 0
    usual = time.monotonic() - begun

    facts = {"gummy_facts": {**IDLE}}
    hosts = {node: fleet.login(node) for node in NODES}
    hosts[NODES[0]] |= facts
    inventory = controller.static(hosts)
    dead = sshds(fleet, NODES[0])
    assert len(dead) > 1
    send(signal.SIGSTOP, dead)
    try:
        begun = time.monotonic()
        played = controller.run(*words, inventory=inventory)
        seconds = time.monotonic() - begun
    finally:
        send(signal.SIGCONT, dead)

    assert played.status == 0 and "it gets no job until it answers" in played.output, played
    for row in played.jobs.values():
        assert row["node"] != NODES[0] and len(row["attempts"]) == 1, played
    assert seconds < usual + COSTS, f"{usual} {seconds}\n{played.output}"
    assert len(counter.starts()) == 2 * size


# What the inventory knew of it before it died.
IDLE = {
    "state": "measured",
    "reason": None,
    "load": {"cpu": 0.0, "memory": 0.0, "load_average": 0.0, "io_wait": 0.0},
    "cpus": 8,
    "slots": {"total": 2, "busy": 0},
    "agents": ["shell"],
    "disk": None,
    "python": None,
    "source": "probe",
    "measured_at": None,
    "score": 0.0,
}


class FarAway:
    """A port that leads to another one, by a way that takes long."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._delay = seconds / 2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _address = self._listener.accept()
                there = socket.create_connection(("127.0.0.1", self._port))
                for source, target in ((here, there), (there, here)):
                    threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        """Pass on what comes, each piece so much later."""
        pieces: list[tuple[float, bytes]] = []
        more = threading.Condition()

        def write() -> None:
            while True:
                with more:
                    more.wait_for(lambda: pieces)
                    due, data = pieces.pop(0)
                time.sleep(max(0.0, due - time.monotonic()))
                with contextlib.suppress(OSError):
                    if not data:
                        target.shutdown(socket.SHUT_WR)
                        return
                    target.sendall(data)

        threading.Thread(target=write, daemon=True).start()
        data = b"x"
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            with more:
                pieces.append((time.monotonic() + self._delay, data))
                more.notify()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def far_away(fleet: Fleet) -> Iterator[FarAway]:
    one = FarAway(int(fleet.login(NODES[1])["ansible_port"]), FAR)
    yield one
    one.close()


def test_a_node_on_another_continent_is_not_called_dead(
    controller: Controller, fleet: Fleet, counter: Counter, far_away: FarAway
) -> None:
    hosts = {NODES[1]: {**fleet.login(NODES[1]), "ansible_port": far_away.port}}
    inventory = controller.static(hosts)
    jobs = [{"name": f"job-{n}", "command": counter.command()} for n in range(4)]
    words = ("-e", controller.jobs(*jobs, gummy_local_fallback=False))
    for _cold_and_warm in range(2):
        played = controller.run(*words, inventory=inventory)
        assert played.status == 0, played
        assert [len(row["attempts"]) for row in played.jobs.values()] == [1] * 4, played
        assert "it gets no job until it answers" not in played.output, played
        assert "no contact" not in played.output, played
    assert len(counter.starts()) == 8
