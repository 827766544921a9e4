"""Which attempts are meant by what a person types, and what is said when none is."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.find_attempts import (
    ask_about,
    attempts_document,
    find_attempts,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from played import PlayedLink, listed, play_fleet


def fleet_of(**answers):
    return play_fleet({name: PlayedLink(name, answer) for name, answer in answers.items()})


def ids(fleet, job=None, run_id=None):
    rows, _silent = find_attempts(fleet, job, run_id)
    return [(row["attempt"], row["node"]) for row in rows]


def test_attempts_are_found_by_run_by_prefix_and_by_name_sorted_by_job():
    fleet = fleet_of(a=listed({"attempt": "u-2", "job": "ui"}, {}), b=LinkError("timed out"))
    assert ids(fleet, run_id="r") == [("u-1", "a"), ("u-2", "a")]
    assert ids(fleet, "r/ui") == [("u-2", "a")]
    asked = fleet.make_link("a").asked
    assert [request for _verb, request in asked] == [
        {"run_id": "r"},
        {"run_id": "r"},
    ]
    assert find_attempts(fleet, None, "r")[1] == {"b": "timed out"}
    assert ids(fleet_of(a=listed({})), "u-", "r") == [("u-1", "a")]


def test_two_names_of_one_store_tell_an_attempt_once():
    assert len(ids(fleet_of(a=listed({}), b=listed({})), run_id="r")) == 1


@pytest.mark.parametrize(
    ("job", "run_id", "sentence"),
    [
        (None, None, "say which: gummy_job=NAME"),
        ("../x", None, "gummy_job='../x' is no job"),
        ("u", None, "gummy_job=u fits 2: r/docs (running on a, attempt u-1), r/docs ("),
        ("r/dcs", None, "no attempt of r/dcs is known to a, b; the nearest: r/docs (running on "),
        (None, "q", "no attempt of q is known to a, b; known: r (1 running)"),
    ],
)
def test_what_fits_nothing_or_too_much_is_an_input_error_with_the_nearest(job, run_id, sentence):
    class Picky(PlayedLink):
        """Knows one run, as a node does."""

        def stream(self, verb, request, seconds):
            unfit = request.get("run_id") not in (None, "r")
            return iter(listed()) if unfit else super().stream(verb, request, seconds)

    links = {"a": Picky("a", listed({})), "b": Picky("b", listed({"attempt": "u-2"}))}
    with pytest.raises(InputError) as refused:
        find_attempts(play_fleet(links), job, run_id)
    assert str(refused.value).startswith(sentence)


def test_who_gave_no_answer_is_named_when_nothing_is_found():
    with pytest.raises(InputError, match=r"known to any node; .*no answer from a \(timed out\)"):
        find_attempts(fleet_of(a=LinkError("timed out")), "x", None)


def test_a_node_whose_rows_are_not_all_valid_is_named_and_its_others_are_found():
    fleet = fleet_of(a=listed({}), b=listed({"attempt": "u-2"}))
    fleet.make_link("b").invalid_rows = "1 of its rows are not valid, the last one: job is no text"
    rows, silent = find_attempts(fleet, None, "r")
    assert [row["attempt"] for row in rows] == ["u-1", "u-2"]
    assert silent == {"b": "1 of its rows are not valid, the last one: job is no text"}


def test_a_row_takes_what_its_node_says_of_it_or_why_it_says_nothing():
    link = PlayedLink("a", [{"state": "ended", "store": "s", "class": "agent", "message": "m"}])
    row = {"attempt": "u-1", "state": "running", "link": link}
    ask_about(row, "cancel")
    assert row["state"] == "ended" and row["ended"] == {"class": "agent", "message": "m"}
    assert link.asked == [("cancel", {"attempt": "u-1"})]
    row["link"] = PlayedLink("a", LinkError("timed out"))
    ask_about(row, "cancel")
    assert (row["state"], row["message"]) == ("ended", "timed out")


def test_a_document_shows_neither_links_nor_stores():
    rows = [{"attempt": "u-1", "link": object(), "store": "s"}]
    document = attempts_document("logs", rows, {"b": "why"}, failed=True)
    keys = ["schema_version", "kind", "status", "check", "attempts", "no_answer"]
    assert list(document) == keys
    assert (document["attempts"], document["status"]) == ([{"attempt": "u-1"}], "failed")
