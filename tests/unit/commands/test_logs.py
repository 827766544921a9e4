"""`logs`: every attempt's log in its row, shown under a head of its own, a line each."""

from __future__ import annotations

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
        "no log: text is no text",
        "== r/ui on b, attempt u-2, ended",
        "one",
    ]
    assert (document["status"], document["attempts"][0]["message"]) == ("failed", "text is no text")


def test_of_very_long_logs_the_ends_are_told_and_an_empty_one_says_so(monkeypatch):
    monkeypatch.setattr(_logs, "LOGS_MOST", 8)
    rows = listed({"state": "ended"}, {"attempt": "u-2", "job": "ui", "state": "ended"})
    text = [{"state": "log", "text": "0123456\x1b89"}, {"state": "read", "size": 10}]
    document = logs(play_fleet({"n": PlayedLink("n", {"list": rows, "logs": text})}), None, "r")
    assert [row["log"] for row in document["attempts"]] == ["6\N{REPLACEMENT CHARACTER}89"] * 2

    nothing = {"list": listed({"state": "ended"}), "logs": [{"state": "read", "size": 0}]}
    document = logs(play_fleet({"n": PlayedLink("n", nothing)}), None, "r")
    assert logs_text(document)[1:] == ["the log is empty"]
