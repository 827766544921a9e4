"""How jobs end, as people read it: in one set of words."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.run import work_of
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.ends import (
    IN_A_SENTENCE,
    end_words,
    run_sentences,
    status_words,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.report import MARKS
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.text import spoken


def row(name, status="success", message="", node="node-1"):
    return {"name": name, "status": status, "message": message, "node": node}


def said(*rows, seconds=484.0, work=None, times=None):
    return run_sentences(
        {"jobs": rows, "seconds": seconds, "work_seconds": work, "times_as_fast": times}
    )


def test_a_run_is_told_as_a_person_would_tell_it():
    rows = [row("a"), row("b"), row("c"), row("lint", "failed", "exit status 4", "node-2")]
    assert said(*rows, work=1900.0, times=3.93) == (
        "3 of 4 jobs succeeded in 8 min 4 s (31 min of work, 3.9 times as fast as one after the "
        "other). lint failed on node-2: exit status 4."
    )


def test_what_was_not_faster_is_not_told_as_if_it_were():
    assert said(row("a"), work=480.0) == "1 of 1 job succeeded in 8 min 4 s."
    assert "times" not in said(row("a"), row("b"), work=480.0, times=0.99)


def test_every_end_has_its_words_and_what_is_left_is_counted():
    rows = [
        row("a", "unproven", "nothing shows it."),
        row("b", "lost", "no answer\nfor long"),
        row("c", "cancelled", node=None),
        row("d", "failed", "x" * 999),
        row("e", "skipped", "away"),
        row("f", "running"),
        row("g", "waiting"),
    ]
    assert said(*rows, seconds=5.25) == (
        "0 of 7 jobs succeeded in 5.2 s; 1 running, 1 waiting, 1 skipped. "
        "a is unproven on node-1: nothing shows it. b is lost on node-1: no answer. "
        "c was cancelled. 1 more did not succeed."
    )
    assert len(said(rows[3])) < 300
    assert IN_A_SENTENCE.keys() == MARKS.keys()


@pytest.mark.parametrize(
    ("status", "failure", "kind", "words"),
    [
        ("success", None, None, "success"),
        ("failed", "agent", None, "failed (agent)"),
        ("failed", "quota", "reset", "failed (quota)"),
        ("failed", "quota", "credit", "failed (quota, credit)"),
        ("lost", "lost", None, "lost"),
        ("failed", "lost", None, "failed (lost)"),
        ("cancelled", "cancelled", None, "cancelled"),
        ("skipped", "unreachable", None, "skipped (unreachable)"),
    ],
)
def test_a_status_stands_with_its_class_where_that_says_more(status, failure, kind, words):
    assert status_words(status, failure, kind) == words


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({"class": None, "proof": "verify"}, "success"),
        ({"class": None, "proof": None}, "unproven"),
        ({"class": "agent", "proof": None}, "failed (agent)"),
        ({"class": "cancelled"}, "cancelled"),
        ({"class": "quota", "kind": "busy"}, "failed (quota, busy)"),
        ({}, "unproven"),
    ],
)
def test_an_attempt_that_ended_is_told_in_the_same_words(ended, words):
    assert end_words(ended) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (5, "5 s"),
        (3.25, "3.2 s"),
        (42.9, "42 s"),
        (60, "1 min"),
        (484, "8 min 4 s"),
        (1900, "31 min"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations_are_said_as_coarse_as_they_are_long(seconds, words):
    assert spoken(seconds) == words


def test_work_is_the_sum_of_what_the_agents_of_a_call_took():
    rows = [{"seconds": 30.0}, {"seconds": 30.5}, {"seconds": None}]
    assert work_of(rows, 20.0) == {"work_seconds": 60.5, "times_as_fast": 3.02}
    assert work_of(rows[:1], 20.0) == {"work_seconds": 30.0, "times_as_fast": None}
    assert work_of([], 0.0) == {"work_seconds": 0, "times_as_fast": None}
