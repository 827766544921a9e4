"""Nodes, weights and preferences as people and the inventory give them."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import BadValue
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import nodes
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    DEFAULT_WEIGHTS,
    Node,
)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"cpu": -1}, "load weight cpu is -1; give a number, 0 or more"),
        ({"cpu": "much"}, "load weight cpu is 'much'; give a number, 0 or more"),
        ({"cpu": True}, "load weight cpu is True; give a number, 0 or more"),
        ({"cpu": float("nan")}, "load weight cpu is nan; give a number, 0 or more"),
        ({"cpu": 0, "memory": 0}, "all load weights are 0; give at least one part more than 0"),
        ({"memori": 1}, "unknown load weight 'memori'; did you mean 'memory'?"),
        (
            {},
            (
                "load weights are a mapping of cpu, memory, load_average, io_wait to numbers, "
                "not {}; write it like '{cpu: 1, memory: 0.5}'"
            ),
        ),
        (
            [1],
            (
                "load weights are a mapping of cpu, memory, load_average, io_wait to numbers, "
                "not [1]; write it like '{cpu: 1, memory: 0.5}'"
            ),
        ),
    ],
)
def test_bad_weights_are_refused_with_a_sentence(raw, sentence):
    with pytest.raises(ValueError) as error:
        nodes.check_weights(raw)
    assert str(error.value) == sentence


def test_weights_given_replace_the_defaults_and_blank_is_not_given():
    assert nodes.check_weights({"mem": "0.5"}) == {
        "cpu": 0,
        "memory": 0.5,
        "load_average": 0,
        "io_wait": 0,
    }
    assert nodes.check_weights(None) == nodes.check_weights("") == dict(DEFAULT_WEIGHTS)


def test_a_node_is_read_from_host_variables():
    facts = {
        "state": "measured",
        "reason": None,
        "load": {"cpu": 0.1, "memory": 0.2, "load_average": None, "io_wait": 0.0},
        "cpus": 8,
        "slots": {"total": 4, "busy": 1},
        "agents": ["gummy"],
        "disk": {"free": 5e9},
        "measured_at": 12.5,
    }
    node = nodes.node_from_vars(
        "n", {"gummy_facts": facts, "gummy_tailnet": {"online": True, "expired": True}}
    )
    assert node == Node(
        "n",
        "measured",
        load={"cpu": 0.1, "memory": 0.2, "io_wait": 0.0},
        cpus=8,
        slots=4,
        busy=1,
        agents=frozenset({"gummy"}),
        disk_free=5_000_000_000,
        online=True,
        excluded="its tailnet key has expired",
        remedy="its key has to be renewed: `tailscale up` there",
        measured_at=12.5,
    )


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"gummy_facts": "x", "gummy_tailnet": 3},
        {
            "gummy_facts": {
                "state": "odd",
                "load": {"cpu": "?", "memory": 7},
                "slots": None,
                "disk": {"free": "?"},
                "agents": "gummy",
            }
        },
    ],
)
def test_odd_host_variables_mean_not_known(variables):
    assert nodes.node_from_vars("n", variables) == Node("n")


def test_the_system_is_what_was_measured_else_what_tailscale_says_if_it_is_a_plain_word():
    def system(measured, told):
        variables = {"gummy_facts": {"os": measured}, "gummy_tailnet": {"os": told}}
        return nodes.node_from_vars("n", variables).os

    assert system("linux", "macOS") == "linux" and system(None, "macOS") == "macos"
    assert system(None, "{{ x }}") is system(None, "") is system(5, None) is None


def test_without_slots_half_the_cpus_are_taken_and_at_least_one():
    slots = [nodes.node_from_record({"name": "n", "cpus": cpus}).slots for cpus in (None, 1, 2, 9)]
    assert slots == [1, 1, 1, 4]
    assert nodes.node_from_vars("n", {"gummy_facts": {"cpus": 8}}).slots == 4


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ({"cpu": 1}, "a record of a node needs a name, this one has the keys cpu"),
        (
            {"name": "n", "mem": 35},
            "mem of n is 35; loads go from 0 (idle) to 1 (full), so 15 % is 0.15",
        ),
    ],
)
def test_a_record_that_is_none_is_refused_with_a_sentence(record, sentence):
    with pytest.raises(BadValue) as error:
        nodes.node_from_record(record)
    assert str(error.value) == sentence


def test_a_single_name_is_a_list_of_one():
    assert nodes.check_preferences({"database": "big", "api": ["a", "b"]}) == {
        "database": ("big",),
        "api": ("a", "b"),
    }
    assert nodes.check_preferences(None) == nodes.check_preferences("") == {}
