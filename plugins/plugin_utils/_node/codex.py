# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent `codex`: how it is called, and what its events say.

Recorded from version 0.171.0 (tests/recorded/). The last of `turn.completed` and `turn.failed` says
how it ended; its exit status alone proves nothing, and an `error` may be one that it gets over.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

from .events import count, fields
from .row import SHOWN, Result
from .store import TYPE_CHECKING
from .streamed import EventAgent, EventReader

if TYPE_CHECKING:
    from typing import Any

    from . import wire

PROOF = "%s's turn.completed"
# What it says while it waits, with the number of the try where it counts them.
WAITS = re.compile(r"Reconnecting\.\.\.(?: ([0-9]{1,3})/([0-9]{1,3}))?\s*(.*)", re.DOTALL)
# How a command fails that its sandbox did not let.
REFUSED = ("Read-only file system", "Operation not permitted")
SANDBOX = "its sandbox lets it write in the project alone, without .git and without the network;"
REMEDY = SANDBOX + " `agents: codex: permission_mode` in config.yaml is for more"
# Variables by which codex gets a login, or another place for its own.
LOGIN_VARIABLES = ("CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "OPENAI_API_KEY", "CODEX_HOME")


class CodexReader(EventReader):
    remedy = REMEDY

    def __init__(self, name: str = "codex") -> None:
        super().__init__(name)
        # How the last turn ended: turn.completed or turn.failed, and what it says of that.
        self._ended = ""
        self._error = ""

    def take(self, event: dict[str, Any]) -> None:
        kind = str(event.get("type"))
        if kind == "error":
            self._take_error(str(event.get("message") or ""))
        elif kind in ("turn.completed", "turn.failed"):
            self._take_end(kind, event)
        elif kind == "thread.started":
            self.session = str(event.get("thread_id") or "")[:SHOWN] or None
        elif kind == "turn.started":
            self._ended = ""
            self.goes_on()
        elif kind.startswith("item."):
            self._take_item(kind, fields(event.get("item")))

    def _take_error(self, message: str) -> None:
        waits = WAITS.match(message)
        if waits is None:
            self._error = message
            return
        number, most, reason = waits.groups()
        self.finished = False
        self.wait_reason = reason.strip().strip("()") or message
        self.waits = "waits for its service (%s)" % self.wait_reason[:120]
        if number:
            self.waits += ", try %s of %s" % (number, most)

    def _take_end(self, kind: str, event: dict[str, Any]) -> None:
        self.goes_on()
        self.finished = True
        self._ended = kind
        if kind == "turn.failed":
            self._error = str(fields(event.get("error")).get("message") or self._error)
            return
        usage = fields(event.get("usage"))
        if usage:
            self.tokens = {
                "input": count(usage.get("input_tokens")) or 0,
                "output": count(usage.get("output_tokens")) or 0,
            }

    def _take_item(self, kind: str, item: dict[str, Any]) -> None:
        # An item of this type is a warning, and comes also while it waits.
        if item.get("type") == "error":
            return
        self.goes_on()
        if kind != "item.completed":
            return
        if item.get("type") == "agent_message":
            self.words = str(item.get("text") or "")[:SHOWN] or self.words
        elif item.get("type") == "command_execution" and item.get("status") == "failed":
            output = str(item.get("aggregated_output") or "")
            if any(words in output for words in REFUSED):
                self.deny(item.get("id"), str(item.get("command") or "a command"))

    def verdict(self, status: int | None) -> Result:
        if self._ended == "turn.completed":
            return self.succeeded(status, PROOF % self.name, self.why_hollow(self.remedy))
        if self._ended == "turn.failed" or (self._error and status):
            return self.failed(self._error)
        return self.failed_silently(status)


class Codex(EventAgent):
    programs = ("codex",)
    settings = ("permission_mode", "model")
    login_program = "codex"
    login_variables = LOGIN_VARIABLES
    login_advice = "type `codex login`"
    # Without a network it waits for ever, and as long as its service says, be it hours.
    stall = 1800.0
    wait_most = 600.0
    # Its sandbox makes these to cover them, and leaves them.
    leavings = (".git", ".agents", ".aws", ".codex")

    def argv(self, spec: wire.JobSpec) -> list[str]:
        settings = spec.get("settings") or {}
        argv = ["codex", "exec", "--json", "--skip-git-repo-check"]
        argv += ["-s", str(settings.get("permission_mode", "workspace-write"))]
        argv += ["-c", 'approval_policy="never"']
        if settings.get("model"):
            argv += ["-m", str(settings["model"])]
        return [*argv, "-"]

    def stdin(self, spec: wire.JobSpec) -> str | None:
        return str(spec["prompt"])

    def reader(self) -> CodexReader:
        return CodexReader()

    def logged_in(self, home: str, environment: Mapping[str, str]) -> str:
        """`no` only where codex was set up in this home, and nothing could be another login."""
        if any(environment.get(name) for name in LOGIN_VARIABLES):
            return "unknown"
        folder = os.path.join(home, ".codex")
        if os.path.isfile(os.path.join(folder, "auth.json")):
            return "yes"
        # A config may name another provider, or the keychain.
        may_be_elsewhere = os.path.exists(os.path.join(folder, "config.toml"))
        if may_be_elsewhere or sys.platform == "darwin" or os.path.isdir("/etc/codex"):
            return "unknown"
        return "no" if os.path.isdir(folder) else "unknown"

    def login_files(self, home: str) -> tuple[str, ...]:
        return tuple(os.path.join(home, ".codex", name) for name in ("auth.json", "config.toml"))
