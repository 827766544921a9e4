# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes as a run knows them while it goes on: who can take which kind of work now, best first.

What a decision costs does not grow with the nodes or the jobs: each kind of work keeps its nodes
in order, and only what changed is moved. So whoever changes a NodeState has to call
`NodeTable.changed` for it afterwards.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .placement import FREE, REJECTED, WAITS, Need, Node, Scorer, lacks_program
from .stages import TrackedAttempt

# How long a node rests after its first failure, in seconds; each further one doubles it.
QUARANTINE = 30.0
QUARANTINE_MOST = 600.0

# What a node can be for a kind of work, beside FREE, WAITS and REJECTED: it gives no answer while
# it may run jobs of ours, or while it is asked; it is quarantined.
SILENT = 3
CLOSED = 4


@dataclass(eq=False)
class NodeState:
    """A node as this run knows it."""

    # As it was measured; `busy` without our own attempts.
    node: Node

    # Its number in the table; -1: it is the controller itself, which is not in the table.
    index: int = -1

    # Whether an answer has shown that it works, since its newest failure.
    proved: bool = False

    # How often in a row it failed, with the newest failure as a text for people.
    failures: int = 0
    why: str = ""

    # The class of the newest failure since it was last heard; None: it was heard.
    failure: str | None = None

    # The id of its store, once it has told it.
    store: str | None = None

    # Why it gets no more jobs of this run: it says that the run is somebody else's. Blank: it may.
    disowned: str = ""

    # How often it called a request a mistake of ours, by kind.
    mistakes: Counter[str] = field(default_factory=Counter)

    # When its quarantine ends.
    closed_until: float = 0.0

    # Whether its quarantine is of an earlier run.
    inherited: bool = False

    # Another name of the same machine, which is the candidate in its place.
    twin: str | None = None

    # Until when nothing is claimed there, although nobody failed.
    busy_until: float = 0.0

    # Whether other runs wait for its slots, so that one is claimed only when we are granted it.
    contended: bool = False

    # Whether we are on its waitlist.
    waitlisted: bool = False

    # Whether a slot is kept for our claim.
    granted: bool = False

    # Whether it has not answered a claim for much longer than usual: it may be dead or slow, and
    # gets nothing until it answers.
    doubted: bool = False

    # Since when it gives no answer, and why, each reason once.
    silent_since: float | None = None
    silence_reasons: list[str] = field(default_factory=list)

    # The serial number of its newest attempt; 0: it had none.
    last_used: int = 0

    # How many of its attempts are on their way to their agent, and how many may run.
    begins: int = 0
    may_run: int = 0

    # Our attempts that have a slot there, by id.
    live: dict[str, TrackedAttempt] = field(default_factory=dict)

    # The orders that it stands in, one for each kind of work that may go there.
    candidates: list[Candidates] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.node.name

    def on_contact(self) -> None:
        """It has answered."""
        self.silent_since = None
        self.doubted = False
        self.failure = None
        if self.node.state == "unreachable":
            self.node = replace(self.node, state="unknown")

    def on_success(self) -> None:
        """A job has begun there."""
        self.on_contact()
        self.proved = True
        self.failures = 0
        self.closed_until = 0.0
        self.inherited = False

    def on_failure(self, failure: str, why: str, now: float) -> None:
        """The next job is a trial, after a pause that grows with each failure in a row."""
        self.proved = False
        self.failure = failure

        # What was under way when it failed says nothing new.
        if self.closed(now) and not self.inherited:
            return

        self.failures += 1
        self.why = why
        self.inherited = False
        pause = QUARANTINE * 2 ** (self.failures - 1)
        self.closed_until = now + min(pause, QUARANTINE_MOST)

    def closed(self, now: float) -> bool:
        """Whether it is quarantined."""
        return self.closed_until > now

    def may_enqueue(self, now: float) -> bool:
        """Whether others have slots that this run, with what it has there, could still use."""
        on_trial = self.failures and not self.proved and self.begins
        if on_trial or self.waitlisted or self.granted or self.busy_until > now:
            return False
        return len(self.live) < self.node.slots

    def as_node(self, now: float) -> Node:
        """The node as placement should see it now."""
        in_flight = len(self.live)
        excluded, remedy = self._exclusion(now)
        slots, busy = self._capacity(in_flight, now)

        return replace(
            self.node,
            in_flight=in_flight,
            slots=max(slots, 0),
            busy=busy,
            excluded=excluded,
            remedy=remedy,
            last_used=self.last_used,
        )

    def _exclusion(self, now: float) -> tuple[str | None, str | None]:
        """Why the node takes nothing now, and what would change that; None: it may."""
        if self.node.excluded is not None:
            return self.node.excluded, self.node.remedy

        if self.silent_since is not None:
            return "no contact", "it has to answer again; its jobs wait for it"

        if self.doubted:
            return "it does not answer", "it has to answer, and is being asked"

        if self.disowned:
            remedy = "if it is right, this run is no longer this controller's"
            return f"it says: {self.disowned}", remedy

        if self.twin:
            remedy = "take one of the two names out of the inventory"
            return f"the same node as {self.twin}", remedy

        if self.closed(now):
            remedy = "a trial, which comes by itself; gummy_refresh=true forgets it"
            return f"quarantined after {self.failures} x {self.why}", remedy

        return None, self.node.remedy

    def _capacity(self, in_flight: int, now: float) -> tuple[int, int]:
        """Slots and those of them that others have, as far as this run may use them."""
        slots = self.node.slots
        busy = self.node.busy

        # A slot is kept for us, whatever was measured.
        if self.granted:
            busy = max(0, min(busy, slots - in_flight - 1))

        # Whoever waits for a slot is granted one, and takes none before that.
        waits = self.waitlisted or (self.contended and not self.granted)
        if self.busy_until > now or waits:
            busy = max(busy, slots - in_flight)
        elif self.failures and not self.proved:
            # A node that failed gets one attempt at a time, until one has begun.
            slots = min(slots, busy + in_flight - self.begins + 1)

        return slots, busy


class Candidates:
    """How the nodes stand for the jobs of one Need."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

        # The names of the nodes in each group.
        self.groups: dict[int, set[str]] = {
            group: set() for group in (FREE, WAITS, REJECTED, SILENT, CLOSED)
        }

        # The full nodes whose waitlist the run may enter, with their rank.
        self.full: dict[str, tuple[object, ...]] = {}

        # The full nodes on whose waitlist it is.
        self.waitlisted: set[str] = set()

        # Whether something has changed that may change a job's answer.
        self.woken = False

        # The group of each node, and the free ones in a heap. An entry of the heap counts only
        # with the serial number that stands here; others are left over from before a change.
        self._group: dict[str, int] = {}
        self._serials: dict[str, int] = {}
        self._serial = itertools.count()
        self._heap: list[tuple[tuple[object, ...], int, str]] = []

    def put(self, state: NodeState, node: Node, now: float) -> None:
        """The node has changed; `node` is how placement sees it now."""
        group, key = self.scorer.standing(node)
        if group == REJECTED and state.node.excluded is None:
            group = _why_rejected(state, now)

        self._regroup(node.name, group)
        self._note_waitlist(state, group, key, now)
        self._reorder(node.name, group, key)

    def _regroup(self, name: str, group: int) -> None:
        before = self._group.get(name)
        if before == group:
            return

        if before is not None:
            self.groups[before].discard(name)
        self.groups[group].add(name)
        self._group[name] = group

        # That a free node is full now gives no job a better answer; any other change may.
        if (before, group) != (FREE, WAITS):
            self.woken = True

    def _note_waitlist(
        self, state: NodeState, group: int, key: tuple[object, ...], now: float
    ) -> None:
        if group == WAITS and state.waitlisted:
            self.waitlisted.add(state.name)
        else:
            self.waitlisted.discard(state.name)

        if group == WAITS and state.may_enqueue(now):
            if state.name not in self.full:
                self.woken = True
            self.full[state.name] = key
        else:
            self.full.pop(state.name, None)

    def _reorder(self, name: str, group: int, key: tuple[object, ...]) -> None:
        if group != FREE:
            self._serials.pop(name, None)
            return

        serial = next(self._serial)
        self._serials[name] = serial
        heapq.heappush(self._heap, (key, serial, name))

        # Entries that do not count any more are swept out before they outnumber the nodes.
        if len(self._heap) > 4 * len(self._group) + 16:
            self._heap = [entry for entry in self._heap if self._counts(entry)]
            heapq.heapify(self._heap)

    def _counts(self, entry: tuple[tuple[object, ...], int, str]) -> bool:
        _key, serial, name = entry
        return self._serials.get(name) == serial

    def best(self, without: Collection[str] = ()) -> str | None:
        """The free node that ranks first."""
        aside = []
        best = None
        while self._heap and best is None:
            entry = self._heap[0]
            name = entry[2]
            if not self._counts(entry):
                heapq.heappop(self._heap)
            elif name in without:
                aside.append(heapq.heappop(self._heap))
            else:
                best = name

        for entry in aside:
            heapq.heappush(self._heap, entry)
        return best

    def to_enqueue(self, without: Collection[str], most: int) -> list[str]:
        """The full nodes that rank first; with those where the run waits, not more than `most`."""
        left = most - len(self.waitlisted)
        if left <= 0:
            return []

        names = [name for name in self.full if name not in without]
        return heapq.nsmallest(left, names, key=self.full.__getitem__)

    def has(self, group: int, without: Collection[str] = ()) -> bool:
        """Whether a node is in this group that is not among `without`."""
        names = self.groups[group]
        return len(names) > sum(name in names for name in without)


def _why_rejected(state: NodeState, now: float) -> int:
    """Which of the three groups of nodes that take nothing now this one belongs to."""
    if state.silent_since is not None or state.doubted:
        return SILENT
    if state.closed(now):
        return CLOSED
    return REJECTED


class NodeTable:
    """All nodes of a run by name, and the controller itself as `fallback`, if it may take jobs."""

    def __init__(
        self,
        nodes: Iterable[Node],
        fallback: Node | None,
        weights: Mapping[str, float],
        preferences: Mapping[str, Sequence[str]],
    ) -> None:
        self._weights = weights
        self._preferences = preferences

        self.fallback: NodeState | None = None
        if fallback is not None:
            self.fallback = NodeState(fallback, proved=True)

        self._states = {node.name: NodeState(node, index=index) for index, node in enumerate(nodes)}
        self._as_nodes = [state.node for state in self._states.values()]
        self._candidates: dict[Need, Candidates] = {}
        self._first_of_store: dict[str, NodeState] = {}

    def __getitem__(self, name: str) -> NodeState:
        if self.fallback is not None and name == self.fallback.name:
            return self.fallback
        return self._states[name]

    def __iter__(self) -> Iterator[NodeState]:
        """The nodes without the controller itself."""
        return iter(self._states.values())

    def everything(self) -> list[NodeState]:
        """The nodes, and the controller itself last."""
        if self.fallback is None:
            return list(self)
        return [*self, self.fallback]

    def as_nodes(self) -> tuple[Node, ...]:
        """The nodes as placement sees them, without the controller itself."""
        return tuple(self._as_nodes)

    def candidates(self, need: Need, now: float) -> Candidates:
        """How the nodes stand for jobs of this need; kept in order from the first call on."""
        if need not in self._candidates:
            self._candidates[need] = self._make_candidates(need, now)
        return self._candidates[need]

    def _make_candidates(self, need: Need, now: float) -> Candidates:
        candidates = Candidates(Scorer(need, self._weights, self._preferences))
        for state in self._named_by(need):
            state.candidates.append(candidates)
            candidates.put(state, self._as_nodes[state.index], now)
        return candidates

    def _named_by(self, need: Need) -> list[NodeState]:
        """The nodes that the job names; all of them, if it names none."""
        if need.node is not None:
            names: Iterable[str] = [need.node]
        elif need.nodes is not None:
            names = need.nodes
        else:
            names = self._states
        return [self._states[name] for name in names if name in self._states]

    def changed(self, state: NodeState, now: float) -> None:
        """Bring every order that the node stands in up to date."""
        if state is self.fallback:
            return

        node = state.as_node(now)
        self._as_nodes[state.index] = node
        for candidates in state.candidates:
            candidates.put(state, node, now)

    def first_of_store(self, store: str, state: NodeState) -> str | None:
        """The name under which this store was met first, if it is another one.

        The controller itself is never a twin: as fallback it has one slot of its own.
        """
        if state is self.fallback:
            return None

        first = self._first_of_store.setdefault(store, state)
        if first is state:
            return None
        return first.name

    def out_of_reach(self, need: Need) -> bool:
        """Whether no node that the job names has answered."""
        if need.node is None and need.nodes is None:
            return True
        return all(
            state.node.state == "unreachable"
            or state.node.online is False
            or state.failure == "unreachable"
            for state in self._named_by(need)
        )

    def lacks_program(self, need: Need) -> bool:
        """Whether a node that could take the job lacks a program for it, and nothing else."""
        states = self._named_by(need)
        return any(
            lacks_program(state.node, need.agent)
            for state in states
            if state.node.state != "unreachable" and state.node.online is not False
        )

    def all_fail_alike(self, failure: str) -> list[NodeState]:
        """The nodes that failed in this way, if they are several and no other node is left.

        Then the fault may be here, and not theirs.
        """
        failed = [state for state in self if state.failure == failure]
        if len(failed) < 2 or any(self._is_left(state, failure) for state in self):
            return []
        return failed

    @staticmethod
    def _is_left(state: NodeState, failure: str) -> bool:
        """Whether this node may still show that the fault is not here."""
        return (
            state.failure != failure
            and state.node.excluded is None
            and state.node.state != "unreachable"
            and state.node.online is not False
        )
