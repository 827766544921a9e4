"""Before a node is rejected for want of a program its own program is asked, and remembered."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet.settle import settled
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
    Settled,
    rank,
)
from played import PlayedLink, play_fleet

WHY = "claude is not found on this node: install it there"
FOUND = {"name": "claude", "version": None, "logged_in": "yes"}


def node(**more):
    return Node("n", "measured", agents=frozenset(), unseen=frozenset({"claude"}), **more)


def ask(of, replies=(), agents=("claude",)):
    """The node as it is then, and what is remembered of it."""
    kept = []
    links = {"n": PlayedLink("n", {"list": replies})}
    fleet = play_fleet(links, [of], remember=lambda _link, found: kept.append(found))
    (answer,) = settled(fleet, [of], agents)
    return answer, kept


def listed(*agents, missing=()):
    return [{"state": "listed", "agents": list(agents), "missing": list(missing)}]


def test_what_is_there_is_found_and_what_is_not_has_its_reason():
    found, kept = ask(node(), listed(FOUND, {"name": "evil", "version": None, "logged_in": "no"}))
    assert (found.agents, found.unseen) == ({"claude"}, frozenset())
    assert kept == [Settled(("claude",), {})]

    lacking, _kept = ask(node(), listed(missing=[{"name": "claude", "reason": WHY}]))
    (entry,) = rank([lacking], Need("claude"))
    assert entry.rejected == f"no usable claude: {WHY}"


def test_a_tool_that_is_not_there_is_a_reason_against_every_job():
    of = Node("n", "measured", agents=frozenset(), unseen=frozenset({"git"}))
    lacking, _kept = ask(of, listed(missing=[{"name": "git", "reason": "git is not found"}]))
    (entry,) = rank([lacking], Need("shell"))
    assert entry.rejected == "no git: git is not found"


@pytest.mark.parametrize(
    "of", [node(online=False), Node("n", "unreachable"), node(excluded="x"), Node("n", "measured")]
)
def test_a_node_that_is_away_or_known_is_not_asked(of):
    assert ask(of, agents=("shell",)) == (of, [])


@pytest.mark.parametrize(("kind", "is_excluded"), [("timeout", False), ("state", True)])
def test_a_node_that_does_not_answer_is_left_to_what_asks_it_next(kind, is_excluded):
    answer, kept = ask(node(), LinkError("no", kind))
    assert (answer.excluded == "no") == is_excluded and kept == []
