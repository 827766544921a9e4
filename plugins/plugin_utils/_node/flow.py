# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent prints, on its way through the supervisor: into the log, and to its reader.

stdout and stderr are a pipe each, so that neither cuts the other's lines for the reader. The log
has both in the order in which they came.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess

from .events import PIECE
from .row import Grace, Reader

# Bytes that a pipe holds at most.
PIPE_HOLDS = 1 << 20
# The supervisor's own stdout is the log.
LOG = 1


class Flow:
    """The two streams of a child whose stdout and stderr are pipes."""

    def __init__(self, child: subprocess.Popen[bytes], reader: Reader) -> None:
        self._reader = reader
        self._streams: dict[int, str] = {}
        self._poll = select.poll()
        self._grace = Grace()
        for file, name in ((child.stdout, "out"), (child.stderr, "err")):
            if file is not None:
                os.set_blocking(file.fileno(), False)
                self._streams[file.fileno()] = name
                self._poll.register(file.fileno(), select.POLLIN)

    @property
    def is_open(self) -> bool:
        """Whether anything may still come."""
        return bool(self._streams)

    def pass_on(self, seconds: float) -> None:
        """Pass on what comes; nothing is waited for longer than that."""
        for file, _event in self._poll.poll(max(0, int(seconds * 1000))):
            self._piece(file)

    def is_done(self, *, is_late: bool) -> bool:
        """Whether the child has told its result and only does not end.

        That is so when it has told no more for its grace, and at once when its time is over. What
        it prints that is no event, such as a clock that ticks, tells nothing.
        """
        is_finished = bool(self._reader.said().get("finished"))
        is_over = self._grace.is_over(is_finished)
        return is_over or (is_finished and is_late)

    def finish(self) -> None:
        """The child has ended: pass on what it left in the pipes.

        What it left running may hold them open, and is not waited for.
        """
        for file in list(self._streams):
            for _piece in range(PIPE_HOLDS // PIECE):
                if not self._piece(file):
                    break
        self._reader.end()

    def _piece(self, file: int) -> bool:
        """Pass a piece on; False if there is none."""
        try:
            data = os.read(file, PIECE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._streams.pop(file, None)
            with contextlib.suppress(KeyError):
                self._poll.unregister(file)
            return False

        # A full disk takes the log, and must not take what the agent says of itself.
        with contextlib.suppress(OSError):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(LOG, rest) :]
        self._reader.feed(self._streams[file], data)
        return True
