# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes on this machine: a few sshd on loopback ports, each with its own home and, as root on
Linux, its own namespaces.

Python 3.9+, standard library only. Prints one JSON document on stdout and words for people on
stderr; exit status 0 or 1. A node's processes are those on record (pid and start time), those that
carry GUMMY_NODE=<the node's folder>, sshd that write the node's log, and what descends from them.
So what a killed `up` left behind is found by the next `up` or `down`, and nothing else is.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import grp
import ipaddress
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fleet_init import INSIDE
from fleet_processes import LINUX, Process, is_alive, is_marked, is_sshd, process_table
from fleet_texts import (
    account_tables,
    in_words,
    inventory_source,
    read,
    ssh_config,
    sshd_config,
    tailscale_status,
)

PROGRAM = "distributed.gummy local fleet"
SCHEMA_VERSION = 1
# The last to go, in this order.
OURS = ("fleet.json.new", "fleet.json", "lock")
# Where `ip netns` keeps them.
NETNS = "/run/netns"
# Of a node that has a network namespace to itself.
SSH_PORT = 22
PACKAGES = {"sshd": "openssh-server", "ssh": "openssh-client", "ssh-keygen": "openssh-client"}


class FleetError(Exception):
    """One sentence for people: what is wrong and what to do."""


def write(path: str, text: str, mode: int = 0o644) -> None:
    """At once or not at all."""
    with open(f"{path}.new", "w", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


def last_line(text: str) -> str:
    return next(
        (line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given"
    )


def program(name: str) -> str:
    found = shutil.which(
        name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    )
    if not found:
        package = PACKAGES[name]
        raise FleetError(
            f"{name} is missing: install {package} (Debian, Ubuntu: apt-get install {package}; macOS has it), then try again"
        )
    # Sshd starts itself anew and wants its absolute path.
    return os.path.realpath(found) if name == "sshd" else found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
        return True
    return False


def make_key(path: str, comment: str) -> str:
    """A new key pair unless there is a whole one; returns the public line."""
    if not (os.path.exists(path) and os.path.exists(f"{path}.pub")):
        for part in (path, f"{path}.pub"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)
        make = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]
        subprocess.run(make, stdin=subprocess.DEVNULL, check=True)
    return read(f"{path}.pub").strip()


def login_name() -> str:
    """Whom ssh reaches without namespaces: ourselves."""
    try:
        row = pwd.getpwuid(os.geteuid())
    except KeyError:
        raise FleetError(
            f"user id {os.geteuid()} has no row in /etc/passwd, so ssh can't log in as it: be a user that has one"
        ) from None
    if os.path.basename(row.pw_shell) in ("nologin", "false"):
        raise FleetError(
            f"the login shell of {row.pw_name} is {row.pw_shell}, so ssh can't run commands as it: be a user with a usual shell"
        )
    return row.pw_name


def is_locked(user: str) -> bool:
    with contextlib.suppress(OSError):
        return any(row.startswith(f"{user}:!") for row in read("/etc/shadow").splitlines())
    return False


def make_privsep_folder(sshd: str, config: str) -> None:
    check = subprocess.run([sshd, "-t", "-f", config], capture_output=True, text=True, check=False)
    missing = re.search(r"Missing privilege separation directory: (/\S+)", check.stderr)
    if missing:
        os.makedirs(missing[1], 0o755, exist_ok=True)


class Fleet:
    """What lies in one folder.

    `data` is fleet.json; a node is announced there before anything is started for it.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.guard = threading.Lock()
        self.data: dict[str, Any] = {}
        if os.path.exists(f"{root}/fleet.json"):
            with contextlib.suppress(ValueError):
                self.data = json.loads(read(f"{root}/fleet.json"))
            if not isinstance(self.data, dict) or self.data.get("program") != PROGRAM:
                raise FleetError(
                    f"{root} holds a fleet.json that is not ours: give another folder with --dir"
                )
            if self.data["uid"] != os.geteuid():
                raise FleetError(
                    f"the fleet in {root} belongs to user id {self.data['uid']}: act as that user, or give another --dir"
                )
        self.nodes: dict[str, dict[str, Any]] = self.data.setdefault("nodes", {})

    def folder(self, name: str) -> str:
        return f"{self.root}/{name}"

    def net(self, name: str) -> dict[str, str] | None:
        """The network namespace it lives in and its address there; None: that of this machine."""
        return self.nodes[name].get("net")

    def address(self, name: str) -> str:
        net = self.net(name)
        return net["address"] if net else "127.0.0.1"

    def save(self) -> None:
        with self.guard:
            ends = {
                name: (self.address(name), node["port"])
                for name, node in self.nodes.items()
                if node["port"]
            }
            hosts = [
                f"{name} {' '.join(node['host_key'].split()[:2])}\n"
                for name, node in self.nodes.items()
                if node["host_key"]
            ]
            write(f"{self.root}/fleet.json", json.dumps(self.data, indent=1) + "\n")
            write(f"{self.root}/known_hosts", "".join(hosts))
            write(f"{self.root}/ssh_config", ssh_config(self.root, ends, self.data["user"]))

    def processes(self) -> dict[str, list[Process]]:
        table = process_table()
        owner: dict[int, str] = {}
        for name, node in self.nodes.items():
            recorded = [
                mark["pid"] for mark in (node["sshd"], node["init"]) if is_alive(mark, table)
            ]
            folder = self.folder(name)
            owner.update(
                {
                    p.pid: name
                    for p in table.values()
                    if p.pid in recorded or is_marked(p, folder) or is_sshd(p, folder)
                }
            )
        # When a job calls us.
        owner.pop(os.getpid(), None)
        grown = -1
        while grown != len(owner):
            grown = len(owner)
            owner.update(
                {
                    p.pid: owner[p.parent]
                    for p in table.values()
                    if p.parent in owner and p.pid not in owner
                }
            )
        return {
            name: [table[pid] for pid in sorted(owner) if owner[pid] == name] for name in self.nodes
        }

    def end(self, name: str, sshd_only: bool = False) -> bool:
        """SIGKILL a node's processes until none is left; True if there were any."""
        deadline = time.monotonic() + 15
        ended = False
        while victims := [
            p
            for p in self.processes().get(name, [])
            if not sshd_only or is_sshd(p, self.folder(name))
        ]:
            if time.monotonic() > deadline:
                raise FleetError(
                    f"{name}: these processes do not end: {', '.join(f'{p.name} ({p.pid})' for p in victims)}"
                )
            # unshare and nsenter reap their child and go; killed first, they leave it to a pid 1
            # that may take its time; they stop when it is stopped
            reapers = [p for p in victims if p.name in ("unshare", "nsenter")]
            for process in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(
                        process.pid,
                        signal.SIGCONT
                        if process in reapers and len(reapers) < len(victims)
                        else signal.SIGKILL,
                    )
            ended = True
            time.sleep(0.02)
        return ended

    def create(self, size: int, plain: bool, nets: list[dict[str, str]]) -> None:
        """Folders, keys and tables for node-1 to node-<size>; what is there stays.

        At first it finds out what this machine allows.
        """
        if nets and plain:
            raise FleetError(
                "--net gives nodes namespaces and --plain takes them away: leave one of them out"
            )
        if not self.data.get("program"):
            taken = {row.pw_uid for row in pwd.getpwall()} | {row.gr_gid for row in grp.getgrall()}
            free = next(uid for uid in range(60600, 65000) if uid not in taken)
            self.data.update(
                schema_version=SCHEMA_VERSION,
                program=PROGRAM,
                uid=os.geteuid(),
                node_uid=free,
                user="gummy",
            )
        for number, net in enumerate(nets or [None] * size, 1):
            port = SSH_PORT if net else 0
            node = self.nodes.setdefault(
                f"node-{number}",
                {
                    "net": net,
                    "port": port,
                    "host_key": None,
                    "paths": None,
                    "sshd": None,
                    "init": None,
                },
            )
            if net and node.get("net") != net:
                raise FleetError(
                    f"node-{number} lives elsewhere than in {net['namespace']}@{net['address']}: take the fleet down first"
                )
        self.save()
        user_key = make_key(f"{self.root}/id_ed25519", "local fleet")
        for name, node in self.nodes.items():
            folder = self.folder(name)
            for part, mode in {
                "home": 0o700,
                "tmp": 0o1777,
                "sshd": 0o755,
                "etc": 0o755,
                "stage": 0o755,
                "empty": 0o755,
            }.items():
                if not os.path.isdir(f"{folder}/{part}"):
                    os.makedirs(f"{folder}/{part}")
                    os.chmod(f"{folder}/{part}", mode)
            node["host_key"] = make_key(f"{folder}/sshd/host_key", name)
            write(f"{folder}/sshd/authorized_keys", user_key + "\n")
        if "namespaces" not in self.data:
            reason = "asked for" if plain else self.why_plain()
            if nets and reason:
                raise FleetError(f"--net needs namespaces, which can't be had: {reason}")
            self.data.update(
                reason=reason,
                namespaces=reason is None,
                user="gummy" if reason is None else login_name(),
            )
        if plain and self.data["namespaces"]:
            raise FleetError(
                f"the fleet in {self.root} has namespaces: take it down before you start a plain one"
            )
        if self.data["namespaces"]:
            for name in self.nodes:
                self.make_tables(name)
        self.save()
        write(f"{self.root}/status.json", tailscale_status(list(self.nodes)))
        write(f"{self.root}/tailnet.yml", inventory_source(self.root))

    def make_tables(self, name: str) -> None:
        etc = f"{self.folder(name)}/etc"
        for file, text in account_tables(name, self.data["node_uid"]).items():
            if not os.path.exists(f"{etc}/{file}"):
                write(f"{etc}/{file}", text, 0o600 if file == "shadow" else 0o644)
        if not os.path.exists(f"{etc}/machine-id"):
            write(f"{etc}/machine-id", secrets.token_hex(16) + "\n", 0o444)

    def why_plain(self) -> str | None:
        """None if nodes can have namespaces of their own here, which is tried; else the reason why
        not.
        """
        if not LINUX or os.geteuid() != 0:
            return "not root" if LINUX else "not on Linux"
        missing = [tool for tool in ("unshare", "nsenter") if not shutil.which(tool)]
        if missing:
            return f"{missing[0]} is missing"
        self.make_tables("node-1")
        try:
            trial = self.launch(
                "node-1", [*self.init_command("node-1"), "--trial"], subprocess.PIPE
            )
            said, _errors = trial.communicate(timeout=30)
        except (OSError, subprocess.TimeoutExpired) as problem:
            self.end("node-1")
            return str(problem)
        return last_line(said) if trial.returncode else None

    def init_command(self, name: str) -> list[str]:
        enter = []
        if net := self.net(name):
            if not os.path.exists(f"{NETNS}/{net['namespace']}"):
                raise FleetError(
                    f"{name}: there is no network namespace {net['namespace']}: make it (ip netns add), or name one of `ip netns list`"
                )
            enter = ["nsenter", f"--net={NETNS}/{net['namespace']}", "--"]
        unshare = ["unshare", "--uts", "--pid", "--mount", "--fork", "--kill-child"]
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fleet_init.py")
        return [
            *enter,
            *unshare,
            sys.executable,
            program,
            self.folder(name),
            str(self.data["node_uid"]),
        ]

    def launch(self, name: str, command: list[str], output: Any) -> subprocess.Popen[str]:
        marked = {**os.environ, "GUMMY_NODE": self.folder(name)}
        return subprocess.Popen(
            command,
            env=marked,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def has_room(self, name: str) -> bool:
        """True unless its namespaces have yet to be made, or its network namespace is no longer the
        one of that name.
        """
        if not self.data["namespaces"]:
            return True
        init = self.nodes[name]["init"]
        net = self.net(name)
        if not is_alive(init, process_table()):
            return False
        with contextlib.suppress(OSError):
            return not net or os.path.samefile(
                f"/proc/{init['pid']}/ns/net", f"{NETNS}/{net['namespace']}"
            )
        return False

    def ensure(self, name: str) -> bool:
        """Bring a node to answer; True if it did not before."""
        if (
            self.has_room(name)
            and is_alive(self.nodes[name]["sshd"], process_table())
            and not self.why_silent(name)
        ):
            return False
        try:
            self.bring_up(name)
        except FleetError:
            if self.has_room(name):
                raise
            # Its pid 1 was being killed when we looked.
            self.bring_up(name)
        return True

    def bring_up(self, name: str) -> None:
        node = self.nodes[name]
        has_room = self.has_room(name)
        self.end(name, sshd_only=has_room)
        if not has_room:
            self.start_init(name)
        for attempt in range(5):
            if not self.net(name) and (attempt or not node["port"]):
                node["port"] = free_port()
            self.save()
            if self.start_sshd(name):
                return
        raise FleetError(
            f"{name}: five times another program had its port before sshd had it; try again"
        )

    def start_init(self, name: str) -> None:
        init = self.launch(name, self.init_command(name), subprocess.PIPE)
        assert init.stdout is not None
        with init.stdout:
            line = init.stdout.readline()
            if not line.startswith("{"):
                raise FleetError(
                    f"{name}: its namespaces could not be made: {last_line(line + init.stdout.read())}"
                )
        self.nodes[name]["paths"] = json.loads(line)["paths"]
        self.record(name, "init", init.pid)

    def start_sshd(self, name: str) -> bool:
        """False if another program had the port."""
        node = self.nodes[name]
        folder = self.folder(name)
        plain = not self.data["namespaces"]
        seen = f"{folder}/sshd" if plain else INSIDE
        sshd = program("sshd")
        plain_root = plain and os.geteuid() == 0
        variables = {
            "GUMMY_NODE": folder,
            **({"HOME": f"{folder}/home"} if plain else {}),
            **({"PATH": node["paths"]} if node["paths"] else {}),
        }
        # Without PAM sshd refuses a locked account, key or not.
        use_pam = plain_root and is_locked(self.data["user"])
        listen = "0.0.0.0" if self.net(name) else "127.0.0.1"
        write(
            f"{folder}/sshd/sshd_config",
            sshd_config(listen, node["port"], seen, variables, use_pam, plain_root),
        )
        command = [sshd, "-D", "-f", f"{seen}/sshd_config", "-E", f"{seen}/log"]
        if not plain:
            command = [
                "nsenter",
                "--target",
                str(node["init"]["pid"]),
                "--net",
                "--mount",
                "--uts",
                "--pid",
                "--",
                *command,
            ]
        elif plain_root:
            make_privsep_folder(sshd, f"{folder}/sshd/sshd_config")
        with open(f"{folder}/sshd/log", "a", encoding="utf-8") as log:
            before = log.tell()
            listener = self.launch(name, command, log)
        deadline = time.monotonic() + 15
        while (
            listener.poll() is None
            and not listens(self.address(name), node["port"])
            and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        why = self.why_silent(name)
        if not why and listener.poll() is None:
            self.record(name, "sshd", listener.pid)
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            listener.wait(1)
        with open(f"{folder}/sshd/log", encoding="utf-8", errors="replace") as log:
            log.seek(before)
            said = log.read()
        if listener.poll() is not None and re.search("Cannot bind|already in use", said):
            return False
        raise FleetError(f"{name}: {why} (sshd: {last_line(said)})")

    def record(self, name: str, what: str, launched: int) -> None:
        """Note the process behind this launch: with namespaces the child that unshare or nsenter
        made.
        """
        table = process_table()
        found = (
            next((p for p in table.values() if p.parent == launched), None)
            if self.data["namespaces"]
            else table.get(launched)
        )
        if not found:
            raise FleetError(f"{name}: {what} ended right after its start; try again")
        self.nodes[name][what] = {"pid": found.pid, "started": found.started}
        self.save()

    def why_silent(self, name: str) -> str | None:
        """None if a login with our keys reaches this very node and runs commands there."""
        ask = [
            program("ssh"),
            "-F",
            f"{self.root}/ssh_config",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=5",
            name,
        ]
        try:
            reply = subprocess.run(
                [*ask, 'printf "<%s>" "$GUMMY_NODE"'],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=20,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "ssh did not answer within 20 s"
        if b"<" + os.fsencode(self.folder(name)) + b">" in reply.stdout:
            return None
        said = last_line((reply.stderr + b"\n" + reply.stdout).decode(errors="replace"))
        return f"ssh as {self.data['user']} runs no commands: {said}"

    def each(self, act: Callable[[str], bool]) -> bool:
        with ThreadPoolExecutor(8) as pool:
            return any([*pool.map(act, list(self.nodes))])

    def up(self, size: int, plain: bool, nets: list[dict[str, str]]) -> bool:
        fresh = not self.nodes
        try:
            self.create(size, plain, nets)
            return self.each(self.ensure)
        except BaseException:
            if fresh:
                self.down()
            raise

    def down(self) -> bool:
        self.each(self.end)
        # Rights that jobs took away.
        subprocess.run(["chmod", "-R", "u+rwX", self.root], stderr=subprocess.DEVNULL, check=False)
        for entry in list(os.scandir(self.root)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            elif entry.name not in OURS:
                os.unlink(entry.path)
        for name in OURS:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.root}/{name}")
        # Not empty: another `up` begins here.
        with contextlib.suppress(OSError):
            os.rmdir(self.root)
        self.nodes.clear()
        return True

    def known(self, name: str) -> str:
        if name not in self.nodes:
            raise FleetError(
                f"no node is named {name!r} in {self.root}; there are: {', '.join(self.nodes) or 'none, the fleet is not up'}"
            )
        return name

    def describe(self, changed: bool) -> dict[str, Any]:
        table = process_table()
        processes = self.processes()
        nodes = [
            {
                "name": name,
                "state": "up" if is_alive(node["sshd"], table) else "down",
                "port": node["port"],
                "user": self.data["user"],
                "home": f"{self.folder(name)}/home",
                "login_home": "/home/gummy"
                if self.data.get("namespaces")
                else f"{self.folder(name)}/home",
                "pids": [process.pid for process in processes[name]],
            }
            for name, node in self.nodes.items()
        ]
        states = {node["state"] for node in nodes} or {"down"}
        return {
            "schema_version": SCHEMA_VERSION,
            "state": "partial" if len(states) > 1 else states.pop(),
            "changed": changed,
            "dir": self.root,
            "namespaces": bool(self.data.get("namespaces")),
            "reason": self.data.get("reason"),
            "inventory": f"{self.root}/tailnet.yml",
            "ssh_config": f"{self.root}/ssh_config",
            "nodes": nodes,
        }


@contextlib.contextmanager
def locked(root: str, create: bool) -> Iterator[bool]:
    """Hold the fleet's lock; yields False if there is no fleet and none is wanted."""
    while True:
        if create:
            os.makedirs(root, 0o700, exist_ok=True)
        try:
            entries = set(os.listdir(root))
            if "fleet.json" not in entries and not entries <= set(OURS):
                raise FleetError(
                    f"{root} holds other things than a local fleet: give an empty or a new folder with --dir"
                )
            lock = os.open(f"{root}/lock", os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            if create:
                continue
            yield False
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(f"{root}/lock") and os.path.samestat(
                os.fstat(lock), os.stat(f"{root}/lock")
            ):
                yield True
                return
        finally:
            os.close(lock)


def default_folder() -> str:
    state = os.environ.get("XDG_STATE_HOME", "")
    return os.path.join(
        state if os.path.isabs(state) else os.path.expanduser("~/.local/state"),
        "distributed-gummy",
        "fleet",
    )


def act(options: argparse.Namespace) -> dict[str, Any]:
    root = os.path.realpath(options.dir or default_folder())
    if re.search(r'["\\%$\x00-\x1f]', root):
        raise FleetError(
            f"{root!r} holds a quote, a backslash, %, $ or a control character, which ssh's settings can't carry: give another --dir"
        )
    if options.verb == "status":
        return Fleet(root).describe(False)
    if options.verb == "up":
        for tool in PACKAGES:
            program(tool)
    os.umask(0o022)
    with locked(root, create=options.verb == "up") as there:
        fleet = Fleet(root)
        if options.verb == "up":
            changed = fleet.up(options.size, options.plain, options.net)
        elif options.verb == "down":
            changed = there and fleet.down()
        elif options.verb == "start":
            changed = fleet.ensure(fleet.known(options.node))
        else:
            changed = fleet.end(fleet.known(options.node), options.keep_jobs)
        return fleet.describe(changed)


def node_count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 200:
        raise argparse.ArgumentTypeError(f"a number from 1 to 200 is needed, not {text!r}")
    return int(text)


def network_place(text: str) -> dict[str, str]:
    namespace, _at, address = text.rpartition("@")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", namespace):
        raise argparse.ArgumentTypeError(
            f"NAMESPACE@ADDRESS is needed, with a name that `ip netns` lists, not {text!r}"
        )
    try:
        return {"namespace": namespace, "address": str(ipaddress.IPv4Address(address))}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{address!r} is no IPv4 address") from None


def main() -> int:
    parser = argparse.ArgumentParser(description="Start, stop and show test nodes on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="up|down|status|stop|start")
    for verb in ("up", "down", "status", "stop", "start"):
        one = verbs.add_parser(verb)
        one.add_argument(
            "--dir",
            help="the fleet's folder (default: distributed-gummy/fleet in $XDG_STATE_HOME or ~/.local/state)",
        )
        if verb == "up":
            number = one.add_mutually_exclusive_group()
            number.add_argument("--size", type=node_count, default=3, help="number of nodes (3)")
            number.add_argument(
                "--net",
                type=network_place,
                action="append",
                default=[],
                metavar="NAMESPACE@ADDRESS",
                help="the network namespace that node-1 lives in and its address there; again for node-2 and so on",
            )
            one.add_argument(
                "--plain", action="store_true", help="no namespaces even where they can be had"
            )
        if verb in ("stop", "start"):
            one.add_argument("node")
        if verb == "stop":
            one.add_argument(
                "--keep-jobs", action="store_true", help="end sshd and its sessions only"
            )
    try:
        answer = act(parser.parse_args())
    except (FleetError, OSError, subprocess.SubprocessError) as problem:
        where = (
            f"{problem.filename}: {problem.strerror}; another folder can be given with --dir"
            if isinstance(problem, OSError)
            else problem
        )
        print(json.dumps({"schema_version": SCHEMA_VERSION, "error": str(where)}))
        print(where, file=sys.stderr)
        return 1
    print(json.dumps(answer))
    print(in_words(answer), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
