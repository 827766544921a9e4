# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The session with one node: one lasting call of the node program that carries many requests.

It saves a run what each call would cost, an ssh channel and a start of Python there, and nothing
rests on it. When it ends anywhere, what was not answered is asked once more in a new one, as every
verb may be; what is not answered then is an error like that of a call. _node/session.py is the
other side.

A node may say anything, and what it says of one request concerns no other:

* A reply that is not valid, and a flood of them, is the error of the request that it names.
* What names no request that was made, or is no frame at all, ends the session: nobody can say what
  the next line would be about.
* What comes for a request that nobody waits for any more is dropped, up to a limit.

So all of it costs that node alone, and of memory and time no more than a call with its caps.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from .._node import wire
from .._node.durations import spoken
from . import reader
from .asks import VERBS_OF_ROWS, Asks
from .channel import Channel
from .errors import InvalidReply, LinkError
from .process import OUTPUT_CAP, DeadlinePassed, TooMuchOutput
from .words import LOOKED_AT, told_words

# How many replies one request may bring.
REPLIES_MOST = 100_000
# How many replies to one request wait for whoever reads them; then the node has to wait.
WAITING_MOST = 16
# How often is looked whether a reader who is waited for has gone, in seconds.
LOOK = 0.1
# Bytes of what nobody asked for, noise of a login shell among it, after which a session is ended.
USELESS_MOST = 8 * 1024 * 1024
USELESS_LEAST = 64
# How long a session may take until its program runs, in seconds.
READY_SECONDS = 60.0
# How often is looked until then what the node says in words, in seconds.
WORDS_LOOK = 1.0
# How often a node is asked whether it lives, and how long it may say nothing after that, in
# seconds. It takes us for dead when it is not asked for two minutes (SILENCE_MOST in
# _node/session.py).
PING_EVERY = 15.0
PONG_SECONDS = 45.0
# How long a session may take to end when it is told to, in seconds.
END_SECONDS = 0.5


class Host(Protocol):
    """What opens sessions with a node, and wants to know how they go. Used by several threads."""

    name: str

    def open_session(self) -> Channel:
        """A new session, which may show to have been a bad guess. Raises LinkError."""

    def on_session_ready(self) -> None:
        """The program runs there."""

    def on_session_failed(self) -> None:
        """The session has ended before its program ran."""

    def check_words(self, words: str, seconds: float) -> None:
        """Raises LinkError if these words, before the program runs, ask for a person.

        seconds: how long it has been waited for.
        """

    def why_ended(self, status: int, errors: str) -> LinkError:
        """What the end of a session means, from its exit status and its stderr."""

    def on_noise(self) -> None:
        """The login shell prints something of its own."""

    def drop(self) -> None:
        """End the connection, which no longer answers."""


class SessionCut(LinkError):
    """The session ended before the answer: it is asked again in a new one."""


class Replies:
    """The replies to one request, for the thread that asked; what talks is for any thread."""

    def __init__(
        self, conversation: Conversation, number: int, verb: str, request: Mapping[str, object]
    ) -> None:
        self._conversation = conversation
        self._number = number
        self.verb = verb
        self.request = request
        # Bytes of replies since the reader last said that they were worth it, and their number.
        self.size = 0
        self.count = 0
        # Whether there was a reply, whether there will be no more, and whether nobody waits for
        # more.
        self.has_come = False
        self.is_over = False
        self.is_abandoned = False
        # Replies, or the error that ends them; None: they are over.
        self._waiting = queue.Queue[dict[str, Any] | LinkError | None](WAITING_MOST)

    def next(self, seconds: float | None) -> dict[str, Any] | None:
        """The next reply; None: there are no more.

        seconds: how long to wait, None: as long as the session lasts. Raises LinkError, and
        TimeoutError.
        """
        try:
            item = self._waiting.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None
        if item is None or isinstance(item, LinkError):
            self.is_over = True
        if isinstance(item, LinkError):
            raise item
        return item

    def renew(self) -> None:
        """What came so far was worth it: as much may come again."""
        self.size = 0
        self.count = 0

    def say(self, word: str) -> None:
        """A word to a verb that listens."""
        self._conversation.send({"id": self._number, "word": word})

    def leave(self) -> None:
        """Tell a verb that waits for its caller that he has gone."""
        self._conversation.send({"id": self._number})

    def abandon(self) -> None:
        """Nobody waits for more."""
        self.is_abandoned = True
        self.leave()

    def stop(self) -> None:
        """Whoever waits for more is told that there is no more."""
        self.abandon()
        self.put_last(None)

    # -- for the conversation

    def put(self, item: dict[str, Any] | LinkError | None) -> None:
        """Hand on what came. It waits for a slow reader, so that a flood does not pile up here."""
        while not self.is_abandoned and not self._conversation.is_closed:
            try:
                self._waiting.put(item, timeout=LOOK)
                return
            except queue.Full:
                continue

    def put_last(self, error: LinkError | None) -> None:
        """This is the end. Whoever reads slowly gets it in place of what waits for him."""
        while True:
            try:
                self._waiting.put_nowait(error)
                return
            except queue.Full:
                with contextlib.suppress(queue.Empty):
                    self._waiting.get_nowait()


class Conversation:
    """One opened session: its channel, the requests on their way, and the thread that reads."""

    def __init__(self, host: Host) -> None:
        """Raises LinkError."""
        self._name = host.name
        self._host = host
        self._channel = host.open_session()
        self._ids = itertools.count(1)

        # Under the lock: who waits for what, and why there is no more.
        self._lock = threading.Lock()
        self._requests: dict[int, Replies] = {}
        self._error: LinkError | None = None
        self.is_closed = False
        # When it ends at the latest, once it is closed, by the monotonic clock.
        self._end_by = float("inf")

        # The reading thread's alone.
        self._is_ready = False
        self._noise = ""
        self._useless = 0
        self._begun = time.monotonic()
        self._looked_at = self._begun
        self._pinged_at = self._begun
        self._is_waited_for = False

        self._thread = threading.Thread(
            target=self._run, name=f"gummy-session-{host.name}", daemon=True
        )
        self._thread.start()

    # -- for whoever asks

    @property
    def has_ended(self) -> bool:
        with self._lock:
            return self._error is not None

    def ask(self, verb: str, request: Mapping[str, object]) -> Replies:
        """Ask, and return what will have the replies. Raises LinkError."""
        number = next(self._ids)
        replies = Replies(self, number, verb, request)
        with self._lock:
            if self._error is not None:
                raise self._error
            self._requests[number] = replies
        self.send({"id": number, "verb": verb, "request": request})
        return replies

    def send(self, frame: wire.SessionRequest) -> None:
        self._channel.send(json.dumps(frame).encode() + b"\n")

    def hang_up(self) -> None:
        """Nothing more is asked; it may take END_SECONDS until the node has noticed.

        An ssh that is ended does not end the lines, for its master holds the other end of them.
        """
        self._end_by = min(self._end_by, time.monotonic() + END_SECONDS)
        self.is_closed = True
        self._channel.hang_up()

    def join(self) -> None:
        """Wait until it has ended after that."""
        self._thread.join(2 * END_SECONDS)

    # -- the reading thread

    def _run(self) -> None:
        error: LinkError
        try:
            while (lines := self._channel.next_lines(self._pause())) is not None:
                for line in lines:
                    self._take(line)
                self._look_at_clock(bool(lines))
                if self.is_closed and time.monotonic() >= self._end_by:
                    break
            error = self._why_it_ended()
        except TooMuchOutput as exc:
            error = InvalidReply(f"{self._name} was cut off: {exc}")
        except LinkError as exc:
            error = exc
        # Whatever it is, nobody may wait for ever for replies that nobody reads.
        except Exception as exc:  # noqa: BLE001
            error = LinkError(f"{self._name}: {type(exc).__name__}: {exc}", "reply")
        self._end(error)

    def _end(self, error: LinkError) -> None:
        # First, for whoever sees the end opens another one.
        self._channel.close()
        if not self._is_ready:
            self._host.on_session_failed()
        with self._lock:
            self._error = error
            left = list(self._requests.values())
            self._requests.clear()
        for replies in left:
            replies.put_last(error)

    def _why_it_ended(self) -> LinkError:
        """What the end of stdout means."""
        if self.is_closed:
            return LinkError(f"the session with {self._name} was closed", "reply")
        try:
            status = self._channel.status()
        except DeadlinePassed:
            status = -1
        errors = self._channel.errors()
        error = self._host.why_ended(status, errors)
        if self._is_ready:
            return SessionCut(str(error), error.kind)
        return error

    def _pause(self) -> float:
        """Seconds until there is something to do without a word of the node."""
        return min(self._due(), self._end_by) - time.monotonic()

    def _due(self) -> float:
        """When the clock is to be looked at, whatever comes or does not."""
        if not self._is_ready:
            return min(self._begun + READY_SECONDS, self._looked_at + WORDS_LOOK)
        if self._is_waited_for:
            return self._pinged_at + PONG_SECONDS
        return self._pinged_at + PING_EVERY

    def _look_at_clock(self, has_heard: bool) -> None:
        """Ask a node whether it lives, and end the session with one that does not answer."""
        if has_heard:
            self._is_waited_for = False
        now = time.monotonic()
        if now < self._due():
            return
        if not self._is_ready and now < self._begun + READY_SECONDS:
            self._looked_at = now
            words = f"{self._channel.errors()}\n{self._noise}"
            self._host.check_words(words, now - self._begun)
            return
        if not self._is_ready or self._is_waited_for:
            seconds = PONG_SECONDS if self._is_ready else READY_SECONDS
            self._host.drop()
            text = f"{self._name} did not answer within {spoken(seconds)}"
            words = ""
            if not self._is_ready:
                words = told_words(f"{self._channel.errors()}\n{self._noise}")
            raise LinkError(f"{text}, and said: {words}" if words else text, "timeout")
        self._pinged_at = now
        self._is_waited_for = True
        self.send({"id": next(self._ids), "verb": "ping"})

    def _take(self, line: bytes) -> None:
        """A line of stdout."""
        noise = line.partition(b"\x1e")[0].strip()
        if noise:
            self._host.on_noise()
        if noise and not self._is_ready:
            self._noise = f"{self._noise}\n{noise.decode('utf-8', 'replace')}"[-LOOKED_AT:]
        try:
            frame = reader.read("session", {}, line)
        except reader.NotValid as exc:
            raise self._not_valid("session", exc) from None

        if frame is None:
            self._add_useless(line)
        elif frame["state"] == "ready":
            self._add_useless(line)
            self._is_ready = True
            self._host.on_session_ready()
        elif frame["state"] == "refused":
            kind = "python" if frame["class"] == "python" else "reply"
            raise LinkError(f"{self._name}: {frame['message']}", kind)
        elif frame["state"] == "pong":
            self._add_useless(line)
        else:
            self._take_of_request(frame, line)

    def _take_of_request(self, frame: Mapping[str, Any], line: bytes) -> None:
        number = frame["id"]
        with self._lock:
            replies = self._requests.get(number)
            if replies is not None and frame["state"] == "over":
                del self._requests[number]
        if replies is None:
            raise InvalidReply(f"{self._name} answers a request that was not made")
        if replies.is_abandoned:
            self._add_useless(line)
        elif frame["state"] == "over":
            self._take_end(replies)
        else:
            self._take_reply(replies, frame["reply"], len(line))

    def _take_end(self, replies: Replies) -> None:
        if replies.has_come:
            replies.put(None)
        else:
            error = f"{self._name} gave no valid reply to {replies.verb}"
            replies.put(LinkError(error, "reply"))

    def _take_reply(self, replies: Replies, value: object, size: int) -> None:
        replies.size += size
        replies.count += 1
        try:
            if replies.count > REPLIES_MOST:
                raise InvalidReply(
                    f"{self._name} gave more than {REPLIES_MOST} replies to {replies.verb}"
                )
            if replies.size > OUTPUT_CAP:
                raise InvalidReply(
                    f"{self._name} was cut off: more than {OUTPUT_CAP >> 20} MB of {replies.verb}"
                )
            try:
                reply = reader.read_asked(replies.verb, replies.request, value)
            except reader.NotValid as exc:
                if replies.verb in VERBS_OF_ROWS:
                    return
                raise self._not_valid(replies.verb, exc) from None
        except InvalidReply as error:
            replies.put(error)
            replies.abandon()
            return
        replies.has_come = True
        replies.put(reply)

    def _not_valid(self, verb: str, error: reader.NotValid) -> InvalidReply:
        return InvalidReply(f"the reply of {self._name} to {verb} is not valid: {error}")

    def _add_useless(self, line: bytes) -> None:
        # Short ones cost time, too.
        self._useless += max(len(line), USELESS_LEAST)
        if self._useless > USELESS_MOST:
            raise InvalidReply(f"{self._name} says too much that nobody asked for")


class NodeSession(Asks):
    """One node as a run asks it: by a session, which is opened when it is first needed.

    It is used by several threads. Everything raises LinkError.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._one_at_a_time = threading.Lock()
        self._conversation: Conversation | None = None
        self._is_over = False

    @property
    def is_open(self) -> bool:
        """Whether there is one that goes on, so that a question costs no more than that."""
        conversation = self._conversation
        return conversation is not None and not conversation.has_ended and not self._is_over

    def poll(
        self, request: wire.PollRequest, opened: Callable[[Replies], None]
    ) -> Iterator[wire.PollReply]:
        """What a poll tells, as long as the session lasts; `opened` gets what can talk to it."""
        return self._stream("poll", request, None, opened)

    def board(self, request: wire.BoardRequest, seconds: float) -> Iterator[wire.BoardReply]:
        """What a node tells who watches it; rows come again if the session is cut meanwhile."""
        return self._stream("board", request, seconds, _nobody)

    def _replies(
        self, verb: str, request: Mapping[str, object], seconds: float
    ) -> Iterator[dict[str, Any]]:
        return self._stream(verb, request, seconds, _nobody)

    def _stream(
        self,
        verb: str,
        request: Mapping[str, object],
        seconds: float | None,
        opened: Callable[[Replies], None],
    ) -> Iterator[Any]:
        """The replies of a verb as they come; a call that is asked again tells them again.

        seconds: for all of them; None: it is no call, and they come for as long as they come.
        Raises LinkError.
        """
        until = None if seconds is None else time.monotonic() + seconds
        # What may be tried once more, each once: a session that ended under way, and one that did
        # not come about, for whoever opens the next looks first.
        again = {"cut", "failed"}
        while True:
            replies: Replies | None = None
            conversation = self._current()
            try:
                replies = conversation.ask(verb, request)
                opened(replies)
                while (reply := replies.next(_left(until))) is not None:
                    yield reply
                return
            except TimeoutError:
                error = f"{self._host.name} did not answer within {spoken(seconds or 0.0)}"
                raise LinkError(error, "timeout") from None
            except LinkError as exc:
                why = _why_again(exc)
                # Who follows a poll has what it told. A call counts when it is over, and its last
                # reply alone.
                is_told = seconds is None and replies is not None and replies.has_come
                if is_told or why not in again:
                    raise
                again.discard(why)
            finally:
                if replies is not None and not replies.is_over:
                    replies.abandon()

    def _current(self) -> Conversation:
        """The session that goes on; a new one where there is none. Raises LinkError."""
        with self._one_at_a_time:
            if self._is_over:
                raise LinkError(f"nothing more is asked of {self._host.name}", "reply")
            if self._conversation is None or self._conversation.has_ended:
                self._conversation = Conversation(self._host)
            return self._conversation

    def hang_up(self) -> None:
        """Nothing more is asked; `close` waits for the end."""
        self._is_over = True
        if self._conversation is not None:
            self._conversation.hang_up()

    def close(self) -> None:
        self.hang_up()
        if self._conversation is not None:
            self._conversation.join()


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())


def _nobody(_replies: Replies) -> None:
    """Nobody wants to talk to this verb."""


def _why_again(error: LinkError) -> str:
    """Why it makes sense to ask the same once more; blank: it makes none."""
    if isinstance(error, InvalidReply):
        return ""
    if isinstance(error, SessionCut):
        return "cut"
    return "failed" if error.kind in ("reply", "python") else ""
