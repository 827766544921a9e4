"""Who waits, for what, and who is blamed: the rules of placement beyond one job and one node."""

from __future__ import annotations

import random

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.nodes import QUARANTINE
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
    rank,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.plan import plan_work
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.scheduler import (
    QUOTA_PAUSE,
)
from scheduling import GOOD, LOCAL, A, begin, claims, feed, node, ranking_for, scheduler, told


def runs(attempt):
    return [ev.Claimed(attempt), ev.Synced(attempt), ev.Started(attempt)]


def ends(commands):
    return {end.job: (end.status, end.failure) for end in told(commands, ev.Finish)}


def a_node(dice, name):
    load = {
        part: dice.choice([0.0, 0.2, 0.2, 0.7]) for part in ("cpu", "memory") if dice.random() < 0.8
    }
    agents = dice.choice([None, frozenset(), frozenset({"gummy"})])
    state = dice.choice(["measured", "measured", "unknown", "unreachable"])
    return Node(
        name,
        state,
        load=load,
        cpus=dice.choice([1, 4]),
        slots=dice.choice([1, 2, 4]),
        busy=dice.choice([0, 0, 1]),
        agents=agents,
    )


@pytest.mark.parametrize("seed", range(40))
def test_the_quick_choice_is_the_first_of_the_ranking_that_people_see(seed):
    dice = random.Random(seed)
    nodes = [a_node(dice, f"n{number}") for number in range(8)]
    needs = [
        Need("gummy"),
        Need(task_type="database"),
        Need(exclude=frozenset({"n1"})),
        Need(nodes=frozenset({"n2", "n3"})),
        Need(home="n4"),
    ]
    work = [ev.PlacementSpec(f"job-{number}", dice.choice(needs)) for number in range(14)]
    preferences = {"database": ["n5"]}
    tested = scheduler(work, nodes, preferences=preferences)
    placed = told(begin(tested), ev.Assigned)
    for place in placed:
        need = next(item.need for item in work if item.name == place.job)
        assert (
            rank(place.standing.nodes, need, preferences=preferences)[0].host
            == place.node
            == place.standing.ranking()[0].host
        )
        assert place.standing.ranking()[0].rejected is None
    for name, standing in tested.waiting():
        assert standing.ranking()[0].rejected, name


def test_plan_and_run_take_the_same_nodes_for_the_jobs_that_fit():
    nodes = [
        node("a", 0.1, slots=3),
        Node("b", slots=2),
        node("c", 0.4, slots=1),
        Node("d", "unreachable", "down"),
    ]
    work = [ev.PlacementSpec(f"job-{number}", Need()) for number in range(12)]
    planned = {row["name"]: row["node"] for row in plan_work(work, nodes) if row["node"]}
    assert (
        planned
        == {
            place.job: place.node
            for place in told(begin(scheduler(work, nodes, trust_links=False)), ev.Assigned)
        }
        and len(planned) == 6
    )


def test_a_node_that_proved_nothing_yet_is_asked_once_before_its_other_slots_are_used():
    tested = scheduler(["a", "b", "c"], [node("n", slots=3)], trust_links=False)
    assert claims(begin(tested)) == [("a", "n")]
    assert claims(feed(tested, ev.Claimed(A))) == [("b", "n"), ("c", "n")]
    tested = scheduler(
        ["a", "b", "c"], [node("n", slots=3), node("m", 0.5, slots=3)], trust_links=False
    )
    assert claims(begin(tested)) == [("a", "n"), ("c", "m")]
    assert claims(feed(tested, ev.Failed(A, "unreachable", "down"), ev.Claimed("3"))) == [
        ("a", "m"),
        ("b", "m"),
    ]


def test_priority_comes_before_the_order_of_the_list_and_a_pin_holds_nobody_back():
    work = [
        ev.PlacementSpec("low", Need()),
        ev.PlacementSpec("pinned", Need(node="b")),
        ev.PlacementSpec("high", Need(), priority=9),
        ev.PlacementSpec("later", Need(), priority=-1),
    ]
    tested = scheduler(work, [node("a", 0.1, slots=1), node("b", 0.2, slots=1, busy=1)])
    assert claims(begin(tested)) == [("high", "a")]
    assert claims(feed(tested, *runs(A), GOOD)) == [("low", "a")]
    assert claims(feed(tested, ev.Granted("b"))) == [("pinned", "b")]


def test_an_account_without_quota_pauses_until_its_time_and_others_go_on():
    work = [
        *(ev.PlacementSpec(name, Need("gummy"), account="max") for name in ("a", "b")),
        ev.PlacementSpec("c", Need("claude"), account="api"),
    ]
    tested = scheduler(work, [node("n", slots=1)])
    begin(tested, *runs(A))
    out = feed(tested, ev.Ended(A, "quota", None, "limit reached", pause=500.0), ev.Fetched(A))
    assert claims(out) == [("c", "n")] and not told(out, ev.Finish)
    assert any(
        "the account max has no quota left: its jobs wait for 8 min" in note.text
        for note in told(out, ev.Note)
    )
    out = feed(
        tested, *runs("2"), ev.Ended("2", None, "exit status 0", ""), ev.Fetched("2"), now=100.0
    )
    assert ends(out) == {"c": ("success", None)} and claims(out) == []
    assert claims(feed(tested, 499.0)) == [] and claims(feed(tested, 500.0)) == [("a", "n")]


def test_a_job_that_meets_no_quota_at_each_attempt_ends_as_quota_with_its_harvest_at_home():
    tested = scheduler([ev.PlacementSpec("a", Need(), attempts=2)], [node("n")])
    now = 0.0
    out = []
    for attempt in ("1", "2"):
        out += feed(
            tested,
            ev.Tick(),
            *runs(attempt),
            ev.Ended(attempt, "quota", None, "limit"),
            ev.Fetched(attempt),
            now=now,
        )
        now += QUOTA_PAUSE
    assert ends(out) == {"a": ("failed", "quota")} and len(told(out, ev.Ack)) == 2


@pytest.mark.parametrize(
    ("work", "nodes", "failure", "text"),
    [
        (
            ev.PlacementSpec("w", Need()),
            [node("n", slots=1, busy=1)],
            "queue",
            "it waited for 60 s (queue_timeout): n: no free slot (1 of 1 taken)",
        ),
        (
            ev.PlacementSpec("w", Need(), account="x"),
            [node("n")],
            "quota",
            "it waited for 60 s (queue_timeout): the account x has no quota left",
        ),
    ],
)
def test_a_wait_ends_after_queue_timeout_and_says_for_what_it_was(work, nodes, failure, text):
    if failure == "queue":
        tested = scheduler([work], nodes, queue_timeout=60.0)
        begin(tested)
    else:
        tested = scheduler(
            [ev.PlacementSpec("first", Need(), account="x", attempts=1, priority=1), work],
            [node("n", slots=1)],
            queue_timeout=60.0,
        )
        begin(tested, *runs(A), ev.Ended(A, "quota", None, "limit"), ev.Fetched(A))
    assert told(feed(tested, 59.0), ev.Finish) == []
    (end,) = told(feed(tested, 60.0), ev.Finish)
    assert (end.job, end.status, end.failure, end.message) == ("w", "failed", failure, text)


def test_what_runs_is_not_ended_by_queue_timeout_and_a_job_that_must_begin_anew_does_not_wait_then():
    tested = scheduler(["a"], [node("n", slots=1)], queue_timeout=60.0)
    begin(tested, *runs(A))
    assert told(feed(tested, 61.0), ev.Finish) == []
    out = feed(tested, GOOD, ev.Fetched(A), now=70.0)
    assert ends(out) == {"a": ("success", None)}


def test_with_each_a_node_out_of_reach_is_skipped_and_one_that_can_not_is_a_failure():
    nodes = [
        node("up"),
        Node("off", online=False),
        Node("down", "unreachable", "refused"),
        node("bare", agents=frozenset()),
        node("dies", 0.5),
    ]
    work = [
        ev.PlacementSpec(f"job.{n.name}", Need("gummy", node=n.name), attempts=1, skippable=True)
        for n in nodes
    ]
    tested = scheduler(work, nodes, trust_links=False, fallback=LOCAL)
    out = begin(tested)
    dies = next(claim.attempt for claim in told(out, ev.Claim) if claim.node == "dies")
    out += feed(tested, ev.Failed(dies, "unreachable", "timed out"))
    assert ends(out) == {
        "job.off": ("skipped", "unreachable"),
        "job.down": ("skipped", "unreachable"),
        "job.dies": ("skipped", "unreachable"),
        "job.bare": ("failed", "unreachable"),
    }
    assert claims(out) == [("job.up", "up"), ("job.dies", "dies")]


def test_a_quarantine_of_an_earlier_run_is_kept_and_gets_its_trial_at_once_when_no_other_node_is_left():
    tested = scheduler(
        ["a", "b"], [node("old", 0.0, slots=1), node("new", 0.9, slots=1)], trust_links=False
    )
    feed(tested, ev.Quarantined("old", 3, 200.0, "start: no agent"))
    assert claims(begin(tested)) == [("a", "new")]
    tested = scheduler(["a", "b"], [node("old", slots=4)], trust_links=False)
    feed(tested, ev.Quarantined("old", 3, 200.0, "start: no agent"))
    assert claims(begin(tested)) == [("a", "old")]
    out = feed(tested, ev.Failed(A, "start", "no agent"))
    assert told(out, ev.Quarantine) == [ev.Quarantine("old", 4, 8 * QUARANTINE, "start: no agent")]


def test_a_start_that_works_takes_the_quarantine_back():
    tested = scheduler(["a"], [node("n")], trust_links=False)
    feed(tested, ev.Quarantined("n", 1, 0.0, "start: no agent"))
    assert told(begin(tested, *runs(A)), ev.Quarantine) == [ev.Quarantine("n", 0, 0.0, "")]


def test_a_login_that_is_refused_gets_no_trial():
    tested = scheduler(
        ["a", "b"], [node("n", 0.1, slots=1), node("m", 0.5, slots=1)], trust_links=False
    )
    begin(tested)
    out = feed(tested, ev.Failed(A, "unreachable", "host key changed", lasting=True), *runs("2"))
    assert told(out, ev.Quarantine) == [] and claims(feed(tested, 10_000.0)) == []
    ranked = {entry.host: entry.rejected for entry in ranking_for(tested, "a")}
    assert "host key changed" in ranked["n"]


def test_when_no_node_answers_any_more_nobody_is_blamed_and_the_jobs_wait():
    nodes = [node(name, slots=1) for name in ("x", "y", "z")]
    tested = scheduler([ev.PlacementSpec(f"job-{n}", Need(), attempts=2) for n in range(3)], nodes)
    begin(tested)
    out = feed(
        tested, ev.Failed("1", "unreachable", "no route"), ev.Failed("2", "unreachable", "no route")
    )
    # Before more is spent, all are asked.
    assert [command.nodes for command in told(out, ev.Refresh)] == [("x", "y", "z")]
    out += feed(tested, ev.Failed("3", "unreachable", "no route"), now=1.0)
    out += feed(
        tested,
        ev.Nodes(tuple(Node(name, "unreachable", "no route") for name in ("x", "y", "z"))),
        now=2.0,
    )
    assert ends(out) == {} and claims(out) == []
    assert any(
        "all nodes fail alike (unreachable: no route)" in note.text for note in told(out, ev.Note)
    )
    assert {quarantine.failures for quarantine in told(out, ev.Quarantine)[-3:]} == {0}
    out = feed(tested, ev.Nodes(tuple(nodes)), now=50.0)
    # And it cost none of them an attempt.
    assert sorted(job for job, _node in claims(out)) == ["job-0", "job-1", "job-2"]


def test_a_controller_that_stays_offline_ends_its_jobs_after_lost_after():
    tested = scheduler(["a"], [node("x"), node("y")], lost_after=100.0, local_fallback=False)
    begin(tested)
    down = tuple(Node(name, "unreachable", "no route") for name in ("x", "y"))
    out = feed(tested, ev.Failed(A, "unreachable", "no route"), now=0.0)
    now = 0.0
    while not told(out, ev.Finish) and now < 2000.0:
        now += 10.0
        out += feed(
            tested,
            now,
            ev.Nodes(down),
            *(ev.Failed(c.attempt, "unreachable", "no route") for c in told(out[-5:], ev.Claim)),
            now=now,
        )
    assert ends(out)["a"][0] == "failed" and now >= 100.0


def test_two_names_of_one_node_are_one_candidate():
    tested = scheduler(["a", "b", "c"], [node("alias", 0.1, slots=1), node("name", 0.2, slots=1)])
    begin(tested)
    feed(
        tested,
        ev.Claimed(A, "store-1"),
        ev.Claimed("2", "store-1"),
        ev.Synced("2"),
        ev.Ended("2", None, "exit status 0", ""),
    )
    ranked = {entry.host: entry.rejected for entry in ranking_for(tested, "c")}
    assert ranked == {"alias": "no free slot (1 of 1 taken)", "name": "the same node as alias"}
    tested = scheduler(["a", "b"], [node("one", 0.1, slots=1), node("two", 0.2, slots=1)])
    begin(tested, ev.Claimed(A, "store-1"), ev.Claimed("2", "store-2"))
    assert not any("same node" in (entry.rejected or "") for entry in ranking_for(tested, "a"))


def test_a_specialist_goes_home_if_that_is_nearly_as_good_and_does_not_wait_for_it():
    nodes = [node("near", 0.20), node("home", 0.28), node("far", 0.9)]
    assert claims(begin(scheduler([ev.PlacementSpec("a", Need(home="home"))], nodes))) == [
        ("a", "home")
    ]
    assert claims(begin(scheduler([ev.PlacementSpec("a", Need(home="far"))], nodes))) == [
        ("a", "near")
    ]
    full = [node("near", 0.20), node("home", 0.0, busy=2)]
    assert claims(begin(scheduler([ev.PlacementSpec("a", Need(home="home"))], full))) == [
        ("a", "near")
    ]


def test_without_any_load_data_the_nodes_take_turns():
    tested = scheduler(
        [f"job-{n}" for n in range(6)], [Node(name, slots=2) for name in "abc"], trust_links=False
    )
    placed = told(begin(tested), ev.Assigned)
    assert [place.node for place in placed] == ["a", "b", "c", "a", "b", "c"]
    assert placed[0].standing.ranking()[0].reason == "no load data: round robin"


def test_a_node_that_fails_every_start_gets_at_most_one_attempt_per_slot():
    tested = scheduler(
        [f"job-{n}" for n in range(20)],
        [node("bad", 0.0, slots=3), node("good", 0.5, slots=2)],
        trust_links=False,
    )
    out = begin(tested)
    tries = 0
    good = 0
    queue = told(out, ev.Claim)
    while queue:
        claim = queue.pop(0)
        bad = claim.node == "bad"
        tries += bad
        end = ev.Ended(
            claim.attempt, "start" if bad else None, None if bad else "exit status 0", "no agent"
        )
        out = feed(
            tested,
            ev.Claimed(claim.attempt),
            ev.Synced(claim.attempt),
            end,
            *([] if bad else [ev.Fetched(claim.attempt)]),
        )
        queue += told(out, ev.Claim)
        good += sum(status == "success" for status, _failure in ends(out).values())
    assert tries <= 3 and good == 20


@pytest.mark.parametrize("void", [True, False])
def test_a_job_that_may_get_no_more_attempts_is_lost_when_the_one_that_was_found_is_void(void):
    tested = scheduler(
        [ev.PlacementSpec("a", Need(), no_more="n2 may have it")], [node("n")], fallback=LOCAL
    )
    feed(tested, ev.Found("x", "a", "n"))
    out = (
        begin(tested, ev.ProvedVoid("x"))
        if void
        else begin(tested, ev.Ended("x", "quota", None, "limit"), ev.Fetched("x"))
    )
    (end,) = told(out, ev.Finish)
    assert (end.status, end.failure) == (("lost", "lost") if void else ("failed", "quota"))
    assert claims(out + feed(tested, 10_000.0)) == []
