"""What a node's facts mean, from what real and played nodes said."""

from __future__ import annotations

import pathlib
import random
import re
import shlex
import time

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._doctor import (
    agent_checks,
    agents,
    node_checks,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._doctor.examine import (
    examine_node,
    overall,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._doctor.node_facts import (
    Contact,
    Way,
    read_node,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import agents as node_agents
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import store

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "doctor"
LINUX = (FIXTURES / "linux.txt").read_text(encoding="utf-8")
MACOS = (FIXTURES / "macos_made_by_hand.txt").read_text(encoding="utf-8")
CLOCK = int(re.search(r"clock (\d+)", LINUX)[1])
DAY = 86400


def facts(text=LINUX, *, tailnet=None, addresses=None, way=None, at=CLOCK, **contact):
    lines = [(at + 0.5, line) for line in text.split("\n")] if text else []
    found = read_node(
        "n1",
        Contact(lines=lines, asked_at=at, **contact),
        tailnet or {},
        addresses=addresses or {},
    )
    way = way or Way(("ssh", "-F", "/c", "n1"), "[h]:2222", "/known hosts")
    return type(found)(**{**vars(found), "way": way})


def found(node):
    return {name: row for name, row in examine_node(node).items() if row["status"] == "failed"}


def only(node):
    """The one finding: (check, row)."""
    ((name, row),) = found(node).items()
    assert row["details"]["why"] and row["remedy"]
    return name, row


def changed(key, value, text=LINUX):
    """The text with another value behind a key."""
    pattern = rf"@gummy-probe {re.escape(key)}(?: .*)? @end"
    assert re.search(pattern, text), key
    return re.sub(pattern, lambda _match: f"@gummy-probe {key} {value} @end", text)


def without(pattern, text=LINUX):
    kept = [line for line in text.splitlines() if not re.search(pattern, line)]
    assert len(kept) < len(text.splitlines())
    return "\n".join(kept)


def elsewhere(name, text=LINUX):
    """A program that lies where no shell looks."""
    lines = []
    for line in text.splitlines():
        found = re.match(rf"(.*program {name}) (\w+) (.*)", line)
        if found is None:
            lines.append(line)
        elif f"program {name} elsewhere" not in "\n".join(lines):
            lines.append(f"{found[1]} elsewhere {found[3]}")
    return "\n".join(lines)


def added(*lines):
    return LINUX.replace(
        "@gummy-probe done",
        "".join(f"@gummy-probe {line} @end\n" for line in lines) + "@gummy-probe done",
    )


def test_a_node_on_which_all_is_well_has_no_finding():
    rows = examine_node(facts())
    assert found(facts()) == {}
    assert [name for name, row in rows.items() if row["status"] == "unknown"] == ["max_sessions"]
    assert overall({"n1": rows}) == "ok"
    assert rows["agent_claude"]["details"] == {
        "installed": True,
        "path": "/home/gummy/bin/claude",
        "version": "2.1.332",
    }


@pytest.mark.parametrize(
    ("text", "check", "says", "remedy"),
    [
        (
            changed("python", "3.8.10 /usr/bin/python3"),
            "python",
            "3.8.10",
            "apt-get install -y python3",
        ),
        (changed("python", ""), "python", "no Python", "apt-get install -y python3"),
        (without(" rsync "), "rsync", "not installed", "apt-get install -y rsync"),
        (
            changed("version rsync", "openrsync: protocol version 29"),
            "rsync",
            "openrsync",
            "apt-get install -y rsync",
        ),
        (changed("version rsync", "rsync  version 2.6.9"), "rsync", "2.6", "install -y rsync"),
        (changed("version git", ""), "git", "does not tell", "install -y git"),
        (changed("version git", "git version 2.24.9"), "git", "2.24", "install -y git"),
        (
            elsewhere("rsync"),
            "rsync",
            "on the PATH of no shell there: it is /usr/bin/rsync",
            "~/.bashrc",
        ),
        (added("store 2"), "store", "format 2", "ansible-galaxy collection install"),
        (changed("writable", "no /home/gummy"), "store", "can't be written", "chmod u+rwx"),
        (
            changed("disk", "/dev/vda 100 99 1000 99% /"),
            "disk",
            "0.0 GB",
            "distributed.gummy.clean",
        ),
        (changed("disk", "/dev/vda 1 1 1000000 9% /"), "disk_low", "1.0 GB", "clean --limit n1"),
        (
            changed("logind", "KillUserProcesses=yes IdleAction=ignore"),
            "linger",
            "KillUserProcesses",
            "ssh -F /c n1 'loginctl enable-linger'",
        ),
        (
            changed("logind", "KillUserProcesses=no IdleAction=suspend"),
            "sleep",
            "IdleAction=suspend",
            "systemctl mask sleep.target",
        ),
        (without(" program gummy| program jq session| real gummy"), None, "", ""),
        (
            without(" (program|real|version) (gummy|claude)"),
            "agent_gummy",
            "no other agent",
            "ansible-playbook distributed.gummy.install --limit n1",
        ),
        (
            without(" (program|real|version) claude"),
            "agent_gummy",
            "gummy needs claude",
            "install --limit n1 -e gummy_agent=claude",
        ),
        (
            without(" (program|real) jq"),
            "agent_gummy",
            "gummy needs jq",
            "apt-get install -y jq",
        ),
        (
            elsewhere("gummy"),
            "agent_gummy",
            "on the PATH of no shell there, and in no usual folder: it is /home/gummy/bin/gummy",
            "~/.profile",
        ),
        (without(" login claude"), "login_claude", "not logged in", "claude /login"),
        (added("specialists home"), "claude_verbose", '"verbose": true', "python3 -c"),
        (changed("identity", "no"), "git_identity", "who commits", "git config --global user.name"),
        (changed("uid", "0"), "root", "gummy", "ansible_user"),
        (
            changed("MemAvailable:", "200000"),
            "memory",
            "0.2 GB",
            "ps -Ao rss,pid,args",
        ),
        (changed("filesystem", "nfs4"), "home", "network", "XDG_STATE_HOME"),
        (changed("filesystem", "fuse.sshfs"), "home", "network", "XDG_STATE_HOME"),
        (
            changed("disk", "nas:/home 100 9 100000000 1% /home"),
            "home",
            "network",
            "XDG_STATE_HOME",
        ),
        (
            changed("clock", str(CLOCK - 100)),
            "clock",
            "1 min 40 s slow",
            "timedatectl set-ntp true",
        ),
        (changed("clock", str(CLOCK + 86400)), "clock", "24 h fast", "timedatectl"),
        (added("max_sessions 2"), "max_sessions", "allows 2 sessions", "MaxSessions 10"),
        ("Welcome!\n" + LINUX, "shell", "prints something", "~/.bashrc"),
    ],
)
def test_each_finding_says_what_it_is_and_what_mends_it(text, check, says, remedy):
    node = facts(text)
    if check is None:
        # Who has another agent may do without the default one.
        assert found(node) == {}
        return
    name, row = only(node)
    assert (name, says in row["summary"], remedy in row["remedy"]) == (check, True, True), row


def test_a_path_that_the_login_shell_does_not_tell_is_that_of_the_session():
    text = changed("path login", "", without("program (gummy|claude|jq) login"))
    name, row = only(
        facts(
            text
            + "\n"
            + "\n".join(
                f"@gummy-probe program {name} session /x/{name} @end"
                for name in ("gummy", "claude", "jq")
            )
        )
    )
    assert name == "path" and row["remedy"].startswith("ssh -F /c n1  # ")


def test_macos_is_read_and_what_lies_in_its_keychain_is_unknown():
    text = elsewhere("gummy", elsewhere("claude", MACOS))
    node = facts(text, at=int(re.search(r"clock (\d+)", MACOS)[1]))
    rows = examine_node(node)
    findings = found(node)
    assert set(findings) == {"rsync", "sleep", "agent_claude", "agent_gummy"}
    assert "brew install rsync" in findings["rsync"]["remedy"]
    assert findings["sleep"]["remedy"] == "ssh -t -F /c n1 'sudo pmset -a sleep 0'"
    assert "~/.zprofile" in findings["agent_claude"]["remedy"]
    assert "/Users/ann/.local/bin" in findings["agent_claude"]["remedy"]
    assert findings["agent_gummy"]["details"]["version"] == "1.4.2"
    assert rows["login_claude"]["status"] == "unknown"
    assert "keychain" in rows["login_claude"]["summary"]
    assert rows["memory"]["details"]["available"] == pytest.approx(0.25 * 17179869184, rel=0.01)

    # Homebrew's is there, and the session finds the system's own first.
    again = facts(
        MACOS.replace("rsync login /usr/bin", "rsync login /opt/homebrew/bin"),
        at=int(re.search(r"clock (\d+)", MACOS)[1]),
    )
    assert 'export PATH="/opt/homebrew/bin:$PATH"' in found(again)["rsync"]["remedy"]
    assert "~/.zshenv" in found(again)["rsync"]["remedy"]


@pytest.mark.parametrize(
    ("kind", "reason", "check", "remedy"),
    [
        ("unreachable", "connection refused: no sshd listens there", "reach", "systemctl enable"),
        ("unreachable", "timed out", "reach", "tailscale ping 100.64.0.1"),
        ("unreachable", "no route to it", "reach", "tailscale ping 100.64.0.1"),
        ("unreachable", "its name is not known here", "reach", "ansible_host"),
        (
            "unreachable",
            "its sshd allows no more sessions (MaxSessions)",
            "reach",
            "MaxSessions 10",
        ),
        ("unreachable", "something else", "reach", "ssh -v -F /c n1"),
        ("timeout", "no answer within 15 s", "reach", "ssh -v -F /c n1"),
        ("settings", "it has the connection docker", "reach", "ansible-inventory --host n1"),
        (
            "host_key",
            "its host key has changed: …",
            "host_key",
            "ssh-keygen -R '[h]:2222' -f '/known hosts'",
        ),
        (
            "host_key",
            "its host key is not known: log in once by hand",
            "host_key",
            "ssh -o StrictHostKeyChecking=ask -F /c n1 true",
        ),
        ("login", "it asks for a password", "login", "ssh-copy-id -F /c n1"),
        ("silent", "nothing comes", "shell", "ssh -F /c n1  # press Ctrl-C"),
        ("no_command", "exit status 1", "shell", "chsh -s /bin/sh"),
    ],
)
def test_a_node_without_an_answer_has_one_finding_and_the_rest_is_unknown(
    kind, reason, check, remedy
):
    node = facts("", kind=kind, reason=reason, said="what ssh said", tailnet={"ip": "100.64.0.1"})
    name, row = only(node)
    assert name == check and remedy in row["remedy"] and row["category"] == "critical"
    rows = examine_node(node)
    of_contact = {each.id for each in node_checks.CHECKS if each.of_contact}
    assert {rows[name]["status"] for name in rows if name not in of_contact} == {"unknown"}
    assert overall({"n1": rows}) == "broken"


def test_keys_and_names_of_the_tailnet():
    def key(**tailnet):
        return found(facts(tailnet=tailnet)).get("tailnet_key", {}).get("summary")

    def stamp(days):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(CLOCK + days * DAY))

    assert key() is key(key_expiry=None) is key(key_expiry="odd") is key(expired="yes") is None
    assert key(key_expiry=stamp(30)) is None
    assert key(key_expiry=stamp(3.5)) == "its Tailscale key expires in 3 days"
    assert key(expired=True) == "its Tailscale key has expired"

    way = Way(("ssh", "n1"), own_name_leads_to="100.64.0.2")
    name, row = only(facts(way=way, addresses={"100.64.0.2": "n2", "100.64.0.1": "n1"}))
    assert name == "ssh_name" and "leads to n2" in row["summary"]
    own = Way(("ssh", "n1"), own_name_leads_to="100.64.0.1")
    assert found(facts(way=own, addresses={"100.64.0.1": "n1"})) == {}


def test_what_did_not_come_in_time_is_no_finding():
    for length in range(0, len(LINUX), 7):
        node = facts(LINUX[:length] or " ")
        assert found(node) == {}, LINUX[:length][-80:]


def test_no_word_of_a_node_becomes_part_of_a_command():
    evil = "/tmp/$(touch${IFS}x);`id`/rsync"
    text = elsewhere("rsync").replace("/usr/bin/rsync", evil)
    _name, row = only(facts(text))
    assert "$(touch" not in row["remedy"].replace(evil, "") and not row["remedy"].startswith("ssh ")
    text = elsewhere("gummy").replace("/home/gummy/bin/gummy", "/tmp/'; id; '/gummy")
    _name, row = only(facts(text))
    assert not row["remedy"].startswith("ssh ")

    # What is plain is quoted for both shells.
    _name, row = only(facts(elsewhere("rsync")))
    words = shlex.split(row["remedy"])
    assert words[:4] == ["ssh", "-F", "/c", "n1"] and len(words) == 5


def test_whatever_a_node_says_rows_come_of_it_and_take_no_time():
    chance = random.Random(5)
    keys = re.findall(r"@gummy-probe (\S+(?: \S+)?)", LINUX + MACOS)
    began = time.process_time()
    for _round in range(150):
        lines = []
        for _line in range(chance.randrange(60)):
            value = "".join(
                chance.choice("0123456789 ./\x1b[$(){}'\"\\=:@\N{RIGHT-TO-LEFT OVERRIDE}nfs-")
                for _char in range(chance.randrange(60))
            )
            lines.append(f"@gummy-probe {chance.choice(keys)} {value} @end")
        for row in examine_node(facts("\n".join(lines))).values():
            assert row["summary"].isprintable(), row
            assert row["remedy"] is None or row["remedy"].isprintable(), row
            assert all(
                not isinstance(value, str) or value.isprintable()
                for value in row["details"].values()
            ), row
    long = "@gummy-probe program rsync session /" + "a" * 300_000 + " @end\n"
    examine_node(facts(long + "\x1e" * 300_000 + LINUX))
    assert time.process_time() - began < 20


# -- what stands twice


def test_the_rows_of_agents_are_those_of_the_node_program():
    assert agents.AGENTS.keys() == node_agents.AGENTS.keys()
    for name, row in agents.AGENTS.items():
        other = node_agents.AGENTS[name]
        assert (row.programs, row.refuses_root) == (other.programs, other.refuses_root({})), name
        if row.login is not None:
            # By these a login may lie elsewhere; none of them is one.
            elsewhere = {
                "claude": {"ANTHROPIC_BASE_URL", "CLAUDE_CONFIG_DIR"},
                "codex": {"CODEX_HOME"},
            }
            assert set(other.login_variables) - set(row.login.variables) == elsewhere[name]
            assert set(row.login.variables) <= set(other.login_variables), name
    assert agents.DEFAULT in agents.AGENTS
    ids = {check.id for check in agent_checks.CHECKS}
    assert {"agent_gummy", "agent_claude", "login_claude"} <= ids
    assert {"agent_codex", "login_codex", "agent_opencode", "agent_qwen", "agent_gemini"} <= ids


def test_the_format_of_stores_is_that_of_the_node_program():
    assert node_checks.STORE_FORMAT == store.FORMAT
