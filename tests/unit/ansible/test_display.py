"""What people read is printed by Ansible's main process, and its errors go no further."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from types import SimpleNamespace

import pytest
from ansible import constants
from ansible.utils.display import Display
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible import display


class Shown:
    """Stands in for Ansible's Display, whose stdout may be broken."""

    def __init__(self, error=None):
        self.calls = []
        self._error = error

    def display(self, text, **how):
        self.calls.append((text, how))
        if self._error:
            raise self._error


@pytest.fixture
def shown(monkeypatch):
    one = Shown()
    monkeypatch.setattr(display, "Display", lambda: one)
    return one


def in_worker(monkeypatch):
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: "the main process")


def test_a_worker_hands_on_a_line_that_is_printed_where_it_is_taken_out(monkeypatch, shown):
    in_worker(monkeypatch)
    display.print_line("a line", "bad", stderr=True)
    ((line, how),) = shown.calls
    # For the worker's own queue it is a call that prints nothing.
    assert how == {"log_only": True, "screen_only": True}

    shown.calls.clear()
    assert pickle.loads(pickle.dumps(line)) == ""
    color = constants.config.get_config_value("COLOR_ERROR")
    assert shown.calls == [("a line", {"color": color, "stderr": True})]


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "no reader"), OSError(28, "full"), ValueError("closed file")]
)
def test_the_thread_that_prints_never_sees_an_error_of_ours(monkeypatch, error):
    broken = Shown(error)
    monkeypatch.setattr(display, "Display", lambda: broken)
    display.print_line("in the main process")
    line = pickle.dumps(display._Line("out of the queue", None, False))
    assert pickle.loads(line) == ""
    assert [text for text, _how in broken.calls] == ["in the main process", "out of the queue"]


def test_what_is_taken_out_of_the_queue_prints_nothing_a_second_time(capsys):
    Display().display("", log_only=True, screen_only=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("callback", "is_shown"),
    [
        ("default", True),
        ("ansible.builtin.default", True),
        ("ansible.posix.json", False),
        ("minimal", False),
        ("awx_display", False),
    ],
)
def test_only_the_default_callback_leaves_stdout_to_people(monkeypatch, callback, is_shown):
    monkeypatch.setattr(constants, "DEFAULT_STDOUT_CALLBACK", callback)
    monkeypatch.setattr(display.context, "CLIARGS", {})
    assert display.people_read_stdout() is is_shown


def test_a_single_task_of_ansible_itself_has_a_callback_of_its_own(monkeypatch):
    monkeypatch.setattr(constants, "DEFAULT_STDOUT_CALLBACK", "default")
    monkeypatch.setattr(display.context, "CLIARGS", {"module_name": "debug"})
    assert not display.people_read_stdout()


def test_every_kind_of_line_has_a_colour_of_ansible():
    assert all(constants.config.get_config_value(name) for name in display.COLORS.values())


# -- lines that stay


def cut(text, columns):
    return text[:columns]


@pytest.fixture
def terminal(monkeypatch):
    written = []
    stream = SimpleNamespace(write=written.append, flush=lambda: None, fileno=lambda: 2)
    monkeypatch.setattr(display, "sys", SimpleNamespace(stderr=stream))
    size = os.terminal_size((20, 6))
    monkeypatch.setattr(display.os, "get_terminal_size", lambda _file: size)
    monkeypatch.setattr(display, "_staying", False)
    return written


def test_lines_that_stay_leave_the_cursor_where_it_was(terminal, shown):
    display.draw_lines(["first", "second"], cut)
    assert terminal == ["\r\x1b[Jfirst\nsecond\x1b[1A\r"]
    terminal.clear()
    # What is printed takes their place.
    display.print_line("a line", stderr=True)
    assert terminal == ["\r\x1b[J"]
    display.print_line("another", stderr=True)
    assert terminal == ["\r\x1b[J"]
    assert [text for text, _how in shown.calls] == ["a line", "another"]


def test_lines_that_stay_fit_the_terminal_and_go_when_there_are_none(terminal):
    display.draw_lines([f"{number} {'x' * 99}" for number in range(9)], cut)
    (text,) = terminal
    shown = text.removeprefix("\r\x1b[J").removesuffix("\x1b[3A\r").split("\n")
    assert shown == [f"{number} {'x' * 17}" for number in range(5, 9)]
    terminal.clear()
    display.draw_lines([], cut)
    assert terminal == ["\r\x1b[J"]


def test_a_worker_hands_on_the_lines_that_stay(monkeypatch, terminal, shown):
    in_worker(monkeypatch)
    display.draw_lines(["first"], cut)
    ((lines, how),) = shown.calls
    assert how == {"log_only": True, "screen_only": True} and terminal == []
    assert pickle.loads(pickle.dumps(lines)) == ""
    assert terminal == ["\r\x1b[Jfirst\r"]


def test_a_terminal_that_is_gone_is_nobodys_error(monkeypatch, terminal):
    def fail(_file):
        raise OSError(25, "not a terminal")

    monkeypatch.setattr(display.os, "get_terminal_size", fail)
    display.draw_lines(["first"], cut)
    assert terminal == []


@pytest.mark.parametrize(
    ("is_one", "term", "moves"),
    [(True, "xterm", True), (True, "dumb", False), (True, "", False), (False, "xterm", False)],
)
def test_a_terminal_is_one_that_can_be_moved_about_in(monkeypatch, is_one, term, moves):
    stderr = SimpleNamespace(isatty=lambda: is_one)
    monkeypatch.setattr(display, "sys", SimpleNamespace(stderr=stderr))
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert display._is_terminal() is moves
    monkeypatch.setenv("NO_COLOR", "1")
    assert display._is_terminal() is False
    # It was closed.
    monkeypatch.setattr(display, "sys", SimpleNamespace(stderr=None))
    assert display._is_terminal() is False
