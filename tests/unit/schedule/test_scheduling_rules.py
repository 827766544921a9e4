"""Who waits, for what, and who is blamed: the rules of placement beyond one job and one node."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.accounts import (
    QUOTA_PAUSE,
    QUOTA_PAUSE_MOST,
    QUOTA_TRIAL,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.nodes import QUARANTINE
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
    rank,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.plan import plan_work
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.scheduler import (
    BUSY_PAUSE,
    BUSY_TRIES,
)
from scheduling import (
    GOOD,
    LOCAL,
    A,
    begin,
    claims,
    ended,
    ends,
    failed,
    feed,
    job,
    jobs,
    node,
    not_started,
    notes,
    of_type,
    ranking_for,
    refused,
    rejections,
    scheduler,
    unreachable,
    up_to_running,
    up_to_sent,
    whole_walk,
)


def no_quota(attempt=A, **more):
    return ended(attempt, "quota", "limit", proof=None, **more)


# -- the choice, and what people see of it


def random_node(dice, name):
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
    nodes = [random_node(dice, f"n{number}") for number in range(8)]
    needs = [
        Need("gummy"),
        Need(task_type="database"),
        Need(exclude=frozenset({"n1"})),
        Need(nodes=frozenset({"n2", "n3"})),
        Need(home="n4"),
    ]
    work = [job(f"job-{number}", dice.choice(needs)) for number in range(14)]
    need_of = {spec.name: spec.need for spec in work}
    preferences = {"database": ["n5"]}
    tested = scheduler(work, nodes, preferences=preferences)

    for assigned in of_type(begin(tested), ev.Assigned):
        standing = assigned.standing
        anew = rank(standing.nodes, need_of[assigned.job], preferences=preferences)
        assert anew[0].host == assigned.node
        assert standing.ranking()[0].host == assigned.node
        assert standing.ranking()[0].rejected is None
    for name, standing in tested.waiting():
        assert standing.ranking()[0].rejected, name


def test_plan_and_run_take_the_same_nodes_for_the_jobs_that_fit():
    nodes = [
        node("a", 0.1, slots=3),
        Node("b", slots=2),
        node("c", 0.4, slots=1),
        Node("d", "unreachable", "down"),
    ]
    work = jobs(12)
    planned = {row["name"]: row["node"] for row in plan_work(work, nodes) if row["node"]}
    commands = begin(scheduler(work, nodes, trust_links=False))
    assigned = {command.job: command.node for command in of_type(commands, ev.Assigned)}
    assert planned == assigned
    assert len(planned) == 6


def test_a_node_that_proved_nothing_yet_is_asked_once_before_its_other_slots_are_used():
    tested = scheduler(["a", "b", "c"], [node("n", slots=3)], trust_links=False)
    assert claims(begin(tested)) == [("a", "n")]
    assert claims(feed(tested, ev.Claimed(A))) == [("b", "n"), ("c", "n")]

    nodes = [node("n", slots=3), node("m", 0.5, slots=3)]
    tested = scheduler(["a", "b", "c"], nodes, trust_links=False)
    assert claims(begin(tested)) == [("a", "n"), ("c", "m")]
    commands = feed(tested, failed(A), ev.Claimed("3"))
    assert claims(commands) == [("a", "m"), ("b", "m")]


def test_priority_comes_before_the_order_of_the_list_and_a_pin_holds_nobody_back():
    work = [
        job("low"),
        job("pinned", Need(node="b")),
        job("high", priority=9),
        job("later", priority=-1),
    ]
    tested = scheduler(work, [node("a", 0.1, slots=1), node("b", 0.2, slots=1, busy=1)])
    assert claims(begin(tested)) == [("high", "a")]
    assert claims(feed(tested, *up_to_running(), GOOD)) == [("low", "a")]
    assert claims(feed(tested, ev.Granted("b"))) == [("pinned", "b")]


def test_a_specialist_goes_home_if_that_is_nearly_as_good_and_does_not_wait_for_it():
    def taken(home, *nodes):
        return claims(begin(scheduler([job("a", Need(home=home))], nodes)))

    nodes = [node("near", 0.20), node("home", 0.28), node("far", 0.9)]
    assert taken("home", *nodes) == [("a", "home")]
    assert taken("far", *nodes) == [("a", "near")]
    assert taken("home", node("near", 0.20), node("home", 0.0, busy=2)) == [("a", "near")]


def test_without_any_load_data_the_nodes_take_turns():
    tested = scheduler(jobs(6), [Node(name, slots=2) for name in "abc"], trust_links=False)
    assigned = of_type(begin(tested), ev.Assigned)
    assert [command.node for command in assigned] == ["a", "b", "c", "a", "b", "c"]
    assert assigned[0].standing.ranking()[0].reason == "no load data: round robin"


# -- quota


def test_an_account_without_quota_pauses_until_its_time_and_others_go_on():
    work = [
        job("a", Need("gummy"), account="max"),
        job("b", Need("gummy"), account="max"),
        job("c", Need("claude"), account="api"),
    ]
    tested = scheduler(work, [node("n", slots=1)])
    begin(tested, *up_to_running())

    commands = feed(tested, no_quota(pause=500.0), ev.Fetched(A))
    assert claims(commands) == [("c", "n")]
    assert not of_type(commands, ev.Finish)
    text = "the account max has no quota left: its jobs wait for 8 min"
    assert any(text in note for note in notes(commands))

    commands = feed(tested, *up_to_running("2"), ended("2"), ev.Fetched("2"), now=100.0)
    assert ends(commands) == {"c": ("success", None)}
    assert claims(commands) == []
    assert claims(feed(tested, 499.0)) == []
    assert claims(feed(tested, 500.0)) == [("a", "n")]


def test_a_job_that_meets_no_quota_at_each_attempt_ends_as_quota_with_its_harvest_at_home():
    tested = scheduler([job("a", attempts=2)], [node("n")])
    now = 0.0
    commands = []
    for attempt in ("1", "2"):
        events = [*up_to_running(attempt), no_quota(attempt), ev.Fetched(attempt)]
        commands += begin(tested, *events, now=now)
        now += QUOTA_PAUSE
    assert ends(commands) == {"a": ("failed", "quota")}
    assert len(of_type(commands, ev.Ack)) == 2


def test_a_node_s_word_alone_lets_no_account_rest():
    work = [job("a", Need(node="n")), *jobs(3)]
    tested = scheduler(work, [node("n", slots=1), node("good", cpu=0.5, slots=1)])
    commands = begin(tested, *up_to_running(), *up_to_running("2"))
    commands += feed(tested, no_quota(pause=9e6), ev.Fetched(A))
    # One job tries the other node, or one that runs there ends: then all go on.
    commands += feed(tested, ended("2"), ev.Fetched("2"), *whole_walk("3"), *whole_walk("4"))
    assert ends(commands) == {f"job-{number}": ("success", None) for number in range(3)}
    assert claims(commands)[-1] == ("job-2", "good")


def test_after_one_node_s_word_one_job_tries_another_and_the_rest_waits_for_a_moment():
    work = [job("a"), job("x", account="x"), job("y", account="x"), *jobs(2)]
    tested = scheduler(work, [node("n", slots=1), node("good", cpu=0.5, slots=2)])
    begin(tested, *up_to_running(), *up_to_running("2"), *up_to_running("3"))
    others = [ended("2"), ev.Fetched("2"), ended("3"), ev.Fetched("3")]
    commands = feed(tested, no_quota(pause=9e6), *others)
    assert claims(commands) == [("job-0", "good")]
    assert claims(feed(tested, ev.Fetched(A), *up_to_running("4"), now=1.0)) == []
    assert claims(feed(tested, QUOTA_TRIAL)) == [("a", "good")]


def test_an_account_rests_when_two_nodes_say_so_and_for_the_shorter_time():
    tested = scheduler(jobs(3), [node("n", slots=1), node("good", cpu=0.5, slots=1)])
    begin(tested, *up_to_running(), *up_to_running("2"))
    commands = feed(tested, no_quota(pause=9e6), ev.Fetched(A))
    assert claims(commands) == []
    commands = feed(tested, no_quota("2", pause=600.0), ev.Fetched("2"))
    assert any("its jobs wait for 10 min (limit)" in note for note in notes(commands))
    assert claims(commands) == []
    assert claims(feed(tested, 599.0)) == []
    assert claims(feed(tested, 600.0)) == [("job-0", "good")]


def test_two_names_of_one_store_do_not_let_an_account_rest():
    nodes = [node("n", slots=1), node("alias", cpu=0.3, slots=1), node("good", cpu=0.5, slots=1)]
    tested = scheduler(jobs(3), nodes)
    begin(tested)
    for attempt in ("1", "2"):
        feed(tested, ev.Claimed(attempt, "s"), ev.Synced(attempt), ev.Started(attempt))
    feed(tested, ev.Claimed("3", "t"), ev.Synced("3"), ev.Started("3"))
    events = [no_quota("1", pause=9e6), ev.Fetched("1"), no_quota("2", pause=9e6), ev.Fetched("2")]
    commands = feed(tested, *events, ended("3"), ev.Fetched("3"))
    assert claims(commands) == [("job-0", "good")]


def test_the_controller_does_not_take_what_waits_for_quota():
    tested = scheduler(jobs(1), [node("n")], fallback=LOCAL)
    commands = begin(tested, *up_to_running(), no_quota(pause=500.0), ev.Fetched(A))
    assert claims(commands) == [("job-0", "n")]
    assert claims(feed(tested, 500.0)) == [("job-0", "n")]


def test_a_limit_without_a_time_makes_its_node_pause_longer_and_longer_and_no_more_than_most():
    tested = scheduler([job("a", attempts=9)], [node("n")])
    begin(tested)
    now = 0.0
    pauses = []
    for number in range(1, 9):
        feed(tested, *up_to_running(str(number)), now=now)
        (note,) = of_type(feed(tested, no_quota(str(number)), now=now), ev.Note)
        feed(tested, ev.Fetched(str(number)), now=now)
        pauses.append(note.until - now)
        now = note.until
        feed(tested, now)
    assert pauses[:4] == [QUOTA_PAUSE, QUOTA_PAUSE * 2, QUOTA_PAUSE * 4, QUOTA_PAUSE * 8]
    assert pauses[-3:] == [QUOTA_PAUSE_MOST] * 3


def test_what_waits_for_quota_says_till_when():
    tested = scheduler(jobs(2), [node("n", slots=1)])
    commands = begin(tested, *up_to_running(), no_quota(pause=500.0), ev.Fetched(A))
    told = {note.text: note.until for note in of_type(commands, ev.Note)}
    assert told["waits: the account  has no quota left"] == 500.0


# -- out of credits


def no_credit(attempt=A):
    return ended(attempt, "quota", "Credit balance is too low", proof=None, kind="credit")


def test_when_two_nodes_say_that_an_account_is_out_of_credits_its_jobs_end():
    work = [*jobs(4, account="max"), job("other", Need("claude"), account="api")]
    tested = scheduler(work, [node("n", slots=1), node("m", slots=1)])
    begin(tested, *up_to_running("1"), *up_to_running("2"))
    commands = feed(tested, no_credit("1"), ev.Fetched("1"))
    # One node alone decides nothing for others: its job tries another node.
    assert not of_type(commands, ev.Finish)
    commands += feed(tested, no_credit("2"), ev.Fetched("2"))
    by_name = ends(commands)
    assert by_name == {f"job-{number}": ("failed", "quota") for number in range(4)}
    assert ("other", "m") in claims(commands)
    messages = [finish.message for finish in of_type(commands, ev.Finish)]
    assert all("out of credits, a person has to act: Credit balance" in text for text in messages)


def test_where_no_other_node_is_left_one_that_is_out_of_credits_ends_the_job():
    tested = scheduler(jobs(2), [node("n", slots=1)], fallback=LOCAL)
    commands = begin(tested, *up_to_running(), no_credit(), ev.Fetched(A))
    assert ends(commands) == {"job-0": ("failed", "quota"), "job-1": ("failed", "quota")}
    finishes = {finish.job: finish for finish in of_type(commands, ev.Finish)}
    # The job's own attempt is told with it.
    assert (finishes["job-0"].attempt, finishes["job-1"].attempt) == (A, None)


# -- a busy service


def is_busy(attempt=A, **more):
    return ended(attempt, "quota", "Overloaded", proof=None, kind="busy", **more)


def test_a_busy_service_is_asked_again_after_growing_pauses_and_costs_no_attempt():
    tested = scheduler([job("a", attempts=1)], [node("n", slots=1)])
    begin(tested)
    now = 0.0
    pauses = {1: "15 s", 2: "30 s", 3: "1 min", 4: "2 min", 5: "4 min"}
    for number in range(1, BUSY_TRIES):
        commands = feed(
            tested,
            *up_to_running(str(number)),
            is_busy(str(number)),
            ev.Fetched(str(number)),
            now=now,
        )
        assert claims(commands) == []
        pause = BUSY_PAUSE * 2 ** (number - 1)
        assert any(
            f"is tried again in {pauses[number]} (Overloaded)" in note for note in notes(commands)
        )
        assert claims(feed(tested, now + pause - 1)) == []
        now += pause
        assert claims(feed(tested, now)) == [("a", "n")]
    last = str(BUSY_TRIES)
    commands = feed(tested, *up_to_running(last), is_busy(last), ev.Fetched(last), now=now)
    assert ends(commands) == {"a": ("failed", "quota")}


def test_a_busy_service_keeps_no_other_job_waiting_and_no_node():
    tested = scheduler(jobs(2), [node("n", slots=1)])
    commands = begin(tested, *up_to_running(), is_busy(), ev.Fetched(A))
    assert claims(commands)[-1] == ("job-1", "n")
    commands = feed(tested, *whole_walk("2"), now=BUSY_PAUSE)
    assert claims(commands) == [("job-0", "n")]


def test_no_job_waits_for_a_busy_service_for_more_than_half_an_hour():
    tested = scheduler([job("a")], [node("n", slots=1)])
    begin(tested, *up_to_running(), is_busy(pause=1000.0), ev.Fetched(A))
    commands = feed(tested, 1000.0)
    assert claims(commands) == [("a", "n")]
    events = [*up_to_running("2"), is_busy("2", pause=1000.0), ev.Fetched("2")]
    assert ends(feed(tested, *events, now=1000.0)) == {"a": ("failed", "quota")}


def test_a_job_that_waits_for_its_service_ends_with_its_run():
    tested = scheduler([job("a")], [node("n", slots=1)], queue_timeout=10.0)
    begin(tested, *up_to_running(), is_busy(), ev.Fetched(A))
    assert ends(feed(tested, 10.0)) == {"a": ("failed", "quota")}
    tested = scheduler([job("a")], [node("n", slots=1)])
    begin(tested, *up_to_running(), is_busy(), ev.Fetched(A))
    assert ends(feed(tested, ev.Cancelled())) == {"a": ("cancelled", "cancelled")}


# -- no login


def no_login(attempt=A):
    return ended(attempt, "login", "Not logged in", proof=None)


def refused_login(attempt):
    return refused(attempt, kind="login", message="claude is not logged in")


def test_where_an_agent_is_not_logged_in_it_gets_no_more_jobs_and_others_go_on():
    work = [*jobs(2, need=Need("claude"), account="max"), job("make", Need("shell"))]
    tested = scheduler(work, [node("n", slots=1), node("m", cpu=0.5, slots=1)])
    begin(tested, *up_to_running("1"), *up_to_running("2"))
    commands = feed(tested, no_login("1"), ev.Fetched("1"))
    assert claims(commands) == [("make", "n")]
    commands = feed(tested, *whole_walk("3"))
    assert claims(commands) == []
    commands = feed(tested, ended("2"), ev.Fetched("2"))
    assert claims(commands) == [("job-0", "m")]
    assert ends(feed(tested, *whole_walk("4"))) == {"job-0": ("success", None)}


def test_a_node_that_remembers_it_costs_no_attempt_and_gets_no_quarantine():
    work = [job("a", Need("claude"), attempts=1)]
    tested = scheduler(work, [node("n"), node("m", cpu=0.5)])
    begin(tested)
    commands = feed(tested, *up_to_sent(), refused_login(A), ev.ProvedVoid(A))
    assert claims(commands) == [("a", "m")]
    assert not of_type(commands, ev.Quarantine)
    assert ends(feed(tested, *whole_walk("2"))) == {"a": ("success", None)}


def test_a_job_that_no_logged_in_node_can_take_ends_as_login():
    work = [job("a", Need("claude")), job("b", Need("claude"))]
    tested = scheduler(work, [node("n", slots=1)])
    commands = begin(tested, *up_to_running(), no_login(), ev.Fetched(A))
    assert ends(commands) == {"a": ("failed", "login"), "b": ("failed", "login")}
    by_name = {finish.job: finish for finish in of_type(commands, ev.Finish)}
    assert by_name["a"].attempt == A
    assert "n: Not logged in" in by_name["b"].message


# -- how long a job waits


def wait_for_a_slot():
    """A run whose job `w` waits for a slot of a full node."""
    tested = scheduler([job("w")], [node("n", slots=1, busy=1)], queue_timeout=60.0)
    begin(tested)
    return tested


def wait_for_quota():
    """A run whose job `w` waits for its account."""
    first = job("first", account="x", attempts=1, priority=1)
    work = [first, job("w", account="x")]
    tested = scheduler(work, [node("n", slots=1)], queue_timeout=60.0)
    begin(tested, *up_to_running(), no_quota(), ev.Fetched(A))
    return tested


@pytest.mark.parametrize(
    ("wait", "failure", "reason"),
    [
        (wait_for_a_slot, "queue", "n: no free slot (1 of 1 taken)"),
        (wait_for_quota, "quota", "the account x has no quota left"),
    ],
)
def test_a_wait_ends_after_queue_timeout_and_says_for_what_it_was(wait, failure, reason):
    tested = wait()
    assert of_type(feed(tested, 59.0), ev.Finish) == []
    (finish,) = of_type(feed(tested, 60.0), ev.Finish)
    assert (finish.job, finish.status, finish.failure) == ("w", "failed", failure)
    assert finish.message == f"it waited for 1 min (queue_timeout): {reason}"


def test_what_runs_is_not_ended_by_queue_timeout():
    tested = scheduler(["a"], [node("n", slots=1)], queue_timeout=60.0)
    begin(tested, *up_to_running())
    assert of_type(feed(tested, 61.0), ev.Finish) == []
    commands = feed(tested, GOOD, ev.Fetched(A), now=70.0)
    assert ends(commands) == {"a": ("success", None)}


def test_a_job_that_must_begin_anew_after_queue_timeout_does_not_wait_then():
    tested = scheduler(["a"], [node("n")], queue_timeout=60.0)
    begin(tested, *up_to_sent())
    commands = feed(tested, 61.0, not_started(), now=61.0)
    assert claims(commands) == []
    assert ends(commands) == {"a": ("failed", "queue")}


def test_with_each_a_node_out_of_reach_is_skipped_and_one_that_can_not_is_a_failure():
    nodes = [
        node("up"),
        Node("off", online=False),
        Node("down", "unreachable", "refused"),
        node("bare", agents=frozenset()),
        node("dies", 0.5),
    ]
    work = [
        job(f"job.{each.name}", Need("gummy", node=each.name), attempts=1, skippable=True)
        for each in nodes
    ]
    tested = scheduler(work, nodes, trust_links=False, fallback=LOCAL)
    commands = begin(tested)
    attempt_of = {claim.node: claim.attempt for claim in of_type(commands, ev.Claim)}
    commands += feed(tested, failed(attempt_of["dies"], message="timed out"))

    assert ends(commands) == {
        "job.off": ("skipped", "unreachable"),
        "job.down": ("skipped", "unreachable"),
        "job.dies": ("skipped", "unreachable"),
        "job.bare": ("failed", "refused"),
    }
    assert claims(commands) == [("job.up", "up"), ("job.dies", "dies")]


# -- nodes that fail


def test_a_quarantine_of_an_earlier_run_is_kept_and_ends_when_no_other_node_is_left():
    rests = ev.Quarantined("old", 3, 200.0, "start: no agent")
    nodes = [node("old", 0.0, slots=1), node("new", 0.9, slots=1)]
    tested = scheduler(["a", "b"], nodes, trust_links=False)
    feed(tested, rests)
    assert claims(begin(tested)) == [("a", "new")]

    # Its trial comes at once then.
    tested = scheduler(["a", "b"], [node("old", slots=4)], trust_links=False)
    feed(tested, rests)
    assert claims(begin(tested)) == [("a", "old")]
    commands = feed(tested, failed(A, "start", "no agent"))
    kept = ev.Quarantine("old", 4, 8 * QUARANTINE, "start: no agent")
    assert of_type(commands, ev.Quarantine) == [kept]


def test_a_start_that_works_takes_the_quarantine_back():
    tested = scheduler(["a"], [node("n")], trust_links=False)
    feed(tested, ev.Quarantined("n", 1, 0.0, "start: no agent"))
    commands = begin(tested, *up_to_running())
    assert of_type(commands, ev.Quarantine) == [ev.Quarantine("n", 0, 0.0, "")]


def test_a_login_that_is_refused_gets_no_trial():
    nodes = [node("n", 0.1, slots=1), node("m", 0.5, slots=1)]
    tested = scheduler(["a", "b"], nodes, trust_links=False)
    begin(tested)
    changed_key = failed(A, message="host key changed", lasting=True)
    commands = feed(tested, changed_key, *up_to_running("2"))
    assert of_type(commands, ev.Quarantine) == []
    assert claims(feed(tested, 10_000.0)) == []
    assert "host key changed" in rejections(tested, "a")["n"]


def test_a_node_that_fails_every_start_gets_at_most_one_attempt_per_slot():
    nodes = [node("bad", 0.0, slots=3), node("good", 0.5, slots=2)]
    tested = scheduler(jobs(20), nodes, trust_links=False)
    tries = 0
    statuses = []

    # The list grows while it is worked through.
    asked = of_type(begin(tested), ev.Claim)
    for claim in asked:
        events = whole_walk(claim.attempt)
        if claim.node == "bad":
            tries += 1
            events = [ev.Claimed(claim.attempt), ev.Synced(claim.attempt)]
            events.append(not_started(claim.attempt))
        commands = feed(tested, *events)
        asked += of_type(commands, ev.Claim)
        statuses += [status for status, _failure in ends(commands).values()]
    assert tries <= 3
    assert statuses.count("success") == 20


def test_two_names_of_one_node_are_one_candidate():
    nodes = [node("alias", 0.1, slots=1), node("name", 0.2, slots=1)]
    tested = scheduler(["a", "b", "c"], nodes)
    begin(tested)
    feed(tested, ev.Claimed(A, "store-1"), ev.Claimed("2", "store-1"))
    feed(tested, ev.Synced("2"), ended("2"))
    assert rejections(tested, "c") == {
        "alias": "no free slot (1 of 1 taken)",
        "name": "the same node as alias",
    }

    tested = scheduler(["a", "b"], [node("one", 0.1, slots=1), node("two", 0.2, slots=1)])
    begin(tested, ev.Claimed(A, "store-1"), ev.Claimed("2", "store-2"))
    assert not any("same node" in (entry.rejected or "") for entry in ranking_for(tested, "a"))


# -- a controller that is offline


def test_when_no_node_answers_any_more_nobody_is_blamed_and_the_jobs_wait():
    names = ("x", "y", "z")
    nodes = [node(name, slots=1) for name in names]
    tested = scheduler(jobs(3, attempts=2), nodes)
    begin(tested)

    # Before more is spent, all are asked.
    commands = feed(tested, failed("1", message="no route"), failed("2", message="no route"))
    assert [command.nodes for command in of_type(commands, ev.Refresh)] == [names]

    commands += feed(tested, failed("3", message="no route"), now=1.0)
    commands += feed(tested, unreachable(*names), now=2.0)
    assert ends(commands) == {}
    assert claims(commands) == []
    text = "all nodes fail alike (unreachable: no route)"
    assert any(text in note for note in notes(commands))
    last_three = of_type(commands, ev.Quarantine)[-3:]
    assert {quarantine.failures for quarantine in last_three} == {0}

    # And it cost none of them an attempt.
    commands = feed(tested, ev.Nodes(tuple(nodes)), now=50.0)
    assert sorted(name for name, _node in claims(commands)) == ["job-0", "job-1", "job-2"]


def test_a_controller_that_stays_offline_ends_its_jobs_after_lost_after():
    nodes = [node("x"), node("y")]
    tested = scheduler(["a"], nodes, lost_after=100.0, local_fallback=False)
    begin(tested)

    commands = feed(tested, failed(A, message="no route"), now=0.0)
    now = 0.0
    while not of_type(commands, ev.Finish) and now < 2000.0:
        now += 10.0
        newest_claims = of_type(commands[-5:], ev.Claim)
        answers = [failed(claim.attempt, message="no route") for claim in newest_claims]
        commands += feed(tested, now, unreachable("x", "y"), *answers, now=now)
    assert ends(commands)["a"][0] == "failed"
    assert now >= 100.0


# -- attempts of earlier calls


@pytest.mark.parametrize(
    ("events", "end"),
    [
        ([ev.ProvedVoid("x")], ("lost", "lost")),
        ([no_quota("x"), ev.Fetched("x")], ("failed", "quota")),
    ],
)
def test_a_job_that_may_get_no_more_attempts_ends_with_the_one_that_was_found(events, end):
    tested = scheduler([job("a", no_more="n2 may have it")], [node("n")], fallback=LOCAL)
    feed(tested, ev.Found("x", "a", "n"))
    commands = begin(tested, *events)
    assert ends(commands) == {"a": end}
    assert claims(commands + feed(tested, 10_000.0)) == []


# -- the controller itself


def test_the_controller_gets_no_job_that_it_lacks_a_program_for_and_the_end_says_so():
    bare = replace(LOCAL, agents=frozenset(), missing={"gummy": "gummy is not found here"})
    away = Node("n", "unreachable", "timed out")
    tested = scheduler([job("a", Need("gummy"))], [away], fallback=bare)
    (finish,) = of_type(begin(tested), ev.Finish)
    assert finish.failure == "refused" and not finish.attempt
    assert "n: not reachable: timed out" in finish.message
    assert f"{LOCAL.name}, this machine itself, can't take it: no usable gummy" in finish.message


def test_a_program_that_was_not_seen_is_no_reason_against_a_node_but_a_known_one_comes_first():
    unsure = Node(
        "a", "measured", load={"cpu": 0.0}, agents=frozenset(), unseen=frozenset({"gummy"})
    )
    sure = Node("b", "measured", load={"cpu": 0.9}, agents=frozenset({"gummy"}))
    tested = scheduler([job("x", Need("gummy"))], [unsure, sure], fallback=None)
    assert claims(begin(tested)) == [("x", "b")]
    alone = scheduler([job("x", Need("gummy"))], [unsure], fallback=None)
    assert claims(begin(alone)) == [("x", "a")]
