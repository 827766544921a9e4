"""`logs`: every attempt's log in its row, shown under a head of its own, a line each."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands import logs as _logs
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.logs import logs
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.report import logs_text
from played import PlayedLink, listed, play_fleet


def test_a_log_is_shown_in_lines_wherever_its_pieces_end():
    answers = {
        "list": listed({"state": "ended"}),
        "logs": [
            {"state": "log", "text": "one\ntw"},
            {"state": "log", "text": "o\nthree"},
            {"state": "read", "size": 13},
        ],
    }
    document = logs(play_fleet({"n": PlayedLink("n", answers)}), None, "r")
    assert document["attempts"][0]["log"] == "one\ntwo\nthree"
    assert logs_text(document) == ["== r/docs on n, attempt u-1, ended", "one", "two", "three"]
    assert (document["kind"], document["status"]) == ("logs", "success")


def test_a_log_that_can_not_be_read_hides_no_other_log():
    log = [{"state": "log", "text": "one"}, {"state": "read", "size": 3}]
    rows = listed({"attempt": "u-2", "job": "ui", "state": "ended"})
    links = {
        "a": PlayedLink(
            "a", {"list": listed({"state": "ended"}), "logs": LinkError("text is no text", "reply")}
        ),
        "b": PlayedLink("b", {"list": rows, "logs": log}),
    }
    document = logs(play_fleet(links), None, "r")
    assert logs_text(document) == [
        "== r/docs on a, attempt u-1, ended",
        "(no log: text is no text)",
        "== r/ui on b, attempt u-2, ended",
        "one",
    ]
    assert (document["status"], document["attempts"][0]["message"]) == (
        "failed",
        "no log: text is no text",
    )


def test_of_very_long_logs_the_ends_are_told(monkeypatch):
    monkeypatch.setattr(_logs, "LOGS_MOST", 8)
    rows = listed({"state": "ended"}, {"attempt": "u-2", "job": "ui", "state": "ended"})
    text = [{"state": "log", "text": "0123456\x1b89"}, {"state": "read", "size": 10}]
    document = logs(play_fleet({"n": PlayedLink("n", {"list": rows, "logs": text})}), None, "r")
    assert [row["log"] for row in document["attempts"]] == ["6\N{REPLACEMENT CHARACTER}89"] * 2


def read(state, *replies, fails=None):
    """What is shown below the head, and how that is judged."""

    class Leaving(PlayedLink):
        def stream(self, verb, request, seconds):
            yield from super().stream(verb, request, seconds)
            if verb == "logs" and fails is not None:
                raise fails

    link = Leaving("n", {"list": listed({"state": state}), "logs": list(replies)})
    document = logs(play_fleet({"n": link}), None, "r")
    return logs_text(document)[1:], document["status"], document["attempts"][0].get("message")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("ended", "its log is empty"),
        ("running", "its log is empty so far"),
        ("void", "it never began, so it has no log"),
    ],
)
def test_an_empty_log_is_said_to_be_empty(state, message):
    assert read(state, {"state": "read", "size": 0}) == ([f"({message})"], "success", message)


@pytest.mark.parametrize(
    ("fails", "why"),
    [
        (LinkError("no route to n"), "no route to n"),
        (None, "the answer of n is cut short: try again"),
    ],
)
def test_of_a_node_that_goes_away_in_the_middle_is_shown_what_came_and_why_it_stops(fails, why):
    stops = f"the log stops here: {why}"
    shown = read("running", {"state": "log", "text": "one\ntw"}, fails=fails)
    assert shown == (["one", "tw", f"({stops})"], "failed", stops)


def test_a_node_that_refuses_is_told_in_its_words():
    reply = {"state": "refused", "class": "refused", "blame": "node", "message": "a full disk"}
    assert read("ended", reply) == (
        ["(no log: a full disk)"],
        "failed",
        "no log: a full disk",
    )
