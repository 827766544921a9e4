# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent `qwen`: how it is called, and what its events say.

Recorded from version 0.24.4 (tests/recorded/). Its events have the form of claude's, but what it
says of a failure stands elsewhere, and it tells the number of a refusal in words alone. Where one
of its own bounds ends it there is no result event, but an exit status and a line on stderr.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from .claude import ClaudeReader, text_of
from .durations import spoken
from .events import count, fields
from .row import SHOWN, Agent, Ran, Result, last_line
from .store import TYPE_CHECKING
from .streamed import failed_by

if TYPE_CHECKING:
    from typing import Any

    from . import limits, wire

# Its exit status where its wall time, or its number of calls, is used up.
BOUND = 55
LOGIN_VARIABLES = (
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "DASHSCOPE_API_KEY",
    "GEMINI_API_KEY",
    "ANTHROPIC_API_KEY",
)


class QwenReader(ClaudeReader):
    name = "qwen"
    remedy = "`agents: qwen: permission_mode` in config.yaml lets it do more"

    def take_system(self, event: dict[str, Any]) -> None:
        subtype = event.get("subtype")
        if subtype == "init":
            version = event.get("qwen_code_version")
            if isinstance(version, str):
                self.version = version[:SHOWN]
            self.mode = str(event.get("permission_mode") or "")[:SHOWN]
        elif subtype == "retry":
            self.finished = False
            data = fields(event.get("data"))
            # Of the tries without a pause it tells nothing that is new.
            if count(data.get("delayMs")) is not None or not self.waits:
                self.waits = _waits(data)

    def class_of(self, result: dict[str, Any], text: str) -> tuple[str, limits.Limit | None]:
        from . import refusals

        return refusals.of_text(text)

    def hollow(self, result: dict[str, Any]) -> str | None:
        if self.denied or not text_of(result):
            return super().hollow(result)
        # It counts no turns where claude does, so that says nothing.
        return None

    def verdict(self, status: int | None) -> Result:
        if status == BOUND and self.result is None and "wall-clock" in self.errors:
            message = "qwen ended with exit status %d: %s" % (status, last_line(self.errors))
            return super().verdict(status)._replace(failure="timeout", kind=None, message=message)
        return super().verdict(status)

    def refused_by_service(self) -> Result:
        """Why it waits, of which its events tell nothing and stderr does."""
        lines = [line for line in self.errors.split("\n") if line.startswith("Retrying in ")]
        reason = lines[-1].partition(": ")[2] if lines else ""
        return failed_by(Result(), reason, reason)


def _waits(data: dict[str, Any]) -> str:
    delay = count(data.get("delayMs"))
    if delay is None:
        return "waits for its service (it asks again)"
    return "waits for its service, try %s of %s, for %s" % (
        count(data.get("attempt")),
        count(data.get("maxRetries")),
        spoken(delay / 1000),
    )


class Qwen(Agent):
    programs = ("qwen",)
    settings = ("permission_mode", "model")
    login_program = "qwen"
    login_variables = LOGIN_VARIABLES
    login_advice = "start `qwen` and type /auth"
    streams = True
    # By itself it waits for half an hour and more, also where nothing can come of it.
    wait_most = 600.0

    def argv(self, spec: wire.JobSpec) -> list[str]:
        settings = spec.get("settings") or {}
        argv = ["qwen", "-o", "stream-json"]
        argv += ["--approval-mode", str(settings.get("permission_mode", "auto-edit"))]
        # It ends then also where nobody watches it any more.
        argv += ["--max-wall-time", "%ds" % max(1, int(spec["timeout"]))]
        if settings.get("model"):
            argv += ["-m", str(settings["model"])]
        return argv

    def stdin(self, spec: wire.JobSpec) -> str | None:
        """The prompt. One that begins with a slash would be a command of qwen's own."""
        prompt = str(spec["prompt"])
        return " " + prompt if prompt.startswith("/") else prompt

    def reader(self) -> QwenReader:
        return QwenReader()

    def result(self, ran: Ran) -> Result:
        reader = ran.reader
        if not isinstance(reader, QwenReader):
            raise TypeError("not qwen's reader")
        return reader.verdict(ran.status)

    def logged_in(self, home: str, environment: Mapping[str, str]) -> str:
        """Its key may stand in many places: so there is no certain `no`."""
        return "yes" if os.path.isfile(self.login_files(home)[0]) else "unknown"

    def login_files(self, home: str) -> tuple[str, ...]:
        names = ("oauth_creds.json", "settings.json", ".env")
        return tuple(os.path.join(home, ".qwen", name) for name in names)
