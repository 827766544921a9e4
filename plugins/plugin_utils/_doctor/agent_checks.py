# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of a node's agents, made from the table of agents."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import partial

from .agents import AGENTS, DEFAULT, Login
from .node_facts import NodeFacts, Program
from .remedies import add_to_login_path, install_agent, install_package, remote
from .verdicts import Check, Detail, Verdict, bad, good, unknown

NOT_TOLD = "its answer does not come to that"

# A setting -> what makes it, as a command of the node's. Node's Python, for that is there.
MAKE_VERBOSE = (
    "import json, os; "
    'd = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.expanduser("~/.claude"); '
    'p = d + "/settings.json"; '
    "s = json.load(open(p)) if os.path.exists(p) else {}; "
    's["verbose"] = True; os.makedirs(d, exist_ok=True); '
    "t = json.dumps(s, indent=2); "
    'open(p, "w").write(t + "\\n")'
)


def refuse_root() -> str:
    """The agents that do not run as root, for a sentence."""
    return " and ".join(sorted(name for name, row in AGENTS.items() if row.refuses_root))


def version_of(agent: str, facts: NodeFacts) -> str | None:
    """The version of an agent on a node, if it can be told."""
    row = AGENTS[agent]
    program = facts.program(row.programs[0])
    if row.version_in_path is not None:
        found = row.version_in_path.search(program.real)
        return found.group(1) if found else None
    return program.version


def _is_found(program: Program) -> bool:
    """Whether an agent would find it: on the PATH of a shell there, or in a usual folder."""
    return any(place != "elsewhere" for place in program.paths)


def _is_usable(agent: str, facts: NodeFacts) -> bool:
    programs = AGENTS[agent].programs
    return bool(programs) and all(_is_found(facts.program(name)) for name in programs)


def _agent(agent: str, facts: NodeFacts) -> Verdict:
    """Whether the agent can be run."""
    if not facts.complete:
        return unknown(NOT_TOLD)
    own, *others = AGENTS[agent].programs
    program = facts.program(own)
    if not program.paths:
        if agent != DEFAULT or any(_is_usable(other, facts) for other in AGENTS):
            return good(f"{agent} is not installed", installed=False)
        return bad(
            f"{agent} is not installed, and no other agent can do jobs with a prompt there",
            install_agent(facts, agent),
            installed=False,
        )
    path = next(iter(program.paths.values()))
    version = version_of(agent, facts)
    details: dict[str, Detail] = {"installed": True, "path": path, "version": version}
    for name in (own, *others):
        reason = _why_missing(agent, name, facts)
        if reason is not None:
            summary, remedy = reason
            return bad(summary, remedy, **details)
    if version is None:
        return good(f"{agent} is there", **details)
    return good(f"{agent} {version}", **details)


def _why_missing(agent: str, name: str, facts: NodeFacts) -> tuple[str, str] | None:
    """Why the agent would not find this program, and what to do; None if it would."""
    program = facts.program(name)
    if _is_found(program):
        return None
    if program.paths:
        path = next(iter(program.paths.values()))
        what = f"{name} is on the PATH of no shell there, and in no usual folder"
        return f"{what}: it is {path}", add_to_login_path(facts, path)
    remedy = install_agent(facts, name)
    if name not in AGENTS:
        remedy = install_package(facts, name)
    return f"{agent} needs {name}, which is not installed", remedy


def _logged_in(agent: str, login: Login, facts: NodeFacts) -> Verdict:
    """Whether it is logged in, as far as that can be seen without asking its service."""
    own = AGENTS[agent].programs[0]
    if not facts.complete:
        return unknown(NOT_TOLD)
    if not facts.program(own).paths:
        return good(f"{agent} is not installed")
    ways = facts.logins.get(agent, frozenset())
    if ways:
        return good(f"{agent} has a login", by=", ".join(sorted(ways)))
    if login.in_keychain and facts.measured.os != "linux":
        return unknown(f"the login of {agent} may lie in a keychain, where nobody can look")
    command = f'"$SHELL" -lc {shlex.quote(login.command)}'
    return bad(
        f"{agent} is not logged in: there is neither {login.folder}/{login.file} nor a variable",
        remote(facts, command, terminal=True),
    )


def _verbose(facts: NodeFacts) -> Verdict:
    if not facts.complete:
        return unknown(NOT_TOLD)
    if not (facts.specialists and facts.program("gummy").paths and facts.program("claude").paths):
        return good("no specialists of gummy's are used by hand there")
    if ("claude", "verbose") in facts.settings:
        return good("claude tells gummy what it expects")
    python = shlex.quote(MAKE_VERBOSE)
    return bad(
        "claude's settings lack \"verbose\": true, so gummy's specialists fail when a person "
        "starts them there",
        remote(facts, f"python3 -c {python}"),
    )


def _checks() -> Iterator[Check[NodeFacts]]:
    for agent, row in AGENTS.items():
        if not row.programs:
            continue
        yield Check(
            f"agent_{agent}",
            "warning",
            f"Jobs for {agent} don't go there.",
            partial(_agent, agent),
            ("program", "real", "version"),
        )
        if row.login is not None:
            yield Check(
                f"login_{agent}",
                "warning",
                f"Jobs of {agent} fail there, unless they bring a key along (pass_env).",
                partial(_logged_in, agent, row.login),
                ("login",),
            )
    yield Check(
        "claude_verbose",
        "warning",
        "gummy reads the list of all messages, which claude prints with this setting only. (In "
        "jobs it gets it without.)",
        _verbose,
        ("setting", "specialists"),
    )


CHECKS = tuple(_checks())
