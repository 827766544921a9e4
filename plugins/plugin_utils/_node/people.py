# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of this login, whoever started them, and the tasks of gummy among them.

A task that somebody started by hand is told by what it is called, and by the lack of the marker
that ours have. The probe counts them by the same rule (_load/load.sh), and a test compares the two.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys

from .processes import MARKER
from .signs import TICKS, seconds_of
from .store import TYPE_CHECKING, boot_clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from . import wire

# How a task of gummy begins, in a command line whose words are joined by blanks.
TASK = re.compile(rb"(?:[^ ]*/)?gummy (?:task|plan|execute) ")
# What people are told of its words, in bytes, and how many tasks are told.
WORDS_MOST = 200
TASKS_MOST = 100


class Process:
    """A process of this login."""

    def __init__(
        self, pid: int, parent: int, words: Sequence[bytes], cwd: bytes, age: float | None
    ) -> None:
        """words: its command line; cwd: blank where the system does not tell it.

        age: in seconds; None where the system does not tell it.
        """
        self.pid = pid
        self.parent = parent
        self.words = words
        self.cwd = cwd
        self.age = age
        # Whether it is a task of gummy that none of our jobs has started.
        self.is_foreign = False


def of_this_login() -> list[Process]:
    """All of them but this one."""
    return _of_linux() if sys.platform == "linux" else _of_ps()


def foreign_tasks(processes: Sequence[Process]) -> list[wire.ForeignTask]:
    """The tasks of gummy among them that somebody started by hand, the oldest first."""
    pids = {process.pid for process in processes if process.is_foreign}
    # A shell that it forked is called as it is.
    tasks = [process for process in processes if process.is_foreign and process.parent not in pids]
    tasks.sort(key=_age, reverse=True)
    return [
        {
            "pid": process.pid,
            "words": _task_of(process.words)[:WORDS_MOST].decode("utf-8", "replace"),
            "seconds": process.age,
        }
        for process in tasks[:TASKS_MOST]
    ]


def _age(process: Process) -> float:
    return process.age or 0.0


def _task_of(words: Sequence[bytes]) -> bytes:
    """The command line from the word gummy on; blank if it is no task of gummy.

    An interpreter may stand before it.
    """
    for first in (0, 1):
        line = b" ".join(words[first:])
        if TASK.match(line):
            return line[line.index(b"gummy ") :].strip()
    return b""


def _of_linux() -> list[Process]:
    processes = []
    now = boot_clock()
    for name in filter(str.isdigit, os.listdir("/proc")):
        pid = int(name)
        # An error says that it ended, or is not ours to see.
        with contextlib.suppress(OSError, ValueError, IndexError):
            if pid == os.getpid() or os.stat("/proc/" + name).st_uid != os.geteuid():
                continue
            with open("/proc/%s/cmdline" % name, "rb") as file:
                words = file.read().split(b"\0")
            with open("/proc/%s/stat" % name, "rb") as file:
                # The program's name, in brackets before these, may hold anything.
                called, rest = file.read().split(b"(", 1)[1].rsplit(b")", 1)
            fields = rest.split()
            age = max(0.0, now - int(fields[19]) / TICKS)
            cwd = os.readlink(os.fsencode("/proc/%s/cwd" % name))
            process = Process(pid, int(fields[1]), words, cwd, round(age, 1))
            is_task = called == b"gummy" and bool(_task_of(words))
            process.is_foreign = is_task and not _is_marked(name)
            processes.append(process)
    return processes


def _is_marked(name: str) -> bool:
    with open("/proc/%s/environ" % name, "rb") as file:
        return any(word.startswith(b"%s=" % MARKER.encode()) for word in file.read().split(b"\0"))


def _of_ps() -> list[Process]:
    """No directories: macOS tells them only by lsof, which takes seconds."""
    import subprocess

    listing = subprocess.run(
        ["ps", "-xwwo", "pid=,ppid=,etime=,command="], capture_output=True, check=False
    ).stdout
    processes = []
    for line in listing.splitlines():
        fields = line.split(None, 3)
        if len(fields) < 4 or not fields[0].isdigit() or not fields[1].isdigit():
            continue
        words = fields[3].split()
        age = seconds_of(fields[2].decode("ascii", "replace"))
        processes.append(Process(int(fields[0]), int(fields[1]), words, b"", age))

    suspects = [process for process in processes if _task_of(process.words)]
    marked = _marked_by_ps() if suspects else set()
    for process in suspects:
        process.is_foreign = process.pid not in marked
    return processes


def _marked_by_ps() -> set[int]:
    """Pids of processes whose environment, which ps writes behind the command, has the marker."""
    import subprocess

    listing = subprocess.run(
        ["ps", "-xEwwo", "pid=,command="], capture_output=True, check=False
    ).stdout
    sign = b"%s=" % MARKER.encode()
    marked = set()
    for line in listing.splitlines():
        words = line.split()
        if words and words[0].isdigit() and any(word.startswith(sign) for word in words[1:]):
            marked.add(int(words[0]))
    return marked
