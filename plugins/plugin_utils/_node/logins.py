# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which agents this node has, and which of them are not logged in, as far as that is known.

The files of a login can show that there is none. That there is one, only the agent finds out: when
it says that it is not logged in, the node remembers that until those files change, and starts no
more jobs of it. A person who asks for the node by its name is taken to know better.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping

from . import agents
from .store import TYPE_CHECKING, read_json, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from . import wire
    from .row import Agent
    from .store import Store

# The file, in the store, that holds what is remembered of each program.
FILE = "logins.json"
# Seconds for which it is remembered where a login may change no file: macOS has a keychain.
KEYCHAIN_MEMORY = 3600.0
# Bytes of a program in which a script says what it is.
HEAD = 64


def reason(store: Store, spec: wire.JobSpec, path: str, passed: Mapping[str, str]) -> str | None:
    """Why the job's agent is not started here for want of a login; None: nothing speaks against it.

    path: the login shell's PATH; passed: what the user passes on in the environment.
    """
    if spec.get("pinned"):
        return None
    agent = agents.of_job(spec)
    if state(store, agent, path, passed) != "no":
        return None
    return (
        "agent %s is not logged in on this node: log in there (%s)."
        " A job with `gummy_node` of this node's name is tried there all the same"
        % (spec["agent"], agent.login_advice)
    )


def state(store: Store, agent: Agent, path: str, passed: Mapping[str, str]) -> str:
    """yes, no or unknown."""
    environment = {**os.environ, **passed}
    home = environment.get("HOME") or os.path.expanduser("~")
    by_files = agent.logged_in(home, environment)
    if by_files == "no" and (agent.login_file_is_all or not _is_wrapped(agent, path)):
        return "no"
    # Who passes a login on brings another one than the last job had, for all we know.
    if not passed.keys() & set(agent.login_variables) and _is_remembered(store, agent, home):
        return "no"
    return "unknown" if by_files == "no" else by_files


def _is_wrapped(agent: Agent, path: str) -> bool:
    """Whether the program is a shell script, which may bring a login along."""
    program = shutil.which(agent.login_program, path=path)
    if program is None:
        return False
    try:
        with open(program, "rb") as file:
            first = file.read(HEAD).split(b"\n")[0]
    except OSError:
        return False
    return first.startswith(b"#!") and b"sh" in first


def _is_remembered(store: Store, agent: Agent, home: str) -> bool:
    out = _rows(store).get(agent.login_program, {}).get("out")
    if not isinstance(out, dict) or out.get("files") != _fingerprint(agent.login_files(home)):
        return False
    may_be_elsewhere = sys.platform == "darwin"
    return not may_be_elsewhere or time.time() < float(out.get("at", 0)) + KEYCHAIN_MEMORY


def _rows(store: Store) -> dict[str, dict[str, Any]]:
    """What is remembered, by the program's name."""
    rows = read_json(os.path.join(store.root, FILE)) or {}
    return {name: row for name, row in rows.items() if isinstance(row, dict)}


def _fingerprint(paths: Iterable[str]) -> list[list[int] | None]:
    """What changes when these files do."""
    marks: list[list[int] | None] = []
    for path in paths:
        try:
            info = os.stat(path)
            marks.append([info.st_mtime_ns, info.st_size, info.st_ino])
        except OSError:
            marks.append(None)
    return marks


def learn(store: Store, spec: wire.JobSpec, path: str, ended: wire.EndedRecord) -> None:
    """Remember what this end shows of the agent's login, and its version."""
    agent = agents.of_job(spec)
    if not agent.login_program:
        return
    rows = _rows(store)
    row = dict(rows.get(agent.login_program, {}))
    home = os.environ.get("HOME") or os.path.expanduser("~")
    if ended["class"] == "login":
        row["out"] = {"at": time.time(), "files": _fingerprint(agent.login_files(home))}
    elif ended.get("proof"):
        row.pop("out", None)
    if ended.get("agent_version"):
        row["version"] = ended["agent_version"]
        row["program"] = _fingerprint([_program(agent.login_program, path)])

    if row != rows.get(agent.login_program, {}):
        # A full disk must not cost the job its end.
        with contextlib.suppress(OSError):
            data = json.dumps({**rows, agent.login_program: row}).encode()
            write_whole(os.path.join(store.root, FILE), data)


def _program(name: str, path: str) -> str:
    return os.path.realpath(shutil.which(name, path=path) or name)


def table(
    store: Store, path: str, own: Mapping[str, wire.OwnAgent] | None = None
) -> list[wire.AgentOfNode]:
    """The agents that this PATH finds, with what is known of them without asking anybody.

    own: the agents of the user's config, by name.
    """
    own = own or {}
    remembered = _rows(store)
    rows: list[wire.AgentOfNode] = []
    for name, agent in agents.rows_with(own).items():
        if agents.unusable(name, path, own=own.get(name)) is not None:
            continue
        program = agent.programs[0]
        version = agents.version_of(program, path)
        known = remembered.get(program, {})
        if version is None and known.get("program") == _fingerprint([_program(program, path)]):
            version = known.get("version")
        rows.append({"name": name, "version": version, "logged_in": state(store, agent, path, {})})
    return rows
