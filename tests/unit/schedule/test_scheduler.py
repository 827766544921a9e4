"""The scheduler, driven by events and a clock of the test's own."""

from __future__ import annotations

from collections import Counter

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.nodes import QUARANTINE
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.scheduler import (
    MARGIN,
    MARGIN_SHARE,
    WAITLISTS,
)
from scheduling import (
    GOOD,
    LOCAL,
    A,
    begin,
    cancels,
    claims,
    ended,
    ends,
    enqueued,
    failed,
    feed,
    finishes,
    job,
    jobs,
    node,
    not_started,
    notes,
    of_type,
    refused,
    rejections,
    scheduler,
    unreachable,
    up_to_running,
    up_to_sent,
    watched,
    whole_walk,
)

# -- what costs an attempt, and what does not


def test_busy_and_a_mistake_of_ours_cost_no_attempt():
    tested = scheduler([job(attempts=1)], [node("n")])
    assert of_type(begin(tested, ev.Busy(A)), ev.Enqueue) == [ev.Enqueue("n")]
    assert claims(feed(tested, 60.0)) == []

    granted = ev.Granted("n")
    assert claims(feed(tested, granted)) == [("job", "n")]
    known = refused("2", blame="ours", kind="known")
    assert claims(feed(tested, known, granted)) == [("job", "n")]
    other = refused("3", blame="ours", kind="other")
    assert claims(feed(tested, other, granted)) == [("job", "n")]
    assert of_type(feed(tested, *up_to_sent("4")), ev.Start)


def test_a_lease_that_ran_out_is_nobodys_fault_however_often():
    tested = scheduler([job(attempts=1)], [node("n")])
    begin(tested)
    for number in range(1, 6):
        lease = refused(str(number), blame="ours", kind="lease")
        assert claims(feed(tested, lease, now=number)) == []
        assert claims(feed(tested, number + 1.0)) == [("job", "n")]


def test_the_same_mistake_of_ours_at_two_nodes_ends_the_run_and_what_may_run_goes_on():
    nodes = [node("n", slots=3), node("other", cpu=0.5, slots=1)]
    tested = scheduler(["runs", "claims", "a", "b", "waits"], nodes)
    begin(tested, *up_to_running(), ev.Claimed("2"))

    known = {"blame": "ours", "kind": "known"}
    commands = feed(tested, refused("3", **known), refused("4", **known, message="no"))
    assert [name for name, _status, _failure in finishes(commands)] == ["waits", "b"]

    # What was on its way gives back what it has.
    commands = feed(tested, ev.Synced("2"), ev.Claimed("5"))
    assert not of_type(commands, ev.Start)
    assert of_type(commands, ev.Release) == [ev.Release("2", "n"), ev.Release("5", "other")]
    assert finishes(commands) == [("claims", "failed", "refused"), ("a", "failed", "refused")]
    commands = feed(tested, GOOD, ev.Fetched(A))
    assert of_type(commands, ev.Finish)[0].status == "success"


def test_a_node_s_word_is_expected_at_a_stage_where_the_node_can_say_it_only():
    tested = scheduler([job()], [node("n")])
    assert not tested.expects(GOOD)

    # Before the start goes out there is nothing on the node that could have ended.
    begin(tested)
    assert not tested.expects(GOOD)
    feed(tested, ev.Claimed(A))
    assert not tested.expects(GOOD)

    feed(tested, ev.Synced(A))
    assert tested.expects(GOOD)
    feed(tested, ev.Started(A))
    assert tested.expects(GOOD)


@pytest.mark.parametrize("trust", [True, False])
def test_a_dead_node_costs_at_most_one_attempt_of_all_jobs_together(trust):
    nodes = [node("dead", 0.0), node("a", 0.5), node("b", 0.5)]
    tested = scheduler(jobs(20), nodes, trust_links=trust)
    # The inventory's probe saw it, and then it died.
    if trust:
        feed(tested, unreachable("dead", reason="down"))

    # The list grows while it is worked through.
    asked = of_type(begin(tested), ev.Claim)
    statuses = []
    for claim in asked:
        events = whole_walk(claim.attempt)
        if claim.node == "dead":
            events = [failed(claim.attempt)]
        commands = feed(tested, *events)
        asked += of_type(commands, ev.Claim)
        statuses += [status for _name, status, _failure in finishes(commands)]

    assert Counter(statuses) == {"success": 20}
    assert [claim.node for claim in asked].count("dead") <= 1


def test_quarantine_grows_and_one_trial_reopens_it():
    tested = scheduler(jobs(4, attempts=9), [node("n", slots=4)])
    first = of_type(begin(tested), ev.Claim)
    assert len(first) == 4
    feed(tested, *(failed(claim.attempt, "sync", "full") for claim in first))

    # Four that fail together count once.
    now = 0.0
    for pause in (QUARANTINE, 2 * QUARANTINE, 4 * QUARANTINE):
        assert claims(feed(tested, now + pause - 0.1)) == []
        now += pause
        trial = of_type(feed(tested, now), ev.Claim)
        assert len(trial) == 1

        # That it answers is not enough: what failed was the sync.
        attempt = trial[0].attempt
        measured = ev.Nodes((node("n", slots=4),))
        assert claims(feed(tested, ev.Claimed(attempt), measured, now=now)) == []
        feed(tested, failed(attempt, "sync", "full"), now=now)

    now += 8 * QUARANTINE
    trial = of_type(feed(tested, now), ev.Claim)
    commands = feed(tested, *up_to_running(trial[0].attempt), now=now)
    assert len(claims(commands)) == 3


def test_a_trial_is_not_kept_waiting_by_jobs_of_others():
    tested = scheduler(["a", "b"], [node("n", slots=4, busy=2)], trust_links=False)
    assert claims(begin(tested)) == [("a", "n")]


def test_class_start_goes_to_another_node_though_it_is_told_twice():
    tested = scheduler(["job"], [node("a", 0.1), node("b", 0.2)])
    commands = begin(tested, *up_to_sent(), not_started(), not_started())
    assert claims(commands) == [("job", "a"), ("job", "b")]
    assert not of_type(commands, ev.Fetch)


@pytest.mark.parametrize("need", [Need(node="a"), Need(nodes=frozenset({"a"}))])
def test_a_job_that_only_one_node_may_take_waits_for_it_and_tries_it_again(need):
    tested = scheduler([job(need=need)], [node("a"), node("b")], fallback=LOCAL)
    commands = begin(tested, failed(A))
    commands += feed(tested, QUARANTINE, failed("2"), now=QUARANTINE)
    commands += feed(tested, 2.5 * QUARANTINE)
    assert claims(commands) == [("job", "a")] * 2

    now = 3 * QUARANTINE
    commands = feed(tested, now, failed("3", message="gone"), now=now)
    finish = of_type(commands, ev.Finish)[0]
    assert finishes(commands) == [("job", "failed", "unreachable")]
    assert finish.message == "a: gone"


# -- the local fallback


@pytest.mark.parametrize(
    ("nodes", "needs", "here"),
    [
        ([Node("n", "unreachable")], [Need(), Need()], 1),
        ([Node("n", "unreachable")], [Need(node="n")], 0),
        ([Node("n", "unreachable")], [Need(nodes=frozenset({"n"}))], 0),
        ([node("n", busy=2)], [Need()], 0),
        ([node("n")], [Need(node="local"), Need(node="local")], 1),
    ],
)
def test_the_controller_takes_one_job_when_no_node_can_and_never_a_pinned_one(nodes, needs, here):
    work = [job(f"job-{number}", need) for number, need in enumerate(needs)]
    tested = scheduler(work, nodes, fallback=LOCAL)
    assert [host for _job, host in claims(begin(tested))] == ["localhost"] * here


def test_a_job_that_falls_back_says_why_each_node_could_not_take_it():
    nodes = [Node("a", "unreachable", "down"), Node("b", online=False)]
    tested = scheduler(["job"], nodes, fallback=LOCAL)
    (assigned,) = of_type(begin(tested), ev.Assigned)
    assert assigned.node == "localhost"
    assert [(entry.host, entry.rejected) for entry in assigned.standing.ranking()] == [
        ("a", "not reachable: down"),
        ("b", "offline"),
    ]


def test_sync_failed_on_all_nodes_falls_back_and_attempts_used_up_with_good_nodes_left_do_not():
    nodes = [node("a", 0.1), node("b", 0.2)]
    first = failed(A, "sync", "")
    second = failed("2", "sync", "full")

    tested = scheduler([job(attempts=2)], nodes, fallback=LOCAL)
    assert claims(begin(tested, first, second))[2:] == [("job", "localhost")]

    tested = scheduler([job(attempts=1)], nodes, fallback=LOCAL)
    (finish,) = of_type(begin(tested, first), ev.Finish)
    assert (finish.failure, finish.message) == ("sync", "a: ")

    tested = scheduler(["job"], nodes[:1], fallback=LOCAL, local_fallback=False)
    assert claims(begin(tested, first)) == [("job", "a")]


def test_an_attempt_that_may_have_started_and_a_fleet_that_is_only_silent_do_not_fall_back():
    tested = scheduler(["a", "b"], [node("n", slots=1)], fallback=LOCAL)
    silence = [ev.LinkDown("n", "gone"), ev.Unknown(A, "")]
    assert claims(begin(tested, *up_to_sent(), *silence, 99.0)) == [("a", "n")]

    commands = feed(tested, 100.0)
    assert finishes(commands) == [("a", "lost", "lost")]
    assert claims(commands) == [("b", "localhost")]


def test_a_busy_controller_is_waited_for_on_its_waitlist():
    tested = scheduler([job(need=Need(node="local"))], [], fallback=LOCAL)
    commands = begin(tested, ev.Busy(A))
    assert claims(commands) == [("job", "localhost")]
    assert of_type(commands, ev.Enqueue) == [ev.Enqueue("localhost")]
    assert claims(feed(tested, ev.Granted("localhost"))) == [("job", "localhost")]


# -- the waitlists of full nodes


def test_a_run_waits_where_the_full_nodes_rank_first_and_claims_where_its_turn_comes():
    numbers = range(WAITLISTS, -1, -1)
    full = [node(f"n{number}", slots=4, busy=4, cpus=99 - number) for number in numbers]
    first = [f"n{number}" for number in range(WAITLISTS)]
    tested = scheduler(["a", "b"], full)

    commands = begin(tested)
    assert enqueued(commands) == first
    assert not claims(commands)

    commands = feed(tested, ev.Granted("n3"))
    assert claims(commands) == [("a", "n3")]
    assert of_type(commands, ev.Enqueue) == [ev.Enqueue("n3")]
    assert not claims(feed(tested, ev.Claimed(A, contended=True)))

    commands = feed(tested, ev.Granted("n5"))
    assert claims(commands) == [("b", "n5")]
    left = [command.node for command in of_type(commands, ev.Dequeue)]
    assert left == sorted({*first} - {"n5"})


def test_a_slot_that_the_run_gave_back_goes_to_those_who_wait_for_it():
    tested = scheduler(["a", "b"], [node("n", slots=1)])
    claimed = ev.Claimed(A, contended=True)
    commands = begin(tested, claimed, ev.Synced(A), ev.Started(A), GOOD)
    assert claims(commands) == [("a", "n")]
    assert of_type(commands, ev.Enqueue) == [ev.Enqueue("n")]
    assert claims(feed(tested, ev.Granted("n"))) == [("b", "n")]


def test_a_turn_that_no_job_needs_any_more_is_given_back():
    tested = scheduler(["a"], [node(name, busy=2) for name in "nm"])
    at_first = begin(tested)
    when_granted = feed(tested, ev.Granted("n"))
    assert claims(when_granted) == [("a", "n")]
    assert of_type(when_granted, ev.Dequeue) == [ev.Dequeue("m")]

    # It was on its way.
    when_late = feed(tested, ev.Granted("m"))
    assert of_type(when_late, ev.Dequeue) == [ev.Dequeue("m")]
    assert watched(at_first + when_granted) == set()
    assert watched(at_first + when_granted + when_late) == set()


def test_waitlists_for_other_jobs_keep_no_job_from_a_node_that_they_can_not_use():
    claude = {"agents": frozenset({"claude"})}
    full = [node(f"n{number}", slots=1, busy=1, **claude) for number in range(WAITLISTS)]
    others = [
        node("b", slots=1, busy=1, agents=frozenset({"codex"})),
        node("c", slots=1, busy=1, agents=frozenset()),
    ]
    work = [
        job("claude", Need("claude")),
        job("codex", Need("codex")),
        job("pinned", Need(node="c")),
    ]
    names = enqueued(begin(scheduler(work, [*full, *others])))
    assert set(names) == {each.name for each in (*full, *others)}
    assert len(names) == WAITLISTS + 2


def test_a_waitlist_that_breaks_off_is_a_node_that_does_not_answer():
    tested = scheduler(["job"], [node("n", busy=2)], fallback=LOCAL)
    assert of_type(begin(tested), ev.Enqueue)
    commands = feed(tested, ev.LinkDown("n", "cut"))
    (quarantine,) = of_type(commands, ev.Quarantine)
    assert (quarantine.node, quarantine.failures) == ("n", 1)
    assert claims(commands) == [("job", "localhost")]


def test_who_waits_for_the_first_answer_of_a_node_that_is_full_claims_nothing_there():
    tested = scheduler(["a", "b"], [node("n", slots=4)], trust_links=False)
    assert claims(begin(tested)) == [("a", "n")]
    assert claims(feed(tested, ev.Nodes((node("n", slots=4),)), ev.Busy(A))) == []


def test_jobs_of_its_own_are_no_reason_to_enter_a_waitlist_and_a_detached_run_does_not_wait():
    own = begin(scheduler(["a", "b", "c"], [node("n")]), ev.Claimed(A), ev.Claimed("2"))
    assert not of_type(own, ev.Enqueue)
    detached = begin(scheduler(["a"], [node("n", busy=2)], detach=True))
    assert not of_type(detached, ev.Enqueue)


# -- silence, loss, resume


def test_a_node_that_goes_silent_with_nothing_of_ours_on_it_is_tried_again_soon():
    tested = scheduler(["a", "b"], [node("n", slots=1)])
    silence = [ev.LinkDown("n", "late"), failed("2")]
    assert claims(begin(tested, *up_to_sent(), GOOD, *silence))[1:] == [("b", "n")]
    assert claims(feed(tested, QUARANTINE)) == [("b", "n")]


def test_a_silent_node_with_jobs_has_each_reason_told_once_a_silence():
    tested = scheduler(["job"], [node("n")])
    commands = begin(tested, *up_to_running())
    commands += feed(
        tested,
        ev.LinkDown("n", "cut"),
        ev.LinkDown("n", "newer store"),
        ev.LinkDown("n", "cut"),
        ev.LinkUp("n"),
        ev.LinkDown("n", "cut"),
    )
    assert notes(commands) == [
        "no contact: cut; its jobs go on, asking again",
        "no contact: newer store; its jobs go on, asking again",
        "back in contact",
        "no contact: cut; its jobs go on, asking again",
    ]


def test_a_fence_that_never_proves_anything_ends_as_lost_though_the_node_answers():
    tested = scheduler(["job"], [node("n")])
    begin(tested, *up_to_sent(), ev.Unknown(A, "no reply"))

    commands = []
    for second in range(1, 101):
        down = ev.LinkDown("n", "another store")
        no_proof = ev.Unknown(A, "another store")
        commands += feed(tested, ev.LinkUp("n"), down, no_proof, now=float(second))
    assert finishes(commands) == [("job", "lost", "lost")]


def test_two_fences_under_way_are_no_contradiction():
    tested = scheduler(["job"], [node("n")])
    commands = begin(tested, *up_to_sent(), ev.Unknown(A, ""), ev.LinkUp("n"))
    assert len(of_type(commands, ev.Fence)) == 2

    feed(tested, ev.ProvedRunning(A), ev.ProvedRunning(A), GOOD)
    commands = feed(tested, ev.Fetched(A), ev.Unknown(A, "a third one"))
    assert of_type(commands, ev.Finish)[0].status == "success"


def test_resume_asks_before_anything_is_placed():
    tested = scheduler(["old-1", "old-2", "new"], [node("n", slots=3)])
    found = [ev.Found("x", "old-1", "n"), ev.Found("y", "old-2", "n")]
    commands = feed(tested, ev.Nodes((node("n", slots=3),)), *found)
    kinds = [type(command) for command in commands if not isinstance(command, ev.Wake)]
    assert kinds == [ev.Fence, ev.Fence]
    assert claims(feed(tested, ev.Tick())) == [("new", "n")]

    commands = feed(tested, ev.ProvedRunning("x"), ev.ProvedVoid("y"))
    assert len(of_type(commands, ev.Watch)) == 1
    assert len(of_type(commands, ev.Claim)) == 1
    assert claims(commands) == [("old-2", "n")]


# -- cancel, detach, a run that can't go on


def test_a_cancel_ends_what_runs_and_nothing_else_begins():
    tested = scheduler(["runs", "begins", "waits"], [node("n", slots=2)])
    begin(tested, *up_to_running(), ev.Claimed("2"))
    commands = feed(tested, ev.Cancelled())
    assert cancels(commands) == [A]
    assert finishes(commands) == [("waits", "cancelled", "cancelled")]

    commands = feed(tested, ev.Synced("2"))
    assert of_type(commands, ev.Release)
    assert not of_type(commands, ev.Start)
    assert finishes(commands) == [("begins", "cancelled", "cancelled")]

    commands = feed(tested, ended(A, "cancelled", "cancelled", proof=None), ev.Fetched(A))
    assert finishes(commands) == [("runs", "cancelled", "cancelled")]
    assert of_type(commands, ev.End)


def test_a_cancel_reaches_what_starts_just_then_and_nodes_that_come_back():
    tested = scheduler(["starts", "silent"], [node("a", 0.1, slots=1), node("b", 0.2, slots=1)])
    begin(tested, *up_to_sent(), *up_to_running("2"), ev.LinkDown("b", "gone"))
    assert set(cancels(feed(tested, ev.Cancelled()))) == {A, "2"}
    assert cancels(feed(tested, ev.Started(A))) == [A]
    assert cancels(feed(tested, ev.LinkUp("b"))) == ["2"]


def test_a_detached_run_ends_when_the_free_slots_are_used():
    tested = scheduler(["a", "b", "c"], [node("n", slots=2)], detach=True)
    commands = begin(tested, *up_to_running(), *up_to_sent("2"))
    assert not of_type(commands, ev.End)

    (end,) = of_type(feed(tested, ev.Started("2")), ev.End)
    assert {left.job: left.attempt for left in end.unfinished} == {"a": A, "b": "2", "c": None}
    reasons = {left.job: left.reason for left in end.unfinished}
    assert "no free slot (2 of 2 taken)" in reasons["c"]


def test_a_detached_run_hears_what_became_of_earlier_attempts_before_it_ends():
    nodes = [node("n"), node("m"), node("away")]
    tested = scheduler(["ended", "runs", "silent"], nodes, detach=True)
    found = [
        ev.Found("x", "ended", "n"),
        ev.Found("y", "runs", "m"),
        ev.Found("z", "silent", "away"),
    ]
    commands = feed(tested, *found, ev.Tick(), ended("x"), ev.ProvedRunning("y"))
    assert not of_type(commands, ev.End)

    assert not of_type(feed(tested, ev.LinkDown("away", "no route")), ev.End)
    commands = feed(tested, ev.Fetched("x"))
    assert finishes(commands) == [("ended", "success", None)]
    (end,) = of_type(commands, ev.End)
    assert {left.job for left in end.unfinished} == {"runs", "silent"}


def test_a_detached_run_that_can_place_nothing_ends_at_once():
    tested = scheduler(["a"], [node("n", busy=2)], detach=True)
    (end,) = of_type(begin(tested), ev.End)
    assert [(left.job, left.attempt) for left in end.unfinished] == [("a", None)]


@pytest.mark.parametrize("kind", ["adopted", "record"])
def test_a_run_that_two_nodes_say_is_somebody_else_s_ends_and_costs_no_node_anything(kind):
    nodes = [node("n", slots=1), node("other", cpu=0.5, slots=2)]
    tested = scheduler(["a", "b", "c", "d"], nodes)
    theirs = {"blame": "input", "kind": kind, "message": "it is theirs"}
    commands = begin(tested, refused(A, **theirs), refused("2", **theirs))
    assert {(end.job, end.failure, end.message) for end in of_type(commands, ev.Finish)} == {
        ("a", "input", "it is theirs"),
        ("b", "input", "it is theirs"),
        ("d", "input", "it is theirs"),
    }

    commands = feed(tested, ev.Claimed("3"))
    assert [end.job for end in of_type(commands, ev.Finish)] == ["c"]
    assert not any(tested._nodes[name].failures for name in ("n", "other"))


@pytest.mark.parametrize("kind", ["adopted", "record"])
def test_a_job_that_one_node_says_is_somebody_else_s_begins_nowhere_and_others_go_on(kind):
    nodes = [node("n", slots=1), node("other", cpu=0.5, slots=1)]
    tested = scheduler(["a", "b", "c"], nodes)
    theirs = refused(A, blame="input", kind=kind, message="it is theirs")
    commands = begin(tested, theirs, *whole_walk("2"))
    assert ends(commands) == {"a": ("failed", "input"), "b": ("success", None)}
    # The node that says so gets no more of the run's jobs.
    assert claims(commands)[-1] == ("c", "other")
    assert rejections(tested, "c")["n"] == "it says: it is theirs"


@pytest.mark.parametrize("kind", ["adopted", "input"])
def test_on_a_single_node_each_job_that_is_refused_ends_and_not_the_run(kind):
    tested = scheduler(["a", "b", "c"], [node("n", slots=1)])
    no = {"blame": "input", "kind": kind, "message": "no"}
    commands = begin(tested, refused(A, **no), *whole_walk("2"), refused("3", **no))
    assert ends(commands) == {
        "a": ("failed", "input"),
        "b": ("success", None),
        "c": ("failed", "input"),
    }
    assert of_type(commands, ev.End)


@pytest.mark.parametrize("stage", ["claim", "sync", "start"])
def test_what_one_node_refuses_as_bad_input_another_may_take_and_it_costs_no_attempt(stage):
    tested = scheduler([job(attempts=1)], [node("n"), node("other", cpu=0.5)])
    before = {"claim": [], "sync": [ev.Claimed(A)], "start": up_to_sent()}[stage]
    events = [*before, refused(blame="input", kind="input", message="no")]
    if stage == "start":
        events.append(ev.ProvedVoid(A))
    commands = begin(tested, *events, *whole_walk("2"))
    assert claims(commands) == [("job", "n"), ("job", "other")]
    assert ends(commands) == {"job": ("success", None)}


def test_a_node_that_invents_mistakes_of_ours_is_left_alone_by_the_job_after_a_few():
    tested = scheduler([job(need=Need(node="n")), "other"], [node("n"), node("good", cpu=0.5)])
    begin(tested)
    commands = []
    for number in (1, 3, 4):
        lie = refused(str(number), blame="ours", kind=f"kind {number}", message="no")
        commands += feed(tested, lie)
    assert ends(commands) == {"job": ("failed", "refused")}
    assert "n: this is a fault of distributed.gummy: no" in of_type(commands, ev.Finish)[0].message


def test_a_node_has_one_voice_whatever_it_calls_its_store_and_however_often_it_speaks():
    tested = scheduler(jobs(3), [node("n", slots=1), node("good", cpu=0.5, slots=1)])
    no = {"blame": "ours", "kind": "known"}
    events = []
    for attempt, store in (("1", "x"), ("3", "y"), ("4", "z")):
        events += [ev.Claimed(attempt, store), refused(attempt, **no)]
    commands = begin(tested, *events)
    assert "failed" not in [status for _name, status, _failure in finishes(commands)]


def test_two_names_of_one_store_have_one_voice():
    tested = scheduler(["a", "b", "c"], [node("n", slots=1), node("alias", cpu=0.5, slots=1)])
    no = {"blame": "input", "kind": "input"}
    events = [ev.Claimed(A, "s"), ev.Claimed("2", "s"), refused(A, **no), refused("2", **no)]
    commands = begin(tested, *events)
    assert "c" not in ends(commands)


def test_what_this_controller_finds_wrong_by_itself_ends_the_run():
    tested = scheduler(["a", "b"], [node("n", slots=1)])
    missing = ev.Refused(A, "input", "input", "X is not set", certain=True)
    commands = begin(tested, *up_to_sent(), missing, ev.ProvedVoid(A))
    assert ends(commands) == {"a": ("failed", "input"), "b": ("failed", "input")}


# -- what a node says runs for ever

# When an attempt with a limit of ten seconds is cancelled.
OVERDUE = 10.0 * (1 + MARGIN_SHARE) + MARGIN


def test_what_runs_after_its_limit_is_cancelled_and_then_given_up():
    tested = scheduler([job(limit=10.0), "other"], [node("n", slots=2)])
    begin(tested, *up_to_running())
    assert cancels(feed(tested, OVERDUE - 1.0)) == []
    commands = feed(tested, OVERDUE)
    assert cancels(commands) == [A]

    # The node answers all the time, and says that it runs.
    for seconds in range(1, 100):
        now = OVERDUE + seconds
        assert not finishes(feed(tested, ev.LinkUp("n"), ev.ProvedRunning(A), now=now))
    (end,) = of_type(feed(tested, OVERDUE + 100.0), ev.Finish)
    assert (end.job, end.status) == ("job", "lost")
    assert "its time limit is over" in end.message


def test_a_node_that_denies_and_affirms_in_turns_holds_nobody_longer():
    tested = scheduler([job(limit=10.0)], [node("n")])
    commands = begin(tested, *up_to_running())
    now = 0.0
    while not finishes(commands) and now < 1000.0:
        now += 1.0
        turn = [ev.Unknown(A, "its supervisor is gone"), ev.ProvedRunning(A)]
        commands = feed(tested, *turn, ev.Tick(), now=now)
    assert finishes(commands) == [("job", "lost", "lost")]
    assert OVERDUE + 100.0 <= now < OVERDUE + 101.0


def test_what_a_cancel_ends_after_its_limit_has_failed_by_its_time():
    tested = scheduler([job(limit=10.0)], [node("n")])
    begin(tested, *up_to_running(), OVERDUE)
    events = [ended(failure="cancelled", proof=None), ev.Fetched(A)]
    assert ends(feed(tested, *events, now=OVERDUE)) == {"job": ("failed", "timeout")}


def test_what_ends_within_its_limit_is_not_cancelled():
    tested = scheduler([job(limit=10.0), "other"], [node("n")])
    begin(tested, *up_to_running(), ended(), ev.Fetched(A))
    assert cancels(feed(tested, OVERDUE)) == []


# -- ends


@pytest.mark.parametrize(("accept", "status"), [(False, "unproven"), (True, "success")])
def test_a_success_without_proof_is_unproven_unless_that_is_accepted(accept, status):
    tested = scheduler([job(accept_unproven=accept)], [node("n")])
    commands = begin(tested, *up_to_sent(), ended(proof=None), ev.Fetched(A))
    assert [end.status for end in of_type(commands, ev.Finish)] == [status]
    assert of_type(commands, ev.Ack)
    assert of_type(commands, ev.End)


@pytest.mark.parametrize(
    ("end", "failure", "message"),
    [
        (GOOD, "deliver", "no branch"),
        (ended(A, "agent", "exit status 3", proof=None), "agent", "exit status 3; no branch"),
    ],
)
def test_what_could_not_be_delivered_is_a_failure_and_its_work_is_at_home(end, failure, message):
    tested = scheduler(["a"], [node("n")])
    commands = begin(tested, *up_to_sent(), end, ev.Fetched(A, "no branch"))
    (finish,) = of_type(commands, ev.Finish)
    assert (finish.status, finish.failure, finish.message) == ("failed", failure, message)
    assert of_type(commands, ev.Ack)


@pytest.mark.parametrize(("failure", "least", "most"), [("sync", 4, 4), ("unreachable", 5, 100)])
def test_a_fetch_is_tried_again_with_growing_pauses_and_given_up_as_harvest(failure, least, most):
    tested = scheduler(["job"], [node("n")], lost_after=100.0)
    begin(tested, *up_to_sent(), ended(result={"workspace": "/w"}))

    now = 0.0
    tries = 1
    commands = feed(tested, failed(A, failure, "cut"), now=now)
    while not of_type(commands, ev.Finish):
        wake = of_type(commands, ev.Wake)[-1].at
        assert wake > now
        now = wake
        tries += 1
        assert of_type(feed(tested, now), ev.Fetch)
        commands = feed(tested, failed(A, failure, "cut"), now=now)

    finish = of_type(commands, ev.Finish)[0]
    assert (finish.status, finish.failure) == ("failed", "harvest")
    assert "kept on n, the work in /w" in finish.message
    assert least <= tries <= most
    # A node out of reach is given the time that its jobs are given.
    assert failure == "sync" or now >= 100.0


def test_a_burst_spreads_over_the_nodes():
    nodes = [node(f"n{number}", 0.1 + number / 10, slots=4) for number in range(4)]
    commands = begin(scheduler(jobs(12), nodes))
    taken = Counter(host for _job, host in claims(commands))
    assert taken == {"n0": 3, "n1": 3, "n2": 3, "n3": 3}


class DyingNodes:
    """Nodes that take three claims and die in the middle, and never speak unasked."""

    CLAIMS = 3

    def __init__(self):
        self._asked = 0

    def answers(self, command):
        if isinstance(command, ev.Claim):
            self._asked += 1
            if self._asked <= self.CLAIMS:
                return [ev.Claimed(command.attempt)]
            return [failed(command.attempt, message="")]

        if isinstance(command, ev.Sync):
            return [ev.Synced(command.attempt)]
        if isinstance(command, ev.Start | ev.Fence):
            return [ev.LinkDown(command.node, ""), ev.Unknown(command.attempt, "")]
        if isinstance(command, ev.Refresh):
            return [unreachable(*command.nodes, reason=None)]
        return []


@pytest.mark.parametrize("begun", [0.1, 1 / 3, 12345.678, 1e9 / 7])
def test_ticks_at_the_wake_time_alone_bring_a_run_to_its_end(begun):
    """Every node dies in the middle, nothing ever speaks unasked: only Wake moves the run on."""
    tested = scheduler(jobs(9), [node("a"), node("b")], lost_after=3600.0)
    nodes = DyingNodes()
    now = begun
    events = [ev.Tick()]
    statuses = []

    for _time in range(500):
        commands = feed(tested, *events, now=now)
        statuses += [status for _name, status, _failure in finishes(commands)]
        if of_type(commands, ev.End):
            break

        events = [event for command in commands for event in nodes.answers(command)]
        if not events:
            wakes = of_type(commands, ev.Wake)
            assert wakes, "stalled"
            assert wakes[-1].at > now
            now = wakes[-1].at
            events = [ev.Tick()]
    assert Counter(statuses) == {"lost": 3, "failed": 6}


@pytest.mark.parametrize(
    ("proved", "contradiction"),
    [
        (ev.ProvedVoid(A), ev.ProvedRunning(A)),
        (ev.ProvedVoid(A), GOOD),
        (GOOD, ev.ProvedVoid(A)),
        (GOOD, ev.ProvedRunning(A)),
    ],
)
def test_a_node_that_contradicts_itself_is_believed_once_and_ends_no_run(proved, contradiction):
    tested = scheduler(["a", "other"], [node("n", slots=1)])
    begin(tested, *up_to_running(), proved)
    stage = tested._attempts[A].stage
    feed(tested, contradiction)
    assert tested._attempts[A].stage == stage
