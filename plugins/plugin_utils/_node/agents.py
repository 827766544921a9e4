# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agents, one row each: what is run, when a node can run it, and how its result is read."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from .results import dollars, last_result
from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from . import wire
    from .recorder import CallNote

# Words by which claude says that there is no quota left.
QUOTA = re.compile(
    r"usage limit|rate limit|limit reached|hit your .{0,20}limit|quota", re.IGNORECASE
)
# When there is quota again, as in "Claude AI usage limit reached|1735689600".
RESET = re.compile(r"\|\s*([0-9]{10})(?:[0-9]{3})?(?![0-9])")
# Characters of what an agent says that are told.
SHOWN = 500
# Bytes of gummy's output in which its id stands.
HEAD = 65536


class Ran(NamedTuple):
    """How an agent ended."""

    # Its exit status, negative for a signal.
    status: int
    # Path of what it printed.
    log: str
    # Path of the user's home directory.
    home: str
    # What the recorder wrote down of its calls of claude.
    calls: Sequence[CallNote] = ()


class Result(NamedTuple):
    """What an agent says of itself."""

    # The kind of failure, None if it did not fail.
    failure: str | None = None
    # What shows the success; None if nothing does.
    proof: str | None = None
    # A sentence for a person.
    message: str = ""
    cost_usd: float | None = None
    turns: int | None = None
    session_id: str | None = None
    # Path of the report that it wrote.
    report: str | None = None
    # The command with which a person can look at it.
    watch: str | None = None
    # When there is quota again, in seconds since 1970, if the agent says so.
    reset_at: int | None = None


class Agent(NamedTuple):
    """A kind of agent."""

    # What must be on the login shell's PATH.
    programs: tuple[str, ...]
    # The command line for a job.
    argv: Callable[[wire.JobSpec], list[str]]
    read_result: Callable[[Ran], Result]
    # What it gets on stdin; None for nothing.
    stdin: Callable[[wire.JobSpec], str] | None = None
    refuses_root: bool = False
    # Whether starts on one node must lie a second apart.
    spaced: bool = False
    # Whether its calls of claude go through the recorder.
    recorded: bool = False


# -- shell


def _shell_argv(spec: wire.JobSpec) -> list[str]:
    return ["/bin/sh", "-c", str(spec["command"])]


def _shell_result(ran: Ran) -> Result:
    if ran.status == 0:
        return Result(proof="exit status 0")
    return Result("agent", message="exit status %d" % ran.status)


# -- claude


def _claude_argv(spec: wire.JobSpec) -> list[str]:
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


def _prompt(spec: wire.JobSpec) -> str:
    return str(spec["prompt"])


def _claude_result(ran: Ran) -> Result:
    """What its result event says, and nothing else, is a success."""
    return _event_result(ran.status, last_result(ran.log))


def _event_result(status: int, event: Mapping[str, Any] | None) -> Result:
    """claude's own word, by its exit status and its result event."""
    event = event or {}
    text = str(event.get("result") or event.get("subtype") or "")[:SHOWN]
    turns = event.get("num_turns")
    # True is an int for Python alone.
    if isinstance(turns, bool) or not isinstance(turns, int) or not 0 <= turns < 2**31:
        turns = None
    session = event.get("session_id")
    result = Result(
        cost_usd=dollars(event.get("total_cost_usd")),
        turns=turns,
        session_id=session[:SHOWN] if isinstance(session, str) else None,
    )

    if event.get("is_error") or str(event.get("subtype")).startswith("error"):
        return _error_result(text, result)
    if status < 0:
        message = "claude was ended by %s" % signal_name(-status)
        return result._replace(failure="killed", message=message)
    if status:
        message = "claude ended with exit status %d" % status
        return result._replace(failure="agent", message=message)
    if not event:
        return Result("agent", message="claude did not end properly: it printed no result event")
    return result._replace(proof="claude's result event", message=text)


def _error_result(text: str, result: Result) -> Result:
    """claude reports an error in this text; a used up quota is one of its own kind."""
    result = result._replace(failure="agent", message="claude reports an error: %s" % text)
    if not QUOTA.search(text):
        return result
    reset = RESET.search(text)
    return result._replace(failure="quota", reset_at=int(reset.group(1)) if reset else None)


# -- gummy


def _gummy_argv(spec: wire.JobSpec) -> list[str]:
    return ["gummy", "task", str(spec["prompt"])]


def gummy_id(log: str) -> str | None:
    """The id that `gummy task` printed, from the head of its output."""
    try:
        with open(log, "rb") as file:
            match = re.search(rb"^Task ID: (gummy-[0-9]+)", file.read(HEAD), re.MULTILINE)
    except OSError:
        return None
    return match.group(1).decode() if match else None


def _gummy_result(ran: Ran) -> Result:
    """What counts is the last call of claude that had our prompt.

    gummy itself prints TASK COMPLETED and exits with 0 although claude failed.
    """
    job_id = gummy_id(ran.log)
    report = os.path.join(ran.home, ".claude", "agent_comms", "gummy", "%s-task-report.md" % job_id)
    results = [_event_result(call.get("exit_status", 0), call.get("result")) for call in ran.calls]
    costs = [result.cost_usd for result in results if result.cost_usd is not None]
    turns = [result.turns for result in results if result.turns is not None]
    return _last_of_ours(ran, results)._replace(
        cost_usd=sum(costs) if costs else None,
        turns=sum(turns) if turns else None,
        report=report if os.path.isfile(report) else None,
        watch="gummy-watch %s" % job_id if job_id else None,
    )


def _last_of_ours(ran: Ran, results: Sequence[Result]) -> Result:
    """results: those of the calls of claude, in their order."""
    ended = "gummy ended with exit status %d" % ran.status
    if not results:
        return Result(
            "agent" if ran.status else None,
            message="%s, and never called the claude on its PATH: nothing shows what it did"
            % ended,
        )

    ours = [result for result, call in zip(results, ran.calls) if _may_be_ours(call)]
    if not ours:
        return Result(
            "agent",
            message="%s, and claude was given another text than this job's prompt:"
            " did another gummy start on this node in the same second?" % ended,
        )
    if ours[-1].failure or ran.status == 0:
        return ours[-1]
    return ours[-1]._replace(failure="agent", proof=None, message=ended)


def _may_be_ours(call: CallNote) -> bool:
    """Whether claude was given our prompt; of a call that has not ended nobody knows."""
    if "exit_status" not in call:
        return True
    prompt = call.get("prompt")
    return prompt is not None and prompt["ours"]


# -- all of them

AGENTS: Mapping[str, Agent] = {
    "shell": Agent((), _shell_argv, _shell_result),
    "claude": Agent(("claude",), _claude_argv, _claude_result, stdin=_prompt, refuses_root=True),
    "gummy": Agent(
        ("gummy", "claude", "jq"),
        _gummy_argv,
        _gummy_result,
        refuses_root=True,
        spaced=True,
        recorded=True,
    ),
}


def result_of(agent: Agent, ran: Ran) -> Result:
    """The agent's own word; one that a signal ended has none."""
    result = agent.read_result(ran)
    if ran.status >= 0:
        return result
    message = "the agent was ended by %s" % signal_name(-ran.status)
    return result._replace(failure="killed", proof=None, message=message)


def signal_name(number: int) -> str:
    return signal.Signals(number).name if number in list(signal.Signals) else str(number)


# -- what a node can run


def path_of_login_shell(patience: float = 10.0) -> str | None:
    """PATH as the user's login shell sets it, whatever else that prints.

    None if it fails, or takes longer than `patience` seconds.
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
        return None
    # Between the last two record separators.
    parts = listing.split("\x1e")
    return parts[-2] if len(parts) >= 3 and parts[-2] else None


def login_path() -> str:
    """PATH as the login shell sets it; if it doesn't tell, the PATH of this session."""
    return path_of_login_shell() or os.environ.get("PATH", os.defpath)


def unusable(name: str, path: str) -> str | None:
    """Why this node can't run the agent with this PATH, or None."""
    agent = AGENTS.get(name)
    if agent is None:
        return "agent %s is not known to this node's program" % name
    missing = [program for program in agent.programs if shutil.which(program, path=path) is None]
    if missing:
        verb, pronoun = ("is", "it") if len(missing) == 1 else ("are", "them")
        return "%s %s not on the login shell's PATH: install %s on this node" % (
            " and ".join(missing),
            verb,
            pronoun,
        )
    if agent.refuses_root and os.geteuid() == 0 and os.environ.get("IS_SANDBOX") != "1":
        return "agent %s refuses to run as root: log in to this node as another user" % name
    return None
