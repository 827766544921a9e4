# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's folder: where it is, who may change it, and fleet.json, which says what is in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from typing import TypedDict

from fleet_machine import FleetError, read, write_whole
from fleet_texts import ssh_config

PROGRAM = "distributed.gummy local fleet"
SCHEMA_VERSION = 1
# The files that are the last to go, in this order: a fleet whose end was cut short is still known.
LAST_FILES = ("fleet.json.new", "fleet.json", "lock")


class Network(TypedDict):
    """The network namespace that a node lives in, made by somebody else."""

    # Its name, as `ip netns` lists it.
    namespace: str
    # The IPv4 address that leads into it from here.
    address: str


class Mark(TypedDict):
    """A process of ours; both together are its identity, for the system uses a pid again."""

    pid: int
    # When it started, as the process table of this machine says it.
    started: str


class Node(TypedDict):
    """A row of fleet.json: one node."""

    # None: the node shares the network of this machine.
    net: Network | None
    # What its sshd listens on; 0 as long as it has no port.
    port: int
    # The public line of its sshd's key.
    host_key: str | None
    # A PATH for its logins, where the usual one has no Python for them.
    paths: str | None
    # Its sshd, and the first process of its namespaces, as they were started last.
    sshd: Mark | None
    init: Mark | None


class FleetData(TypedDict, total=False):
    """fleet.json; a fleet that was never up has no key but `nodes`."""

    # By name: node-1 and so on.
    nodes: dict[str, Node]
    schema_version: int
    # Always PROGRAM; so that we touch no folder of somebody else's.
    program: str
    # Whose fleet it is.
    uid: int
    # The user id of `gummy` in the nodes' namespaces.
    node_uid: int
    # Whom ssh logs in as.
    user: str
    # Whether nodes have namespaces of their own; if not, why.
    namespaces: bool
    reason: str | None


def state_home() -> str:
    """Return the folder in which this collection keeps its state on this machine."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.local/state")
    return os.path.join(base, "distributed-gummy")


def default_folder() -> str:
    """Return where the fleet is that no --dir names."""
    return os.path.join(state_home(), "fleet")


@contextlib.contextmanager
def locked(root: str, create: bool) -> Iterator[bool]:
    """Hold the fleet's lock; yield False if there is no fleet and none is wanted.

    Raises FleetError if the folder holds other things than a fleet.
    """
    while True:
        if create:
            os.makedirs(root, 0o700, exist_ok=True)
        try:
            refuse_other_things(root)
            lock = os.open(f"{root}/lock", os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            # Another call took the fleet down, and its folder away, between our two steps.
            if create:
                continue
            yield False
            return

        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # While we waited, the fleet may have gone, and the lock that we got with it.
            path = f"{root}/lock"
            if os.path.exists(path) and os.path.samestat(os.fstat(lock), os.stat(path)):
                yield True
                return
        finally:
            os.close(lock)


def refuse_other_things(root: str) -> None:
    """Raise FleetError if the folder is there and holds other things than a fleet."""
    entries: set[str] = set()
    with contextlib.suppress(FileNotFoundError):
        entries = set(os.listdir(root))
    if "fleet.json" not in entries and not entries <= set(LAST_FILES):
        raise FleetError(
            f"{root} holds other things than a local fleet: "
            "give an empty or a new folder with --dir"
        )


class Store:
    """What lies in one folder: `data` is its fleet.json.

    A node is announced there before anything is started for it, so that nothing runs of which no
    later call knows. Several threads bring nodes up at once: each changes the row of its own node
    only, and `save` may be called by all of them.
    """

    def __init__(self, root: str) -> None:
        """Read the fleet in the folder `root`, an absolute path, which need not exist.

        Raises FleetError if what is there is not ours.
        """
        self.root = root
        self._one_writer = threading.Lock()
        self.data: FleetData = {}
        if os.path.exists(f"{root}/fleet.json"):
            self.data = self._load()
        self.nodes = self.data.setdefault("nodes", {})

    def _load(self) -> FleetData:
        data: FleetData = {}
        with contextlib.suppress(ValueError):
            data = json.loads(read(f"{self.root}/fleet.json"))

        if not isinstance(data, dict) or data.get("program") != PROGRAM:
            raise FleetError(
                f"{self.root} holds a fleet.json that is not ours: give another folder with --dir"
            )
        if data["uid"] != os.geteuid():
            raise FleetError(
                f"the fleet in {self.root} belongs to user id {data['uid']}: "
                "act as that user, or give another --dir"
            )
        return data

    def save(self) -> None:
        """Write fleet.json, and the settings of ssh that follow from it."""
        with self._one_writer:
            ends = {}
            known_hosts = []
            for name, node in self.nodes.items():
                if node["port"]:
                    ends[name] = (self.address(name), node["port"])
                if node["host_key"]:
                    key = " ".join(node["host_key"].split()[:2])
                    known_hosts.append(f"{name} {key}\n")

            write_whole(f"{self.root}/fleet.json", json.dumps(self.data, indent=1) + "\n")
            write_whole(f"{self.root}/known_hosts", "".join(known_hosts))
            write_whole(f"{self.root}/ssh_config", ssh_config(self.root, ends, self.data["user"]))

    def folder(self, name: str) -> str:
        """Return where all that belongs to a node is, as this machine sees it."""
        return f"{self.root}/{name}"

    def home(self, name: str) -> str:
        """Return the home of the node's user, as this machine sees it."""
        return f"{self.root}/{name}/home"

    def network(self, name: str) -> Network | None:
        """Return the network namespace that a node lives in; None: that of this machine."""
        return self.nodes[name].get("net")

    def address(self, name: str) -> str:
        """Return where ssh reaches a node."""
        network = self.network(name)
        if network:
            return network["address"]
        return "127.0.0.1"

    def require(self, name: str) -> str:
        """Return the name if a node has it; raise FleetError with the names there are if not."""
        if name not in self.nodes:
            names = ", ".join(self.nodes) or "none, the fleet is not up"
            raise FleetError(f"no node is named {name!r} in {self.root}; there are: {names}")
        return name
