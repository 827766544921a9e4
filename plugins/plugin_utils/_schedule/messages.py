# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scheduler hears and says: events in, commands out.

An attempt is named by its id; times are seconds of the caller's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .placement import Need, Node


@dataclass(frozen=True)
class PlacementSpec:
    """A job as far as placement cares. attempts: how many may fail before they start, be void, or
    end for want of quota.

    account: what its agent is charged to; skippable: skipped, not failed, when no node of its own
    can be reached. no_more: why it may get no attempt beside those that were found; then it is lost
    when none of these has it.
    """

    name: str
    need: Need
    attempts: int = 3
    accept_unproven: bool = False
    priority: int = 0
    account: str = ""
    skippable: bool = False
    no_more: str = ""


@dataclass(frozen=True)
class OfAttempt:
    """What names an attempt."""

    attempt: str


@dataclass(frozen=True)
class OfNode:
    """What names a node."""

    node: str


@dataclass(frozen=True)
class AttemptOn(OfAttempt):
    """What names an attempt and the node that has it."""

    node: str


@dataclass(frozen=True)
class Step(OfAttempt):
    """What names an attempt, its job and its node."""

    job: str
    node: str


# -- events


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True)
class Nodes:
    """Newly measured nodes; nodes that are not named stay as they are."""

    nodes: tuple[Node, ...]


class LinkUp(OfNode):
    """The node answers."""


@dataclass(frozen=True)
class LinkDown:
    node: str
    reason: str


@dataclass(frozen=True)
class Claimed(OfAttempt):
    """The attempt holds a slot and a workspace. store: the id of the node's store, whatever name
    led to it; contended: others wait for slots there.
    """

    store: str | None = None
    contended: bool = False


class Busy(OfAttempt):
    """No slot on the node is free for this run: costs no attempt."""


class Granted(OfNode):
    """The run has come to the head of the node's line: a slot is kept for its claim, for a moment."""


@dataclass(frozen=True)
class Refused(OfAttempt):
    """A clear no. blame: node (another node may take the job), input (the run can't go on), ours
    (no node's fault).

    kind tells one mistake of ours from another.
    """

    failure: str
    blame: str
    message: str
    kind: str = ""


class Synced(OfAttempt):
    """The project is in its workspace."""


class Started(OfAttempt):
    """Its supervisor runs."""


@dataclass(frozen=True)
class Failed(OfAttempt):
    """A stage did not work, and nothing was started: claim, sync or fetch. lasting: a person has to
    mend it, so no trial follows.
    """

    failure: str
    message: str
    lasting: bool = False


@dataclass(frozen=True)
class Unknown(OfAttempt):
    """No valid reply: what was asked for may have happened or not."""

    message: str


@dataclass(frozen=True)
class Fenced(OfAttempt):
    """What `fence` proved: void, running, or ended (an Ended follows)."""

    outcome: str


@dataclass(frozen=True)
class Ended(OfAttempt):
    """failure: a class of DESIGN section 7 or None; proof: what shows the success; result: the
    node's record.

    pause: seconds until there is quota again, where that is known.
    """

    failure: str | None
    proof: str | None
    message: str
    result: Mapping[str, Any] = field(default_factory=dict)
    pause: float | None = None


@dataclass(frozen=True)
class Fetched(OfAttempt):
    """Its harvest is at home. undelivered: why no branch could be made of it."""

    undelivered: str = ""


class Found(Step):
    """Resume: this attempt of an earlier call may have started."""


@dataclass(frozen=True)
class Quarantined:
    """An earlier run saw this node fail, so often in a row; seconds: what is left of its pause."""

    node: str
    failures: int
    seconds: float
    why: str


@dataclass(frozen=True)
class Cancelled:
    """The user wants the run to end: nothing more begins, what may run is ended."""


Event = (
    Tick
    | Nodes
    | LinkUp
    | LinkDown
    | Claimed
    | Busy
    | Granted
    | Refused
    | Synced
    | Started
    | Failed
    | Unknown
    | Fenced
    | Ended
    | Fetched
    | Found
    | Quarantined
    | Cancelled
)


# -- commands


@dataclass(frozen=True)
class Record(Step):
    """Must be on disk before the commands after it go out. state: reserved, sent, running, ended,
    void, lost.
    """

    state: str


@dataclass(frozen=True)
class Assigned(Step):
    """For people and the record: the node that was chosen, why, and all nodes as they were then;
    see Scheduler.ranking.

    why: None where the ranking says it.
    """

    why: str | None
    nodes: tuple[Node, ...]


class Claim(Step):
    """S1."""


class Sync(Step):
    """S2."""


class Start(Step):
    """S4; `sent` is on record."""


class Cancel(AttemptOn):
    """End it on its node, or prove that it never will begin."""


class Fence(AttemptOn):
    """Prove that it did not start, or learn that it did."""


class Watch(OfNode):
    """Follow this node's attempts until `Scheduler.watched()` no longer names it."""


class Enqueue(OfNode):
    """Wait in this node's line for a slot that other runs hold."""


class Dequeue(OfNode):
    """No job waits for a node any more."""


class Fetch(Step):
    """S7, the harvest's way home."""


class Release(AttemptOn):
    """Give the claim back; nobody waits for the answer."""


class Ack(AttemptOn):
    """Tell the node that the harvest is at home."""


@dataclass(frozen=True)
class Quarantine:
    """For later runs: the node failed so often in a row and rests for these seconds; 0 failures: it
    is as good as any.
    """

    node: str
    failures: int
    seconds: float
    why: str


@dataclass(frozen=True)
class Refresh:
    """Measure these nodes anew."""

    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Finish:
    """A job's end. status: success, failed, unproven, lost, skipped, cancelled; failure: its class."""

    job: str
    status: str
    failure: str | None
    message: str
    attempt: str | None = None
    node: str | None = None


@dataclass(frozen=True)
class Note:
    """A line for people. verb: which of the six it belongs to."""

    verb: str
    text: str
    job: str = ""
    node: str = ""


@dataclass(frozen=True)
class Wake:
    """Send a Tick at this time."""

    at: float


@dataclass(frozen=True)
class End:
    """Every job has ended, or the run is left to itself: see Scheduler.unfinished."""


Command = (
    Record
    | Assigned
    | Claim
    | Sync
    | Start
    | Cancel
    | Fence
    | Watch
    | Enqueue
    | Dequeue
    | Fetch
    | Release
    | Ack
    | Quarantine
    | Refresh
    | Finish
    | Note
    | Wake
    | End
)
