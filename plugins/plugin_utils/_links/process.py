# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One process of ours: own process group, deadline, caps on what it prints, lines as they come.

It ends with us, whatever ends us (guardian.py).

What it prints may be a hostile node's: taking it costs linear time and bounded memory.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, NoReturn, cast

from .guardian import guardian

# Bytes of stdout after which a call is ended.
OUTPUT_CAP = 64 * 1024 * 1024
# Bytes of one of its lines.
LINE_CAP = 8 * 1024 * 1024
# Bytes of stderr, and how many of the last ones are kept.
ERRORS_CAP = 4 * 1024 * 1024
ERRORS_KEPT = 4096
# Bytes that are read at once.
CHUNK = 65536
# The longest single wait for output, in seconds: poll() takes no more than 24 days.
WAIT_MOST = 86400.0
# How often who waits for output is told that nothing has come, in seconds.
WAIT_LOOK = 0.5
# Bytes of the beginning of stdout that are kept.
BEGINNING_KEPT = 4096
# How often is looked whether a process has ended whose stderr somebody else holds, in seconds.
STATUS_LOOK = 0.02
# Calls a program that may take 2 GB of memory, where the system can hold it to that: for one that
# keeps in memory what came from a node, which may have no end.
WITH_LITTLE_MEMORY = ("/bin/sh", "-c", 'ulimit -v 2000000 2>/dev/null; exec "$@"', "sh")


class NotStarted(Exception):
    """The program could not be started; the text says why."""


class DeadlinePassed(Exception):
    """The process was ended because it took longer than it was given."""


class TooMuchOutput(DeadlinePassed):
    """The process was ended because it printed more than it may; the text says what."""


class Process:
    """A program that runs, in a process group of its own.

    Its stdin is a pipe that lines() feeds, for what goes in may be what must not be on a disk. Its
    stderr is a pipe that lines() and status() empty, so that who writes without end finds it full
    and is ended; a file would take it all. An ssh master that stays behind may hold it open, so
    its end is never waited for.
    """

    def __init__(
        self,
        argv: Sequence[str],
        data: bytes = b"",
        keep_stdin: bool = False,
        env: Mapping[str, str] | None = None,
        folder: str | None = None,
        source: IO[bytes] | None = None,
    ) -> None:
        """data: what it gets on stdin; env: its environment, ours if it is None.

        folder: where it runs, here if it is None; source: a file that is its stdin instead of data.
        keep_stdin leaves stdin open until close(), for verbs that end with their caller. Raises
        NotStarted.
        """
        try:
            guardian.call()
            self._process = subprocess.Popen(
                argv,
                bufsize=0,
                cwd=folder,
                stdin=subprocess.PIPE if source is None else source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env=env,
            )
        # A ValueError is for a word that no argv may hold, an OSError for one that is too long too.
        except (OSError, ValueError) as exc:
            reason = getattr(exc, "strerror", None) or exc
            raise NotStarted(f"can't start {argv[0]}: {reason}") from None
        guardian.begun(self._process.pid)
        # All are there, for all are pipes, but for a stdin that is a file.
        self._out = cast(IO[bytes], self._process.stdout).fileno()
        self._err = cast(IO[bytes], self._process.stderr).fileno()
        self._errors = b""
        self._errors_size = 0
        self._errors_ended = False
        self._unsent = memoryview(b"")
        self._keep_stdin = keep_stdin
        # What stdout began with, for who wants to know why nothing else comes.
        self.beginning = b""
        # Called again and again while output is waited for; what it raises ends the waiting.
        self.on_wait: Callable[[], None] | None = None
        os.set_blocking(self._err, False)
        self._in = -1
        if self._process.stdin is not None:
            self._in = self._process.stdin.fileno()
            self._unsent = memoryview(data)
            os.set_blocking(self._in, False)
            self._send()

    def _send(self) -> bool:
        """Give stdin what it takes now, and say whether it has got all."""
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._in, self._unsent) :]
        except BlockingIOError:
            return False
        except OSError:
            # The program reads no more: its exit status tells why.
            self._unsent = memoryview(b"")
        if not self._keep_stdin:
            self.end_input()
        return True

    def lines(self, seconds: float, cap: int | None = None) -> Iterator[bytes]:
        """stdout's lines as they come.

        cap: bytes of all of them, OUTPUT_CAP if it is None. Raises DeadlinePassed after `seconds`,
        and TooMuchOutput.
        """
        # The pieces of a line that has not ended yet, and their size.
        pieces: list[bytes] = []
        pending = 0
        for chunk in self._chunks(seconds, OUTPUT_CAP if cap is None else cap):
            head, *others = chunk.split(b"\n")
            pieces.append(head)
            pending += len(head)
            if others:
                yield b"".join(pieces)
                yield from others[:-1]
                pieces = [others[-1]]
                pending = len(others[-1])
            if pending > LINE_CAP:
                self._end_too_much(f"a line of more than {_megabytes(LINE_CAP)}")

        rest = b"".join(pieces)
        if rest:
            yield rest

    def output(self, seconds: float, cap: int) -> bytes:
        """All of stdout, byte by byte. Raises as `lines`."""
        return b"".join(self._chunks(seconds, cap))

    def _chunks(self, seconds: float, cap: int) -> Iterator[bytes]:
        """stdout as it comes, while stdin is fed and stderr emptied."""
        until = time.monotonic() + seconds
        size = 0
        # A poll, because select() knows no descriptor above 1023.
        poller = select.poll()
        poller.register(self._out, select.POLLIN)
        if not self._errors_ended:
            poller.register(self._err, select.POLLIN)
        if self._unsent:
            poller.register(self._in, select.POLLOUT)

        while True:
            longest = WAIT_MOST if self.on_wait is None else WAIT_LOOK
            left = min(max(0.0, until - time.monotonic()), longest)
            ready = {file for file, _event in poller.poll(left * 1000)}
            if self._in in ready and self._send():
                poller.unregister(self._in)
            if self._err in ready and self._take_errors():
                poller.unregister(self._err)

            chunk = b""
            if self._out in ready:
                chunk = os.read(self._out, CHUNK)
                if not chunk:
                    return
            size += len(chunk)
            if size > cap:
                self._end_too_much(f"more than {_megabytes(cap)}")
            if time.monotonic() >= until:
                self.kill()
                raise DeadlinePassed
            if chunk:
                self.beginning = (self.beginning + chunk)[:BEGINNING_KEPT]
                yield chunk
            if self.on_wait is not None:
                self.on_wait()

    def _take_errors(self) -> bool:
        """Take what stderr has now, and say whether it has ended. Raises TooMuchOutput."""
        while not self._errors_ended:
            try:
                chunk = os.read(self._err, CHUNK)
            except BlockingIOError:
                break
            self._errors_ended = not chunk
            self._errors = (self._errors + chunk)[-ERRORS_KEPT:]
            self._errors_size += len(chunk)
            if self._errors_size > ERRORS_CAP:
                self._end_too_much(f"more than {_megabytes(ERRORS_CAP)} of errors")
        return self._errors_ended

    def _end_too_much(self, what: str) -> NoReturn:
        self.kill()
        # Nothing more is taken.
        self._errors_ended = True
        raise TooMuchOutput(f"it printed {what}")

    def status(self, seconds: float = 5.0) -> int:
        """The exit status, once stdout has ended.

        Raises DeadlinePassed after `seconds`, and TooMuchOutput.
        """
        until = time.monotonic() + seconds
        poller = select.poll()
        poller.register(self._err, select.POLLIN)
        while not self._take_errors() and self._process.poll() is None:
            left = until - time.monotonic()
            if left <= 0:
                self.kill()
                raise DeadlinePassed
            # Its end may leave stderr open, and then nothing wakes us.
            poller.poll(min(left, STATUS_LOOK) * 1000)
        try:
            return self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()
            raise DeadlinePassed from None

    def errors(self) -> str:
        """The last 4 kB of stderr so far."""
        with contextlib.suppress(TooMuchOutput):
            self._take_errors()
        return self._errors.decode("utf-8", "backslashreplace")

    def write(self, data: bytes) -> None:
        """A few bytes more for a stdin that was kept."""
        # If the process has ended, whoever reads its output finds that out.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(data)  # type: ignore[union-attr]

    def end_input(self) -> None:
        """Tell a verb that waits for its caller that the caller has gone."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def close(self) -> None:
        """End stdin, if it was kept, and the process; it may be called twice."""
        self.end_input()
        if self._keep_stdin:
            try:
                self._process.wait(0.2)
            except subprocess.TimeoutExpired:
                self.kill()
        elif self._process.poll() is None:
            self.kill()
        guardian.ended(self._process.pid)
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._errors_ended = True

    def kill(self) -> None:
        """End the process and all of its group at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def run(
    argv: Sequence[str],
    data: bytes = b"",
    seconds: float = 30.0,
    env: Mapping[str, str] | None = None,
    *,
    cap: int | None = None,
    opened: Callable[[Process], None] | None = None,
) -> tuple[int, bytes, str]:
    """(exit status, stdout, stderr's end) of a short call; `data` goes to its stdin.

    cap: as for `lines`; `opened` gets the process before it is waited for. Raises DeadlinePassed,
    TooMuchOutput, NotStarted.
    """
    process = Process(argv, data, env=env)
    try:
        if opened is not None:
            opened(process)
        out = b"\n".join(process.lines(seconds, cap))
        return process.status(), out, process.errors()
    finally:
        process.close()


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):.3g} MB"
