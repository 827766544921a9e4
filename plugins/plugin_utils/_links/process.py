# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One process of ours: own process group, deadline, output cap, lines as they come."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, cast

# Bytes of stdout after which a call is ended.
OUTPUT_CAP = 64 * 1024 * 1024
# The longest single wait for output, in seconds: poll() takes no more than 24 days.
WAIT_MOST = 86400.0


# The processes that run now, for who ends them all at once.
_running: set[Process] = set()
_one_at_a_time = threading.Lock()


class DeadlinePassed(Exception):
    """The process was ended because it took longer than it was given."""


class Process:
    """A program that runs, in a process group of its own.

    Its stdin is a pipe that lines() feeds, for what goes in may be what must not be on a disk. Its
    stderr is a file: an ssh master that stays behind would hold a pipe open.
    """

    def __init__(
        self,
        argv: Sequence[str],
        data: bytes = b"",
        keep_stdin: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """data: what it gets on stdin; env: its environment, ours if it is None.

        keep_stdin leaves stdin open until close(), for verbs that end with their caller. Raises
        OSError, and ValueError for a word that no argv may hold.
        """
        # This file lives as long as the process does.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            argv,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            env=env,
        )
        with _one_at_a_time:
            _running.add(self)
        # Both are there, for both are pipes.
        self._out = cast(IO[bytes], self._process.stdout).fileno()
        self._in = cast(IO[bytes], self._process.stdin).fileno()
        self._unsent = memoryview(data)
        self._keep_stdin = keep_stdin
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

    def lines(self, seconds: float) -> Iterator[bytes]:
        """stdout's lines as they come.

        Raises DeadlinePassed after `seconds`, or at OUTPUT_CAP bytes.
        """
        until = time.monotonic() + seconds
        rest = b""
        size = 0
        # A poll, because select() knows no descriptor above 1023.
        poller = select.poll()
        poller.register(self._out, select.POLLIN)
        if self._unsent:
            poller.register(self._in, select.POLLOUT)

        while True:
            left = min(max(0.0, until - time.monotonic()), WAIT_MOST)
            ready = {file for file, _event in poller.poll(left * 1000)}
            if self._in in ready and self._send():
                poller.unregister(self._in)

            chunk = b""
            if self._out in ready:
                chunk = os.read(self._out, 65536)
                if not chunk:
                    break
            size += len(chunk)
            if not ready or size > OUTPUT_CAP or time.monotonic() > until:
                self.kill()
                raise DeadlinePassed

            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole

        if rest:
            yield rest

    def status(self, seconds: float = 5.0) -> int:
        """The exit status, once stdout has ended. Raises DeadlinePassed after `seconds`."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DeadlinePassed from None

    def errors(self) -> str:
        """The last 4 kB of stderr."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 4096))
        return self._errors.read().decode("utf-8", "backslashreplace")

    def write(self, data: bytes) -> None:
        """A few bytes more for a stdin that was kept."""
        # If the process has ended, whoever reads its output finds that out.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(data)  # type: ignore[union-attr]

    def end_input(self) -> None:
        """Tell a verb that waits for its caller that the caller has gone."""
        self._process.stdin.close()  # type: ignore[union-attr]

    def close(self) -> None:
        """End stdin, if it was kept, and the process; it may be called twice."""
        with _one_at_a_time:
            _running.discard(self)
        self.end_input()
        if self._keep_stdin:
            try:
                self._process.wait(0.2)
            except subprocess.TimeoutExpired:
                self.kill()
        elif self._process.poll() is None:
            self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

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
    opened: Callable[[Process], None] | None = None,
) -> tuple[int, bytes, str]:
    """(exit status, stdout, stderr's end) of a short call; `data` goes to its stdin.

    `opened` gets the process before it is waited for. Raises DeadlinePassed, OSError.
    """
    process = Process(argv, data, env=env)
    try:
        if opened is not None:
            opened(process)
        out = b"\n".join(process.lines(seconds))
        return process.status(), out, process.errors()
    finally:
        process.close()


def kill_all() -> None:
    """End all processes that were called and not closed: this one is about to end."""
    with _one_at_a_time:
        processes = [*_running]
    for process in processes:
        # The id of one that has ended may be another program's by now.
        if process._process.poll() is None:
            process.kill()
