"""Nodes that are played: links that answer by a script, and remember what they were asked."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict

from ansible_collections.distributed.gummy.plugins.plugin_utils._node.signature import sign

# No wait of a test is longer, in seconds. It ends a test that would hang, and sets no pace.
AT_MOST = 10.0

WATCHING = {"state": "watching"}
TURN = {"state": "turn", "store": "s"}
CLAIMED = {
    "state": "claimed",
    "generation": 1,
    "slot": 0,
    "workspace": "/w",
    "contended": False,
    "store": "s",
}
BUSY = {"state": "busy", "store": "s"}
VOID = {"state": "void", "store": "s"}
RUNNING = {"state": "running", "store": "s"}
STARTED = {"state": "started", "workspace": "/w", "store": "s"}
# What a node answers to a verb that the test says nothing of.
USUAL = {
    "claim": CLAIMED,
    "start": STARTED,
    "fence": VOID,
    "cancel": RUNNING,
    "release": {"state": "released", "store": "s"},
    "ack": {"state": "acknowledged", "store": "s"},
}


def wait_for(condition, what):
    """Look until it is so. The pause is no pace of a test: it spares the processor."""
    pause = threading.Event()
    for _time in range(int(AT_MOST / 0.002)):
        if condition():
            return
        pause.wait(0.002)
    raise AssertionError(f"waited in vain for {what}")


class PlayedPoll:
    """An open poll: takes words, and tells what it is given."""

    def __init__(self, request):
        self.request = request
        # What was said to it, and whether its caller has left, or it was stopped.
        self.words = []
        self.is_left = False
        self.is_stopped = False
        # What a test does with a word; the words are kept in any case.
        self.on_word = None
        # Replies; an error breaks it off, None ends it.
        self._replies = queue.Queue()

    # -- for the test

    def tell(self, *replies):
        for reply in replies:
            self._replies.put(reply)

    def end(self):
        """It ends by itself, as a poll does after a while."""
        self._replies.put(None)

    def break_off(self, error):
        self._replies.put(error)

    # -- what the watch sees

    def __iter__(self):
        while (reply := self._replies.get(timeout=AT_MOST)) is not None:
            if isinstance(reply, Exception):
                raise reply
            yield reply

    def say(self, word):
        self.words.append(word)
        if self.on_word is not None:
            self.on_word(word)

    def leave(self):
        self.is_left = True
        self.end()

    def stop(self):
        self.is_stopped = True
        self.end()

    def renew(self):
        """What it told was news."""


class PlayedLink:
    """A link to a node that answers each verb as it is told to.

    answers: verb -> replies that come one a call before the usual ones. A reply is a dict, an error
    that is raised, or a function of the request that returns one of these.
    """

    def __init__(self, name, **answers):
        self.name = name
        self.connected = True
        # (verb, request), in their order; polls are among them.
        self.asked = []
        self.polls = []
        self._answers = defaultdict(list, {verb: list(row) for verb, row in answers.items()})
        self._opened = queue.Queue()
        self._is_closed = False
        # A played node needs no other way to be asked.
        self.session = self
        self.is_local = False
        self.last_step = 0.0

    # -- for the test

    def will_answer(self, verb, *replies):
        self._answers[verb] += replies

    def requests(self, verb):
        return [request for asked, request in self.asked if asked == verb]

    def verbs(self):
        return [verb for verb, _request in self.asked if verb != "poll"]

    def next_poll(self):
        """The next poll that is opened."""
        return self._opened.get(timeout=AT_MOST)

    def close(self):
        """The test is over: what is open ends, and what opens now ends at once."""
        self._is_closed = True
        for poll in self.polls:
            poll.end()

    def on_poll(self, poll):
        """A poll was opened. A node that acts by itself overrides this."""

    def is_warm(self):
        return True

    def hang_up(self):
        """The run is over."""

    # -- what the run sees

    def call(self, verb, request, seconds):
        self.asked.append((verb, request))
        answers = self._answers[verb]
        reply = answers.pop(0) if answers else USUAL[verb]
        if callable(reply):
            reply = reply(request)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def poll(self, request, opened):
        poll = PlayedPoll(request)
        self.polls.append(poll)
        self.asked.append(("poll", request))
        opened(poll)

        self.on_poll(poll)
        self._opened.put(poll)
        if self._is_closed:
            poll.end()
        yield from poll


class PlayedNode(PlayedLink):
    """A node that does its work by itself: what it starts runs, ends well, and is told by a poll.

    ends: the fields of an attempt's end that differ from a good one; None: it goes on, until the
    test ends it. turns: whether it grants a slot to whoever waits for one.
    """

    def __init__(self, name, *, ends=(), files=None, turns=True, **answers):
        super().__init__(name, **answers)
        self._ends = None if ends is None else dict(ends)
        self._files = files if files is not None else {"log": "eA=="}
        self._turns = turns
        # Attempt -> what its supervisor signs its end with.
        self.keys = {}
        # Two threads meet here: the one that starts an attempt, and the one that opens a poll.
        self._lock = threading.Lock()
        self._ended = {}
        self._poll = None

    def end(self, attempt, **fields):
        """The attempt ends now."""
        row = self.signed(end_of(attempt, files=self._files, **fields))
        with self._lock:
            self._ended[attempt] = row
            if self._poll is not None:
                self._poll.tell(row)

    def signed(self, row):
        """The end as its supervisor signs it, if it was given a key."""
        attempt = row["attempt"]
        if attempt not in self.keys:
            return row
        return {"signature": sign(self.keys[attempt], attempt, row), **row}

    def on_poll(self, poll):
        with self._lock:
            self._poll = poll
            poll.on_word = self._on_word
            poll.tell(WATCHING)
            for attempt, row in self._ended.items():
                if attempt not in poll.request["told"]:
                    poll.tell(row)

    def _on_word(self, word):
        if word == "+" and self._turns:
            self._poll.tell(TURN)

    def call(self, verb, request, seconds):
        # Its reply may be lost on the way.
        if verb == "start" and "key" in request:
            self.keys.setdefault(request["attempt"], request["key"])
        reply = super().call(verb, request, seconds)
        if verb == "start" and reply["state"] == "started" and self._ends is not None:
            self.end(request["attempt"], **self._ends)
        if verb == "cancel" and reply["state"] == "running":
            self.end(request["attempt"], **{"class": "cancelled", "proof": None})
        return reply


def end_of(attempt, **fields):
    """The reply of a poll that tells of an attempt's end."""
    return {
        "state": "ended",
        "attempt": attempt,
        "class": None,
        "message": "",
        "proof": "exit status 0",
        "exit_status": 0,
        "seconds": 1.0,
        "harvest": None,
        "files": {"log": "eA=="},
        "store": "s",
        **fields,
    }
