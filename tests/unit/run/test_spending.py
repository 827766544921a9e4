"""What a run spends: noted once, in the journal and for the day, and told before a slot is used."""

from __future__ import annotations

from ansible_collections.distributed.gummy.plugins.plugin_utils._files.costs import (
    Ledger,
    cost_row,
    summarize,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import read_history
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import Config
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.resume import take_up
from job_builder import shell_job
from played_nodes import PlayedNode, wait_for
from played_run import make_request, measured


def claude_job(name, **more):
    return shell_job(name, agent="claude", prompt="x", command=None, **more)


def node(name="n", **ends):
    return PlayedNode(name, ends=ends)


def test_the_cost_of_an_attempt_is_in_the_journal_and_in_the_day_once(call):
    played = call(
        [claude_job("a", budget_usd=2.5)],
        node(cost_usd=0.5, tokens={"input": 9, "output": 1}),
        config=Config(agents={"claude": {"account": "team"}}),
    )
    played.run()
    (entry,) = played.journal("cost")
    assert entry["cost"] == {
        "attempt": entry["cost"]["attempt"],
        "run_id": "r",
        "job": "a",
        "node": "n",
        "agent": "claude",
        "account": "team",
        "project": None,
        "cost_usd": 0.5,
        "tokens": {"input": 9, "output": 1},
        "day": entry["cost"]["day"],
    }
    assert Ledger().today() == [entry["cost"]]
    assert read_history(played.record.folder).costs == {entry["cost"]["attempt"]: entry["cost"]}
    (start,) = (request for verb, request in played.links[0].asked if verb == "start")
    assert start["spec"]["budget_usd"] == 2.5


def test_commands_cost_nothing_whatever_their_node_says(call):
    played = call([shell_job("a")], node(cost_usd=1e5), run_budget_usd=1.0)
    assert played.run()["a"]["status"] == "success"
    assert not played.journal("cost")


def test_a_slot_that_becomes_free_is_not_used_when_the_budget_is_used_up_by_who_had_it(call):
    played = call(
        [claude_job("a"), claude_job("b")],
        node(cost_usd=5.0),
        nodes=[measured("n", slots=1)],
        run_budget_usd=5.0,
    )
    rows = played.run()
    assert rows["a"]["status"] == "success"
    assert (rows["b"]["status"], rows["b"]["class"]) == ("failed", "budget")
    # A person is told of it.
    assert played.needs == [("budget", "b", "-", "claude")]
    assert played.links[0].verbs().count("claim") == 1


def test_what_other_runs_have_spent_today_counts_before_anything_begins(call):
    told = {"cost_usd": 3.0}
    row = cost_row("o", "other", "j", "m", agent="x", account="x", project=None, told=told)
    Ledger().note(row)
    played = call([claude_job("a")], node(), day_budget_usd=3.0)
    assert played.run()["a"]["class"] == "budget"
    assert not played.links[0].verbs()


def test_what_an_agent_costs_while_it_runs_counts_too(call):
    signs = {
        "quiet": 0.0,
        "at": 1.0,
        "waits": "",
        "words": "",
        "cost_usd": 7.0,
        "turns": None,
        "tokens": None,
    }
    link = PlayedNode("n", ends=None)
    played = call(
        [claude_job("a"), claude_job("b")],
        link,
        nodes=[measured("n", slots=1)],
        run_budget_usd=5.0,
    )
    played.start()
    attempt = played.wait_for_state("running")
    link.next_poll().tell({"state": "signs", "attempt": attempt, "signs": signs})
    wait_for(lambda: played.journal("finish"), "the end of b")
    (finish,) = played.journal("finish")
    assert (finish["job"], finish["class"]) == ("b", "budget")
    assert "$7.00 of $5.00 (n $7.00)" in finish["message"]
    # What it cost in the end is what counts.
    link.end(attempt, cost_usd=7.5)
    assert played.rows()["a"]["status"] == "success"
    assert summarize(played.record.history.costs.values())["cost_usd"] == 7.5


def test_a_run_called_again_takes_up_what_was_not_begun_for_want_of_a_budget(call):
    jobs = [claude_job("a"), claude_job("b"), claude_job("c")]
    played = call(jobs, node(cost_usd=5.0), nodes=[measured("n", slots=1)], run_budget_usd=5.0)
    played.run()
    plan = take_up(make_request(jobs), played.record.history, {})
    assert [job.name for job in plan.to_do] == ["b", "c"]

    history = played.record.history
    history.ended[jobs[0].digest()] = {
        "status": "failed",
        "class": "budget",
        "job": "a",
        "attempts": [{"id": "1"}],
    }
    plan = take_up(make_request(jobs), history, {})
    assert [job.name for job in plan.to_do] == ["b", "c"]
    assert plan.rows["a"]["class"] == "budget"


def test_a_lie_about_money_ends_no_job_that_runs(call):
    other = PlayedNode("m", ends=None)
    played = call(
        [claude_job("a"), claude_job("b")],
        PlayedNode("n", ends={"cost_usd": 1e6}),
        other,
        nodes=[measured("n", slots=1), measured("m", 0.9, slots=1)],
        run_budget_usd=5.0,
    )
    played.start()
    played.wait_for_state("running", "b")
    played.wait_for_state("ended", "a")
    (attempt,) = {row["attempt"] for row in played.journal("attempt") if row["job"] == "b"}
    other.end(attempt)
    assert {row["status"] for row in played.rows().values()} == {"success"}
    assert not any(verb == "cancel" for verb, _request in other.asked)
