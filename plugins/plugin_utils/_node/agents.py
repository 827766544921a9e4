# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agents, one row each, and what of them a node can run.

A row says what is run, how the prompt travels, which bounds the agent gets, how what it prints is
read, and whether it is logged in (row.py). A new agent is a file with its row, and a line here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence

from . import places
from .claude import Claude
from .codex import Codex
from .gemini import Gemini
from .gummy import Gummy
from .opencode import Opencode
from .own import Own
from .qwen import Qwen
from .row import FREE, Agent, Ran, Result, killed_by, signal_name
from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from . import wire


class Shell(Agent):
    """A plain command, whose exit status says all."""

    pricing = FREE

    def argv(self, spec: wire.JobSpec) -> list[str]:
        return ["/bin/sh", "-c", str(spec["command"])]

    def result(self, ran: Ran) -> Result:
        if ran.status == 0:
            return Result(proof="exit status 0")
        return Result("agent", message="exit status %s" % ran.status)


AGENTS: Mapping[str, Agent] = {
    "shell": Shell(),
    "claude": Claude(),
    "gummy": Gummy(),
    "codex": Codex(),
    "opencode": Opencode(),
    "qwen": Qwen(),
    "gemini": Gemini(),
}


def row_of(name: str, own: wire.OwnAgent | None = None) -> Agent | None:
    """The row of an agent; None: this program knows none of the name.

    own: what the user's config says of it. It can't take the name of one of the table.
    """
    if name in AGENTS or own is None:
        return AGENTS.get(name)
    return Own(name, own)


def of_job(spec: wire.JobSpec) -> Agent:
    """The row of a job's agent, which is known by then."""
    row = row_of(spec["agent"], spec.get("own"))
    if row is None:
        raise KeyError(spec["agent"])
    return row


def result_of(agent: Agent, ran: Ran) -> Result:
    """The agent's own word. One that was killed has none, unless it said before why it failed."""
    result = agent.result(ran)
    number = None if ran.status is None else killed_by(ran.status)
    # A shell's word for it may also be the agent's own exit status.
    said_why = (ran.status or 0) > 0 and result.failure not in (None, "agent")
    if number is None or said_why:
        return result
    message = "the agent was ended by %s" % signal_name(number)
    return result._replace(failure="killed", kind=None, proof=None, hollow=None, message=message)


# -- what a node can run


def unusable(
    name: str,
    path: str,
    settings: Mapping[str, str] | None = None,
    silent: Sequence[str] = (),
    own: wire.OwnAgent | None = None,
) -> str | None:
    """Why this node can't run the agent with this PATH and these settings, or None.

    silent: shells that did not tell their part of the PATH; own: as `row_of` has it.
    """
    agent = row_of(name, own)
    if agent is None:
        return "agent %s is not known to this node's program" % name
    missing = [program for program in agent.programs if shutil.which(program, path=path) is None]
    if missing:
        return places.why_not_found(missing, path, silent)
    is_root = os.geteuid() == 0 and os.environ.get("IS_SANDBOX") != "1"
    if is_root and agent.refuses_root(settings or {}):
        return "agent %s refuses to run as root: log in to this node as another user" % name
    return None


# What every job needs beside its agent: for its baseline, and for its project's way there.
TOOLS = ("git", "rsync")


def rows_with(own: Mapping[str, wire.OwnAgent]) -> dict[str, Agent]:
    """The rows of the table that need a program, and those of the user's config."""
    rows = {name: agent for name, agent in AGENTS.items() if agent.programs}
    rows.update((name, Own(name, given)) for name, given in own.items() if name not in AGENTS)
    return rows


def missing(
    path: str, silent: Sequence[str], own: Mapping[str, wire.OwnAgent] | None = None
) -> list[wire.Missing]:
    """Each agent, and each tool of ours, that this node has not got with this PATH, and why.

    silent: as for `unusable`; own: the agents of the user's config, by name.
    """
    own = own or {}
    rows: list[wire.Missing] = []
    for name in rows_with(own):
        lacks = unusable(name, path, None, silent, own.get(name))
        if lacks:
            rows.append({"name": name, "reason": lacks})
    for tool in TOOLS:
        if shutil.which(tool, path=path) is None:
            rows.append({"name": tool, "reason": places.why_not_found([tool], path, silent)})
    return rows


# -- which version of a program it is

VERSION = re.compile(r"(?<![0-9.])[0-9]+\.[0-9]+\.[0-9]+(?:[-+.][0-9A-Za-z.-]+)?")
# How many folders above a program its package may lie, and bytes of that package's description.
ABOVE = 4
PACKAGE_MOST = 1 << 20


def version_of(program: str, path: str) -> str | None:
    """The version of the program that this PATH finds, from files alone; None: none says it.

    npm keeps a package.json above what it installs; others have the version in the path.
    """
    found = shutil.which(program, path=path)
    if found is None:
        return None
    real = os.path.realpath(found)
    folder = os.path.dirname(real)
    for _level in range(ABOVE):
        try:
            with open(os.path.join(folder, "package.json"), "rb") as file:
                package = json.loads(file.read(PACKAGE_MOST))
            match = VERSION.match(str(package["version"]))
            if match and package.get("bin"):
                return match.group()
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            pass
        folder = os.path.dirname(folder)
    versions = VERSION.findall(real)
    return str(versions[-1])[:64] if versions else None
