# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent `opencode`: how it is called, and what its events say.

Recorded from version 1.18.33 (tests/recorded/). Its last step has the reason `stop` if it came to
an end; the exit status is 0 also after a refused permission.

Without a model of the user's it takes one of its maker's own service, and sends the project there.
So it is never called without one, and that service is switched off unless the model is one of it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping

from .events import count, dollars, fields
from .row import LIVE, SHOWN, Result
from .store import TYPE_CHECKING
from .streamed import EventAgent, EventReader

if TYPE_CHECKING:
    from typing import Any

    from . import wire

PROOF = "%s's last step, which it ended itself"
REMEDY = (
    "`agents: opencode: permission_mode: auto` in config.yaml, or its own config there, lets it"
)
# The provider that it takes by itself.
OWN_PROVIDER = "opencode"
# What of a use of a tool says what it was.
INPUT_KEYS = ("command", "filePath", "path", "url", "pattern")
# The variable that holds a config which goes over those of all files.
CONFIG = "OPENCODE_CONFIG_CONTENT"


class OpencodeReader(EventReader):
    remedy = REMEDY

    def __init__(self, name: str = "opencode") -> None:
        super().__init__(name)
        # The reason of its last step, and its newest error.
        self._reason = ""
        self._error: dict[str, Any] = {}

    def take(self, event: dict[str, Any]) -> None:
        session = event.get("sessionID")
        if isinstance(session, str) and session:
            self.session = session[:SHOWN]
        kind = event.get("type")
        part = fields(event.get("part"))
        if kind == "error":
            self._error = fields(event.get("error"))
            self.finished = False
        elif kind == "step_start":
            self._reason = ""
            self._error = {}
            self.goes_on()
        elif kind == "text":
            self.goes_on()
            self.words = str(part.get("text") or "")[:SHOWN] or self.words
        elif kind == "tool_use":
            self.goes_on()
            self._take_use(part)
        elif kind == "step_finish":
            self._take_finish(part)

    def _take_use(self, part: dict[str, Any]) -> None:
        state = fields(part.get("state"))
        error = str(state.get("error") or "")
        if state.get("status") != "error" or "permission" not in error:
            return
        given = fields(state.get("input"))
        what = next((given[key] for key in INPUT_KEYS if given.get(key)), "")
        name = str(part.get("tool") or "a tool")
        self.deny(part.get("callID"), "%s: %s" % (name, what) if what else name)

    def _take_finish(self, part: dict[str, Any]) -> None:
        self._reason = str(part.get("reason") or "")
        self.finished = self._reason == "stop"
        self.turns = (self.turns or 0) + 1
        cost = dollars(part.get("cost"))
        if cost is not None:
            self.cost = round((self.cost or 0.0) + cost, 10)
        tokens = fields(part.get("tokens"))
        if tokens:
            cache = fields(tokens.get("cache"))
            read = [tokens.get("input"), cache.get("read"), cache.get("write")]
            before = self.tokens or {"input": 0, "output": 0}
            self.tokens = {
                "input": before["input"] + sum(count(each) or 0 for each in read),
                "output": before["output"] + (count(tokens.get("output")) or 0),
            }

    def verdict(self, status: int | None) -> Result:
        if self._error:
            return self._failed_by_error()
        if self._reason == "stop":
            return self.succeeded(status, PROOF % self.name, self.why_hollow(self.remedy))
        if self.denied and not status:
            message = self.why_hollow(self.remedy) or ""
            return self.so_far()._replace(failure="agent", message=message)
        return self.failed_silently(status)

    def _failed_by_error(self) -> Result:
        data = fields(self._error.get("data"))
        text = str(data.get("message") or self._error.get("name") or "an error")
        result = self.failed(text, count(data.get("statusCode")))
        if result.kind == "reset" and result.reset_at is None:
            result = result._replace(reset_at=_reset_of(str(data.get("responseBody") or "")))
        return result


class Opencode(EventAgent):
    programs = ("opencode",)
    settings = ("permission_mode", "model")
    login_program = "opencode"
    login_advice = "type `opencode auth login`"
    pricing = LIVE
    # It prints nothing while it waits for its service, and waits as long as that says.
    stall = 1800.0
    environment: Mapping[str, str] = {"OPENCODE_DISABLE_AUTOUPDATE": "1"}

    def argv(self, spec: wire.JobSpec) -> list[str]:
        settings = spec.get("settings") or {}
        argv = ["opencode", "run", "--format", "json", "-m", str(settings["model"])]
        if settings.get("permission_mode") == "auto":
            argv.append("--auto")
        return argv

    def stdin(self, spec: wire.JobSpec) -> str | None:
        return str(spec["prompt"])

    def refusal(self, spec: wire.JobSpec) -> str | None:
        model = str((spec.get("settings") or {}).get("model") or "")
        if "/" in model.strip("/"):
            return None
        return (
            "opencode has no model: without one it would send the project to a service of its own"
            " choice. Write it into config.yaml: `agents: {opencode: {model: PROVIDER/MODEL}}`"
        )

    def forced(self, spec: wire.JobSpec, environment: Mapping[str, str]) -> Mapping[str, str]:
        """A config over all others: nothing goes to another service than that of the model.

        What the user's own variable says stays, as far as it does not say otherwise.
        """
        model = str((spec.get("settings") or {})["model"])
        config = _object(environment.get(CONFIG, ""))
        # Titles are written by another model, of whatever provider.
        config.update({"model": model, "small_model": model, "share": "disabled"})
        if model.partition("/")[0] != OWN_PROVIDER:
            disabled = config.get("disabled_providers")
            others = disabled if isinstance(disabled, list) else []
            config["disabled_providers"] = sorted({*map(str, others), OWN_PROVIDER})
        return {CONFIG: json.dumps(config)}

    def reader(self) -> OpencodeReader:
        return OpencodeReader()

    def logged_in(self, home: str, environment: Mapping[str, str]) -> str:
        """Its models may be local ones, which need no login: so there is no certain `no`."""
        try:
            with open(self.login_files(home)[0], encoding="utf-8") as file:
                return "yes" if _object(file.read(1 << 20)) else "unknown"
        except (OSError, UnicodeDecodeError):
            return "unknown"

    def login_files(self, home: str) -> tuple[str, ...]:
        return (
            os.path.join(home, ".local", "share", "opencode", "auth.json"),
            os.path.join(home, ".config", "opencode", "opencode.json"),
        )


def _reset_of(body: str) -> int | None:
    """When there is quota again, if a service's refusal says it beside its sentence."""
    error = fields(_object(body[: 1 << 16]).get("error"))
    seconds = count(error.get("resets_in_seconds"))
    return count(error.get("resets_at")) or (int(time.time()) + seconds if seconds else None)


def _object(text: str) -> dict[str, Any]:
    """The object that a text is; empty if it is none."""
    try:
        return fields(json.loads(text))
    except (ValueError, RecursionError):
        return {}
