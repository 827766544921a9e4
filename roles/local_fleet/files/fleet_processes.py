# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes live on this machine, and which of them are a node's.

Linux by /proc, macOS by ps.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import Any, NamedTuple

from fleet_texts import read

LINUX = sys.platform == "linux"
PF_EXITING = 4


class Process(NamedTuple):
    pid: int
    parent: int
    # With the pid, the identity of a process.
    started: str
    name: str
    # Killed, though not gone yet.
    ending: bool
    # Its environment, if we may see it: entries between NULs (macOS: command line and environment,
    # between blanks).
    marks: bytes


def process_table() -> dict[int, Process]:
    """All live processes by pid."""
    table = {}
    if LINUX:
        boot = read("/proc/sys/kernel/random/boot_id")[:8]
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError):
                name, _space, rest = read(f"/proc/{pid}/stat").partition("(")[2].rpartition(") ")
                fields = rest.split()
                if fields[0] not in "ZX":
                    table[pid] = Process(
                        pid,
                        int(fields[1]),
                        f"{fields[19]}@{boot}",
                        name,
                        bool(int(fields[6]) & PF_EXITING),
                        environment_of(pid),
                    )
        return table
    ask = ["ps", "-axEww", "-o", "pid=,ppid=,stat=,lstart=,ucomm=,command="]
    for line in subprocess.run(
        ask, stdout=subprocess.PIPE, env={"LC_ALL": "C", "PATH": os.defpath}, check=True
    ).stdout.splitlines():
        row = line.split(None, 9)
        if len(row) > 9 and not row[2].startswith(b"Z"):
            table[int(row[0])] = Process(
                int(row[0]),
                int(row[1]),
                b" ".join(row[3:8]).decode(),
                row[8].decode(),
                False,
                row[9],
            )
    return table


def environment_of(pid: int) -> bytes:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        return file.read()
    return b""


def is_sshd(process: Process, folder: str) -> bool:
    """sshd overwrites its environment with its title; what stays is the node's log as its
    descriptor 2.
    """
    if not process.name.startswith("sshd"):
        return False
    with contextlib.suppress(OSError):
        return os.path.samefile(f"/proc/{process.pid}/fd/2", f"{folder}/sshd/log")
    return not LINUX


def is_marked(process: Process, folder: str) -> bool:
    gap = b"\0" if LINUX else b" "
    return gap + b"GUMMY_NODE=" + os.fsencode(folder) + gap in gap + process.marks + gap


def is_alive(mark: dict[str, Any] | None, table: dict[int, Process]) -> bool:
    process = table.get(mark["pid"]) if mark else None
    return (
        process is not None
        and mark is not None
        and process.started == mark["started"]
        and not process.ending
    )
