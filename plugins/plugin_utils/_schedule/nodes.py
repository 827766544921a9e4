# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes as a run knows them while it goes on: who can take which kind of work now, best first.

No I/O.

What a decision costs does not grow with the nodes or the jobs: each kind of work keeps its nodes in
order, and only what changed is moved.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .placement import FREE, REJECTED, WAITS, Need, Node, Scorer
from .stages import TrackedAttempt

# Seconds after a node's first failure; doubles with each further one.
QUARANTINE = 30.0
QUARANTINE_MOST = 600.0
SILENT = 3
# Beside FREE, WAITS, REJECTED: gives no answer while it may run jobs of ours; quarantined.
CLOSED = 4


@dataclass(eq=False)
class NodeState:
    """A node as this run knows it. node: as measured, `busy` without our own jobs; live: our
    attempts that hold a slot.

    proved: an answer has shown that it works; failure: the class of the newest failure since it was
    last heard; contended: other runs wait for its slots, so one is claimed only when it is our turn;
    in_line: we wait there; inherited: its quarantine is of an earlier run; twin: another name of
    the same node, which is the candidate.
    """

    node: Node
    index: int = -1
    proved: bool = False
    failures: int = 0
    closed_until: float = 0.0
    inherited: bool = False
    twin: str | None = None
    failure: str | None = None
    why: str = ""
    busy_until: float = 0.0
    contended: bool = False
    in_line: bool = False
    turn: bool = False
    silent_since: float | None = None
    # Why, each reason once.
    silence: list[str] = field(default_factory=list)
    last_used: int = 0
    begins: int = 0
    may_run: int = 0
    live: dict[str, TrackedAttempt] = field(default_factory=dict)
    views: list[Candidates] = field(default_factory=list)

    def hears(self) -> None:
        """It has answered."""
        self.silent_since = self.failure = None
        if self.node.state == "unreachable":
            self.node = replace(self.node, state="unknown")

    def works(self) -> None:
        """A job has begun there."""
        self.hears()
        self.proved = True
        self.failures = 0
        self.closed_until = 0.0
        self.inherited = False

    def fails(self, failure: str, why: str, now: float) -> None:
        """The next job is a trial, after a pause that grows.

        What was under way when it failed says nothing new.
        """
        self.proved = False
        self.failure = failure
        if not self.closed(now) or self.inherited:
            self.failures = self.failures + 1
            self.why = why
            self.inherited = False
            self.closed_until = now + min(QUARANTINE * 2 ** (self.failures - 1), QUARANTINE_MOST)

    def may_line_up(self, now: float) -> bool:
        """Whether others have slots that this run, with what it has there, could still use."""
        on_trial = self.failures and not self.proved and self.begins
        return (
            not (on_trial or self.in_line or self.turn or self.busy_until > now)
            and len(self.live) < self.node.slots
        )

    def closed(self, now: float) -> bool:
        return self.closed_until > now

    def as_node(self, now: float) -> Node:
        """The node as placement should see it now."""
        in_flight = len(self.live)
        slots = self.node.slots
        busy = self.node.busy
        excluded = self.node.excluded
        remedy = self.node.remedy
        if excluded is None and self.silent_since is not None:
            excluded = "no contact"
            remedy = "it has to answer again; its jobs wait for it"
        elif excluded is None and self.twin:
            excluded = f"the same node as {self.twin}"
            remedy = "take one of the two names out of the inventory"
        elif excluded is None and self.closed(now):
            excluded = f"quarantined after {self.failures} x {self.why}"
            remedy = "a trial, which comes by itself; gummy_refresh=true forgets it"
        if self.turn:
            busy = max(0, min(busy, slots - in_flight - 1))
        if self.busy_until > now or self.in_line or (self.contended and not self.turn):
            busy = max(busy, slots - in_flight)
        elif self.failures and not self.proved:
            # One at a time until one has begun.
            slots = min(slots, busy + in_flight - self.begins + 1)
        return replace(
            self.node,
            in_flight=in_flight,
            slots=max(slots, 0),
            busy=busy,
            excluded=excluded,
            remedy=remedy,
            last_used=self.last_used,
        )


class Candidates:
    """The places as jobs of one Need see them.

    `groups`: the names in each state; `full`: those in whose line the run may wait; `in_line`:
    where it does; `woken`: whether one has come that may change an answer.
    """

    def __init__(self, scale: Scorer) -> None:
        self.scale = scale
        self.groups: dict[int, set[str]] = {
            group: set() for group in (FREE, WAITS, REJECTED, SILENT, CLOSED)
        }
        self.full: dict[str, tuple[object, ...]] = {}
        self.in_line: set[str] = set()
        self.woken = False
        self._group: dict[str, int] = {}
        self._serials: dict[str, int] = {}
        self._serial = itertools.count()
        self._heap: list[tuple[tuple[object, ...], int, str]] = []

    def put(self, place: NodeState, node: Node, now: float) -> None:
        """The place has changed."""
        name = node.name
        (group, key) = self.scale.standing(node)
        if place.node.excluded is None and group == REJECTED:
            group = (
                SILENT if place.silent_since is not None else CLOSED if place.closed(now) else group
            )
        before = self._group.get(name)
        if before != group:
            if before is not None:
                self.groups[before].discard(name)
            self.groups[group].add(name)
            self._group[name] = group
            self.woken = self.woken or (before, group) != (FREE, WAITS)
        (self.in_line.add if group == WAITS and place.in_line else self.in_line.discard)(name)
        if group == WAITS and place.may_line_up(now):
            self.woken = self.woken or name not in self.full
            self.full[name] = key
        else:
            self.full.pop(name, None)
        if group != FREE:
            self._serials.pop(name, None)
            return
        self._serials[name] = serial = next(self._serial)
        heapq.heappush(self._heap, (key, serial, name))
        if len(self._heap) > 4 * len(self._group) + 16:
            self._heap = [entry for entry in self._heap if self._serials.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)

    def best(self, without: Collection[str] = ()) -> str | None:
        """The free node that ranks first."""
        aside = []
        found = None
        while self._heap and found is None:
            _key, serial, name = self._heap[0]
            if self._serials.get(name) != serial:
                heapq.heappop(self._heap)
            elif name in without:
                aside.append(heapq.heappop(self._heap))
            else:
                found = name
        for entry in aside:
            heapq.heappush(self._heap, entry)
        return found

    def lines(self, without: Collection[str], most: int) -> list[str]:
        """The full nodes that rank first, with those in whose line the run waits not more than
        `most`.
        """
        left = most - len(self.in_line)
        return (
            heapq.nsmallest(
                left, [name for name in self.full if name not in without], key=self.full.__getitem__
            )
            if left > 0
            else []
        )

    def has(self, group: int, without: Collection[str] = ()) -> bool:
        names = self.groups[group]
        return len(names) > sum(name in names for name in without)


class NodeTable:
    """All nodes of a run by name, and the controller itself as `fallback`.

    Call `changed` after any change of a place.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        fallback: Node | None,
        weights: Mapping[str, float],
        preferences: Mapping[str, Sequence[str]],
    ) -> None:
        self._weights = weights
        self._preferences = preferences
        self.fallback = NodeState(fallback, proved=True) if fallback is not None else None
        self._nodes = {node.name: NodeState(node, index=index) for index, node in enumerate(nodes)}
        self._seen = [place.node for place in self._nodes.values()]
        self._views: dict[Need, Candidates] = {}
        self._stores: dict[str, NodeState] = {}

    def __getitem__(self, name: str) -> NodeState:
        if self.fallback is not None and name == self.fallback.node.name:
            return self.fallback
        return self._nodes[name]

    def __iter__(self) -> Iterator[NodeState]:
        return iter(self._nodes.values())

    def seen(self) -> tuple[Node, ...]:
        """The nodes as placement sees them."""
        return tuple(self._seen)

    def view(self, need: Need, now: float) -> Candidates:
        if need not in self._views:
            self._views[need] = view = Candidates(Scorer(need, self._weights, self._preferences))
            names = (
                [need.node]
                if need.node is not None
                else self._nodes
                if need.nodes is None
                else need.nodes
            )
            for place in [self._nodes[name] for name in names if name in self._nodes]:
                place.views.append(view)
                view.put(place, self._seen[place.index], now)
        return self._views[need]

    def changed(self, place: NodeState, now: float) -> None:
        if place is not self.fallback:
            self._seen[place.index] = node = place.as_node(now)
            for view in place.views:
                view.put(place, node, now)

    def first_of_store(self, store: str, place: NodeState) -> str | None:
        """The name under which this store was met first, if it is another one.

        The controller itself has one slot of its own.
        """
        first = self._stores.setdefault(store, place) if place is not self.fallback else place
        return None if first is place else first.node.name

    def out_of_reach(self, need: Need) -> bool:
        """Whether no node that the job names has answered."""
        names = [need.node] if need.node is not None else need.nodes or ()
        places = [self._nodes[name] for name in names if name in self._nodes]
        return all(
            place.node.state == "unreachable"
            or place.node.online is False
            or place.failure == "unreachable"
            for place in places
        )

    def all_fail_alike(self, failure: str) -> list[NodeState]:
        """The nodes that failed in this way, if no other node is left and they are several: then
        the fault may be here, and not theirs.
        """
        failed = [place for place in self if place.failure == failure]
        others = [
            place
            for place in self
            if place.failure != failure
            and place.node.excluded is None
            and place.node.state != "unreachable"
        ]
        return (
            failed
            if len(failed) > 1 and not [place for place in others if place.node.online is not False]
            else []
        )
