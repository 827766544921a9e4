"""`harvest`: which attempts are brought home, which are made anew first, and what is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands import harvest as _harvest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import (
    RunRecord,
    controller_id,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.bring_home import (
    BranchWish,
    BroughtHome,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import TransferError
from played import PlayedLink, listed, play_fleet

ENDED = {"state": "ended", "ended": {"class": None, "harvest": {}}, "title": None}


class Home:
    """Plays bring_home and deliver, and keeps what they were asked."""

    def __init__(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        monkeypatch.setattr(_harvest, "bring_home", self.bring_home)
        monkeypatch.setattr(_harvest, "deliver", self.deliver)
        self.brought = []
        self.delivered = []
        self.error = None

    def bring_home(self, record, link, attempt, job, **more):
        if self.error is not None:
            raise self.error
        self.brought.append((attempt, job, more["wish"], more["acknowledge_as"]))
        return BroughtHome(record.job_folder(job))

    def deliver(self, record, folder, job, *, result, wish):
        self.delivered.append((job, wish))
        return BroughtHome(folder, undelivered="still no branch")


@pytest.fixture
def home(monkeypatch, tmp_path):
    return Home(monkeypatch, tmp_path)


def harvest(*rows, **answers):
    link = PlayedLink("n", {"list": listed(*rows), **answers})
    document = _harvest.harvest(play_fleet({"n": link}), None, "r")
    return document, document["attempts"], [verb for verb, _request in link.asked][1:]


def fetched(attempt, failure=None):
    """A record that has this attempt's harvest already, and how its job ended."""
    record = RunRecord("r")
    record.begin({"docs": "digest"}, {}, "me")
    folder = Path(record.job_folder("docs"))
    folder.mkdir()
    (folder / "attempt").write_text(attempt)
    record.append("finish", job="docs", **{"class": failure})
    record.close()
    return str(folder)


def test_what_has_ended_is_brought_home_and_acknowledged_and_what_runs_is_left(home):
    document, rows, verbs = harvest(ENDED, {"attempt": "u-2", "state": "running"})
    assert home.brought == [("u-1", "docs", None, controller_id())] and verbs == []
    assert document["status"] == "success" and rows[0]["message"] == "" and rows[0]["folder"]
    assert "folder" not in rows[1]


def test_a_branch_is_for_the_controller_that_has_the_project(home):
    mine = {**ENDED, "deliver": "branch", "controller": controller_id()}
    harvest(mine, {**mine, "attempt": "u-2", "title": "docs: it"}, {**mine, "attempt": "u-3"})
    assert [wish for _attempt, _job, wish, _me in home.brought][:2] == [
        BranchWish("/p", "docs"),
        BranchWish("/p", "docs: it"),
    ]
    home.brought.clear()
    harvest({**mine, "controller": "another"}, {**mine, "attempt": "u-2", "deliver": "patch"})
    assert [wish for _attempt, _job, wish, _me in home.brought] == [None, None]


def test_a_dead_supervisor_is_found_out_and_a_harvest_that_failed_is_made_anew(home):
    ended = [{"state": "ended", "class": "agent", "harvest": {}}]
    assert harvest({"state": "dead"}, fence=ended)[2] == ["fence"]
    failed = {**ENDED, "ended": {"class": "harvest"}}
    assert harvest(failed, harvest=ended)[2] == ["harvest"]
    assert len(home.brought) == 2


def test_what_is_at_home_already_is_not_fetched_again_unless_it_was_made_anew(home):
    folder = fetched("u-1")
    _document, rows, _verbs = harvest(ENDED)
    assert (rows[0]["folder"], rows[0]["message"]) == (folder, "fetched before")
    assert home.brought == home.delivered == []
    harvest({**ENDED, "ended": {"class": "harvest"}}, harvest=[{"state": "ended"}])
    assert len(home.brought) == 1


def test_a_branch_that_could_not_be_made_is_tried_again(home):
    fetched("u-1", "deliver")
    rows = harvest({**ENDED, "deliver": "branch", "controller": controller_id()})[1]
    assert home.delivered == [("docs", BranchWish("/p", "docs"))] and home.brought == []
    assert rows[0]["message"] == "fetched before; still no branch"


@pytest.mark.parametrize("error", [LinkError("timed out"), TransferError("sync", "no space")])
def test_what_can_not_be_brought_home_fails_with_the_reason(home, error):
    home.error = error
    document, rows, _verbs = harvest(ENDED)
    assert (rows[0]["folder"], rows[0]["message"]) == (None, str(error))
    assert document["status"] == "failed"


@pytest.mark.parametrize("names", [{"job": "../x"}, {"run_id": "../r"}, {"job": "a/b"}])
def test_names_of_a_stranger_that_are_no_names_become_no_paths(home, names):
    rows = harvest({**ENDED, **names})[1]
    assert home.brought == [] and "folder" not in rows[0]
