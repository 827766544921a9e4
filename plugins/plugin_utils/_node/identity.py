# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who an agent commits as, where nobody ever told the node's git a name.

Git refuses a commit without one. So the environment gives a neutral one, and only for what neither
the project nor the node says.
"""

from __future__ import annotations

import subprocess

from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NEUTRAL = {"name": "gummy agent", "email": "agent@localhost"}
# Seconds that git may take to say what it is told.
PATIENCE = 10.0


def neutral_identity(tree: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Variables for what git lacks to commit in this tree, as it runs in this environment."""
    try:
        listing = subprocess.run(
            ["git", "config", "-z", "--name-only", "--get-regexp", r"^(user|author|committer)\."],
            cwd=tree,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        # Without git nobody commits.
        return {}
    known = set(listing.decode("utf-8", "replace").split("\0"))

    variables = {}
    for part, value in NEUTRAL.items():
        for role in ("author", "committer"):
            is_known = "user." + part in known or "%s.%s" % (role, part) in known
            # Git takes an address from there too.
            is_known = is_known or (part == "email" and bool(environment.get("EMAIL")))
            variable = "GIT_%s_%s" % (role.upper(), part.upper())
            if not is_known and variable not in environment:
                variables[variable] = value
    return variables
