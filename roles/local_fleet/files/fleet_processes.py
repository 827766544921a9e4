# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes live on this machine, which of them are a node's, and how they start and end.

Linux by /proc, macOS by ps.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from typing import IO, Literal, NamedTuple

from fleet_machine import FleetError, read
from fleet_store import Mark, Store

LINUX = sys.platform == "linux"
# A flag of the kernel's in /proc/PID/stat: the process is on its way out.
PF_EXITING = 4
# How long the processes of a node may take to end after SIGKILL, in seconds.
PATIENCE = 15


class Process(NamedTuple):
    """A row of the process table."""

    pid: int
    parent: int
    # When it started; with the pid, the identity of a process.
    started: str
    # The name of its program, as the system cuts it.
    name: str
    # It was killed, though it is not gone yet.
    ending: bool
    # Its environment, if we may see it: entries between NULs (macOS: command line and environment,
    # between blanks).
    environment: bytes


def process_table() -> dict[int, Process]:
    """Return all live processes by pid."""
    rows = _linux_table() if LINUX else _macos_table()
    return {process.pid: process for process in rows}


def _linux_table() -> Iterable[Process]:
    # Clocks start anew with each boot, and so do pids.
    boot = read("/proc/sys/kernel/random/boot_id")[:8]
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        # A process that ended meanwhile is no row.
        with contextlib.suppress(OSError):
            name, _space, rest = read(f"/proc/{pid}/stat").partition("(")[2].rpartition(") ")
            fields = rest.split()
            if fields[0] in "ZX":
                continue
            yield Process(
                pid=pid,
                parent=int(fields[1]),
                started=f"{fields[19]}@{boot}",
                name=name,
                ending=bool(int(fields[6]) & PF_EXITING),
                environment=_environment_of(pid),
            )


def _macos_table() -> Iterable[Process]:
    command = ["ps", "-axEww", "-o", "pid=,ppid=,stat=,lstart=,ucomm=,command="]
    environment = {"LC_ALL": "C", "PATH": os.defpath}
    reply = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
    for line in reply.stdout.splitlines():
        fields = line.split(None, 9)
        if len(fields) > 9 and not fields[2].startswith(b"Z"):
            yield Process(
                pid=int(fields[0]),
                parent=int(fields[1]),
                started=b" ".join(fields[3:8]).decode(),
                name=fields[8].decode(),
                ending=False,
                environment=fields[9],
            )


def _environment_of(pid: int) -> bytes:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        return file.read()
    return b""


def is_sshd(process: Process, folder: str) -> bool:
    """Is it an sshd of the node with this folder?

    sshd overwrites its environment with its title; what stays is the node's log, descriptor 2.
    """
    if not process.name.startswith("sshd"):
        return False
    with contextlib.suppress(OSError):
        return os.path.samefile(f"/proc/{process.pid}/fd/2", f"{folder}/sshd/log")
    # macOS has no /proc, so the name has to do.
    return not LINUX


def is_marked(process: Process, folder: str) -> bool:
    """Does its environment say that it is of the node with this folder?"""
    gap = b"\0" if LINUX else b" "
    mark = gap + b"GUMMY_NODE=" + os.fsencode(folder) + gap
    return mark in gap + process.environment + gap


def is_alive(mark: Mark | None, table: dict[int, Process]) -> bool:
    """Is the process on record still the one that has this pid, and not on its way out?"""
    if mark is None:
        return False
    process = table.get(mark["pid"])
    return process is not None and process.started == mark["started"] and not process.ending


def processes_by_node(store: Store) -> dict[str, list[Process]]:
    """Return the processes of each node by its name, in the order of their pids.

    They are those on record, those that carry the node's mark, its sshd, and what descends from
    them: so what a killed call left behind is found too.
    """
    table = process_table()
    owners: dict[int, str] = {}
    for name, node in store.nodes.items():
        folder = store.folder(name)
        marks = (node["sshd"], node["init"])
        recorded = [mark["pid"] for mark in marks if mark and is_alive(mark, table)]
        for process in table.values():
            if process.pid in recorded or is_marked(process, folder) or is_sshd(process, folder):
                owners[process.pid] = name
    # We ourselves carry a node's mark when a job of it calls us.
    owners.pop(os.getpid(), None)

    _add_descendants(owners, table)
    return {
        name: [table[pid] for pid in sorted(owners) if owners[pid] == name] for name in store.nodes
    }


def _add_descendants(owners: dict[int, str], table: dict[int, Process]) -> None:
    """Enter the children of those that have an owner, until none is left without."""
    size = -1
    while size != len(owners):
        size = len(owners)
        for process in table.values():
            if process.parent in owners and process.pid not in owners:
                owners[process.pid] = owners[process.parent]


def launch(folder: str, command: Sequence[str], output: int | IO[str]) -> subprocess.Popen[str]:
    """Start a program for the node with this folder, in a session of its own, with its mark."""
    return subprocess.Popen(
        command,
        env={**os.environ, "GUMMY_NODE": folder},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def record(store: Store, name: str, role: Literal["sshd", "init"], launched: int) -> None:
    """Enter the process behind a launch into fleet.json, given the pid of what was launched.

    With namespaces that is the child that unshare or nsenter made. Raises FleetError if it is gone.
    """
    table = process_table()
    process = table.get(launched)
    if store.data["namespaces"]:
        process = next((row for row in table.values() if row.parent == launched), None)
    if process is None:
        raise FleetError(f"{name}: {role} ended right after its start; try again")

    store.nodes[name][role] = {"pid": process.pid, "started": process.started}
    store.save()


def end_processes(store: Store, name: str, sshd_only: bool = False) -> bool:
    """Send SIGKILL to a node's processes until none is left; return whether there were any.

    With `sshd_only` what its jobs detached lives on. Raises FleetError if they do not end.
    """
    deadline = time.monotonic() + PATIENCE
    ended = False
    while victims := _victims(store, name, sshd_only):
        if time.monotonic() > deadline:
            names = ", ".join(f"{process.name} ({process.pid})" for process in victims)
            raise FleetError(f"{name}: these processes do not end: {names}")
        _kill(victims)
        ended = True
        time.sleep(0.02)
    return ended


def _victims(store: Store, name: str, sshd_only: bool) -> list[Process]:
    processes = processes_by_node(store).get(name, [])
    if sshd_only:
        return [process for process in processes if is_sshd(process, store.folder(name))]
    return processes


def _kill(victims: list[Process]) -> None:
    # unshare and nsenter reap their child and go. Killed first, they would leave it to a pid 1 that
    # may take its time, so they come last; and SIGCONT, for they stop when their child is stopped.
    reapers = [process for process in victims if process.name in ("unshare", "nsenter")]
    only_reapers = len(reapers) == len(victims)
    for process in victims:
        spared = process in reapers and not only_reapers
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT if spared else signal.SIGKILL)
