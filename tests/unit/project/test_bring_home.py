"""A harvest's way home, over a link that is played: fetched, kept, acknowledged, delivered."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import RunRecord
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import bring_home as _home
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.branch import DeliverError
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.bring_home import (
    BranchWish,
    BroughtHome,
    bring_home,
    deliver,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import TransferError

BRANCH = {"branch": "gummy/r/a", "commit": "c", "base": "b", "note": "a note"}
RESULT = {"harvest": {"patch": "changes.patch"}}
WISH = BranchWish("/project", "a: what was asked")
INLINE = {"log": base64.b64encode(b"from the word\n").decode()}


class Link:
    """Plays a node: rsync brings these files, or ends with a status."""

    def __init__(self, events, files=None, status=0, deaf=False):
        self.events = events
        self.files = files or {"log": "by rsync\n"}
        self.status = status
        self.deaf = deaf

    def rsync_words(self, *words):
        return list(words)

    def rsync_target(self):
        return "node:x/"

    def rsync(self, argv, seconds):
        self.events.append(" ".join(argv[argv.index("send") : argv.index("--")]))
        for name, text in self.files.items():
            Path(argv[-1], name).write_text(text)
        return self.status, "", "rsync: it broke"

    def call(self, verb, request):
        if self.deaf:
            raise LinkError("timed out")
        self.events.append((verb, request))
        return {"state": "acknowledged"}


@pytest.fixture
def record(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    record = RunRecord("r")
    yield record
    record.close()


@pytest.fixture
def events(monkeypatch):
    """What happens, in its order; delivering is played too."""
    happened = []

    def deliver_branch(project, folder, result, **words):
        happened.append(("deliver", project, os.path.basename(folder), words))
        return BRANCH

    monkeypatch.setattr(_home, "deliver_branch", deliver_branch)
    return happened


def log(home):
    return Path(home.folder, "log").read_text()


def test_a_harvest_is_fetched_and_kept_as_the_job_s_folder_and_nothing_else_is_left(record, events):
    home = bring_home(record, Link(events), "u-1", "a", result=RESULT)
    assert home == BroughtHome(record.job_folder("a")) and home.describe() == ""
    assert log(home) == "by rsync\n" and record.fetched("a") == "u-1"
    assert events == ["send u-1"]
    assert not [name for name in os.listdir(record.folder) if name.startswith(".fetch-")]


def test_a_harvest_that_came_with_the_word_that_it_ended_needs_no_rsync(record, events):
    home = bring_home(record, Link(events), "u-1", "a", result=RESULT, files=INLINE)
    assert log(home) == "from the word\n" and events == []
    # Files with names that lead elsewhere are no harvest, so it is fetched.
    home = bring_home(record, Link(events), "u-2", "a", result=RESULT, files={"../log": "eA=="})
    assert log(home) == "by rsync\n" and events == ["send u-2"]


def test_it_is_acknowledged_at_once_for_who_asks_so_and_then_delivered(record, events):
    wishes = {"result": RESULT, "files": INLINE, "wish": WISH, "acknowledge_as": "me"}
    home = bring_home(record, Link(events), "u-1", "a", **wishes)
    assert events == [
        ("ack", {"attempts": ["u-1"], "controller": "me"}),
        ("deliver", "/project", "a", {"run_id": "r", "job": "a", "title": "a: what was asked"}),
    ]
    assert home.delivered == BRANCH and home.describe() == "branch gummy/r/a; a note"


def test_a_node_that_can_not_be_told_keeps_a_harvest_that_is_at_home_and_undelivered(
    record, events
):
    with pytest.raises(LinkError, match="timed out"):
        bring_home(
            record,
            Link(events, deaf=True),
            "u-1",
            "a",
            result=RESULT,
            files=INLINE,
            wish=WISH,
            acknowledge_as="me",
        )
    assert record.fetched("a") == "u-1" and events == []


def test_of_a_fetch_that_breaks_nothing_is_kept_and_an_earlier_harvest_stays(record, events):
    bring_home(record, Link(events), "u-1", "a", result=RESULT)
    with pytest.raises(TransferError) as broken:
        bring_home(record, Link(events, status=30), "u-2", "a", result=RESULT, wish=WISH)
    assert broken.value.failure == "unreachable" and record.fetched("a") == "u-1"
    assert sorted(os.listdir(record.folder)) == ["a", "journal.jsonl", "lock"]


@pytest.mark.parametrize(
    ("result", "wish"), [(RESULT, None), ({"harvest": None}, WISH), ({}, WISH)]
)
def test_without_a_wish_or_a_harvest_nothing_is_delivered(record, events, result, wish):
    assert deliver(record, "/f", "a", result=result, wish=wish) == BroughtHome("/f")
    assert events == []


def test_why_a_branch_could_not_be_made_is_said_and_the_harvest_is_at_home(record, monkeypatch):
    def refuse(*_args, **_words):
        raise DeliverError("no branch could be made (x); the work is in /f")

    monkeypatch.setattr(_home, "deliver_branch", refuse)
    home = deliver(record, "/f", "a", result=RESULT, wish=WISH)
    assert home.folder == "/f" and home.delivered is None
    assert home.describe() == home.undelivered == "no branch could be made (x); the work is in /f"


def test_an_id_that_a_node_made_up_names_nothing_outside_of_the_run(record, events):
    bring_home(record, Link(events), "../../x", "a", result=RESULT)
    top = Path(record.folder).parents[2]
    assert {path.name for path in top.iterdir()} == {"distributed-gummy"}
    assert record.fetched("a") == "../../x"
