"""A line with a bounded rate between the controller and a node: a proxy that needs no root."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator

from world import World

# Bytes that are passed on at once; a small piece keeps the rate even.
PIECE = 16384


class Line:
    """A port of this machine that leads to another one, with so many bits a second each way."""

    def __init__(self, port: int, bits: float) -> None:
        self._port = port
        self._seconds_a_byte = 8 / bits
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        # When each way is free again, by the monotonic clock: all connections share the line.
        self._free = {"there": 0.0, "back": 0.0}
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _address = self._listener.accept()
                theirs = socket.create_connection(("127.0.0.1", self._port))
                for way, source, target in (("there", ours, theirs), ("back", theirs, ours)):
                    words = (way, source, target)
                    threading.Thread(target=self._pass_on, args=words, daemon=True).start()

    def _pass_on(self, way: str, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE):
                with self._lock:
                    begins = max(self._free[way], time.monotonic())
                    self._free[way] = begins + len(data) * self._seconds_a_byte
                    until = self._free[way]
                time.sleep(max(0.0, until - time.monotonic()))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def slow_line(world: World, node: str, bits: float) -> Iterator[str]:
    """The name of an ssh config in the world's folder that has this node behind such a line."""
    text = (world.fleet_dir / "ssh_config").read_text(encoding="utf-8")
    hosts = re.split(r"(?m)^(?=Host )", text)
    (number,) = (n for n, host in enumerate(hosts) if re.match(rf"Host {node}\s", host))
    found = re.search(r"(?m)^(\s*Port )(\d+)", hosts[number])
    if found is None:
        raise ValueError(f"{node} has no port in {text}")
    line = Line(int(found[2]), bits)
    hosts[number] = hosts[number].replace(found[0], f"{found[1]}{line.port}")
    (world.folder / "slow_ssh_config").write_text("".join(hosts), encoding="utf-8")
    try:
        yield "slow_ssh_config"
    finally:
        line.close()
