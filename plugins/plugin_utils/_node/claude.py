# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent `claude`: how it is called, and what its events say.

What its events mean was recorded from versions 2.1.197 and 2.1.332 (tests/recorded/). Machine words
come first: `is_error`, the `error` of the message that tells it, `api_error_status`. Its prose
counts only where none of them is there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping

from .durations import spoken
from .events import count, dollars, fields
from .row import (
    BUSY_STATUS,
    CAPPED,
    DENIED_MOST,
    DENIED_SHOWN,
    LOGIN_STATUS,
    SHOWN,
    Agent,
    Ran,
    Result,
    killed_by,
    signal_name,
)
from .store import TYPE_CHECKING
from .streamed import StreamReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from . import limits, wire

PROOF = "%s's result event"
# Uses of tools that are remembered, for what was refused is told by their ids.
USES_MOST = 200
# Messages whose tokens are remembered: claude prints one message in several events.
MESSAGES_MOST = 20
# The option by which claude holds itself to a number of dollars, and what its result says then.
BUDGET_OPTION = "--max-budget-usd"
OVER_BUDGET = ("error_max_budget_usd", "budget_exhausted")
# The words of claude's `error` that say that the service had too much to do.
BUSY_ERRORS = ("server_error", "overloaded", "overloaded_error", "timeout")
LOGIN_WORDS = ("not logged in", "please run /login", "invalid api key", "oauth token has expired")
# What of a refused use says what it was.
INPUT_KEYS = ("command", "file_path", "path", "notebook_path", "url", "query", "pattern")
# Variables by which claude gets a login or another provider than its own.
LOGIN_VARIABLES = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "ANTHROPIC_BASE_URL",
    "CLAUDE_CONFIG_DIR",
)
# Its bounds.
BOUNDS = {
    # Its pauses double from half a second: about a minute in all. What still fails then is told,
    # and tried again when nobody is kept waiting by it.
    "CLAUDE_CODE_MAX_RETRIES": "7",
    # A server in the background would hold a job whose result is there, until its time limit.
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
}
# Bytes of a settings file, which is a person's own.
SETTINGS_MOST = 1 << 20


class ClaudeReader(StreamReader):
    """The state of one claude, by the events that it has printed."""

    # How people call the agent, and what lets it do what it was refused; blank: what claude's own
    # settings say.
    name = "claude"
    remedy = ""
    # What earlier runs of its session cost, where somebody remembers it.
    earlier_cost: float | None = None

    def __init__(self, hear: Callable[[dict[str, Any]], None] | None = None) -> None:
        """hear: is given each event as well."""
        super().__init__()
        self._hear = hear
        self.version: str | None = None
        # The permission mode, as claude itself tells it.
        self.mode = ""
        # The last result event.
        self.result: dict[str, Any] | None = None
        # Dollars of this run: what the results add, or else what the last one tells.
        self._added_cost: float | None = None
        self.total_cost: float | None = None
        self._turns: int | None = None
        # Whether the last result's total is of more than this run. Older versions tell this run's.
        self._is_of_all_runs = False
        # Tokens by the results, and by the messages since the last one.
        self._tokens: dict[str, int] = {}
        self._messages: dict[str, tuple[int, int]] = {}
        self._older = (0, 0)
        # The newest message's `error`, and other words on it; its text is in `words`.
        self._error: dict[str, Any] = {}
        # Until when a limit lasts that claude was told by its service.
        self._rejected: dict[str, Any] = {}
        # Uses of tools by id.
        self._uses: dict[str, str] = {}

    def so_far(self) -> Result:
        return Result(
            cost_usd=self.cost,
            turns=self._turns,
            tokens=self.tokens,
            session_id=self.session,
            denied=tuple(self.denied.values()),
            agent_version=self.version,
        )

    @property
    def cost(self) -> float | None:
        """Of this run. The total of a session that was gone on with is of all its runs."""
        if self._added_cost is not None:
            return round(self._added_cost, 10)
        if self.total_cost is None or self.earlier_cost is None or not self._is_of_all_runs:
            return self.total_cost
        if self.total_cost < self.earlier_cost:
            return self.total_cost
        return round(self.total_cost - self.earlier_cost, 10)

    @property
    def tokens(self) -> wire.Tokens | None:
        total_in = self._tokens.get("in", 0) + self._older[0]
        total_out = self._tokens.get("out", 0) + self._older[1]
        for tokens_in, tokens_out in self._messages.values():
            total_in += tokens_in
            total_out += tokens_out
        if not self._tokens and not total_in and not total_out:
            return None
        return {"input": total_in, "output": total_out}

    # -- its events

    def take(self, event: dict[str, Any]) -> None:
        if self._hear is not None:
            self._hear(event)
        kind = event.get("type")
        session = event.get("session_id")
        if isinstance(session, str) and session:
            self.session = session[:SHOWN]
        if kind == "result":
            self._take_result(event)
        elif kind == "assistant":
            self._take_message(event)
        elif kind == "system":
            self.take_system(event)
        elif kind == "rate_limit_event":
            self._take_limit(fields(event.get("rate_limit_info")))
        elif kind in ("user", "tool_progress"):
            self._goes_on()

    def _goes_on(self) -> None:
        self.finished = False
        self.waits = ""

    def take_system(self, event: dict[str, Any]) -> None:
        subtype = event.get("subtype")
        if subtype == "init":
            version = event.get("claude_code_version")
            if isinstance(version, str):
                self.version = version[:SHOWN]
            self.mode = str(event.get("permissionMode") or "")[:SHOWN]
            # An init stands behind the result of a command of claude's own.
            if not (self.result and self.finished and self.result.get("local_command")):
                self._goes_on()
        elif subtype == "api_retry":
            self.finished = False
            self.waits = _waits(event)
        elif subtype == "permission_denied":
            self._deny(event.get("tool_use_id"), str(event.get("tool_name") or "a tool"))

    def _take_limit(self, info: dict[str, Any]) -> None:
        if info.get("status") == "rejected":
            self._rejected = info
        elif info.get("status"):
            self._rejected = {}

    def _take_message(self, event: dict[str, Any]) -> None:
        message = fields(event.get("message"))
        self._goes_on()
        self._error = event if event.get("error") else {}
        self._count_tokens(message)
        content = message.get("content")
        for part in content if isinstance(content, list) else []:
            part = fields(part)
            if part.get("type") == "text":
                self.words = str(part.get("text") or "")[:SHOWN] or self.words
            elif part.get("type") == "tool_use":
                self._uses[str(part.get("id"))[:64]] = _use(
                    str(part.get("name") or "a tool"), fields(part.get("input"))
                )
                if len(self._uses) > USES_MOST:
                    del self._uses[next(iter(self._uses))]

    def _count_tokens(self, message: dict[str, Any]) -> None:
        usage = fields(message.get("usage"))
        if not usage:
            return
        self._messages[str(message.get("id"))[:64]] = _tokens(usage)
        if len(self._messages) > MESSAGES_MOST:
            first = self._messages.pop(next(iter(self._messages)))
            self._older = (self._older[0] + first[0], self._older[1] + first[1])

    def _take_result(self, event: dict[str, Any]) -> None:
        self.result = {
            key: event[key][: SHOWN * 4] if isinstance(event[key], str) else event[key]
            for key in (
                "subtype",
                "is_error",
                "result",
                "errors",
                "num_turns",
                "terminal_reason",
                "api_error",
                "api_error_status",
                "local_command",
                "error",
            )
            if key in event
        }
        self.finished = True
        self.waits = ""

        self.total_cost = dollars(event.get("total_cost_usd"))
        parts = event.get("model_usage_since_last_result")
        if isinstance(parts, dict):
            costs = [dollars(fields(part).get("costUSD")) for part in parts.values()]
            self._added_cost = (self._added_cost or 0.0) + sum(filter(None, costs))

        models = [fields(part) for part in fields(event.get("modelUsage")).values()]
        output_of_all = sum(count(part.get("outputTokens")) or 0 for part in models)
        self._is_of_all_runs = output_of_all > _tokens(fields(event.get("usage")))[1]

        turns = count(event.get("num_turns"))
        if turns is not None:
            self._turns = (self._turns or 0) + turns
        usage = fields(event.get("usage"))
        if usage:
            tokens_in, tokens_out = _tokens(usage)
            self._tokens["in"] = self._tokens.get("in", 0) + tokens_in
            self._tokens["out"] = self._tokens.get("out", 0) + tokens_out
            self._messages.clear()
            self._older = (0, 0)

        denials = event.get("permission_denials")
        for denial in denials if isinstance(denials, list) else []:
            denial = fields(denial)
            name = str(denial.get("tool_name") or "a tool")
            use = _use(name, fields(denial.get("tool_input")))
            self._deny(denial.get("tool_use_id"), use)

    def _deny(self, use_id: object, use: str) -> None:
        key = str(use_id)[:64]
        if key in self.denied or len(self.denied) < DENIED_MOST:
            self.denied[key] = self._uses.get(key) or use

    # -- its end

    def verdict(self, status: int | None) -> Result:
        base = self.so_far()
        result = self.result
        if result is not None and self._is_error(result):
            return self._failed(base, result, status)

        number = None if status is None else killed_by(status)
        if number is not None:
            message = "%s was ended by %s" % (self.name, signal_name(number))
            return base._replace(failure="killed", message=message)
        if status:
            return self._failed_silently(base, status)
        if result is None:
            return base._replace(failure="agent", message=self.silent_words(status))

        text = text_of(result)
        hollow = self.hollow(result)
        if status is None:
            text = "%s (it did not end after its result, and was ended)" % text
        return base._replace(proof=PROOF % self.name, message=text.strip(), hollow=hollow)

    def _is_error(self, result: dict[str, Any]) -> bool:
        return bool(result.get("is_error")) or str(result.get("subtype")).startswith("error")

    def _failed(self, base: Result, result: dict[str, Any], status: int | None) -> Result:
        """claude itself says that it failed."""
        number = None if status is None else killed_by(status)
        text = text_of(result) or str(result.get("subtype") or "")
        if number is not None and not self._error:
            message = "%s was ended by %s: %s" % (self.name, signal_name(number), text[:SHOWN])
            return base._replace(failure="killed", message=message)

        return self._reported(base, result, text)

    def _reported(self, base: Result, result: dict[str, Any], text: str) -> Result:
        """What claude says of its own failure; result: empty if it printed none."""
        failure, limit = self.class_of(result, text)
        return base._replace(
            failure=failure,
            kind=limit.kind if limit else None,
            reset_at=limit.reset_at if limit else None,
            message="%s reports an error: %s" % (self.name, text[:SHOWN]),
        )

    def class_of(self, result: dict[str, Any], text: str) -> tuple[str, limits.Limit | None]:
        """The class of a failure, and the limit if it is one: by fields, then by words."""
        # Its patterns cost every verb more than most failures are worth.
        from . import limits

        if result.get("subtype") in OVER_BUDGET or result.get("terminal_reason") in OVER_BUDGET:
            return "budget", None

        error = self._error.get("error")
        status = result.get("api_error_status") or self._error.get("api_error_status")
        api_error = result.get("api_error") or self._error.get("api_error")
        if error == "authentication_failed" or status in LOGIN_STATUS:
            return "login", None
        if error == "billing_error":
            return "quota", limits.Limit("credit")

        now = time.time()
        told = limits.of_text(text, now)
        if api_error == "usage_limit_reached" or (error == "rate_limit" and self._rejected):
            reset_at = self._told_reset()
            if reset_at is None and told is not None:
                reset_at = told.reset_at
            return "quota", limits.Limit("reset", reset_at)
        if told is not None:
            if told.kind == "reset" and told.reset_at is None:
                told = told._replace(reset_at=self._told_reset())
            return "quota", told
        if error == "rate_limit" or status == 429:
            return "quota", limits.Limit("busy")
        if error in BUSY_ERRORS or status in BUSY_STATUS:
            return "quota", limits.Limit("busy")
        if any(words in text[:SHOWN].lower() for words in LOGIN_WORDS):
            return "login", None
        return "agent", None

    def _told_reset(self) -> int | None:
        params = fields(self._error.get("api_error_params"))
        for info in (self._rejected, fields(params.get("rate_limit_info"))):
            reset_at = count(info.get("resetsAt"))
            if reset_at is not None:
                # Some versions tell it in milliseconds.
                return reset_at // 1000 if reset_at > 10**11 else reset_at
        return None

    def _failed_silently(self, base: Result, status: int) -> Result:
        """It has no result that says why it failed; a message or stderr may."""
        if self._error:
            return self._reported(base, {}, self.words)
        return base._replace(failure="agent", message=self.silent_words(status))

    def hollow(self, result: dict[str, Any]) -> str | None:
        """Why its success may be none."""
        text = text_of(result)
        if self.denied:
            said = " and says: %s" % text if text else ""
            mode = self.mode or "unknown"
            words = "%s (permission mode %s)" % (self.refused_words(), mode)
            return "%s: %s%s" % (words, self.remedy or _remedy(self.denied.values()), said)
        if result.get("num_turns") == 0 and not result.get("terminal_reason"):
            return (
                "%s took the prompt for a command of its own, and asked no model for the job%s"
                % (self.name, ": %s" % text if text else "")
            )
        if not text:
            return "%s says that it succeeded, and gave no answer" % self.name
        return None


def budget_word(budget: float) -> str:
    """Dollars as claude reads them: more than nothing, and no power of ten."""
    return ("%.6f" % max(budget, 0.000001)).rstrip("0").rstrip(".")


def _remedy(denied: Iterable[str]) -> str:
    """The setting that allows what was refused."""
    if any("git " in use and ("commit" in use or "git add" in use) for use in denied):
        return (
            "in that mode it can't commit; what it leaves uncommitted comes home all the same."
            " `agents: claude: allowed_tools: 'Bash(git *)'` in config.yaml lets it"
        )
    return "allow it by `agents: claude: allowed_tools` or `permission_mode` in config.yaml"


def _use(name: str, given: dict[str, Any]) -> str:
    """A use of a tool in a few words, such as `Bash: git commit -m x`."""
    for key in INPUT_KEYS:
        if given.get(key):
            return ("%s: %s" % (name, " ".join(str(given[key]).split())))[:DENIED_SHOWN]
    return name[:DENIED_SHOWN]


def _tokens(usage: dict[str, Any]) -> tuple[int, int]:
    """The input, with what a cache gave and took, and the output."""
    keys = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(count(usage.get(key)) or 0 for key in keys), count(usage.get("output_tokens")) or 0


def text_of(result: dict[str, Any]) -> str:
    """What a result says to a person."""
    text = result.get("result")
    if isinstance(text, str) and text.strip():
        return text.strip()
    if text and not isinstance(text, str):
        return str(text)[:SHOWN]
    errors = result.get("errors")
    if isinstance(errors, list) and errors:
        return "; ".join(str(error) for error in errors[:3])[:SHOWN]
    # Relatives of claude have it here.
    return str(fields(result.get("error")).get("message") or "")[:SHOWN]


def _waits(event: dict[str, Any]) -> str:
    """`waits for its service (529 overloaded), try 3 of 10, for 35 s`."""
    why = " ".join(str(event[key]) for key in ("error_status", "error") if event.get(key))
    words = "waits for its service (%s), try %s of %s" % (
        why[:60] or "no reason given",
        count(event.get("attempt")),
        count(event.get("max_retries")),
    )
    delay = event.get("retry_delay_ms")
    if isinstance(delay, (int, float)) and 0 <= delay < 1e12:
        words += ", for %s" % spoken(delay / 1000)
    return words


class Claude(Agent):
    programs = ("claude",)
    settings = ("permission_mode", "allowed_tools")
    login_program = "claude"
    login_variables = LOGIN_VARIABLES
    login_advice = "start `claude` and type /login"
    streams = True
    environment = BOUNDS
    pricing = CAPPED

    def argv(self, spec: wire.JobSpec) -> list[str]:
        settings = spec.get("settings") or {}
        argv = ["claude", "-p", "--verbose", "--output-format", "stream-json"]
        argv += ["--permission-mode", str(settings.get("permission_mode", "acceptEdits"))]
        if settings.get("allowed_tools"):
            argv += ["--allowedTools", str(settings["allowed_tools"])]
        budget = spec.get("budget_usd")
        if budget is not None:
            argv += [BUDGET_OPTION, budget_word(budget)]
        return argv

    def stdin(self, spec: wire.JobSpec) -> str | None:
        """The prompt. One that begins with a slash would be a command of claude's own."""
        prompt = str(spec["prompt"])
        return " " + prompt if prompt.startswith("/") else prompt

    def refuses_root(self, settings: Mapping[str, str]) -> bool:
        return settings.get("permission_mode") == "bypassPermissions"

    def reader(self) -> ClaudeReader:
        return ClaudeReader()

    def result(self, ran: Ran) -> Result:
        reader = ran.reader
        if not isinstance(reader, ClaudeReader):
            raise TypeError("not claude's reader")
        return reader.verdict(ran.status)

    def logged_in(self, home: str, environment: Mapping[str, str]) -> str:
        """`no` only where claude was set up in this home, and nothing at all could be a login."""
        if any(environment.get(name) for name in LOGIN_VARIABLES):
            return "unknown"
        folder = os.path.join(home, ".claude")
        if _has_login(os.path.join(folder, ".credentials.json")):
            return "yes"
        if sys.platform == "darwin" or os.path.isdir("/etc/claude-code"):
            # A keychain can't be read, and an administrator may have set up anything.
            return "unknown"
        for name in ("settings.json", "settings.local.json", "managed-settings.json"):
            settings = _read(os.path.join(folder, name))
            if settings is None or settings.get("apiKeyHelper") or settings.get("env"):
                return "unknown"
        state = _read(os.path.join(home, ".claude.json"))
        if not state or state.get("primaryApiKey") or state.get("env"):
            return "unknown"
        return "no"

    def login_files(self, home: str) -> tuple[str, ...]:
        names = (".credentials.json", "settings.json", "settings.local.json")
        return tuple(os.path.join(home, ".claude", name) for name in names)


def _has_login(path: str) -> bool:
    credentials = _read(path)
    return bool(credentials)


def _read(path: str) -> dict[str, Any] | None:
    """The object in a file; empty if there is no file, None if it can't be understood."""
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(SETTINGS_MOST))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
