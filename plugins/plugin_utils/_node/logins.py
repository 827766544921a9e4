# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which agents of this node are not logged in, as far as that is known.

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
    from . import wire
    from .row import Agent
    from .store import Store

# The file, in the store, that holds what is remembered.
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
    name = spec["agent"]
    known = state(store, name, path, passed)
    if known != "no":
        return None
    return (
        "agent %s is not logged in on this node: log in there (start `claude` and type /login)."
        " A job with `gummy_node` of this node's name is tried there all the same" % name
    )


def state(store: Store, name: str, path: str, passed: Mapping[str, str]) -> str:
    """yes, no or unknown."""
    agent = agents.AGENTS[name]
    environment = {**os.environ, **passed}
    home = environment.get("HOME") or os.path.expanduser("~")
    by_files = agent.logged_in(home, environment)
    if by_files == "no" and not _is_wrapped(agent, path):
        return "no"
    # Who passes a login on brings another one than the last job had, for all we know.
    if not passed.keys() & set(agent.login_variables) and _is_remembered(store, agent, name, home):
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


def _is_remembered(store: Store, agent: Agent, name: str, home: str) -> bool:
    row = (read_json(os.path.join(store.root, FILE)) or {}).get(name)
    if not isinstance(row, dict) or row.get("files") != _fingerprint(agent, home):
        return False
    may_be_elsewhere = sys.platform == "darwin"
    return not may_be_elsewhere or time.time() < float(row.get("at", 0)) + KEYCHAIN_MEMORY


def _fingerprint(agent: Agent, home: str) -> list[list[int] | None]:
    """What changes when a person logs in."""
    marks: list[list[int] | None] = []
    for path in agent.login_files(home):
        try:
            info = os.stat(path)
            marks.append([info.st_mtime_ns, info.st_size, info.st_ino])
        except OSError:
            marks.append(None)
    return marks


def learn(store: Store, spec: wire.JobSpec, ended: wire.EndedRecord) -> None:
    """Remember what this end shows of the agent's login."""
    name = spec["agent"]
    agent = agents.AGENTS[name]
    home = os.environ.get("HOME") or os.path.expanduser("~")
    is_out = ended["class"] == "login"
    if not is_out and not ended.get("proof"):
        return
    path = os.path.join(store.root, FILE)
    rows = read_json(path) or {}
    if is_out:
        rows[name] = {"at": time.time(), "files": _fingerprint(agent, home)}
    elif name in rows:
        del rows[name]
    else:
        return
    # A full disk must not cost the job its end.
    with contextlib.suppress(OSError):
        write_whole(path, json.dumps(rows).encode())
