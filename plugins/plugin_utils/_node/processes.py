# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding and ending an agent's processes, however they hide.

They are found by descent (on Linux the supervisor is a subreaper) and by a marker in their
environment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable

# The environment variable that says whose a process is.
MARKER = "GUMMY_ATTEMPT"
# Seconds between TERM and KILL.
GRACE = 5.0
# Linux's number for making this process the parent of its orphaned descendants.
PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Make orphans of the agent our children, so that a double fork can't hide them.

    Linux only.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def living(attempt: str, ancestor: int = 0) -> set[int]:
    """Pids of this attempt's agent, without our own.

    These are the processes with its marker, and, with `ancestor`, the descendants of that process.
    """
    marker = ("%s=%s" % (MARKER, attempt)).encode()
    if sys.platform == "linux":
        pids, parents = _marked_linux(marker)
    else:
        pids, parents = _marked_ps(marker)

    if ancestor:
        pids |= {pid for pid in parents if _descends(pid, ancestor, parents)}
    return pids - {os.getpid()}


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    above = pid
    while above in parents and above != ancestor:
        above = parents[above]
    return above == ancestor and pid != ancestor


def _marked_linux(marker: bytes) -> tuple[set[int], dict[int, int]]:
    """(pids with the marker, the parent of every process)."""
    marked = set()
    parents = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        # Another user's process can't be read, and one may end meanwhile.
        try:
            with open("/proc/%s/stat" % name, "rb") as file:
                # The program's name, in brackets before these, may hold anything.
                state, parent = file.read().rsplit(b")", 1)[1].split()[:2]
            if state == b"Z":
                continue
            parents[int(name)] = int(parent)
            with open("/proc/%s/environ" % name, "rb") as file:
                if marker in file.read().split(b"\0"):
                    marked.add(int(name))
        except OSError:
            continue
    return marked, parents


def _marked_ps(marker: bytes) -> tuple[set[int], dict[int, int]]:
    """The same where there is no /proc."""
    listing = subprocess.run(
        ["ps", "-axEwwo", "pid=,ppid=,stat=,command="], capture_output=True, check=False
    ).stdout
    marked = set()
    parents = {}
    for line in listing.splitlines():
        words = line.split(None, 3)
        if len(words) == 4 and not words[2].startswith(b"Z"):
            parents[int(words[0])] = int(words[1])
            if marker in words[3].split():
                marked.add(int(words[0]))
    return marked, parents


def end_all(attempt: str, ancestor: int = 0) -> list[int]:
    """End whatever lives of the attempt, by TERM and then by KILL.

    Returns the pids that could not be ended.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + GRACE
        signalled = set[int]()
        while time.monotonic() < until:
            pids = living(attempt, ancestor)
            if not pids:
                return []
            # Once each: a second TERM would disturb a clean-up; what forked meanwhile gets its own.
            _signal(pids - signalled, number)
            signalled |= pids
            time.sleep(0.02)
            reap()
    return sorted(living(attempt, ancestor))


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            continue


def reap() -> None:
    """Collect ended children that nobody else waits for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
