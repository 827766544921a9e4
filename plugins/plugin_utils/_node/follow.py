# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb `follow`: what the logs of several attempts become while they are written.

It ends after the seconds that it is given, and sooner when it has told much or every attempt has
ended. Whoever asks goes on from where he is, so that a connection that breaks off loses nothing.
"""

from __future__ import annotations

import codecs
import os
import time

from .states import state_of
from .store import TYPE_CHECKING, is_locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from . import wire
    from .store import Attempt, Store

# Bytes of a log that go into one reply, into all of them, and of one that is followed from its end.
CHUNK = 65536
ALL_MOST = 8 * 1024 * 1024
END_MOST = 16 * 1024 * 1024
# The pause between two looks, and how long one call lasts at most, in seconds.
PAUSE = 0.2
SECONDS_MOST = 60.0
# What is asked for instead of an offset: the end of the log is enough.
FROM_THE_END = -1


class _Log:
    """The log of one attempt, as far as it was told."""

    def __init__(self, attempt: Attempt, offset: int) -> None:
        self.attempt = attempt
        # Whether its asker knows all that there was when it was looked at last.
        self.is_told = False
        self._offset = offset
        # A character may lie across two pieces.
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def pieces(self, is_over: bool) -> Iterator[wire.PieceReply]:
        """What has come since the last look; is_over: no more will come."""
        try:
            with open(self.attempt.log, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if self._offset == FROM_THE_END:
                    self._offset = max(0, size - END_MOST)
                file.seek(self._offset)
                while True:
                    data = file.read(CHUNK)
                    self._offset += len(data)
                    text = self._decoder.decode(data, final=is_over and not data)
                    if text:
                        yield self._piece(text)
                    if not data:
                        break
        except FileNotFoundError:
            # It has not begun, or was cleaned away.
            self._offset = max(0, self._offset)

    def _piece(self, text: str) -> wire.PieceReply:
        # What is half a character is told again.
        waiting = len(self._decoder.getstate()[0])
        return {
            "state": "piece",
            "attempt": self.attempt.id,
            "text": text,
            "size": self._offset - waiting,
        }


def follow(store: Store, request: wire.FollowRequest) -> Iterator[wire.FollowReply]:
    """Tell what comes, and of each attempt once that all of it is told, and that it is over."""
    logs = {
        attempt: _Log(store.attempt(attempt), int(offset))
        for attempt, offset in request["offsets"].items()
    }
    until = time.monotonic() + min(SECONDS_MOST, float(request["seconds"]))
    told = 0
    while logs:
        for attempt, log in list(logs.items()):
            # Looked at before the log: what is written until it ends is read.
            is_over = not _runs(log.attempt)
            for piece in log.pieces(is_over):
                told += len(piece["text"])
                yield piece
                if told > ALL_MOST:
                    yield {"state": "paused"}
                    return
            if is_over:
                del logs[attempt]
                yield {"state": "over", "attempt": attempt}
            elif not log.is_told:
                log.is_told = True
                yield {"state": "reached", "attempt": attempt}
        if time.monotonic() >= until:
            break
        if logs:
            time.sleep(PAUSE)
    yield {"state": "paused"}


def _runs(attempt: Attempt) -> bool:
    """Whether a supervisor has the attempt, so that its log may grow."""
    return state_of(attempt) in ("starting", "running") and is_locked(attempt.lock)
