"""What people read of agents that print events, and what else is in a log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.agent_events import (
    LogReader,
    readable_lines,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.followed import FollowedLogs

RECORDED = Path(__file__).resolve().parents[2] / "recorded"
RECORDINGS = sorted(RECORDED.glob("*/*.jsonl"))
ROW = {"attempt": "u-1", "job": "docs", "agent": "claude", "node": "n", "run_id": "r"}


def recorded(name: str) -> list[str]:
    return readable_lines("claude", (RECORDED / name).read_text(encoding="utf-8"))


def test_of_claude_its_words_its_tools_and_how_it_ended_are_shown() -> None:
    assert recorded("claude-2.1.332/bash-fails.jsonl") == [
        "(2.1.332, claude-opus-5-5, acceptEdits)",
        "→ Bash: exit 3",
        "✗ This command requires approval",
        "It failed.",
        "= success, 2 turns, $0.01",
    ]


def test_what_its_service_says_is_shown() -> None:
    lines = recorded("claude-2.1.332/429-twice.jsonl")
    assert "… its service says rate_limit, 429; it tries again (2)" in lines
    assert "Good after 2 refusals." in lines


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_event_of_a_real_program_is_shown_as_json(path: Path) -> None:
    text = path.read_text(encoding="utf-8", errors="replace")
    assert not [line for line in readable_lines("claude", text) if line.startswith('{"')]


# Of each other agent, lines as the real programs print them, and what is shown of them.
OTHERS = {
    "codex": (
        [
            {"type": "thread.started", "thread_id": "S"},
            {
                "type": "item.started",
                "item": {"type": "command_execution", "command": "/bin/bash -lc 'exit 3'"},
            },
            {
                "type": "item.completed",
                "item": {"type": "command_execution", "exit_code": 3, "status": "failed"},
            },
            {"type": "item.completed", "item": {"type": "agent_message", "text": "It failed."}},
            {"type": "turn.failed", "error": {"message": "You\u2019ve hit your usage limit."}},
        ],
        [
            "→ /bin/bash -lc 'exit 3'",
            "✗ exit status 3",
            "It failed.",
            "= failed: You\u2019ve hit your usage limit.",
        ],
    ),
    "gemini": (
        [
            {"type": "init", "model": "gemini-2.5-flash"},
            {"type": "message", "role": "user", "content": "the prompt"},
            {"type": "tool_use", "tool_name": "write_file", "parameters": {"file_path": "a.txt"}},
            {"type": "tool_result", "status": "error", "output": "no"},
            {"type": "message", "role": "assistant", "content": "Done.", "delta": True},
            {"type": "result", "status": "error", "error": {"message": "quota"}},
        ],
        ["→ write_file: a.txt", "✗ no", "Done.", "= failed", "✗ quota"],
    ),
    "opencode": (
        [
            {"type": "step_start", "part": {"type": "step-start"}},
            {
                "type": "tool_use",
                "part": {
                    "type": "tool",
                    "tool": "bash",
                    "state": {"status": "error", "input": {"command": "ls\nx"}, "error": "denied"},
                },
            },
            {"type": "text", "part": {"type": "text", "text": "One.\nTwo."}},
            {"type": "error", "error": {"name": "APIError", "data": {"message": "no credit"}}},
        ],
        ["→ bash: ls", "✗ denied", "One.", "Two.", "✗ APIError"],
    ),
}


@pytest.mark.parametrize("agent", OTHERS)
def test_of_other_agents_the_same_is_shown(agent: str) -> None:
    events, lines = OTHERS[agent]
    assert readable_lines(agent, "".join(json.dumps(each) + "\n" for each in events)) == lines


@pytest.mark.parametrize(
    "line",
    [
        '{"type": "no such type", "x": 1}',
        '{"type": ["text"]}',
        '{"type": null}',
        '{"no": "type"}',
        "{ broken",
        "{}",
        '["type"]',
        "plain words",
        "{" * 100_000,
    ],
)
def test_what_is_no_known_event_stays_as_it_is(line: str) -> None:
    assert readable_lines("claude", line + "\n") == [line]


@pytest.mark.parametrize(
    "value", [None, 1, [], {}, "x", [[["x"]]], {"content": {"a": 1}}, [1, None]]
)
@pytest.mark.parametrize("kind", ["system", "assistant", "user", "result", "message", "tool_use"])
def test_an_event_with_odd_parts_breaks_nothing(kind: str, value: object) -> None:
    event = dict.fromkeys(
        ("message", "content", "part", "item", "error", "errors", "num_turns", "parameters"), value
    )
    readable_lines("claude", json.dumps({"type": kind, **event, "is_error": True}))


def test_a_command_that_prints_json_is_shown_as_it_is() -> None:
    event = '{"type": "text", "part": {"text": "x"}}'
    assert readable_lines("shell", event) == [event]
    assert readable_lines("claude", event, raw=True) == [event]


def test_nothing_that_a_terminal_obeys_is_left_in_any_line() -> None:
    evil = "\x1b[31mred\x1b[0m\x1b]0;title\x07\x08\u202e\x9b2J\tx"
    event = json.dumps({"type": "text", "part": {"text": evil}})
    for raw in (True, False):
        for line in readable_lines("opencode", f"{event}\n{evil}\n", raw=raw):
            assert line.isprintable(), repr(line)
    assert readable_lines("opencode", event)[0].startswith("red")


def test_a_line_of_an_event_is_cut_and_a_plain_one_is_not() -> None:
    long = "x" * 20_000
    assert readable_lines("shell", long) == [long]
    event = json.dumps({"type": "text", "part": {"text": long}})
    assert len(readable_lines("opencode", event)[0]) == 8192


def test_lines_come_whole_wherever_the_pieces_end() -> None:
    text = '{"type": "text", "part": {"text": "häh"}}\nplain\r\n\nlast'
    for size in (1, 2, 7, 1000):
        reader = LogReader("opencode")
        lines = []
        for start in range(0, len(text), size):
            lines += reader.feed(text[start : start + size])
        assert [*lines, *reader.end()] == ["häh", "plain", "", "last"]


# -- several at once


def test_one_log_has_no_name_in_front_and_several_have() -> None:
    logs = FollowedLogs()
    assert logs.take(ROW, "begun") == []
    assert logs.take(ROW, "piece", "one\n") == []
    assert logs.take(ROW, "reached") == ["one"]
    assert logs.take(ROW, "piece", "two\nthr") == ["two"]

    other = {**ROW, "attempt": "u-2", "job": "interface"}
    assert logs.take(other, "begun") == []
    assert logs.take(other, "reached") == []
    assert logs.take(ROW, "piece", "ee\n") == ["docs      | three"]
    assert logs.take(other, "piece", "x\n") == ["interface | x"]
    assert logs.take(other, "over") == []


def test_of_what_was_there_before_the_last_lines_are_shown() -> None:
    logs = FollowedLogs(lines=2)
    logs.take(ROW, "begun")
    assert logs.take(ROW, "piece", "1\n2\n3\n") == []
    assert logs.take(ROW, "reached") == ["2", "3"]
    assert logs.take(ROW, "piece", "4\n5\n6\n7") == ["4", "5", "6"]
    assert logs.take(ROW, "over") == ["7"]

    ended = FollowedLogs(lines=1)
    ended.take(ROW, "piece", "1\n2")
    assert ended.take(ROW, "over") == ["2"]


def test_attempts_of_one_name_are_told_apart() -> None:
    logs = FollowedLogs()
    for number, row in enumerate(({}, {"node": "m"}, {"node": "m", "run_id": "s"}, {"node": "m"})):
        logs.take({**ROW, "attempt": f"u-{number}", **row}, "reached")
    names = [logs.take({**ROW, "attempt": f"u-{number}"}, "piece", "x\n") for number in range(4)]
    assert [line.partition(" |")[0].strip() for (line,) in names] == [
        *("docs", "docs@m", "s/docs@m", "r/docs@m"),
    ]


def test_a_sentence_about_the_way_is_in_brackets_and_harmless() -> None:
    logs = FollowedLogs()
    assert logs.take(ROW, "note", "n is\x1b away") == ["(n is\N{REPLACEMENT CHARACTER} away)"]
