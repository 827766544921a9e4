# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The session: one call of the node program that stays and carries many requests.

Lines of JSON come in on stdin and go out on stdout; wire.py says what is in them. Python and the
modules of the verbs are loaded once, and nothing else is kept: when the session ends anywhere,
whoever asked asks again by attempt id, as if each request had been a call of its own.

It is one thread around poll(), and it does nothing itself that could block, take a lock but for the
one that keeps its program, or change what holds for a whole process (the environment, the umask,
the working directory). Each request is answered by a child. A child is forked before any lock is
taken, and closes what belongs to the others. That matters because a fork keeps every lock that its
parent holds, whatever close-on-exec says: a supervisor that was forked beside an open claim would
hold that claim's lock for hours. What a child holds is its own, and a supervisor that it forks
holds no more.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import sys
import time

from . import verbs
from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

    from . import wire

STDIN = 0
STDOUT = 1
# Bytes of the longest line that is taken.
LINE_MOST = 32 * 1024 * 1024
# How many requests are answered at once; those after them wait in the pipe.
AT_ONCE = 64
# Bytes that may wait to go out; while there are more, nothing is taken from children.
BACKLOG_MOST = 1024 * 1024
# Bytes that are read or written at once.
CHUNK = 65536
# Seconds without a word of the asker, who says one every 15, after which there is none: a machine
# that lost its power ends no connection.
SILENCE_MOST = 120.0


class BadFrame(Exception):
    """What came in is no frame: nobody can say what the next line would be about."""


class _Child:
    """A request that is being answered, by a process of its own."""

    def __init__(self, number: int, pid: int, replies: int, words: int) -> None:
        """number: the request's id; replies, words: our ends of its stdout and of its stdin."""
        self.number = number
        self.pid = pid
        self.replies = replies
        self.words = words
        # What of a line has come so far.
        self.line = bytearray()

    def say(self, word: bytes) -> None:
        """A few bytes for its stdin. One that has ended, or takes no more, is told nothing."""
        if self.words >= 0:
            try:
                os.write(self.words, word)
            except OSError:
                self.end_words()

    def end_words(self) -> None:
        if self.words >= 0:
            os.close(self.words)
            self.words = -1

    def close(self) -> None:
        self.end_words()
        os.close(self.replies)


class Session:
    """One session, from its first line to the end of its stdin."""

    def __init__(self) -> None:
        # By the id of the request, and by the descriptor that its replies come from.
        self._children: dict[int, _Child] = {}
        self._by_pipe: dict[int, _Child] = {}
        self._input = bytearray()
        # Up to where there is no end of a line in it.
        self._looked_at = 0
        self._output = bytearray()
        self._heard_at = time.monotonic()
        self._is_over = False
        self._is_warm = False
        # Clean leaves a program alone that still runs.
        self._program = hold_program()

    def serve(self) -> int:
        """Answer until nobody asks any more; returns an exit status.

        What is being answered then goes on by itself, as a verb does whose caller is gone.
        """
        os.set_blocking(STDIN, False)
        os.set_blocking(STDOUT, False)
        self._tell({"state": "ready"})
        try:
            while not self._is_over:
                for descriptor in self._ready():
                    self._on_ready(descriptor)
                self._reap()
        except BrokenPipeError:
            return 1
        except BadFrame as exc:
            self._tell(
                {"state": "refused", "class": "program", "blame": "ours", "message": str(exc)}
            )
            self._flush()
            return 1
        return 0

    # -- what there is to do

    def _ready(self) -> list[int]:
        """The descriptors with which something can be done now; waits until there is one."""
        poller = select.poll()
        may_take = len(self._output) < BACKLOG_MOST
        if may_take and len(self._children) < AT_ONCE:
            poller.register(STDIN, select.POLLIN)
        if self._output:
            poller.register(STDOUT, select.POLLOUT)
        for descriptor in self._by_pipe if may_take else ():
            poller.register(descriptor, select.POLLIN)

        # What a start needs is loaded while there is nothing else to do.
        ready = poller.poll(self._milliseconds_left() if self._is_warm else 0)
        if not ready and not self._is_warm:
            self._is_warm = True
            load_modules()
            ready = poller.poll(self._milliseconds_left())
        if not ready:
            self._is_over = True
        return [descriptor for descriptor, _event in ready]

    def _milliseconds_left(self) -> float:
        """How long it is still waited for a word of the asker."""
        return max(0.0, self._heard_at + SILENCE_MOST - time.monotonic()) * 1000

    def _on_ready(self, descriptor: int) -> None:
        if descriptor == STDIN:
            self._take_requests()
        elif descriptor == STDOUT:
            self._flush()
        elif descriptor in self._by_pipe:
            self._take_replies(self._by_pipe[descriptor])

    def _reap(self) -> None:
        """Collect children that have ended; of none of them is waited for the end."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    # -- in

    def _take_requests(self) -> None:
        try:
            chunk = os.read(STDIN, CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self._is_over = True
            return

        self._heard_at = time.monotonic()
        self._input += chunk
        while (end := self._input.find(b"\n", self._looked_at)) >= 0:
            line = bytes(self._input[:end])
            del self._input[: end + 1]
            self._looked_at = 0
            self._take_frame(line)
        self._looked_at = len(self._input)
        if self._looked_at > LINE_MOST:
            raise BadFrame("a request has more than %d MB" % (LINE_MOST >> 20))

    def _take_frame(self, line: bytes) -> None:
        try:
            frame: wire.SessionRequest = json.loads(line)
            number = int(frame["id"])
        except (ValueError, TypeError, KeyError, RecursionError) as exc:
            raise BadFrame("a line of a session is no request (%s)" % type(exc).__name__) from None

        verb = frame.get("verb")
        child = self._children.get(number)
        if verb == "ping":
            self._tell({"state": "pong", "id": number})
        elif verb is not None:
            self._begin(number, str(verb), frame.get("request"))
        elif child is not None and "word" in frame:
            child.say(str(frame["word"]).encode())
        elif child is not None:
            child.end_words()

    def _begin(self, number: int, verb: str, request: object) -> None:
        """Have a request answered."""
        pipes: list[int] = []
        try:
            pipes += os.pipe()
            pipes += os.pipe()
            pid = os.fork()
        except OSError as exc:
            for descriptor in pipes:
                os.close(descriptor)
            message = "no process could be started: %s" % exc
            reply = {"state": "refused", "class": "program", "blame": "node", "message": message}
            self._tell({"state": "reply", "id": number, "reply": reply})
            self._tell({"state": "over", "id": number})
            return

        replies, replies_in, words, words_in = pipes
        if pid == 0:
            self._answer_as_child(verb, request, words, replies_in, others=(replies, words_in))
        os.close(words)
        os.close(replies_in)
        os.set_blocking(words_in, False)
        child = _Child(number, pid, replies, words_in)
        self._children[number] = child
        self._by_pipe[replies] = child

    def _answer_as_child(
        self, verb: str, request: object, words: int, replies: int, others: tuple[int, int]
    ) -> NoReturn:
        """The forked side, which never returns. It keeps nothing of the session's open."""
        status = 1
        try:
            for child in self._children.values():
                child.close()
            for descriptor in (*others, self._program):
                os.close(descriptor)
            for target, source in ((STDIN, words), (STDOUT, replies)):
                os.dup2(source, target)
                os.close(source)
            status = verbs.answer(verb, request)
        finally:
            # Nothing that the session would do at its end is done here.
            os._exit(status)

    # -- out

    def _take_replies(self, child: _Child) -> None:
        chunk = os.read(child.replies, CHUNK)
        if not chunk:
            del self._children[child.number]
            del self._by_pipe[child.replies]
            child.close()
            self._tell({"state": "over", "id": child.number})
            return

        head, *lines = chunk.split(b"\n")
        child.line += head
        for line in lines:
            self._pass_on(child)
            child.line += line

    def _pass_on(self, child: _Child) -> None:
        """A reply is handed on as it is: who gets it reads it."""
        reply = bytes(child.line.lstrip(b"\x1e"))
        child.line.clear()
        self._output += b'\x1e{"state": "reply", "id": %d, "reply": %s}\n' % (child.number, reply)

    def _tell(self, frame: dict[str, object]) -> None:
        self._output += b"\x1e" + json.dumps(frame).encode() + b"\n"

    def _flush(self) -> None:
        """Write what stdout takes now. Raises BrokenPipeError when nobody reads it any more."""
        try:
            with memoryview(self._output) as view:
                written = os.write(STDOUT, view[:CHUNK])
        except BlockingIOError:
            return
        del self._output[:written]


def hold_program() -> int:
    """A descriptor with a lock on the program's file, which others may share."""
    try:
        program = os.open(sys.argv[0], os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        # It may be gone by now: what is loaded goes on.
        program = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        fcntl.flock(program, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return program


def load_modules() -> None:
    """Load what the verbs would load one by one, so that each child has it."""
    import base64  # noqa: F401
    import pwd  # noqa: F401

    from . import supervisor  # noqa: F401


def serve() -> int:
    """The verb `session`; returns an exit status."""
    # What children leave in it when they are forked must not go out twice.
    sys.stdout.flush()
    return Session().serve()
