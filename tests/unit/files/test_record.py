"""The run's folder: what survives a crash, who may write, and what a resumed run makes of it."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._files import paths
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.paths import state_home
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import (
    RunRecord,
    ask_to_cancel,
    controller_id,
    is_driven,
    known_controller_id,
    known_state_home,
    own_state_home,
    run_folder,
)
from job_builder import shell_job

JOB = shell_job()


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def written(*entries, job=JOB):
    """A record whose earlier call wrote this: (attempt, state) or (status, class, state...)."""
    record = RunRecord("r")
    record.begin({job.name: job.digest()}, {job.name: job.content()}, "controller")
    for entry in entries:
        if entry[0] == "finish":
            record.append("finish", job=job.name, status=entry[1], **{"class": entry[2]})
        else:
            record.append(
                "attempt", attempt=entry[0], job=job.name, node="n", state=entry[1], store="s1"
            )
    record.close()
    return RunRecord("r")


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_journal_cut_in_its_last_line_loses_that_line_alone(state, cut):
    written(("1", "reserved"), ("1", "sent")).close()
    journal = state / "distributed-gummy/runs/r/journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-cut])
    record = RunRecord("r")
    assert record.history.attempts["1"]["state"] == ("sent" if cut == 1 else "reserved")
    record.append("attempt", attempt="2", job="a", node="n", state="reserved")
    record.close()
    again = RunRecord("r").history
    assert again.attempts["2"]["digest"] == JOB.digest()
    assert again.uid == record.uid


def test_a_second_engine_is_told_which_process_drives_the_run():
    first = RunRecord("r")
    with pytest.raises(InputError, match=f"process {os.getpid()}"):
        RunRecord("r")
    first.close()
    RunRecord("r").close()


def test_the_lock_ends_with_its_process(state):
    code = f"import os; from {RunRecord.__module__} import RunRecord; RunRecord('r'); os._exit(9)"
    path = os.pathsep.join(
        [str(Path(inspect.getfile(RunRecord)).parents[6]), *filter(None, sys.path)]
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, check=False
        ).returncode
        == 9
    )
    RunRecord("r").close()


def test_a_harvest_never_overwrites_an_earlier_one_or_the_run_s_own_files(state):
    record = RunRecord("r")
    for job in ("a", "lock", "run.json"):
        for text, attempt in [("first", "1"), ("second", "2"), ("third", "2"), ("fourth", "2")]:
            (state / "fetched").mkdir()
            (state / "fetched/log").write_text(text)
            record.keep(job, str(state / "fetched"), attempt)
        assert record.fetched(job) == "2"
        texts = {
            (path / "log").read_text()
            for path in Path(record.folder).glob(f"{job}*")
            if path.is_dir()
        }
        assert texts == {"first", "second", "third", "fourth"}
    record.write("run.json", {"left_out": "caf\udce9"})
    assert json.loads((Path(record.folder) / "run.json").read_text()) == {"left_out": "caf\udce9"}
    record.close()
    RunRecord("r").close()


def test_whether_a_run_is_driven_is_seen_without_a_trace():
    assert not is_driven("r") and not Path(run_folder("r")).exists()
    record = RunRecord("r")
    assert is_driven("r")
    record.close()
    assert not is_driven("r")
    # Who looks does not keep others from it.
    RunRecord("r").close()


def test_an_identity_is_made_only_by_who_needs_one():
    assert known_controller_id() is None and not Path(state_home()).exists()
    assert controller_id() == known_controller_id()


# -- the keys that ends are signed with


def with_attempt(record, attempt, **more):
    record.append("attempt", attempt=attempt, job="a", node="n", state="sent", **more)


def test_each_attempt_has_a_key_of_its_own_which_a_later_call_finds_again(state):
    record = RunRecord("r")
    record.begin({}, {}, "c")
    for attempt in ("u-1", "u-2"):
        with_attempt(record, attempt)
    keys = {attempt: record.key_of(attempt) for attempt in ("u-1", "u-2")}
    record.close()
    assert len(set(keys.values())) == 2 and None not in keys.values()

    path = Path(record.folder, "key")
    assert path.stat().st_mode & 0o777 == 0o600
    assert not [key for key in keys.values() if key in path.read_text(encoding="ascii")]

    again = RunRecord("r")
    again.begin({}, {}, "c")
    assert {attempt: again.key_of(attempt) for attempt in keys} == keys
    again.close()


def test_there_is_no_key_of_an_attempt_that_another_controller_or_an_older_version_began(state):
    record = RunRecord("r")
    with_attempt(record, "u-old")
    with_attempt(record, "u-adopted", adopted=True)
    record.begin({}, {}, "c")
    assert not Path(record.folder, "key").exists()
    assert [record.key_of(attempt) for attempt in ("u-old", "u-adopted", "u-unknown")] == [None] * 3
    record.close()


@pytest.mark.parametrize("content", ["", "no hex", "\u00e9"])
def test_a_damaged_key_is_none(state, content):
    record = RunRecord("r")
    record.begin({}, {}, "c")
    with_attempt(record, "u-1")
    Path(record.folder, "key").write_text(content, encoding="utf-8")
    assert record.key_of("u-1") is None
    record.close()


# -- a state that is another user's


@pytest.fixture
def foreign(state, monkeypatch):
    """A state folder of somebody else, with an id and a record in it."""
    RunRecord("r").close()
    Path(paths.state_home(), "controller-id").write_text("planted")
    other = os.geteuid() + 1
    monkeypatch.setattr(paths.os, "geteuid", lambda: other)


@pytest.mark.parametrize(
    "use",
    [
        controller_id,
        lambda: RunRecord("r"),
        lambda: run_folder("r"),
        lambda: ask_to_cancel("r"),
        lambda: own_state_home("projects"),
        known_state_home,
    ],
)
def test_a_state_of_another_user_is_refused_whatever_it_is_wanted_for(foreign, use):
    with pytest.raises(InputError, match="belongs to another user"):
        use()
