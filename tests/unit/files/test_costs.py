"""What attempts have cost: each counts once, on its day, and what a file holds is read or not."""

from __future__ import annotations

import json
import threading
import time

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files import costs
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.costs import (
    Ledger,
    cost_row,
    day_of,
    summarize,
)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "distributed-gummy" / "costs"


def row(attempt="1", cost=0.5, *, node="n", agent="claude", tokens=None, **more):
    told = {"cost_usd": cost, "tokens": tokens}
    fields = {"account": agent, "project": "/p", **more}
    return cost_row(attempt, "r", f"job-{attempt}", node, agent=agent, told=told, **fields)


def test_an_attempt_counts_once_whoever_notes_it_and_how_often():
    for ledger in (Ledger(), Ledger()):
        ledger.note(row("1", 0.5))
        ledger.note(row("2", 0.25))
    reader = Ledger()
    assert summarize(reader.today())["cost_usd"] == 0.75
    assert not reader.has_grown()

    Ledger().note(row("3", 1.0))
    assert reader.has_grown()
    assert len(reader.today()) == 3


def test_many_at_once_lose_no_line(state):
    def note(first):
        ledger = Ledger()
        for number in range(20):
            ledger.note(row(f"{first}-{number}", 0.01))

    threads = [threading.Thread(target=note, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Ledger().today()) == 160
    (file,) = state.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_day_is_one_of_this_machines_clock(monkeypatch):
    ledger = Ledger()
    noon = time.mktime((2026, 11, 29, 12, 0, 0, 0, 0, -1))
    now = [noon]
    monkeypatch.setattr(costs.time, "time", lambda: now[0])
    ledger.note(row("1"))
    assert (day_of(noon), len(ledger.today())) == ("2026-11-29", 1)
    now[0] += 86400
    assert ledger.has_grown()
    assert ledger.today() == []


def test_the_last_seven_days_are_told_and_read_once(state, monkeypatch):
    noon = time.mktime((2026, 3, 31, 12, 0, 0, 0, 0, -1))
    now = [noon - 9 * 86400]
    monkeypatch.setattr(costs.time, "time", lambda: now[0])
    for day in range(10):
        Ledger().note(row(f"{day}-a", 1.0))
        Ledger().note(row(f"{day}-b", float(day)))
        now[0] += 86400
    now[0] -= 86400
    ledger = Ledger()

    def told():
        return [(each["name"], each["cost_usd"], each["attempts"]) for each in ledger.days()]

    assert told() == [(f"2026-03-{31 - back}", 10.0 - back, 2) for back in range(7)]
    # What lies before today does not change, so it is not read again; today does.
    for file in state.glob("2026-03-3[0]*"):
        file.unlink()
    Ledger().note(row("new", 5.0))
    assert told()[:2] == [("2026-03-31", 15.0, 3), ("2026-03-30", 9.0, 2)]
    assert ledger.cost_today() == summarize(ledger.today())
    assert ledger.cost_today() is ledger.cost_today()
    now[0] += 86400
    assert told()[:2] == [("2026-03-31", 15.0, 3), ("2026-03-29", 8.0, 2)]


def test_so_many_days_are_kept_and_nothing_else_is_removed(state):
    Ledger().note(row("1"))
    (today,) = state.iterdir()
    today.unlink()
    for number in range(costs.KEPT_DAYS + 5):
        (state / f"{1000 + number}-01-01.jsonl").touch()
    (state / "notes.txt").touch()
    (state / "1000-01-01.jsonl.bak").touch()
    Ledger().note(row("2"))
    kept = sorted(path.name for path in state.glob("*.jsonl"))
    assert len(kept) == costs.KEPT_DAYS
    assert (kept[0], kept[-1]) == ("1006-01-01.jsonl", today.name)
    assert (state / "notes.txt").exists() and (state / "1000-01-01.jsonl.bak").exists()


def test_a_file_that_another_run_forgets_first_costs_no_row(state, monkeypatch):
    Ledger().note(row("1"))
    for number in range(costs.KEPT_DAYS + 1):
        (state / f"{1000 + number}-01-01.jsonl").touch()
    (today,) = (path for path in state.iterdir() if path.stat().st_size)
    today.unlink()

    def gone(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(costs.os, "unlink", gone)
    Ledger().note(row("2"))
    assert [each["attempt"] for each in Ledger().today()] == ["2"]


def test_a_row_of_an_older_version_has_no_day():
    old = {key: value for key, value in row("1").items() if key != "day"}
    assert costs.read_row(old)["day"] == ""
    assert costs.read_row({**old, "day": "../../x"})["day"] == ""
    assert costs.read_row({**old, "day": "2026-11-29"})["day"] == "2026-11-29"


def test_lines_that_are_none_are_passed_over_and_half_a_line_waits_for_its_rest(state):
    Ledger().note(row("1", 0.5))
    (file,) = state.iterdir()
    odd = [
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps({**row("2"), "job": 5}).encode(),
        json.dumps({**row("3"), "project": 5}).encode(),
    ]
    half = json.dumps(row("4", 1.0)).encode()
    with file.open("ab") as stream:
        stream.write(b"\n".join([*odd, half]))
    reader = Ledger()
    assert [each["attempt"] for each in reader.today()] == ["1"]
    with file.open("ab") as stream:
        stream.write(b"\n")
    assert [each["attempt"] for each in reader.today()] == ["1", "4"]


@pytest.mark.parametrize("cost", [None, -1, 1e7, float("nan"), float("inf"), True, "5", [5]])
def test_what_is_no_price_is_none(cost):
    assert row(cost=cost)["cost_usd"] is None


@pytest.mark.parametrize(
    "tokens", [None, {}, {"input": 1}, {"input": -1, "output": 1}, {"input": "1", "output": 1}, [1]]
)
def test_what_are_no_tokens_are_none(tokens):
    assert row(tokens=tokens)["tokens"] is None


def test_sums_are_told_apart_by_job_node_agent_account_and_project():
    rows = [
        row("1", 0.5, node="a", account="team"),
        row("2", 0.25, node="b", agent="gummy", project=None),
        row("3", None, node="b", agent="codex", tokens={"input": 1000, "output": 200}),
        row("4", 1.0, node="b", account="team"),
    ]
    summary = summarize(rows)
    whole = [summary[key] for key in ("cost_usd", "tokens", "attempts", "unpriced")]
    assert whole == [1.75, {"input": 1000, "output": 200}, 4, 1]

    def shares(key):
        return [(each["name"], each["cost_usd"], each["attempts"]) for each in summary[key]]

    assert shares("by_node") == [("b", 1.25, 3), ("a", 0.5, 1)]
    assert shares("by_agent") == [("claude", 1.5, 2), ("gummy", 0.25, 1), ("codex", None, 1)]
    assert shares("by_account") == [("team", 1.5, 2), ("gummy", 0.25, 1), ("codex", None, 1)]
    assert shares("by_project") == [("/p", 1.5, 3), ("", 0.25, 1)]
    assert shares("by_job")[0] == ("r/job-4", 1.0, 1)
    days = [row("1", 0.5, day="2026-11-28"), row("2", 0.25, day="2026-11-29")]
    names = [each["name"] for each in summarize(days)["by_day"]]
    assert names == ["2026-11-29", "2026-11-28"]


def test_of_nothing_no_price_is_known():
    summary = summarize([])
    assert (summary["cost_usd"], summary["tokens"], summary["attempts"]) == (None, None, 0)
    assert summary["by_node"] == []
