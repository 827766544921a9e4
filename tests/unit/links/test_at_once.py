"""Many commands at once: what can't start, has no turn, says too much or takes too long is told."""

from __future__ import annotations

import time

from ansible_collections.distributed.gummy.plugins.plugin_utils._links.at_once import run_all


def test_what_can_not_start_or_has_no_turn_is_told():
    found = run_all({"none": ["/nonexistent/program"], "nul": ["a\0b"]})
    assert all("can't start" in outcome.trouble for outcome in found.values())
    assert [each.tried for each in run_all({"a": ["true"]}, timeout=0).values()] == [False]


def test_each_command_gets_its_own_stdin_and_its_outcome_has_its_name():
    commands = {"good": ["cat"], "bad": ["/bin/sh", "-c", "echo why >&2; exit 3"]}
    found = run_all(commands, {"good": b"one\ntwo"})
    assert list(found) == ["good", "bad"]
    assert (found["good"].status, found["good"].out, found["good"].trouble) == (0, "one\ntwo", None)
    assert (found["bad"].status, found["bad"].out, found["bad"].err) == (3, "", "why\n")
    assert run_all({}) == {}


def test_what_runs_on_after_the_deadline_is_ended_and_others_are_not_disturbed():
    begun = time.monotonic()
    found = run_all({"slow": ["sleep", "600"], "quick": ["echo", "x"]}, timeout=1.0)
    assert time.monotonic() - begun < 60
    assert (found["slow"].status, found["slow"].trouble) == (None, "no answer within 1 s")
    assert (found["quick"].status, found["quick"].out) == (0, "x")


def test_a_command_that_says_too_much_is_ended():
    found = run_all({"talker": ["yes"]}, timeout=60.0, cap=4096)
    assert found["talker"].status is None
    assert found["talker"].trouble == "more than 4 kB of output"


def test_messages_are_in_english_whatever_the_locale(monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    found = run_all({"locale": ["/bin/sh", "-c", "echo $LC_ALL"]})
    assert found["locale"].out == "C"
