# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The namespaces of a node: what makes it look like a machine of its own, as root on Linux."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys

from fleet_machine import FleetError, last_line, write_whole
from fleet_processes import LINUX, end_processes, is_alive, launch, process_table, record
from fleet_store import Store
from fleet_texts import account_tables

# Where `ip netns` keeps the network namespaces.
NETNS = "/run/netns"
INIT_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fleet_init.py")


def make_tables(store: Store, name: str) -> None:
    """Write what the node's /etc has of its own; what is there stays."""
    etc = f"{store.folder(name)}/etc"
    for file, text in account_tables(name, store.data["node_uid"]).items():
        if not os.path.exists(f"{etc}/{file}"):
            write_whole(f"{etc}/{file}", text, 0o600 if file == "shadow" else 0o644)
    if not os.path.exists(f"{etc}/machine-id"):
        write_whole(f"{etc}/machine-id", secrets.token_hex(16) + "\n", 0o444)


def why_none(store: Store) -> str | None:
    """Return None if nodes can have namespaces here, as a trial shows; else the reason."""
    if not LINUX:
        return "not on Linux"
    if os.geteuid() != 0:
        return "not root"
    for tool in ("unshare", "nsenter"):
        if not shutil.which(tool):
            return f"{tool} is missing"

    make_tables(store, "node-1")
    command = [*_init_command(store, "node-1"), "--trial"]
    try:
        trial = launch(store.folder("node-1"), command, subprocess.PIPE)
        output, _errors = trial.communicate(timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        end_processes(store, "node-1")
        return str(error)

    if trial.returncode:
        return last_line(output)
    return None


def are_whole(store: Store, name: str) -> bool:
    """Does the node have all the namespaces that it shall have?

    It has not before they are made, when their first process ended, and when another network
    namespace has the name of its own.
    """
    if not store.data["namespaces"]:
        return True
    init = store.nodes[name]["init"]
    if init is None or not is_alive(init, process_table()):
        return False

    network = store.network(name)
    if not network:
        return True
    with contextlib.suppress(OSError):
        named = f"{NETNS}/{network['namespace']}"
        return os.path.samefile(f"/proc/{init['pid']}/ns/net", named)
    return False


def make(store: Store, name: str) -> None:
    """Start the first process of the node's namespaces; raise FleetError if it can't be."""
    init = launch(store.folder(name), _init_command(store, name), subprocess.PIPE)
    assert init.stdout is not None
    with init.stdout:
        # One line of JSON once all is laid out; anything else is why it could not be.
        line = init.stdout.readline()
        if not line.startswith("{"):
            reason = last_line(line + init.stdout.read())
            raise FleetError(f"{name}: its namespaces could not be made: {reason}")

    store.nodes[name]["paths"] = json.loads(line)["paths"]
    record(store, name, "init", init.pid)


def entering(init_pid: int) -> list[str]:
    """Return the words before a command that runs it in the namespaces of this first process."""
    kinds = ["--net", "--mount", "--uts", "--pid"]
    return ["nsenter", "--target", str(init_pid), *kinds, "--"]


def _init_command(store: Store, name: str) -> list[str]:
    command = ["unshare", "--uts", "--pid", "--mount", "--fork", "--kill-child"]
    command += [sys.executable, INIT_PROGRAM, store.folder(name), str(store.data["node_uid"])]

    network = store.network(name)
    if network is None:
        return command
    namespace = network["namespace"]
    if not os.path.exists(f"{NETNS}/{namespace}"):
        raise FleetError(
            f"{name}: there is no network namespace {namespace}: "
            "make it (ip netns add), or name one of `ip netns list`"
        )
    return ["nsenter", f"--net={NETNS}/{namespace}", "--", *command]
