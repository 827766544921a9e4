# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person wants to read of an agent that prints events: its words, its tools, its errors.

The events are lines of JSON, of claude and qwen, codex, gemini or opencode; their types say whose
they are. A line that is no event, or one of a type that is not known, stays as it is: nothing that
an agent printed is lost. tests/recorded has what the real programs print.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .text import how_many, printable, unstyled

Event = Mapping[str, Any]

# An agent whose log is its command's own output, whatever that looks like.
PLAIN = "shell"

# How many characters of a tool's argument, and of what an error says, stand in a line.
ARGUMENT_MOST = 200
ERROR_MOST = 400
# A line longer than that is no event that is read, and is shown as it is.
EVENT_MOST = 4 * 1024 * 1024
# How many characters there are at most of a line that is made of an event.
LINE_MOST = 8192

# Arguments that say what a tool does, the first of which counts.
ARGUMENTS = (
    *("command", "file_path", "filePath", "absolute_path", "path", "pattern", "query", "url"),
    *("description", "prompt", "subject"),
)


class LogReader:
    """Makes lines for people of what an agent prints, piece by piece."""

    def __init__(self, agent: str, *, raw: bool = False) -> None:
        """raw: whether its lines stay as they are."""
        self._is_plain = raw or agent == PLAIN
        self._raw = raw
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        """The lines that a piece of the log ends; it need not end with a line."""
        *whole, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > EVENT_MOST:
            # Nobody waits for the end of such a line.
            whole.append(self._rest)
            self._rest = ""
        return [each for line in whole for each in self._lines(line)]

    def end(self) -> list[str]:
        """The line that was not ended."""
        line, self._rest = self._rest, ""
        return self._lines(line) if line else []

    def _lines(self, line: str) -> list[str]:
        line = line.removesuffix("\r")
        if self._raw:
            return [harmless(line)]
        lines = None
        if not self._is_plain and line.startswith("{"):
            lines = event_lines(line)
        if lines is None:
            return [harmless(unstyled(line))]
        return [harmless(unstyled(each)[:LINE_MOST]) for each in lines]


def harmless(line: str) -> str:
    """A line of a log as a terminal may have it, with blanks for its tabs."""
    return printable(line.expandtabs())


def readable_lines(agent: str, log: str, *, raw: bool = False) -> list[str]:
    """The lines of a whole log as a person reads them. raw: as they are."""
    reader = LogReader(agent, raw=raw)
    return [*reader.feed(log), *reader.end()]


def readable_log(agent: str, failure: str | None, log: str) -> list[str]:
    """The same of a job's log. failure: its class; that of a setup is no agent's."""
    return readable_lines(PLAIN if failure == "setup" else agent, log)


def event_lines(line: str) -> list[str] | None:
    """What is shown of an event, maybe nothing; None: it is no event that is known."""
    if len(line) > EVENT_MOST:
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    kind = event.get("type")
    show = EVENTS.get(kind) if isinstance(kind, str) else None
    if show is None:
        return None
    return [each for text in show(event) for each in text.split("\n")]


# -- claude and qwen


def _system(event: Event) -> Iterator[str]:
    subtype = event.get("subtype")
    if subtype == "init":
        version = _word(event, "claude_code_version") or _word(event, "qwen_code_version")
        mode = _word(event, "permissionMode") or _word(event, "permission_mode")
        yield f"({_joined(version, _word(event, 'model'), mode)})"
    elif subtype in ("api_retry", "retry"):
        what = _joined(_word(event, "error"), _word(event, "error_status"))
        yield f"… its service says {what or 'no'}; it tries again ({_word(event, 'attempt')})"
    elif subtype in ("model_fallback", "informational"):
        yield f"… {_word(event, 'content')}"


def _assistant(event: Event) -> Iterator[str]:
    # What a helper of the agent does stands further to the right.
    indent = "  " if event.get("parent_tool_use_id") else ""
    for part in _parts(event):
        if part.get("type") == "text" and _word(part, "text"):
            yield from _indented(indent, _word(part, "text"))
        elif part.get("type") == "tool_use":
            yield indent + _tool(_word(part, "name"), part.get("input"))


def _user(event: Event) -> Iterator[str]:
    indent = "  " if event.get("parent_tool_use_id") else ""
    for part in _parts(event):
        if part.get("type") == "tool_result" and part.get("is_error"):
            yield f"{indent}✗ {_first_line(_text_of(part.get('content')))}"


def _result(event: Event) -> Iterator[str]:
    """The end, of claude, qwen or gemini."""
    failed = event.get("is_error") or event.get("status") == "error"
    words = ["failed" if failed else _word(event, "subtype") or _word(event, "status")]
    turns = event.get("num_turns")
    if isinstance(turns, int):
        words.append(how_many(turns, "turn"))
    cost = event.get("total_cost_usd")
    if isinstance(cost, (int, float)) and not isinstance(cost, bool):
        words.append(f"${cost:.2f}")
    yield f"= {_joined(*words)}"
    errors = event.get("errors")
    if failed and isinstance(errors, list):
        yield from (f"✗ {_first_line(_text_of(each))}" for each in errors)
    elif failed:
        yield f"✗ {_first_line(_word(event, 'result') or _text_of(event.get('error')))}"


# -- gemini


def _message(event: Event) -> Iterator[str]:
    # What the user says is the prompt, and only the agent's words are news.
    if event.get("role") == "assistant" and _word(event, "content"):
        yield _word(event, "content")


def _tool_result(event: Event) -> Iterator[str]:
    if event.get("status") == "error":
        yield f"✗ {_first_line(_text_of(event.get('error') or event.get('output')))}"


# -- gemini and opencode


def _tool_use(event: Event) -> Iterator[str]:
    part = event.get("part")
    if not isinstance(part, dict):
        yield _tool(_word(event, "tool_name"), event.get("parameters"))
        return
    state = part.get("state")
    state = state if isinstance(state, dict) else {}
    yield _tool(_word(part, "tool"), state.get("input"))
    if state.get("status") == "error":
        yield f"✗ {_first_line(_text_of(state.get('error')))}"


def _text(event: Event) -> Iterator[str]:
    part = event.get("part")
    if isinstance(part, dict) and _word(part, "text"):
        yield _word(part, "text")


def _error(event: Event) -> Iterator[str]:
    """Of codex, gemini or opencode."""
    error = event.get("error")
    yield f"✗ {_first_line(_word(event, 'message') or _text_of(error))}"


# -- codex


def _item_begun(event: Event) -> Iterator[str]:
    item = event.get("item")
    if isinstance(item, dict) and item.get("type") == "command_execution":
        yield _tool("", {"command": item.get("command")})


def _item_done(event: Event) -> Iterator[str]:
    item = event.get("item")
    if not isinstance(item, dict):
        return
    kind = item.get("type")
    if kind == "agent_message" and _word(item, "text"):
        yield _word(item, "text")
    elif kind == "command_execution":
        if item.get("status") != "completed":
            yield f"✗ exit status {_word(item, 'exit_code') or 'unknown'}"
    elif kind == "file_change" and isinstance(item.get("changes"), list):
        for change in item["changes"]:
            if isinstance(change, dict):
                yield _tool(_word(change, "kind"), {"path": change.get("path")})
    elif kind == "error":
        yield f"… {_first_line(_word(item, 'message'))}"


def _turn_failed(event: Event) -> Iterator[str]:
    yield f"= failed: {_first_line(_text_of(event.get('error')))}"


def _turn_completed(_event: Event) -> Iterator[str]:
    yield "= completed"


def _nothing(_event: Event) -> Iterator[str]:
    yield from ()


# Type of an event -> the texts that are shown of it.
EVENTS: Mapping[str, Callable[[Event], Iterator[str]]] = {
    "system": _system,
    "assistant": _assistant,
    "user": _user,
    "result": _result,
    "message": _message,
    "tool_result": _tool_result,
    "tool_use": _tool_use,
    "text": _text,
    "error": _error,
    "item.started": _item_begun,
    "item.completed": _item_done,
    "turn.failed": _turn_failed,
    "turn.completed": _turn_completed,
    # What says nothing to a person.
    **dict.fromkeys(
        (
            *("conversation_reset", "init", "item.updated", "rate_limit_event", "reasoning"),
            *("step_finish", "step_start", "stream_event", "thread.started", "tool_progress"),
            "turn.started",
        ),
        _nothing,
    ),
}


# -- words


def _parts(event: Event) -> Iterator[Event]:
    """The parts of a message; a text alone is one."""
    message = event.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if isinstance(content, list):
        yield from (part for part in content if isinstance(part, dict))


def _tool(name: str, arguments: object) -> str:
    """`→ Bash: git status`."""
    argument = ""
    if isinstance(arguments, dict):
        argument = next((_word(arguments, key) for key in ARGUMENTS if _word(arguments, key)), "")
    words = [name, _cut(argument.split("\n", 1)[0], ARGUMENT_MOST)]
    return f"→ {': '.join(filter(None, words))}"


def _text_of(value: object) -> str:
    """The text within what may be a text, a list of parts or an object with a message."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(_text_of(part) for part in value[:10] if not isinstance(part, list))
    if isinstance(value, dict):
        for key in ("text", "message", "name"):
            if isinstance(value.get(key), str) and value[key]:
                return str(value[key])
        data = value.get("data")
        if isinstance(data, dict) and isinstance(data.get("message"), str):
            return str(data["message"])
    return ""


def _word(event: Event, key: str) -> str:
    """A text or a number of an event; blank for anything else."""
    value = event.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value)


def _joined(*words: str) -> str:
    return ", ".join(filter(None, words))


def _indented(indent: str, text: str) -> Iterator[str]:
    yield from (indent + line for line in text.split("\n"))


def _first_line(text: str) -> str:
    return _cut(text.strip().split("\n", 1)[0], ERROR_MOST) or "an error without words"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
