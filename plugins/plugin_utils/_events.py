# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scheduler hears and says: events in, commands out. This is private to the collection.

An attempt is named by its id; times are seconds of the caller's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ._placement import Need, Node


@dataclass(frozen=True)
class Work:
    """A job as far as placement cares. attempts: how many may fail before they start or be void."""

    name: str
    need: Need
    attempts: int = 3
    accept_unproven: bool = False


# -- events


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True)
class Nodes:
    """Newly measured nodes; nodes that are not named stay as they are."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class LinkUp:
    node: str


@dataclass(frozen=True)
class LinkDown:
    node: str
    reason: str


@dataclass(frozen=True)
class Claimed:
    attempt: str


@dataclass(frozen=True)
class Busy:
    """No free slot on the node: costs no attempt."""

    attempt: str
    retry_after: float


@dataclass(frozen=True)
class Refused:
    """A clear no. blame: node (another node may take the job), ours (no node's fault); kind tells one mistake of ours from another."""

    attempt: str
    failure: str
    blame: str
    message: str
    kind: str = ""


@dataclass(frozen=True)
class Synced:
    attempt: str


@dataclass(frozen=True)
class Started:
    attempt: str


@dataclass(frozen=True)
class Failed:
    """A stage did not work, and nothing was started: claim, sync or fetch."""

    attempt: str
    failure: str
    message: str


@dataclass(frozen=True)
class Unknown:
    """No valid reply: what was asked for may have happened or not."""

    attempt: str
    message: str


@dataclass(frozen=True)
class Fenced:
    """What `fence` proved: void, running, or ended (an Ended follows)."""

    attempt: str
    outcome: str


@dataclass(frozen=True)
class Ended:
    """failure: a class of DESIGN section 7 or None; proof: what shows the success; result: the node's record."""

    attempt: str
    failure: str | None
    proof: str | None
    message: str
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fetched:
    attempt: str


@dataclass(frozen=True)
class Found:
    """Resume: this attempt of an earlier call may have started."""

    attempt: str
    job: str
    node: str


Event = (
    Tick | Nodes | LinkUp | LinkDown | Claimed | Busy | Refused | Synced | Started | Failed | Unknown | Fenced | Ended | Fetched | Found
)  # fmt: skip


# -- commands


@dataclass(frozen=True)
class Record:
    """Must be on disk before the commands after it go out. state: reserved, sent, running, ended, void, lost."""

    attempt: str
    job: str
    node: str
    state: str
    why: str = ""


@dataclass(frozen=True)
class Place:
    """For people and the record: the node that was chosen, why, and how all nodes ranked."""

    attempt: str
    job: str
    node: str
    why: str
    ranking: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Claim:
    attempt: str
    job: str
    node: str


@dataclass(frozen=True)
class Sync:
    attempt: str
    job: str
    node: str


@dataclass(frozen=True)
class Start:
    attempt: str
    job: str
    node: str


@dataclass(frozen=True)
class Fence:
    attempt: str
    node: str


@dataclass(frozen=True)
class Watch:
    """Follow this node's attempts until `Scheduler.watched()` no longer names it."""

    node: str


@dataclass(frozen=True)
class Fetch:
    attempt: str
    job: str
    node: str


@dataclass(frozen=True)
class Release:
    """Give the claim back; nobody waits for the answer."""

    attempt: str
    node: str


@dataclass(frozen=True)
class Ack:
    attempt: str
    node: str


@dataclass(frozen=True)
class Refresh:
    """Measure these nodes anew."""

    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Finish:
    """A job's end. status: success, failed, unproven, lost; failure: its class."""

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
    """Every job has ended."""


Command = Record | Place | Claim | Sync | Start | Fence | Watch | Fetch | Release | Ack | Refresh | Finish | Note | Wake | End
