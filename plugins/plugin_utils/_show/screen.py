# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal that is drawn over and over, until somebody types q.

A worker of Ansible has no terminal. It opens the one that its main process has by its name, without
making it its own, and so gets no signal of it: Ctrl-C is a key like others here, which also keeps a
shell from taking the terminal back too early.

Whatever ends this process, the terminal is given back as it was. So a keeper stands beside it, a
few lines of shell that hold the terminal too and read from a pipe whose other end is here alone.
When that closes, the keeper gives the terminal back, unless somebody else has set it up meanwhile,
as a shell does after a kill -9.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Sequence
from typing import Self

# Given the path of the terminal it says `ready` once that is set up: keys come at once and are not
# shown, signals and pauses are keys, and what stands there is put aside until the end.
KEEPER = r"""
trap '' HUP INT QUIT TERM TSTP TTIN TTOU
PATH=$PATH:/usr/bin:/bin
before=$(stty -g <&3) || exit 1
stty -icanon -echo -isig -iexten min 1 time 0 <&3 || exit 1
ours=$(stty -g <&3)
printf '\033[?1049h\033[?25l\033[2J' >&3
echo ready
while read -r word; do :; done
printf '\033[0m\033[?25h\033[?1049l' >&3
[ "$(stty -g <&3)" != "$ours" ] || stty "$before" <&3
"""
# How long the keeper may take to set the terminal up, and to give it back, in seconds.
READY_SECONDS = 5.0
BACK_SECONDS = 3.0
# How often it is drawn, and looked for a key, another size, or an end, in seconds.
DRAW_EVERY = 1.0
LOOK_EVERY = 0.2
# Keys that end it: q, Ctrl-C, Ctrl-D and Ctrl-\.
ENDS = frozenset(b"qQ\x03\x04\x1c")
# What moves to the top, ends a line, and takes away what stands below.
HOME = b"\x1b[H"
END_OF_LINE = b"\x1b[K"
BELOW = b"\x1b[J"
HINT = "q: end"


class NoScreen(Exception):
    """The terminal can't be drawn on, a sentence says why."""


class Screen:
    """The terminal of this path while the context lasts. Raises NoScreen at its begin."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._terminal = -1
        self._keeper = 0
        self._words = -1
        # What a stalled terminal has not taken yet.
        self._unwritten = b""

    def __enter__(self) -> Self:
        try:
            # A description of our own: not to block is nobody else's matter.
            self._terminal = os.open(
                self._path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
            )
            self._refuse_background()
            self._begin_keeper()
        except OSError as exc:
            self._end()
            raise NoScreen(f"{self._path}: {exc.strerror}") from None
        except NoScreen:
            self._end()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    def _refuse_background(self) -> None:
        """Raise NoScreen where this process would be stopped when it reads a key."""
        try:
            group = os.tcgetpgrp(self._terminal)
        except OSError:
            # It is not the terminal of this session.
            return
        if group != os.getpgrp():
            raise NoScreen("WORKER_SESSION_ISOLATION is off, so that no key can be read here")

    def _begin_keeper(self) -> None:
        words, self._words = os.pipe()
        answers, answer = os.pipe()
        try:
            self._keeper = os.posix_spawn(
                "/bin/sh",
                ["sh", "-c", KEEPER],
                {"PATH": os.environ.get("PATH", os.defpath)},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, words, 0),
                    (os.POSIX_SPAWN_DUP2, answer, 1),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 3, self._path, os.O_RDWR | os.O_NOCTTY, 0),
                ],
                # What ends the group of this process is not to end the keeper first.
                setpgroup=0,
            )
            os.close(answer)
            answer = -1
            if not select.select([answers], [], [], READY_SECONDS)[0] or not os.read(answers, 64):
                raise NoScreen(f"{self._path}: stty can't set it up")
        finally:
            for descriptor in (words, answers, answer):
                if descriptor >= 0:
                    os.close(descriptor)

    def _end(self) -> None:
        """Give the terminal back, and wait until it is so."""
        if self._words >= 0:
            os.close(self._words)
            self._words = -1
        until = time.monotonic() + BACK_SECONDS
        while self._keeper and time.monotonic() < until:
            with contextlib.suppress(ChildProcessError):
                if not os.waitpid(self._keeper, os.WNOHANG)[0]:
                    time.sleep(0.01)
                    continue
            self._keeper = 0
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def size(self) -> tuple[int, int]:
        """Columns and rows, at this moment."""
        size = os.get_terminal_size(self._terminal)
        return size.columns or 80, size.lines or 24

    def draw(self, lines: Sequence[str]) -> None:
        """Lines in place of those that stand there. What a stalled terminal does not take is lost.

        Raises OSError when the terminal is gone.
        """
        if not self._write():
            return
        text = (END_OF_LINE + b"\r\n").join(line.encode("utf-8", "replace") for line in lines)
        self._unwritten = HOME + text + END_OF_LINE + BELOW
        self._write()

    def _write(self) -> bool:
        """Write what is left; whether that is all."""
        while self._unwritten:
            try:
                written = os.write(self._terminal, self._unwritten)
            except BlockingIOError:
                return False
            self._unwritten = self._unwritten[written:]
        return True

    def is_told_to_end(self, seconds: float) -> bool:
        """Wait for a key; whether it ends this, or the terminal is gone."""
        if not select.select([self._terminal], [], [], seconds)[0]:
            return False
        try:
            keys = os.read(self._terminal, 1024)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return not keys or any(key in ENDS for key in keys)


def draw_until_told(
    path: str, make_lines: Callable[[int, int], Sequence[str]], is_over: Callable[[], bool]
) -> None:
    """Draw on the terminal of this path until a key ends it, or the terminal is gone.

    make_lines: what stands there now, for so many columns and rows. is_over: whether it is to end
    for another reason. Raises NoScreen.
    """
    with Screen(path) as screen, contextlib.suppress(OSError):
        drawn_at = 0.0
        drawn_for = (0, 0)
        while not is_over():
            size = screen.size()
            now = time.monotonic()
            if size != drawn_for or now >= drawn_at + DRAW_EVERY:
                columns, rows = size
                # The last row is the hint's, and a line that reaches it must not scroll.
                screen.draw([*make_lines(columns, max(1, rows - 1))[: rows - 1], HINT[:columns]])
                drawn_at = now
                drawn_for = size
            if screen.is_told_to_end(LOOK_EVERY):
                return
