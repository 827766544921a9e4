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
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.paths import state_home
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import (
    RunRecord,
    controller_id,
    is_driven,
    known_controller_id,
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
