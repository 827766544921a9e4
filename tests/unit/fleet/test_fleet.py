"""The candidates of a play, and when they are measured."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet.fleet import (
    with_load,
    with_load_or_reason,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from played import KNOWN, PlayedLink, play_fleet


def measured_by(answer):
    """A fleet, and the names that were measured in it."""
    names = []

    def measure(name, link):
        names.append(name)
        if isinstance(answer, Exception):
            raise answer
        return answer

    links = {name: PlayedLink(name, []) for name in ("a", "localhost")}
    return play_fleet(links, measure=measure), names


def test_the_controller_comes_last_and_is_no_node():
    fleet = play_fleet({}, [Node("b"), Node("a")], fallback=Node("localhost", local=True))
    assert fleet.names == ("b", "a") and list(fleet.candidates) == ["b", "a", "localhost"]


@pytest.mark.parametrize(
    "node", [Node("a", **KNOWN), Node("a", "unreachable"), Node("a", online=False)]
)
def test_what_is_known_of_a_node_is_not_measured_again(node):
    fleet, names = measured_by(Node("a", **KNOWN))
    assert with_load(fleet, node) is node and names == []


def test_an_unknown_node_is_measured_and_the_controller_keeps_its_own_slots():
    fleet, names = measured_by(Node("x", **KNOWN))
    assert with_load(fleet, Node("a")) == Node("x", **KNOWN)
    local = with_load(fleet, Node("localhost", local=True, slots=1))
    assert (local.local, local.slots, local.state) == (True, 1, "measured")
    assert names == ["a", "localhost"]


def test_who_can_not_be_measured_is_unreachable_for_a_reason():
    fleet, _names = measured_by(LinkError("no route"))
    assert with_load_or_reason(fleet, Node("a")) == Node("a", "unreachable", "no route")
    with pytest.raises(LinkError):
        with_load(fleet, Node("a"))
