"""Links: noisy shells, cold and warm nodes, broken connections, and a private place for sockets."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import link as _link
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import reader
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import Link, LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.program import build
from ansible_collections.distributed.gummy.plugins.plugin_utils._load import probe

VOID = {"state": "void", "store": "s"}
VOID_TEXT = b'{"state": "void", "store": "s"}'


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"\x1e" + VOID_TEXT, VOID),
        (b"Welcome to node-1\x1e" + VOID_TEXT, VOID),
        (b"\x1b[0m\x1e\x1e" + VOID_TEXT + b"\r", VOID),
        (VOID_TEXT, None),
        (b"Last login: Tuesday", None),
        (b"", None),
    ],
)
def test_a_reply_is_found_in_what_a_login_shell_prints(line, reply):
    assert reader.read("fence", {}, line) == reply


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b'{"state": "vo', "no JSON"),
        (b"[1]", "no JSON object"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 1_000_000, "nested too deep"),
        (b'{"store": "s"}', "state is missing"),
        (b'{"state": ["void"]}', "state is a list"),
        (b'{"state": "claimed"}', "state is 'claimed'"),
    ],
)
def test_what_is_no_reply_of_the_verb_is_not_taken_for_one(text, problem):
    with pytest.raises(reader.NotValid, match=problem):
        reader.read("fence", {}, b"\x1e" + text)


def link(before="", after="", host="node"):
    """A link whose ssh is this machine's sh.

    `before` is what the login shell's start-up files do, `after` what it does in the end.
    """
    ssh = ["/bin/sh", "-c", f'{before}\n/bin/sh -c "$3"\n{after}', "sh"]
    return Link("node", host, ssh, build())


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


def test_a_look_at_a_node_finds_a_python_that_runs_and_says_whether_the_program_is_there(
    home, tmp_path
):
    broken = tmp_path / "a bin" / "python3"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)

    def look(*words):
        done = subprocess.run(
            ["/bin/sh", "-s"],
            input=f"set -- {shlex.join(words)}\n{_link.hello()}",
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(line.lstrip("\x1e").split("=", 1) for line in done.stdout.split("\n")[:-1])

    state = f"{home}/distributed-gummy"
    known = {"python": sys.executable, "state": state, "program": "missing"}
    assert look("abc", str(broken), "no-such-program", sys.executable) == known
    assert look("abc", str(broken)) == {**known, "python": ""}
    (home / "distributed-gummy/bin").mkdir(parents=True)
    (home / "distributed-gummy/bin/abc.zip").touch()
    assert look("abc", sys.executable) == {**known, "program": "there"}


def test_the_probe_tries_the_pythons_that_a_link_tries():
    files = Path(probe.__file__).parent.glob("probe.*")
    text = "\n".join(path.read_text(encoding="utf-8") for path in files if path.is_file())
    names = set(re.findall(r"python3(?: python3\.\d+)+", text))
    # What a link tries with a path, the probe has on its PATH.
    assert names == {" ".join(word for word in _link.PYTHONS.split() if "/" not in word)}


@pytest.mark.parametrize(
    ("host", "target"), [("node", "node:x/"), ("u@10.0.0.9", "u@10.0.0.9:x/"), ("::1", "[::1]:x/")]
)
def test_rsync_reads_an_address_with_colons_as_one(host, target):
    assert link(host=host).rsync_target() == target


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


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (r"""printf '\036{"state": "void", "store": ["s"]}\n'""", "store is no text"),
        (r"""printf '\036{"state": "refused", "class": [], "message": 1}\n'""", "class is no text"),
        (r"printf '\036{\n'", "it is no JSON"),
        ("cat /dev/zero", "a line of more than 8 MB"),
        ("cat /dev/zero >&2", "more than 4 MB of errors"),
    ],
)
def test_a_reply_that_is_not_valid_is_an_error_that_names_node_verb_and_field(script, sentence):
    odd = Link("node", "host", ["/bin/sh", "-c", script, "sh"], build())
    odd.connected = True
    with pytest.raises(LinkError) as failed:
        odd.call("fence", {"attempt": "u-1"})
    assert failed.value.kind == "reply"
    assert "node" in str(failed.value) and sentence in str(failed.value)


def test_a_row_that_is_not_valid_costs_no_other_row():
    rows = [
        {"state": "removed", "what": "attempt", "name": "a", "bytes": 1, "why": "old"},
        {"state": "removed", "what": "attempt", "name": "b", "bytes": "1", "why": "old"},
        {"state": "removed", "what": "moon", "name": "c", "bytes": 1, "why": "old"},
        {"state": "cleaned"},
    ]
    script = "".join(f"printf '\\036%s\\n' {shlex.quote(json.dumps(row))}; " for row in rows)
    odd = Link("node", "host", ["/bin/sh", "-c", script, "sh"], build())
    odd.connected = True
    request = {"days": 1.0, "most": 1.0, "free": 1.0, "check": True}
    assert list(odd.stream("clean", request, 30)) == [rows[0], rows[3]]
    assert odd.invalid_rows == "2 of its rows are not valid, the last one: what is 'moon'"


def test_a_refusal_is_found_among_the_errors_of_an_rsync():
    refusal = {"state": "refused", "class": "lease", "blame": "ours", "message": "run out"}
    line = f"\x1e{json.dumps(refusal)}"
    assert _link.refusal_in(f"rsync: odd\n{line}\nrsync error") == refusal
    for odd in ("", "rsync error", "\x1e{", "\x1e" + json.dumps({**refusal, "message": 5})):
        assert _link.refusal_in(odd) is None


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
