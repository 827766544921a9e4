"""The nodes as a run knows them: their order, their waitlists, their pauses, their names."""

from __future__ import annotations

import random

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.nodes import (
    CLOSED,
    QUARANTINE,
    QUARANTINE_MOST,
    SILENT,
    NodeState,
    NodeTable,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    DEFAULT_WEIGHTS,
    FREE,
    REJECTED,
    WAITS,
    Need,
    Node,
    rank,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.stages import (
    TrackedAttempt,
)
from scheduling import LOCAL, node

NOW = 1000.0
ANY = Need()


def table_of(*nodes, fallback=None, preferences=None):
    return NodeTable(nodes, fallback, DEFAULT_WEIGHTS, preferences or {})


def state_of(measured=None, **fields):
    """A node with these fields; one that has proved itself, unless they say otherwise."""
    return NodeState(measured or node("n", slots=4), **{"proved": True, **fields})


def attempts(count):
    return {str(number): TrackedAttempt(str(number), "job", "n") for number in range(count)}


def change(table, name, now=NOW, **fields):
    """Change a node as the scheduler does."""
    state = table[name]
    for field, value in fields.items():
        setattr(state, field, value)
    table.changed(state, now)


# -- the order of the candidates


def random_node(dice, name):
    load = {part: dice.choice([0.0, 0.2, 0.2, 0.7]) for part in ("cpu", "memory")}
    return Node(
        name,
        dice.choice(["measured", "measured", "unknown", "unreachable"]),
        load=dice.choice([load, load, {}]),
        cpus=dice.choice([1, 4]),
        slots=dice.choice([1, 2, 4]),
        busy=dice.choice([0, 0, 1]),
        agents=dice.choice([None, frozenset(), frozenset({"gummy"})]),
    )


def change_at_random(dice, table, name, now):
    state = table[name]
    kind = dice.choice(["attempts", "failure", "success", "silence", "line", "used", "measured"])
    if kind == "attempts":
        state.live = attempts(dice.randrange(4))
        state.begins = dice.randrange(len(state.live) + 1)
    elif kind == "failure":
        state.on_failure("sync", "sync: disk", now)
    elif kind == "success":
        state.on_success()
    elif kind == "silence":
        state.silent_since = dice.choice([None, now])
    elif kind == "line":
        state.waitlisted = dice.choice([True, False])
        state.granted = not state.waitlisted
        state.contended = dice.choice([True, False])
    elif kind == "used":
        state.last_used = dice.randrange(1, 100)
    else:
        state.node = random_node(dice, name)
    table.changed(state, now)


@pytest.mark.parametrize("seed", range(30))
def test_the_order_that_is_kept_is_that_of_the_ranking_whatever_changes(seed):
    dice = random.Random(seed)
    names = [f"n{number}" for number in range(8)]
    preferences = {"database": ["n5"]}
    needs = [
        Need("gummy"),
        Need(task_type="database"),
        Need(exclude=frozenset({"n1"})),
        Need(nodes=frozenset({"n2", "n3", "n9"})),
        Need(node="n4"),
        Need(home="n6"),
    ]
    table = table_of(*(random_node(dice, name) for name in names), preferences=preferences)
    now = NOW

    for _change in range(60):
        now += dice.uniform(0.0, 40.0)
        change_at_random(dice, table, dice.choice(names), now)
        for need in needs:
            check_order(table, need, preferences, set(dice.sample(names, 2)))


def check_order(table, need, preferences, without):
    candidates = table.candidates(need, 0.0)
    ranking = rank(table.as_nodes(), need, preferences=preferences)
    free = [entry.host for entry in ranking if entry.rejected is None]
    full = [entry.host for entry in ranking if entry.waits]

    assert candidates.groups[FREE] == set(free)
    assert candidates.groups[WAITS] == set(full)
    assert candidates.best() == next(iter(free), None)
    assert candidates.best(without) == next((name for name in free if name not in without), None)
    # What was looked at with some nodes left out is there again.
    assert candidates.best() == next(iter(free), None)

    assert candidates.waitlisted == {name for name in full if table[name].waitlisted}
    left = [name for name in full if name in candidates.full and name not in without]
    most = 3 + len(candidates.waitlisted)
    assert candidates.to_enqueue(without, most) == left[:3]


def test_an_order_that_is_asked_for_later_knows_what_has_changed_before():
    table = table_of(node("a", 0.1, slots=1), node("b", 0.5))
    change(table, "a", live=attempts(1))
    assert table.candidates(ANY, NOW).best() == "b"
    assert table.candidates(ANY, NOW) is table.candidates(Need(), NOW)


def test_a_node_that_changes_often_does_not_make_the_order_long():
    table = table_of(node("a"), node("b"))
    candidates = table.candidates(ANY, NOW)
    for number in range(1000):
        change(table, "a", last_used=number)
    assert len(candidates._heap) <= 4 * 2 + 17 and candidates.best() == "a"


@pytest.mark.parametrize(
    ("need", "names"),
    [
        (Need(), {"a", "b"}),
        (Need(node="a"), {"a"}),
        (Need(nodes=frozenset({"b", "gone"})), {"b"}),
        (Need(node="gone"), set()),
    ],
)
def test_work_that_names_its_nodes_keeps_only_those_in_order(need, names):
    table = table_of(node("a"), node("b"))
    assert table.candidates(need, NOW).groups[FREE] == names


# -- what wakes the jobs that wait


@pytest.mark.parametrize(
    ("before", "after", "wakes"),
    [
        # A job's answer gets no better by this one, and may by the others.
        ({}, {"live": attempts(4)}, False),
        ({"live": attempts(4)}, {}, True),
        ({}, {"silent_since": NOW}, True),
        ({"silent_since": NOW}, {}, True),
        ({}, {"closed_until": NOW + 1}, True),
        ({}, {"last_used": 7}, False),
        ({"waitlisted": True}, {"granted": True}, True),
    ],
)
def test_what_may_change_a_job_s_answer_wakes_it(before, after, wakes):
    blank = {
        "live": {},
        "silent_since": None,
        "closed_until": 0.0,
        "waitlisted": False,
        "granted": False,
    }
    table = table_of(node("n", slots=4))
    candidates = table.candidates(ANY, NOW)
    change(table, "n", **{**blank, **before})
    candidates.woken = False
    change(table, "n", **{**blank, **after})
    assert candidates.woken == wakes


# -- which group a node is in


@pytest.mark.parametrize(
    ("fields", "group"),
    [
        ({}, FREE),
        ({"live": attempts(4)}, WAITS),
        ({"silent_since": NOW}, SILENT),
        ({"failures": 1, "closed_until": NOW + 1}, CLOSED),
        # It may run jobs of ours, which counts more than its pause.
        ({"silent_since": NOW, "closed_until": NOW + 1}, SILENT),
        ({"twin": "other"}, REJECTED),
    ],
)
def test_a_node_is_in_one_group(fields, group):
    table = table_of(node("n", slots=4))
    candidates = table.candidates(ANY, NOW)
    change(table, "n", **fields)
    assert [number for number, names in candidates.groups.items() if names] == [group]
    assert candidates.has(group) and not candidates.has(group, without=["n", "other"])


def test_a_node_that_the_caller_excludes_is_rejected_even_while_it_is_silent():
    table = table_of(node("n", excluded="too old"))
    candidates = table.candidates(ANY, NOW)
    change(table, "n", silent_since=NOW)
    assert candidates.groups[REJECTED] == {"n"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"silent_since": NOW, "twin": "other"}, "no contact"),
        ({"twin": "other", "closed_until": NOW + 1}, "the same node as other"),
        (
            {"failures": 2, "why": "sync: disk", "closed_until": NOW + 1},
            "quarantined after 2 x sync: disk",
        ),
        # Its pause is over.
        ({"failures": 2, "why": "sync: disk", "closed_until": NOW}, None),
    ],
)
def test_a_node_that_takes_nothing_says_why(fields, reason):
    assert state_of(**fields).as_node(NOW).excluded == reason


def test_what_the_caller_says_against_a_node_comes_first():
    state = state_of(node("n", excluded="too old", remedy="update it"), silent_since=NOW)
    assert (state.as_node(NOW).excluded, state.as_node(NOW).remedy) == ("too old", "update it")


# -- how many slots this run may use


@pytest.mark.parametrize(
    ("fields", "slots", "busy"),
    [
        ({}, 4, 1),
        ({"live": attempts(2)}, 4, 1),
        # A slot is kept for us, whatever was measured.
        ({"granted": True, "live": attempts(3)}, 4, 0),
        ({"granted": True, "live": attempts(4)}, 4, 0),
        ({"granted": True, "contended": True}, 4, 1),
        # Whoever waits for a slot takes none before it is granted.
        ({"waitlisted": True}, 4, 4),
        ({"waitlisted": True, "live": attempts(1)}, 4, 3),
        ({"contended": True}, 4, 4),
        # Nobody failed, and nothing is claimed for a moment.
        ({"busy_until": NOW + 1}, 4, 4),
        ({"busy_until": NOW}, 4, 1),
        # A node that failed gets one attempt at a time, until one has begun.
        ({"failures": 1, "proved": False}, 2, 1),
        ({"failures": 1, "proved": False, "live": attempts(1), "begins": 1}, 2, 1),
        ({"failures": 1, "proved": False, "live": attempts(1), "begins": 0}, 3, 1),
        ({"failures": 1, "proved": True}, 4, 1),
    ],
)
def test_of_a_node_s_slots_this_run_may_use_what_is_fair(fields, slots, busy):
    seen = state_of(node("n", slots=4, busy=1), **fields).as_node(NOW)
    assert (seen.slots, seen.busy) == (slots, busy)
    assert seen.in_flight == len(fields.get("live", ()))


# -- waitlists


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"live": attempts(3)}, True),
        # All slots are our own: waiting for others would be in vain.
        ({"live": attempts(4)}, False),
        ({"waitlisted": True}, False),
        ({"granted": True}, False),
        ({"busy_until": NOW + 1}, False),
        ({"failures": 1, "proved": False, "begins": 1}, False),
        ({"failures": 1, "proved": False, "begins": 0}, True),
        ({"failures": 1, "proved": True, "begins": 1}, True),
    ],
)
def test_a_waitlist_is_entered_where_others_have_slots_that_this_run_could_use(fields, expected):
    assert bool(state_of(**fields).may_enqueue(NOW)) == expected


def test_the_full_nodes_that_rank_first_are_waited_for_and_no_more_than_so_many():
    cpus = {"c": 1, "a": 4, "b": 2, "d": 8}
    full = [node(name, busy=2, cpus=count) for name, count in cpus.items()]
    table = table_of(*full, node("free", 0.9))
    candidates = table.candidates(ANY, NOW)
    assert candidates.to_enqueue((), 2) == ["d", "a"]
    assert candidates.to_enqueue({"d"}, 2) == ["a", "b"]

    # Where the run waits already counts, and is not entered twice.
    change(table, "d", waitlisted=True)
    assert candidates.waitlisted == {"d"}
    assert candidates.to_enqueue((), 2) == ["a"]
    assert candidates.to_enqueue((), 1) == []


def test_who_is_granted_a_slot_waits_there_no_longer():
    table = table_of(node("n", busy=2))
    candidates = table.candidates(ANY, NOW)
    change(table, "n", waitlisted=True)
    assert (candidates.groups[WAITS], candidates.waitlisted) == ({"n"}, {"n"})
    change(table, "n", waitlisted=False, granted=True)
    assert (candidates.groups[FREE], candidates.waitlisted) == ({"n"}, set())
    assert candidates.best() == "n" and candidates.to_enqueue((), 9) == []


# -- quarantine


def test_each_failure_in_a_row_doubles_the_pause_up_to_a_bound():
    state = state_of()
    now = NOW
    pauses = []
    for _failure in range(7):
        state.on_failure("sync", "sync: disk", now)
        pauses.append(state.closed_until - now)
        now = state.closed_until
    assert pauses == [QUARANTINE * factor for factor in (1, 2, 4, 8, 16)] + [QUARANTINE_MOST] * 2
    assert state.failures == 7 and state.why == "sync: disk"


def test_what_was_under_way_when_a_node_failed_says_nothing_new():
    state = state_of()
    state.on_failure("sync", "sync: disk", NOW)
    state.on_failure("start", "start: no agent", NOW + QUARANTINE - 1)
    assert (state.failures, state.why, state.closed_until) == (1, "sync: disk", NOW + QUARANTINE)
    # Its class is the newest all the same.
    assert state.failure == "start" and not state.proved


def test_a_pause_of_an_earlier_run_is_no_reason_to_overlook_a_failure_in_this_one():
    state = state_of(failures=2, closed_until=NOW + 500.0, inherited=True, why="start: old")
    state.on_failure("sync", "sync: disk", NOW)
    assert (state.failures, state.why, state.inherited) == (3, "sync: disk", False)
    assert state.closed_until == NOW + 4 * QUARANTINE


def test_a_job_that_begins_takes_the_pause_back_and_an_answer_alone_does_not():
    state = state_of(silent_since=NOW)
    state.on_failure("unreachable", "unreachable: cut", NOW)
    state.on_contact()
    assert (state.silent_since, state.failure, state.failures) == (None, None, 1)
    assert state.closed(NOW)

    state.on_success()
    assert (state.failures, state.proved, state.closed(NOW)) == (0, True, False)


def test_a_node_that_answers_is_not_out_of_reach_any_more():
    state = state_of(Node("n", "unreachable", "no route"))
    state.on_contact()
    assert state.node.state == "unknown"


# -- two names of one node


def test_the_name_under_which_a_store_was_met_first_counts():
    table = table_of(node("a"), node("b"), node("c"))
    assert table.first_of_store("s1", table["a"]) is None
    assert table.first_of_store("s1", table["b"]) == "a"
    assert table.first_of_store("s1", table["a"]) is None
    assert table.first_of_store("s2", table["c"]) is None


def test_the_controller_itself_is_nobody_s_twin():
    table = table_of(node("a"), fallback=LOCAL)
    assert table.first_of_store("s1", table["localhost"]) is None
    assert table.first_of_store("s1", table["a"]) is None
    assert table.first_of_store("s1", table["localhost"]) is None


# -- the table


def test_the_controller_is_in_the_table_by_its_name_and_not_among_the_nodes():
    table = table_of(node("a"), node("b"), fallback=LOCAL)
    assert [state.name for state in table] == ["a", "b"]
    assert [state.name for state in table.everything()] == ["a", "b", "localhost"]
    assert [seen.name for seen in table.as_nodes()] == ["a", "b"]
    assert table["localhost"] is table.fallback
    # It has no place in any order.
    table.changed(table["localhost"], NOW)
    assert table.candidates(ANY, NOW).groups[FREE] == {"a", "b"}


@pytest.mark.parametrize(
    ("need", "expected"),
    [
        # A job that names no node has all that there are.
        (Need(), True),
        (Need(node="up"), False),
        (Need(node="down"), True),
        (Need(node="off"), True),
        (Need(node="failed"), True),
        (Need(node="broken"), False),
        (Need(nodes=frozenset({"down", "off", "failed"})), True),
        (Need(nodes=frozenset({"down", "up"})), False),
    ],
)
def test_a_job_is_out_of_reach_when_no_node_that_it_names_has_answered(need, expected):
    table = table_of(
        node("up"),
        Node("down", "unreachable"),
        Node("off", online=False),
        node("failed"),
        node("broken"),
    )
    table["failed"].on_failure("unreachable", "unreachable: cut", NOW)
    table["broken"].on_failure("sync", "sync: disk", NOW)
    assert table.out_of_reach(need) == expected


@pytest.mark.parametrize(
    ("others", "names"),
    [
        ([], ["a", "b"]),
        # A node is left that may still show that the fault is not here.
        ([node("up")], []),
        ([Node("unknown")], []),
        ([Node("down", "unreachable"), Node("off", online=False)], ["a", "b"]),
        ([node("old", excluded="too old")], ["a", "b"]),
    ],
)
def test_all_nodes_fail_alike_when_no_other_node_is_left(others, names):
    table = table_of(node("a"), node("b"), *others)
    for name in ("a", "b"):
        table[name].on_failure("sync", "sync: disk", NOW)
    assert [state.name for state in table.all_fail_alike("sync")] == names
    assert table.all_fail_alike("start") == []


def test_one_node_that_fails_is_its_own_fault():
    table = table_of(node("a"))
    table["a"].on_failure("sync", "sync: disk", NOW)
    assert table.all_fail_alike("sync") == []
