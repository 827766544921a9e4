"""Links and their processes: noisy shells, ssh's words, deadlines, and a private place for sockets."""

from __future__ import annotations

import os
import select
import shlex
import socket
import stat
import subprocess
import sys

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import link as _link
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import process as _process
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import ssh_failures
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import Link, LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.process import (
    DeadlinePassed,
    Process,
    run,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.program import build


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b'\x1e{"state": "claimed"}', {"state": "claimed"}),
        (b'Welcome to node-1\x1e{"state": "claimed"}', {"state": "claimed"}),
        (b'\x1b[0m\x1e\x1e{"state": "claimed"}\r', {"state": "claimed"}),
        (b'{"state": "claimed"}', None),
        (b'\x1e{"state": "cl', None),
        (b"\x1e[1]", None),
        (b"\x1e\xff\xfe", None),
        (b"\x1e" + b"[" * 1_000_000, None),
        (b"Last login: Tuesday", None),
        (b"", None),
    ],
)
def test_a_reply_is_found_in_what_a_login_shell_prints(line, reply):
    assert _link.decode(line) == reply


CHANGED = (
    "@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@@@\nIT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n"
    "Host key for [127.0.0.1]:2222 has changed and you have requested strict checking.\r\nHost key verification failed.\r\n"
)


CROWDED = (
    "mux_client_request_session: session request failed: Session open refused by peer\r\n"
    "ControlSocket /tmp/gummy-0/1 already exists, disabling multiplexing\r\nu@n: Permission denied (publickey,password).\r\n"
)


@pytest.mark.parametrize(
    ("errors", "kind", "start"),
    [
        (CHANGED, "host_key", "its host key has changed"),
        (
            "No ED25519 host key is known for n and you have requested strict checking.\r\n",
            "host_key",
            "its host key is not known",
        ),
        (CROWDED, "unreachable", "its sshd allows no more sessions"),
        ("u@n: Permission denied (publickey,password).\r\n", "login", "it asks for a password"),
        (
            "Received disconnect from 10.0.0.9 port 22:2: Too many authentication failures\r\nDisconnected from 10.0.0.9\r\n",
            "login",
            "it refuses the login",
        ),
        (
            "ssh: connect to host 10.0.0.9 port 22: Connection refused\r\n",
            "unreachable",
            "connection refused",
        ),
        (
            "ssh: Could not resolve hostname nowhere: Name or service not known\r\n",
            "unreachable",
            "its name is not known",
        ),
        (
            "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by ::1 port 22\r\n",
            "unreachable",
            "Connection closed",
        ),
        (
            "Timeout, server n not responding.\r\nWarning: Permanently added 'n' (ED25519) to the list\r\n",
            "unreachable",
            "timed out",
        ),
        ("debug1: Reading configuration data\r\n", "unreachable", "ssh ended without a message"),
    ],
)
def test_what_ssh_says_has_a_kind_and_one_line(errors, kind, start):
    found, reason = ssh_failures.why_ssh_failed(errors)
    assert (found, reason[: len(start)]) == (kind, start)
    assert "\n" not in reason


def link(before="", after="", host="node"):
    """A link whose ssh is this machine's sh; `before` is what the login shell's start-up files do."""
    return Link(
        "node", host, ["/bin/sh", "-c", f'{before}\n/bin/sh -c "$3"\n{after}', "sh"], build()
    )


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a state's home"))
    return tmp_path / "a state's home"


def test_the_program_is_sent_once_and_answers_through_a_noisy_shell(home):
    noisy = link("echo python=/bin/false; printf 'no newline here'")
    assert noisy.call("list", {})["state"] == "listed"
    with pytest.raises(_link.LinkError, match="login shell of node prints something"):
        noisy.rsync_words("send", "a")
    (sent,) = (home / "distributed-gummy/bin").iterdir()
    before = sent.stat().st_mtime_ns
    assert link().call("list", {})["state"] == "listed"
    assert sent.stat().st_mtime_ns == before


def test_a_warm_node_is_asked_nothing_but_the_verb_and_a_master_that_listens_is_taken(
    home, tmp_path
):
    link().call("list", {})
    calls = tmp_path / "calls"
    path = str(tmp_path / "master")
    counted = link(f"echo x >> {calls}")
    assert counted.call("list", {})["state"] == counted.call("list", {})["state"] == "listed"
    program = counted.rsync_words("send", "an attempt")[-1].partition("=")[2]
    assert (
        "refused"
        in subprocess.run(
            ["/bin/sh", "-c", f"{program} --server . x/"],
            capture_output=True,
            text=True,
            check=False,
        ).stderr
    )
    # The first one opens the master.
    assert calls.read_text() == "x\n" * 3
    calls.unlink()
    noisy = link("echo welcome")
    noisy.call("list", {})
    with pytest.raises(_link.LinkError, match="login shell of node prints something"):
        noisy.rsync_words("send", "an attempt")
    with socket.socket(socket.AF_UNIX) as master:
        master.bind(path)
        master.listen()
        later = link(f"echo x >> {calls}")
        later._ssh[-1] = f"ControlPath={path}"
        assert later.call("list", {})["state"] == "listed" and calls.read_text() == "x\n"
    gone = link(f"echo x >> {calls}")
    gone._ssh[-1] = f"ControlPath={path}"
    assert gone.call("list", {})["state"] == "listed" and calls.read_text() == "x\n" * 3


def test_a_python3_that_is_too_old_makes_room_for_another(home, tmp_path):
    old = tmp_path / "bin" / "python3"
    old.parent.mkdir()
    refusal = '{"state": "refused", "class": "python", "message": "Python 3.6 is too old"}'
    old.write_text(f"#!/bin/sh\n[ \"$3\" = -c ] || printf '\\036{refusal}\\n'\nexit 1\n")
    old.chmod(0o755)
    good = shlex.quote(os.path.dirname(sys.executable))
    asked = link(f"PATH={old.parent}:{good}:$PATH")
    assert asked.call("list", {})["state"] == "listed" and asked.command("list").split()[0] != str(
        old
    )


def test_a_failed_ssh_and_a_reply_that_is_cut_off_leave_the_outcome_unknown():
    with pytest.raises(LinkError, match="refuses the login") as failed:
        link("echo 'Permission denied (publickey).' >&2; exit 255").call("list", {})
    assert failed.value.kind == "login"
    good = link()
    good.call("list", {})
    # It answered, and then the connection broke: nothing is sure.
    good._ssh = link(after="exit 255")._ssh
    with pytest.raises(LinkError):
        good.call("list", {})


# -- processes


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


# -- the folder of ssh's sockets


@pytest.mark.parametrize("trap", ["open", "other", "link", "dangling", "file"])
def test_a_control_folder_that_may_be_somebody_else_s_is_never_used(tmp_path, monkeypatch, trap):
    path = tmp_path / f"gummy-{os.getuid()}"
    if trap == "open":
        path.mkdir()
        path.chmod(0o755)
    elif trap == "file":
        path.touch()
    elif trap in ("link", "dangling"):
        (tmp_path / "theirs").mkdir(mode=0o700)
        path.symlink_to(tmp_path / ("theirs" if trap == "link" else "nothing"))
    else:
        monkeypatch.setattr(_link.os, "getuid", lambda: 54321)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    assert _link.control_folder(str(fresh)) == _link.control_folder(str(fresh)) or trap == "other"
    found = _link.control_folder(str(tmp_path))
    assert os.path.dirname(found) == str(tmp_path)
    assert os.path.basename(found) not in ("theirs", f"gummy-{os.getuid()}")
    assert stat.S_IMODE(os.stat(found).st_mode) == 0o700
