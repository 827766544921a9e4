"""A harvest's way home, over a link that is played: fetched, kept, acknowledged, delivered."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import BadValue
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import RunRecord
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import bring_home as _home
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import (
    harvest_files as _files,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import sync as _sync
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.branch import DeliverError
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.bring_home import (
    BranchWish,
    BroughtHome,
    bring_home,
    deliver,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.harvest_files import (
    HarvestLimit,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.self_running import (
    NOTHING,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import (
    TransferError,
    limited,
    seconds_in_a_run,
)

BRANCH = {"branch": "gummy/r/a", "commit": "c", "base": "b", "note": "a note"}
RESULT = {"harvest": {"patch": "changes.patch"}}
WISH = BranchWish("/project", "a: what was asked")
INLINE = {"log": base64.b64encode(b"from the word\n").decode()}


class Link:
    """Plays a node: rsync brings these files, or ends with a status."""

    name = "n"

    def __init__(self, events, files=None, status=0, deaf=False):
        self.events = events
        self.files = files or {"log": "by rsync\n"}
        self.status = status
        self.deaf = deaf

    def rsync_words(self, *words):
        return list(words)

    def rsync_target(self):
        return "node:x/"

    def rsync(self, argv, seconds, opened=None):
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
    monkeypatch.setattr(_home, "look_for_self_running", lambda folder, **words: NOTHING)
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


@pytest.mark.parametrize("name", ["../../x", "a/../../x", ".", "..", "", "a\n", "-x", "x" * 65])
def test_an_id_that_a_node_made_up_names_nothing_at_all(record, events, name):
    for attempt, job in ((name, "a"), ("u-1", name)):
        with pytest.raises(BadValue, match="no name that a folder may have"):
            bring_home(record, Link(events), attempt, job, result=RESULT)
    assert events == [] and sorted(os.listdir(record.folder)) == ["journal.jsonl", "lock"]
    top = Path(record.folder).parents[2]
    assert {path.name for path in top.iterdir()} == {"distributed-gummy"}


def test_what_only_a_node_says_is_of_this_run_takes_no_job_s_place(record, events):
    ours = bring_home(record, Link(events), "u-1", "a", result=RESULT)
    told = bring_home(record, Link(events, {"log": "x"}), "u-2", "a", result=RESULT, teller="../n")
    assert log(ours) == "by rsync\n" and record.fetched("a") == "u-1"
    assert Path(told.folder) == Path(record.folder, "told-by", "%2E.%2Fn", "a")
    assert log(told) == "x" and record.fetched("a", "../n") == "u-2"


def test_a_job_may_be_called_like_the_folder_of_what_nodes_tell(record, events):
    home = bring_home(record, Link(events), "u-1", "told-by", result=RESULT)
    assert os.path.basename(home.folder) == "told-by~"


def test_of_what_a_node_sends_only_what_a_harvest_has_comes_home(record, events):
    sent = {"log": "l", "attempt": "forged", "HEAD": "ref: x", ".gitattributes": "*", "log0": "x"}
    home = bring_home(record, Link(events, sent), "u-1", "a", result=RESULT)
    assert sorted(os.listdir(home.folder)) == ["attempt", "log"]
    assert record.fetched("a") == "u-1"


@pytest.mark.parametrize("content", ["é", "===", "a", None, 7, ["eA=="]])
def test_a_harvest_in_a_reply_that_is_no_base64_is_a_failed_transfer(record, events, content):
    with pytest.raises(TransferError, match="can't be read") as broken:
        bring_home(record, Link(events), "u-1", "a", result=RESULT, files={"log": content})
    assert broken.value.failure == "harvest" and record.fetched("a") is None


def test_what_is_over_the_limit_stays_on_the_node_and_is_told(record, events):
    limit = HarvestLimit(bytes=8)
    with pytest.raises(TransferError, match="more than 0 MB.*stays on n.*gummy_job=u-1") as over:
        bring_home(record, Link(events), "u-1", "a", result=RESULT, limit=limit)
    assert over.value.failure == "harvest"
    with pytest.raises(TransferError, match="more than 1 files.*stays on n.*by hand"):
        files = {"log": "", "report.md": ""}
        limit = HarvestLimit(files=1)
        bring_home(record, Link(events, files), "u-1", "a", result=RESULT, limit=limit)
    assert sorted(os.listdir(record.folder)) == ["journal.jsonl", "lock"]


class DrippingLink(Link):
    """Of a node that sends a byte now and then; the rsync lasts until it is ended."""

    def rsync(self, argv, seconds, opened=None):
        ended = threading.Event()
        opened(SimpleNamespace(kill=ended.set))
        assert ended.wait(10)
        return -9, "", ""


class EndlessLink(Link):
    """Of a node that sends just enough, for ever."""

    def rsync(self, argv, seconds, opened=None):
        raise LinkError(f"rsync took longer than {seconds:.0f} s", "timeout")


@pytest.mark.parametrize(
    ("make_link", "why"),
    [(DrippingLink, "brought less than 500 kB in "), (EndlessLink, "took longer than 2 min")],
)
def test_what_comes_too_slowly_stays_on_the_node_with_the_way_to_it(
    record, events, monkeypatch, make_link, why
):
    """Another try would bring the same, so it is no broken connection."""
    for module in (_files, _sync):
        monkeypatch.setattr(module, "LEAST_SECONDS", 0.0)
    with pytest.raises(TransferError, match=f"{why}.*stays on n.*harvest -e gummy_job=u-1") as slow:
        bring_home(record, make_link(events), "u-1", "a", result=RESULT, seconds=120)
    assert slow.value.failure == "harvest" and events == []
    assert sorted(os.listdir(record.folder)) == ["journal.jsonl", "lock"]


def test_a_fetch_keeps_a_run_no_longer_than_an_hour_unless_its_limit_asks_for_more():
    assert seconds_in_a_run(HarvestLimit(10**6)) == 3600
    assert seconds_in_a_run(HarvestLimit(2 * 10**9)) == 4000
    assert seconds_in_a_run(HarvestLimit(10**12)) == 6 * 3600


@pytest.mark.parametrize("limit", [10, 3_000_000])
def test_who_fetches_can_write_no_file_that_is_much_over_the_limit(tmp_path, limit):
    """As a second wall: who measures may have been ended."""
    argv = limited(HarvestLimit(limit), ["/bin/sh", "-c", "head -c 5000000 /dev/zero > sent"])
    subprocess.run(argv, cwd=tmp_path, check=False, stderr=subprocess.DEVNULL)
    size = (tmp_path / "sent").stat().st_size
    assert HarvestLimit(limit).why_over(str(tmp_path)) and size < limit + 1_010_000
    assert os.listdir(tmp_path) == ["sent"]


def test_a_branch_begins_where_this_controller_saw_the_project(record, monkeypatch):
    seen = []

    def deliver_branch(_project, _folder, result, **_words):
        seen.append((result["base"], result["harvest"]["head"]))
        return BRANCH

    monkeypatch.setattr(_home, "deliver_branch", deliver_branch)
    result = {"base": "theirs", "harvest": {"head": "theirs"}}
    home = deliver(record, "/f", "a", result=result, wish=BranchWish("/p", "t", "ours"))
    # What the branch brings is looked at, and here there is none.
    (line,) = home.self_running.not_looked_at
    assert line.startswith("the branch (") and "/p is not there" in line
    deliver(record, "/f", "a", result=result, wish=BranchWish("/p", "t"))
    assert seen == [("ours", "ours"), ("theirs", "theirs")]
