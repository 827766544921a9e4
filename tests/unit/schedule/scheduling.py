"""A scheduler under test: nodes, events in, commands out."""

from __future__ import annotations

import itertools

from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.scheduler import Scheduler

# The first attempt's id.
A = "1"
LOCAL = Node("localhost", local=True)
GOOD = ev.Ended(A, None, "exit status 0", "")


def node(name, cpu=0.1, slots=2, **more):
    return Node(name, "measured", load={"cpu": cpu}, slots=slots, **more)


def scheduler(work, nodes, trust_links=True, **more):
    """trust_links: the nodes were measured over their links a moment ago."""
    jobs = [
        item if isinstance(item, ev.PlacementSpec) else ev.PlacementSpec(item, Need())
        for item in work
    ]
    tested = Scheduler(
        jobs, nodes, map(str, itertools.count(1)).__next__, **{"lost_after": 100.0, **more}
    )
    if trust_links:
        tested.handle(ev.Nodes(tuple(node for node in nodes if node.state == "measured")), 0.0)
    return tested


def told(commands, kind):
    return [command for command in commands if isinstance(command, kind)]


def feed(tested, *events, now=0.0):
    """All commands of these events; a number moves the clock."""
    out = []
    for event in events:
        if isinstance(event, float):
            now = event
            event = ev.Tick()
        out += tested.handle(event, now)
    return out


def begin(tested, *events, **more):
    return feed(tested, ev.Tick(), *events, **more)


def claims(commands):
    return [(command.job, command.node) for command in told(commands, ev.Claim)]


def ranking_for(tested, job):
    """How all nodes stand for this job now."""
    return tested._standing(tested._jobs[job]).ranking()


def watched(commands):
    """The nodes that are watched after these commands."""
    names = set()
    for command in told(commands, (ev.Watch, ev.Unwatch)):
        (names.add if isinstance(command, ev.Watch) else names.remove)(command.node)
    return names
