"""Links: noisy shells, cold and warm nodes, a program that was changed, broken connections."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.programs import Programs
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


def link(before="", after="", host="node", **more):
    """A link of a new playbook, whose ssh is this machine's sh.

    `before` is what the login shell's start-up files do, `after` what it does in the end.
    """
    ssh = ["/bin/sh", "-c", f'{before}\n/bin/sh -c "$3"\n{after}', "sh"]
    return Link("node", host, ssh, build(), **{"known": Programs(), **more})


def saying(script):
    """A link to a node that says what the script does, whatever it is asked."""
    odd = Link("node", "host", ["/bin/sh", "-c", script, "sh"], build(), known=Programs())
    odd._known.keep(odd.key, build().digest, "0" * 64)
    odd.connected = True
    return odd


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Where the node has its state; the controller keeps what it knows elsewhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a state's home"))
    return tmp_path / "a state's home"


def only_program(home):
    """The one file of the node program on the node."""
    (program,) = (home / "distributed-gummy/bin").iterdir()
    return program


def test_the_program_is_sent_once_and_answers_through_a_noisy_shell(home):
    noisy = link("echo python=/bin/false; printf 'no newline here'")
    assert noisy.call("list", {})["state"] == "listed"
    with pytest.raises(_link.LinkError, match="login shell of node prints something"):
        noisy.rsync_words("send", "a")
    before = only_program(home).stat()
    assert link().call("list", {})["state"] == "listed"
    after = only_program(home).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


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
    old.write_text(
        f"#!/bin/sh\ncase \"$*\" in *.zip*) printf '\\036{refusal}\\n' ;; esac\nexit 1\n"
    )
    old.chmod(0o755)
    link().call("list", {})
    good = shlex.quote(os.path.dirname(sys.executable))
    asked = link(f"PATH={old.parent}:{good}:$PATH")
    assert asked.call("list", {})["state"] == "listed" and asked.command("list").split()[0] != str(
        old
    )


def test_a_look_at_a_node_finds_a_python_that_runs_and_says_what_hash_the_program_has(
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
    known = {"python": sys.executable, "state": state, "program": ""}
    assert look("abc", str(broken), "no-such-program", sys.executable) == known
    assert look("abc", str(broken)) == {**known, "python": ""}
    (home / "distributed-gummy/bin").mkdir(parents=True)
    (home / "distributed-gummy/bin/abc.zip").write_bytes(b"x")
    found = {**known, "program": hashlib.sha256(b"x").hexdigest()}
    assert look("abc", sys.executable) == found
    assert look("", sys.executable) == known
    (home / "distributed-gummy/bin/abc.zip").unlink()
    (home / "distributed-gummy/bin/abc.zip").mkdir()
    assert look("abc", sys.executable) == known


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
    odd = saying(script)
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
    odd = saying(script)
    request = {"days": 1.0, "most": 1.0, "free": 1.0, "check": True}
    assert list(odd.stream("clean", request, 30)) == [rows[0], rows[3]]
    assert odd.invalid_rows == "2 of its rows are not valid, the last one: what is 'moon'"


def test_a_refusal_is_found_among_the_errors_of_an_rsync():
    refusal = {"state": "refused", "class": "lease", "blame": "ours", "message": "run out"}
    line = f"\x1e{json.dumps(refusal)}"
    assert _link.refusal_in(f"rsync: odd\n{line}\nrsync error") == refusal
    for odd in ("", "rsync error", "\x1e{", "\x1e" + json.dumps({**refusal, "message": 5})):
        assert _link.refusal_in(odd) is None


# -- a program that is not what was installed


PWNED = """import json, os, sys
open(os.environ["PWNED"], "a").write(sys.argv[1] + "\\n")
print("\\x1e" + json.dumps({"state": "listed", "store": "pwned"}))
"""


@pytest.fixture
def pwned(tmp_path, monkeypatch):
    """The file in which a changed program notes that somebody has run it."""
    monkeypatch.setenv("PWNED", str(tmp_path / "pwned"))
    return tmp_path / "pwned"


def change(program):
    """Put another program in its place, as an agent of the same login can."""
    with zipfile.ZipFile(f"{program}.x", "w") as other:
        other.writestr("__main__.py", PWNED)
    os.replace(f"{program}.x", program)


def is_right(program):
    return hashlib.sha256(program.read_bytes()).hexdigest() == program.stem


def test_the_changed_program_of_these_tests_would_be_run_by_a_python_that_is_given_its_path(
    home, pwned
):
    link().call("list", {})
    change(only_program(home))
    argv = [sys.executable, "-I", "-S", str(only_program(home)), "list"]
    subprocess.run(argv, input=b"{}\n", capture_output=True, check=True)
    assert pwned.read_text() == "list\n"


def test_a_changed_program_is_not_run_but_replaced_and_told_of_once(home, pwned):
    link().call("list", {})
    said = []
    later = link(warn=said.append)
    for _time in range(2):
        change(only_program(home))
        assert later.call("list", {})["store"] != "pwned"
        assert is_right(only_program(home))
    assert not pwned.exists()
    assert len(said) == 1 and "the node program on node has been changed" in said[0]


def test_a_program_that_is_changed_while_the_connection_lasts_is_not_run_either(home, pwned):
    cold = link()
    cold.call("list", {})
    warm = link()
    warm.call("list", {})
    for asked in (cold, warm):
        change(only_program(home))
        assert asked.call("list", {})["store"] != "pwned" and is_right(only_program(home))
    assert not pwned.exists()


def test_a_program_is_compared_again_when_the_connection_was_lost(home, pwned):
    asked = link()
    asked.call("list", {})
    good = asked._ssh
    asked._ssh = link(before="exit 255")._ssh
    with pytest.raises(LinkError):
        asked.call("list", {})
    change(only_program(home))
    asked._ssh = good
    assert asked.call("list", {})["store"] != "pwned" and not pwned.exists()


@pytest.mark.parametrize("first", ["a verb", "rsync"])
def test_rsync_s_remote_side_is_never_a_changed_program(home, pwned, first):
    def local():
        return Link("node", "node", None, build(), known=Programs())

    local().call("list", {})
    asked = local()
    if first == "a verb":
        asked.call("list", {})
    change(only_program(home))

    def fetch():
        words = asked.rsync_words("send", "an attempt")
        argv = ["rsync", "-r", *words, asked.rsync_target(), str(home.parent / "here")]
        return asked.rsync(argv, 60)[2]

    if first == "a verb":
        # It was right a moment ago, so nobody looks; whoever tries it again finds it set right.
        assert "not the one of its name" in fetch()
    refusal = _link.refusal_in(fetch())
    assert refusal is not None and "an attempt" in refusal["message"]
    assert is_right(only_program(home)) and not pwned.exists()


def test_a_program_that_somebody_else_has_installed_is_installed_anew_and_then_known(
    home, pwned, tmp_path, monkeypatch
):
    link().call("list", {})
    before = only_program(home).stat()
    said = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another controller"))
    calls = tmp_path / "calls"
    assert link(f"echo x >> {calls}", warn=said.append).call("list", {})["state"] == "listed"
    # The master, the look, the installation, the verb.
    assert calls.read_text() == "x\n" * 4 and not said
    # The same file, for supervisors hold it.
    assert only_program(home).stat().st_ino == before.st_ino
    calls.unlink()
    link(f"echo x >> {calls}").call("list", {})
    assert calls.read_text() == "x\n" * 2
    # What lies there under its name is not believed either.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a third"))
    change(only_program(home))
    assert link().call("list", {})["store"] != "pwned"
    assert is_right(only_program(home)) and not pwned.exists()


def test_what_one_node_told_counts_for_no_other(home, pwned):
    link(key="a").call("list", {})
    known = Programs()
    known.keep("b", build().digest, "0" * 64)
    calls = home.parent / "calls"
    link(f"echo x >> {calls}", key="b").call("list", {})
    # The master, a guess in vain, the look, the installation, the verb.
    assert calls.read_text() == "x\n" * 5
    assert Programs().hash_of("b", build().digest) == only_program(home).stem


@pytest.mark.parametrize(
    "facts",
    [
        # A word of a command line can't hold it, or can't be so long.
        r"printf '\036python=/usr/bin/py\000thon3\n\036state=/x\n\036program=\n'",
        r"printf '\036python=/usr/bin/python3\n\036state=/x\000y\n\036program=\n'",
        r"printf '\036python=/'; head -c 200000 /dev/zero | tr '\0' a; printf '\n\036state=/x\n'",
        r"printf '\036python=/x\n\036state=/'; head -c 200000 /dev/zero | tr '\0' a; echo",
        # A path that is none leads to another place, and a terminal would obey it.
        r"printf '\036python=bin/python3\n\036state=/x\n'",
        r"printf '\036python=/usr/bin/python3\n\036state=x\n'",
        r"printf '\036python=/usr/bin/python3\033[2J\n\036state=/x\n'",
        r"printf '\036python=/usr/bin/python3\n\036state=/x\n\036program=%s\n' ../0",
        # A line that says nothing is passed over, as are those of others.
        r"printf 'a=b\036c\n\036python=/x\n\036state=\036\n'",
    ],
)
def test_what_a_node_says_of_its_python_and_state_is_held_to_its_form(home, facts):
    odd = Link("node", "host", ["/bin/sh", "-c", facts, "sh"], build(), known=Programs())
    for ask in (lambda: odd.call("list", {}), lambda: odd.rsync_words("send", "a")):
        with pytest.raises(LinkError, match="node (says|does not say)|what node says") as failed:
            ask()
        assert str(failed.value).isprintable()


@pytest.mark.parametrize(
    "argv", [["/no/such/ssh"], ["/bin/sh", "a\0b"], ["/bin/echo", "a" * 3_000_000]]
)
def test_a_program_that_can_not_be_started_here_is_an_error_of_that_node(argv):
    odd = Link("node", "host", argv, build())
    for ask in (
        lambda: odd.shell("", 5),
        lambda: odd.rsync(argv, 5),
        lambda: next(odd._ask("x", "list", {}, 5)),
        lambda: odd.session.call("claim", {}),
    ):
        with pytest.raises(LinkError, match="node: can't start /"):
            ask()
    odd.drop()


@pytest.mark.parametrize("said", ["", "\\036", "\\036" + "0" * 63, "\\036../x", "0" * 64])
def test_a_node_that_does_not_say_what_it_has_installed_is_an_error(home, said):
    answers = f"printf '\\036python=/python3\\n\\036state=/x\\n'; printf '{said}\\n'"
    odd = Link("node", "host", ["/bin/sh", "-c", answers, "sh"], build(), known=Programs())
    with pytest.raises(LinkError, match="does not say which program it has installed"):
        odd.call("list", {})
    assert Programs().hash_of(odd.key, build().digest) is None


def test_a_program_that_clean_took_away_comes_again_without_a_word(home):
    link().call("list", {})
    only_program(home).unlink()
    said = []
    assert link(warn=said.append).call("list", {})["state"] == "listed" and not said


def test_two_at_once_find_a_changed_program_and_both_get_their_answer(home, pwned):
    link().call("list", {})
    change(only_program(home))
    shared = link()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(one.call, "list", {}) for one in (shared, shared, link(), link())]
    assert {one.result()["state"] for one in asked} == {"listed"}
    assert is_right(only_program(home)) and not pwned.exists()


def test_without_a_memory_each_link_installs_the_program_and_finds_it_there(home):
    inodes = set()
    for _time in range(2):
        assert link(known=None).call("list", {})["state"] == "listed"
        inodes.add(only_program(home).stat().st_ino)
    assert len(inodes) == 1
