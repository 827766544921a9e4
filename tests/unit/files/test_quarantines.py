"""What one run learnt of a node's failures is known to the next."""

from __future__ import annotations

import json

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.quarantines import (
    REMEMBERED,
    Quarantines,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev

KEYS = {"a": "a 1", "b": "b 1"}


@pytest.fixture
def at(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def at(now, keys=None, **more):
        return Quarantines(keys or KEYS, now=lambda: now, **more)

    return at


def test_what_is_left_of_the_pause_is_kept_and_a_start_that_works_ends_it(at):
    at(100.0).keep(ev.Quarantine("a", 2, 60.0, "start: no agent"))
    at(100.0).keep(ev.Quarantine("b", 1, 30.0, "sync: down"))
    assert at(120.0).known() == [
        ev.Quarantined("a", 2, 40.0, "start: no agent"),
        ev.Quarantined("b", 1, 10.0, "sync: down"),
    ]
    at(121.0).keep(ev.Quarantine("b", 0, 0.0, ""))
    assert [known.node for known in at(122.0).known()] == ["a"]


def test_failures_count_for_a_while_after_the_pause_and_then_no_more(at):
    at(0.0).keep(ev.Quarantine("a", 2, 60.0, "x"))
    assert at(60.0 + REMEMBERED - 1).known() == [ev.Quarantined("a", 2, 0.0, "x")]
    assert at(60.0 + REMEMBERED + 1).known() == []


def test_other_settings_are_another_node_and_a_refresh_forgets_these_nodes_only(at):
    at(0.0).keep(ev.Quarantine("a", 1, 30.0, "x"))
    at(0.0).keep(ev.Quarantine("b", 1, 30.0, "x"))
    assert at(1.0, {"a": "a 2"}).known() == []
    at(1.0, {"a": "a 1"}, believe=False)
    assert [known.node for known in at(2.0).known()] == ["b"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        json.dumps({"format": 2, "nodes": {}}),
        json.dumps({"format": 1, "nodes": {"a 1": {"failures": "x"}}}),
        json.dumps({"format": 1, "nodes": {"a 1": {"failures": 1, "until": 1e9, "why": ""}}}),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_not_believed(at, tmp_path, text):
    (tmp_path / "distributed-gummy").mkdir(mode=0o700)
    (tmp_path / "distributed-gummy" / "quarantine.json").write_text(text)
    assert at(0.0).known() == []
    at(0.0).keep(ev.Quarantine("a", 1, 30.0, "x"))
    assert len(at(0.0).known()) == 1
