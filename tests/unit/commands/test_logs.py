"""`logs`: every attempt under a head of its own, a line each."""

from __future__ import annotations

from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.logs import logs
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
