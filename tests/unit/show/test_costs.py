"""What jobs have cost, as people read it."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.costs import (
    cost_row,
    summarize,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.costs import (
    day_cost_lines,
    money,
    price,
    run_cost_lines,
)


def row(number, cost, node="node-1", agent="claude", account="claude", project="/p", tokens=None):
    told = {"cost_usd": cost, "tokens": tokens}
    more = {"agent": agent, "account": account, "project": project, "told": told}
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
    assert day_cost_lines(summarize(rows)) == [
        "cost today $0.75 in 3 attempts, 1 of which tells no price",
        "  by node: node-1 $0.50, node-2 $0.25",
        "  by agent: claude $0.50, gummy $0.25, codex 2k tokens",
        "  by project: /p $0.75, none 2k tokens",
    ]
    rows = [row(1, 0.5, account="a"), row(2, 0.25, account="b")]
    assert day_cost_lines(summarize(rows))[1:] == ["  by account: a $0.50, b $0.25"]
    assert day_cost_lines(summarize([])) == []
