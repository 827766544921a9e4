"""`cancel`: what runs is asked to end, and the document says whether all has."""

from __future__ import annotations

import os

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.cancel import (
    cancel,
    has_changed,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import RunRecord
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.report import cancel_text
from played import PlayedLink, listed, play_fleet


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def played(answer, *states):
    rows = [{"attempt": f"u-{number}", "state": state} for number, state in enumerate(states)]
    return PlayedLink("n", {"list": listed(*rows), "cancel": answer})


def test_only_what_may_run_is_asked_to_end():
    link = played([{"state": "ended", "class": "cancelled"}], "running", "dead", "ended", "void")
    document = cancel(play_fleet({"n": link}), None, "r")
    cancelled = [request["attempt"] for verb, request in link.asked if verb == "cancel"]
    assert sorted(cancelled) == ["u-0", "u-1"] and document["status"] == "success"
    assert [row["state"] for row in document["attempts"]] == ["ended", "ended", "ended", "void"]


@pytest.mark.parametrize("answer", [[{"state": "running"}], LinkError("timed out")])
def test_it_fails_while_something_may_still_run(answer):
    document = cancel(play_fleet({"n": played(answer, "running")}), None, "r")
    assert document["status"] == "failed"


def test_it_fails_when_a_node_is_silent():
    links = {"n": played([{"state": "void"}], "running"), "m": PlayedLink("m", LinkError("away"))}
    document = cancel(play_fleet(links), None, "r")
    assert (document["status"], document["no_answer"]) == ("failed", {"m": "away"})


def test_a_run_that_is_driven_here_is_told_to_begin_nothing_more_and_a_job_alone_is_not():
    record = RunRecord("r")
    fleet = play_fleet({"n": played([{"state": "void"}], "ended")})
    cancel(fleet, "u-0", None)
    assert not record.cancelled
    foreseen = cancel(fleet, None, "r", check=True)
    assert not record.cancelled and foreseen["stopped"] and has_changed(foreseen)
    done = cancel(fleet, None, "r")
    assert record.cancelled and done["stopped"] and has_changed(done)


def test_nothing_is_written_into_the_folder_of_a_run_that_nobody_drives():
    record = RunRecord("r")
    folder = record.folder
    record.close()
    before = sorted(os.listdir(folder))
    document = cancel(play_fleet({"n": played([{"state": "void"}], "ended")}), None, "r")
    assert sorted(os.listdir(folder)) == before
    assert not document["stopped"] and not has_changed(document)


def test_a_check_says_which_attempts_would_be_ended_and_asks_no_node_to():
    link = played(AssertionError("asked"), "running", "dead", "ended")
    document = cancel(play_fleet({"n": link}), None, "r", check=True)
    assert {verb for verb, _request in link.asked} == {"list"}
    assert [row.get("cancelled") for row in document["attempts"]] == [True, True, None]
    assert (document["status"], document["check"]) == ("success", True)
    assert cancel_text(document) == [
        "r/docs  n  running: would be ended",
        "r/docs  n  dead: would be ended",
        "r/docs  n  ended",
    ]


def test_it_has_changed_something_only_if_an_attempt_was_ended_or_asked_to_end():
    ended = [{"state": "ended", "class": "cancelled"}]
    assert has_changed(cancel(play_fleet({"n": played(ended, "running")}), None, "r"))
    assert has_changed(cancel(play_fleet({"n": played([{"state": "running"}], "dead")}), None, "r"))
    assert not has_changed(cancel(play_fleet({"n": played(ended, "ended", "void")}), None, "r"))
    silent = played(LinkError("timed out"), "running")
    assert not has_changed(cancel(play_fleet({"n": silent}), None, "r"))
