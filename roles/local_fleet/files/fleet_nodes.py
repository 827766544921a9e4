# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's life: what `up`, `start`, `stop` and `down` do, and what all of them answer."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import fleet_namespaces
import fleet_sshd
from fleet_machine import FleetError, free_port, login_name, make_key, write_whole
from fleet_processes import end_processes, is_alive, process_table, processes_by_node
from fleet_store import LAST_FILES, PROGRAM, SCHEMA_VERSION, Network, Store
from fleet_texts import Answer, NodeAnswer, inventory_source, tailscale_status

# What sshd listens on in a network namespace of its own, where nobody else has a port.
SSH_PORT = 22
# Where a node's user is at home in namespaces.
LOGIN_HOME = "/home/gummy"
# The folders of a node and their modes.
NODE_FOLDERS = {
    # The home of the node's user.
    "home": 0o700,
    # Its /tmp.
    "tmp": 0o1777,
    # The settings, keys and log of its sshd, which it sees under /run.
    "sshd": 0o755,
    # What its /etc has of its own.
    "etc": 0o755,
    # Where fleet_init.py lays out a folder before it moves it over the real one.
    "stage": 0o755,
    # Debian's sshd wants an empty folder.
    "empty": 0o755,
}
# The user ids of which one becomes that of `gummy`; systems give these to nobody.
FREE_USER_IDS = range(60600, 65000)


class Fleet:
    """The nodes of one folder, and what can be done with them; who changes them holds the lock."""

    def __init__(self, root: str) -> None:
        """Read what is in the folder `root`; raise FleetError if it is not ours."""
        self.store = Store(root)

    def up(self, size: int, plain: bool, networks: list[Network]) -> bool:
        """Bring node-1 to node-<size>, or one node for each network, to answer.

        Returns whether something had to be started. A first `up` that fails leaves nothing behind.
        """
        is_first = not self.store.nodes
        try:
            self._create(size, plain, networks)
            return self._on_each_node(self.ensure)
        except BaseException:
            if is_first:
                self.down()
            raise

    def silent_nodes(self, size: int, plain: bool, networks: list[Network]) -> list[str]:
        """Return the nodes that `up` would have to start; raise FleetError where it would."""
        self._refuse_what_differs(plain, networks)
        known = list(self.store.nodes)
        with ThreadPoolExecutor(8) as pool:
            answers = dict(zip(known, pool.map(self._answers, known)))

        wanted = [f"node-{number}" for number in range(1, len(networks or [None] * size) + 1)]
        return [name for name in dict.fromkeys([*known, *wanted]) if not answers.get(name)]

    def ensure(self, name: str) -> bool:
        """Bring a node to answer; return whether it did not before."""
        if self._answers(name):
            return False
        try:
            self._bring_up(name)
        except FleetError:
            if fleet_namespaces.are_whole(self.store, name):
                raise
            # Its first process was being killed when we looked.
            self._bring_up(name)
        return True

    def end(self, name: str, sshd_only: bool = False) -> bool:
        """End what runs in a node, or its sshd and logins only; return whether there was any."""
        return end_processes(self.store, name, sshd_only)

    def down(self) -> bool:
        """End all nodes and remove the folder; return True, for there was a fleet to end."""
        root = self.store.root
        self._on_each_node(self.end)

        # Jobs may have taken rights away that we need to remove their files.
        subprocess.run(["chmod", "-R", "u+rwX", root], stderr=subprocess.DEVNULL, check=False)
        for entry in list(os.scandir(root)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            elif entry.name not in LAST_FILES:
                os.unlink(entry.path)
        for name in LAST_FILES:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{root}/{name}")
        # It is not empty if another `up` begins here.
        with contextlib.suppress(OSError):
            os.rmdir(root)

        self.store.nodes.clear()
        return True

    def describe(self, changed: bool) -> Answer:
        """Return the document that the program prints; `changed` is passed on into it."""
        data = self.store.data
        root = self.store.root
        nodes = self._describe_nodes()
        states = {node["state"] for node in nodes} or {"down"}
        return {
            "schema_version": SCHEMA_VERSION,
            "state": "partial" if len(states) > 1 else states.pop(),
            "changed": changed,
            "dir": root,
            "namespaces": bool(data.get("namespaces")),
            "reason": data.get("reason"),
            "inventory": f"{root}/tailnet.yml",
            "ssh_config": f"{root}/ssh_config",
            "nodes": nodes,
        }

    def _describe_nodes(self) -> list[NodeAnswer]:
        table = process_table()
        processes = processes_by_node(self.store)
        rows: list[NodeAnswer] = []
        for name, node in self.store.nodes.items():
            home = self.store.home(name)
            rows.append(
                {
                    "name": name,
                    "state": "up" if is_alive(node["sshd"], table) else "down",
                    "port": node["port"],
                    "user": self.store.data["user"],
                    "home": home,
                    "login_home": LOGIN_HOME if self.store.data.get("namespaces") else home,
                    "pids": [process.pid for process in processes[name]],
                }
            )
        return rows

    def _on_each_node(self, act: Callable[[str], bool]) -> bool:
        """Do this with all nodes, eight at once; return whether one of the answers is True."""
        with ThreadPoolExecutor(8) as pool:
            return any([*pool.map(act, list(self.store.nodes))])

    # What `up` makes before it starts anything.

    def _create(self, size: int, plain: bool, networks: list[Network]) -> None:
        """Make folders, keys and tables for the wanted nodes; what is there stays."""
        self._refuse_what_differs(plain, networks)
        self._announce(size, networks)
        self._make_folders()
        self._decide_on_namespaces(plain, networks)

        if self.store.data["namespaces"]:
            for name in self.store.nodes:
                fleet_namespaces.make_tables(self.store, name)
        self.store.save()
        root = self.store.root
        write_whole(f"{root}/status.json", tailscale_status(list(self.store.nodes)))
        write_whole(f"{root}/tailnet.yml", inventory_source(root))

    def _refuse_what_differs(self, plain: bool, networks: list[Network]) -> None:
        """Raise FleetError if what is wanted can't be beside what is there."""
        if networks and plain:
            raise FleetError(
                "--net gives nodes namespaces and --plain takes them away: leave one of them out"
            )
        if plain and self.store.data.get("namespaces"):
            raise FleetError(
                f"the fleet in {self.store.root} has namespaces: "
                "take it down before you start a plain one"
            )
        for number, network in enumerate(networks, 1):
            node = self.store.nodes.get(f"node-{number}")
            if node and node.get("net") != network:
                raise FleetError(
                    f"node-{number} lives elsewhere than in "
                    f"{network['namespace']}@{network['address']}: take the fleet down first"
                )

    def _announce(self, size: int, networks: list[Network]) -> None:
        """Enter the wanted nodes into fleet.json."""
        data = self.store.data
        if not data.get("program"):
            data["schema_version"] = SCHEMA_VERSION
            data["program"] = PROGRAM
            data["uid"] = os.geteuid()
            data["node_uid"] = _free_user_id()
            data["user"] = "gummy"

        for number, network in enumerate(networks or [None] * size, 1):
            self.store.nodes.setdefault(
                f"node-{number}",
                {
                    "net": network,
                    "port": SSH_PORT if network else 0,
                    "host_key": None,
                    "paths": None,
                    "sshd": None,
                    "init": None,
                },
            )
        self.store.save()

    def _make_folders(self) -> None:
        user_key = make_key(f"{self.store.root}/id_ed25519", "local fleet")
        for name, node in self.store.nodes.items():
            folder = self.store.folder(name)
            for part, mode in NODE_FOLDERS.items():
                if not os.path.isdir(f"{folder}/{part}"):
                    os.makedirs(f"{folder}/{part}")
                    # The umask has no say in these.
                    os.chmod(f"{folder}/{part}", mode)
            node["host_key"] = make_key(f"{folder}/sshd/host_key", name)
            write_whole(f"{folder}/sshd/authorized_keys", user_key + "\n")

    def _decide_on_namespaces(self, plain: bool, networks: list[Network]) -> None:
        """Find out once, at the first `up`, what this machine allows; then it stays so."""
        data = self.store.data
        if "namespaces" not in data:
            reason = "asked for" if plain else fleet_namespaces.why_none(self.store)
            if networks and reason:
                raise FleetError(f"--net needs namespaces, which can't be had: {reason}")
            if reason is not None:
                data["user"] = login_name()
            data["reason"] = reason
            data["namespaces"] = reason is None

    # How one node comes up.

    def _answers(self, name: str) -> bool:
        """Is the node whole, with an sshd of ours that lets us in?"""
        return (
            fleet_namespaces.are_whole(self.store, name)
            and is_alive(self.store.nodes[name]["sshd"], process_table())
            and not fleet_sshd.why_silent(self.store, name)
        )

    def _bring_up(self, name: str) -> None:
        """Start what the node lacks, anew. Jobs go on in namespaces that are whole."""
        are_whole = fleet_namespaces.are_whole(self.store, name)
        self.end(name, sshd_only=are_whole)
        if not are_whole:
            fleet_namespaces.make(self.store, name)

        node = self.store.nodes[name]
        for attempt in range(5):
            # On the ports of this machine, a port that was free may be so no longer.
            if not self.store.network(name) and (attempt or not node["port"]):
                node["port"] = free_port()
            self.store.save()
            if fleet_sshd.start(self.store, name):
                return
        raise FleetError(
            f"{name}: five times another program had its port before sshd had it; try again"
        )


def _free_user_id() -> int:
    taken = {account.pw_uid for account in pwd.getpwall()}
    taken |= {group.gr_gid for group in grp.getgrall()}
    return next(uid for uid in FREE_USER_IDS if uid not in taken)
