# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent `gemini`: how it is called, and what its events say.

Recorded from version 0.61.0 (tests/recorded/). Its result event says how it ended; without one an
exit status of 0 proves nothing, for so it ends after a signal. The exit status of a refused request
is HTTP's, as far as one byte holds it.

It is bounded by its own number of attempts, ten: a busy service costs it four minutes, and ten
where that asks for a minute between them. The user's own settings can have fewer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from .events import count, fields
from .row import BUSY_STATUS, LOGIN_STATUS, SHOWN, Result, last_line
from .store import TYPE_CHECKING
from .streamed import EventAgent, EventReader

if TYPE_CHECKING:
    from typing import Any

    from . import wire

PROOF = "gemini's result event"
# Its exit status where it has no login.
NO_LOGIN = 41
# Exit status -> the status of HTTP that it is the rest of.
HTTP = {status % 256: status for status in (400, 404, 429, *LOGIN_STATUS, *BUSY_STATUS)}
REMEDY = "`agents: gemini: permission_mode` in config.yaml lets it do more"
LOGIN_VARIABLES = (
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_GENAI_USE_GCA",
    "GOOGLE_APPLICATION_CREDENTIALS",
)


class GeminiReader(EventReader):
    def __init__(self, name: str = "gemini") -> None:
        super().__init__(name)
        self._status = ""
        self._error = ""
        self._is_new_message = True

    def take(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if kind == "result":
            self._take_result(event)
            return
        self.goes_on()
        if kind == "init":
            self.session = str(event.get("session_id") or "")[:SHOWN] or None
        elif kind == "message" and event.get("role") == "assistant":
            # A message comes in parts.
            text = str(event.get("content") or "")
            self.words = (text if self._is_new_message else self.words + text)[:SHOWN]
        elif kind == "error":
            self._error = str(event.get("message") or "")[: SHOWN * 4]
        self._is_new_message = not (kind == "message" and event.get("delta"))

    def _take_result(self, event: dict[str, Any]) -> None:
        self.finished = True
        self._status = str(event.get("status") or "")
        error = fields(event.get("error"))
        self._error = str(error.get("message") or self._error)[: SHOWN * 4]
        stats = fields(event.get("stats"))
        if stats:
            self.tokens = {
                "input": count(stats.get("input_tokens")) or 0,
                "output": count(stats.get("output_tokens")) or 0,
            }

    def verdict(self, status: int | None) -> Result:
        if self._status == "success":
            return self.succeeded(status, PROOF, self.why_hollow(REMEDY))
        if status == NO_LOGIN:
            lines = [line for line in self.errors.split("\n") if line.strip()]
            message = "gemini is not logged in: %s" % " ".join(lines[-2:])
            return self.so_far()._replace(failure="login", message=message[: SHOWN * 2])
        if self._status:
            return self.failed(self._error or "an error", HTTP.get(status or 0))
        if status in HTTP:
            return self.failed(last_line(self.errors), HTTP[status])
        return self.failed_silently(status)


class Gemini(EventAgent):
    programs = ("gemini",)
    settings = ("permission_mode", "model")
    login_program = "gemini"
    login_variables = LOGIN_VARIABLES
    login_advice = "start `gemini` and choose a login, or give a key (GEMINI_API_KEY)"

    def argv(self, spec: wire.JobSpec) -> list[str]:
        settings = spec.get("settings") or {}
        argv = ["gemini", "-o", "stream-json", "--skip-trust"]
        argv += ["--approval-mode", str(settings.get("permission_mode", "auto_edit"))]
        if settings.get("model"):
            argv += ["-m", str(settings["model"])]
        return argv

    def stdin(self, spec: wire.JobSpec) -> str | None:
        return str(spec["prompt"])

    def reader(self) -> GeminiReader:
        return GeminiReader()

    def logged_in(self, home: str, environment: Mapping[str, str]) -> str:
        """Its key may stand in many places, also in a keychain: so there is no certain `no`."""
        return "yes" if os.path.isfile(self.login_files(home)[0]) else "unknown"

    def login_files(self, home: str) -> tuple[str, ...]:
        names = ("oauth_creds.json", "settings.json", ".env")
        return tuple(os.path.join(home, ".gemini", name) for name in names)
