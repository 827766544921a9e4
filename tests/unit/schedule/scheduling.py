"""A scheduler under test: nodes and jobs, events in, commands out.

What a builder of an event is not told is as a test most often wants it.
"""

from __future__ import annotations

import itertools

from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.scheduler import Scheduler

# The first attempt's id; the next ones are "2", "3" and so on.
A = "1"
LOCAL = Node("localhost", local=True)


# -- what there is


def node(name, cpu=0.1, slots=2, **more):
    return Node(name, "measured", load={"cpu": cpu}, slots=slots, **more)


def job(name="job", need=None, **fields):
    return ev.PlacementSpec(name, need or Need(), **fields)


def jobs(count, **fields):
    return [job(f"job-{number}", **fields) for number in range(count)]


def scheduler(work, nodes, trust_links=True, **more):
    """work: jobs, or their names. trust_links: the nodes were just measured over their links."""
    specs = [item if isinstance(item, ev.PlacementSpec) else job(item) for item in work]
    new_id = map(str, itertools.count(1)).__next__
    tested = Scheduler(specs, nodes, new_id, **{"lost_after": 100.0, **more})
    if trust_links:
        measured = tuple(each for each in nodes if each.state == "measured")
        tested.handle(ev.Nodes(measured), 0.0)
    return tested


# -- events


def refused(attempt=A, *, blame="node", kind="", message=""):
    return ev.Refused(attempt, "refused", blame, message, kind)


def failed(attempt=A, failure="unreachable", message="down", **more):
    return ev.Failed(attempt, failure, message, **more)


def ended(attempt=A, failure=None, message="", *, proof="exit status 0", **more):
    return ev.Ended(attempt, failure, proof, message, **more)


def not_started(attempt=A):
    """It ended, and its agent was never executed."""
    return ended(attempt, "start", "no baseline", proof=None)


GOOD = ended()


def unreachable(*names, reason="no route"):
    """These nodes were measured in vain."""
    return ev.Nodes(tuple(Node(name, "unreachable", reason) for name in names))


def up_to_sent(attempt=A):
    """The events until the attempt's start is on its way."""
    return [ev.Claimed(attempt), ev.Synced(attempt)]


def up_to_running(attempt=A):
    return [*up_to_sent(attempt), ev.Started(attempt)]


def whole_walk(attempt=A):
    """The events of an attempt that ends well."""
    return [*up_to_sent(attempt), ended(attempt), ev.Fetched(attempt)]


# -- driving it


def feed(tested, *events, now=0.0):
    """All commands of these events; a number moves the clock."""
    commands = []
    for event in events:
        if isinstance(event, float):
            now = event
            event = ev.Tick()
        commands += tested.handle(event, now)
    return commands


def begin(tested, *events, **more):
    return feed(tested, ev.Tick(), *events, **more)


# -- what came out


def of_type(commands, kind):
    return [command for command in commands if isinstance(command, kind)]


def claims(commands):
    return [(command.job, command.node) for command in of_type(commands, ev.Claim)]


def enqueued(commands):
    """The nodes on whose waitlists the run goes."""
    return [command.node for command in of_type(commands, ev.Enqueue)]


def cancels(commands):
    return [command.attempt for command in of_type(commands, ev.Cancel)]


def notes(commands):
    return [note.text for note in of_type(commands, ev.Note)]


def finishes(commands):
    """(job, status, failure) of the jobs that end, in their order."""
    return [(end.job, end.status, end.failure) for end in of_type(commands, ev.Finish)]


def ends(commands):
    """By the job's name, how it ends: (status, failure)."""
    return {name: (status, failure) for name, status, failure in finishes(commands)}


def watched(commands):
    """The nodes that are watched after these commands."""
    names = set()
    for command in of_type(commands, (ev.Watch, ev.Unwatch)):
        if isinstance(command, ev.Watch):
            names.add(command.node)
        else:
            names.remove(command.node)
    return names


def ranking_for(tested, name):
    """How all nodes stand for this job now."""
    return tested._standing(tested._jobs[name]).ranking()


def rejections(tested, name):
    """By node, why it can't take this job now."""
    return {entry.host: entry.rejected for entry in ranking_for(tested, name)}
