# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking all nodes of a fleet at once, and what they say of the attempts that they have."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar, cast

from .._links.guardian import guardian
from .._links.link import Link, LinkError
from .._links.signatures import Verdict
from .._node import wire
from .._schedule.durations import spoken
from .fleet import Fleet

# How many characters of a node's own words are passed on to people.
MESSAGE_MOST = 300
# How many nodes are asked at the same time; each takes a thread and a process here.
AT_ONCE = 64
# Whoever only looks waits for a node so many times as long as the slowest of the others took, and
# not less than these seconds; how often is looked who is late, in seconds.
TIMES = 2.0
LEAST_SECONDS = 3.0
LOOK = 0.1
# How long a node may take to list its attempts, in seconds.
LIST_SECONDS = 60.0
T = TypeVar("T")
R = TypeVar("R", bound=Mapping[str, object])


class AttemptRow(wire.AttemptRow, total=False):
    """An attempt as its node lists it, where that was, and what a command has to say of it."""

    # The name under which the node was asked, and the link over which it answered.
    node: str
    link: Link
    # Whether it is this run's by its node's word alone: this controller's record does not know it.
    told: bool
    # What the signature of its end is worth (_links/signatures.py); None: it has not ended well.
    signature: Verdict | None
    # What it printed, made harmless for a terminal; where it was followed, the end of that.
    log: str
    # Whether `cancel` ended it or asked it to end, or would.
    cancelled: bool
    # Whether `harvest` fetched what it left, or made the branch that was asked for, or would.
    fetched: bool
    # Where its harvest was brought, None if it could not be.
    folder: str | None
    # What a person should know of it.
    message: str


def ask_all_nodes(
    fleet: Fleet,
    question: Callable[[str, Link], T],
    *,
    without: Container[str] = (),
    only_looks: bool = False,
) -> tuple[dict[str, T], dict[str, str]]:
    """Put a question to all candidates at once, the controller itself included.

    question: called with the name and the link of each, in a thread of its own; may raise
    LinkError. without: names that are not asked. only_looks: whether nothing is changed by it, so
    that who takes much longer than the others is not waited for.

    Returns (answers by name, reasons by name of those that gave none).
    """
    links: dict[str, Link] = {}
    silent: dict[str, str] = {}
    for name in fleet.candidates:
        if name in without:
            continue
        try:
            links[name] = fleet.make_link(name)
        except LinkError as exc:
            silent[name] = str(exc)

    stragglers = Stragglers(links)

    def ask(name: str) -> T | LinkError:
        if only_looks:
            stragglers.begin(name)
        try:
            answer = question(name, links[name])
        except LinkError as exc:
            return stragglers.why_ended(name) or exc
        stragglers.end(name)
        return answer

    answers: dict[str, T] = {}
    with ThreadPoolExecutor(max(1, min(AT_ONCE, len(links)))) as pool:
        futures = {name: pool.submit(ask, name) for name in links}
        while only_looks and wait(futures.values(), timeout=LOOK).not_done:
            stragglers.give_up_late_ones()
        for name, future in futures.items():
            answer = future.result()
            if isinstance(answer, LinkError):
                silent[name] = str(answer)
            else:
                answers[name] = answer
    if stragglers.has_given_up:
        # What a question began beside itself, such as a look at the load, ends too.
        guardian.end_all()
    return answers, silent


class Stragglers:
    """The nodes that are being asked, and which of them takes too long. Used by several threads.

    One that died behind an open connection gives no answer and no error. How long is too long the
    others show, and how far it has come: each step on the way to a node far away counts anew. One
    to which no connection is open is left to ssh, which gives up by itself.
    """

    def __init__(self, links: Mapping[str, Link]) -> None:
        self._links = links
        self._lock = threading.Lock()
        self._begun: dict[str, float] = {}
        self._was_warm: set[str] = set()
        # How long those took that have answered, and why others are not waited for.
        self._taken: list[float] = []
        self._given_up: dict[str, LinkError] = {}

    def begin(self, name: str) -> None:
        link = self._links[name]
        is_warm = not link.is_local and link.is_warm()
        with self._lock:
            self._begun[name] = time.monotonic()
            if is_warm:
                self._was_warm.add(name)

    def end(self, name: str) -> None:
        """It has answered."""
        with self._lock:
            begun = self._begun.pop(name, None)
            if begun is not None:
                self._taken.append(time.monotonic() - begun)

    def why_ended(self, name: str) -> LinkError | None:
        """It has not answered; why it was not waited for, None: it ended by itself."""
        with self._lock:
            self._begun.pop(name, None)
            return self._given_up.get(name)

    @property
    def has_given_up(self) -> bool:
        with self._lock:
            return bool(self._given_up)

    def give_up_late_ones(self) -> None:
        """Wait no longer for those that take much longer than most others."""
        for name in self._newly_late():
            # Ending a process takes a moment, in which others may come too late.
            threading.Thread(target=self._links[name].give_up, daemon=True).start()

    def _newly_late(self) -> list[str]:
        now = time.monotonic()
        late = []
        with self._lock:
            if 2 * len(self._taken) < len(self._links):
                return []
            seconds = max(LEAST_SECONDS, TIMES * max(self._taken))
            for name in self._was_warm & self._begun.keys() - self._given_up.keys():
                if now - max(self._begun[name], self._links[name].last_step) >= seconds:
                    text = f"{name} did not answer within {spoken(seconds)}, as others did"
                    self._given_up[name] = LinkError(text, "timeout")
                    late.append(name)
        return late


def all_replies(link: Link, stream: Iterator[R], *, last: str) -> list[R]:
    """All replies that a stream of this link brings, the last of which says that they are all.

    last: the state of that one.

    Raises LinkError, also for an answer that stops before its end: who has not told all has not
    said that there is no more.
    """
    replies = list(stream)
    if replies[-1].get("state") == last:
        return replies

    message = replies[-1].get("message")
    if message and isinstance(message, str):
        raise LinkError(message[:MESSAGE_MOST], "reply")
    raise LinkError(f"the answer of {link.name} is cut short: try again", "reply")


def list_attempts(
    node: str, link: Link, request: wire.ListRequest, stores: dict[str, object] | None = None
) -> list[AttemptRow]:
    """The attempts that a node knows, with where they were listed; the request chooses among them.

    stores: gets the id of the store that answers, by the node's name. What a node tells without
    having been asked for it is dropped. Raises LinkError.
    """
    replies = all_replies(link, link.stream("list", request, LIST_SECONDS), last="listed")
    if stores is not None:
        stores[node] = replies[-1].get("store")
    return [
        cast(AttemptRow, {**reply, "node": node, "link": link})
        for reply in replies
        if _was_asked_for(reply, request)
    ]


def _was_asked_for(reply: Mapping[str, object], request: wire.ListRequest) -> bool:
    """Whether it is an attempt that this request chooses."""
    attempt = reply.get("attempt")
    run_id = request.get("run_id")
    word = request.get("word") or ""
    return (
        isinstance(attempt, str)
        and attempt.startswith(request.get("prefix") or "")
        and (attempt.startswith(word) or reply.get("job") == word)
        and (not run_id or reply.get("run_id") == run_id)
    )
