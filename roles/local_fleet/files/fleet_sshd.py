# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sshd of a node: its settings, its start, and whether a login reaches the node."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time

from fleet_init import INSIDE
from fleet_machine import (
    FleetError,
    find_program,
    is_locked,
    last_line,
    listens,
    write_whole,
)
from fleet_namespaces import entering
from fleet_processes import launch, record
from fleet_store import Store
from fleet_texts import SshdSettings, sshd_config

# How long sshd may take until it listens, in seconds.
PATIENCE = 15


def start(store: Store, name: str) -> bool:
    """Start the node's sshd on its port; return False if another program had the port.

    Raises FleetError if it does not start, or no login reaches the node.
    """
    node = store.nodes[name]
    folder = store.folder(name)
    command = _command(store, name)
    _write_settings(store, name)
    if _is_plain_root(store):
        _make_privsep_folder(find_program("sshd"), f"{folder}/sshd/sshd_config")

    with open(f"{folder}/sshd/log", "a", encoding="utf-8") as log:
        log_start = log.tell()
        listener = launch(folder, command, log)
    deadline = time.monotonic() + PATIENCE
    while (
        listener.poll() is None
        and not listens(store.address(name), node["port"])
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)

    # Another sshd may listen there: only a login tells that it is ours.
    reason = why_silent(store, name)
    if not reason and listener.poll() is None:
        record(store, name, "sshd", listener.pid)
        return True

    with contextlib.suppress(subprocess.TimeoutExpired):
        listener.wait(1)
    with open(f"{folder}/sshd/log", encoding="utf-8", errors="replace") as log:
        log.seek(log_start)
        log_text = log.read()
    if listener.poll() is not None and re.search("Cannot bind|already in use", log_text):
        return False
    raise FleetError(f"{name}: {reason} (sshd: {last_line(log_text)})")


def why_silent(store: Store, name: str) -> str | None:
    """Return None if a login with our keys runs commands on this very node; else the reason."""
    options = ["-F", f"{store.root}/ssh_config", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]
    command = [find_program("ssh"), "-a", "-x", *options, name, 'printf "<%s>" "$GUMMY_NODE"']
    try:
        reply = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False
        )
    except subprocess.TimeoutExpired:
        return "ssh did not answer within 20 s"

    if b"<" + os.fsencode(store.folder(name)) + b">" in reply.stdout:
        return None
    error_text = last_line((reply.stderr + b"\n" + reply.stdout).decode(errors="replace"))
    return f"ssh as {store.data['user']} runs no commands: {error_text}"


def _is_plain_root(store: Store) -> bool:
    """Do nodes without namespaces run as root?"""
    return not store.data["namespaces"] and os.geteuid() == 0


def _folder_seen(store: Store, name: str) -> str:
    """Return where the node itself sees the folder of its sshd."""
    if store.data["namespaces"]:
        return INSIDE
    return f"{store.folder(name)}/sshd"


def _write_settings(store: Store, name: str) -> None:
    node = store.nodes[name]
    variables = {"GUMMY_NODE": store.folder(name)}
    if not store.data["namespaces"]:
        variables["HOME"] = store.home(name)
    if node["paths"]:
        variables["PATH"] = node["paths"]

    listen = "127.0.0.1"
    if store.network(name):
        # Which of the addresses in there leads to it from here, the maker of the network knows.
        listen = "0.0.0.0"
    is_plain_root = _is_plain_root(store)
    settings = SshdSettings(
        listen=listen,
        port=node["port"],
        folder=_folder_seen(store, name),
        variables=variables,
        # Without PAM sshd refuses a locked account, key or not.
        use_pam=is_plain_root and is_locked(store.data["user"]),
        root_login=is_plain_root,
    )
    write_whole(f"{store.folder(name)}/sshd/sshd_config", sshd_config(settings))


def _command(store: Store, name: str) -> list[str]:
    folder = _folder_seen(store, name)
    sshd = find_program("sshd")
    command = [sshd, "-D", "-f", f"{folder}/sshd_config", "-E", f"{folder}/log"]

    if not store.data["namespaces"]:
        return command
    init = store.nodes[name]["init"]
    assert init is not None, "namespaces are made before sshd starts in them"
    return [*entering(init["pid"]), *command]


def _make_privsep_folder(sshd: str, config: str) -> None:
    """Make the folder that sshd as root wants, which a service of the system would make."""
    check = subprocess.run([sshd, "-t", "-f", config], capture_output=True, text=True, check=False)
    missing = re.search(r"Missing privilege separation directory: (/\S+)", check.stderr)
    if missing:
        os.makedirs(missing[1], 0o755, exist_ok=True)
