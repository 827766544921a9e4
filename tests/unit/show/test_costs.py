"""What jobs have cost, as people read it."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.costs import (
    by_day,
    cost_row,
    summarize,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.costs import (
    day_cost_lines,
    money,
    price,
    run_cost_lines,
    share_lines_of_run,
    with_costs_of_jobs,
)

TODAY = "2026-11-29"


def day_of(*rows):
    """The costs as `status` has them."""
    days = by_day(rows)
    return {"cost": summarize(each for each in rows if each["day"] == TODAY), "cost_days": days}


def row(
    number,
    cost,
    node="node-1",
    agent="claude",
    account="claude",
    project="/p",
    tokens=None,
    day=TODAY,
):
    told = {"cost_usd": cost, "tokens": tokens}
    more = {"agent": agent, "account": account, "project": project, "told": told, "day": day}
    return cost_row(str(number), "r", f"job-{number}", node, **more)


@pytest.mark.parametrize(
    ("dollars", "text"),
    [(None, "n/a"), (0.0, "$0.00"), (0.00548, "$0.0055"), (0.41, "$0.41"), (1234.5, "$1234.50")],
)
def test_money(dollars, text):
    assert money(dollars) == text


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (None, "n/a"),
        ({"input": 900, "output": 50}, "950 tokens"),
        ({"input": 12_000, "output": 345}, "12k tokens"),
        ({"input": 3_000_000, "output": 400_000}, "3.4M tokens"),
    ],
)
def test_tokens_stand_for_a_price_that_nobody_tells(tokens, text):
    assert price({"cost_usd": None, "tokens": tokens}) == text


def test_a_run_tells_what_it_cost_and_where_and_what_today_cost():
    run = {"cost": summarize([row(1, 0.3), row(2, 0.11, "node-2")]), "today_usd": 1.2}
    line = "cost $0.41 in 2 attempts: node-1 $0.30, node-2 $0.11; today $1.20"
    assert run_cost_lines(run) == [line]
    run = {"cost": summarize([row(1, 0.3), row(2, None)]), "today_usd": 0.3}
    assert run_cost_lines(run) == [
        "cost $0.30 in 2 attempts, 1 of which tells no price; today $0.30"
    ]


def test_a_run_of_commands_and_a_document_of_an_older_version_say_nothing_of_money():
    assert run_cost_lines({"cost": summarize([]), "today_usd": 5.0}) == []
    assert run_cost_lines({}) == []


def test_a_day_is_told_by_what_tells_its_attempts_apart():
    rows = [
        row(1, 0.5),
        row(2, 0.25, "node-2", "gummy", "gummy"),
        row(3, None, "node-2", "codex", "codex", None, {"input": 1000, "output": 1000}),
    ]
    assert day_cost_lines(day_of(*rows), 80, "cost ") == [
        "cost today $0.75 in 3 attempts, 1 of which tells no price",
        "  by node: node-1 $0.50, node-2 $0.25",
        "  by agent: claude $0.50, gummy $0.25, codex 2k tokens",
        "  by project: /p $0.75, none 2k tokens",
        "  by job: r/job-1 $0.50, r/job-2 $0.25, r/job-3 2k tokens",
    ]
    rows = [row(1, 0.5, account="a"), row(2, 0.25, account="b")]
    assert day_cost_lines(day_of(*rows), 80, "cost ")[1:] == [
        "  by account: a $0.50, b $0.25",
        "  by job: r/job-1 $0.50, r/job-2 $0.25",
    ]
    assert day_cost_lines(day_of(), 80, "cost ") == []


def test_the_days_before_are_told_beside_today():
    yesterday = row(1, 0.5, day="2026-11-28")
    assert day_cost_lines(day_of(row(2, 0.25), yesterday), 80, "cost ") == [
        "cost today $0.25 in 1 attempt",
        "  by day: 11-29 $0.25, 11-28 $0.50",
    ]
    assert day_cost_lines(day_of(yesterday), 80, "cost ") == [
        "cost today nothing",
        "  by day: 11-28 $0.50",
    ]


def test_a_job_has_cost_what_all_its_attempts_have_and_a_run_what_its_days_have():
    first, second = row(1, 0.5, "node-1", day="2026-11-28"), row(1, 0.25, "node-2")
    second = {**second, "attempt": "other"}
    jobs = [
        {"name": "job-1", "cost_usd": 0.25, "tokens": None, "attempts": ["kept"]},
        {"name": "job-2", "cost_usd": None, "tokens": None, "attempts": []},
    ]
    run = {"run_id": "r", "jobs": jobs, "cost": summarize([first, second])}
    shown = with_costs_of_jobs(run)["jobs"]
    assert [each["cost_usd"] for each in shown] == [0.75, None]
    assert shown[0]["attempts"] == ["kept"]
    assert share_lines_of_run(run) == [
        "by node: node-1 $0.50, node-2 $0.25",
        "by day: 2026-11-29 $0.25, 2026-11-28 $0.50",
    ]
