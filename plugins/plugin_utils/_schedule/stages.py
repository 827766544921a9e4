# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An attempt as the controller knows it, and the one table of its stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from . import messages as ev

# stage -> event -> next stage. `sent`: a start may be under way. `fencing`: we ask whether it
# began.
STAGES: Mapping[str, Mapping[str, str]] = {
    "reserved": {
        "claimed": "claimed",
        "busy": "void",
        "refused": "void",
        "failed": "void",
        "unknown": "void",
    },
    "claimed": {"synced": "sent", "refused": "void", "failed": "void", "unknown": "void"},
    "sent": {
        "started": "running",
        "ended": "ended",
        "refused": "fencing",
        "unknown": "fencing",
        "void": "void",
    },
    "running": {
        "started": "running",
        "running": "running",
        "refused": "running",
        "ended": "ended",
        "unknown": "fencing",
        "void": "void",
    },
    "fencing": {
        "void": "void",
        "running": "running",
        "started": "fencing",
        "ended": "ended",
        "unknown": "fencing",
        "refused": "fencing",
    },
    "ended": {
        **dict.fromkeys(("started", "ended", "running", "unknown", "refused", "failed"), "ended"),
        "fetched": "fetched",
    },
    "fetched": dict.fromkeys(("started", "ended", "running", "unknown", "refused"), "fetched"),
    "lost": dict.fromkeys(
        ("started", "running", "unknown", "ended", "void", "refused", "failed", "fetched"), "lost"
    ),
    "void": dict.fromkeys(("started", "unknown", "refused", "void"), "void"),
}
BEGINS = frozenset({"reserved", "claimed", "sent"})
MAY_RUN = frozenset({"sent", "running", "fencing"})
HOLDS_SLOT = BEGINS | MAY_RUN


class ProtocolError(Exception):
    """An event that the table does not know: a mistake of ours, never ignored."""


@dataclass
class TrackedAttempt:
    """since: when it ended, or when it was first asked whether it began. held: its claim waits
    until the node has answered another one.
    """

    id: str
    job: str
    node: str
    stage: str = "reserved"
    held: bool = False
    cause: ev.Refused | ev.Failed | ev.Unknown | None = None
    ended: ev.Ended | None = None
    fetches: int = 0
    since: float = 0.0

    def next(self, word: str) -> str:
        """The stage after this event. Raises ProtocolError."""
        if word not in STAGES[self.stage]:
            raise ProtocolError(
                f"attempt {self.id} of {self.job} on {self.node}: {word} while {self.stage}"
            )
        return STAGES[self.stage][word]
