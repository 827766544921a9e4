# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of an attempt on its node: one table, and the one function that moves it.

There are two rules. Everything that says where an attempt stands is written here, as a mark that
is durable before what it announces happens; and an event that the table does not know is an error,
never ignored. Whoever moves an attempt holds its lock (acknowledge needs none: nothing follows).
"""

from __future__ import annotations

import os

from .store import TYPE_CHECKING, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .store import Attempt

# state -> event -> next state.
TABLE: Mapping[str, Mapping[str, str]] = {
    "new": {"start": "starting", "fence": "void"},
    "starting": {"run": "running", "fail": "ended", "fence": "void"},
    "running": {"end": "ended", "heal": "ended"},
    "ended": {"acknowledge": "acknowledged", "harvest": "ended"},
    "acknowledged": {"acknowledge": "acknowledged", "harvest": "ended"},
    "void": {"fence": "void"},
}
# Who brings an event about, and when. The documentation shows these words.
EVENTS: Mapping[str, str] = {
    "start": "the verb start, once it has the workspace and its slot",
    "run": "the supervisor, right before it executes the agent",
    "fail": "the supervisor, when it can't execute the agent",
    "end": "the supervisor, when the agent's processes have ended and the harvest is made",
    "heal": (
        "whoever sees first that the supervisor died: what lives of the agent is ended,"
        " then harvested"
    ),
    "fence": (
        "any controller, while no supervisor runs: the proof that the agent did not start"
        " and never will"
    ),
    "harvest": (
        "a controller that wants a harvest which could not be made before, say for a full disk"
    ),
    "acknowledge": "a controller that has the harvest",
}
# The file that makes an attempt be in a state; of several the last one counts. These names are part
# of the store's format.
MARKS: Mapping[str, str] = {
    "starting": "starting",
    "running": "agent",
    "void": "void",
    "ended": "ended.json",
    "acknowledged": "acknowledged",
}


def state_of(attempt: Attempt) -> str:
    """A state of TABLE."""
    for state in reversed(tuple(MARKS)):
        if attempt.has(MARKS[state]):
            return state
    return "new"


def move(attempt: Attempt, event: str, data: bytes = b"") -> str:
    """Bring an attempt to its next state, durably.

    data: what the mark of that state holds. Returns the state; raises Refusal for an event that is
    not possible in the state before.
    """
    before = state_of(attempt)
    after = TABLE[before].get(event)
    if after is None:
        raise Refusal(
            "attempt %s is %s: %s is not possible" % (attempt.id, before, event), "state", "ours"
        )

    # What was acknowledged is not what there is now.
    if event == "harvest" and before == "acknowledged":
        os.unlink(attempt.path(MARKS[before]))
    if after != before or event == "harvest":
        attempt.mark(MARKS[after], data)
    return after
