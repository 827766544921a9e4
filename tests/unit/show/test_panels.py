"""The panels: what they say, and that they fit 80 columns whatever nodes are called."""

from __future__ import annotations

import random
import time
import unicodedata

from ansible_collections.distributed.gummy.plugins.plugin_utils._show import panels as _panels

LONG_AGO = 1e6
NODE = {
    "name": "node-1",
    "state": "measured",
    "local": False,
    "usable": True,
    "reason": None,
    "score": 0.184,
    "cpus": 8,
    "slots": {"total": 4, "busy": 1},
    "load": {"cpu": 0.12, "memory": 0.35, "load_average": 1.0, "io_wait": None},
    "agents": ["claude", "gummy"],
    "agent_details": [{"name": "claude", "version": "2.1.332", "logged_in": "no"}],
    "measured_at": LONG_AGO,
    "age": 3.4,
}
AWAY = {
    **NODE,
    "name": "n2",
    "state": "unreachable",
    "usable": False,
    "reason": "not reachable: no route to host",
    "slots": None,
    "agents": None,
    "agent_details": [],
}
ATTEMPT = {
    "attempt": "u-1",
    "node": "node-1",
    "run_id": "release-42",
    "job": "docs",
    "status": "running",
    "class": None,
    "message": None,
    "agent": "gummy",
    "project": "/p",
    "controller": "c",
    "begun_at": LONG_AGO,
    "ended_at": None,
    "seconds": 75.2,
    "cost_usd": None,
    "quota_kind": None,
    "quiet": None,
    "waits": None,
}
ENDED = {**ATTEMPT, "ended_at": LONG_AGO, "seconds": 9000.0, "cost_usd": 0.256}
ONE = {
    "name": "database-expert",
    "status": "active",
    "seen_by": "session",
    "where": "workspace",
    "workspace": "shop-0a/0",
    "project": "/home/me/shop",
    "sessions": 1,
    "last_active": "2001-11-22T12:11:14Z",
    "session_id": "s",
    "cost_usd": None,
    "reason": None,
}
ROW = {
    "name": "node-1",
    "local": False,
    "state": "usable",
    "reason": None,
    "score": 0.18,
    "same_as": None,
    "cost_today": 0.25,
    "more": False,
}


NO_COST = {"attempts": 0}


def status(nodes, attempts=(), left_out=(), cost=NO_COST):
    totals = {"nodes": len(nodes), "answered": 1, "running": 1, "ended_today": 2}
    rows = {"nodes": nodes, "attempts": attempts, "left_out": left_out}
    return _panels.status_text({**rows, "totals": totals, "cost": cost})


def dashboard(*rows):
    totals = {
        "active": 1,
        "dormant": 2,
        "nodes": 4,
        "answered": 3,
        "sessions": 12,
        "cost_today": 0.25,
    }
    return _panels.specialists_text({"nodes": rows, "totals": totals})


def test_status():
    began = time.strftime("%Y-%m-%d", time.localtime(LONG_AGO))
    full = {
        **NODE,
        "name": "n3",
        "usable": False,
        "reason": "no free slot (4 of 4 taken)",
        "score": None,
        "agents": None,
        "agent_details": [],
        "age": 200.0,
    }
    attempts = [
        {**ATTEMPT, "quiet": 900.0},
        {**ATTEMPT, "job": "slow", "waits": "waits for its service (529)", "quiet": 0.0},
        {**ENDED, "status": "failed", "class": "verify"},
        {**ENDED, "status": "success", "begun_at": None, "run_id": None},
    ]
    assert status(
        [NODE, AWAY, full, {**AWAY, "name": "n4", "state": "unknown", "reason": None}],
        attempts,
        [{"name": "printer", "reason": "shared in"}],
    ) == [
        "status: 1 of 4 nodes answer; 1 running, 2 ended today",
        "NODE    SCORE  CPU   MEM   LOAD   IO  SLOTS  AGE  AGENTS",
        "node-1  0.18   12 %  35 %  100 %  -   1/4    3 s  claude, gummy",
        "n3      -      12 %  35 %  100 %  -   1/4    3 m  ?",
        "n2  not reachable: no route to host",
        "n3  no free slot (4 of 4 taken)",
        "n4  load unknown",
        "node-1  claude 2.1.332 (not logged in)",
        "left out of the inventory (shared in): printer",
        "",
        "JOB              NODE    STATUS             BEGAN       TOOK  COST",
        f"release-42/docs  node-1  ▶ running          {began}  75 s  n/a",
        f"release-42/slow  node-1  ▶ running          {began}  75 s  n/a",
        f"release-42/docs  node-1  ✗ failed (verify)  {began}  2 h   $0.26",
        "?/docs           node-1  ✓ success          -           2 h   $0.26",
        "release-42/docs  no sign of life for 15 m",
        "release-42/slow  waits for its service (529)",
    ]


def test_of_many_ended_attempts_the_newest_are_shown_and_the_rest_counted():
    lines = status([NODE], [ATTEMPT, *[ENDED] * 45])
    assert len([line for line in lines if line.startswith("release-42")]) == 21 and lines[
        -1
    ].startswith("… and 25 more")


def test_specialists():
    broken = {
        **ONE,
        "name": "api",
        "status": "dormant",
        "project": None,
        "sessions": None,
        "reason": "no meta.yaml: no session yet",
    }
    mine = {
        **ONE,
        "name": "x",
        "where": "home",
        "status": "dormant",
        "sessions": 12,
        "last_active": None,
        "cost_usd": 1.5,
    }
    assert dashboard(
        {**ROW, "specialists": [ONE, broken, mine], "more": True},
        {**ROW, "name": "n2", "specialists": [], "score": None, "cost_today": None},
        {**ROW, "name": "n3", "specialists": [], "reason": "timed out", "state": "no_answer"},
        {**ROW, "name": "localhost", "specialists": [], "same_as": "node-1"},
    ) == [
        "⚡ 1 active · 💤 2 dormant · 3 of 4 nodes · 12 sessions · cost today $0.25",
        "node-1  score 0.18, cost today $0.25",
        "  ⚡  database-expert  shop  1 session    2001-11-22   n/a",
        "  💤  api              0     n/a          no meta.yaml: no session yet",
        "  💤  x                home  12 sessions  never        $1.50",
        "  … and more: no more are read of one node",
        "n2  no specialists",
        "n3  ✗ timed out",
        "localhost  the same store as node-1: counted there",
    ]


def test_long_names_leave_the_last_columns_whole():
    one = {**ONE, "name": "n" * 99, "project": "/" + "p" * 99, "sessions": 123, "cost_usd": 12.34}
    assert dashboard({**ROW, "specialists": [one]})[-1].endswith(
        "n…  ppppppppppppppp…  123 sessions  2001-11-22   $12.34"
    )
    node = {**NODE, "name": "n" * 63, "slots": {"total": 16, "busy": 16}}
    job = {**ENDED, "job": "j" * 64, "node": "n" * 63, "status": "unproven"}
    _head, _heads, numbers, *_more, last = status([node], [{**job, "cost_usd": 1.5}])
    assert numbers.endswith("n…  0.18   12 %  35 %  100 %  -   16/16  3 s  claude, gummy")
    assert last.endswith("j…  nnnnnnnnn…  ? unproven  1970-01-12  2 h   $1.50")


def odd(chance, value):
    """The same data with odd texts and numbers in it."""
    if isinstance(value, dict):
        return {
            key: value[key] if key in ("status", "state", "where") else odd(chance, value[key])
            for key in value
        }
    if isinstance(value, list):
        return [odd(chance, item) for item in value] * chance.choice((1, 1, 3))
    if isinstance(value, str):
        return "".join(
            chance.choice("a日💤⚡e\u0301\u200d\ufe0f\x1b\t\n\u202e\udc80 {%/ﷺ\U0001f3fb")
            for _char in range(chance.choice((0, 1, 9, 90)))
        )
    return value if isinstance(value, bool) or value is None else chance.choice((None, 0, 1, 1e18))


def test_no_line_is_wider_than_80_columns_or_holds_what_a_terminal_obeys():
    chance = random.Random(0)
    for _round in range(300):
        node = {**odd(chance, NODE), "load": NODE["load"], "slots": {"busy": 10**9, "total": 10**9}}
        shown = status(
            [node, odd(chance, AWAY)],
            odd(chance, [ATTEMPT, ENDED]),
            [odd(chance, {"name": "p", "reason": "r"})],
        )
        shown += dashboard(
            {**odd(chance, ROW), "specialists": odd(chance, [ONE, {**ONE, "reason": "x" * 99}])}
        )
        for line in shown:
            assert (
                line.isprintable()
                and sum(
                    2
                    if unicodedata.east_asian_width(char) in "WF"
                    else not unicodedata.combining(char)
                    for char in line
                )
                <= 80
            ), line
