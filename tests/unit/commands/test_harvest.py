"""`harvest`: which attempts are brought home, which are made anew first, and what is said."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands import harvest as _harvest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import (
    RunRecord,
    controller_id,
    key_of,
    read_history,
    read_key,
    run_folder,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._node.signature import sign
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.bring_home import (
    BranchWish,
    BroughtHome,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.harvest_files import (
    HarvestLimit,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import TransferError
from played import ROW, PlayedLink, listed, play_fleet

ENDED = {
    "state": "ended",
    "ended": {"class": None, "harvest": {}},
    "title": None,
    "store": "s",
}


class Home:
    """Plays bring_home and deliver, and keeps what they were asked."""

    def __init__(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        monkeypatch.setattr(_harvest, "bring_home", self.bring_home)
        monkeypatch.setattr(_harvest, "deliver", self.deliver)
        self.brought = []
        # Of what a fetch brings, in bytes.
        self.size = 1
        self.delivered = []
        self.error = None

    def bring_home(self, record, link, attempt, job, **more):
        if self.error is not None:
            raise self.error
        self.brought.append((attempt, job, more["wish"], more["acknowledge_as"]))
        self.limit = more["limit"]
        folder = Path(record.job_folder(job, more["teller"]))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / attempt).write_bytes(b"x" * self.size)
        return BroughtHome(str(folder))

    def deliver(self, record, folder, job, *, result, wish, project):
        self.delivered.append((job, wish))
        return BroughtHome(folder, undelivered="still no branch")


@pytest.fixture
def home(monkeypatch, tmp_path):
    return Home(monkeypatch, tmp_path)


def signed(row):
    """The row as the node of an attempt that this controller started gives it."""
    folder = run_folder("r")
    attempt = row.get("attempt", ROW["attempt"])
    key = key_of(read_key(folder), read_history(folder), attempt)
    if key is None or "ended" not in row:
        return row
    return {**row, "ended": {"signature": sign(key, attempt, row["ended"]), **row["ended"]}}


def harvest(*rows, **answers):
    rows = [signed(row) for row in rows]
    link = PlayedLink("n", {"list": listed(*rows), **answers})
    document = _harvest.harvest(play_fleet({"n": link}), None, "r")
    return document, document["attempts"], [verb for verb, _request in link.asked][1:]


ORDER = {"project": "/mine", "title": "docs: as it was asked"}


def recorded(*attempts, failure=None, branch=None, **more):
    """A record of this controller that knows these attempts of the job docs, on the node n."""
    record = RunRecord("r")
    branches = {"docs": branch} if branch else {}
    record.begin({"docs": "digest"}, {}, "me", branches)
    for attempt in attempts:
        entry = {"node": "n", "state": "sent", "store": "s", "job": "docs", **more}
        record.append("attempt", attempt=attempt, **entry)
    if failure:
        record.append("finish", job="docs", **{"class": failure})
    record.close()
    return record


def fetched(attempt, failure=None, **more):
    """The same, with this attempt's harvest at home already."""
    record = recorded(attempt, failure=failure, **more)
    folder = Path(record.job_folder("docs"))
    folder.mkdir()
    (folder / "attempt").write_text(attempt)
    return str(folder)


def test_what_has_ended_is_brought_home_and_acknowledged_and_what_runs_is_left(home):
    folder = recorded("u-1", "u-2").job_folder("docs")
    document, rows, verbs = harvest(ENDED, {"attempt": "u-2", "state": "running", "store": "s"})
    assert home.brought == [("u-1", "docs", None, controller_id())] and verbs == []
    assert document["status"] == "success" and rows[0]["message"] == ""
    assert rows[0]["folder"] == folder and "folder" not in rows[1]
    assert home.limit == HarvestLimit(2 * 10**9)


@pytest.mark.parametrize("branch", [None, ORDER])
def test_what_a_branch_is_made_of_says_this_controller_s_record_alone(home, branch):
    recorded("u-1", "u-2", branch=branch, base="c0")
    theirs = {**ENDED, "deliver": "branch", "controller": controller_id(), "title": "theirs"}
    _document, rows, _verbs = harvest(theirs, {**ENDED, "attempt": "u-2", "deliver": "patch"})
    wish = BranchWish("/mine", "docs: as it was asked", "c0") if branch else None
    assert [wish for _attempt, _job, wish, _me in home.brought] == [wish, wish]
    says = "" if branch else "the record of the run does not say"
    assert says in rows[0]["message"] and rows[1]["message"] == ""


def test_what_the_signature_of_a_good_end_is_worth_is_told(home):
    recorded("u-1", "u-2", "u-3")
    forged = {**ENDED, "ended": {**ENDED["ended"], "signature": "0" * 64}}
    failed = {**forged, "attempt": "u-2", "ended": {**forged["ended"], "class": "agent"}}
    _document, rows, _verbs = harvest(
        forged, failed, {**ENDED, "attempt": "u-3"}, {**ENDED, "attempt": "u-9", "job": "other"}
    )
    told = {row["attempt"]: (row["signature"], row["message"]) for row in rows}
    assert told["u-1"][0] == "wrong" and "its signature is wrong" in told["u-1"][1]
    assert told["u-2"] == (None, "") and told["u-3"] == ("valid", "")
    assert told["u-9"][0] == "unsigned" and "unsigned: this controller has no key" in told["u-9"][1]


def test_a_later_list_that_asks_for_no_branch_leaves_the_attempts_before_it_as_they_were(home):
    recorded("u-1", branch=ORDER)
    recorded("u-2")
    harvest(ENDED, {**ENDED, "attempt": "u-2"})
    assert [wish and wish.project for _attempt, _job, wish, _me in home.brought] == ["/mine", None]


@pytest.mark.parametrize("has_record", [False, True])
def test_what_this_controller_has_no_record_of_is_told_by_the_node_and_becomes_no_branch(
    home, has_record
):
    if has_record:
        recorded("u-9", branch=ORDER)
    mine = {"deliver": "branch", "controller": controller_id(), "title": "t"}
    document, rows, _verbs = harvest({**ENDED, **mine})
    assert home.brought == [("u-1", "docs", None, controller_id())]
    assert rows[0]["folder"].endswith("/runs/r/told-by/n/docs") and rows[0]["told"]
    assert rows[0]["message"].startswith("told by the node") and document["status"] == "success"


def test_a_slow_node_holds_up_no_other_and_the_rows_of_one_come_in_their_order(home, monkeypatch):
    """They are of one run, whose record only one may have open."""
    other_is_home = threading.Event()
    bring_home = home.bring_home

    def play(record, link, attempt, job, **more):
        if attempt == "u-1":
            assert other_is_home.wait(10)
        brought = bring_home(record, link, attempt, job, **more)
        if attempt == "u-4":
            other_is_home.set()
        return brought

    monkeypatch.setattr(_harvest, "bring_home", play)
    links = {
        "slow": PlayedLink("slow", {"list": listed(ENDED, {**ENDED, "attempt": "u-2"})}),
        "quick": PlayedLink(
            "quick",
            {"list": listed(*({**ENDED, "attempt": f"u-{n}", "store": "q"} for n in (3, 4)))},
        ),
    }
    document = _harvest.harvest(play_fleet(links), None, "r")
    assert [attempt for attempt, *_more in home.brought] == ["u-3", "u-4", "u-1", "u-2"]
    assert [row["attempt"] for row in document["attempts"]] == ["u-1", "u-2", "u-3", "u-4"]
    # Nobody has the run any more.
    RunRecord("r").close()


def test_what_a_node_makes_up_fills_the_disk_to_a_limit_only(home, monkeypatch):
    home.size = 300
    recorded("u-1")
    rows = [{**ENDED, "attempt": f"t-{n:02}", "job": f"a{n:02}"} for n in range(6)]
    link = PlayedLink("n", {"list": listed(*rows, {**ENDED, "job": "docs"})})
    limits = []
    bring_home = home.bring_home

    def watched(*args, **more):
        limits.append(more["limit"].bytes)
        return bring_home(*args, **more)

    monkeypatch.setattr(_harvest, "bring_home", watched)
    _harvest.harvest(play_fleet({"n": link}), None, "r", limit=100)
    # The last one is this controller's own.
    assert limits == [100, 100, 100, 100, 0, 0, 100]


@pytest.mark.parametrize(
    ("known", "row"),
    [
        ({"store": "t"}, {}),
        ({"node": "good"}, {}),
        ({"job": "other"}, {}),
        ({}, {"run_id": "honest"}),
        ({}, {"store": None}),
    ],
)
def test_a_row_that_was_not_asked_for_or_that_the_record_contradicts_is_dropped(home, known, row):
    recorded("u-1", **known)
    links = {
        "good": PlayedLink("good", {"list": listed()}),
        "n": PlayedLink("n", {"list": listed({**ENDED, "store": "s", **row})}),
    }
    with pytest.raises(InputError, match="no attempt of r is known"):
        _harvest.harvest(play_fleet(links), None, "r")
    assert home.brought == []


def test_a_node_with_a_new_name_is_known_by_its_store(home):
    recorded("u-1", node="old-name")
    rows = harvest({**ENDED, "store": "s"})[1]
    assert len(home.brought) == 1 and not rows[0]["told"]


def test_ids_that_a_node_makes_up_keep_nobody_from_the_attempt_that_is_known(home):
    recorded("u-1")
    link = PlayedLink("n", {"list": listed(ENDED, {**ENDED, "attempt": "u-11"})})
    document = _harvest.harvest(play_fleet({"n": link}), "u-", None)
    assert [row["attempt"] for row in document["attempts"]] == ["u-1"]


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
    fetched("u-1", "deliver", branch=ORDER)
    rows = harvest(ENDED)[1]
    assert home.delivered == [("docs", BranchWish("/mine", "docs: as it was asked"))]
    assert home.brought == [] and rows[0]["message"] == "fetched before; still no branch"


@pytest.mark.parametrize(
    "error",
    [LinkError("timed out"), TransferError("sync", "no space"), OSError(36, "File name too long")],
)
def test_what_can_not_be_brought_home_fails_with_the_reason(home, error):
    home.error = error
    document, rows, _verbs = harvest(ENDED)
    assert (rows[0]["folder"], rows[0]["message"]) == (None, str(error))
    assert document["status"] == "failed"


@pytest.mark.parametrize("names", [{"job": "../x"}, {"attempt": "../r"}, {"job": "a/b"}])
def test_names_of_a_stranger_that_are_no_names_become_no_paths(home, names):
    rows = harvest({**ENDED, **names})[1]
    assert home.brought == [] and "folder" not in rows[0]


def test_a_run_of_another_name_than_was_asked_for_is_none(home):
    with pytest.raises(InputError, match="no attempt of r is known"):
        harvest({**ENDED, "run_id": "../r"})
    assert home.brought == []


def foresee(*rows, **more):
    link = PlayedLink("n", {"list": listed(*rows)})
    fleet = play_fleet({"n": link})
    document, diff = _harvest.harvest_and_compare(fleet, None, "r", check=True, **more)
    return document, document["attempts"], [verb for verb, _request in link.asked][1:], diff


def test_a_check_says_what_would_be_fetched_and_asks_and_writes_nothing(home, tmp_path):
    document, rows, verbs, _diff = foresee(
        ENDED,
        {**ENDED, "attempt": "u-2", "state": "dead", "ended": None},
        {**ENDED, "attempt": "u-3", "ended": {"class": "harvest"}},
        {"attempt": "u-4", "state": "running"},
        {**ENDED, "attempt": "u-5", "job": "../x"},
    )
    told = {row["attempt"]: (row.get("fetched"), row.get("message")) for row in rows}
    assert told == {
        "u-1": (True, "would be fetched"),
        "u-2": (True, "its supervisor died: its harvest would be made and fetched"),
        "u-3": (True, "its harvest would be made anew and fetched"),
        "u-4": (None, None),
        "u-5": (None, None),
    }
    (first,) = [row for row in rows if row["attempt"] == "u-1"]
    assert first["folder"].endswith("runs/r/told-by/n/docs")
    assert verbs == [] and home.brought == [] and list(tmp_path.iterdir()) == []
    assert document["check"] and _harvest.has_changed(document)


def test_a_check_tells_what_is_at_home_already(home):
    folder = fetched("u-1")
    document, rows, _verbs, _diff = foresee(ENDED)
    assert (rows[0]["folder"], rows[0]["message"]) == (folder, "fetched before")
    assert not _harvest.has_changed(document)


def test_it_has_changed_something_only_if_something_was_fetched(home):
    assert _harvest.has_changed(harvest(ENDED)[0])
    fetched("u-1")
    assert not _harvest.has_changed(harvest(ENDED)[0])
    home.error = LinkError("timed out")
    assert not _harvest.has_changed(harvest({**ENDED, "attempt": "u-2"})[0])


def test_a_branch_that_could_be_made_at_last_is_made_once(home, monkeypatch):
    folder = fetched("u-1", "deliver", branch=ORDER)
    branch = {"branch": "gummy/r/docs", "commit": "c", "base": "b", "note": ""}
    made = []

    def deliver(*_args, **_more):
        made.append(1)
        return BroughtHome(folder, branch)

    monkeypatch.setattr(_harvest, "deliver", deliver)
    assert foresee(ENDED)[1][0]["message"] == "fetched before; its branch would be made"
    assert made == []
    assert _harvest.has_changed(harvest(ENDED)[0])
    assert not _harvest.has_changed(harvest(ENDED)[0]) and made == [1]
    assert not _harvest.has_changed(foresee(ENDED)[0])


def test_a_difference_is_the_patch_made_harmless(home, monkeypatch, tmp_path):
    def fetch(link, attempt, folder, limit):
        Path(folder, "changes.patch").write_text("+++ b/new\n+\x1b[31mred\n")

    monkeypatch.setattr(_harvest, "fetch_harvest", fetch)
    recorded("u-1")
    _document, _rows, _verbs, diff = foresee(ENDED, compare=True)
    red = "+++ b/new\n+\N{REPLACEMENT CHARACTER}[31mred\n"
    assert diff == [{"prepared": f"r/docs on n\n{red}"}]
    assert foresee(ENDED)[3] == []

    def fail(*_args):
        raise TransferError("sync", "away")

    monkeypatch.setattr(_harvest, "fetch_harvest", fail)
    assert foresee(ENDED, compare=True)[3] == []
