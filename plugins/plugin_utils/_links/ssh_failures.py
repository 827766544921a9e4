# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ssh says when it fails, in words that tell a person what to do."""

from __future__ import annotations

import re
from typing import NamedTuple

from .words import SSH_NOTES, asks_a_person, told_words

# How much of ssh's words is looked at: the last so many characters. A server may have it say more.
WORDS_MOST = 4096

ASKS_PASSWORD = "it asks for a password"


class Failure(NamedTuple):
    """One way in which ssh fails."""

    # A regular expression that its stderr matches.
    sign: str
    # As LinkError has it.
    kind: str
    # The sentence for a person, without the node's name.
    reason: str


# The first sign that fits counts: a changed key is also one that could not be verified.
FAILURES = (
    Failure(
        r"IDENTIFICATION HAS CHANGED",
        "host_key",
        "its host key has changed: if that is right, remove the old one with `ssh-keygen -R`",
    ),
    Failure(
        r"Host key verification failed|No .* host key is known",
        "host_key",
        "its host key is not known: log in once by hand",
    ),
    Failure(
        r"[Ss]ession open refused",
        "unreachable",
        "its sshd allows no more sessions over one connection (MaxSessions):"
        " try again when fewer runs go on",
    ),
    Failure(
        r"tailnet policy does not permit",
        "login",
        "the tailnet's policy for Tailscale SSH does not permit this login",
    ),
    Failure(r"Permission denied.*(password|keyboard-interactive)", "login", ASKS_PASSWORD),
    Failure(
        r"Permission denied|Too many authentication failures",
        "login",
        "it refuses the login: try it with `ssh` by hand",
    ),
    Failure(r"Connection refused", "unreachable", "connection refused: no sshd listens there"),
    Failure(r"timed out|Timeout, server", "unreachable", "timed out"),
    Failure(r"Could not resolve hostname", "unreachable", "its name is not known here"),
    Failure(r"No route to host|Network is unreachable", "unreachable", "no route to it"),
)


# Lines of ssh itself, which tell nothing that the node would have said.
OWN_LINES = re.compile(
    r"ssh: |kex_exchange|Received disconnect|Disconnected from|Connection (?:closed|reset)|"
    r"ssh_\w+: |Authentication failed|[^ ]*:? ?Permission denied|Too many authentication|Timeout, "
)


def why_ssh_failed(errors: str) -> tuple[str, str]:
    """(kind, one line for a person) from ssh's stderr.

    What no sign fits is told in ssh's own last words. Where the login fails, what the node said
    before that is told too, for it may say why.
    """
    errors = errors[-WORDS_MOST:]
    for failure in FAILURES:
        if re.search(failure.sign, errors):
            return failure.kind, failure.reason + _said_before(failure, errors)

    if asks_a_person(errors):
        return "login", waits_for_a_person(errors)
    lines = [
        "".join(filter(str.isprintable, line)).strip()
        for line in errors.splitlines()
        if not line.startswith(("debug", "Warning: Permanently"))
    ]
    words = [line for line in lines if line]
    return "unreachable", words[-1] if words else "ssh ended without a message"


def _said_before(failure: Failure, errors: str) -> str:
    if failure.kind != "login":
        return ""
    lines = [
        line
        for line in errors.splitlines()
        if not OWN_LINES.match(line.strip()) and not SSH_NOTES.match(line.strip())
    ]
    words = told_words("\n".join(lines))
    return f" (it says: {words})" if words else ""


def waits_for_a_person(words: str) -> str:
    """The sentence for a login that asks a person for something, without the node's name."""
    return f"the login waits for a person, then try again: {told_words(words)}"
