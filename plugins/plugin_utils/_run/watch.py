# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following the attempts of a run on its nodes, and waiting on the nodes' waitlists.

Each node that is watched has one thread and one poll at a time, a request in the node's session
that stays open and tells what happens there, for as long as the scheduler wants the node watched.
One that breaks off is told, and tried again after a pause.

A node may tell anything, as often as it likes. What counts is what it says of attempts that this
call has there, and each word once; the rest is dropped here, where it costs nobody else anything,
and a poll with too much of it is broken off.

Who may touch what: the engine's thread calls the methods of Watches. A NodeWatch's own thread runs
`run` and what that calls. What both need lies under the NodeWatch's lock.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from .._links.link import InvalidReply
from .._links.session import Replies
from .._node import wire
from .._schedule import messages as ev
from . import replies
from .replies import Answer
from .verbs import Links

# What an open poll is told: the run waits for a slot there, or no longer.
ENQUEUE = "+"
DEQUEUE = "-"

# How long a poll stays open on a node without a job, in seconds: the next job is often on its way.
LINGER = 1.0

# A poll that ends by itself sooner than this, in seconds, is followed by a pause too: else a node
# could have us ask it again and again, as fast as it can.
EARLY = 5.0

# The pause after a poll that broke off or ended early, in seconds; each further one doubles it.
PAUSE = 0.5
PAUSE_MOST = 5.0

# How many words that say nothing new one poll may bring.
IDLE_WORDS_MOST = 5000

# How often a node may tell how one of its agents is, in seconds; its supervisor looks less often.
SIGNS_EVERY = 1.0

# How many bytes of what its agents print a node may tell in so many seconds.
SAID_MOST = 1 << 20
SAID_SECONDS = 10.0


class Attempts:
    """The run's attempts on each node, as this controller knows them. Used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expected = defaultdict[str, set[str]](set)
        self._earlier = defaultdict[str, set[str]](set)

    def expect(self, node: str, attempt: str) -> None:
        """From now on the node may tell of this attempt."""
        with self._lock:
            self._expected[node].add(attempt)

    def pass_over(self, node: str, attempt: str) -> None:
        """The node has it from an earlier call, and need not tell of it."""
        with self._lock:
            self._earlier[node].add(attempt)

    def may_tell(self, node: str, attempt: str) -> bool:
        with self._lock:
            return attempt in self._expected[node]

    def earlier_on(self, node: str) -> frozenset[str]:
        with self._lock:
            return frozenset(self._earlier[node] - self._expected[node])


@dataclass(frozen=True)
class Surroundings:
    """What all watches of a run share."""

    links: Links

    # What the ids of the run's attempts begin with.
    prefix: str

    # Takes what is told; may be called by any thread.
    tell: Callable[[Answer], None]

    # Set when the run is over.
    over: threading.Event

    # What nodes may tell of.
    attempts: Attempts = field(default_factory=Attempts)

    # Whether nodes are asked how their agents are whenever these say something, and what they
    # print.
    lively: bool = False
    verbose: bool = False


class NodeWatch:
    """The watch of one node."""

    def __init__(self, node: str, slots: int, surroundings: Surroundings) -> None:
        self._node = node
        self._surroundings = surroundings

        # Under the lock, for both threads: whether the node is wanted watched, or since when not;
        # whether the run waits for a slot there; how many slots we believe the node has; the open
        # poll, whether it has read its request, so that what comes now is a word to it, and whether
        # it, or the last one, was ended from here.
        self._lock = threading.Lock()
        self._wanted = True
        self._unwanted_since = 0.0
        self._enqueued = False
        self._slots = slots
        self._open_poll: Replies | None = None
        self._listens = False
        self._ended_by_us = False
        self._begins_again = False

        # Wakes the own thread: the node is wanted again, or the run is over.
        self._changed = threading.Event()

        # The own thread's alone: ids of attempts of which it was told that they have ended, and
        # how a person can watch them.
        self._ended: set[str] = set()
        self._watchable: set[str] = set()

        # The same: whether a poll broke off by a reply that was not valid. Then the first word of
        # the next one shows no contact, or a node that goes on so would be in contact for ever.
        self._is_doubted = False

        # The same: when each attempt's signs were told last; up to which byte of each attempt's
        # output was told, since when such bytes are counted, and how many there were.
        self._signs_at: dict[str, float] = {}
        self._said: dict[str, int] = {}
        self._said_since = 0.0
        self._said_bytes = 0

    # -- for the engine's thread

    def want(self) -> None:
        with self._lock:
            self._wanted = True
        self._changed.set()

    def unwant(self, now: float) -> None:
        with self._lock:
            self._wanted = False
            self._unwanted_since = now

    def enqueue(self) -> None:
        with self._lock:
            self._enqueued = True
            self._say(ENQUEUE)

    def dequeue(self) -> None:
        with self._lock:
            self._enqueued = False
            self._say(DEQUEUE)

    def set_slots(self, slots: int) -> None:
        with self._lock:
            self._slots = slots

    def end_if_idle(self, now: float) -> None:
        """End a poll that nobody wants for some time now."""
        with self._lock:
            if self._wanted or self._open_poll is None:
                return
            if now - self._unwanted_since >= LINGER:
                self._ended_by_us = True
                self._open_poll.leave()

    def begin_again(self) -> None:
        """End an open poll, and begin one after a pause: its first word says that there is contact.

        A node may refuse what it is asked, for its disk is full, while its poll is as good as ever.
        """
        with self._lock:
            if self._open_poll is not None:
                self._begins_again = True
                self._open_poll.leave()

    def kill(self) -> None:
        with self._lock:
            if self._open_poll is not None:
                self._open_poll.stop()
        self._changed.set()

    def _say(self, word: str) -> None:
        """Change what an open poll does. One that is about to open asks for itself."""
        if self._listens and self._open_poll is not None:
            self._open_poll.say(word)

    # -- for the own thread

    def run(self) -> None:
        """Poll until the run is over."""
        over = self._surroundings.over
        pause = PAUSE
        while not over.is_set():
            if not self._is_wanted():
                self._changed.wait()
                self._changed.clear()
                continue

            begun = time.monotonic()
            try:
                self._poll()
                was_long = self._was_enough() or time.monotonic() - begun >= EARLY
                if was_long and not self._takes_begin_again():
                    pause = PAUSE
                    continue
            # Whatever it is, a poll that dies must not leave the run waiting for its events.
            except Exception as exc:  # noqa: BLE001
                if over.is_set():
                    return
                with self._lock:
                    self._enqueued = False
                self._surroundings.tell(replies.no_contact(self._node, exc))

            over.wait(pause)
            pause = min(2 * pause, PAUSE_MOST)

    def _is_wanted(self) -> bool:
        with self._lock:
            return self._wanted

    def _takes_begin_again(self) -> bool:
        """Whether the last poll ended because another one shall begin; said once."""
        with self._lock:
            begins_again, self._begins_again = self._begins_again, False
            return begins_again

    def _was_enough(self) -> bool:
        """Whether the last poll ended because this side wanted it no longer."""
        with self._lock:
            return self._ended_by_us or not self._wanted

    def _poll(self) -> None:
        """One poll, to its end. Raises LinkError."""
        link = self._surroundings.links.to(self._node)
        with self._lock:
            slots = self._slots
        request: wire.PollRequest = {
            "prefix": self._surroundings.prefix,
            "told": sorted(self._ended | self._surroundings.attempts.earlier_on(self._node)),
            "watchable": sorted(self._watchable),
            "slots": slots,
        }
        if self._surroundings.lively:
            request["lively"] = True
        if self._surroundings.verbose:
            request["said"] = dict(self._said)
        said: set[tuple[str, str]] = set()
        idle_words = 0
        try:
            for reply in link.session.poll(request, self._on_opened):
                answer = replies.after_poll(self._node, reply, now=time.time())
                if answer is None or not self._is_news(reply, said):
                    idle_words += 1
                    if idle_words > IDLE_WORDS_MOST:
                        raise InvalidReply(f"{self._node} goes on telling what is no news")
                    continue
                # First, for what is told may bring new words for this poll at once.
                self._remember(reply)
                self._renew()
                if reply["state"] == "watching" and self._is_doubted:
                    continue
                self._tell_contact()
                self._surroundings.tell(answer)
            self._tell_contact()
        except InvalidReply:
            self._is_doubted = True
            raise
        finally:
            with self._lock:
                self._open_poll = None
                self._listens = False

    def _renew(self) -> None:
        """What came was news, and there is only so much of that: more may come."""
        with self._lock:
            if self._open_poll is not None:
                self._open_poll.renew()

    def _tell_contact(self) -> None:
        """A node that was doubted has said more than its first word, or ended a poll properly."""
        if self._is_doubted:
            self._is_doubted = False
            self._surroundings.tell(Answer(ev.LinkUp(self._node)))

    def _on_opened(self, poll: Replies) -> None:
        with self._lock:
            self._open_poll = poll
            self._ended_by_us = False
            self._begins_again = False

    def _is_news(self, reply: wire.PollReply, said: set[tuple[str, str]]) -> bool:
        """Whether it is for the node to tell, and was not told before.

        said: what this poll has told by now, which this adds to.
        """
        if reply["state"] == "turn":
            with self._lock:
                return self._enqueued

        attempt = ""
        if reply["state"] != "watching" and reply["state"] != "refused":
            attempt = reply["attempt"]
            if not self._surroundings.attempts.may_tell(self._node, attempt):
                return False
        if reply["state"] == "signs":
            return self._may_tell_signs(attempt)
        if reply["state"] == "said":
            return self._may_tell_said(attempt, len(reply["text"]), reply["size"])
        word = (reply["state"], attempt)
        if (
            word in said
            or (reply["state"] == "ended" and attempt in self._ended)
            or (reply["state"] == "progress" and attempt in self._watchable)
        ):
            return False
        said.add(word)
        return True

    def _may_tell_signs(self, attempt: str) -> bool:
        now = time.monotonic()
        if now < self._signs_at.get(attempt, float("-inf")) + SIGNS_EVERY:
            return False
        self._signs_at[attempt] = now
        return True

    def _may_tell_said(self, attempt: str, size: int, end: int) -> bool:
        """Whether it was asked for, goes on where the last one ended, and is not too much."""
        now = time.monotonic()
        if now >= self._said_since + SAID_SECONDS:
            self._said_since = now
            self._said_bytes = 0
        self._said_bytes += size
        is_new = end > self._said.get(attempt, 0)
        if not self._surroundings.verbose or not is_new or self._said_bytes > SAID_MOST:
            return False
        self._said[attempt] = end
        return True

    def _remember(self, reply: wire.PollReply) -> None:
        """Keep what the next poll need not tell, and what this one may be told from now on."""
        if reply["state"] == "ended":
            self._ended.add(reply["attempt"])
        elif reply["state"] == "progress":
            self._watchable.add(reply["attempt"])
        elif reply["state"] == "watching":
            with self._lock:
                self._listens = True
                if self._enqueued:
                    self._say(ENQUEUE)
        elif reply["state"] == "turn":
            with self._lock:
                self._enqueued = False


class Watches:
    """The watches of a run, for the engine's thread alone."""

    def __init__(
        self,
        links: Links,
        prefix: str,
        tell: Callable[[Answer], None],
        *,
        lively: bool = False,
        verbose: bool = False,
    ) -> None:
        """prefix: what the ids of the run's attempts begin with; tell: takes what is told.

        lively: whether it is told what agents said last; verbose: whether all of it is.
        """
        self._over = threading.Event()
        self._attempts = Attempts()
        self._surroundings = Surroundings(
            links, prefix, tell, self._over, self._attempts, lively=lively, verbose=verbose
        )
        self._watches: dict[str, NodeWatch] = {}

    def expect(self, node: str, attempt: str) -> None:
        """From now on this node may tell of this attempt; of others it tells in vain."""
        self._attempts.expect(node, attempt)

    def pass_over(self, node: str, attempt: str) -> None:
        """The node has it from an earlier call, and need not tell of it."""
        self._attempts.pass_over(node, attempt)

    def watch(self, node: str, slots: int) -> None:
        """Follow this node from now on. slots: how many we believe it has."""
        watch = self._watches.get(node)
        if watch is not None:
            watch.want()
            return

        watch = self._watches[node] = NodeWatch(node, slots, self._surroundings)
        threading.Thread(target=watch.run, name=f"gummy-watch-{node}", daemon=True).start()

    def begin_again(self, node: str) -> None:
        """The node has not said what it was asked: it is asked again when it shows that it can."""
        if node in self._watches:
            self._watches[node].begin_again()

    def unwatch(self, node: str) -> None:
        self._watches[node].unwant(time.monotonic())

    def enqueue(self, node: str, slots: int) -> None:
        """Wait for a slot of this node, which is watched from now on."""
        self.watch(node, slots)
        self._watches[node].enqueue()

    def dequeue(self, node: str) -> None:
        self._watches[node].dequeue()

    def set_slots(self, node: str, slots: int) -> None:
        if node in self._watches:
            self._watches[node].set_slots(slots)

    def end_idle_polls(self) -> None:
        """To be called now and then."""
        now = time.monotonic()
        for watch in self._watches.values():
            watch.end_if_idle(now)

    def stop(self) -> None:
        """End all polls. Their threads end with them."""
        self._over.set()
        for watch in self._watches.values():
            watch.kill()
