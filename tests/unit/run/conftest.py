"""What all tests of a run share: a home of their own, short pauses, and no thread left behind."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import engine as _engine
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import watch as _watch
from played_nodes import AT_MOST
from played_run import Call


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Where the run's folder and the caches lie."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    begun = set(threading.enumerate()) - before
    for thread in begun:
        thread.join(AT_MOST)
    assert not [thread.name for thread in begun if thread.is_alive()]


@pytest.fixture
def short_pauses(monkeypatch):
    """What people would not notice is too long for a test."""
    monkeypatch.setattr(_engine, "PARENT_CHECK", 0.02)
    monkeypatch.setattr(_watch, "PAUSE", 0.005)


@pytest.fixture
def call(short_pauses, no_thread_is_left):
    """Makes a call of a run over these links."""
    calls = []

    def make(jobs, *links, **more):
        calls.append(Call(jobs, links, **more))
        return calls[-1]

    yield make
    for made in calls:
        made.close()
