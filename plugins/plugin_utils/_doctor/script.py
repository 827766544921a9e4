# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that a node's /bin/sh gets: functions, and what the table of agents makes of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .._links.link import PYTHONS
from .._links.shell_path import SHELL_PATH
from .._load.probe import LOAD_FUNCTIONS
from .agents import AGENTS


@cache
def script(given_python: str | None = None) -> str:
    """What a node is asked. given_python: the interpreter that is set for it, tried first."""
    functions = Path(__file__).with_name("doctor.sh").read_text(encoding="utf-8")
    given = [given_python] if given_python else []
    calls = [
        _function("pythons", [["python", *given, *PYTHONS.split()]]),
        _function("programs", _programs()),
        _function("agents", _agents()),
        # stdin is this script itself.
        "doctor < /dev/null 2> /dev/null",
    ]
    return "\n".join([LOAD_FUNCTIONS, SHELL_PATH, functions, *calls]) + "\n"


def _function(name: str, commands: Iterator[list[str]] | list[list[str]]) -> str:
    lines = [f"  {shlex.join(command)}" for command in commands]
    return "\n".join([f"{name}() {{", *lines, "  :", "}"])


def _programs() -> Iterator[list[str]]:
    """Each program once, though several agents may need it."""
    words: dict[str, str] = {}
    for row in AGENTS.values():
        for name in row.programs:
            word = row.version_words.get(name, "")
            words[name] = words.get(name) or word
    for name, word in words.items():
        yield ["program", "login session interactive", name, word]


def _agents() -> Iterator[list[str]]:
    for agent, row in AGENTS.items():
        login = row.login
        if login is None:
            continue
        place = [login.folder_variable, login.folder]
        yield ["agent_login", agent, *place, login.file, login.settings, login.pattern]
        yield ["agent_variables", agent, *login.variables]
        for setting in row.settings:
            words = [login.settings, setting.name, setting.pattern]
            yield ["agent_setting", agent, *place, *words]
