"""Processes: deadlines, the cap of output, and what goes in and comes out."""

from __future__ import annotations

import os
import select
import shlex
import signal
import time

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import process as _process
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.process import (
    DeadlinePassed,
    Process,
    TooMuchOutput,
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


def test_a_line_without_an_end_is_cut_off_at_once_in_linear_time():
    begun = time.process_time()
    with pytest.raises(TooMuchOutput, match="a line of more than 8 MB"):
        list(Process(["head", "-c", "48000000", "/dev/zero"]).lines(60))
    # Copying what is there for each chunk takes half a minute.
    assert time.process_time() - begun < 5


def test_a_line_may_come_in_many_pieces():
    lines = [b"a" * 3_000_000, b"", b"b" * 200_000, b"c"]
    assert run(["cat"], b"\n".join(lines))[1] == b"\n".join(lines)
    process = Process(["cat"], b"\n".join(lines))
    assert list(process.lines(30)) == lines
    process.close()


@pytest.mark.parametrize("rest", ["", "exec >&-; "])
def test_errors_have_a_cap(rest):
    """While stdout is read, and after it has ended."""
    with pytest.raises(TooMuchOutput, match="more than 4 MB of errors"):
        run(["/bin/sh", "-c", f"{rest}exec cat /dev/zero >&2"])


def test_all_errors_that_are_no_more_than_the_cap_go_through():
    words = "head -c 4000000 /dev/zero >&2; echo out; echo last >&2; exit 3"
    status, out, errors = run(["/bin/sh", "-c", words])
    assert (status, out, errors[-5:]) == (3, b"out", "last\n")


def test_who_stays_behind_with_our_stderr_is_not_waited_for():
    """As an ssh master may."""
    process = Process(["/bin/sh", "-c", "sleep 600 >&- & echo $!; echo word >&2; exit 4"])
    (pid,) = process.lines(30)
    begun = time.monotonic()
    assert (process.status(20), process.errors()) == (4, "word\n")
    assert time.monotonic() - begun < 10
    process.close()
    os.kill(int(pid), signal.SIGKILL)


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
