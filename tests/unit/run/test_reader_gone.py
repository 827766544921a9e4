"""A call of a run that nobody reads any more leaves its jobs, and its record says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import run_folder
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import engine as _engine
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import run as _run
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.run import ReaderGone
from job_builder import shell_job
from played import play_fleet
from played_nodes import PlayedNode
from played_run import RUN, Call, make_request, measured

JOBS = [shell_job(name) for name in ("a", "b")]


@pytest.fixture
def link():
    made = PlayedNode("n")
    yield made
    made.close()


def gone_once_sent(monkeypatch, folder):
    """Nobody reads any more from the moment at which the start of the job `a` is on record."""

    def reader_is_gone():
        journal = Path(folder, "journal.jsonl").read_text(encoding="utf-8")
        return '"sent"' in journal

    monkeypatch.setattr(_engine, "reader_is_gone", reader_is_gone)


@pytest.mark.parametrize(
    ("wish", "what"), [("leave", "goes on on n"), ("cancel", "is being cancelled on n")]
)
def test_what_may_run_is_left_to_run_and_what_waits_waits_for_the_next_call(
    monkeypatch, short_pauses, wish, what
):
    call = Call(JOBS, [PlayedNode("n")], nodes=[measured("n", slots=1)], on_interrupt=wish)
    gone_once_sent(monkeypatch, call.record.folder)
    rows = call.run()
    call.close()
    assert call.engine.has_left
    assert (rows["a"]["status"], rows["a"]["message"]) == ("running", what)
    assert rows["b"]["status"] == "waiting"
    assert "called again" in rows["b"]["message"]
    assert call.journal("finish") == [] and call.states("b") == []


@pytest.mark.parametrize("wish", ["leave", "cancel"])
def test_the_record_of_the_run_says_why_it_is_not_finished(monkeypatch, short_pauses, link, wish):
    over = []
    monkeypatch.setattr(_run, "cancel_if_we_die", lambda _record, _fleet: lambda: over.append(1))
    folder = run_folder(RUN)
    gone_once_sent(monkeypatch, folder)
    fleet = play_fleet({"n": link}, [measured("n")], command="ansible-playbook -i hosts")

    class Silent:
        def say(self, line):
            pass

        def event(self, *words):
            pass

        def stand(self, progress):
            pass

    request = make_request(JOBS[:1], named=False, on_interrupt=wish)
    with pytest.raises(ReaderGone, match=f"-e gummy_run_id={RUN}") as raised:
        _run.run(request, fleet, Silent())
    assert ("are cancelled" if wish == "cancel" else "go on;") in str(raised.value)

    document = json.loads(Path(folder, "run.json").read_text(encoding="utf-8"))
    assert document["status"] == "unfinished"
    assert document["message"] == "nobody reads stdout or stderr any more"
    # Who stays behind to cancel must not be told that all is well.
    assert over == []
