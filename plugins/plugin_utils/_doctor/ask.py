# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a node what could keep it from doing jobs, though nothing on it may work."""

from __future__ import annotations

import re
import time

from .._links.at_once import run_all
from .._links.link import Link, LinkError
from .._links.process import DeadlinePassed, NotStarted, Process, TooMuchOutput
from .._links.reader import clean_line
from .._links.ssh_failures import waits_for_a_person, why_ssh_failed
from .._links.words import asks_a_person, told_words
from .._load.probe import LINE_BEGIN
from .._schedule.durations import spoken
from .node_facts import SENTENCE_MOST, Contact, Way
from .script import script

# How long a node may take for all that it says, in seconds.
SECONDS = 15.0
# Bytes of the longest answer.
CAP = 1 << 20
# How long this machine's own ssh may take to answer of itself, in seconds.
HERE_SECONDS = 3.0


def ask_node(link: Link) -> Contact:
    """What a node says of itself, or why it says nothing. Raises nothing.

    It logs in anew. Nothing is put on the node, and all that it has to have is a shell that reads
    our script.
    """
    own = link.anew()
    try:
        return _ask(own)
    finally:
        if own is not link:
            own.drop()


def _ask(link: Link) -> Contact:
    asked_at = time.time()
    try:
        if link.asks_password:
            link.connect()
        process = Process(link.probe_argv(SECONDS), script(link.given_python).encode())
    except (LinkError, NotStarted) as exc:
        kind = getattr(exc, "kind", "settings")
        return Contact(kind, str(exc), str(exc), asked_at=asked_at)

    lines: list[tuple[float, str]] = []
    status: int | None = None
    try:
        for line in process.lines(SECONDS, CAP):
            lines.append((time.time(), line.decode("utf-8", "replace")))
        status = process.status()
    except (DeadlinePassed, TooMuchOutput):
        # What has come by then counts.
        pass
    finally:
        errors = process.errors()
        process.close()

    if any(LINE_BEGIN in line for _at, line in lines):
        return Contact(lines=lines, asked_at=asked_at)
    return _no_answer(link, status, lines, errors, asked_at)


def _no_answer(
    link: Link,
    status: int | None,
    lines: list[tuple[float, str]],
    errors: str,
    asked_at: float,
) -> Contact:
    """Why nothing of the script's came."""
    if status is None and asks_a_person(errors):
        return Contact("login", waits_for_a_person(errors), asked_at=asked_at)
    said = _last_words(errors) or _last_words("\n".join(line for _at, line in lines))
    if status == 255 and link.config_argv() is not None:
        kind, reason = why_ssh_failed(errors)
        return Contact(kind, reason, said, asked_at=asked_at)
    if status is not None:
        reason = f"a command ends with exit status {status} before it begins"
        words = told_words("\n".join([errors, *(line for _at, line in lines)]))
        if words:
            reason += f", and it says: {words}"
        return Contact("no_command", reason, said, lines, asked_at)
    if link.has_master(HERE_SECONDS):
        reason = f"the login works, and then no command begins within {spoken(SECONDS)}"
        return Contact("silent", reason, said, lines, asked_at)
    return Contact("timeout", f"no answer within {spoken(SECONDS)}", said, asked_at=asked_at)


def _last_words(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return clean_line(lines[-1][:SENTENCE_MOST]) if lines else ""


def find_way(link: Link, in_tailnet: bool) -> Way:
    """How this machine's ssh reaches a node. in_tailnet: whether its own name means something."""
    words = tuple(link.by_hand_words())
    commands = {}
    for name in (None, link.name):
        argv = link.config_argv(name)
        if argv is not None and (name is None or in_tailnet):
            commands[name] = argv
    answers = run_all(commands, timeout=HERE_SECONDS)
    values = {name: _values(answer.out) for name, answer in answers.items()}
    way = values.get(None, {})
    own = values.get(link.name, {})
    leads_to = own.get("hostname", "")
    if "proxyjump" in own or "proxycommand" in own:
        # Another machine says what the address is.
        leads_to = ""
    return Way(words, _known_as(way), _known_hosts(way), leads_to)


def _values(text: str) -> dict[str, str]:
    """What `ssh -G` printed."""
    rows = [line.partition(" ") for line in text.splitlines()]
    return {key: value for key, _blank, value in rows if value != "none"}


def _known_as(way: dict[str, str]) -> str:
    """The name of a node in known_hosts."""
    if "hostkeyalias" in way:
        return way["hostkeyalias"]
    host = way.get("hostname", "")
    port = way.get("port", "22")
    if port == "22" or not host:
        return host
    return f"[{host}]:{port}"


def _known_hosts(way: dict[str, str]) -> str:
    """The user's first file of host keys."""
    files = re.findall(r'"([^"]+)"|(\S+)', way.get("userknownhostsfile", ""))
    return next((quoted or bare for quoted, bare in files), "")
