"""A fleet on a virtual clock, and ways to use it: the real scheduler, and what one would do."""

from __future__ import annotations

import heapq
import itertools
import pathlib
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / ".collections"))
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.scheduler import (
    FRESH,
    Scheduler,
)

# How long a claim on a dead node takes until it fails, in seconds.
TIMEOUT = 10.0
# How long a slot is kept for the run whose turn it is, in seconds.
KEPT = 2.0


@dataclass
class Machine:
    """A machine of the model, and what takes its slots."""

    name: str
    slots: int
    # How much work it does in a second.
    speed: float
    # How many slots are taken by jobs, and by somebody else.
    jobs: int = 0
    background: int = 0
    # Nothing gets through to it, and what runs goes on.
    dead: bool = False
    # Runs that wait, with what tells them that it is their turn, or to ask why the wait broke off.
    line: dict[str, Callable[[], None]] = field(default_factory=dict)
    # Slots for runs that were told so, until when.
    kept: dict[str, float] = field(default_factory=dict)
    # The ends of jobs on a dead machine, which are told when it is back.
    late: list[Callable[[], None]] = field(default_factory=list)

    def taken(self) -> int:
        return self.jobs + self.background

    def free(self, now: float, run: str) -> bool:
        """May this run take a slot?

        It may if none is kept for it, and it comes after those for which one is.
        """
        return (
            self.taken() + sum(until > now for name, until in self.kept.items() if name != run)
            < self.slots
        )


@dataclass(frozen=True)
class Mix:
    """A fleet and what it has to do; times are in seconds of the virtual clock."""

    # Slots and speed of each machine.
    machines: Sequence[tuple[int, float]]
    # When a job comes, and its work: the seconds that it takes at speed 1.
    jobs: Sequence[tuple[float, float]]
    # When somebody else takes a slot of which machine (+1), or gives it back (-1).
    background: Sequence[tuple[float, int, int]] = ()
    # When which machine dies, and for how long.
    deaths: Sequence[tuple[float, int, float]] = ()
    controllers: int = 1

    def bound(self) -> float:
        """No way is faster than this, were all jobs there at once."""
        work = [work for _when, work in self.jobs]
        speeds = [speed for _slots, speed in self.machines]
        return max(
            sum(work) / sum(slots * speed for slots, speed in self.machines),
            max(work) / max(speeds),
        )


class Fleet:
    """The clock and the machines. A way to use it gets jobs one by one, and calls `begin`."""

    def __init__(self, mix: Mix) -> None:
        self.mix = mix
        self.now = 0.0
        self.done = 0
        self.seconds = 0.0
        # What the scheduler took for its decisions, on the real clock.
        self.decisions = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self.machines = [
            Machine(f"n{number:04}", slots, speed)
            for number, (slots, speed) in enumerate(mix.machines)
        ]
        # Who is told when a machine has changed.
        self.listeners: list[Callable[[Machine], None]] = []
        for when, number, change in mix.background:
            self.at(when, self._background(self.machines[number], change))
        for when, number, seconds in mix.deaths:
            self.at(when, self._dies(self.machines[number], seconds))

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._serial), what))

    def run(self) -> float:
        """When the last job was done."""
        while self.done < len(self.mix.jobs):
            self.now, _serial, what = heapq.heappop(self._heap)
            what()
        return self.now

    def begin(self, machine: Machine, work: float, ended: Callable[[], None]) -> None:
        machine.jobs += 1

        def end() -> None:
            machine.jobs -= 1
            if machine.dead:
                machine.late.append(ended)
            else:
                ended()
                self._tell(machine)

        self.at(self.now + work / machine.speed, end)

    def _tell(self, machine: Machine) -> None:
        for listener in self.listeners:
            listener(machine)
        self.call(machine)

    def call(self, machine: Machine) -> None:
        """Those at the head of its line, when a slot is free."""
        while machine.line and not machine.dead and machine.free(self.now, ""):
            run, told = next(iter(machine.line.items()))
            del machine.line[run]
            machine.kept[run] = self.now + KEPT
            self.at(self.now + KEPT, lambda: self.call(machine))
            told()

    def _background(self, machine: Machine, change: int) -> Callable[[], None]:
        # Others only take what is free; what they could not take they do not give back.
        def happens() -> None:
            machine.background = max(
                0, machine.background + min(change, machine.slots - machine.taken())
            )
            self._tell(machine)

        return happens

    def _dies(self, machine: Machine, seconds: float) -> Callable[[], None]:
        def returns() -> None:
            machine.dead = False
            late = machine.late
            machine.late = []
            self._tell(machine)
            for ended in late:
                ended()

        def happens() -> None:
            machine.dead = True
            self._tell(machine)
            line = machine.line
            machine.line = {}
            for broken_off in line.values():
                self.at(self.now + TIMEOUT, broken_off)
            self.at(self.now + seconds, returns)

        return happens


def pull(fleet: Fleet) -> None:
    """Any free slot takes the next job, without any overhead.

    Of several that are free, it is one of the emptiest machine.
    """
    _pull(fleet, lambda machine: machine.taken() / machine.slots)


def fastest(fleet: Fleet) -> None:
    """The same, but of several free slots the fastest takes it: it knows what nobody measures."""
    _pull(fleet, lambda machine: -machine.speed)


def _pull(fleet: Fleet, key: Callable[[Machine], float]) -> None:
    queue: deque[float] = deque()

    def ended() -> None:
        fleet.done += 1

    def fill(machine: Machine) -> None:
        while queue and not machine.dead and machine.taken() < machine.slots:
            fleet.begin(machine, queue.popleft(), ended)

    def comes(work: float) -> Callable[[], None]:
        def happens() -> None:
            queue.append(work)
            for machine in sorted(fleet.machines, key=key):
                fill(machine)

        return happens

    fleet.listeners.append(fill)
    for when, work in fleet.mix.jobs:
        fleet.at(when, comes(work))


def early(choose: Callable[[Fleet], Callable[[], Machine]]) -> Callable[[Fleet], None]:
    """Each job goes to the queue of a machine when it comes."""

    def way(fleet: Fleet) -> None:
        chosen = choose(fleet)
        queues = {machine.name: deque[float]() for machine in fleet.machines}

        def ended() -> None:
            fleet.done += 1

        def fill(machine: Machine) -> None:
            while queues[machine.name] and not machine.dead and machine.taken() < machine.slots:
                fleet.begin(machine, queues[machine.name].popleft(), ended)

        def comes(work: float) -> Callable[[], None]:
            def happens() -> None:
                machine = chosen()
                queues[machine.name].append(work)
                fill(machine)

            return happens

        fleet.listeners.append(fill)
        for when, work in fleet.mix.jobs:
            fleet.at(when, comes(work))

    return way


def _least_loaded(fleet: Fleet) -> Callable[[], Machine]:
    seen: dict[str, float] = {}
    old = [float("-inf")]

    def choose() -> Machine:
        if fleet.now >= old[0] + FRESH:
            old[0] = fleet.now
            seen.update(
                {machine.name: machine.taken() / machine.slots for machine in fleet.machines}
            )
        return min(fleet.machines, key=lambda machine: seen[machine.name])

    return choose


def _random(fleet: Fleet) -> Callable[[], Machine]:
    dice = random.Random(1)
    return lambda: dice.choice(fleet.machines)


def _round_robin(fleet: Fleet) -> Callable[[], Machine]:
    return itertools.cycle(fleet.machines).__next__


least_loaded = early(_least_loaded)
by_chance = early(_random)
round_robin = early(_round_robin)


def ours(fleet: Fleet) -> None:
    """The scheduler of a run, or of several runs.

    They are several when the jobs come one after another or from several controllers.
    """
    groups: dict[tuple[float, int], list[tuple[str, float]]] = {}
    for number, (when, work) in enumerate(fleet.mix.jobs):
        groups.setdefault((when, number % fleet.mix.controllers), []).append(
            (f"job-{number}", work)
        )
    for (when, number), jobs in groups.items():
        fleet.at(when, Run(fleet, f"{when}-{number}", jobs).begin)


class Run:
    """Carries out what the scheduler says, as the engine does, on the model.

    Loads are up to FRESH seconds old.
    """

    def __init__(self, fleet: Fleet, name: str, jobs: Iterable[tuple[str, float]]) -> None:
        self.fleet = fleet
        self.name = name
        self.work = dict(jobs)
        self.machines = {machine.name: machine for machine in fleet.machines}
        self.wake: float | None = None
        self.over = False

    def begin(self) -> None:
        nodes = [self.seen(machine) for machine in self.fleet.machines]
        work = [ev.PlacementSpec(job, Need()) for job in self.work]
        self.scheduler = Scheduler(
            work, nodes, map(f"{self.name}-{{}}".format, itertools.count()).__next__
        )
        self.fleet.listeners.append(self.changed)
        self.watched = dict.fromkeys(self.machines, False)
        self.send(ev.Tick())

    def seen(self, machine: Machine) -> Node:
        if machine.dead:
            return Node(machine.name, "unreachable", slots=machine.slots)
        load = {"cpu": machine.taken() / machine.slots}
        return Node(
            machine.name,
            "measured",
            load=load,
            slots=machine.slots,
            cpus=2 * machine.slots,
            busy=machine.taken(),
        )

    def send(self, event: ev.Event) -> None:
        if self.over:
            return
        begun = time.perf_counter()
        commands = self.scheduler.handle(event, self.fleet.now)
        self.fleet.seconds += time.perf_counter() - begun
        self.fleet.decisions += 1
        for command in commands:
            if carry_out := getattr(self, f"on_{type(command).__name__.lower()}", None):
                carry_out(command)

    def later(self, seconds: float, event: ev.Event) -> None:
        self.fleet.at(self.fleet.now + seconds, lambda: self.send(event))

    def changed(self, machine: Machine) -> None:
        """Its polls notice at once that a node has died or is back."""
        if self.watched[machine.name]:
            self.send(
                ev.LinkDown(machine.name, "dead") if machine.dead else ev.LinkUp(machine.name)
            )

    def on_watch(self, command: ev.Watch) -> None:
        self.watched[command.node] = True

    def on_claim(self, command: ev.Claim) -> None:
        machine = self.machines[command.node]
        if machine.dead:
            self.later(TIMEOUT, ev.Failed(command.attempt, "unreachable", "timed out"))
        elif not machine.free(self.fleet.now, self.name):
            self.later(0.0, ev.Busy(command.attempt))
        else:
            machine.kept.pop(self.name, None)
            self.fleet.begin(machine, self.work[command.job], lambda: self.ended(command))
            self.later(0.0, ev.Claimed(command.attempt, contended=bool(machine.line)))

    def on_enqueue(self, command: ev.Enqueue) -> None:
        machine = self.machines[command.node]
        machine.line[self.name] = lambda: self.send(ev.Granted(machine.name))
        self.fleet.at(self.fleet.now, lambda: self.fleet.call(machine))

    def on_dequeue(self, command: ev.Dequeue) -> None:
        self.machines[command.node].line.pop(self.name, None)

    def on_sync(self, command: ev.Sync) -> None:
        self.later(0.0, ev.Synced(command.attempt))

    def on_start(self, command: ev.Start) -> None:
        self.later(0.0, ev.Started(command.attempt))

    def ended(self, command: ev.Claim) -> None:
        self.later(0.0, ev.Ended(command.attempt, None, "exit status 0", ""))

    def on_fetch(self, command: ev.Fetch) -> None:
        self.later(0.0, ev.Fetched(command.attempt))

    def on_refresh(self, command: ev.Refresh) -> None:
        self.later(1.0, ev.Nodes(tuple(self.seen(self.machines[name]) for name in command.nodes)))

    def on_finish(self, command: ev.Finish) -> None:
        if command.status != "success":
            raise AssertionError(f"{command.job} ended as {command.status}: {command.message}")
        self.fleet.done += 1

    def on_wake(self, command: ev.Wake) -> None:
        if self.wake is None or command.at < self.wake:
            self.wake = command.at
            self.fleet.at(command.at, self.woken)

    def woken(self) -> None:
        if self.wake is not None and self.wake <= self.fleet.now:
            self.wake = None
            self.send(ev.Tick())

    def on_end(self, _command: ev.End) -> None:
        self.over = True
        self.fleet.listeners.remove(self.changed)
