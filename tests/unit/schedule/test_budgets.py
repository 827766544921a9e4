"""Budgets: what was spent is told, and then nothing more begins."""

from __future__ import annotations

from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from scheduling import (
    A,
    begin,
    cancels,
    claims,
    ended,
    ends,
    feed,
    finishes,
    job,
    node,
    notes,
    of_type,
    scheduler,
    up_to_running,
    up_to_sent,
)

RUN_USED_UP = "the run's budget is used up: $5.00 of $5.00 (n $5.00)"


def test_what_runs_goes_on_to_its_end_and_what_has_not_begun_ends():
    tested = scheduler(["a", "b"], [node("n", slots=1)], run_budget=5.0)
    begin(tested, *up_to_running())

    assert not finishes(feed(tested, ev.Spent(run=4.99, day=100.0, by="n $4.99")))
    commands = feed(tested, ev.Spent(run=5.0, day=100.0, by="n $5.00"))
    assert notes(commands) == [f"{RUN_USED_UP}; nothing more begins"]
    (finish,) = of_type(commands, ev.Finish)
    assert (finish.job, finish.status, finish.failure) == ("b", "failed", "budget")
    assert (finish.message, finish.attempt) == (f"not begun: {RUN_USED_UP}", None)
    assert not cancels(commands)

    commands = feed(tested, ended(), ev.Fetched(A))
    assert ends(commands) == {"a": ("success", None)}
    assert of_type(commands, ev.End)


def test_a_budget_that_was_used_up_before_lets_nothing_begin():
    tested = scheduler(["a", "b"], [node("n")], day_budget=1.0)
    commands = feed(tested, ev.Spent(0.0, 1.5), ev.Tick())
    assert not claims(commands)
    assert set(ends(commands).values()) == {("failed", "budget")}
    text = "the budget of this day is used up: $1.50 of $1.00"
    assert notes(commands) == [f"{text}; nothing more begins"]


def test_what_is_on_its_way_to_a_start_is_given_back():
    tested = scheduler(["a"], [node("n")], run_budget=1.0)
    begin(tested, ev.Claimed(A))
    assert not finishes(feed(tested, ev.Spent(run=1.0, day=1.0)))
    commands = feed(tested, ev.Synced(A))
    assert ends(commands) == {"a": ("failed", "budget")}
    assert not of_type(commands, ev.Start)
    assert of_type(commands, ev.Release)


def test_without_a_limit_money_is_nobodys_matter():
    tested = scheduler(["a", "b"], [node("n", slots=1)])
    assert not finishes(begin(tested, ev.Spent(1e6, 1e6)))


def test_a_job_that_has_cost_its_budget_gets_no_further_attempt():
    for cost, tries_again in ((0.4, True), (0.5, False)):
        tested = scheduler([job(budget_usd=0.5)], [node("a"), node("b", 0.2)])
        result = {"cost_usd": cost}
        end = ended(failure="login", message="log in", proof=None, result=result)
        commands = begin(tested, *up_to_running(), end, ev.Fetched(A))
        assert len(claims(commands)) == 1 + tries_again
        assert ends(commands) == ({} if tries_again else {"job": ("failed", "login")})


def test_an_agent_that_met_its_budget_is_not_tried_again():
    tested = scheduler([job(budget_usd=0.5)], [node("a"), node("b", 0.2)])
    end = ended(failure="budget", message="used up", proof=None)
    commands = begin(tested, *up_to_sent(), end, ev.Fetched(A))
    assert ends(commands) == {"job": ("failed", "budget")}
    assert len(claims(commands)) == 1
