"""A fleet whose links are played: nobody is reached, and each node says what a test has it say."""

from __future__ import annotations

from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet.fleet import Fleet
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import Config
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node

KNOWN = {
    "state": "measured",
    "load": {"cpu": 0.2, "memory": 0.4, "load_average": 0.2},
    "cpus": 8,
    "slots": 4,
    "busy": 1,
    "measured_at": 1e6,
}
ROW = {
    "attempt": "u-1",
    "state": "running",
    "run_id": "r",
    "job": "docs",
    "agent": "gummy",
    "project_path": "/p",
    "controller": "c",
    "begun_at": 5.0,
}
ONE = {
    "state": "specialist",
    "name": "api",
    "where": "home",
    "status": "active",
    "seen_by": "session",
    "sessions": 3,
}


class PlayedLink:
    """A link that answers each verb with these replies, or fails.

    answers: replies, or an error, for every verb; or a dict of them by verb.
    """

    def __init__(self, name, answers):
        self.name = name
        self.answers = answers
        self.invalid_rows = ""
        # (verb, request), in their order.
        self.asked = []
        self.is_local = False
        self.is_given_up = False
        self.last_step = 0.0

    def is_warm(self):
        return True

    def connect(self):
        """It is there, or its first verb says that it is not."""

    def stream(self, verb, request, seconds):
        self.asked.append((verb, request))
        answer = self.answers[verb] if isinstance(self.answers, dict) else self.answers
        if isinstance(answer, Exception):
            raise answer
        return iter(answer)

    def call(self, verb, request, seconds=30.0):
        return list(self.stream(verb, request, seconds))[-1]


class ViewLink(PlayedLink):
    """Of a node that is asked about today only."""

    def stream(self, verb, request, seconds):
        assert 0 <= request["within"] <= 86400 + 3600
        return super().stream(verb, request, seconds)


def play_fleet(links, nodes=None, **more):
    """A fleet with these links by name; a name without one must not be asked.

    nodes: those of the links by default.
    """
    nodes = [Node(name) for name in links] if nodes is None else nodes
    fields = {"fallback": None, "measure": None, "config": Config(), "make_link": links.__getitem__}
    return Fleet(nodes=tuple(nodes), **{**fields, **more})


def view_fleet(nodes, answers, fallback=None, left_out=()):
    """answers: by name, what its link says; a node without one must not be asked."""

    def measure(name, link):
        if isinstance(link.answers, LinkError) and link.answers.kind == "unreachable":
            return Node(name, "unreachable", str(link.answers))
        return Node(name, **KNOWN)

    links = {name: ViewLink(name, answer) for name, answer in answers.items()}
    return play_fleet(links, nodes, fallback=fallback, measure=measure, left_out=left_out)


def listed(*rows):
    return [*({**ROW, **row} for row in rows), {"state": "listed"}]


def told(*rows, **more):
    return [
        *rows,
        {
            "state": "told",
            "reason": None,
            "evidence": "argv_and_cwd",
            "cost_today": 0.5,
            "store": "s",
            **more,
        },
    ]
