# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines for people while a run goes on: a stalled terminal drops lines and blocks nothing."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from .text import printable

# How many lines may wait for the terminal.
KEPT = 1000
# How long the last lines may take, in seconds.
CLOSE_SECONDS = 5.0


class Printer:
    """Prints the lines that any thread hands in, one after the other, in a thread of its own.

    print_line: prints one line, which is harmless by then. progress: without it nothing is printed.
    """

    def __init__(self, print_line: Callable[[str], None], progress: bool = True) -> None:
        self._print_line = print_line
        self._progress = progress
        # None ends the thread.
        self._lines: queue.Queue[str | None] = queue.Queue(KEPT)
        self._dropped = 0
        # A daemon: one that hangs in the terminal must not keep the process alive.
        self._thread = threading.Thread(target=self._print_lines, daemon=True)
        self._thread.start()

    def event(self, job: str, verb: str, node: str, text: str) -> None:
        """One line for each event: time, job, verb, node, why."""
        now = time.strftime("%H:%M:%S")
        self.say(f"{now}  {job or '-':<12}  {verb:<5}  {node or '-':<12}  {text}")

    def say(self, line: str) -> None:
        """Hand in a line; returns at once, whatever the terminal does."""
        if not self._progress:
            return
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Wait a little for what is still to be printed."""
        if self._dropped:
            self.say(f"({self._dropped} lines were not shown: the terminal did not take them)")
        try:
            self._lines.put(None, timeout=CLOSE_SECONDS)
        except queue.Full:
            return
        self._thread.join(CLOSE_SECONDS)

    def _print_lines(self) -> None:
        while (line := self._lines.get()) is not None:
            self._print_line(printable(line))
