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
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.resume import (
    adopt_run,
    take_up,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from job_builder import shell_job
from played import play_fleet

JOB = shell_job()
EDITED = replace(JOB, command="make test")


def history_of(*entries, jobs=(JOB,), run_id="r"):
    """What an earlier call wrote of the first job.

    entries: (attempt, state), or ("finish", status, class).
    """
    record = RunRecord(run_id)
    record.begin(
        {job.name: job.digest() for job in jobs},
        {job.name: job.content() for job in jobs},
        "controller",
    )
    name = jobs[0].name
    for entry in entries:
        if entry[0] == "finish":
            _word, status, failure = entry
            record.append("finish", job=name, status=status, **{"class": failure})
        else:
            attempt, state = entry
            record.append("attempt", attempt=attempt, job=name, node="n", state=state, store="s1")
    record.close()
    return read_history(record.folder)


def plan_of(history, *jobs, only=None, silent=None):
    """What a call of the run makes of what earlier ones left."""
    request = SimpleNamespace(jobs=jobs or (JOB,), only=only)
    return take_up(request, history, silent or {})


def to_do(plan):
    return [job.name for job in plan.to_do]


def statuses(plan):
    return {name: row["status"] for name, row in plan.rows.items()}


# -- what is taken up

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
    plan = plan_of(history_of(*entries))
    assert to_do(plan) == (["a"] if again else [])
    assert plan.found == ([ev.Found(found, "a", "n")] if found else [])
    assert statuses(plan) == ({"a": done} if done else {})


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
    plan = plan_of(history_of(*entries), only="failed")
    assert to_do(plan) == (["a"] if again else [])
    assert bool(plan.found) == found
    assert statuses(plan) == ({"a": status} if status else {})


# -- jobs that were edited


def test_an_edited_job_is_a_new_one_and_the_output_says_so():
    plan = plan_of(history_of(("1", "ended"), GOOD), EDITED)
    assert to_do(plan) == ["a"]
    assert plan.found == [] and plan.rows == {}
    assert plan.notes == ["a was edited: it is a new job (an id would make it the one it was)"]


def test_an_edited_job_with_an_id_is_the_old_one_and_the_output_says_so():
    before = replace(JOB, id="stable")
    history = history_of(("1", "ended"), GOOD, jobs=(before,))
    plan = plan_of(history, replace(before, command="make test"))
    assert to_do(plan) == []
    assert statuses(plan) == {"a": "success"}
    assert plan.notes == [
        "a was edited, and its id says that it is the job it was: what ended or runs is kept"
    ]


def test_of_a_job_that_was_not_edited_nothing_is_said():
    assert plan_of(history_of(("1", "ended"), GOOD)).notes == []


def test_jobs_that_are_no_longer_in_the_list_are_named():
    other = replace(JOB, name="b")
    assert plan_of(history_of(jobs=(JOB, other)), other).notes == [
        "no longer in the list, and left as they are: a"
    ]


# -- nodes that are silent


def test_what_a_silent_node_may_hold_is_not_placed():
    other = replace(JOB, name="b")
    plan = plan_of(history_of(("1", "sent")), JOB, other, silent={"n2": "timed out"})
    assert to_do(plan) == ["a"] and len(plan.found) == 1
    assert statuses(plan) == {"b": "lost"}
    assert "no answer from n2 (timed out), which may have it" in plan.rows["b"]["message"]


def test_a_job_is_not_placed_anew_while_a_silent_node_may_have_a_newer_attempt_of_it():
    history = history_of(("1", "sent"))
    plan = plan_of(history, silent={"n2": "a newer store"})
    assert [event.attempt for event in plan.found] == ["1"]
    (job,) = plan.to_do
    assert "no answer from n2 (a newer store), which may have it" in job.no_more
    assert job.digest() == JOB.digest()

    (job,) = plan_of(history).to_do
    assert job.no_more == ""


# -- gummy_adopt


class AdoptedLink:
    """A link to a node that knows these attempts, and may be told who drives their run.

    rows: None: it gives no answer. meanwhile: attempts that begin before it was told. deaf: it
    can't be told. refuses: the verb that it refuses, and answers with `reason`.
    """

    is_local = True

    def __init__(self, rows):
        self.name = "n"
        self.rows = rows
        self.meanwhile = []
        self.deaf = False
        self.refuses = ""
        self.reason = ""
        # What it was told: (verb, uid, controller).
        self.adopted = []

    def stream(self, verb, request, seconds):
        if self.rows is None:
            raise LinkError("timed out")
        return iter([*self.rows, self._reply(verb, "listed")])

    def call(self, verb, request):
        if self.deaf:
            raise LinkError("timed out")
        self.adopted.append((verb, request["uid"], request["controller"]))
        self.rows = [*self.rows, *self.meanwhile]
        return self._reply(verb, "adopted")

    def _reply(self, verb, state):
        if verb == self.refuses:
            return {"state": "refused", "message": self.reason}
        return {"state": state}


def row(attempt, job="a", begun=1.0, **more):
    return {
        "attempt": attempt,
        "run_id": "r",
        "job": job,
        "begun_at": begun,
        "store": "s",
        "digest": JOB.digest(),
        "acknowledged": False,
        "controller": "other",
        **more,
    }


def links_to(**rows):
    """By the node's name, a link to a node with these attempts."""
    return {name: AdoptedLink(rows_of_node) for name, rows_of_node in rows.items()}


def adopt(links):
    """Take the run over; returns its record, and the nodes that gave no answer."""
    record = RunRecord("r")
    try:
        fleet = play_fleet(links)
        silent = adopt_run(SimpleNamespace(run_id="r"), record, fleet, "me")
    finally:
        record.close()
    return record, silent


def test_a_run_is_taken_over_from_what_the_nodes_know():
    at_home = row("old-2", "b", 2.0, acknowledged=True)
    links = links_to(n1=[row("old-1")], n2=[at_home], n3=None, n4=[])
    record, silent = adopt(links)
    assert record.uid == "old"
    assert silent == {"n3": "timed out"}

    word = ("adopt", "old", "me")
    adopted = {name: link.adopted for name, link in links.items()}
    assert adopted == {"n1": [word], "n2": [word], "n3": [], "n4": [word]}

    history = read_history(record.folder)
    assert {
        name: (entry["node"], entry["state"], entry["store"])
        for name, entry in history.attempts.items()
    } == {
        "old-1": ("n1", "sent", "s"),
        "old-2": ("n2", "sent", "s"),
    }
    # The digest is the job's: the newer attempt counts.
    assert plan_of(history).found == [ev.Found("old-2", "a", "n2")]


def test_what_begins_meanwhile_is_taken_over_too_and_a_node_that_was_not_told_is_silent():
    links = links_to(n1=[row("old-1")], n2=[])
    links["n1"].meanwhile = [row("old-3", "b")]
    links["n2"].deaf = True
    record, silent = adopt(links)
    assert {*read_history(record.folder).attempts} == {"old-1", "old-3"}
    assert silent == {"n2": "timed out"}


@pytest.mark.parametrize(("verb", "reason"), [("list", "a newer store"), ("adopt", "full")])
def test_a_node_that_refuses_is_silent_and_the_record_knows_it_until_it_was_asked(verb, reason):
    links = links_to(n1=[], n2=[row("old-1")])
    links["n1"].refuses = verb
    links["n1"].reason = reason
    record, silent = adopt(links)
    assert silent == {"n1": reason}
    assert read_history(record.folder).silent == ["n1"]

    _record, silent = adopt(links_to(n1=[row("old-2", "b")], n2=[row("old-1")]))
    assert silent == {}
    history = read_history(record.folder)
    assert history.silent == []
    assert {*history.attempts} == {"old-1", "old-2"}


def test_of_several_runs_of_one_name_none_is_taken_over():
    several = "several runs are called r .*bring all but one home first"
    with pytest.raises(InputError, match=several):
        adopt(links_to(n1=[row("x-1")], n2=[row("y-1", controller="third")]))

    at_home = row("x-1", acknowledged=True)
    record, _silent = adopt(links_to(n1=[at_home], n2=[row("y-1", begun=2.0)]))
    assert record.uid == "y"


def test_what_a_node_makes_up_is_not_taken_over():
    rows = [
        row("old-1"),
        row("../../x"),
        row("old-2", "../b"),
        row("nouid"),
        row("old-3", run_id="another"),
        row("old-4", digest=7),
        row("old-5", begun="soon"),
    ]
    record, silent = adopt(links_to(n1=rows))
    assert {*record.history.attempts} == {"old-1"} and silent == {}
    assert record.history.attempts["old-1"]["branch"] is None


def test_of_nodes_that_say_they_have_the_same_attempt_none_is_believed():
    rows = {"evil": [row("old-1", store="evil")], "good": [row("old-1"), row("old-2", "b")]}
    record, silent = adopt(links_to(**rows))
    assert {*record.history.attempts} == set()
    assert {*silent} == {"evil", "good"} and "both say that they have" in silent["good"]


ENDED = {"state": "ended", "ended": {"class": None, "proof": "exit status 0"}}


@pytest.mark.parametrize(
    ("own", "is_taken"),
    [
        ({"state": "running", "ended": None}, False),
        (ENDED, False),
        ({**ENDED, "ended": {"class": "quota", "proof": None}}, True),
        ({**ENDED, "ended": {"class": None, "proof": None}}, True),
        ({"state": "void", "ended": None}, True),
    ],
)
def test_another_node_decides_no_job_of_which_this_controller_has_an_attempt(own, is_taken):
    record = RunRecord("r")
    record.begin({"a": JOB.digest()}, {}, "me")
    record.append("attempt", attempt="old-1", job="a", node="good", state="running", store="s")
    record.close()
    evil = row("old-9", begun=9.0, store="evil", **ENDED)
    record, silent = adopt(links_to(good=[row("old-1", **own)], evil=[evil]))
    assert ("old-9" in record.history.attempts) is is_taken and silent == {}

    # A node that is silent keeps what this controller gave it.
    record, _silent = adopt(links_to(good=None, evil=[{**evil, "attempt": "old-10"}]))
    assert "old-10" not in record.history.attempts


def test_a_run_that_this_controller_knows_is_not_held_up_by_one_that_a_node_makes_up():
    record = RunRecord("r")
    record.uid = "old"
    record.begin({"a": JOB.digest()}, {}, "me")
    record.close()
    record, _silent = adopt(links_to(good=[row("old-1")], evil=[row("new-1", store="evil")]))
    assert record.uid == "old" and {*record.history.attempts} == {"old-1"}
