# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent `gummy`, which calls claude and hides what that says.

What counts is the last call of claude that had our prompt: gummy itself prints TASK COMPLETED and
exits with 0 although claude failed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from . import claude
from .row import CAPPED, SHELL_ADDS, Agent, Ran, Result, killed_by, last_line, signal_name
from .store import TYPE_CHECKING
from .streamed import NO_RESULT

if TYPE_CHECKING:
    from . import wire
    from .row import CallNote, Said

# Bytes of gummy's output in which its id stands, and of its end in which its last words stand.
HEAD = 65536
TAIL = 4096
# Bytes of a word of a command line, as Linux takes it; its end is one of them.
WORD_MOST = 131072
# gummy's exit status when jq could not read what claude printed.
JQ_FAILED = 5


def gummy_id(log: str) -> str | None:
    """The id that `gummy task` printed, from the head of its output."""
    try:
        with open(log, "rb") as file:
            match = re.search(rb"^Task ID: (gummy-[0-9]+)", file.read(HEAD), re.MULTILINE)
    except OSError:
        return None
    return match.group(1).decode() if match else None


def told_by(calls: Sequence[CallNote]) -> Said:
    """What the calls of claude have said so far, all of them together."""
    verdicts = [_verdict(call) for call in calls]
    costs = [verdict.cost_usd for verdict in verdicts if verdict.cost_usd is not None]
    turns = [verdict.turns for verdict in verdicts if verdict.turns is not None]
    tokens = [verdict.tokens for verdict in verdicts if verdict.tokens is not None]
    said: Said = {
        "cost_usd": round(sum(costs), 10) if costs else None,
        "turns": sum(turns) if turns else None,
        "tokens": None,
        "session_id": verdicts[-1].session_id if verdicts else None,
        "agent_version": verdicts[-1].agent_version if verdicts else None,
        "denied": [use for verdict in verdicts for use in verdict.denied],
    }
    if tokens:
        said["tokens"] = {
            "input": sum(part["input"] for part in tokens),
            "output": sum(part["output"] for part in tokens),
        }
    last = calls[-1].get("said") if calls else None
    if last:
        said["words"] = str(last.get("words") or "")
        said["waits"] = str(last.get("waits") or "")
    return said


def _verdict(call: CallNote) -> Result:
    """How a call ended; of one that has not, what is known of it."""
    verdict = call.get("verdict")
    if verdict is not None:
        return Result(**{key: verdict[key] for key in Result._fields if key in verdict})
    said = call.get("said") or {}
    known = {key: said[key] for key in Result._fields if key in said}
    return Result(failure="agent", message=NO_RESULT % "claude")._replace(**known)


class Gummy(Agent):
    programs = ("gummy", "claude", "jq")
    environment = claude.BOUNDS
    login_program = "claude"
    login_variables = claude.LOGIN_VARIABLES
    login_advice = claude.Claude.login_advice
    spaced = True
    recorded = True
    # By claude's cap, which the recorder asks for.
    pricing = CAPPED

    def argv(self, spec: wire.JobSpec) -> list[str]:
        """gummy takes its words as arguments alone; one that begins with a dash is an option."""
        prompt = str(spec["prompt"])
        return ["gummy", "task", " " + prompt if prompt.startswith("-") else prompt]

    def refusal(self, spec: wire.JobSpec) -> str | None:
        size = len(self.argv(spec)[-1].encode("utf-8", "surrogateescape")) + 1
        if size <= WORD_MOST:
            return None
        return (
            "the prompt has %d bytes, and gummy takes it as one word of a command line, of less"
            " than %d: put the text into a file of the project, and name that"
            % (size - 1, WORD_MOST)
        )

    def refuses_root(self, settings: Mapping[str, str]) -> bool:
        """It calls claude with --dangerously-skip-permissions, which claude refuses for root."""
        return True

    def result(self, ran: Ran) -> Result:
        job_id = gummy_id(ran.log)
        name = "%s-task-report.md" % job_id
        report = os.path.join(ran.home, ".claude", "agent_comms", "gummy", name)
        said = told_by(ran.calls)
        return self._last_of_ours(ran)._replace(
            cost_usd=said.get("cost_usd"),
            turns=said.get("turns"),
            tokens=said.get("tokens"),
            report=report if os.path.isfile(report) else None,
            watch="gummy-watch %s" % job_id if job_id else None,
        )

    def _last_of_ours(self, ran: Ran) -> Result:
        ended = _how_it_ended(ran)
        number = killed_by(ran.status or 0)
        if not ran.calls:
            return Result(
                "agent" if ran.status else None,
                message="%s, and never called the claude on its PATH: nothing shows what it did"
                % ended,
            )

        ours = [_verdict(call) for call in ran.calls if _may_be_ours(call)]
        if not ours:
            return Result(
                "agent",
                message="%s, and claude was given another text than this job's prompt:"
                " did another gummy start on this node in the same second?" % ended,
            )
        last = ours[-1]
        if number is not None and last.failure in (None, "killed"):
            # A shell passes on how its program was ended.
            message = "the agent was ended by %s" % signal_name(number)
            return last._replace(failure="killed", proof=None, message=message)
        if last.failure or ran.status == 0:
            return last
        return last._replace(failure="agent", proof=None, hollow=None, message=ended)

    def logged_in(self, home: str, environment: Mapping[str, str]) -> str:
        return claude.Claude().logged_in(home, environment)

    def login_files(self, home: str) -> tuple[str, ...]:
        return claude.Claude().login_files(home)


def _how_it_ended(ran: Ran) -> str:
    ended = "gummy ended with exit status %s" % ran.status
    words = last_line(_tail(ran.log))
    if ran.status == JQ_FAILED:
        ended += ": it could not read what claude printed"
    if ran.status and ran.status < SHELL_ADDS and words:
        ended += " (%s)" % words
    return ended


def _tail(path: str) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - TAIL))
            return file.read(TAIL).decode("utf-8", "replace")
    except OSError:
        return ""


def _may_be_ours(call: CallNote) -> bool:
    """Whether claude was given our prompt; of a call that has not ended nobody knows."""
    if "exit_status" not in call:
        return True
    prompt = call.get("prompt")
    return prompt is not None and prompt["ours"]
