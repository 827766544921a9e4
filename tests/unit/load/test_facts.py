"""`gummy_facts`: one shape, whoever made it."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._load import facts
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    DEFAULT_WEIGHTS,
    LOAD_PARTS,
)

ROOM = {"total": 4, "busy": 1}


def test_what_is_not_known_is_null_and_every_key_is_there():
    record = facts.make_facts("measured", None, ROOM, load={"cpu": 0.5})
    assert set(record) == set(facts.NodeFacts.__annotations__)
    assert record["load"] == {**dict.fromkeys(LOAD_PARTS), "cpu": 0.5}
    left = {key for key, value in record.items() if value is not None}
    assert left == {"state", "load", "slots"}


@pytest.mark.parametrize(("slots", "total"), [(None, 1), (3, 3)])
def test_of_an_unknown_node_the_slots_are_those_of_the_config_or_one(slots, total):
    record = facts.no_facts("unreachable", "timed out", slots)
    assert (record["state"], record["reason"]) == ("unreachable", "timed out")
    assert record["slots"] == {"total": total, "busy": 0}


@pytest.mark.parametrize(("cpus", "slots"), [(None, 1), (1, 1), (3, 1), (8, 4)])
def test_half_the_cpus_are_the_slots_and_at_least_one(cpus, slots):
    assert facts.default_slots(cpus) == slots


def test_the_score_is_by_the_weights_and_there_is_none_without_a_load():
    measured = facts.make_facts("measured", None, ROOM, load={"cpu": 0.9, "memory": 0.1})
    assert facts.score_of(measured, {"cpu": 1, "memory": 0}) == 0.9
    assert facts.score_of(measured, {"cpu": 0, "memory": 1}) == 0.25
    assert facts.score_of(facts.no_facts("unknown", None), DEFAULT_WEIGHTS) is None
