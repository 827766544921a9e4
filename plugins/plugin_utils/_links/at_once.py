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

from .process import DeadlinePassed, Process

K = TypeVar("K")


@dataclass(frozen=True)
class CompletedCommand:
    """How a command ended.

    `status`: None if it did not end by itself; `trouble`: why, as a part of a sentence; `tried`:
    whether it had its turn.
    """

    status: int | None
    out: str = ""
    err: str = ""
    trouble: str | None = None
    tried: bool = True


def run_all(
    commands: Mapping[K, Sequence[str]],
    stdin: Mapping[K, bytes] | None = None,
    timeout: float = 5.0,
    cap: int = 256 * 1024,
    at_once: int = 64,
) -> dict[K, CompletedCommand]:
    """Run every command, `at_once` at a time; what still runs after `timeout` seconds is ended.

    Same names out as in; raises nothing.
    """
    until = time.monotonic() + timeout
    # No terminal and English messages, whatever the user's locale.
    env = {**os.environ, "LC_ALL": "C"}

    def run(name: K) -> CompletedCommand:
        argv = commands[name]
        left = until - time.monotonic()
        if left <= 0:
            return CompletedCommand(None, trouble=f"no turn within {timeout:g} s", tried=False)
        try:
            process = Process(argv, (stdin or {}).get(name, b""), env=env)
        except (OSError, ValueError) as exc:
            return CompletedCommand(
                None, trouble=f"can't start {argv[0]}: {getattr(exc, 'strerror', None) or exc}"
            )
        status = None
        trouble = None
        size = 0
        lines = []
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
            trouble = f"no answer within {timeout:g} s"
        finally:
            err = process.errors()
            process.close()
        return CompletedCommand(status, b"\n".join(lines).decode("utf-8", "replace"), err, trouble)

    if not commands:
        return {}
    with ThreadPoolExecutor(min(at_once, len(commands))) as pool:
        return dict(zip(commands, pool.map(run, commands), strict=True))
