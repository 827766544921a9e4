"""Placement: who gets the job, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import keys
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import (
    placement,
    task_types,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
    rank,
)

# One node waits for its disks, the other one for its processors.
GOLDEN = [
    Node("node-1", "measured", load={"cpu": 0.15, "io_wait": 0.45}),
    Node("node-2", "measured", load={"cpu": 0.65, "io_wait": 0.12}),
]


def measured(name, cpu, **more):
    return Node(name, "measured", load={"cpu": cpu}, **{"slots": 2, **more})


def order(nodes, need=None, **more):
    return [entry.host for entry in rank(nodes, need or Need(), **more)]


# -- the score


@pytest.mark.parametrize(
    ("task_type", "best"),
    [
        ("database", "node-1"),
        ("api", "node-2"),
        ("general", "node-1"),
        ("frontend", "node-1"),
        ("testing", "node-1"),
    ],
)
def test_the_task_type_decides_which_load_matters(task_type, best):
    assert order(GOLDEN, Need(task_type=task_type))[0] == best


@pytest.mark.parametrize(
    ("load", "task_type", "taken", "expected"),
    [
        (
            {"cpu": 0.5, "memory": 0.2, "load_average": 0.1},
            "general",
            0,
            0.4 * 0.5 + 0.3 * 0.2 + 0.3 * 0.1,
        ),
        (
            {"cpu": 0.5, "memory": 0.2, "load_average": 0.1},
            "database",
            0,
            (1.4 * 0.5 + 0.3 * 0.2 + 0.3 * 0.1) / 2,
        ),
        ({"cpu": 0.5}, "general", 0, 0.5),
        ({"cpu": 0.5, "memory": None}, "general", 0, 0.5),
        ({"cpu": 0.5, "io_wait": 1.0}, "general", 0, 0.5),
        ({"cpu": 0.1}, "general", 3, 0.75),
        ({"cpu": 0.8}, "general", 3, 0.8),
        ({"cpu": 0.1}, "general", 9, 1.0),
        ({"io_wait": 0.3}, "general", 0, None),
        ({}, "general", 3, None),
    ],
)
def test_score_is_the_weighted_mean_of_what_was_measured_and_at_least_the_share_of_slots_taken(
    load, task_type, taken, expected
):
    score = placement.score(load, placement.DEFAULT_WEIGHTS, task_type, taken, 4)
    if expected is None:
        assert score is None
    else:
        assert score == pytest.approx(expected)


def test_equal_scores_go_to_more_cpus_then_to_freer_slots_and_then_to_the_first_name():
    nodes = [measured("c", 0.3, cpus=2), measured("b", 0.3, cpus=8), measured("a", 0.3, cpus=2)]
    assert order(nodes) == ["b", "a", "c"]

    # A busy machine says the same score whether a job of ours is on it or not.
    nodes = [measured("a", 0.9, slots=2, in_flight=1), measured("b", 0.9, slots=2)]
    assert order(nodes) == ["b", "a"]

    # Half of the slots are taken, which counts more than the load.
    half = {"slots": 6, "in_flight": 3}
    nodes = [measured("a", 0.1, cpus=4, **half), measured("b", 0.3, cpus=8, **half)]
    assert order(nodes) == ["b", "a"]


@pytest.mark.parametrize("task_type", ["general", "api"])
def test_a_burst_spreads_by_the_share_of_slots(task_type):
    nodes = [
        Node("big", "measured", load={"cpu": 0.1, "io_wait": 0.05}, slots=8),
        Node("mid", "measured", load={"cpu": 0.1, "io_wait": 0.15}, slots=4),
        Node("low", "measured", load={"cpu": 0.1, "io_wait": 0.2}, slots=2),
    ]
    taken = Counter()
    for _time in range(7):
        now = [replace(node, in_flight=taken[node.name]) for node in nodes]
        taken[order(now, Need(task_type=task_type))[0]] += 1
    assert taken == {"big": 4, "mid": 2, "low": 1}


# -- nodes that can't take it


@pytest.mark.parametrize(
    ("node", "need", "why"),
    [
        (Node("n"), Need(node="other"), "the job is pinned to other"),
        (Node("n"), Need(node="local"), "the job is pinned to local"),
        (Node("n", local=True), Need(node="local"), None),
        (Node("n"), Need(nodes=frozenset({"m"})), "not among the job's nodes"),
        (Node("n"), Need(exclude=frozenset({"n"})), "excluded"),
        (Node("n", excluded="quarantined for 28 s"), Need(), "quarantined for 28 s"),
        (Node("n", "unreachable", "timed out"), Need(), "not reachable: timed out"),
        (Node("n", "unreachable"), Need(), "not reachable"),
        (Node("n", online=False), Need(), "offline"),
        (Node("n", "measured", load={"cpu": 0.1}, online=False), Need(), None),
        (Node("n", agents=frozenset({"claude"})), Need(agent="gummy"), "no usable gummy"),
        (Node("n", agents=frozenset()), Need(agent="shell"), None),
        (Node("n", agents=None), Need(agent="gummy"), None),
        (Node("n", disk_free=10 * 1024**2), Need(), "disk nearly full (10 MB free, 256 MB needed)"),
        (Node("n", slots=2, busy=1, in_flight=1), Need(), "no free slot (2 of 2 taken)"),
    ],
)
def test_a_node_that_cannot_take_the_job_says_why(node, need, why):
    (entry,) = rank([node], need)
    assert entry.rejected == why
    assert entry.waits == (why is not None and "slot" in why)
    assert why is None or entry.reason == why


# -- the order


def test_usable_nodes_come_first_then_waiting_then_rejected_by_name():
    nodes = [
        Node("z", "unreachable"),
        Node("y", excluded="no"),
        measured("full", 0.0, busy=2),
        measured("b", 0.9),
        measured("a", 0.95),
    ]
    assert order(nodes) == ["b", "a", "full", "y", "z"]


def test_preferred_nodes_are_first_choice_while_they_have_a_free_slot():
    prefer = {"database": ["slow"]}
    need = Need(task_type="database")
    nodes = [measured("fast", 0.1), measured("slow", 0.9)]
    entries = rank(nodes, need, preferences=prefer)
    assert [entry.host for entry in entries] == ["slow", "fast"]
    assert entries[0].reason == "score 0.90, cpu 90 %, first choice for database"

    full = [measured("fast", 0.1), measured("slow", 0.9, in_flight=2)]
    assert order(full, need, preferences=prefer) == ["fast", "slow"]
    assert order(nodes, Need(), preferences=prefer) == ["fast", "slow"]


# -- nodes of whose load nothing is known


def test_without_any_load_data_nodes_take_turns_and_the_reason_says_so():
    nodes = [Node("b"), Node("a"), Node("c"), Node("dead", "unreachable")]
    taken = []
    for turn in range(1, 5):
        taken += order(nodes)[:1]
        nodes = [
            replace(node, last_used=turn) if node.name == taken[-1] else node for node in nodes
        ]
    assert taken == ["a", "b", "c", "a"]
    assert rank(nodes, Need())[0].reason == "no load data: round robin"


def test_a_node_without_load_data_ranks_after_the_measured_ones():
    nodes = [Node("a", in_flight=1, slots=2), Node("b", slots=2), measured("z", 0.99)]
    entries = rank(nodes, Need())
    assert [(entry.host, entry.score) for entry in entries] == [
        ("z", 0.99),
        ("b", None),
        ("a", None),
    ]
    assert entries[1].reason == "no load data"


# -- what people are told


def test_the_reason_and_the_parts_explain_the_score():
    load = {"cpu": 0.12, "memory": 0.35, "load_average": 0.09, "io_wait": 0.5}
    (entry,) = rank([Node("n", "measured", load=load, slots=4)], Need())
    assert entry.reason == "score 0.18, cpu 12 %, mem 35 %, load 9 %"
    assert sum(entry.parts.values()) == pytest.approx(entry.score)

    load = {"cpu": 0.12, "io_wait": 0.5}
    node = Node("n", "measured", load=load, slots=4, busy=1, in_flight=2)
    (entry,) = rank([node], Need(task_type="api"))
    assert entry.reason == "score 0.75, cpu 12 %, io wait 50 %, 3 of 4 slots taken"
    assert entry.parts["in_flight"] > 0
    assert sum(entry.parts.values()) == pytest.approx(0.75)
    assert entry.as_dict(0.0)["score"] == 0.75
    assert entry.as_dict(0.0)["busy"] == 3


# -- the kind of work


@pytest.mark.parametrize(
    ("prompt", "task_type"),
    [
        ("optimize database queries", "database"),
        ("Write the SQL migration and test it", "database"),
        ("add a GraphQL endpoint", "api"),
        ("add a REST endpoint", "api"),
        ("do the rest of it", "general"),
        ("build the project", "general"),
        ("latest author of the guide", "general"),
        ("fix build_ui", "frontend"),
        ("run the jest tests", "testing"),
        ("find a vulnerability in auth", "security"),
        ("test the api", "general"),
        ("", "general"),
        ("größer, schöner: 你好", "general"),
    ],
)
def test_the_task_type_is_read_from_whole_words_and_a_tie_is_general(prompt, task_type):
    assert task_types.task_type_of(prompt) == task_type


def test_the_keys_know_the_same_task_types():
    assert set(keys.JOB_KEYS["task_type"].choices) == {"auto", *task_types.TASK_TYPES}
    assert set(task_types.KEYWORDS) == set(task_types.TASK_TYPES) - {"general"}
