# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which agents can be held to a budget, and how.

The node program has the same in the rows of its agents; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping

# It costs nothing.
FREE = "free"
# It has a cap of its own, and tells at its end what it cost.
CAPPED = "capped"
# It tells what it costs while it runs, and its node ends it then.
LIVE = "live"

# Agent -> how it is held to a budget. One that does not stand here is not: it tells no price.
PRICING: Mapping[str, str] = {
    "gummy": CAPPED,
    "claude": CAPPED,
    "opencode": LIVE,
    "shell": FREE,
}


def why_not_held(agent: str) -> str:
    """Why a budget is none for this agent; blank: it is one."""
    if agent in PRICING:
        return ""
    return f"the agent {agent} tells no price while it works and has no cap of its own"
