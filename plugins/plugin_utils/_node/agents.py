# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agents: one row each. What is run, when a node can run it, and how its own result is read."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

QUOTA = re.compile(r"usage limit|rate limit|limit reached|quota", re.IGNORECASE)


class Result(NamedTuple):
    """What an agent says of itself. failure: a class of DESIGN section 7 or None; proof: what shows the success, None if nothing does."""

    failure: str | None = None
    proof: str | None = None
    message: str = ""
    cost_usd: float | None = None
    report: str | None = None
    watch: str | None = None


class Agent(NamedTuple):
    """programs: what must be on the login shell's PATH. spaced: starts on one node must lie a second apart."""

    programs: tuple[str, ...]
    argv: Callable[[Mapping[str, Any]], list[str]]
    read_result: Callable[[int, str, str], Result]
    refuses_root: bool = False
    spaced: bool = False


def _shell_result(status: int, log: str, home: str) -> Result:
    return Result(proof="exit status 0") if status == 0 else Result("agent", message="exit status %d" % status)


def gummy_id(log: str) -> str | None:
    """The id that `gummy task` printed, from the head of its output."""
    try:
        with open(log, "rb") as file:
            match = re.search(rb"^Task ID: (gummy-[0-9]+)", file.read(65536), re.MULTILINE)
    except OSError:
        return None
    return match.group(1).decode() if match else None


def result_event(path: str) -> dict[str, Any] | None:
    """The last `result` event of a stream-json file, read line by line; lines that are not JSON are other programs' noise."""
    found = None
    try:
        with open(path, "rb") as file:
            for line in file:
                if b'"result"' in line:
                    try:
                        event = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(event, dict) and event.get("type") == "result":
                        found = event
    except OSError:
        return None
    return found


def _gummy_result(status: int, log: str, home: str) -> Result:
    """gummy prints TASK COMPLETED and exits 0 although claude failed, so only claude's own result event counts."""
    job_id = gummy_id(log)
    stream = os.path.join(home, ".claude", "logs", "gummy", "%s-task.log" % job_id)
    report = os.path.join(home, ".claude", "agent_comms", "gummy", "%s-task-report.md" % job_id)
    event = result_event(stream) if job_id else None
    text = str((event or {}).get("result", ""))[:500]
    cost = (event or {}).get("total_cost_usd")
    known: dict[str, Any] = {
        "cost_usd": float(cost) if isinstance(cost, (int, float)) else None,
        "report": report if os.path.isfile(report) else None,
        "watch": "gummy-watch %s" % job_id if job_id else None,
    }
    if event is not None and event.get("is_error"):
        return Result("quota" if QUOTA.search(text) else "agent", message="claude reports an error: %s" % text, **known)
    if status != 0:
        return Result("agent", message="gummy ended with exit status %d" % status, **known)
    if event is not None:
        return Result(proof="claude's result event", message=text, **known)
    if job_id and os.path.exists(stream):
        return Result("agent", message="claude did not end properly: %s has no result event" % stream, **known)
    return Result(message="gummy exited 0, and nothing shows what claude did (specialist mode keeps no log)", **known)


AGENTS: Mapping[str, Agent] = {
    "shell": Agent((), lambda spec: ["/bin/sh", "-c", str(spec["command"])], _shell_result),
    "gummy": Agent(("gummy", "claude", "jq"), lambda spec: ["gummy", "task", str(spec["prompt"])], _gummy_result, refuses_root=True, spaced=True),
}


def told_path(patience: float = 10.0) -> str | None:
    """PATH as the user's login shell sets it, whatever else that prints; None if it fails, or takes longer."""
    shell = os.environ.get("SHELL") or pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    try:
        listing = subprocess.run(
            [shell, "-lc", 'printf "\\036%s\\036" "$PATH"'], stdin=subprocess.DEVNULL, capture_output=True, timeout=patience, errors="replace", check=False
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
        return "%s %s not on the login shell's PATH: install %s on this node" % (" and ".join(missing), *words)
    if agent.refuses_root and os.geteuid() == 0 and os.environ.get("IS_SANDBOX") != "1":
        return "agent %s refuses to run as root: log in to this node as another user" % name
    return None
