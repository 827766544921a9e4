"""What is gathered of the fleet: a document for each thing, and one that is shown."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.fleet_info import (
    Asked,
    gather,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from played import KNOWN, PlayedLink, listed, play_fleet, told


def fleet(answers=None):
    answers = answers or {
        "list": listed({"state": "ended", "ended": {"class": None}}),
        "specialists": told(),
        "logs": [{"state": "log", "text": "said"}, {"state": "read", "size": 4}],
    }

    def measure(name, _link):
        if isinstance(answers, LinkError):
            raise answers
        return Node(name, **KNOWN)

    node = Node("n", **KNOWN)
    return play_fleet({"n": PlayedLink("n", answers)}, [node], measure=measure)


@pytest.mark.parametrize("thing", ["status", "specialists", "logs"])
def test_one_thing_is_its_own_document(thing):
    documents, shown = gather(fleet(), [thing], Asked(run_id="r"))
    assert list(documents) == [thing] and shown is documents[thing] and shown["kind"] == thing


def test_several_things_are_shown_in_their_order_and_one_failure_is_that_of_all():
    documents, shown = gather(fleet(), ["logs", "status"], Asked(run_id="r"))
    assert [each["kind"] for each in shown["documents"]] == ["status", "logs"]
    assert (shown["kind"], shown["status"], shown["message"]) == ("info", "success", None)
    assert documents["logs"]["attempts"][0]["log"] == "said"

    _documents, failed = gather(fleet(LinkError("away")), ["status", "specialists"], Asked())
    assert failed["status"] == "failed"
    assert failed["message"] == "no node answers: see the reasons above"


def test_logs_of_nothing_that_was_named_are_an_input_error():
    with pytest.raises(InputError, match="say which"):
        gather(fleet(), ["status", "logs"], Asked())
