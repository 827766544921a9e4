"""How far a run has come: the line that stays, what runs, and who is told when."""

from __future__ import annotations

import re
import threading
import time

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._show import printer as _printer
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.printer import Printer
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.progress import (
    Progress,
    RunningJob,
    progress_line,
    running_lines,
)

AT_MOST = 20.0


def running(count, since=0.0, words=""):
    return tuple(RunningJob(f"job-{number}", "n", since, words) for number in range(count))


def standing(**fields):
    return Progress(**{"jobs": 12, "begun": 0.0, "ended": {}, **fields})


def test_a_run_in_the_middle():
    progress = standing(
        ended={"success": 3, "failed": 1},
        running=running(4, since=70.0),
        cost_usd=0.41,
        mean_seconds=200.0,
    )
    assert progress_line(progress, 130.5) == (
        "3 of 12 done · 1 failed · 4 running · 4 waiting · 2 min 10 s · about 6 min left · $0.41"
    )


def test_what_is_not_known_or_none_is_not_told():
    assert progress_line(standing(), 4.7) == "0 of 12 done · 12 waiting · 4 s"
    ended = {"success": 12}
    assert progress_line(standing(ended=ended), 61.0) == "12 of 12 done · 1 min 1 s"
    ends = {"unproven": 1, "lost": 2, "skipped": 3, "cancelled": 4, "failed": 2}
    assert progress_line(standing(ended=ends), 1.0) == (
        "0 of 12 done · 2 failed · 2 lost · 1 unproven · 4 cancelled · 3 skipped · 1 s"
    )


def test_a_job_that_takes_longer_than_others_makes_nothing_negative():
    progress = standing(jobs=1, running=running(1), mean_seconds=5.0)
    assert progress.seconds_left(900.0) == 0.0
    assert "less than a minute left" in progress_line(progress, 900.0)
    # Another call of the run may have more attempts than this one has jobs.
    assert standing(jobs=1, running=running(3)).waiting == 0


def test_a_running_job_says_how_long_and_what_it_wrote_last():
    lines = running_lines(standing(running=running(1, words="  a\n b ")), 184.0, 5)
    assert lines == ["▶ job-0 on n for 3 min 4 s: a b"]
    lines = running_lines(standing(running=running(9)), 5.0, 2)
    assert lines == ["▶ job-0 on n for 5 s", "▶ job-1 on n for 5 s", "… and 7 more"]
    (line,) = running_lines(standing(running=running(1, words="x" * 999)), 5.0, 2)
    assert len(line) < 250


# -- who is told


def until(condition):
    deadline = time.monotonic() + AT_MOST
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(_printer, "DRAWN_EVERY", 0.01)


def test_without_a_terminal_it_is_told_once_it_was_quiet_for_long(monkeypatch):
    monkeypatch.setattr(_printer, "QUIET_MOST", 0.2)
    shown = []
    printer = Printer(shown.append)
    printer.stand(standing(begun=time.monotonic(), running=running(9, time.monotonic(), "\x1b[2J")))
    until(lambda: len(shown) >= 14)
    printer.close()
    assert len([line for line in shown[:7] if line.startswith("▶ job-")]) == 5
    assert shown[5] == "… and 4 more"
    assert re.match(r"0 of 12 done · 9 running · 3 waiting · \d s", shown[6])
    assert not [line for line in shown if "\x1b" in line]


def test_where_lines_come_it_is_not_told(monkeypatch):
    monkeypatch.setattr(_printer, "QUIET_MOST", AT_MOST)
    shown = []
    printer = Printer(shown.append)
    printer.stand(standing(begun=time.monotonic()))
    for number in range(20):
        printer.say(str(number))
        time.sleep(0.01)
    printer.close()
    assert shown == [str(number) for number in range(20)]


def test_in_a_terminal_the_lines_stay_below_what_is_printed_and_go_in_the_end():
    calls = []
    lock = threading.Lock()

    def note(*what):
        with lock:
            calls.append(what)

    printer = Printer(lambda line: note("line", line), draw=lambda lines: note("draw", *lines))
    printer.say("first")
    until(lambda: calls)
    assert calls == [("line", "first")]
    printer.stand(standing(begun=time.monotonic(), running=running(1, time.monotonic())))
    until(lambda: calls[-1][0] == "draw")
    assert calls[-1][1].startswith("▶ job-0") and calls[-1][2].startswith("0 of 12 done")
    printer.say("second")
    until(lambda: ("line", "second") in calls)
    until(lambda: calls[-1][0] == "draw")
    printer.close()
    assert calls[-1] == ("draw",)


def test_without_progress_nothing_is_drawn_or_told(monkeypatch):
    monkeypatch.setattr(_printer, "QUIET_MOST", 0.0)
    calls = []
    for draw in (calls.append, None):
        printer = Printer(calls.append, False, draw=draw)
        printer.stand(standing())
        time.sleep(0.1)
        printer.close()
    assert calls == []
