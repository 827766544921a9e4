# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sessions of claude have cost that were ours: gummy itself keeps no cost."""

from __future__ import annotations

import os
import re

from .events import dollars

# The folder, in the store, that holds what each session has cost. A claude that prints one array
# tells no more than the sum of all runs of its session.
FOLDER = "costs"
SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}\Z")


def cost_of(root: str, session: str | None) -> float | None:
    """What a session has cost until now, if one of our calls saw it. root: of the store."""
    if not session or not SESSION.match(session):
        return None
    try:
        with open(os.path.join(root, FOLDER, session), encoding="ascii") as file:
            return dollars(float(file.read(64)))
    except (OSError, ValueError):
        return None
