"""The script that a node is asked with, run here in a made-up home."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._doctor.node_facts import (
    Contact,
    read_node,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._doctor.script import script

# What a bare node has: no timeout among them, so that Perl is the one who limits.
TOOLS = ("env", "sed", "head", "tail", "df", "dirname", "id", "date", "uname", "readlink", "tr")
TOOLS = (*TOOLS, "cat", "grep", "sleep", "perl", "ps", "sh", "bash", "touch")


def run(home, path, *, shell="/bin/sh", text=None, **variables):
    """The facts that it tells."""
    done = subprocess.run(
        ["/bin/sh", "-s"],
        input=text or script(),
        env={"HOME": str(home), "PATH": path, "SHELL": shell, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [(time.time(), line) for line in done.stdout.splitlines()]
    assert lines[-1][1] == "@gummy-probe done @end", done.stdout
    return read_node("here", Contact(lines=lines, asked_at=time.time()), {}, addresses={})


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "a home"
    (folder / "bin").mkdir(parents=True)
    return folder


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def test_it_finds_agents_and_logins_and_leaves_nothing(home):
    (home / ".local/bin").mkdir(parents=True)
    program(home / ".local/bin/claude", "echo 2.1.332 '(Claude Code)'")
    (home / "conf").mkdir()
    (home / "conf/settings.json").write_text('{"apiKeyHelper": "x", "verbose" : true}')
    (home / ".gummy/specialists").mkdir(parents=True)
    before = sorted(home.rglob("*"))
    facts = run(
        home,
        os.environ["PATH"],
        ANTHROPIC_API_KEY="secret-value",
        CLAUDE_CONFIG_DIR=str(home / "conf"),
    )
    assert sorted(home.rglob("*")) == before
    claude = facts.program("claude")
    assert claude.version == "2.1.332" and "folder" in claude.paths
    assert facts.logins == {"claude": {"settings", "ANTHROPIC_API_KEY"}}
    assert "secret-value" not in str(facts)
    assert facts.settings == {("claude", "verbose")} and facts.specialists
    assert facts.writable and facts.state_folder and facts.python[0].startswith("3.")
    assert abs(facts.clock_ahead) < 5 and facts.memory > 0 and facts.measured.free > 0


@pytest.mark.skipif(not shutil.which("perl"), reason="needs perl")
def test_start_up_files_that_hang_are_waited_for_some_seconds_also_without_timeout(home):
    tools = home / "tools"
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        if found:
            (tools / name).symlink_to(found)
    (home / ".profile").write_text(f"sleep 300\ntouch '{home}/went-on'\n")
    text = script().replace(
        "PATH=$PATH:/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin:/usr/sbin:/sbin", ":"
    )
    assert text != script()
    facts = run(home, str(tools), shell="/bin/bash", text=text)
    assert facts.paths["login"] == "" and facts.paths["session"] == str(tools)
    assert not (home / "went-on").exists()
