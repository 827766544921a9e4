# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scheduler hears and says: events in, commands out.

Two rules. One fact is one event: whoever carries out a command answers it with a single event,
which holds all that became known. A command carries all that is needed to carry it out, so that
nobody has to ask the scheduler back.

An attempt is named by its id, a node and a job by their names. Times are seconds of the caller's
clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from .placement import Need, Node, Ranked, rank


@dataclass(frozen=True)
class Choice:
    """An agent that may do a job."""

    # What the job asks of a node with this agent.
    need: Need

    # Whose quota the agent uses up.
    account: str


@dataclass(frozen=True)
class PlacementSpec:
    """A job as far as placement cares."""

    name: str

    # What the job asks of a node. Of a job with several agents: with the one that was chosen last.
    need: Need

    # How many attempts may fail before their agent started, or end for want of quota or a login.
    attempts: int = 3

    # Whether a success that nothing proves counts as one.
    accept_unproven: bool = False

    # Jobs with a higher number are placed first.
    priority: int = 0

    # Whose quota the job's agent uses up.
    account: str = ""

    # Whether the job is skipped, and has not failed, when no node of its own can be reached.
    skippable: bool = False

    # How long the agent may take, in seconds; some time after that its attempt is cancelled from
    # here, whatever its node says. None: for ever.
    limit: float | None = None

    # Dollars that its attempts may cost together; None: nobody set a limit.
    budget_usd: float | None = None

    # Why the job may get no attempt beside those that were found; blank: it may. A job of which
    # it stands here is lost when none of the found attempts has it.
    no_more: str = ""

    # The agents that may do it, in their order; none: the one of `need` alone.
    choices: tuple[Choice, ...] = ()

    @property
    def all_choices(self) -> tuple[Choice, ...]:
        """The agents that may do it, in their order."""
        return self.choices or (Choice(self.need, self.account),)


@dataclass(frozen=True)
class Standing:
    """How all nodes stood for one job at one moment.

    It is data, and ranked only by who wants to show it: a ranking of a thousand nodes costs more
    than the decision did.
    """

    # The nodes as placement saw them then.
    nodes: tuple[Node, ...]

    # What the job asks of a node.
    need: Need

    # Nodes that failed this job before, with what was wrong.
    failed_on: Mapping[str, str]

    # The node that was chosen; it is ranked as any other, whatever it did before.
    chosen: str | None

    # Weights of the parts of the load, and task type -> first-choice nodes, as `rank` takes them.
    weights: Mapping[str, float]
    preferences: Mapping[str, Sequence[str]]

    def ranking(self) -> list[Ranked]:
        """Every node, the best first; one that failed the job comes with what was wrong."""
        return rank(
            [self._as_candidate(node) for node in self.nodes],
            self.need,
            self.weights,
            self.preferences,
        )

    def _as_candidate(self, node: Node) -> Node:
        if node.name == self.chosen or node.name not in self.failed_on:
            return node

        return replace(
            node,
            excluded=self.failed_on[node.name],
            remedy="it failed this job, and is tried again when no other node is left",
        )


# -- what events and commands have in common


@dataclass(frozen=True)
class OfAttempt:
    """What is about an attempt."""

    # The attempt's id.
    attempt: str


@dataclass(frozen=True)
class OfNode:
    """What is about a node."""

    # The node's name.
    node: str


@dataclass(frozen=True)
class AttemptOn(OfAttempt):
    """What is about an attempt and said to the node that has it."""

    node: str


@dataclass(frozen=True)
class Step(OfAttempt):
    """What is about an attempt, the job that it is a try of, and its node."""

    job: str
    node: str


# -- events


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True)
class Nodes:
    """Some nodes were measured; nodes that are not among them stay as they are."""

    nodes: tuple[Node, ...]


class LinkUp(OfNode):
    """The node answers."""


@dataclass(frozen=True)
class LinkDown(OfNode):
    """The node gives no answer."""

    # What was tried, and what happened, for people.
    reason: str

    # Whether it is for a person to mend, so that no trial makes sense.
    lasting: bool = False


class Granted(OfNode):
    """The run is the first on the node's waitlist: for a moment a slot is kept for its claim."""


@dataclass(frozen=True)
class AttemptEvent(OfAttempt):
    """An event that moves an attempt."""

    WORD: ClassVar[str]

    @property
    def word(self) -> str:
        """What the table of stages calls this event."""
        return self.WORD


@dataclass(frozen=True)
class Claimed(AttemptEvent):
    """The attempt holds a slot and a workspace."""

    WORD = "claimed"

    # The id of the node's store, whatever name led to it.
    store: str | None = None

    # Whether other runs wait for slots of this node.
    contended: bool = False


@dataclass(frozen=True)
class Late(AttemptEvent):
    """The node gives no answer to a claim, or in a sync, for much longer than it usually takes.

    Nothing starts without a start, so the attempt is withdrawn: that needs no proof. What the node
    says when it answers is told as LinkUp, and LinkDown when it never does.
    """

    WORD = "late"

    # How long was waited.
    seconds: float


class Busy(AttemptEvent):
    """No slot of the node is free for this run; that costs no attempt."""

    WORD = "busy"


@dataclass(frozen=True)
class Refused(AttemptEvent):
    """The node, or this controller itself, gave a clear no: nothing was changed."""

    WORD = "refused"

    # The class that a job gets which ends by it, as docs/architecture.md lists them.
    failure: str

    # node: another node may take the job; input: the request can't be done; ours: no node's fault.
    # The last two cost the job this node, and end the run when two nodes agree in them.
    blame: str

    # A sentence for people.
    message: str

    # Tells one mistake of ours from another; blank where there is only one.
    kind: str = ""

    # The id of the store that says so, if it is known.
    store: str | None = None

    # Whether this controller found it out by itself, and needs nobody's word.
    certain: bool = False


class Synced(AttemptEvent):
    """The project is in the attempt's workspace."""

    WORD = "synced"


class Started(AttemptEvent):
    """The attempt's supervisor runs."""

    WORD = "started"


@dataclass(frozen=True)
class Failed(AttemptEvent):
    """Claim, sync or fetch did not work, and nothing was started by it."""

    WORD = "failed"

    # The class that a job gets which ends by it.
    failure: str

    # A sentence for people.
    message: str

    # Whether a person has to mend it, so that the node gets no trial.
    lasting: bool = False


@dataclass(frozen=True)
class Unknown(AttemptEvent):
    """There is no valid reply: what was asked for may have happened or not."""

    WORD = "unknown"

    # A sentence for people.
    message: str

    # Whether the node gave no answer at all.
    contact_lost: bool = False


@dataclass(frozen=True)
class Misplaced(AttemptEvent):
    """Another store answers under the name of the attempt's node: that one proves nothing of it."""

    WORD = "given_up"

    # A sentence for people.
    message: str


class ProvedVoid(AttemptEvent):
    """A fence proved that the attempt did not start and never will."""

    WORD = "void"


class ProvedRunning(AttemptEvent):
    """A fence or a cancel found that the attempt runs."""

    WORD = "running"


@dataclass(frozen=True)
class Ended(AttemptEvent):
    """The agent's processes have ended, and the node has made the harvest."""

    # The class of the failure; None: none is known.
    failure: str | None

    # What shows that the agent succeeded; None: nothing does.
    proof: str | None

    # A sentence for people, or blank.
    message: str

    # How it ended, as the node's record has it.
    result: Mapping[str, Any] = field(default_factory=dict)

    # Seconds until the account has quota again, where the agent says so.
    pause: float | None = None

    # Whether somebody else than its supervisor says so: then it is no success, whatever the job
    # accepts.
    forged: bool = False

    # Of class `quota`: reset, credit or busy, as docs/states.md tells them.
    kind: str = "reset"

    @property
    def cost(self) -> float:
        """Dollars that it has cost, as far as its agent tells it."""
        cost = self.result.get("cost_usd")
        return float(cost) if isinstance(cost, (int, float)) else 0.0

    @property
    def word(self) -> str:
        """Class `start` says that the agent was never executed, so another node may take it."""
        if self.failure == "start":
            return "failed_to_start"
        return "ended"


@dataclass(frozen=True)
class Fetched(AttemptEvent):
    """The attempt's harvest is at home."""

    WORD = "fetched"

    # Why the branch that was asked for could not be made of it; blank: it could.
    undelivered: str = ""


class Found(Step):
    """An earlier call of this run left an attempt that may have started."""


@dataclass(frozen=True)
class Quarantined(OfNode):
    """An earlier run saw the node fail."""

    # How often in a row.
    failures: int

    # What is left of the node's pause.
    seconds: float

    # The newest failure, for people.
    why: str


@dataclass(frozen=True)
class Spent:
    """What was spent until now, in dollars, as far as agents tell it."""

    # By all calls of this run, what runs now included.
    run: float

    # By all runs of this controller since its day began, this one included.
    day: float

    # Who says so, for people: "node-1 $3.10, node-2 $0.40".
    by: str = ""


@dataclass(frozen=True)
class Cancelled:
    """The user wants the run to end: nothing more begins, and what may run is ended."""


Event = (
    Tick
    | Nodes
    | LinkUp
    | LinkDown
    | Granted
    | AttemptEvent
    | Found
    | Quarantined
    | Spent
    | Cancelled
)


# -- commands


@dataclass(frozen=True)
class Record(Step):
    """Write where the attempt stands; it is on disk before the commands after this one go out."""

    # reserved, sent, running, ended, void or lost.
    state: str


@dataclass(frozen=True)
class Assigned(Step):
    """For people and the record: the job goes to this node."""

    # Why it goes there; None: the reason stands with the first one of the ranking.
    why: str | None

    # How all nodes stood when it was decided.
    standing: Standing

    @property
    def agent(self) -> str:
        """The agent that does the job there."""
        return self.standing.need.agent


class Claim(Step):
    """Ask the node for a slot and a workspace.

    Answered by Claimed, Busy, Refused, Failed or Late.
    """


class Sync(Step):
    """Send the project to the workspace. Answered by Synced, Refused, Failed or Late."""


class Start(Step):
    """Start the agent. Answered by Started, Ended, ProvedVoid, Refused or Unknown.

    That the attempt was `sent` is on record.
    """


class Fence(AttemptOn):
    """Prove that the attempt did not start, or learn that it did.

    Answered by ProvedVoid, ProvedRunning, Ended or Unknown.
    """


class Cancel(AttemptOn):
    """End the attempt on its node, or prove that it never will begin. Answered as Fence is."""


class Watch(OfNode):
    """Follow the node's attempts, and wait on its waitlist where that was said, until Unwatch."""


class Unwatch(OfNode):
    """Nothing of this run may run on the node or waits for it."""


class Enqueue(OfNode):
    """Wait on this node's waitlist for a slot that other runs hold. Answered by Granted."""


class Dequeue(OfNode):
    """Leave the node's waitlist: no job waits for a node any more."""


class Fetch(Step):
    """Bring the attempt's harvest home. Answered by Fetched or Failed."""


class Release(AttemptOn):
    """Give the claim back; nobody waits for the answer."""


class Ack(AttemptOn):
    """Tell the node that the harvest is at home; nobody waits for the answer."""


@dataclass(frozen=True)
class Quarantine(OfNode):
    """Keep for later runs that the node failed, or that it is as good as any."""

    # How often in a row it failed; 0: it works.
    failures: int

    # How long it rests.
    seconds: float

    # The newest failure, for people.
    why: str


@dataclass(frozen=True)
class Refresh:
    """Measure these nodes anew. Answered by Nodes."""

    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Finish:
    """A job has ended."""

    job: str

    # success, failed, unproven, lost, skipped or cancelled.
    status: str

    # The class of the failure; None with success and unproven.
    failure: str | None

    # A sentence for people, or blank.
    message: str

    # The attempt that decided, and its node; None where no attempt did.
    attempt: str | None = None
    node: str | None = None

    # How all nodes stood at a job's end that no attempt decided.
    standing: Standing | None = None


@dataclass(frozen=True)
class Note:
    """A line for people."""

    # Which step of the walk it belongs to: place, claim, sync, start, wait or fetch.
    verb: str

    text: str

    # Blank: it is about no job, or no node, in particular.
    job: str = ""
    node: str = ""

    # The time that the line ends with; None: it names none.
    until: float | None = None

    # What the job waits for, where the line tells that; blank: it tells something else.
    waits_for: str = ""


@dataclass(frozen=True)
class Wake:
    """Send a Tick at this time."""

    at: float


@dataclass(frozen=True)
class Unfinished:
    """A job that a detached run leaves as it is."""

    job: str

    # The attempt that goes on, and its node; None: the job waits.
    attempt: str | None
    node: str | None

    # What a waiting job waits for; blank where an attempt goes on.
    reason: str


@dataclass(frozen=True)
class End:
    """Every job has ended, or the run is detached and leaves these jobs to themselves."""

    unfinished: tuple[Unfinished, ...] = ()


Command = (
    Record
    | Assigned
    | Claim
    | Sync
    | Start
    | Fence
    | Cancel
    | Watch
    | Unwatch
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
