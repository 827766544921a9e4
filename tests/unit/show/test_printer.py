"""The printer: who prints waits for nobody, and nothing is lost in silence."""

from __future__ import annotations

import re
import threading
import time

from ansible_collections.distributed.gummy.plugins.plugin_utils._show import printer as _printer
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.printer import Printer


def printed(*events, lines=(), progress=True):
    shown = []
    printer = Printer(shown.append, progress)
    for event in events:
        printer.event(*event)
    for line in lines:
        printer.say(line)
    printer.close()
    return shown


def test_an_event_is_one_line_with_a_dash_for_what_it_does_not_know():
    first, second = printed(("docs", "place", "node-1", "score 0.2"), ("", "wait", "", "no slot"))
    assert re.fullmatch(r"\d\d:\d\d:\d\d  docs {10}place  node-1 {8}score 0\.2", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d  - {13}wait   - {13}no slot", second)


def test_without_progress_nothing_is_printed():
    event = ("docs", "place", "node-1", "why")
    assert printed(event, lines=["run r: 1 jobs"], progress=False) == []


def test_what_a_node_says_can_not_command_the_terminal():
    assert printed(lines=["\x1b[2J"]) == ["\N{REPLACEMENT CHARACTER}[2J"]


def test_a_stalled_terminal_blocks_nobody_and_the_dropped_lines_are_counted(monkeypatch):
    monkeypatch.setattr(_printer, "KEPT", 3)
    monkeypatch.setattr(_printer, "CLOSE_SECONDS", 30)
    shown = []
    stalled = threading.Event()
    goes_on = threading.Event()

    def print_line(line):
        stalled.set()
        assert goes_on.wait(30)
        shown.append(line)

    printer = Printer(print_line)
    printer.say("0")
    assert stalled.wait(30)
    # The terminal hangs with the first line; three more may wait, and two are one too many each.
    for number in range(1, 6):
        printer.say(str(number))
    goes_on.set()
    while len(shown) < 4:
        time.sleep(0.01)
    printer.close()
    assert shown == [
        *"0123",
        "(2 lines were not shown: the terminal did not take them)",
    ]
