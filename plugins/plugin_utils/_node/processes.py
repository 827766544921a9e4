# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding and ending an agent's processes: by descent (the supervisor is a subreaper on Linux) and
by a marker in the environment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable

MARKER = "GUMMY_ATTEMPT"
# Seconds between TERM and KILL.
GRACE = 5.0


def become_subreaper() -> None:
    """Orphans of the agent become our children, so that a double fork cannot hide them.

    Linux only.
    """
    if sys.platform == "linux":
        # PR_SET_CHILD_SUBREAPER.
        ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)


def _marked_linux(marker: bytes) -> tuple[set[int], dict[int, int]]:
    marked = set()
    parents = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as file:
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


def living(attempt: str, ancestor: int = 0) -> set[int]:
    """Processes of this attempt's agent: marked ones, and (ancestor given) its descendants."""
    marker = ("%s=%s" % (MARKER, attempt)).encode()
    found, parents = _marked_linux(marker) if sys.platform == "linux" else _marked_ps(marker)
    for pid in parents if ancestor else ():
        line = [pid]
        while line[-1] in parents and line[-1] != ancestor:
            line.append(parents[line[-1]])
        if line[-1] == ancestor and len(line) > 1:
            found.add(pid)
    return found - {os.getpid()}


def _send(pids: Iterable[int], number: int) -> None:
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


def end_all(attempt: str, ancestor: int = 0) -> list[int]:
    """TERM, then KILL, whatever lives of the attempt; returns the pids that could not be ended."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + GRACE
        told = set[int]()
        while time.monotonic() < until:
            pids = living(attempt, ancestor)
            if not pids:
                return []
            # Once each: a second TERM would disturb a clean-up; what forked meanwhile gets its own.
            _send(pids - told, number)
            told |= pids
            time.sleep(0.02)
            reap()
    return sorted(living(attempt, ancestor))
