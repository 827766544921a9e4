"""Which of the controller's runs `clean` takes away."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands import clean as _clean
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.paths import state_home
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import RunRecord
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import Keep

OLD = time.time() - 40 * 86400


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def make(name, *ends, states=(), age=OLD, close=True):
        record = RunRecord(name)
        record.begin({"a": "digest", "b": "other"} if len(ends) > 1 else {"a": "digest"}, {}, "me")
        for state in states:
            record.append("attempt", attempt="1", job="a", node="n", state=state)
        for job, end in zip("ab", ends, strict=False):
            record.append("finish", job=job, attempts=[{"id": "1"}], **end)
        Path(record.folder, "journal.jsonl").touch()
        os.utime(Path(record.folder, "journal.jsonl"), (age, age))
        if close:
            record.close()
        return record

    return make


def cleaned(check=False, **keep):
    return [(row["name"], row["why"]) for row in _clean.clean_runs(Keep(**keep), check)]


GOOD = {"status": "success", "class": None}


def test_runs_that_are_old_and_at_home_go_and_a_check_only_says_so(make):
    make("old", GOOD, {"status": "failed", "class": "agent"}, states=("sent", "running", "ended"))
    make("young", GOOD, age=time.time())
    assert cleaned(check=True) == [("old", "old")] == cleaned() and os.listdir(
        Path(state_home(), "runs")
    ) == ["young"]


@pytest.mark.parametrize("check", [True, False])
def test_where_there_is_no_state_none_is_made(tmp_path, monkeypatch, check):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert cleaned(check) == []
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("ends", "states"),
    [
        ([], ["sent"]),
        ([GOOD, None], []),
        ([{"status": "lost", "class": "lost"}], ["sent", "running", "lost"]),
        ([{"status": "failed", "class": "harvest"}], ["sent", "ended"]),
    ],
)
def test_a_run_with_something_that_is_not_at_home_stays(make, ends, states):
    record = make("kept", *[end for end in ends if end], states=states)
    if None in ends:
        with open(Path(record.folder, "journal.jsonl"), "a") as file:
            file.write('{"kind": "run", "uid": "u", "at": 1, "jobs": {"b": "other"}}\n')
        os.utime(file.name, (OLD, OLD))
    assert cleaned(size_gb=0) == [] and Path(record.folder).exists()


def test_a_run_that_is_driven_stays_and_what_is_too_much_goes_oldest_first(make):
    driven = make("driven", GOOD, close=False)
    make("first", GOOD, age=OLD + 1)
    make("second", GOOD, age=OLD + 2)
    assert cleaned(days=1000, size_gb=1) == []
    assert cleaned(days=1000, size_gb=0) == [
        ("first", "more than is kept"),
        ("second", "more than is kept"),
    ]
    driven.close()
