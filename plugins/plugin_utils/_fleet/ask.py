# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking all nodes of a fleet at once, and what they say of the attempts that they have."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

from .._links.link import Link, LinkError
from .._links.signatures import Verdict
from .._node import wire
from .fleet import Fleet

# How many characters of a node's own words are passed on to people.
MESSAGE_MOST = 300
# How many nodes are asked at the same time; each takes a thread and a process here.
AT_ONCE = 64
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
    # What it printed, made harmless for a terminal.
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
    fleet: Fleet, question: Callable[[str, Link], T], *, without: Container[str] = ()
) -> tuple[dict[str, T], dict[str, str]]:
    """Put a question to all candidates at once, the controller itself included.

    question: called with the name and the link of each, in a thread of its own; may raise
    LinkError. without: names that are not asked.

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

    def ask(name: str) -> T | LinkError:
        try:
            return question(name, links[name])
        except LinkError as exc:
            return exc

    answers: dict[str, T] = {}
    with ThreadPoolExecutor(max(1, min(AT_ONCE, len(links)))) as pool:
        for name, answer in zip(links, pool.map(ask, links), strict=True):
            if isinstance(answer, LinkError):
                silent[name] = str(answer)
            else:
                answers[name] = answer
    return answers, silent


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


def list_attempts(node: str, link: Link, request: wire.ListRequest) -> list[AttemptRow]:
    """The attempts that a node knows, with where they were listed; the request chooses among them.

    What a node tells without having been asked for it is dropped. Raises LinkError.
    """
    replies = all_replies(link, link.stream("list", request, LIST_SECONDS), last="listed")
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
