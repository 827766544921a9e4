# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An attempt as the controller follows it, and the one table of its stages.

Two rules. An attempt's stage changes only in `TrackedAttempt.move`, by a word that the table
knows in that stage; any other word is a mistake of ours and an error, never ignored. And once a
start was sent, the only words that lead to `void` are proofs: that a fence found it void, or that
the node itself could not execute the agent. (`test_the_table_knows_no_way_back...` holds that.)

A node may contradict itself, by mistake or to spoil the run. What it proved first counts, and what
it says after that leaves the attempt where it is: that is no mistake of ours.

The words are those of the events in messages.py, and six that the scheduler itself says:

* `assigned`: the job was given to a node;
* `found`: an earlier call of the run left it;
* `stopped`: the run was stopped before the attempt's start went out;
* `withdrawn`: its claim was held back until the node had answered another one, and is not needed;
* `failed_to_start`: it ended, and its agent was never executed;
* `given_up`: its node has been silent for too long, proves nothing, or says for ever that it runs.

docs/states.md shows the table as a diagram, made from it by scripts/diagrams.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from . import messages as ev

# Stage -> word -> next stage.
STAGES: Mapping[str, Mapping[str, str]] = {
    # It has an id, and nothing else yet.
    "new": {"assigned": "reserved", "found": "fencing"},
    # A node was chosen, and a claim is on its way. Nothing is lost by taking it back.
    "reserved": {
        "claimed": "claimed",
        "busy": "void",
        "refused": "void",
        "failed": "void",
        "unknown": "void",
        "late": "void",
        "stopped": "void",
        "withdrawn": "void",
    },
    # It has a slot and a workspace, and the project is on its way.
    "claimed": {
        "synced": "sent",
        "refused": "void",
        "failed": "void",
        "unknown": "void",
        "late": "void",
        "stopped": "void",
    },
    # A start is on its way: from here on it may run, whatever is heard of it.
    "sent": {
        "started": "running",
        "running": "running",
        "refused": "fencing",
        "unknown": "fencing",
        "ended": "ended",
        "void": "void",
        "failed_to_start": "void",
        "given_up": "lost",
    },
    # Its supervisor has answered. What is heard late of its start changes nothing.
    "running": {
        "started": "running",
        "running": "running",
        "refused": "running",
        "unknown": "fencing",
        "ended": "ended",
        "void": "void",
        "failed_to_start": "void",
        "given_up": "lost",
    },
    # Nobody knows whether it began, so its node is asked for a proof.
    "fencing": {
        "started": "fencing",
        "refused": "fencing",
        "unknown": "fencing",
        "running": "running",
        "ended": "ended",
        "void": "void",
        "failed_to_start": "void",
        "given_up": "lost",
    },
    # The node has made its harvest, which is on its way home; `failed` is a fetch that is tried
    # again.
    "ended": {
        "started": "ended",
        "running": "ended",
        "refused": "ended",
        "unknown": "ended",
        "ended": "ended",
        "void": "ended",
        "failed_to_start": "ended",
        "failed": "ended",
        "fetched": "fetched",
    },
    # Its harvest is at home.
    "fetched": {
        "started": "fetched",
        "running": "fetched",
        "refused": "fetched",
        "unknown": "fetched",
        "ended": "fetched",
        "void": "fetched",
        "failed_to_start": "fetched",
    },
    # This run waits for it no longer. It may still run, so its job is not placed elsewhere.
    "lost": {
        "started": "lost",
        "running": "lost",
        "refused": "lost",
        "unknown": "lost",
        "ended": "lost",
        "void": "lost",
        "failed_to_start": "lost",
        "failed": "lost",
        "fetched": "lost",
    },
    # It is certain that it did not start and never will: its job may go elsewhere.
    "void": {
        "started": "void",
        "running": "void",
        "refused": "void",
        "unknown": "void",
        "ended": "void",
        "void": "void",
        "failed_to_start": "void",
    },
}

# Stages in which no start has gone out, so that no node can have a word on the attempt's end.
BEFORE_THE_START = frozenset({"new", "reserved", "claimed"})
# Stages of an attempt that is on its way to its agent.
BEGINS = frozenset({"reserved", "claimed", "sent"})
# Stages in which the agent may run.
MAY_RUN = frozenset({"sent", "running", "fencing"})
# Stages in which the attempt has a slot of its node, as far as we know.
HOLDS_SLOT = BEGINS | MAY_RUN


class ProtocolError(Exception):
    """A word that the table does not know: a mistake of ours, never ignored."""


@dataclass
class TrackedAttempt:
    """One try of a job on one node."""

    id: str
    job: str
    node: str
    stage: str = "new"

    # Whether its claim is held back until its node has answered another one.
    held: bool = False

    # The newest event that spoke against it, for who asks why it became void.
    cause: ev.Refused | ev.Failed | ev.Unknown | None = None

    # How it ended, once it did.
    ended: ev.Ended | None = None

    # How many fetches of its harvest failed.
    failed_fetches: int = 0

    # When it ended, or since when nobody knows how it is.
    since: float = 0.0

    # Whether its time is counted, and since when it is over although its node says that it runs.
    is_timed: bool = False
    overdue_since: float | None = None

    def move(self, word: str) -> str:
        """Go where the table leads by this word; returns the stage before. Raises ProtocolError."""
        row = STAGES[self.stage]
        if word not in row:
            raise ProtocolError(
                f"attempt {self.id} of {self.job} on {self.node}: {word} while {self.stage}"
            )

        before = self.stage
        self.stage = row[word]
        return before
