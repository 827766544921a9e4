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


NO_COST = {"attempts": 0}


def status(nodes, attempts=(), left_out=(), foreign=(), cost=None):
    totals = {"nodes": len(nodes), "answered": 1, "running": 1, "ended_today": 2}
    return _panels.status_text(
        {
            "nodes": nodes,
            "attempts": attempts,
            "foreign": foreign,
            "left_out": left_out,
            "totals": totals,
            "cost": cost or NO_COST,
        }
    )


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
        "NODE    SCORE  CPU   MEM   LOAD   IO  SLOTS  AGE    AGENTS",
        "node-1  0.18   12 %  35 %  100 %  -   1/4    3 s    claude, gummy",
        "n3      -      12 %  35 %  100 %  -   1/4    3 min  ?",
        "n2  not reachable: no route to host",
        "n3  no free slot (4 of 4 taken)",
        "n4  load unknown",
        "node-1  claude 2.1.332 (not logged in)",
        "left out of the inventory (shared in): printer",
        "",
        "JOB              NODE    STATUS             BEGAN       TOOK   COST",
        f"release-42/docs  node-1  ▶ running          {began}  1 min  n/a",
        f"release-42/slow  node-1  ▶ running          {began}  1 min  n/a",
        f"release-42/docs  node-1  ✗ failed (verify)  {began}  2 h    $0.26",
        "?/docs           node-1  ✓ success          -           2 h    $0.26",
        "release-42/docs  no sign of life for 15 min",
        "release-42/slow  waits for its service (529)",
    ]


def test_tokens_are_not_cut_and_names_get_the_room_that_is_left():
    tokens = {"cost_usd": None, "tokens": {"input": 40_000, "output": 8_000}}
    rows = [
        {**ENDED, "run_id": "a-run-with-a-long-name", "status": "failed", "class": "unreachable"},
        {**ENDED, **tokens, "status": "success", "node": "a-node-with-a-long-name"},
    ]
    lines = status([NODE], rows)[-2:]
    assert lines[0].startswith("a-run-with-a-long…  node-1  ")
    assert lines[1].endswith("  48k tokens")
    assert all(len(line) <= 80 for line in lines)


def test_tasks_that_somebody_started_by_hand():
    task = {"node": "node-1", "pid": 7, "words": "gummy task mend it", "seconds": 75.0}
    long = {**task, "words": "gummy task " + "x\n\x1b" * 99, "seconds": None}
    lines = status([NODE], foreign=[task, long])[-2:]
    assert lines[0].split("  ")[0] == "! gummy task mend it" and lines[0].endswith("1 min")
    assert "node-1  by hand" in lines[1] and len(lines[1]) <= 80 and lines[1].isprintable()


def test_of_many_ended_attempts_the_newest_are_shown_and_the_rest_counted():
    lines = status([NODE], [ATTEMPT, *[ENDED] * 45])
    assert len([line for line in lines if line.startswith("release-42")]) == 21 and lines[
        -1
    ].startswith("… and 25 more")


def test_long_names_leave_the_last_columns_whole():
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
