# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an attempt shows signs of life: its whole tree of processes, and its log.

A build may print nothing for an hour and work all the time; a hung program still ticks. So what
counts is what happens within a minute: half a second of CPU, a birth, a byte in the log, or some
bytes read and written. (macOS does not tell the last one without root.)
"""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import time
from typing import NamedTuple

from . import processes
from .row import last_line
from .store import TYPE_CHECKING, read_json, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from . import wire
    from .row import Said
    from .store import Attempt

# Seconds between two looks, and over which signs are counted.
EVERY = 5.0
WINDOW = 60.0
# What counts as alive within the window: seconds of CPU, and bytes read and written.
CPU = 0.5
MOVED = 64 << 10
# The file, in an attempt's folder, that tells others.
FILE = "signs.json"
# Bytes of a log's end in which its last line is looked for.
TAIL = 4096
# Clock ticks in a second, as /proc counts them.
TICKS = os.sysconf("SC_CLK_TCK")


class Use(NamedTuple):
    """What a process, with its children that have ended, has used so far."""

    cpu: float
    # Read and written; 0 where the system does not tell.
    moved: int
    # A number that grows when a child of it has ended, which may have been too short to be seen.
    # (The page faults of those children; 0 where the system does not tell.)
    children: int = 0


class Sample(NamedTuple):
    """An attempt at one moment."""

    # By pid and when it began, for pids come again.
    uses: dict[tuple[int, str], Use]
    log: int


class Change(NamedTuple):
    """What happened between two samples."""

    at: float
    cpu: float
    births: int
    moved: int
    log: int


class Signs:
    """The signs of life of one attempt. Times are those of time.monotonic()."""

    def __init__(
        self, sample: Callable[[], Sample], now: float, every: float = EVERY, window: float = WINDOW
    ) -> None:
        self._take = sample
        self._every = every
        self._window = window
        self._begun = now
        self._last = sample()
        self._looked_at = now
        self._changes: collections.deque[Change] = collections.deque()
        self._alive_at = now

    def look(self, now: float) -> bool:
        """Look if it is time; whether it was."""
        if now < self._looked_at + self._every:
            return False
        sample = self._take()
        self._changes.append(_change(self._last, sample, now))
        while self._changes[0].at <= now - self._window:
            self._changes.popleft()
        self._last = sample
        self._looked_at = now
        if _is_alive(self._changes):
            self._alive_at = now
        return True

    def quiet_for(self, now: float) -> float:
        """Seconds without a sign of life; 0 while there are some."""
        if now < self._alive_at + 2 * self._every:
            return 0.0
        # The last sign of a window came at its begin.
        return now - max(self._begun, self._alive_at - self._window)


def _change(before: Sample, after: Sample, now: float) -> Change:
    cpu = 0.0
    moved = 0
    births = 0
    for process, use in after.uses.items():
        old = before.uses.get(process)
        if old is None:
            births += 1
            old = Use(0.0, 0, use.children)
        births += 1 if use.children > old.children else 0
        cpu += max(0.0, use.cpu - old.cpu)
        moved += max(0, use.moved - old.moved)
    return Change(now, cpu, births, moved, max(0, after.log - before.log))


def _is_alive(changes: Iterable[Change]) -> bool:
    rows = list(changes)
    return (
        sum(row.cpu for row in rows) >= CPU
        or any(row.births for row in rows)
        or any(row.log for row in rows)
        or sum(row.moved for row in rows) >= MOVED
    )


# -- samples


def sample_of(attempt: Attempt, ancestor: int) -> Sample:
    """ancestor: the supervisor, which does not count itself."""
    pids = processes.living(attempt.id, ancestor)
    uses = _uses_linux(pids) if sys.platform == "linux" else _uses_ps(pids)
    try:
        size = os.path.getsize(attempt.log)
    except OSError:
        size = 0
    return Sample(uses, size)


def _uses_linux(pids: Iterable[int]) -> dict[tuple[int, str], Use]:
    uses = {}
    for pid in pids:
        # It may end meanwhile.
        try:
            with open("/proc/%d/stat" % pid, "rb") as file:
                fields = file.read().rsplit(b")", 1)[1].split()
            begun = fields[19].decode()
            cpu = sum(int(ticks) for ticks in fields[11:15]) / TICKS
        except (OSError, ValueError, IndexError):
            continue
        uses[pid, begun] = Use(cpu, _moved(pid), int(fields[8]))
    return uses


def _moved(pid: int) -> int:
    try:
        with open("/proc/%d/io" % pid, "rb") as file:
            rows = [line.split() for line in file.read().splitlines()]
        return sum(int(row[1]) for row in rows if row[0] in (b"rchar:", b"wchar:"))
    except (OSError, ValueError, IndexError):
        return 0


def _uses_ps(pids: Iterable[int]) -> dict[tuple[int, str], Use]:
    """The same where there is no /proc; what ended children used is not told."""
    words = ",".join(map(str, pids))
    if not words:
        return {}
    listing = subprocess.run(
        ["ps", "-o", "pid=,time=,lstart=", "-p", words], capture_output=True, text=True, check=False
    ).stdout
    uses = {}
    for line in listing.splitlines():
        fields = line.split(None, 2)
        if len(fields) == 3 and fields[0].isdigit():
            uses[int(fields[0]), fields[2]] = Use(seconds_of(fields[1]), 0)
    return uses


def seconds_of(text: str) -> float:
    """Of a time as ps has it: 1-02:03:04, 02:03:04 or 3:04.05."""
    days, _dash, clock = text.rpartition("-")
    seconds = 0.0
    for part in clock.replace(",", ".").split(":"):
        try:
            seconds = seconds * 60 + float(part)
        except ValueError:
            return 0.0
    return seconds + 86400 * (int(days) if days.isdigit() else 0)


# -- for others


def news(row: wire.Signs) -> tuple[int, str]:
    """What of it is told again only when it has changed.

    (0 below a minute without a sign, and one more each time that this has doubled; what it waits
    for, without how often it has tried and for how long it waits.)
    """
    return int(row["quiet"] // 60).bit_length(), row["waits"].partition(", try ")[0]


def last_words(attempt: Attempt) -> str:
    """The last line of what it has printed for people; blank: there is none.

    An event for programs is none: an agent that prints those may not have said anything yet.
    """
    try:
        with open(attempt.log, "rb") as file:
            begin = max(0, os.fstat(file.fileno()).st_size - TAIL)
            file.seek(begin)
            text = file.read(TAIL).decode("utf-8", "replace")
    except OSError:
        return ""
    if begin:
        # The rest of a line, of which it is not known how it began.
        text = text.replace("\r", "\n").partition("\n")[2]
    line = last_line(text)
    return "" if line.startswith("{") else line


def told(attempt: Attempt) -> wire.Signs | None:
    """What its supervisor has told last; None: nothing."""
    row: wire.Signs | None = read_json(attempt.path(FILE))
    return row


def tell(attempt: Attempt, quiet: float, said: Said, awake: str = "") -> None:
    """Write down what is known, for who asks for the attempt.

    awake: what keeps the node awake for it.
    """
    row: wire.Signs = {
        "quiet": round(quiet, 1),
        "at": time.time(),
        "waits": str(said.get("waits") or ""),
        "words": str(said.get("words") or ""),
        "cost_usd": said.get("cost_usd"),
        "turns": said.get("turns"),
        "tokens": said.get("tokens"),
        "awake": awake,
    }
    # It is no mark: a full disk, or a crash, may take it.
    try:
        write_whole(attempt.path(FILE), json.dumps(row).encode())
    except OSError:
        return
