# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What agents print, told while they work: the new whole lines of each one's output.

An agent that works behind a recorder hides what it says; then the recorder keeps it in a file of
its own. Who can't keep up with an agent misses some of it, for the log has all.
"""

from __future__ import annotations

import contextlib
import json
import os

from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .store import Attempt

# The file, in an attempt's folder, in which a recorder keeps the events that claude prints, its
# bytes at most, and those of an event that is kept.
FILE = "talk"
FILE_MOST = 4 << 20
EVENT_MOST = 1 << 14
# Bytes that are told at once. Of what is more, and of what was printed before anybody asked, it is
# the end.
PIECE = 1 << 15


class Talk:
    """What is new in what the attempts of a run print."""

    def __init__(self, said: Mapping[str, int]) -> None:
        """said: up to which byte of an attempt's output it was told before."""
        self._said = dict(said)
        # Where each attempt's output is.
        self._paths: dict[str, str] = {}

    def news(self, attempt: Attempt) -> tuple[str, int]:
        """What the attempt has printed since, maybe nothing, and up to which byte that goes."""
        if attempt.id not in self._paths:
            spec = attempt.spec()
            is_hidden = spec is not None and spec["agent"] == "gummy"
            self._paths[attempt.id] = attempt.path(FILE) if is_hidden else attempt.log
        try:
            with open(self._paths[attempt.id], "rb") as file:
                return self._read(attempt.id, file, os.fstat(file.fileno()).st_size)
        except OSError:
            return "", 0

    def _read(self, attempt: str, file: Any, size: int) -> tuple[str, int]:
        begin = self._said.get(attempt, max(0, size - PIECE))
        is_cut = attempt not in self._said and begin > 0
        if size - begin > 2 * PIECE:
            begin = size - PIECE
            is_cut = True
        file.seek(begin)
        data = file.read(PIECE)
        if is_cut:
            # Half a line says nothing.
            whole = data.find(b"\n") + 1
            begin += whole
            data = data[whole:]
        end = data.rfind(b"\n") + 1
        if not end and len(data) < PIECE // 2:
            return "", 0
        data = data[: end or len(data)]
        self._said[attempt] = begin + len(data)
        return data.decode("utf-8", "backslashreplace"), begin + len(data)


def keep(attempt: str, event: Mapping[str, Any]) -> None:
    """Keep an event for who follows it; what is too long, or too much, is left out.

    attempt: its folder.
    """
    path = os.path.join(attempt, FILE)
    line = json.dumps(event).encode() + b"\n"
    if len(line) > EVENT_MOST:
        return
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    # A full disk does not disturb claude.
    with contextlib.suppress(OSError):
        file = os.open(path, flags, 0o600)
        try:
            if os.fstat(file).st_size < FILE_MOST:
                os.write(file, line)
        finally:
            os.close(file)
