# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agents: one row each. What is run, when a node can run it, and how its own result is read."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .results import dollars, last_result

QUOTA = re.compile(
    r"usage limit|rate limit|limit reached|hit your .{0,20}limit|quota", re.IGNORECASE
)
# As in "Claude AI usage limit reached|1735689600".
RESET = re.compile(r"\|\s*([0-9]{10})(?:[0-9]{3})?(?![0-9])")
# Characters of what an agent says.
SHOWN = 500


class Ran(NamedTuple):
    """How an agent ended. status: negative for a signal; log: what it printed; calls: what the
    recorder wrote down.
    """

    status: int
    log: str
    home: str
    calls: Sequence[Mapping[str, Any]] = ()


class Result(NamedTuple):
    """What an agent says of itself. failure: a class of DESIGN section 7 or None; proof: what shows
    the success, None if nothing does.

    reset_at: when the quota is there again, in seconds since 1970, if the agent says so.
    """

    failure: str | None = None
    proof: str | None = None
    message: str = ""
    cost_usd: float | None = None
    turns: int | None = None
    session_id: str | None = None
    report: str | None = None
    watch: str | None = None
    reset_at: int | None = None


class Agent(NamedTuple):
    """programs: what must be on the login shell's PATH. stdin: what it gets there. spaced: starts
    on one node must lie a second apart.

    recorded: its calls of claude go through the recorder.
    """

    programs: tuple[str, ...]
    argv: Callable[[Mapping[str, Any]], list[str]]
    read_result: Callable[[Ran], Result]
    stdin: Callable[[Mapping[str, Any]], str] | None = None
    refuses_root: bool = False
    spaced: bool = False
    recorded: bool = False


def _shell_result(ran: Ran) -> Result:
    return (
        Result(proof="exit status 0")
        if ran.status == 0
        else Result("agent", message="exit status %d" % ran.status)
    )


def _claude_argv(spec: Mapping[str, Any]) -> list[str]:
    mode = (spec.get("settings") or {}).get("permission_mode", "acceptEdits")
    return [
        "claude",
        "-p",
        "--verbose",
        "--output-format",
        "stream-json",
        "--permission-mode",
        str(mode),
    ]


def _claude_result(ran: Ran) -> Result:
    """What its result event says, and nothing else, is a success."""
    return _said(ran.status, last_result(ran.log))


def _said(status: int, event: Mapping[str, Any] | None) -> Result:
    """claude's own word: by its exit status and its result event."""
    event = event or {}
    text = str(event.get("result") or event.get("subtype") or "")[:SHOWN]
    turns = event.get("num_turns")
    session = event.get("session_id")
    known: dict[str, Any] = {
        "cost_usd": dollars(event.get("total_cost_usd")),
        "turns": turns if isinstance(turns, int) else None,
        "session_id": session[:SHOWN] if isinstance(session, str) else None,
    }
    if event.get("is_error") or str(event.get("subtype")).startswith("error"):
        message = "claude reports an error: %s" % text
        quota = QUOTA.search(text)
        reset = RESET.search(text) if quota else None
        return Result(
            "quota" if quota else "agent",
            message=message,
            reset_at=int(reset.group(1)) if reset else None,
            **known,
        )
    if status < 0:
        return Result("killed", message="claude was ended by %s" % signal_name(-status), **known)
    if status:
        return Result("agent", message="claude ended with exit status %d" % status, **known)
    if not event:
        return Result("agent", message="claude did not end properly: it printed no result event")
    return Result(proof="claude's result event", message=text, **known)


def gummy_id(log: str) -> str | None:
    """The id that `gummy task` printed, from the head of its output."""
    try:
        with open(log, "rb") as file:
            match = re.search(rb"^Task ID: (gummy-[0-9]+)", file.read(65536), re.MULTILINE)
    except OSError:
        return None
    return match.group(1).decode() if match else None


def _gummy_result(ran: Ran) -> Result:
    """gummy prints TASK COMPLETED and exits 0 although claude failed, so what counts is the last
    call of claude that had our prompt.
    """
    job_id = gummy_id(ran.log)
    report = os.path.join(ran.home, ".claude", "agent_comms", "gummy", "%s-task-report.md" % job_id)
    each = [_said(call.get("exit_status", 0), call.get("result")) for call in ran.calls]
    costs = [one.cost_usd for one in each if one.cost_usd is not None]
    turns = [one.turns for one in each if one.turns is not None]
    return _gummy_said(ran, each)._replace(
        cost_usd=sum(costs) if costs else None,
        turns=sum(turns) if turns else None,
        report=report if os.path.isfile(report) else None,
        watch="gummy-watch %s" % job_id if job_id else None,
    )


def _gummy_said(ran: Ran, each: Sequence[Result]) -> Result:
    ended = "gummy ended with exit status %d" % ran.status
    if not each:
        return Result(
            "agent" if ran.status else None,
            message="%s, and never called the claude on its PATH: nothing shows what it did"
            % ended,
        )
    ours = [
        said
        for said, call in zip(each, ran.calls)
        if "exit_status" not in call or (call.get("prompt") or {}).get("ours")
    ]
    if not ours:
        message = "%s, and claude was given another text than this job's prompt: did another gummy start on this node in the same second?"
        return Result("agent", message=message % ended)
    if ours[-1].failure or ran.status == 0:
        return ours[-1]
    return ours[-1]._replace(failure="agent", proof=None, message=ended)


def result_of(agent: Agent, ran: Ran) -> Result:
    """The agent's own word; one that a signal ended has none."""
    said = agent.read_result(ran)
    if ran.status >= 0:
        return said
    return said._replace(
        failure="killed", proof=None, message="the agent was ended by %s" % signal_name(-ran.status)
    )


def signal_name(number: int) -> str:
    return signal.Signals(number).name if number in list(signal.Signals) else str(number)


AGENTS: Mapping[str, Agent] = {
    "shell": Agent((), lambda spec: ["/bin/sh", "-c", str(spec["command"])], _shell_result),
    "claude": Agent(
        ("claude",),
        _claude_argv,
        _claude_result,
        stdin=lambda spec: str(spec["prompt"]),
        refuses_root=True,
    ),
    "gummy": Agent(
        ("gummy", "claude", "jq"),
        lambda spec: ["gummy", "task", str(spec["prompt"])],
        _gummy_result,
        refuses_root=True,
        spaced=True,
        recorded=True,
    ),
}


def told_path(patience: float = 10.0) -> str | None:
    """PATH as the user's login shell sets it, whatever else that prints; None if it fails, or takes
    longer.
    """
    shell = os.environ.get("SHELL") or pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    try:
        listing = subprocess.run(
            [shell, "-lc", 'printf "\\036%s\\036" "$PATH"'],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience,
            errors="replace",
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        listing = ""
    parts = listing.split("\x1e")
    return parts[-2] if len(parts) >= 3 and parts[-2] else None


def login_path() -> str:
    """PATH as the login shell sets it; if it doesn't tell, the PATH of this session."""
    return told_path() or os.environ.get("PATH", os.defpath)


def unusable(name: str, path: str) -> str | None:
    """Why this node cannot run the agent, or None."""
    agent = AGENTS.get(name)
    if agent is None:
        return "agent %s is not known to this node's program" % name
    missing = [program for program in agent.programs if shutil.which(program, path=path) is None]
    if missing:
        words = ("is", "it") if len(missing) == 1 else ("are", "them")
        return "%s %s not on the login shell's PATH: install %s on this node" % (
            " and ".join(missing),
            *words,
        )
    if agent.refuses_root and os.geteuid() == 0 and os.environ.get("IS_SANDBOX") != "1":
        return "agent %s refuses to run as root: log in to this node as another user" % name
    return None
