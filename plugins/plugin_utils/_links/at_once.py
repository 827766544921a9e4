# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many short commands at once, with one deadline for all."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from .._node.durations import spoken
from .process import DeadlinePassed, NotStarted, Process

K = TypeVar("K")


@dataclass(frozen=True)
class CompletedCommand:
    """How a command ended."""

    # The exit status; None if it did not end by itself.
    status: int | None
    # Its stdout.
    out: str = ""
    # The end of its stderr.
    err: str = ""
    # Why it did not end by itself, as a part of a sentence; None if it did.
    trouble: str | None = None
    # Whether it had its turn before the deadline.
    tried: bool = True


def run_all(
    commands: Mapping[K, Sequence[str]],
    stdin: Mapping[K, bytes] | None = None,
    timeout: float = 5.0,
    cap: int = 256 * 1024,
    at_once: int = 64,
) -> dict[K, CompletedCommand]:
    """Run every command, `at_once` at a time, and end what still runs after `timeout` seconds.

    commands: argv by a name of the caller's; stdin: what some of them get, by the same names.
    cap: bytes of stdout after which a command is ended. Returns the same names; raises nothing.
    """
    until = time.monotonic() + timeout
    given = stdin or {}

    def run(name: K) -> CompletedCommand:
        return _run(commands[name], given.get(name, b""), until, timeout, cap)

    if not commands:
        return {}
    with ThreadPoolExecutor(min(at_once, len(commands))) as pool:
        return dict(zip(commands, pool.map(run, commands), strict=True))


def _run(
    argv: Sequence[str], data: bytes, until: float, timeout: float, cap: int
) -> CompletedCommand:
    """Run one command until this time of the monotonic clock; `timeout` is for the message."""
    left = until - time.monotonic()
    if left <= 0:
        return CompletedCommand(None, trouble=f"no turn within {spoken(timeout)}", tried=False)

    # No terminal and English messages, whatever the user's locale.
    env = {**os.environ, "LC_ALL": "C"}
    try:
        process = Process(argv, data, env=env)
    except NotStarted as exc:
        return CompletedCommand(None, trouble=str(exc))

    status = None
    trouble = None
    lines = []
    size = 0
    try:
        for line in process.lines(left):
            lines.append(line)
            size += len(line) + 1
            if size > cap:
                trouble = f"more than {cap >> 10} kB of output"
                break
        else:
            status = process.status(max(0.1, until - time.monotonic()))
    except DeadlinePassed:
        trouble = f"no answer within {spoken(timeout)}"
    finally:
        err = process.errors()
        process.close()

    out = b"\n".join(lines).decode("utf-8", "replace")
    return CompletedCommand(status, out, err, trouble)
