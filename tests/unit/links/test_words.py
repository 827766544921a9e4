"""What a login says in place of running a command, and what of it people are told."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.programs import Programs
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import words as _words
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import Link, LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.program import build
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.words import (
    asks_a_person,
    told_words,
)

CHECK = (
    "# Tailscale SSH requires an additional check.\n"
    "# To authenticate, visit: https://login.tailscale.com/a/0123\n"
)


@pytest.mark.parametrize(
    "words",
    [
        CHECK,
        "Please open the following URL to log in:\n\nhttps://sso.example.org/x\n",
        "A browser window should have opened at the following URL:\n\nhttps://x.cloudflare/cdn\n",
    ],
)
def test_words_that_ask_for_a_person_are_known_once_they_are_waited_behind(words):
    assert asks_a_person(words)
    assert not asks_a_person(words, 1.0)


@pytest.mark.parametrize(
    "words",
    ["", "Authorized use only. All activity is monitored.", "Last login: Tuesday", "https://x.org"],
)
def test_a_banner_asks_for_nobody(words):
    assert not asks_a_person(words, 100.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (CHECK, CHECK.replace("# ", "").replace("\n", " ").strip()),
        ("Warning: Permanently added 'n' (ED25519)\r\nno\x1b[31m\r\nway\r\n", "no�[31m way"),
        ('Traceback (most recent call last):\n  File "<string>", line 1\nOSError: x', "OSError: x"),
        ("x" * 1000, "… " + "x" * 300),
        (" \n\t\n", ""),
    ],
)
def test_what_people_are_told_is_one_line(text, told):
    assert told_words(text) == told


def says(script):
    """A link that nobody has used, to a login that does this whatever it is asked."""
    return Link("node", "host", ["/bin/sh", "-c", script, "sh"], build(), known=Programs())


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.parametrize("asked", ["call", "session"])
def test_a_login_that_waits_for_a_person_is_not_waited_for(asked, monkeypatch):
    waits = says(f"printf '{CHECK}' >&2; exec sleep 100")
    if asked == "session":
        waits._known.keep(waits.key, build().digest, "0" * 64)
    with pytest.raises(LinkError, match="visit: https://login.tailscale.com/a/0123") as failed:
        (waits if asked == "call" else waits.session).call("list", {})
    assert failed.value.kind == "login"


def test_a_login_that_says_something_and_goes_on_for_ever_runs_no_command(monkeypatch):
    from ansible_collections.distributed.gummy.plugins.plugin_utils._links import link as _link

    monkeypatch.setattr(_link, "SHELL_SECONDS", 0.2)
    with pytest.raises(LinkError, match="runs no command, and says: the menu") as failed:
        says("echo the menu; exec sleep 100").connect()
    assert failed.value.kind == "no_command"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo This account is not available; exit 1", "says: This account is not available"),
        ("echo Your password has expired >&2; exit 1", "says: Your password has expired"),
        ("echo the menu", "says: the menu"),
        ('echo "rejected: $*"', "says: rejected: "),
        ("exit 3", "says: nothing, and ends with exit status 3"),
    ],
)
def test_a_login_that_runs_no_command_is_told_in_its_words(script, message):
    with pytest.raises(LinkError, match="the login runs no command, and " + message) as failed:
        says(script).connect()
    assert failed.value.kind == "no_command"


def test_a_program_that_can_t_be_written_is_told_in_a_sentence(tmp_path):
    (tmp_path / "state").write_text("a file")
    there = says('exec /bin/sh -c "$3"')
    with pytest.raises(LinkError, match="can't be written to .*/state/distributed-gummy") as failed:
        there.call("list", {})
    assert failed.value.kind == "state" and "Traceback" not in str(failed.value)


def test_words_cost_no_more_time_than_they_are_long():
    assert not asks_a_person("visit " * 2_000_000)
    assert len(told_words("x\n" * 2_000_000)) <= _words.TOLD + 2
