# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an agent is installed on a node: what is run there, or why nothing can be.

Nothing here asks anybody: from what a node has, and what the config says, follows what is run. The
facts about gummy and claude are those of their own projects: gummy's Homebrew formula builds
gummy-watch with Go and installs it beside the script gummy, and npm's package of claude says which
node it wants.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .._doctor.agents import AGENTS
from .._input.config import Recipe, Source
from .tools import Tools

# The ways to install an agent, in the order in which they are tried: the user's own command of the
# config, Homebrew's formula, a source of git that the config pins, npm's package.
WAYS = ("command", "brew", "source", "npm")

# Agent -> what brew calls it.
FORMULAS = {"gummy": "WillyV3/tap/gummy-agent"}

# Agent -> where its source is, for those that can be built; the config says which commit.
SOURCES = {"gummy": "https://github.com/WillyV3/gummy-agent"}

# Agent -> npm's package, and the oldest node that runs it.
PACKAGES = {
    "claude": ("@anthropic-ai/claude-code", 22),
    "codex": ("@openai/codex", 16),
    "opencode": ("opencode-ai", 18),
    "qwen": ("@qwen-code/qwen-code", 22),
    "gemini": ("@google/gemini-cli", 20),
}

# Agent -> the programs that it can't work without, beside itself.
NEEDS = {agent: row.programs[1:] for agent, row in AGENTS.items() if row.programs}

# Program of the system's package manager -> how a person calls it, and what programs are called
# there that have another name.
MANAGERS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "brew": ("brew install", {"npm": "node"}),
    "apt-get": ("sudo apt-get install", {"go": "golang-go", "node": "nodejs"}),
    "dnf": ("sudo dnf install", {"go": "golang", "node": "nodejs"}),
    "pacman": ("sudo pacman -S", {"node": "nodejs"}),
    "apk": ("sudo apk add", {"node": "nodejs"}),
}


@dataclass(frozen=True)
class Installation:
    """What is done on one node."""

    # One of WAYS.
    way: str
    # Argument lists, in their order.
    commands: tuple[tuple[str, ...], ...]
    # What git gets before, and the folder that it is put into, in which the commands run.
    source: Source | None = None
    folder: str | None = None

    def lines(self) -> list[str]:
        """The same for people, as a shell would take it."""
        if self.way == "command":
            # It is a shell's already.
            return self.commands[0][-1].splitlines()
        lines = [shlex.join(words) for words in self.commands]
        if self.source is None or self.folder is None:
            return lines
        folder = shlex.quote(self.folder)
        return [
            f"git clone {shlex.quote(self.source.url)} {folder}",
            f"git -C {folder} checkout {self.source.commit}",
            f"cd {folder}",
            *lines,
        ]


class CantInstall(Exception):
    """A node has nothing to install the agent with."""

    def __init__(self, reasons: Iterator[str] | list[str]) -> None:
        self.reasons = list(reasons)
        super().__init__("; ".join(self.reasons))


def find_installation(agent: str, way: str | None, recipe: Recipe, tools: Tools) -> Installation:
    """What installs the agent on a node. way: the only one that may be taken; None: the first.

    Raises CantInstall.
    """
    possible = {
        "command": recipe.install is not None,
        "brew": agent in FORMULAS and "brew" in tools.programs,
        "source": agent in SOURCES and recipe.source is not None,
        "npm": agent in PACKAGES,
    }
    if way is None:
        way = next((each for each in WAYS if possible[each]), None)
    if way is None or not possible[way]:
        raise CantInstall([_why_no_way(agent, way)])

    missing = [*_missing(way, agent, tools)]
    if missing:
        raise CantInstall(missing)
    return _installation(agent, way, recipe, tools)


def _installation(agent: str, way: str, recipe: Recipe, tools: Tools) -> Installation:
    programs = tools.programs
    if way == "command":
        return Installation(way, (("/bin/sh", "-c", str(recipe.install)),))
    if way == "brew":
        return Installation(way, ((programs["brew"], "install", FORMULAS[agent]),))

    prefix = f"{tools.home}/.local"
    if way == "npm":
        package, _node = PACKAGES[agent]
        wanted = f"{package}@{recipe.version or 'latest'}"
        words = ("install", "--global", "--prefix", prefix, "--no-audit", "--no-fund", wanted)
        return Installation(way, ((programs["npm"], *words),))

    # As gummy's own formula does it, for one login instead of a machine.
    return Installation(
        way,
        (
            (programs["go"], "build", "-o", "gummy-watch", "gummy-watch.go"),
            ("mkdir", "-p", f"{prefix}/bin"),
            ("install", "-m", "755", "gummy", "gummy-watch", f"{prefix}/bin/"),
        ),
        recipe.source,
        f"{prefix}/share/distributed-gummy/agents/{agent}",
    )


def _why_no_way(agent: str, way: str | None) -> str:
    """Why it can't be installed: there is no way at all, or not the one that was asked for."""
    advice = []
    if agent in FORMULAS and way in (None, "brew"):
        advice.append("install brew there (https://brew.sh)")
    if agent in SOURCES and way in (None, "source"):
        url = SOURCES[agent]
        advice.append(
            "pin a source in ~/.config/distributed-gummy/config.yaml, as "
            f'`agents: {{{agent}: {{source: {{url: "{url}", commit: "HASH"}}}}}}` with a full hash '
            f"that `git ls-remote {url}` lists"
        )
    if way in (None, "command"):
        advice.append(
            f"give a command of your own in that file, as `agents: {{{agent}: {{install: LINE}}}}`"
        )
    if not advice:
        return f"{agent} can't be installed by {way}: take another way"
    return f"nothing there can install {agent}: {', or '.join(advice)}"


def _missing(way: str, agent: str, tools: Tools) -> Iterator[str]:
    """A sentence for each program that the way needs and the node does not have."""
    for program in {"source": ("git", "go"), "npm": ("npm", "node")}.get(way, ()):
        if program not in tools.programs:
            name = "Node.js" if program == "node" else program
            yield f"{name} is missing, which {agent} needs: {how_to_get(program, tools)}"
    if way != "npm" or "node" not in tools.programs:
        return
    _package, oldest = PACKAGES[agent]
    if tools.node_version is None or tools.node_version < oldest:
        version = "unknown" if tools.node_version is None else str(tools.node_version)
        yield (
            f"Node.js is too old for {agent}: its version is {version}, and {oldest} or newer is "
            "needed: get it from https://nodejs.org, or from brew (`brew install node`)"
        )


def how_to_get(program: str, tools: Tools) -> str:
    """What a person types on the node to get a program."""
    for manager, (command, names) in MANAGERS.items():
        if manager in tools.programs:
            return f"type there `{command} {names.get(program, program)}`"
    if tools.os == "macos":
        if program == "git":
            return "type there `xcode-select --install`"
        return f"install brew there (https://brew.sh), then `brew install {program}`"
    return f"install the package of {program} there"


def lacks(agent: str, tools: Tools, command: str) -> Iterator[str]:
    """A sentence for each program that the agent can't work without, and that is not to be found.

    command: how a playbook is called.
    """
    for program in NEEDS[agent]:
        if program in tools.programs:
            if not tools.is_on_path(program):
                yield off_path(program, tools)
        elif program in NEEDS:
            yield (
                f"{agent} needs {program}, which is missing: type "
                f"`{command} distributed.gummy.install -e gummy_agent={program}`"
            )
        else:
            yield f"{agent} needs {program}, which is missing: {how_to_get(program, tools)}"


def off_path(program: str, tools: Tools) -> str:
    """That a program is there, and the login shell does not find it."""
    folder = tools.programs[program].rpartition("/")[0]
    line = f'export PATH="{folder}:$PATH"'
    if folder.startswith(f"{tools.home}/"):
        line = f'export PATH="$HOME{folder.removeprefix(tools.home)}:$PATH"'
    profile = tools.profile or (".zprofile" if tools.os == "macos" else ".profile")
    return (
        f"{program} lies in {folder}, which is not on the PATH of the login shell: "
        f"add the line `{line}` to ~/{profile} there"
    )
