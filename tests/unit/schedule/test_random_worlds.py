"""The scheduler in small worlds that are drawn at random: whatever happens, no job runs twice."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from dataclasses import replace

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
)
from scheduling import LOCAL, ended, failed, node, not_started, refused, scheduler

# After this time nothing goes wrong any more, so that every run comes to its end.
CALM = 1000.0

# How many things may happen in a world; more is a run that never ends.
STEPS_MOST = 20_000


class World:
    """Nodes that answer, die, come back, refuse, and lose replies, on a clock of its own.

    The scheduler's commands go to the method `on_` and the command's name; what has none needs no
    answer. `begun` is what truly ran: the first promise is that no job is in it twice.
    """

    def __init__(self, seed, jobs=12, nodes=4):
        self.dice = random.Random(seed)

        # The clock, what is to come (time, number, function, its words), and when the run wants to
        # be woken.
        self.now = 0.1
        self.agenda = []
        self.serial = itertools.count()
        self.wake = None

        # The nodes, and those that are dead now.
        self.names = [f"n{number}" for number in range(nodes)]
        self.dead = {name for name in self.names if self.dice.random() < 0.3}

        # What is true on the nodes: attempt -> its Ended, or None while it runs; those that a fence
        # has proved void; and how often each job's work was begun.
        self.truth = {}
        self.tombs = set()
        self.begun = Counter()

        # What the run has said: states on record by attempt, ends by job, claims by job; the nodes
        # that are watched, on whose waitlists it is, and which went on them in this call.
        self.journal = {}
        self.finished = {}
        self.attempts = Counter()
        self.watched = set()
        self.waitlists = set()
        self.enqueued_now = []
        self.cancelled = False
        self.over = False

        # Nodes that have a poll, and attempts whose end was told by one.
        self.polled = set()
        self.reported = set()

        self.work = self.draw_jobs(jobs)
        self.tested = scheduler(
            self.work,
            [node(name) for name in self.names],
            trust_links=seed % 2 == 0,
            fallback=LOCAL if seed % 3 else None,
            queue_timeout=200.0 if seed % 5 == 1 else None,
        )
        self.plan_deaths()
        if seed >= 40:
            self.later(self.dice.uniform(0, 100), self.cancel)

    def draw_jobs(self, count):
        needs = [
            *[Need()] * 3,
            Need(node=self.names[0]),
            Need(nodes=frozenset(self.names[:2])),
            Need(node="local"),
        ]
        return [self.draw_job(f"job-{number}", self.dice.choice(needs)) for number in range(count)]

    def draw_job(self, name, need):
        account = self.dice.choice("xy")
        choices = ()
        if self.dice.random() < 0.3:
            # One of two agents may do it, each with an account of its own.
            choices = tuple(
                ev.Choice(replace(need, agent=agent), each)
                for agent, each in (("shell", account), ("other", "z"))
            )
            need = choices[0].need
        return ev.PlacementSpec(
            name,
            need,
            priority=self.dice.choice([0, 0, 5]),
            account=account,
            skippable=need.nodes is not None,
            choices=choices,
        )

    def plan_deaths(self):
        for _time in range(12):
            self.later(self.dice.uniform(0, 900), self.die_or_come_back)
        self.later(CALM, self.dead.clear)

    def die_or_come_back(self):
        self.dead.symmetric_difference_update({self.dice.choice(self.names)})

    # -- time

    def later(self, seconds, act, *words):
        heapq.heappush(self.agenda, (self.now + seconds, next(self.serial), act, words))

    def chance(self, part):
        return self.now < CALM and self.dice.random() < part

    def run(self):
        self.send(ev.Tick())
        for _step in range(STEPS_MOST):
            if self.over:
                return
            if self.wake is not None and (not self.agenda or self.wake <= self.agenda[0][0]):
                self.now = max(self.now, self.wake)
                self.send(ev.Tick())
                continue
            assert self.agenda, "stalled: no Wake, and nothing under way"
            self.now, _serial, act, words = heapq.heappop(self.agenda)
            act(*words)
        raise AssertionError(f"no end: {self.tested.waiting()}")

    def send(self, event):
        self.wake = None
        self.enqueued_now = []
        for command in self.tested.handle(event, self.now):
            on_command = getattr(self, f"on_{type(command).__name__.lower()}", None)
            if on_command is not None:
                on_command(command)
        # Who waits on a waitlist hears of it by a watch.
        assert set(self.enqueued_now) & self.waitlists <= self.watched

    def answer(self, event):
        self.later(self.dice.uniform(0.01, 3), self.send, event)

    def lose_reply(self, command):
        lost = ev.Unknown(command.attempt, "down", contact_lost=True)
        self.later(1.0, self.send, lost)

    def cancel(self):
        self.cancelled = True
        self.send(ev.Cancelled())

    # -- the way of an attempt to its start

    def on_record(self, command):
        self.journal[command.attempt] = command.state

    def on_claim(self, command):
        self.attempts[command.job] += 1
        assert self.journal[command.attempt] == "reserved"
        assert not self.cancelled
        assert not self.begun[command.job], f"{command.job} ran already"

        odd_replies = [
            ev.Busy(command.attempt),
            refused(command.attempt, message="disk"),
            ev.Unknown(command.attempt, "?"),
        ]
        if self.chance(0.03):
            odd_replies = [refused(command.attempt, blame="ours", message="lease")]

        if command.node != LOCAL.name and self.is_late(command):
            return
        if command.node in self.dead:
            self.answer(failed(command.attempt))
        elif self.chance(0.2):
            self.answer(self.dice.choice(odd_replies))
        else:
            self.answer(ev.Claimed(command.attempt))

    def is_late(self, command):
        """Whether a node says nothing for so long that the attempt is withdrawn; then it may."""
        if not self.chance(0.6 if command.node in self.dead else 0.1):
            return False
        self.later(4.0, self.send, ev.Late(command.attempt, 4.0))
        self.later(self.dice.uniform(4.1, 60), self.come_late, command.node)
        return True

    def come_late(self, name):
        self.send(ev.LinkDown(name, "down") if name in self.dead else ev.LinkUp(name))

    def on_sync(self, command):
        if command.node != LOCAL.name and self.is_late(command):
            return
        bad_replies = [
            failed(command.attempt, "sync", "rsync"),
            refused(command.attempt, message="in use"),
        ]
        bad_reply = self.dice.choice(bad_replies)
        if command.node in self.dead or self.chance(0.1):
            self.answer(bad_reply)
        else:
            self.answer(ev.Synced(command.attempt))

    def on_start(self, command):
        assert self.journal[command.attempt] == "sent"
        if command.node in self.dead or self.chance(0.3):
            self.lose_reply(command)
            # It arrives all the same, perhaps after the fence.
            if self.chance(0.6):
                self.later(self.dice.choice([0.5, 40.0]), self.arrive, command)
        elif self.chance(0.1):
            kind = self.dice.choice(["", "agent"])
            self.answer(refused(command.attempt, kind=kind, message="no agent"))
        else:
            self.arrive(command)
            if command.attempt in self.tombs:
                self.answer(ev.ProvedVoid(command.attempt))
            else:
                self.answer(ev.Started(command.attempt))

    def arrive(self, command):
        """A start reaches its node."""
        if command.attempt in self.tombs or command.attempt in self.truth:
            return
        if self.chance(0.1):
            self.truth[command.attempt] = not_started(command.attempt)
            return

        self.begun[command.job] += 1
        self.truth[command.attempt] = None
        failure = self.dice.choice([None, None, "agent", "quota", "login"])
        kind = self.dice.choice(["reset", "reset", "busy", "credit"])
        end = ended(command.attempt, failure, pause=self.dice.choice([None, 20.0]), kind=kind)
        self.later(self.dice.uniform(1, 60), self.end, command, end)

    def end(self, command, end):
        if self.truth[command.attempt] is not None:
            return
        self.truth[command.attempt] = end
        if end.failure in ("quota", "login"):
            # It may be begun anew.
            self.begun[command.job] -= 1

    # -- proofs

    def on_cancel(self, command):
        is_known = command.attempt in self.truth
        if command.node not in self.dead and is_known and self.truth[command.attempt] is None:
            self.truth[command.attempt] = ended(command.attempt, "cancelled", proof=None)
        self.on_fence(command)

    def on_fence(self, command):
        if command.node in self.dead:
            self.lose_reply(command)
            return

        if command.attempt not in self.truth:
            self.tombs.add(command.attempt)
        end = self.truth.get(command.attempt)
        if self.chance(0.2):
            self.lose_reply(command)
        elif command.attempt in self.tombs:
            self.answer(ev.ProvedVoid(command.attempt))
        elif end is not None:
            self.answer(end)
        else:
            self.answer(ev.ProvedRunning(command.attempt))

    # -- waiting for slots and for ends

    def on_enqueue(self, command):
        self.enqueued_now.append(command.node)
        self.waitlists.add(command.node)
        self.later(self.dice.uniform(0.01, 25), self.grant, command.node)

    def on_dequeue(self, command):
        self.waitlists.discard(command.node)

    def grant(self, name):
        if name not in self.waitlists:
            return
        self.waitlists.discard(name)
        if name in self.dead:
            self.send(ev.LinkDown(name, "down"))
        else:
            self.send(ev.Granted(name))

    def on_watch(self, command):
        assert command.node not in self.watched
        self.watched.add(command.node)
        if command.node not in self.polled:
            self.polled.add(command.node)
            self.later(0.0, self.poll, command.node)

    def on_unwatch(self, command):
        self.watched.remove(command.node)

    def poll(self, name):
        if name in self.watched and name in self.dead:
            self.later(0.0, self.send, ev.LinkDown(name, "down"))
        elif name in self.watched:
            self.later(0.0, self.send, ev.LinkUp(name))
            self.report_ends(name)
        self.later(1.0, self.poll, name)

    def report_ends(self, name):
        for attempt, end in self.truth.items():
            is_here = self.tested._attempts[attempt].node == name
            if is_here and end is not None and attempt not in self.reported:
                self.reported.add(attempt)
                self.later(0.0, self.send, end)

    # -- the rest

    def on_fetch(self, command):
        is_bad = command.node in self.dead or self.chance(0.3)
        if is_bad:
            self.answer(failed(command.attempt, "harvest", "rsync"))
        else:
            self.answer(ev.Fetched(command.attempt))

    def on_refresh(self, command):
        self.answer(ev.Nodes(tuple(self.measure(name) for name in command.nodes)))

    def measure(self, name):
        if name in self.dead:
            return Node(name, "unreachable", "down")
        return node(name)

    def on_finish(self, command):
        assert command.job not in self.finished
        self.finished[command.job] = command

    def on_wake(self, command):
        self.wake = command.at

    def on_end(self, _command):
        self.over = True


# From 40 on somebody cancels the run in the middle.
@pytest.mark.parametrize("seed", range(60))
def test_no_job_runs_twice_and_every_job_ends_once_whatever_happens(seed):
    world = World(seed)
    world.run()
    assert set(world.finished) == {spec.name for spec in world.work}
    assert max(world.begun.values(), default=0) <= 1

    good = [name for name, finish in world.finished.items() if finish.status == "success"]
    assert all(world.begun[name] == 1 for name in good)
