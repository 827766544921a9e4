"""A node that says anything at any time, beside one that works: only its own jobs come to harm."""

from __future__ import annotations

import heapq
import itertools
import random

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Need
from scheduling import ended, failed, job, node, refused, scheduler

STEPS_MOST = 20_000

# By command, what its verb may be told to have come to.
BLAMES = ("node", "input", "ours")
KINDS = ("adopted", "record", "lease", "known", "input", "")


class World:
    """The node `evil` answers at random; `good` does its work."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.agenda = []
        self.serial = itertools.count()
        self.now = 0.0
        self.wake = None
        self.over = False
        self.watches_evil = False
        self.finished = {}
        self.states = {}
        self.on_evil = set()

        limits = {"limit": 50.0, "account": "x"}
        self.work = [
            *[job(f"evil-{number}", Need(node="evil"), **limits) for number in range(4)],
            *[job(f"good-{number}", Need(node="good"), **limits) for number in range(4)],
            *[job(f"any-{number}", priority=-1, **limits) for number in range(4)],
        ]
        nodes = [node("evil", cpu=0.0, slots=3), node("good", cpu=0.5, slots=2)]
        self.tested = scheduler(self.work, nodes, lost_after=100.0)

    def run(self):
        self.later(0.0, ev.Tick())
        self.later(1.0, None)
        for _step in range(STEPS_MOST):
            if self.over:
                return
            if self.wake is not None and (not self.agenda or self.wake <= self.agenda[0][0]):
                self.now = max(self.now, self.wake)
                self.send(ev.Tick())
                continue
            self.now, _serial, event = heapq.heappop(self.agenda)
            if event is None:
                self.poll_evil()
            elif not self.is_dropped(event):
                self.send(event)
        raise AssertionError(f"no end at {self.now}: {self.tested.waiting()}")

    def later(self, seconds, event):
        heapq.heappush(self.agenda, (self.now + seconds, next(self.serial), event))

    def send(self, event):
        self.wake = None
        for command in self.tested.handle(event, self.now):
            self.carry_out(command)

    def is_dropped(self, event):
        """The engine knows of no attempt that came to nothing before it was anything."""
        return isinstance(event, ev.AttemptEvent) and event.attempt not in self.states

    def carry_out(self, command):
        if isinstance(command, ev.Record):
            self.states[command.attempt] = command.state
            if command.node == "evil":
                self.on_evil.add(command.attempt)
        elif isinstance(command, ev.Finish):
            assert command.job not in self.finished
            self.finished[command.job] = command
        elif isinstance(command, ev.Wake):
            self.wake = command.at
        elif isinstance(command, ev.End):
            self.over = True
        elif isinstance(command, ev.Watch | ev.Unwatch):
            if command.node == "evil":
                self.watches_evil = isinstance(command, ev.Watch)
        elif isinstance(command, ev.Enqueue):
            self.later(1.0, ev.Granted(command.node))
        elif isinstance(command, ev.Refresh):
            names = {"evil": node("evil", cpu=0.0, slots=3), "good": node("good", slots=2)}
            self.later(1.0, ev.Nodes(tuple(names[name] for name in command.nodes)))
        elif isinstance(command, ev.OfAttempt):
            self.answer(command)

    def answer(self, command):
        answers = self.good_answers(command)
        if command.attempt in self.on_evil:
            answers = self.dice.choices(self.evil_answers(command), k=1)
        for seconds, event in answers:
            self.later(seconds, event)

    def good_answers(self, command):
        attempt = command.attempt
        if isinstance(command, ev.Claim):
            return [(0.1, ev.Claimed(attempt, "good"))]
        if isinstance(command, ev.Sync):
            return [(0.5, ev.Synced(attempt))]
        if isinstance(command, ev.Start):
            return [(0.1, ev.Started(attempt)), (20.0, ended(attempt))]
        if isinstance(command, ev.Fetch):
            return [(0.1, ev.Fetched(attempt))]
        return []

    def evil_answers(self, command):
        attempt = command.attempt
        seconds = self.dice.uniform(0.0, 5.0)
        no = refused(attempt, blame=self.dice.choice(BLAMES), kind=self.dice.choice(KINDS))
        claims = [ev.Claimed(attempt, str(self.dice.random())), ev.Busy(attempt), no]
        proofs = self.proofs(attempt)
        if isinstance(command, ev.Claim):
            events = [*claims, failed(attempt)]
        elif isinstance(command, ev.Sync):
            events = [ev.Synced(attempt), ev.Synced(attempt), no, failed(attempt, "sync")]
        elif isinstance(command, ev.Start):
            events = [ev.Started(attempt), *proofs, no]
        elif isinstance(command, ev.Fence | ev.Cancel):
            events = proofs
        elif isinstance(command, ev.Fetch):
            events = [ev.Fetched(attempt), failed(attempt, "harvest")]
        else:
            return [(0.0, ev.Tick())]
        return [(seconds, event) for event in events]

    def proofs(self, attempt):
        failure = self.dice.choice([None, "quota", "login", "start", "cancelled", "agent"])
        kind = self.dice.choice(["reset", "busy", "credit"])
        return [
            ev.ProvedVoid(attempt),
            ev.ProvedRunning(attempt),
            ev.ProvedRunning(attempt),
            ev.Unknown(attempt, "down", contact_lost=self.dice.random() < 0.3),
            ended(attempt, failure, pause=900.0, kind=kind),
        ]

    def poll_evil(self):
        """Of attempts whose start was sent a poll may tell anything."""
        told = [
            attempt
            for attempt in sorted(self.on_evil)
            if self.watches_evil and self.states.get(attempt) in ("sent", "running")
        ]
        for attempt in told:
            if self.dice.random() < 0.3:
                _void, _running, _again, *events = self.proofs(attempt)
                self.later(0.0, self.dice.choice(events))
        if self.watches_evil:
            self.later(0.0, self.dice.choice([ev.LinkUp("evil"), ev.LinkDown("evil", "down")]))
        self.later(5.0, None)


@pytest.mark.parametrize("seed", range(60))
def test_the_jobs_of_the_other_node_end_as_they_would_have(seed):
    world = World(seed)
    world.run()
    assert set(world.finished) == {spec.name for spec in world.work}
    good = [world.finished[f"good-{number}"].status for number in range(4)]
    assert good == ["success"] * 4
