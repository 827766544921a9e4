# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`watch`: the board of the fleet, once or again and again. It changes nothing anywhere.

Each node is asked by itself: what one takes, or that it is silent, delays no other. Over and over
it is asked in one session, so that a look costs the controller a line out and some lines in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from .._files.costs import CostShare, CostSummary, Ledger
from .._files.known_jobs import WaitingJob, waiting_jobs
from .._files.record import SCHEMA_VERSION, known_controller_id
from .._fleet.ask import all_replies, ask_all_nodes
from .._fleet.fleet import Fleet, with_told_load
from .._links.link import Link, LinkError
from .._node import wire
from .._schedule.placement import LOAD_PARTS, Node
from .find_attempts import Records
from .specialists import SpecialistRow, specialist_row, specialists_request
from .status import StatusAttempt, attempt_row, is_shown, sorted_once
from .views import (
    NAME_MOST,
    SECONDS,
    SENTENCE_MOST,
    ForeignRow,
    Slots,
    away,
    foreign_rows,
    number_of,
    slots_of,
    text_of,
    why_it_fails,
)

# How often a node is asked, and for how long what it said of its specialists is shown, in seconds.
EVERY = 2.0
LASTS = 5.0
# How long a node may take to answer while others are shown, and the pauses after it did not: each
# is twice as long as the one before.
PATIENCE = 15.0
FIRST_PAUSE = 2.0
LONGEST_PAUSE = 30.0
# For how long what this controller's records say is believed, in seconds: of jobs that wait, and
# of attempts.
WAITING_LASTS = 2.0
RECORDS_LAST = 10.0
# How long the sessions may take to end, in seconds.
END_SECONDS = 1.5


class WaitingRow(TypedDict):
    """A job, or another controller's run, that waits."""

    run_id: str | None
    # None: another controller drives the run, and its nodes know no more of it.
    job: str | None
    # A sentence for people.
    reason: str


class WatchAttempt(StatusAttempt):
    """An attempt as `status` tells it, with what it wrote last."""

    line: str | None


class WatchNode(TypedDict):
    """A node of the board."""

    name: str
    # Whether it is the controller itself.
    local: bool
    # asked (it has not answered yet), seen, or no_answer.
    state: str
    # Why it gives no answer.
    reason: str | None
    # For how many seconds it has given none, if it has answered before.
    silent: float | None
    # Another name of the same store, under which all of it counts.
    same_as: str | None
    # Each part between 0 (idle) and 1; what is not known is None.
    load: dict[str, float | None]
    slots: Slots | None
    # Dollars since midnight, as the node has noted them, whoever's jobs it were.
    cost_today: float | None
    # None of them is shown when this was told too long ago.
    specialists: list[SpecialistRow]


class WatchTotals(TypedDict):
    """How many there are, each store counted once."""

    nodes: int
    # Nodes that answer.
    answered: int
    # Attempts that run.
    running: int
    waiting: int
    foreign: int
    ended_today: int
    specialists: int
    # Of these, those at work.
    active: int
    # Dollars that this controller has noted since midnight, as `status` tells them; None: none.
    cost_today: float | None


class WatchDocument(TypedDict):
    """What `watch` tells."""

    schema_version: int
    kind: str
    # success, or failed if it tells nothing of the fleet.
    status: str
    # Why it failed.
    message: str | None
    # When it was so, in seconds since 1970.
    at: float
    # In the order of the play, the controller last.
    nodes: list[WatchNode]
    # What runs, the newest first, then what ended today, the last one first.
    attempts: list[WatchAttempt]
    foreign: list[ForeignRow]
    waiting: list[WaitingRow]
    totals: WatchTotals
    # As `status` has them: today, and each of the last seven days on which something has ended.
    cost: CostSummary
    cost_days: list[CostShare]


@dataclass(frozen=True)
class Look:
    """What a node told of itself."""

    replies: Sequence[Mapping[str, Any]]
    # By the monotonic clock.
    at: float
    # What its load script has printed, this time and the time before.
    load: str = ""

    @property
    def summary(self) -> Mapping[str, Any]:
        return self.replies[-1]


@dataclass
class Seen:
    """What is known of the nodes at one moment."""

    looks: Mapping[str, Look]
    # Node -> why it gives no answer.
    silent: Mapping[str, str]
    # By the monotonic clock.
    now: float = field(default_factory=time.monotonic)


def watch(fleet: Fleet, paths: Sequence[str] = ()) -> WatchDocument:
    """The board of this moment. paths: as for `specialists`."""
    request = specialists_request(fleet, paths)

    def ask(_name: str, link: Link) -> Look:
        replies = all_replies(link, link.stream("board", request, SECONDS), last="seen")
        return Look(replies, time.monotonic(), _load_in(replies))

    looks, silent = ask_all_nodes(fleet, ask, without=away(fleet.candidates), only_looks=True)
    seen = Seen(looks, {**away(fleet.candidates), **silent})
    return make_board(fleet, seen, _records(looks), waiting_jobs(), Ledger())


def _records(looks: Mapping[str, Look]) -> Records:
    return Records({name: look.summary.get("store") for name, look in looks.items()})


# -- again and again


class Watching:
    """Asks all nodes until it is closed. Used by several threads."""

    def __init__(self, fleet: Fleet, paths: Sequence[str]) -> None:
        self._fleet = fleet
        self._paths = paths
        self._is_over = threading.Event()
        # Under the lock: what was told last, why there is no answer, and since when it is waited.
        self._lock = threading.Lock()
        self._looks: dict[str, Look] = {}
        self._silent: dict[str, str] = dict(away(fleet.candidates))
        self._records: Records | None = None
        self._records_until = 0.0
        self._waiting: list[WaitingJob] = []
        self._waiting_until = 0.0
        # Read as it grows, and by `document` alone.
        self._ledger = Ledger()
        # Here, for Ansible makes them of templates, one after the other.
        self._links: dict[str, Link] = {}
        for name in fleet.candidates:
            try:
                self._links[name] = fleet.make_link(name)
            except LinkError as exc:
                self._silent[name] = str(exc)
        self._threads = [
            threading.Thread(target=self._watch, args=(name,), daemon=True) for name in self._links
        ]
        for thread in self._threads:
            thread.start()

    def document(self) -> WatchDocument:
        """The board of this moment. Raises InputError for a state that is another user's."""
        now = time.monotonic()
        if now >= self._waiting_until:
            self._waiting = waiting_jobs()
            self._waiting_until = now + WAITING_LASTS
        with self._lock:
            looks = dict(self._looks)
            silent = dict(self._silent)
            if self._records is None or now >= self._records_until:
                self._records = _records(looks)
                self._records_until = now + RECORDS_LAST
            records = self._records
        seen = Seen(looks, silent, now)
        return make_board(self._fleet, seen, records, self._waiting, self._ledger)

    def answered_at(self) -> dict[str, float]:
        """When each node has answered last, by the monotonic clock."""
        with self._lock:
            return {name: look.at for name, look in self._looks.items()}

    def close(self) -> None:
        """Ask nobody any more. What a node that is silent still owes is not waited for."""
        self._is_over.set()
        for link in self._links.values():
            link.session.hang_up()
        until = time.monotonic() + END_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _watch(self, name: str) -> None:
        """The thread of one node."""
        pause = FIRST_PAUSE
        while not self._is_over.is_set():
            begun = time.monotonic()
            try:
                look = self._ask(name)
            except LinkError as exc:
                with self._lock:
                    self._silent[name] = str(exc)
                self._is_over.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            with self._lock:
                self._looks[name] = look
                self._silent.pop(name, None)
            pause = FIRST_PAUSE
            self._is_over.wait(max(0.0, begun + EVERY - time.monotonic()))

    def _ask(self, name: str) -> Look:
        """What the node tells now. Raises LinkError."""
        link = self._links[name]
        with self._lock:
            before = self._looks.get(name)
        request = specialists_request(self._fleet, self._paths, again=before is not None)
        stream = link.session.board(request, PATIENCE)
        replies = all_replies(link, stream, last="seen")
        text = _load_in(replies)
        # What its CPU does lies between two looks.
        load = text if before is None else _last_look(before.load) + text
        return Look(replies, time.monotonic(), load)


def _load_in(replies: Sequence[wire.BoardReply]) -> str:
    text = replies[-1].get("load")
    return text if isinstance(text, str) else ""


def _last_look(text: str) -> str:
    """Of what the scripts printed before, what the last one did."""
    begin = text.rfind("\n@gummy-probe begin")
    return text if begin < 0 else text[begin:]


# -- the document


def make_board(
    fleet: Fleet,
    seen: Seen,
    records: Records,
    own: Sequence[WaitingJob],
    ledger: Ledger,
) -> WatchDocument:
    """The document of what is known.

    own: the jobs that wait here; ledger: what this controller has noted of costs.
    """
    cost = ledger.cost_today()
    nodes = fleet.candidates
    # Store -> the first name that leads to it.
    stores: dict[str, str] = {}
    rows = []
    foreign: list[ForeignRow] = []
    for name, node in nodes.items():
        row = _node_row(fleet, node, seen, stores)
        rows.append(row)
        if row["state"] == "seen" and row["same_as"] is None:
            foreign += foreign_rows(name, seen.looks[name].summary)

    attempts = sorted_once(
        _attempt_row(name, reply, records)
        for name, look in seen.looks.items()
        for reply in look.replies
        if "job" in reply and not records.contradict(name, reply) and is_shown(reply)
    )
    answered = [row["name"] for row in rows if row["state"] == "seen"]
    waiting = _waiting_rows(seen, own)
    failure = why_it_fails(nodes, answered)
    if not seen.looks and not seen.silent:
        failure = None
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "watch",
        "status": "failed" if failure else "success",
        "message": failure,
        "at": time.time(),
        "nodes": rows,
        "attempts": attempts,
        "foreign": foreign,
        "waiting": waiting,
        "totals": _totals(
            rows,
            attempts,
            waiting=len(waiting),
            foreign=len(foreign),
            cost_today=cost["cost_usd"],
        ),
        "cost": cost,
        "cost_days": ledger.days(),
    }


def _node_row(fleet: Fleet, node: Node, seen: Seen, stores: dict[str, str]) -> WatchNode:
    look = seen.looks.get(node.name)
    reason = seen.silent.get(node.name)
    silent = None
    if look is not None and seen.now - look.at > LASTS:
        silent = round(seen.now - look.at, 1)
        reason = reason or "it has not answered yet"
    state = "asked"
    if reason is not None:
        state = "no_answer"
    elif look is not None:
        state = "seen"
    row: WatchNode = {
        "name": node.name,
        "local": node.local,
        "state": state,
        "reason": reason,
        "silent": silent,
        "same_as": None,
        "load": dict.fromkeys(LOAD_PARTS),
        "slots": None,
        "cost_today": None,
        "specialists": [],
    }
    if look is None:
        return row

    store = text_of(look.summary.get("store")) or node.name
    first_name = stores.setdefault(store, node.name)
    if first_name != node.name:
        row["same_as"] = first_name
    else:
        # What it has cost does not become less when it is silent.
        row["cost_today"] = number_of(look.summary.get("cost_today"))
    if state == "seen":
        measured = with_told_load(fleet, node, look.load)
        row["load"] = {part: measured.load.get(part) for part in LOAD_PARTS}
        row["slots"] = slots_of(measured)
        if row["same_as"] is None:
            row["specialists"] = _specialist_rows(look)
    return row


def _specialist_rows(look: Look) -> list[SpecialistRow]:
    """Each once: a session that was cut has told some of them twice."""
    rows = [specialist_row(each) for each in look.replies if each.get("state") == "specialist"]
    return list({(row["workspace"], row["project"], row["name"]): row for row in rows}.values())


def _attempt_row(node: str, reply: Mapping[str, Any], records: Records) -> WatchAttempt:
    signs = reply.get("signs")
    words = signs.get("words") if isinstance(signs, Mapping) else None
    line = text_of(words, SENTENCE_MOST) or text_of(reply.get("line"), SENTENCE_MOST)
    return {**attempt_row(node, reply, records.verdict(reply)), "line": line or None}


def _waiting_rows(seen: Seen, own: Sequence[WaitingJob]) -> list[WaitingRow]:
    """Jobs of runs that are driven from here, and runs of others that wait for a node's slot."""
    rows: list[WaitingRow] = [
        {
            "run_id": known.run_id,
            "job": known.job,
            "reason": known.why or "the jobs before it in its run",
        }
        for known in own
    ]
    here = known_controller_id()
    elsewhere: dict[str | None, list[str]] = {}
    for name, look in seen.looks.items():
        for run in look.summary.get("waiting", ()):
            if here is None or run.get("controller") != here:
                elsewhere.setdefault(text_of(run.get("run_id"), NAME_MOST), []).append(name)
    for run_id, names in elsewhere.items():
        reason = f"a slot of {', '.join(dict.fromkeys(names))}; another controller drives the run"
        rows.append({"run_id": run_id, "job": None, "reason": reason})
    return rows


def _totals(
    rows: Sequence[WatchNode],
    attempts: Sequence[WatchAttempt],
    *,
    waiting: int,
    foreign: int,
    cost_today: float | None,
) -> WatchTotals:
    specialists = [each for row in rows for each in row["specialists"]]
    return {
        "nodes": len(rows),
        "answered": sum(row["state"] == "seen" for row in rows),
        "running": sum(row["status"] == "running" for row in attempts),
        "waiting": waiting,
        "foreign": foreign,
        "ended_today": sum(row["ended_at"] is not None for row in attempts),
        "specialists": len(specialists),
        "active": sum(each["status"] == "active" for each in specialists),
        "cost_today": cost_today,
    }
