"""What a word means among what nodes tell: what this controller knows is never hidden or stolen."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.find_attempts import (
    find_attempts,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import RunRecord
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from played import ROW, PlayedLink, play_fleet


class Node(PlayedLink):
    """Tells its attempts, and of these what was asked for, as a node does; or it is silent."""

    def __init__(self, name, *rows):
        super().__init__(name, None)
        self.rows = [{**ROW, "store": name, **row} for row in rows]

    def stream(self, verb, request, seconds):
        self.asked.append((verb, request))
        if self.rows and self.rows[0]["state"] == "silent":
            raise LinkError("timed out")
        word = request.get("word", "")
        for row in self.rows:
            called = row["attempt"].startswith(word) or row["job"] == word
            if called and request.get("run_id") in (None, row["run_id"]):
                yield row
        yield {"state": "listed"}


SILENT = {"state": "silent"}


def row(name, attempt, state="running", **more):
    run_id, job = name.split("/")
    return {"run_id": run_id, "job": job, "attempt": attempt, "state": state, **more}


@pytest.fixture
def record(monkeypatch, tmp_path):
    """Note in this controller's record: RUN/name, attempt, node, state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def note(name, attempt, node, state="running", **end):
        run_id, job = name.split("/")
        run = RunRecord(run_id)
        run.begin({job: f"digest of {name}"}, {}, "c")
        if attempt is not None:
            where = {"node": node, "state": state, "store": node}
            run.append("attempt", attempt=attempt, job=job, **where)
        if end:
            run.append("finish", job=job, **end)
        run.close()

    return note


def find(nodes, job, run_id=None):
    """The attempts and where they are, or what is said instead."""
    links = {name: Node(name, *rows) for name, rows in nodes.items()}
    try:
        rows, _silent = find_attempts(play_fleet(links), job, run_id)
    except InputError as exc:
        return str(exc)
    return [(row["attempt"], row["node"]) for row in rows]


# -- the forms


@pytest.mark.parametrize("word", ["docs", "r/docs", "aa-1", "aa", "aa-"])
def test_a_job_is_found_in_every_form_that_people_see(record, word):
    record("r/docs", "aa-1", "n")
    record("r/ui", "bb-1", "n")
    nodes = {"n": [row("r/docs", "aa-1"), row("r/ui", "bb-1")], "m": []}
    assert find(nodes, word) == [("aa-1", "n")]


@pytest.mark.parametrize("word", ["docs", "r/docs"])
def test_a_job_s_name_means_all_of_its_attempts_as_run_and_name_do(record, word):
    record("r/docs", "aa-1", "n")
    nodes = {"n": [row("r/docs", "aa-1", "ended")], "m": [row("r/docs", "cc-1")]}
    # The second was begun by another controller that went on with the run.
    assert find(nodes, word) == [("aa-1", "n"), ("cc-1", "m")]


def test_nodes_are_asked_once_and_only_for_what_the_word_fits():
    link = Node("n", row("r/docs", "aa-1"))
    find_attempts(play_fleet({"n": link}), "docs", None)
    assert link.asked == [("list", {"run_id": None, "word": "docs"})]


def test_a_name_that_two_runs_have_is_refused_with_the_state_of_each(record):
    record("r/docs", "aa-1", "n")
    record("s/docs", "bb-1", "m")
    nodes = {
        "n": [row("r/docs", "aa-1")],
        "m": [row("s/docs", "bb-1", "ended", ended={"class": "verify"})],
    }
    assert find(nodes, "docs") == (
        "gummy_job=docs fits 2: r/docs (running on n, attempt aa-1), "
        "s/docs (failed (verify) on m, attempt bb-1); give RUN/name, or more of an attempt's id"
    )
    assert find(nodes, "docs", "s") == [("bb-1", "m")]


def test_a_name_that_is_also_the_beginning_of_another_job_s_attempt_is_refused(record):
    record("r/aa", "bb-1", "n")
    record("r/ui", "aa-1", "n")
    nodes = {"n": [row("r/aa", "bb-1"), row("r/ui", "aa-1")]}
    assert find(nodes, "aa").startswith("gummy_job=aa fits 2: r/aa (running on n, attempt bb-1)")
    assert find(nodes, "aa-1") == [("aa-1", "n")]


def test_an_attempt_whose_id_begins_like_its_own_job_is_called_is_no_second_meaning(record):
    record("r/aa", "aa-1", "n")
    assert find({"n": [row("r/aa", "aa-1")]}, "aa") == [("aa-1", "n")]


# -- nodes that lie


LIES = [
    # The word is made whole, short of an attempt's id, or is given to jobs.
    row("x/docs", "evil-1"),
    row("x/docs", "evil-2", "ended"),
    row("x/y", "aa"),
    row("x/y", "aa-2"),
    row("x/y", "docs"),
    row("x/aa", "evil-3"),
    row("x/aa-1", "evil-4"),
]


@pytest.mark.parametrize("word", ["docs", "aa-1", "aa", "aa-", "r/docs"])
@pytest.mark.parametrize("lies", [LIES, LIES[::-1], *([lie] for lie in LIES)])
def test_no_made_up_row_hides_or_steals_an_attempt_that_is_known(record, word, lies):
    record("r/docs", "aa-1", "good")
    assert find({"evil": lies, "good": [row("r/docs", "aa-1")]}, word) == [("aa-1", "good")]


@pytest.mark.parametrize("word", ["docs", "aa-1", "aa", "aa-"])
def test_no_made_up_row_stands_in_for_an_attempt_whose_node_is_silent(record, word):
    record("r/docs", "aa-1", "good")
    said = find({"evil": [*LIES, row("x/docs", "aa-1")], "good": [SILENT]}, word)
    assert said == (
        f"gummy_job={word} is r/docs (attempt aa-1 on good, which gives no answer: timed out): "
        "call again when it answers"
    )
    said = find({"evil": LIES}, word)
    assert "attempt aa-1 on good, which is not among the hosts of this play" in said


def test_a_job_of_a_silent_node_is_a_meaning_too(record):
    record("r/docs", "aa-1", "n")
    record("s/docs", "bb-1", "m")
    said = find({"n": [row("r/docs", "aa-1")], "m": [SILENT]}, "docs")
    assert said.startswith("gummy_job=docs fits 2: ") and "m, which gives no answer" in said


def test_what_is_at_home_and_gone_from_its_node_is_no_second_meaning(record):
    record("old/docs", "aa-0", "n", "fetched", status="success")
    record("r/docs", "bb-1", "n")
    assert find({"n": [row("r/docs", "bb-1")]}, "docs") == [("bb-1", "n")]
    assert find({"n": [row("r/docs", "bb-1")], "m": []}, "docs") == [("bb-1", "n")]


def test_what_only_the_record_has_is_told_with_its_state_and_is_not_what_another_node_tells(record):
    end = {"status": "failed", "class": "agent"}
    record("old/docs", "aa-0", "n", "fetched", **end)
    said = find({"n": [row("x/docs", "evil-1")]}, "docs")
    assert said.startswith(
        "no node that answers has anything of docs; this controller's records have "
        "old/docs (failed (agent))"
    )
    assert "by the word of their nodes alone there are x/docs (running on n)" in said
    assert find({"n": [row("x/docs", "evil-1")]}, "x/docs") == [("evil-1", "n")]


def test_a_job_that_has_not_begun_is_known(record):
    record("r/docs", None, None)
    said = find({"n": [row("x/docs", "evil-1")]}, "docs")
    assert "this controller's records have r/docs (not begun)" in said


def test_what_no_record_knows_is_found_by_the_word_of_its_node():
    nodes = {"n": [row("r/docs", "aa-1")], "m": [row("r/ui", "aa-12")]}
    assert find(nodes, "docs") == [("aa-1", "n")]
    # Who typed a whole id means that one.
    assert find(nodes, "aa-1") == [("aa-1", "n")]
    assert find(nodes, "aa").startswith("gummy_job=aa fits 2: ")


# -- what is nearest


def test_an_unknown_word_is_answered_with_the_nearest_names_and_their_states(record):
    record("r/docs", "aa-1", "n")
    record("r/docks", "bb-1", "gone", "fetched", status="success")
    good = {"class": None, "proof": "exit status 0"}
    nodes = {"n": [row("r/docs", "aa-1"), row("r/ui", "cc-1", "ended", ended=good)], "m": []}
    nearest = "r/docs (running on n), r/docks (success)"
    assert find(nodes, "docss") == f"no attempt of docss is known to n, m; the nearest: {nearest}"
    assert find(nodes, "r/docsx").endswith(f"the nearest: {nearest}")
    assert find(nodes, "cc-2").endswith("the nearest: r/ui (success on n)")
    assert find(nodes, "zzz").endswith(
        "known: r/docs (running on n), r/docks (success), r/ui (success on n)"
    )
    assert find(nodes, None, "rr").endswith(
        "no attempt of rr is known to n, m; the nearest: r (1 running, 2 success)"
    )
    assert find(nodes, "docss", "r").startswith("no attempt of docss in run r is known to n, m; ")
    # What the records have and no node tells.
    assert find({"n": []}, "docss").endswith(f"the nearest: {nearest}")
    assert find({"n": []}, "r/docks") == (
        "no attempt of r/docks is known to n; this controller's records have r/docks (success)"
    )


def test_who_gives_a_run_s_name_as_a_job_is_told_so(record):
    record("release/docs", "aa-1", "n")
    assert find({"n": [row("release/docs", "aa-1")]}, "release").endswith(
        "it is the name of a run: give gummy_run_id=release, or release/NAME of a job"
    )


def test_made_up_rows_do_not_crowd_out_what_is_known(record):
    record("r/docs", "aa-1", "n")
    made_up = [row("x/docss1", f"e-{number}", begun_at=9e9) for number in range(3000)]
    said = find({"evil": made_up, "n": [row("r/docs", "aa-1")]}, "docss")
    assert said.endswith("the nearest: r/docs (running on n), x/docss1 (running on evil)")


def test_a_node_s_word_of_a_good_end_with_a_wrong_signature_is_unproven(record):
    record("r/docs", "aa-1", "n")
    good = {"class": None, "proof": "verify", "signature": "0" * 64}
    said = find({"n": [row("r/docs", "aa-1", "ended", ended=good)]}, "docsx")
    assert said.endswith("the nearest: r/docs (unproven on n)")
