"""`logs`: every attempt under a head of its own, a line each."""

from __future__ import annotations

from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.logs import logs
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
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
    lines = []
    document = logs(play_fleet({"n": PlayedLink("n", answers)}), None, "r", lines.append)
    assert lines == ["== r/docs on n, attempt u-1, ended", "one", "two", "three"]
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
    lines = []
    document = logs(play_fleet(links), None, "r", lines.append)
    assert lines == [
        "== r/docs on a, attempt u-1, ended",
        "no log: text is no text",
        "== r/ui on b, attempt u-2, ended",
        "one",
    ]
    assert (document["status"], document["attempts"][0]["message"]) == ("failed", "text is no text")
