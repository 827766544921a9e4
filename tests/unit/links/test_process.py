"""Processes: deadlines, the cap of output, and what goes in and comes out."""

from __future__ import annotations

import os
import select
import shlex

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import process as _process
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.process import (
    DeadlinePassed,
    Process,
    run,
)


def test_a_deadline_ends_the_whole_group():
    process = Process(["/bin/sh", "-c", "sleep 600 & echo ready; sleep 600"])
    assert next(process.lines(30)) == b"ready"
    with pytest.raises(DeadlinePassed):
        next(process.lines(0))
    assert select.select([process._out], [], [], 30)[0]
    # Nobody is left who could write.
    assert os.read(process._out, 1) == b""
    process.close()


def test_output_has_a_cap(monkeypatch):
    monkeypatch.setattr(_process, "OUTPUT_CAP", 1000)
    with pytest.raises(DeadlinePassed):
        run(["yes"])


def test_input_goes_in_and_lines_status_and_the_end_of_stderr_come_out():
    data = b"one\ntwo\nlast" + b"x" * 200000
    assert run(["cat"], data) == (0, data, "")
    status, out, errors = run(
        [
            "/bin/sh",
            "-c",
            f"head -c 9000 /dev/zero | tr '\\0' e >&2; printf {shlex.quote('é')} >&2; exit 3",
        ]
    )
    assert (status, out, errors) == (3, b"", "e" * 4094 + "é")


def test_a_verb_that_waits_for_its_caller_ends_with_it():
    process = Process(["/bin/sh", "-c", "cat; echo over"], b"asked\n", keep_stdin=True)
    lines = process.lines(30)
    assert next(lines) == b"asked"
    process.end_input()
    assert list(lines) == [b"over"]
    process.close()
