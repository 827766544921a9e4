"""The doubles keep the contract of the programs that they stand for: what other tests rely on is
held here.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import agents, row

pytestmark = pytest.mark.once

DOUBLES = pathlib.Path(__file__).resolve().parents[1] / "doubles"
STREAM = [
    "claude",
    "-p",
    "--output-format",
    "stream-json",
    "--verbose",
    "--dangerously-skip-permissions",
]


class Machine:
    def __init__(self, top: pathlib.Path) -> None:
        self.home = top / "home"
        self.work = top / "work"
        self.bin = top / "bin"
        for folder in (self.home, self.work, self.bin):
            folder.mkdir()
        for name in ("gummy", "claude"):
            shutil.copy(DOUBLES / name, self.bin)
        path = f"{self.bin}:{pathlib.Path(sys.executable).parent}:/usr/bin:/bin"
        self.env = {"HOME": str(self.home), "PATH": path, "IS_SANDBOX": "1", "LC_ALL": "C"}

    def clock(self, seconds: int) -> None:
        (self.bin / "date").write_text(f"#!/bin/sh\necho {seconds}\n")
        (self.bin / "date").chmod(0o755)

    def start(self, *argv: str, **more) -> subprocess.Popen:
        more = {"env": self.env, "cwd": self.work, "stdin": subprocess.DEVNULL, **more}
        return subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            **more,
        )

    def run(self, *argv: str, **more) -> tuple[int, str, str]:
        text = more.pop("input", None)
        if text is not None:
            more["stdin"] = subprocess.PIPE
        process = self.start(*argv, **more)
        out, err = process.communicate(text)
        return process.returncode, out, err

    def starts(self) -> list[str]:
        log = self.home / "claude-starts.log"
        return [line.split()[1] for line in log.read_text().splitlines()] if log.exists() else []

    def log(self, job_id: str) -> list[str]:
        return (self.home / f".claude/logs/gummy/{job_id}-task.log").read_text().splitlines()

    def specialist(self, name: str) -> dict[str, str]:
        return dict(
            line.split(": ", 1)
            for line in (self.work / ".gummy/specialists" / name / "meta.yaml")
            .read_text()
            .splitlines()
        )


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def with_specialists(machine):
    """A home with the setting that a gummy started by hand needs for its specialists."""
    (machine.home / ".claude").mkdir()
    (machine.home / ".claude/settings.json").write_text('{"verbose": true}')
    (machine.work / ".gummy/lib").mkdir(parents=True)
    (machine.work / ".gummy/lib/core.sh").touch()
    return machine


def test_a_good_ephemeral_job_is_done_once_logged_and_announced(machine):
    machine.clock(1795371072)
    words = (
        "write it's/$(id).txt {{ 1 }} \"q\" ;; append it's/$(id).txt more ;; "
        "noise mixed in ;; cost 0.12"
    )
    status, out, err = machine.run("gummy", "task", *words.split(" "))
    assert (
        status == 0
        and "command not found" in err
        and "Task ID: gummy-1795371072\n" in out
        and "✅ TASK COMPLETED" in out
    )
    assert (machine.work / "it's/$(id).txt").read_text() == '{{ 1 }} "q"\nmore\n'
    assert machine.starts() == [hashlib.sha256(words.encode()).hexdigest()]
    lines = machine.log("gummy-1795371072")
    result = json.loads(lines[-1])
    assert (
        "mixed in" in lines
        and result["type"] == "result"
        and result["total_cost_usd"] == 0.12
        and not result["is_error"]
    )
    assert not (machine.home / ".claude/agent_comms/gummy/gummy-1795371072-task-report.md").exists()


def test_two_starts_in_one_second_share_id_log_and_instruction(machine):
    machine.clock(7)
    first = machine.start("gummy", "task", "wait go ;; say first")
    for line in first.stdout:
        if "Spawned" in line:
            break
    # Claude has read its prompt.
    while not machine.starts():
        assert first.poll() is None
    assert machine.run("gummy", "task", "say second")[0] == 0
    instruction = machine.home / "tmp/gummy-7-task-instruction.txt"
    assert "second" in instruction.read_text() and instruction.read_text().count("say second") == 2
    assert not any("first" in line for line in machine.log("gummy-7"))
    (machine.work / "go").touch()
    assert "COMPLETED" in first.communicate()[0] and first.returncode == 0


@pytest.mark.parametrize(
    ("script", "status", "completed", "is_error"),
    [
        ("fail", 1, False, None),
        ("fail 3", 3, False, None),
        ("no_result", 0, True, None),
        ("is_error", 0, True, True),
        ("limit", 1, False, True),
    ],
)
def test_how_ephemeral_failures_look(machine, script, status, completed, is_error):
    machine.clock(7)
    got, out, _err = machine.run(
        "gummy",
        "task",
        f"write a.txt x ;; {script} ;; write b.txt never".replace(" ;; write", "\nwrite"),
    )
    results = [json.loads(line) for line in machine.log("gummy-7") if '"type": "result"' in line]
    assert (got, "COMPLETED" in out, results[0]["is_error"] if results else None) == (
        status,
        completed,
        is_error,
    )
    assert sorted(p.name for p in machine.work.iterdir()) == ["a.txt"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("say build it", "frontend-specialist"),
        ("say sql api", "database-expert"),
        ("say SQL", "general-specialist"),
    ],
)
def test_a_specialist_is_routed_made_resumed_and_left_dormant(with_specialists, words, name):
    machine = with_specialists
    for turn, said in ((1, "=== Starting NEW session for"), (2, "=== Resuming session")):
        status, out, _err = machine.run("gummy", "task", words)
        assert (
            status == 0
            and f"📋 Routing to: {name}" in out
            and said in out
            and f"✓ Marked {name} as dormant" in out
        )
        assert (machine.specialist(name)["status"], machine.specialist(name)["turns"]) == (
            "dormant",
            str(turn),
        )
    session = (machine.work / ".gummy/specialists" / name / "session.txt").read_text().strip()
    assert session == machine.specialist(name)["session_id"]
    assert not (machine.home / ".claude/logs").exists()


def test_a_specialist_without_its_prompt_ends_gummy_before_claude_is_called(with_specialists):
    machine = with_specialists
    machine.run("gummy", "task", "say hi")
    (machine.work / ".gummy/specialists/general-specialist/prompt.txt").unlink()
    status, out, err = machine.run("gummy", "task", "say hi again")
    assert status == 1 and "COMPLETED" not in out and len(machine.starts()) == 1
    assert err.splitlines() == [
        (
            "head: cannot open '.gummy/specialists/general-specialist/prompt.txt' for reading: "
            "No such file or directory"
        ),
        "Error: No prompt file found for general-specialist",
    ]


def test_a_session_that_came_from_elsewhere_is_a_false_success(with_specialists):
    machine = with_specialists
    machine.run("gummy", "task", "say hi")
    shutil.rmtree(machine.home / ".claude/projects")
    status, out, err = machine.run("gummy", "task", "write a.txt x")
    assert status == 0 and "✅ TASK COMPLETED" in out and "No conversation found" in err
    assert (
        not (machine.work / "a.txt").exists()
        and machine.specialist("general-specialist")["turns"] == "2"
    )


def test_one_object_instead_of_an_array_leaves_the_specialist_new(with_specialists):
    status, out, err = with_specialists.run("gummy", "task", "object")
    assert status == 5 and "jq: error" in err and "COMPLETED" not in out
    assert with_specialists.specialist("general-specialist")["status"] == "new"


def test_with_claude_s_default_settings_no_specialist_works(with_specialists):
    (with_specialists.home / ".claude/settings.json").unlink()
    status, _out, err = with_specialists.run("gummy", "task", "say hi")
    assert status == 5
    assert err == 'jq: error (at <stdin>:1): Cannot index number with string "type"\n'


def test_no_claude_no_plan_no_words(machine):
    (machine.bin / "claude").unlink()
    assert machine.run("gummy", "task", "x") == (
        1,
        "",
        "Error: 'claude' command not found in PATH\n",
    )
    assert machine.run("gummy", "execute", "gummy-1")[2].startswith("Plan file not found")
    assert machine.run("gummy")[0] == 1


def test_what_claude_refuses(machine):
    assert (
        "requires --verbose"
        in machine.run("claude", "-p", "--output-format", "stream-json", "x")[2]
    )
    status, out, _err = machine.run("claude", "-p", "write a.txt x")
    assert (status, out) == (0, "I need your permission to edit files.\n") and not (
        machine.work / "a.txt"
    ).exists()
    if os.geteuid() == 0:
        del machine.env["IS_SANDBOX"]
        status, _out, err = machine.run(*STREAM, "write a.txt x")
        assert status == 1 and "root" in err and len(machine.starts()) == 1


def test_an_open_stdin_makes_claude_wait(machine):
    machine.env["CLAUDE_DOUBLE_PATIENCE"] = "0"
    read, write = os.pipe()
    err = machine.run(*STREAM, "say hi", stdin=read)[2]
    os.close(write)
    assert "no stdin data received in 3s" in err


# -- held to what the real claude printed

RECORDED = pathlib.Path(__file__).resolve().parents[1] / "recorded" / "claude-2.1.332"
ACCEPT = ["--permission-mode", "acceptEdits"]
# What the double is told, with which permission mode, and the recording that it stands for.
PAIRS = [
    ("write a.txt hi", ACCEPT, "good"),
    ("say hello", ACCEPT, "text"),
    ("limit", ACCEPT, "limit-oauth"),
    ("credit", ACCEPT, "credit"),
    ("busy", ACCEPT, "529"),
    ("logged_out", ACCEPT, "nokey"),
    ("empty", ACCEPT, "empty"),
    ("run curl --version", ACCEPT, "bash-accept"),
    ("run git add c.txt && git commit -m c", ACCEPT, "commit"),
    ("write a.txt hi", ["--permission-mode", "default"], "write-default"),
    ("say started ;; again ;; say started", ACCEPT, "background"),
    ("/clear", ACCEPT, "odd-slash-clear"),
    ("run kill -15 $PPID; sleep 9", ACCEPT, "term-bash"),
]


def of_type(out, kind):
    """The newest event of a type, and how many there are."""
    events = [json.loads(line) for line in out.splitlines()]
    events = [event for event in events if kind in (event["type"], event.get("subtype"))]
    return (events or [{}])[-1], len(events)


def verdict(out, status):
    reader = agents.AGENTS["claude"].reader()
    reader.feed("out", out.encode())
    reader.end()
    return agents.result_of(agents.AGENTS["claude"], row.Ran(status, reader))


@pytest.mark.parametrize(("script", "options", "name"), PAIRS, ids=lambda value: str(value)[:20])
def test_the_double_of_claude_says_what_the_real_one_said(machine, script, options, name):
    argv = ["claude", "-p", "--verbose", "--output-format", "stream-json", *options]
    status, out, _err = machine.run(*argv, input=script)
    recorded = (RECORDED / f"{name}.jsonl").read_text()
    wanted = json.loads((RECORDED / "exits.json").read_text())[name]["exit"]
    assert status == wanted

    said = verdict(out, status)
    real = verdict(recorded, wanted)
    assert (said.failure, said.kind, said.proof) == (real.failure, real.kind, real.proof)
    assert (said.hollow is None, len(said.denied)) == (real.hollow is None, len(real.denied))
    assert (said.reset_at is None) == (real.reset_at is None)
    assert said.agent_version == real.agent_version

    # Each field of its events is one of the real events, of the same type.
    for kind in ("result", "init", "rate_limit_event", "permission_denied", "api_retry"):
        event, count = of_type(out, kind)
        real_event, real_count = of_type(recorded, kind)
        assert bool(count) == bool(real_count), kind
        if kind == "result":
            assert count == real_count
        for key, value in event.items():
            assert key in real_event, (kind, key)
            if value is not None and real_event[key] is not None:
                is_number = isinstance(value, int | float)
                types = (int, float) if is_number else type(value)
                assert isinstance(real_event[key], types), (kind, key)


# -- the double of codex, opencode, qwen and gemini

OTHERS = {
    "codex": (
        "0.171.0",
        ["exec", "--json", "--skip-git-repo-check", "-s", "workspace-write", "-"],
        {
            "write a.txt hi": "good",
            "say hello": "text",
            "limit": "limit",
            "credit": "credit",
            "busy": "529",
            "logged_out": "401",
            "empty": "empty",
            "run git add c.txt": "commit",
            "run kill -15 $PPID; sleep 9": "term-bash",
        },
    ),
    "opencode": (
        "1.18.33",
        ["run", "--format", "json", "-m", "fake/model"],
        {
            "run echo hi > a.txt": "bash-ask-auto",
            "say hello": "text",
            "credit": "credit",
            "busy": "529",
            "logged_out": "401",
            "is_error Invalid request.": "400",
            "empty": "empty",
            "run curl http://x": "bash-ask",
            "run kill -15 $PPID; sleep 9": "term-bash",
        },
    ),
    "qwen": (
        "0.24.4",
        ["-o", "stream-json", "--approval-mode", "auto-edit"],
        {
            "run echo hi > a.txt": "bash",
            "say hello": "text",
            "busy": "529",
            "logged_out": "401",
            "is_error Invalid request.": "400",
            "empty": "empty",
            "run kill -15 $PPID; sleep 9": "term-bash",
        },
    ),
    "gemini": (
        "0.61.0",
        ["-o", "stream-json", "--skip-trust", "--approval-mode", "auto_edit"],
        {
            "run echo hi > a.txt": "bash",
            "say hello": "text",
            "limit": "limit",
            "busy": "529",
            "logged_out": "nokey",
            "is_error Invalid request.": "400",
            "empty": "empty",
        },
    ),
}


def verdict_of(agent, out, err, status):
    reader = agents.AGENTS[agent].reader()
    reader.feed("err", err.encode())
    reader.feed("out", out.encode())
    reader.end()
    return agents.result_of(agents.AGENTS[agent], row.Ran(status, reader))


def fields_of(value, path=()):
    """Each field of an event, with the fields around it; what is in lists too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from fields_of(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from fields_of(inner, path)


def known_fields(folder):
    """Type of an event -> each field that a recording of the agent has in one of that type."""
    fields = {}
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            if line.startswith("{"):
                event = json.loads(line)
                fields.setdefault(event["type"], set()).update(fields_of(event))
    return fields


@pytest.mark.parametrize("agent", OTHERS)
def test_the_double_of_the_others_says_what_the_real_ones_said(machine, agent):
    version, options, pairs = OTHERS[agent]
    folder = RECORDED.parent / f"{agent}-{version}"
    exits = json.loads((folder / "exits.json").read_text())
    known = known_fields(folder)
    shutil.copy(DOUBLES / "others", machine.bin / agent)
    for script, name in pairs.items():
        status, out, err = machine.run(agent, *options, input=script)
        assert status == exits[name]["exit"], (script, err)

        recorded = []
        for suffix in ("jsonl", "err"):
            path = folder / f"{name}.{suffix}"
            recorded.append(path.read_text() if path.exists() else "")
        said = verdict_of(agent, out, err, status)
        real = verdict_of(agent, *recorded, status)
        assert (said.failure, said.kind, said.proof) == (real.failure, real.kind, real.proof), name
        assert (said.hollow is None, len(said.denied)) == (real.hollow is None, len(real.denied))
        assert (said.reset_at is None) == (real.reset_at is None), name
        assert (said.cost_usd is None) == (real.cost_usd is None), name
        assert said.agent_version == real.agent_version

        for line in out.splitlines():
            event = json.loads(line)
            assert set(fields_of(event)) <= known[event["type"]], (name, event)


def test_the_double_of_opencode_leaks_the_project_where_the_real_one_would(machine):
    shutil.copy(DOUBLES / "others", machine.bin / "opencode")
    machine.run("opencode", "run", "--format", "json", "-m", "fake/model", input="say hi")
    assert not (machine.home / "opencode-leaked").exists()
    machine.run("opencode", "run", "--format", "json", input="say hi")
    assert (machine.home / "opencode-leaked").exists()


def test_what_a_session_that_is_gone_on_with_cost_is_told_as_the_real_one_does(machine):
    argv = ["claude", "-p", "--verbose", "--output-format", "stream-json"]
    first = machine.run(*argv, "say one ;; cost 0.5")[1]
    session = of_type(first, "result")[0]["session_id"]
    elsewhere = machine.work.parent / "elsewhere"
    elsewhere.mkdir()
    resume = [*argv, "--resume", session, "say two ;; cost 0.25"]
    status, out, _err = machine.run(*resume, cwd=elsewhere)
    assert status == 0
    assert of_type(out, "result")[0]["total_cost_usd"] == 0.75
    assert verdict(out, 0).cost_usd == 0.25
    real = of_type((RECORDED / "resume2.jsonl").read_text(), "result")[0]
    usage = real["model_usage_since_last_result"]
    assert sum(part["costUSD"] for part in usage.values()) < real["total_cost_usd"]
