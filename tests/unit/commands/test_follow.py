"""`logs` that follow: what is asked for again, what is told, and when it ends."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands import follow as _follow
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.logs import (
    LogsView,
    followed_logs,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.report import logs_text
from played import PlayedLink, listed, play_fleet

ENDED = {"class": None, "proof": "exit status", "message": ""}
CUT = LinkError("n is away", "unreachable")


def piece(text, size, attempt="u-1"):
    return {"state": "piece", "attempt": attempt, "text": text, "size": size}


def mark(state, attempt="u-1"):
    return {"state": state, "attempt": attempt}


PAUSED = {"state": "paused"}


class FollowedLink(PlayedLink):
    """Lists rows and answers `follow` from lists, the last of which is repeated."""

    def __init__(self, name, lists, follows):
        super().__init__(name, {})
        self._lists = list(lists)
        self._follows = list(follows)

    def stream(self, verb, request, seconds):
        self.asked.append((verb, request))
        answers = self._lists if verb == "list" else self._follows
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return self._given(answer)

    def _given(self, answer):
        for each in answer if isinstance(answer, list) else [answer]:
            if isinstance(each, Exception):
                raise each
            yield each

    def offsets(self):
        return [request["offsets"] for verb, request in self.asked if verb == "follow"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(_follow, "PAUSE", 0.01)
    monkeypatch.setattr(_follow, "STOP_LOOK", 0.02)


def play(*links, view=LogsView(), run_id="r"):  # noqa: B008
    told = []
    fleet = play_fleet({link.name: link for link in links})
    document = followed_logs(fleet, None, run_id, view, told.append)
    return document, [(each.row["attempt"], each.what, each.text) for each in told]


def test_a_log_is_told_as_it_comes_and_asked_for_from_where_it_is():
    link = FollowedLink(
        "n",
        [listed({}), listed({"state": "ended", "ended": ENDED})],
        [
            [piece("one\n", 4), mark("reached"), PAUSED],
            [piece("two\n", 8), mark("over"), PAUSED],
        ],
    )
    document, told = play(link)
    assert told == [
        ("u-1", "begun", ""),
        ("u-1", "piece", "one\n"),
        ("u-1", "reached", ""),
        ("u-1", "piece", "two\n"),
        ("u-1", "over", ""),
    ]
    assert link.offsets() == [{"u-1": -1}, {"u-1": 4}]
    assert (document["status"], document["followed"]) == ("success", True)
    assert document["attempts"][0]["log"] == "one\ntwo\n"
    assert logs_text(document) == ["== r/docs on n, attempt u-1, success"]


def test_a_connection_that_breaks_off_costs_no_byte_and_is_told_once():
    link = FollowedLink(
        "n",
        [listed({}), listed({"state": "ended", "ended": ENDED})],
        [
            [piece("one\n", 4), CUT],
            CUT,
            [piece("two\n", 8), mark("reached")],
            [piece("three\n", 14), mark("over"), PAUSED],
        ],
    )
    document, told = play(link)
    assert [text for _attempt, what, text in told if what == "piece"] == [
        "one\n",
        "two\n",
        "three\n",
    ]
    assert link.offsets() == [{"u-1": -1}, {"u-1": 4}, {"u-1": 4}, {"u-1": 8}]
    notes = [text for _attempt, what, text in told if what == "note"]
    assert len(notes) == 1 and notes[0].startswith("n is away; the log goes on")
    assert document["status"] == "success"


def test_attempts_that_begin_meanwhile_are_followed_too():
    later = {"attempt": "u-2", "job": "ui"}
    link = FollowedLink(
        "n",
        [
            listed({}),
            listed({"state": "ended", "ended": ENDED}, later),
            listed({"state": "ended", "ended": ENDED}, {**later, "state": "ended", "ended": ENDED}),
        ],
        [
            [piece("one\n", 4), mark("over"), PAUSED],
            [piece("late\n", 5, "u-2"), mark("over", "u-2"), PAUSED],
        ],
    )
    document, told = play(link)
    assert [each for each in told if each[1] == "piece"] == [
        ("u-1", "piece", "one\n"),
        ("u-2", "piece", "late\n"),
    ]
    assert [row["state"] for row in document["attempts"]] == ["ended", "ended"]


def test_a_node_that_stays_silent_is_given_up_and_hides_no_other(monkeypatch):
    monkeypatch.setattr(_follow, "SILENT_MOST", 0.1)
    good = FollowedLink(
        "b",
        [listed({"attempt": "u-2", "job": "ui", "state": "ended", "ended": ENDED})],
        [[piece("x\n", 2, "u-2"), mark("reached", "u-2"), mark("over", "u-2"), PAUSED]],
    )
    bad = FollowedLink("a", [listed({})], [CUT])
    document, told = play(bad, good)
    assert ("u-2", "piece", "x\n") in told and document["status"] == "failed"
    (why,) = [text for _attempt, what, text in told if what == "given_up"]
    assert why.startswith("n is away; not asked any more")
    assert document["attempts"][0]["message"] == why


def test_a_refusal_is_told_as_one(monkeypatch):
    monkeypatch.setattr(_follow, "SILENT_MOST", 0.05)
    refused = {"state": "refused", "message": "no such thing", "class": "input", "blame": "node"}
    _document, told = play(FollowedLink("n", [listed({})], [[refused]]))
    assert any(text.startswith("no such thing; ") for _attempt, _what, text in told)


def test_what_is_told_of_another_attempt_is_dropped():
    link = FollowedLink(
        "n",
        [listed({}), listed({"state": "ended", "ended": ENDED})],
        [[piece("evil\n", 5, "u-9"), piece("x\n", 2), mark("over"), mark("over", "u-9"), PAUSED]],
    )
    _document, told = play(link)
    assert [text for _attempt, what, text in told if what == "piece"] == ["x\n"]


def test_a_word_that_fits_nothing_is_an_error_before_anything_is_told():
    with pytest.raises(InputError):
        play(FollowedLink("n", [listed()], [[PAUSED]]))


def test_an_attempt_that_never_began_is_not_waited_for():
    document, told = play(FollowedLink("n", [listed({"state": "void"})], [[PAUSED]]))
    assert told == [] and document["attempts"][0]["log"] == ""


def test_of_a_long_log_the_end_is_kept(monkeypatch):
    from ansible_collections.distributed.gummy.plugins.plugin_utils._commands import logs as _logs

    monkeypatch.setattr(_logs, "FOLLOWED_MOST", 4)
    link = FollowedLink(
        "n",
        [listed({"state": "ended", "ended": ENDED})],
        [[piece("0123", 4), piece("4567", 8), piece("89", 10), mark("over"), PAUSED]],
    )
    document, _told = play(link)
    assert document["attempts"][0]["log"] == "6789"
