"""Asking all nodes at once: who answers, who is silent and why, and what is cut short."""

from __future__ import annotations

import pytest
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
