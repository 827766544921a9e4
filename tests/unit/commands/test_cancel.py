"""`cancel`: what runs is asked to end, and the document says whether all has."""

from __future__ import annotations

import os

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.cancel import cancel
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import run_folder
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
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
    os.makedirs(run_folder("r"))
    fleet = play_fleet({"n": played([{"state": "void"}], "running")})
    cancel(fleet, "u-0", None)
    assert os.listdir(run_folder("r")) == []
    cancel(fleet, None, "r")
    assert os.listdir(run_folder("r")) == ["cancel"]
