"""What people see of a run while it goes on, and the end of a failed job's log."""

from __future__ import annotations

import json

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import onlooker as _onlooker
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import watch as _watch
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.log_tail import (
    LINES_MOST,
    log_tail,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.onlooker import Onlooker
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.replies import Answer
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.results import AttemptLog
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.verbs import Links
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.watch import Watches
from played_nodes import WATCHING, PlayedLink, wait_for

SIGNS = {
    "quiet": 0.0,
    "at": 1.0,
    "waits": "",
    "words": "12 passed",
    "cost_usd": None,
    "turns": None,
    "tokens": None,
}


@pytest.fixture
def seen(monkeypatch):
    monkeypatch.setattr(_onlooker, "EVERY", 0.0)
    return []


def test_jobs_run_from_their_start_to_their_end(seen):
    onlooker = Onlooker(3, seen.append, print)
    log = AttemptLog("u-1", "a", "n")
    for state in ("reserved", "sent", "running", "running"):
        log.state = state
        onlooker.see_state(log)
    log.signs = SIGNS
    onlooker.look(None)
    (job,) = seen[-1].running
    assert (job.job, job.node, job.words, seen[-1].waiting) == ("a", "n", "12 passed", 2)

    log.state = "ended"
    onlooker.see_state(log)
    onlooker.see_end({"status": "success", "seconds": 30.0})
    onlooker.see_end({"status": "failed", "seconds": None})
    onlooker.look(0.5)
    standing = seen[-1]
    assert (standing.ended, standing.running) == ({"success": 1, "failed": 1}, ())
    assert (standing.mean_seconds, standing.cost_usd, standing.waiting) == (30.0, 0.5, 1)


def test_what_happened_right_after_it_was_told_is_told_soon_and_not_at_the_next_event():
    seen = []
    onlooker = Onlooker(2, seen.append, print)
    onlooker.look(None)
    assert not onlooker.is_behind
    onlooker.see_end({"status": "success", "seconds": 1.0})
    onlooker.look(None)
    assert onlooker.is_behind and len(seen) == 1
    onlooker._looked_at -= _onlooker.EVERY
    onlooker.look(None)
    assert not onlooker.is_behind and seen[-1].ended == {"success": 1}


def test_however_much_happens_it_is_told_now_and_then():
    seen = []
    onlooker = Onlooker(3, seen.append, print)
    for _event in range(1000):
        onlooker.look(None)
    assert len(seen) == 1


def test_what_agents_print_is_shown_with_the_name_of_the_job_if_somebody_wants_it():
    event = {
        "type": "assistant",
        "message": {"content": [{"type": "tool_use", "name": "Bash", "input": {"command": "ls"}}]},
    }
    for verbose in (True, False):
        lines = []
        onlooker = Onlooker(2, print, lines.append, verbose=verbose)
        for attempt, job, agent, said in (
            ("u-1", "lint", "claude", json.dumps(event) + "\n"),
            ("u-2", "docs", "shell", '{"type": "result"}\nmore'),
            ("u-2", "docs", "shell", " text \x1b[2J\n"),
        ):
            log = AttemptLog(attempt, job, "n")
            onlooker.hear(Answer(None, attempt, said=said), log, agent)
        shown = ["lint | → Bash: ls", 'docs | {"type": "result"}', "docs | more text "]
        assert lines == (shown if verbose else [])


# -- the end of a log


def test_the_end_of_a_log_is_its_last_lines_as_a_person_reads_them(tmp_path):
    (tmp_path / "log").write_bytes(b"\n".join(b"%d" % number for number in range(99)) + b"\n\n \n")
    assert log_tail(str(tmp_path), "shell", "agent") == tuple(map(str, range(99 - LINES_MOST, 99)))

    event = {"type": "assistant", "message": {"content": [{"type": "text", "text": "I can't."}]}}
    (tmp_path / "log").write_text(json.dumps(event) + "\nsegfault\n", encoding="utf-8")
    assert log_tail(str(tmp_path), "claude", "agent") == ("I can't.", "segfault")


def test_of_a_job_whose_setup_failed_it_is_the_log_of_that(tmp_path):
    (tmp_path / "log").write_text("empty\n")
    (tmp_path / "setup.log").write_text("npm: not found\n")
    assert log_tail(str(tmp_path), "claude", "setup") == ("npm: not found",)


def test_long_hostile_and_missing_logs(tmp_path):
    assert log_tail(str(tmp_path), "shell", None) == ()
    (tmp_path / "log").write_bytes(b"x" * 200_000 + b"\n\x1b]0;owned\x07\xe2\x80\xae\xff\n")
    (line,) = log_tail(str(tmp_path), "shell", "agent")
    assert line.isprintable() and "owned" in line and "\x1b" not in line and "\u202e" not in line
    (tmp_path / "log").write_bytes(b"y" * 5000)
    (line,) = log_tail(str(tmp_path), "shell", "agent")
    assert len(line) == 200

    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "log").unlink()
    (tmp_path / "log").symlink_to(tmp_path / "secret")
    assert log_tail(str(tmp_path), "shell", "agent") == ()


# -- what a node may tell of it


class Told:
    def __init__(self, **how):
        self.link = PlayedLink("n")
        self.answers = []
        self.watches = Watches(Links(lambda _name: self.link), "u-", self.answers.append, **how)
        self.watches.expect("n", "u-1")
        self.watches.watch("n", 2)
        self.poll = self.link.next_poll()

    def said(self):
        return [answer.said for answer in self.answers if answer.said]

    def close(self):
        self.watches.stop()
        self.link.close()


def said(text, size, attempt="u-1"):
    return {"state": "said", "attempt": attempt, "text": text, "size": size}


def test_a_node_is_asked_for_what_people_want_to_see():
    for how, more in (
        ({}, {}),
        ({"lively": True}, {"lively": True}),
        ({"lively": True, "verbose": True}, {"lively": True, "said": {}}),
    ):
        told = Told(**how)
        usual = {"prefix": "u-", "told": [], "watchable": [], "slots": 2}
        assert told.poll.request == {**usual, **more}
        told.close()


def test_what_was_said_is_taken_once_in_its_order_and_only_where_it_was_asked_for():
    told = Told(verbose=True)
    told.poll.tell(WATCHING, said("a\n", 2), said("a\n", 2), said("x\n", 1), said("b\n", 4))
    told.poll.tell(said("other\n", 9, "u-2"))
    wait_for(lambda: told.said()[-1:] == ["b\n"], "what was said")
    told.poll.end()
    assert told.link.next_poll().request["said"] == {"u-1": 4}
    assert told.said() == ["a\n", "b\n"]
    told.close()

    told = Told(lively=True)
    told.poll.tell(WATCHING, said("a\n", 2), {"state": "unknown", "attempt": "u-1"})
    wait_for(lambda: any(answer.attempt for answer in told.answers), "the last word")
    assert told.said() == []
    told.close()


def test_a_node_that_says_too_much_is_not_listened_to(monkeypatch):
    monkeypatch.setattr(_watch, "SAID_MOST", 100)
    monkeypatch.setattr(_watch, "PAUSE", 0.005)
    told = Told(verbose=True)
    told.poll.tell(WATCHING, *(said("x" * 9 + "\n", 10 * number) for number in range(1, 5020)))
    told.poll.tell({"state": "unknown", "attempt": "u-1"})
    # What is too much counts as what is no news, and of that a poll has its fill.
    told.link.next_poll()
    wait_for(lambda: len(told.said()) >= 10, "what is taken")
    assert len(told.said()) == 10
    told.close()


def test_signs_are_told_again_and_again_but_not_faster_than_anybody_looks(monkeypatch):
    monkeypatch.setattr(_watch, "SIGNS_EVERY", 0.0)
    told = Told(lively=True)
    signs = {"state": "signs", "attempt": "u-1", "signs": SIGNS}
    told.poll.tell(WATCHING, signs, signs, signs)
    wait_for(lambda: len([each for each in told.answers if "signs" in each.facts]) == 3, "signs")

    monkeypatch.setattr(_watch, "SIGNS_EVERY", 1000.0)
    told.poll.tell(signs, signs, {"state": "unknown", "attempt": "u-1"})
    wait_for(lambda: told.answers[-1].event is not None, "the last word")
    assert len([each for each in told.answers if "signs" in each.facts]) == 3
    told.close()
