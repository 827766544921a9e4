"""Whether the nodes are out of reach, or this controller is."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.contact import (
    SUSPICION,
    Contact,
)

NOW = 1000.0


def contact_without_answers(*nodes):
    contact = Contact()
    for node in nodes:
        contact.on_no_answer(node)
    return contact


@pytest.mark.parametrize(
    ("nodes", "is_doubtful"),
    [
        ((), False),
        (("a",), False),
        # The same node once more says nothing new.
        (("a", "a"), False),
        (("a", "b"), True),
        (("a", "b", "c"), True),
    ],
)
def test_several_nodes_in_a_row_without_an_answer_make_it_doubtful(nodes, is_doubtful):
    assert contact_without_answers(*nodes).is_doubtful(NOW) == is_doubtful


def test_one_answer_ends_the_doubt_and_the_row_begins_anew():
    contact = contact_without_answers("a", "b")
    assert not contact.on_answer()
    assert not contact.is_doubtful(NOW)
    contact.on_no_answer("a")
    assert not contact.is_doubtful(NOW)
    contact.on_no_answer("c")
    assert contact.is_doubtful(NOW)


def test_while_all_nodes_are_asked_they_are_not_asked_again():
    contact = contact_without_answers("a", "b")
    until = contact.ask(NOW)
    assert until == NOW + SUSPICION
    assert contact.is_asking(NOW) and contact.is_asking(until - 0.1)
    assert not contact.is_doubtful(NOW)

    # Nobody is waited for without an end.
    assert not contact.is_asking(until) and contact.is_doubtful(until)


def test_nothing_is_waited_for_once_the_answers_are_there():
    contact = contact_without_answers("a", "b")
    contact.ask(NOW)
    contact.on_all_asked()
    assert not contact.is_asking(NOW)


def test_nobody_is_asked_before_there_is_a_doubt():
    contact = Contact()
    assert not contact.is_asking(0.0) and contact.offline_since is None


def test_that_the_controller_is_offline_is_news_once_and_keeps_its_first_time():
    contact = contact_without_answers("a", "b")
    assert contact.go_offline(NOW)
    assert not contact.go_offline(NOW + 10)
    assert contact.offline_since == NOW

    # All nodes have been asked already.
    assert not contact.is_doubtful(NOW + 10)


def test_an_answer_ends_that_and_is_news_once():
    contact = contact_without_answers("a", "b")
    contact.go_offline(NOW)
    assert contact.on_answer()
    assert not contact.on_answer()
    assert contact.offline_since is None

    assert contact.go_offline(NOW + 20)
    assert contact.offline_since == NOW + 20
