# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines for people while a run goes on: one thread prints, a stalled terminal drops lines and
blocks nothing.
"""

from __future__ import annotations

import queue
import threading
import time

from ansible.utils.display import Display

# Lines that may wait for the terminal.
KEPT = 1000


class Printer:
    """say() never blocks. close() waits a little for what is still to be printed."""

    def __init__(self, shown: bool = True) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(KEPT)
        self._shown = shown
        self._dropped = 0
        self._thread = threading.Thread(target=self._print, daemon=True)
        self._thread.start()

    def event(self, job: str, verb: str, node: str, text: str) -> None:
        """One line per event: time, job, verb, node, why."""
        if self._shown:
            self.say(
                f"{time.strftime('%H:%M:%S')}  {job or '-':<12}  {verb:<5}  {node or '-':<12}  {text}"
            )

    def say(self, line: str) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        if self._dropped:
            self.say(f"({self._dropped} lines were not shown: the terminal did not take them)")
        try:
            self._lines.put(None, timeout=5)
        except queue.Full:
            return
        self._thread.join(5)

    def _print(self) -> None:
        while (line := self._lines.get()) is not None:
            # Stdout is not flushed when it is no terminal.
            Display().display(shown(line), stderr=True)


def shown(line: str) -> str:
    """A line without what a terminal would obey: it may hold a node's or an agent's words."""
    return (
        line
        if line.isprintable()
        else "".join(
            char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}"
            for char in line
        )
    )
