"""Who stays behind when a playbook is killed: each test lets a child process be the playbook."""

from __future__ import annotations

import os
import signal
import traceback
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import RunRecord
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.interrupt import (
    cancel_if_we_die,
)
from played import play_fleet
from played_nodes import AT_MOST, wait_for

# A process that a test began ends after this time whatever happens, in seconds.
END_AFTER = int(AT_MOST)

# What the record of a run knows: attempt, node, newest state.
ATTEMPTS = [
    ("u-void", "n", "void"),
    ("u-reserved", "n", "reserved"),
    ("u-silent", "silent", "running"),
    ("u-runs", "n", "running"),
    ("u-sent", "m", "sent"),
    ("u-ended", "n", "ended"),
    ("u-lost", "n", "lost"),
]


class NotingLink:
    """A link that notes in a folder what it is asked, for that happens in another process.

    gate: a descriptor; a node answers when that has something to read, or has ended.
    """

    def __init__(self, name, notes, gate):
        self._name = name
        self._notes = notes
        self._gate = gate

    def call(self, verb, request, seconds):
        (self._notes / f"{verb} {request['attempt']} {self._name}").touch()
        if self._gate is not None:
            signal.alarm(END_AFTER)
            os.read(self._gate, 1)
        if self._name == "silent":
            raise LinkError("timed out")
        return {"state": "running"}


def playbook(notes, end, *, gate=None, to_close=(), own_group=False):
    """Begin a process that drives a run; returns its pid.

    end: its last act, with what says that the run is over. to_close: descriptors of the test's.
    own_group: whether a signal to its group spares the tests.
    """
    pid = os.fork()
    if pid:
        return pid

    status = 1
    signal.alarm(END_AFTER)
    try:
        for descriptor in to_close:
            os.close(descriptor)
        if own_group:
            os.setpgid(0, 0)
        links = {name: NotingLink(name, notes, gate) for name in ("n", "m", "silent")}
        end(cancel_if_we_die(write_record(), play_fleet(links)))
        status = 0
    # Nothing may lead from here back into the tests.
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(status)


def write_record():
    record = RunRecord("r")
    record.begin({"a": "digest"}, {}, "me")
    for attempt, node, state in ATTEMPTS:
        record.append("attempt", attempt=attempt, job="a", node=node, state=state)
    record.append("finish", job="a", attempts=[{"id": "u-ended"}])
    return record


def be_killed(_say_over):
    os.kill(os.getpid(), signal.SIGKILL)


def end_well(say_over):
    say_over()


def names_in(folder):
    return {path.name for path in Path(folder).iterdir()}


def is_free():
    """Whether nobody drives the run: who stays behind has its lock until all is cancelled."""
    try:
        RunRecord("r").close()
    except InputError:
        return False
    return True


def asked_after(end, notes):
    """What nodes were asked by the time that nobody drives the run any more."""
    os.waitpid(playbook(notes, end), 0)
    wait_for(is_free, "the end of who stays behind")
    return names_in(notes)


@pytest.fixture
def notes(home):
    folder = home / "notes"
    folder.mkdir()
    return folder


def test_what_may_run_is_cancelled_when_the_playbook_ends_without_a_word(notes):
    assert asked_after(be_killed, notes) == {
        "cancel u-runs n",
        "cancel u-sent m",
        # What was being claimed then gets a proof that it never will begin.
        "cancel u-reserved n",
        # It gives no answer, and that keeps nobody from asking the others.
        "cancel u-silent silent",
    }


def test_a_playbook_that_ends_with_a_word_leaves_its_jobs_alone(notes):
    assert asked_after(end_well, notes) == set()


def test_an_interrupt_of_the_whole_terminal_does_not_end_who_stays_behind(notes, monkeypatch):
    setsid = os.setsid
    is_apart, tell_apart = os.pipe()

    def setsid_and_tell():
        setsid()
        os.write(tell_apart, b"x")

    def end(_say_over):
        os.read(is_apart, 1)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.killpg(os.getpgid(0), signal.SIGINT)

    monkeypatch.setattr(os, "setsid", setsid_and_tell)
    _pid, status = os.waitpid(playbook(notes, end, own_group=True), 0)
    assert os.WTERMSIG(status) == signal.SIGINT

    wait_for(is_free, "the end of who stays behind")
    assert "cancel u-runs n" in names_in(notes)
    for descriptor in (is_apart, tell_apart):
        os.close(descriptor)


def test_nobody_resumes_the_run_while_it_is_being_cancelled(notes):
    gate, opens_gate = os.pipe()
    pid = playbook(notes, be_killed, gate=gate, to_close=[opens_gate])
    os.waitpid(pid, 0)

    wait_for(lambda: "cancel u-runs n" in names_in(notes), "the first cancel")
    with pytest.raises(InputError, match="is being driven by another ansible-playbook"):
        RunRecord("r")

    os.close(opens_gate)
    wait_for(is_free, "the end of who stays behind")
    os.close(gate)
