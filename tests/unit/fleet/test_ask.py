"""Asking all nodes at once: who answers, who is silent and why, and what is cut short."""

from __future__ import annotations

import threading
import time

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet import ask as _ask
from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet.ask import (
    all_replies,
    ask_all_nodes,
    list_attempts,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from played import PlayedLink, listed, play_fleet


def ask_name(name, link):
    return link.call("name", {})["name"]


def test_every_candidate_answers_or_has_a_reason_and_the_controller_is_one():
    links = {
        "a": PlayedLink("a", [{"name": "A"}]),
        "b": PlayedLink("b", LinkError("timed out")),
        "localhost": PlayedLink("localhost", [{"name": "L"}]),
    }
    fleet = play_fleet(links, [Node("a"), Node("b")], fallback=Node("localhost", local=True))
    assert ask_all_nodes(fleet, ask_name) == ({"a": "A", "localhost": "L"}, {"b": "timed out"})


def test_a_link_that_can_not_be_made_is_a_reason_too_and_who_is_left_out_is_not_asked():
    def make_link(name):
        raise LinkError(f"the connection settings of {name} can't be used")

    fleet = play_fleet({}, [Node("a"), Node("b")], make_link=make_link)
    assert ask_all_nodes(fleet, ask_name, without={"b"}) == (
        {},
        {"a": "the connection settings of a can't be used"},
    )


def test_a_mistake_of_ours_is_no_silence():
    def question(name, link):
        raise KeyError(name)

    with pytest.raises(KeyError):
        ask_all_nodes(play_fleet({"a": PlayedLink("a", [])}), question)


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ([{"state": "row"}], "the answer of n is cut short: try again"),
        ([{"state": "row"}, {"state": "refused", "message": "m" * 999}], "m" * 300),
        ([{"state": "refused", "message": 7}], "the answer of n is cut short: try again"),
    ],
)
def test_who_has_not_told_all_has_not_said_that_there_is_no_more(replies, reason):
    link = PlayedLink("n", replies)
    with pytest.raises(LinkError) as failed:
        all_replies(link, link.stream("list", {}, 1), last="listed")
    assert (str(failed.value), failed.value.kind) == (reason, "reply")


def test_attempts_say_where_they_were_listed():
    link = PlayedLink("n", listed({"state": "running"}))
    (row,) = list_attempts("other name", link, {"run_id": "r"})
    assert (row["attempt"], row["node"], row["link"]) == ("u-1", "other name", link)
    assert link.asked == [("list", {"run_id": "r"})]


# -- nodes that take much longer than the others


class Late(PlayedLink):
    """It answers only when its connection is ended."""

    def __init__(self, name, *, is_warm=True, steps=0):
        super().__init__(name, None)
        self._is_warm = is_warm
        self._steps = steps
        self._dropped = threading.Event()

    def is_warm(self):
        return self._is_warm

    def give_up(self):
        self._dropped.set()

    def call(self, verb, request, seconds=30.0):
        for _step in range(self._steps):
            assert not self._dropped.wait(0.1)
            self.last_step = time.monotonic()
        if self._dropped.wait(0.0 if self._steps else 1.0):
            raise LinkError("the connection was closed")
        return {"name": self.name}


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(_ask, "LEAST_SECONDS", 0.2)
    monkeypatch.setattr(_ask, "LOOK", 0.01)


def fleet_with(late, others=3):
    links = {f"n{number}": PlayedLink("n", [{"name": "N"}]) for number in range(others)}
    return play_fleet({**links, late.name: late})


def test_who_only_looks_does_not_wait_for_a_node_that_takes_much_longer_than_the_others(soon):
    answers, silent = ask_all_nodes(fleet_with(Late("late")), ask_name, only_looks=True)
    assert len(answers) == 3
    assert silent == {"late": "late did not answer within 0.2 s, as others did"}


@pytest.mark.parametrize(
    ("late", "others", "only_looks"),
    [
        # Who acts waits, as does who has nobody to compare with.
        (Late("late"), 3, False),
        (Late("late"), 0, True),
        # A connection that is being opened is ssh's to give up.
        (Late("late", is_warm=False), 3, True),
        # It is far away, and gets on.
        (Late("late", steps=8), 3, True),
    ],
)
def test_others_are_waited_for(soon, late, others, only_looks):
    answers, silent = ask_all_nodes(fleet_with(late, others), ask_name, only_looks=only_looks)
    assert (len(answers), silent) == (others + 1, {})
