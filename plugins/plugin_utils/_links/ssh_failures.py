# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ssh says when it fails, in words that tell a person what to do."""

from __future__ import annotations

import re

ASKS_PASSWORD = "it asks for a password"
# sign in ssh's stderr, kind, what to tell
FAILURES = (
    (
        r"IDENTIFICATION HAS CHANGED",
        "host_key",
        "its host key has changed: if that is right, remove the old one with `ssh-keygen -R`",
    ),
    (
        r"Host key verification failed|No .* host key is known",
        "host_key",
        "its host key is not known: log in once by hand",
    ),
    (
        r"[Ss]ession open refused",
        "unreachable",
        "its sshd allows no more sessions over one connection (MaxSessions): try again when fewer runs go on",
    ),
    (r"Permission denied.*(password|keyboard-interactive)", "login", ASKS_PASSWORD),
    (
        r"Permission denied|Too many authentication failures",
        "login",
        "it refuses the login: try it with `ssh` by hand",
    ),
    (r"Connection refused", "unreachable", "connection refused: no sshd listens there"),
    (r"timed out|Timeout, server", "unreachable", "timed out"),
    (r"Could not resolve hostname", "unreachable", "its name is not known here"),
    (r"No route to host|Network is unreachable", "unreachable", "no route to it"),
)


def why_ssh_failed(errors: str) -> tuple[str, str]:
    """(kind, one line for a person) from ssh's stderr; what no sign fits is told in ssh's own last
    words.
    """
    for sign, kind, told in FAILURES:
        if re.search(sign, errors):
            return kind, told
    lines = [
        "".join(filter(str.isprintable, line)).strip()
        for line in errors.splitlines()
        if not line.startswith(("debug", "Warning: Permanently"))
    ]
    return "unreachable", next(
        (line for line in reversed(lines) if line), "ssh ended without a message"
    )
