# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines for people while a run goes on: a stalled terminal drops lines and blocks nothing.

In a terminal the last lines stay: how far the run has come, above it what runs. Without one, as in
CI, the same is printed once in a minute in which nothing else was.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

from .progress import Progress, progress_line, running_lines
from .text import printable

# How many lines may wait for the terminal.
KEPT = 1000
# How long the last lines may take, in seconds.
CLOSE_SECONDS = 5.0
# How often the lines that stay are drawn, in seconds, and how long it is quiet without a terminal
# before how far it has come is told.
DRAWN_EVERY = 1.0
QUIET_MOST = 60.0
# Of so many running jobs is told what they do, in a terminal and without one.
DRAWN_MOST = 8
TOLD_MOST = 5


class Printer:
    """Prints the lines that any thread hands in, one after the other, in a thread of its own."""

    def __init__(
        self,
        print_line: Callable[[str], None],
        progress: bool = True,
        *,
        draw: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        """print_line: prints one line, which is harmless by then.

        progress: without it nothing is printed. draw: makes these lines the ones that stay below
        all that is printed, or takes them away where there are none; None: there is no terminal.
        """
        self._print_line = print_line
        self._progress = progress
        self._draw = draw
        # None ends the thread.
        self._lines: queue.Queue[str | None] = queue.Queue(KEPT)
        self._dropped = 0
        # How far the run has come; any thread may replace it, and nobody changes it.
        self._standing: Progress | None = None
        # The own thread's alone: when something was printed last, and what stays there.
        self._printed_at = time.monotonic()
        self._drawn: list[str] = []
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

    def stand(self, progress: Progress) -> None:
        """From now on the run has come so far; returns at once."""
        self._standing = progress

    def close(self) -> None:
        """Wait a little for what is still to be printed."""
        self._standing = None
        if self._dropped:
            self.say(f"({self._dropped} lines were not shown: the terminal did not take them)")
        try:
            self._lines.put(None, timeout=CLOSE_SECONDS)
        except queue.Full:
            return
        self._thread.join(CLOSE_SECONDS)

    # -- the own thread

    def _print_lines(self) -> None:
        while True:
            try:
                line = self._lines.get(timeout=DRAWN_EVERY)
            except queue.Empty:
                self._look()
                continue
            if line is None:
                break
            self._print_line(printable(line))
            self._printed_at = time.monotonic()
            if self._lines.empty():
                self._look()
        self._standing = None
        self._look()

    def _look(self) -> None:
        """Draw how far it has come or, without a terminal, tell it where it was quiet for long."""
        if not self._progress:
            return
        standing = self._standing
        now = time.monotonic()
        if self._draw is not None:
            lines = [] if standing is None else standing_lines(standing, now, DRAWN_MOST)
            if lines or self._drawn:
                self._draw(lines)
            self._drawn = lines
        elif standing is not None and now >= self._printed_at + QUIET_MOST:
            for line in standing_lines(standing, now, TOLD_MOST):
                self._print_line(line)
            self._printed_at = now


def standing_lines(standing: Progress, now: float, most: int) -> list[str]:
    """What runs, and below it how far the run has come; harmless for a terminal."""
    lines = [*running_lines(standing, now, most), progress_line(standing, now)]
    return [printable(line) for line in lines]
