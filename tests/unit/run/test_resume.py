"""What a resumed run takes up, does anew, leaves alone, and says of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import (
    RunRecord,
    read_history,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet.fleet import Fleet
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.resume import (
    adopt_run,
    take_up,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from job_builder import shell_job

JOB = shell_job()
EDITED = replace(JOB, command="make test")


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def written(*entries, jobs=(JOB,), run_id="r"):
    """What an earlier call wrote:

    (attempt, state) or ("finish", status, class), of the first job.
    """
    record = RunRecord(run_id)
    record.begin(
        {job.name: job.digest() for job in jobs},
        {job.name: job.content() for job in jobs},
        "controller",
    )
    for entry in entries:
        if entry[0] == "finish":
            record.append("finish", job=jobs[0].name, status=entry[1], **{"class": entry[2]})
        else:
            record.append(
                "attempt", attempt=entry[0], job=jobs[0].name, node="n", state=entry[1], store="s1"
            )
    record.close()
    return read_history(record.folder)


def taken(history, *jobs, only=None, silent=None):
    left = take_up(SimpleNamespace(jobs=jobs or (JOB,), only=only), history, silent or {})
    return (
        [job.name for job in left.to_do],
        left.found,
        {name: row["status"] for name, row in left.rows.items()},
        left,
    )


GOOD = ("finish", "success", None)
BAD = ("finish", "failed", "agent")
LOST = ("finish", "lost", "lost")


@pytest.mark.parametrize(
    ("entries", "again", "found", "done"),
    [
        ([], True, None, None),
        ([("1", "reserved")], True, None, None),
        ([("1", "reserved"), ("1", "void")], True, None, None),
        ([("1", "reserved"), ("1", "sent")], True, "1", None),
        ([("1", "sent"), ("1", "running")], True, "1", None),
        ([("1", "sent"), ("1", "void"), ("2", "reserved"), ("2", "sent")], True, "2", None),
        ([("1", "running"), ("1", "ended")], True, "1", None),
        ([("1", "ended"), GOOD], False, None, "success"),
        ([("1", "reserved"), ("1", "void"), ("finish", "failed", "input")], True, None, None),
        ([("1", "ended"), ("finish", "unproven", None)], False, None, "unproven"),
        ([("1", "ended"), BAD], False, None, "failed"),
        # Its supervisor died, and what it left is here.
        ([("1", "ended"), ("finish", "failed", "lost")], False, None, "failed"),
        ([("1", "ended"), ("finish", "cancelled", "cancelled")], False, None, "cancelled"),
        ([("1", "ended"), ("finish", "failed", "harvest")], True, "1", None),
        ([("1", "lost"), LOST], True, "1", None),
        ([("1", "void"), ("finish", "failed", "unreachable")], True, None, None),
        ([("1", "lost"), LOST, ("1", "ended"), GOOD], False, None, "success"),
    ],
)
def test_resume_asks_for_what_may_have_started_and_repeats_only_what_did_not(
    entries, again, found, done
):
    events = [ev.Found(found, "a", "n")] if found else []
    assert taken(written(*entries))[:3] == (
        ["a"] if again else [],
        events,
        {"a": done} if done else {},
    )


@pytest.mark.parametrize(
    ("entries", "again", "found", "status"),
    [
        ([("1", "ended"), BAD], True, False, None),
        ([("1", "ended"), ("finish", "failed", "harvest")], True, False, None),
        ([("1", "ended"), ("finish", "unproven", None)], True, False, None),
        ([("1", "ended"), ("finish", "cancelled", "cancelled")], True, False, None),
        ([("1", "ended"), BAD, ("2", "running")], True, False, None),
        ([("1", "ended"), GOOD], False, False, "success"),
        # It may still run: only asking tells.
        ([("1", "lost"), LOST], True, True, None),
        ([("1", "running")], True, True, None),
        ([], False, False, "waiting"),
    ],
)
def test_only_failed_does_the_failed_ones_anew_and_begins_no_other(entries, again, found, status):
    jobs, events, rows, _left = taken(written(*entries), only="failed")
    assert (jobs, bool(events), rows) == (
        ["a"] if again else [],
        found,
        {"a": status} if status else {},
    )


def test_an_edited_job_is_a_new_one_or_the_old_one_by_its_id_and_the_output_says_which():
    again, found, rows, left = taken(written(("1", "ended"), GOOD), EDITED)
    assert (again, found, rows, left.notes) == (
        ["a"],
        [],
        {},
        ["a was edited: it is a new job (an id would make it the one it was)"],
    )
    same = replace(JOB, id="stable")
    again, _found, rows, left = taken(
        written(("1", "ended"), GOOD, jobs=(same,), run_id="r2"), replace(same, command="make test")
    )
    assert (again, rows, left.notes) == (
        [],
        {"a": "success"},
        ["a was edited, and its id says that it is the job it was: what ended or runs is kept"],
    )
    assert taken(written(("1", "ended"), GOOD, run_id="r3"))[3].notes == []


def test_jobs_that_are_no_longer_in_the_list_are_named():
    other = replace(JOB, name="b")
    assert taken(written(jobs=(JOB, other)), other)[3].notes == [
        "no longer in the list, and left as they are: a"
    ]


def test_what_a_silent_node_may_hold_is_not_placed():
    other = replace(JOB, name="b")
    jobs, found, rows, left = taken(written(("1", "sent")), JOB, other, silent={"n2": "timed out"})
    assert (jobs, len(found), rows) == (["a"], 1, {"b": "lost"})
    assert "no answer from n2 (timed out), which may have it" in left.rows["b"]["message"]


def test_a_job_whose_known_attempt_may_be_void_is_not_placed_anew_while_a_silent_node_may_have_a_newer_one():
    left = taken(written(("1", "sent")), silent={"n2": "a newer store"})[3]
    assert [event.attempt for event in left.found] == [
        "1"
    ] and "no answer from n2 (a newer store), which may have it" in left.to_do[0].no_more
    assert (
        left.to_do[0].digest() == JOB.digest()
        and taken(written(("1", "sent")))[3].to_do[0].no_more == ""
    )


# -- gummy_adopt


class FakeLink:
    def __init__(self, rows):
        self.rows = rows
        self.told = []
        self.meanwhile = []
        self.deaf = False
        self.name = "n"
        self.refuses = ""

    def stream(self, verb, request, seconds):
        if self.rows is None:
            raise LinkError("timed out")
        return iter(
            [
                *self.rows,
                {"state": "refused", "message": "a newer store"}
                if self.refuses == verb
                else {"state": "listed"},
            ]
        )

    def call(self, verb, request):
        if self.deaf:
            raise LinkError("timed out")
        self.told.append((verb, request["uid"], request["controller"]))
        self.rows = [*self.rows, *self.meanwhile]
        return (
            {"state": "refused", "message": "full"}
            if self.refuses == verb
            else {"state": "adopted"}
        )


def row(attempt, job="a", begun=1.0, **more):
    return {
        "attempt": attempt,
        "job": job,
        "begun_at": begun,
        "store": "s",
        "digest": JOB.digest(),
        "acknowledged": False,
        "controller": "other",
        **more,
    }


def adopt(prepare=lambda links: None, **nodes):
    links = {name: FakeLink(rows) for name, rows in nodes.items()}
    prepare(links)
    record = RunRecord("r")
    try:
        fleet = Fleet(
            nodes=tuple(map(Node, links)),
            fallback=None,
            make_link=links.__getitem__,
            measure=None,
            config=None,
        )
        silent = adopt_run(SimpleNamespace(run_id="r"), record, fleet, "me")
    finally:
        record.close()
    return record, silent, links


def test_a_run_is_taken_over_from_what_the_nodes_know():
    record, silent, links = adopt(
        n1=[row("old-1")], n2=[row("old-2", "b", 2.0, acknowledged=True)], n3=None, n4=[]
    )
    told = [("adopt", "old", "me")]
    assert record.uid == "old" and silent == {"n3": "timed out"}
    assert {name: link.told for name, link in links.items()} == {
        "n1": told,
        "n2": told,
        "n3": [],
        "n4": told,
    }
    history = read_history(record.folder)
    assert {
        name: (entry["node"], entry["state"], entry["store"])
        for name, entry in history.attempts.items()
    } == {
        "old-1": ("n1", "sent", "s"),
        "old-2": ("n2", "sent", "s"),
    }
    # The digest is the job's: the newer attempt counts.
    assert taken(history)[1] == [ev.Found("old-2", "a", "n2")]


def test_what_begins_while_a_run_is_taken_over_is_taken_over_too_and_a_node_that_was_not_told_counts_as_silent():
    def prepare(links):
        links["n1"].meanwhile = [row("old-3", "b")]
        links["n2"].deaf = True

    record, silent, _links = adopt(prepare, n1=[row("old-1")], n2=[])
    assert {*read_history(record.folder).attempts} == {"old-1", "old-3"} and silent == {
        "n2": "timed out"
    }


@pytest.mark.parametrize(("verb", "reason"), [("list", "a newer store"), ("adopt", "full")])
def test_a_node_that_refuses_to_tell_or_to_be_told_is_silent_and_the_record_knows_until_it_was_asked(
    verb, reason
):
    def prepare(links):
        links["n1"].refuses = verb

    record, silent, _links = adopt(prepare, n1=[], n2=[row("old-1")])
    assert silent == {"n1": reason} and read_history(record.folder).silent == ["n1"]
    assert adopt(n1=[row("old-2", "b")], n2=[row("old-1")])[1] == {}
    history = read_history(record.folder)
    assert history.silent == [] and {*history.attempts} == {"old-1", "old-2"}


def test_of_several_runs_of_one_name_none_is_taken_over():
    with pytest.raises(
        InputError, match="several runs are called r .*bring all but one home first"
    ):
        adopt(n1=[row("x-1")], n2=[row("y-1", controller="third")])
    record, _silent, _links = adopt(n1=[row("x-1", acknowledged=True)], n2=[row("y-1", begun=2.0)])
    assert record.uid == "y"
