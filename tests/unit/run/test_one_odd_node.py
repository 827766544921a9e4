"""One node says odd things: the jobs of the other node end as they would have.

Both nodes are played, and what they say passes through the reader, as it does in a link.
"""

from __future__ import annotations

import json

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import reader
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import InvalidReply
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import (
    bring_home as _bring_home,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import replies
from job_builder import shell_job
from played_nodes import CLAIMED, STARTED, PlayedNode, end_of, wait_for

ON_ODD = shell_job("a", node="odd", attempts=1)
ON_GOOD = shell_job("b", node="good")
# How long a node may be silent, in seconds: a job that hangs by a reply ends by this.
LOST_AFTER = 0.3


def nested(depth):
    value = []
    for _level in range(depth):
        value = [value]
    return value


ODD = [
    ["x"],
    {"a": 1},
    True,
    float("inf"),
    10**400,
    "\x1b]0;owned\x07\ud800",
    "../../x",
    "--help",
    nested(700),
]
ABSENT = object()


class ReadNode(PlayedNode):
    """A node whose replies are read. `mutate` makes of each (verb, reply) the one that it gives."""

    def __init__(self, name, mutate=None, **more):
        super().__init__(name, **more)
        self._mutate = mutate

    def _read(self, verb, request, reply):
        if self._mutate is not None:
            reply = self._mutate(verb, reply)
        try:
            return reader.read(verb, request, b"\x1e" + json.dumps(reply).encode())
        except reader.NotValid as error:
            raise InvalidReply(f"{self.name}'s {verb}: {error}") from None

    def call(self, verb, request, seconds):
        return self._read(verb, request, super().call(verb, request, seconds))

    def poll(self, request, opened):
        for reply in super().poll(request, opened):
            yield self._read("poll", request, reply)


def with_field(wanted_verb, wanted_state, field, value):
    """A mutation of one field of one kind of reply."""

    def mutate(verb, reply):
        if verb != wanted_verb or reply["state"] != wanted_state:
            return reply
        others = {key: item for key, item in reply.items() if key != field}
        return others if value is ABSENT else {**others, field: value}

    return mutate


def fields():
    """(verb, state, field) of what a job's walk brings."""
    for verb, reply in (("claim", CLAIMED), ("start", STARTED), ("poll", end_of("u-1"))):
        for field in reply:
            yield verb, reply["state"], field
    yield "poll", "ended", "reset_at"
    yield "poll", "watching", "state"
    yield "fence", "void", "store"


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize(("number", "kind"), list(enumerate(fields())))
def test_a_field_in_an_odd_way_costs_that_node_alone(call, monkeypatch, number, kind, is_there):
    """Each field gets one of the odd values, and is left out; test_reader_fuzz.py has them all."""
    # What comes by rsync is no matter of this.
    monkeypatch.setattr(_bring_home, "fetch_harvest", fetch_nothing)
    value = ODD[number % len(ODD)] if is_there else ABSENT
    odd = ReadNode("odd", with_field(*kind, value))
    made = call([ON_ODD, ON_GOOD], odd, ReadNode("good"), lost_after=LOST_AFTER, queue_timeout=0.3)
    rows = made.run()

    assert (rows["b"]["status"], rows["b"]["attempts"][0]["node"]) == ("success", "good")
    assert rows["a"]["status"] in ("success", "unproven", "failed", "lost"), rows["a"]
    # What was written can be written and shown.
    assert "\x1b" not in str(rows) and "\ud800" not in str(rows)
    assert json.loads(json.dumps(rows, allow_nan=False))["b"]["status"] == "success"


def fetch_nothing(link, attempt, folder, limit, seconds):
    """The harvest is empty."""


def attempt_of(made, job):
    """The id of the job's attempt, once it runs."""
    wait_for(lambda: "running" in made.states(job), f"{job} to run")
    return next(entry["attempt"] for entry in made.journal("attempt") if entry["job"] == job)


def test_a_node_has_no_word_on_an_attempt_of_another(call):
    good = PlayedNode("good", ends=None)
    odd = PlayedNode("odd", ends=None)
    made = call([ON_ODD, ON_GOOD], odd, good)
    made.start()
    attempt = attempt_of(made, "b")
    odd.next_poll().tell(
        end_of(attempt, **{"class": "agent", "proof": None}),
        {"state": "unknown", "attempt": attempt, "store": "s"},
        {"state": "progress", "attempt": attempt, "watch": "x", "store": "s"},
    )
    odd.end(attempt_of(made, "a"))
    wait_for(lambda: "ended" in made.states("a"), "the end of a")
    assert made.states("b")[-1] == "running"

    good.end(attempt)
    rows = made.rows()
    assert [rows[name]["status"] for name in "ab"] == ["success", "success"]
    assert "fence" not in good.verbs()


def test_an_end_before_the_start_is_no_end(call):
    """The node knows the attempt's id from its claim, and has an open poll for another job."""
    jobs = [shell_job("a", node="odd"), shell_job("b", node="odd")]
    node = PlayedNode("odd", ends=None)
    made = call(jobs, node)
    made.start()
    first = attempt_of(made, "a")
    poll = node.next_poll()

    def early(request):
        poll.tell(end_of(request["attempt"]), {**end_of(request["attempt"]), "state": "unknown"})
        return CLAIMED

    node._answers["claim"].append(early)
    second = attempt_of(made, "b")
    for attempt in (first, second):
        node.end(attempt)
    rows = made.rows()
    assert [rows[name]["status"] for name in "ab"] == ["success", "success"]


def test_a_void_that_runs_after_all_ends_no_run(call):
    """Two proofs that contradict each other are the node's matter."""
    odd = PlayedNode("odd", start=[{"state": "void", "store": "s"}], ends=None)
    made = call([ON_ODD, ON_GOOD], odd, PlayedNode("good"))
    made.start()
    attempt = made.wait_for_state("void", "a")
    made.engine._answers.put(_ended_by(odd, attempt))
    rows = made.rows()
    assert rows["b"]["status"] == "success" and rows["a"]["status"] == "failed"


def _ended_by(node, attempt):
    return replies.after_poll(node.name, end_of(attempt), now=0.0)
