"""What people read is printed by Ansible's main process, and its errors go no further."""

from __future__ import annotations

import multiprocessing
import pickle

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
