# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that is talked with: lines come out of it, and data goes in at any time.

One thread takes the lines and ends it; any thread may send.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Sequence

from .process import CHUNK, LINE_CAP, Process

# Bytes that may wait until the other side takes them. One that takes nothing is not talked with.
UNSENT_MOST = 64 * 1024 * 1024
# The longest single wait for output, in seconds: poll() takes no more than 24 days.
WAIT_MOST = 86400.0


class Channel(Process):
    """A program that runs, and stays until it is closed."""

    def __init__(self, argv: Sequence[str]) -> None:
        """Raises NotStarted."""
        super().__init__(argv, keep_stdin=True)
        self._sending = threading.Lock()
        # Under the lock: whether its stdin is still open.
        self._takes_more = True
        # Whoever sends what is not taken at once wakes the thread that waits for output.
        self._woken, self._wakes = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wakes, False)
        # The pieces of a line that has not ended yet, and their size.
        self._pieces: list[bytes] = []
        self._pending = 0

    def send(self, data: bytes) -> None:
        """Send this as soon as it is taken; whoever takes the lines finds out when it never is."""
        with self._sending:
            if not self._takes_more or len(self._unsent) > UNSENT_MOST:
                return
            self._unsent = memoryview(bytes(self._unsent) + data if self._unsent else data)
            is_sent = self._send()
        if not is_sent:
            self._wake()

    def _wake(self) -> None:
        # A full pipe wakes as well, and a closed one has nobody to be woken.
        with contextlib.suppress(OSError):
            os.write(self._wakes, b"x")

    def next_lines(self, seconds: float) -> list[bytes] | None:
        """The lines that have come, after this time at most; None: there will be no more.

        Raises TooMuchOutput.
        """
        poller = select.poll()
        poller.register(self._out, select.POLLIN)
        poller.register(self._woken, select.POLLIN)
        if not self._errors_ended:
            poller.register(self._err, select.POLLIN)
        with self._sending:
            if self._unsent:
                poller.register(self._in, select.POLLOUT)

        ready = {file for file, _event in poller.poll(min(max(0.0, seconds), WAIT_MOST) * 1000)}
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, CHUNK)
        if self._in in ready:
            with self._sending:
                self._send()
        if self._err in ready:
            self._take_errors()
        if self._out not in ready:
            return []

        chunk = os.read(self._out, CHUNK)
        if not chunk:
            return None
        return self._split(chunk)

    def _split(self, chunk: bytes) -> list[bytes]:
        head, *others = chunk.split(b"\n")
        self._pieces.append(head)
        self._pending += len(head)
        lines = []
        if others:
            lines = [b"".join(self._pieces), *others[:-1]]
            self._pieces = [others[-1]]
            self._pending = len(others[-1])
        if self._pending > LINE_CAP:
            self._end_too_much(f"a line of more than {LINE_CAP >> 20} MB")
        return lines

    def hang_up(self) -> None:
        """Tell it that nobody talks any more. It ends by itself, and then its lines do."""
        with self._sending:
            if self._takes_more:
                self._takes_more = False
                self._unsent = memoryview(b"")
                self.end_input()
        self._wake()

    def close(self) -> None:
        """End it; for the thread that takes its lines."""
        self.hang_up()
        super().close()
        for descriptor in (self._woken, self._wakes):
            os.close(descriptor)
