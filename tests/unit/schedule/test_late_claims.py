"""A node that says nothing for much longer than usual costs its jobs seconds, and no attempt."""

from __future__ import annotations

from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
)
from scheduling import A, claims, feed, job, jobs, node, of_type, scheduler

LATE = ev.Late(A, 4.2)
TWO = (node("dead", cpu=0.1), node("good", cpu=0.5))


def test_its_job_goes_elsewhere_at_once_and_has_lost_no_attempt():
    tested = scheduler([job(attempts=1)], TWO)
    feed(tested, ev.Tick())
    commands = tested.handle(LATE, 4.2)
    assert claims(commands) == [("job", "good")]
    assert [(record.attempt, record.state) for record in of_type(commands, ev.Record)] == [
        ("1", "void"),
        ("2", "reserved"),
    ]
    # It has no lease yet, and nobody can say whether it gets one.
    assert not of_type(commands, ev.Release) and not of_type(commands, ev.Quarantine)
    (note,) = of_type(commands, ev.Note)
    assert (note.node, note.text) == (
        "dead",
        "no answer for 4.2 s: it gets no job until it answers",
    )


def test_a_sync_that_stands_still_gives_its_lease_back_too():
    tested = scheduler([job(attempts=1)], TWO)
    feed(tested, ev.Tick(), ev.Claimed(A))
    commands = tested.handle(LATE, 20.0)
    assert of_type(commands, ev.Release) == [ev.Release(A, "dead")]
    assert claims(commands) == [("job", "good")]


def test_it_gets_no_job_until_it_answers():
    tested = scheduler(jobs(3), [node("dead", cpu=0.1), node("good", cpu=0.5, slots=1)])
    feed(tested, ev.Tick())
    commands = tested.handle(LATE, 4.2)
    assert not claims(commands)
    assert {name for name, _standing in tested.waiting()} == {"job-0"}
    ((_name, standing),) = tested.waiting()
    reasons = {ranked.node.name: ranked.reason for ranked in standing.ranking()}
    assert "it does not answer" in reasons["dead"]

    commands = tested.handle(ev.LinkUp("dead"), 10.0)
    assert claims(commands) == [("job-0", "dead")]
    assert ("dead", "back in contact") in [
        (each.node, each.text) for each in of_type(commands, ev.Note)
    ]


def test_one_that_never_answers_is_quarantined_as_ever():
    tested = scheduler(["job"], TWO)
    feed(tested, ev.Tick())
    tested.handle(LATE, 4.2)
    commands = tested.handle(ev.LinkDown("dead", "timed out"), 60.0)
    (quarantine,) = of_type(commands, ev.Quarantine)
    assert (quarantine.node, quarantine.failures) == ("dead", 1)


def test_a_job_that_asks_for_it_waits_for_it():
    tested = scheduler([job(need=Need(node="dead"))], TWO)
    feed(tested, ev.Tick())
    assert not claims(tested.handle(LATE, 4.2))
    assert not of_type(tested.handle(ev.Tick(), 30.0), ev.Finish)
    assert claims(tested.handle(ev.LinkUp("dead"), 31.0)) == [("job", "dead")]


def test_claims_that_are_held_back_until_it_answers_are_withdrawn_with_it():
    unproved = Node("dead", "unknown", slots=4)
    tested = scheduler(jobs(2, need=Need(node="dead")), [unproved], trust_links=False)
    (claim,) = of_type(tested.handle(ev.Tick(), 0.0), ev.Claim)
    assert len(tested._nodes["dead"].live) == 2
    assert not claims(tested.handle(ev.Late(claim.attempt, 10.0), 10.0))
    assert not tested._nodes["dead"].live
    assert len(claims(tested.handle(ev.LinkUp("dead"), 11.0))) == 1


def test_the_end_of_the_run_is_not_kept_by_it():
    tested = scheduler(["job"], TWO)
    feed(tested, ev.Tick())
    commands = tested.handle(LATE, 4.2)
    (claim,) = of_type(commands, ev.Claim)
    tested.handle(ev.Cancelled(), 5.0)
    commands = tested.handle(ev.Claimed(claim.attempt), 6.0)
    assert of_type(commands, ev.Finish) and of_type(commands, ev.End)
