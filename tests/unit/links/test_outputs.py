"""A worker sees that nobody reads stdout or stderr any more, and never writes to them."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import outputs, parent


def _pipe():
    return os.pipe()


def _socket():
    one, other = socket.socketpair()
    return one.detach(), other.detach()


@pytest.mark.parametrize("make", [_pipe, _socket, pty.openpty])
def test_a_reader_that_ends_is_seen_and_one_that_stalls_is_none(make, monkeypatch):
    reader, writer = make()
    monkeypatch.setattr(outputs, "_outputs", [writer])
    try:
        assert not outputs.reader_is_gone()
        os.set_blocking(writer, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(writer, b"." * 4096)
        assert not outputs.reader_is_gone()
    finally:
        os.close(reader)
    assert outputs.reader_is_gone()
    os.close(writer)


def test_files_and_closed_descriptors_have_no_reader_to_lose(tmp_path, monkeypatch):
    with open(tmp_path / "out", "wb") as file:
        closed = os.dup(file.fileno())
        os.close(closed)
        monkeypatch.setattr(outputs, "STDOUT", file.fileno())
        monkeypatch.setattr(outputs, "STDERR", closed)
        assert outputs._duplicates() == []
    with open(os.devnull, "wb") as null:
        monkeypatch.setattr(outputs, "_outputs", [null.fileno()])
        assert not outputs.reader_is_gone()


def test_who_stays_behind_keeps_no_reader_waiting(monkeypatch):
    reader, writer = os.pipe()
    monkeypatch.setattr(outputs, "_outputs", [writer])
    outputs.let_go_of_outputs()
    # Nobody holds the other end any more, so this is the end of the text.
    assert os.read(reader, 1) == b"" and not outputs.reader_is_gone()
    os.close(reader)


def test_a_worker_that_waits_for_a_node_ends_with_the_reader_of_its_play():
    program = (
        "import time\n"
        f"from {parent.__name__} import ended_with_parent\n"
        "with ended_with_parent(look=0.05, grace=0.05):\n"
        "    time.sleep(600)\n"
    )
    collections = next(
        str(folder.parent)
        for folder in Path(parent.__file__).parents
        if folder.name == "ansible_collections"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": collections},
    )
    try:
        worker.stdout.close()
        assert worker.wait(20) == 1
    finally:
        worker.kill()


def test_what_ends_in_order_though_nobody_reads_is_not_killed(monkeypatch):
    is_asked = threading.Event()

    def reader_is_gone():
        is_asked.set()
        return True

    monkeypatch.setattr(parent, "reader_is_gone", reader_is_gone)
    with parent.ended_with_parent(look=0.01, grace=60.0):
        assert is_asked.wait(20)
