# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract on the wire: what a controller asks a node program, and what it answers.

A verb gets one request, a line of JSON on its stdin, and gives one or more replies, JSON text
sequences on its stdout. Every reply says in `state` which of these it is. A verb may answer
`refused` (RefusedReply) instead of what it is asked for, also after other replies.

The node program's modules import this one for mypy alone, and it is not part of the zip that goes
to the nodes: `typing` costs a verb more than its work, and their Python may lack what is used here.

    verb         request              replies
    claim        ClaimRequest         ClaimReply
    release      AttemptRequest       ReleaseReply
    start        StartRequest         StartReply
    fence        AttemptRequest       FenceReply
    poll         PollRequest          PollReply, many, as things happen, until its caller is gone
    list         ListRequest          ListReply, many, the last one ListedReply
    logs         AttemptRequest       LogsReply, many, the last one ReadReply
    follow       FollowRequest        FollowReply, many, the last one PausedReply
    ack          AckRequest           AckReply
    cancel       AttemptRequest       CancelReply
    harvest      AttemptRequest       HarvestReply
    adopt        AdoptRequest         AdoptReply
    specialists  SpecialistsRequest   SpecialistsReply, many, the last one NodeReply
    board        BoardRequest         BoardReply, many, the last one SeenReply
    clean        CleanRequest         CleanReply, many, the last one CleanedReply
    foresee      ForeseeRequest       ForeseeReply
    remake       MirrorRequest        RemakeReply
    mirrored     MirrorRequest        MirroredReply

The remote side of a sync, `receive`, says a ReceiveReply on stderr.

The verb `session` stays and carries requests of all these verbs, several at once: each line of its
stdin is a SessionRequest, and each of its replies a SessionReply, which names the request that it
belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NotRequired, TypedDict, Union

# Whose fault a refusal is: the node's, the input's, or ours (a mistake in this collection).
Blame = Literal["node", "input", "ours"]


class FromStore(TypedDict):
    """What every reply but a refusal has: the node program adds it to what its verbs say."""

    # The id of the store that answers: it tells a node from another one behind the same name.
    store: NotRequired[str]


# -- parts of replies

# `class` is a word of Python, so the dicts that have such a key get it from these. (pylint does not
# see that a call of TypedDict makes a class.)
_Class = TypedDict("_Class", {"class": str})
_ClassOrNone = TypedDict("_ClassOrNone", {"class": Union[str, None]})


class RefusedReply(_Class):  # pylint: disable=inherit-non-class
    """A clear no, with its `class`: nothing was changed.

    Classes: adopted, agent, disk, fenced, home, input, known, lease, linger, mirror, program,
    python, record, schema, start, state, store, sync.
    """

    state: Literal["refused"]
    blame: Blame
    # A sentence for a person.
    message: str


class MadeReply(FromStore):
    """What the remote side of a sync says among its errors: the workspace has been made."""

    state: Literal["made"]
    # How many files, folders and links were made, changed or deleted in it.
    changes: int
    # How many of them were deleted.
    deleted: int
    # Bytes of the list of what belongs, if it was sent with the project; 0 if it was there.
    listed: int


ReceiveReply = MadeReply | RefusedReply


class ForeseeRequest(TypedDict):
    """What would go from the workspace that a claim of this key would be given?"""

    # Of the workspace.
    key: str
    # How many slots this controller believes the node to have.
    slots: int
    # The list of what belongs, as a sync would send it, compressed (zlib) and in base64.
    listed: str


class ForeseenReply(FromStore):
    """Nothing was changed."""

    state: Literal["foreseen"]
    # How many files, folders and links a sync would delete there.
    deleted: int
    # The first thousand of them.
    paths: list[str]


ForeseeReply = ForeseenReply | RefusedReply


class MirrorRequest(TypedDict):
    """Is the mirror in this state, or: it is (`mirrored`), for a sync of it has ended well."""

    attempt: str
    # Of its claim.
    generation: int
    # A hash of the project as it is at home.
    digest: str


class StaleReply(FromStore):
    """The mirror is in another state, or somebody has it: a sync is needed."""

    state: Literal["stale"]


class NotedReply(FromStore):
    """It is written down, if no other sync has begun since."""

    state: Literal["noted"]


# `made`: the workspace is as a sync would have made it, and nothing had to be sent.
RemakeReply = MadeReply | StaleReply | RefusedReply
MirroredReply = NotedReply | RefusedReply


class Change(TypedDict):
    """A file that the patch changes."""

    # From the top of the project; bytes that are not UTF-8 as \xNN. (The controller's reader does
    # the same to control characters, in every path.)
    path: str
    # added, deleted, modified or type changed.
    status: str
    # Lines; None for a binary or very large file.
    added: int | None
    # Lines; None for a binary or very large file.
    deleted: int | None


class Tokens(TypedDict):
    """What an agent's model read and wrote in one run."""

    # What a cache gave or took counts too.
    input: int
    output: int


class Signs(TypedDict):
    """How an agent that runs is, as its supervisor saw it a few seconds ago."""

    # Seconds without a sign of life; 0 while there are some.
    quiet: float
    # When it was seen so, in seconds since 1970 by the node's clock.
    at: float
    # What it waits for, and its last words, both for people; blank for nothing.
    waits: str
    words: str
    # What it has told of itself until then.
    cost_usd: float | None
    turns: int | None
    tokens: Tokens | None
    # What the node's system has granted to keep it awake for the job: sleep, sleep:idle or idle;
    # blank for nothing. An older program does not tell it.
    awake: NotRequired[str]


class Omission(TypedDict):
    """Something that a harvest does not carry."""

    # From the top of the project; blank where `why` counts what is not listed.
    path: str
    why: str


class HarvestRecord(TypedDict):
    """What the workspace has become since its baseline."""

    # The patch's file name in the harvest, None if there is nothing to patch or to deliver.
    patch: str | None
    # How many files changed.
    files: int
    # Lines in all of them.
    added: int
    # Lines in all of them.
    deleted: int
    # At most the first thousand.
    changed: list[Change]
    # What is new of what a patch can't carry, then some of what is ignored.
    left_out: list[Omission]
    # Paths of the nested repositories that come along, each as a bundle: the folder `nested` has
    # the first one's as 1.bundle, and so on.
    nested: list[str]
    # The commit that the project's HEAD was at when the agent began, None without a repository.
    head: str | None
    # The refs that the agent made or moved, with the commit of each.
    commits: dict[str, str]
    # How many files were copied as artifacts.
    artifacts: int


class Instead(_ClassOrNone):  # pylint: disable=inherit-non-class
    """How an attempt ended before its harvest failed: its `class`, None if it was not a failure."""

    message: str


class EndedRecord(_ClassOrNone):  # pylint: disable=inherit-non-class
    """How an attempt ended: what lies in `ended.json` and `result.json` of its folder.

    `class` is the kind of failure, None if it did not fail. Only `class` and `message` are always
    there: an attempt that could not be started, or whose supervisor died, has no more to tell.
    """

    # A sentence for a person, which may be blank.
    message: str
    # What shows that it did its work; None if nothing does.
    proof: NotRequired[str | None]
    # Dollars, if its agent says what it cost.
    cost_usd: NotRequired[float | None]
    # Turns of the conversation, if its agent counts them.
    turns: NotRequired[int | None]
    # In hex, what its supervisor signed the end with (signature.py); only if it had a key.
    signature: NotRequired[str]
    # The session of its agent, with which it can be gone on with.
    session_id: NotRequired[str | None]
    # The command with which a person on the node looks at it, for example `gummy-watch ID`.
    watch: NotRequired[str | None]
    # Of class `quota`: reset (there is quota again at some time), credit (a person must pay), or
    # busy (the service has too much to do).
    kind: NotRequired[str | None]
    # When there is quota again, in seconds since 1970, if its agent says so.
    reset_at: NotRequired[int | None]
    # What its model read and wrote, if its agent counts that.
    tokens: NotRequired[Tokens | None]
    # What its agent was not allowed to do, such as `Bash: git commit -m x`.
    denied: NotRequired[list[str]]
    # The version of its agent, if that tells it.
    agent_version: NotRequired[str | None]
    # Why a good end is none if nothing was changed; only until the harvest is made.
    doubt: NotRequired[str | None]
    # Of the agent; None if a signal ended it.
    exit_status: NotRequired[int | None]
    # When the agent began, in seconds since 1970 by the node's clock.
    begun_at: NotRequired[float]
    # How long the agent ran, `verify` included.
    seconds: NotRequired[float]
    # Pids of its processes that could not be ended.
    survivors: NotRequired[list[int]]
    # Path of the tree that it worked in.
    workspace: NotRequired[str]
    # The commit that its branch is to begin at, as the job's spec says it.
    base: NotRequired[str | None]
    # None if no harvest could be made.
    harvest: NotRequired[HarvestRecord | None]
    # Only when no harvest could be made, which is then the `class` of the whole.
    instead: NotRequired[Instead]


class EndedReply(EndedRecord, FromStore):
    """The attempt has ended, like this."""

    state: Literal["ended"]


class RunningReply(FromStore):
    """A supervisor has the attempt."""

    state: Literal["running"]


class VoidReply(FromStore):
    """The attempt did not start, and from now on it never will."""

    state: Literal["void"]


# -- requests of several verbs


class AttemptRequest(TypedDict):
    """What release, fence, cancel, harvest and logs ask: which attempt."""

    attempt: str


# -- claim and release


class ClaimRequest(AttemptRequest):
    """A slot and a workspace are wanted for an attempt, whose id begins with its run's uid."""

    # Of the workspace; the same for all attempts that may take each other's.
    key: str
    # How many slots this controller believes the node to have.
    slots: int
    # The run's name; not of a mere sync, which belongs to no run and waits in no waitlist.
    run_id: NotRequired[str]
    # The controller's id; comes with run_id.
    controller: NotRequired[str]


class ClaimedReply(FromStore):
    """The attempt has a lease on a slot and a workspace."""

    state: Literal["claimed"]
    # Tells this lease from an earlier one of the same attempt: sync and start must name it.
    generation: int
    # The slot's number, from 0.
    slot: int
    # Path of the workspace's folder, in which `tree` is the project.
    workspace: str
    # Whether other runs wait for slots here.
    contended: bool


class BusyReply(FromStore):
    """No slot is free, or those that are belong to runs that have waited for longer."""

    state: Literal["busy"]


ClaimReply = ClaimedReply | BusyReply | RefusedReply


class ReleasedReply(FromStore):
    """The attempt has no lease."""

    state: Literal["released"]


ReleaseReply = ReleasedReply | RefusedReply


# -- start, fence and cancel


class OwnAgent(TypedDict):
    """An agent of the user's own, as the controller's config describes it."""

    # Its command line. A word that begins with ~/ leads into the node's home; {file} in a word
    # stands for the path of the prompt's file.
    argv: list[str] | tuple[str, ...]
    # How it gets the prompt: stdin or file.
    prompt: str
    # Whose events it prints: claude, codex or opencode; exit: its exit status says all.
    reads: str
    # A file, from the home, that is there when it is logged in; None: nothing shows that.
    login_file: NotRequired[str | None]


class JobSpec(TypedDict):
    """What a node must know of a job."""

    # Version of this dict; a node refuses one that is newer than it knows.
    schema: int
    # The job's content as a hash, by which a run that is resumed finds it again.
    digest: str
    # One of the node program's table, or one that `own` describes.
    agent: str
    own: NotRequired[OwnAgent | None]
    prompt: str | None
    # What the agent `shell` runs.
    command: str | None
    # A command of the shell that shows whether the work is good.
    verify: str | None
    # A command of the shell that is run in the workspace before the agent.
    setup: NotRequired[str | None]
    # Globs of files; it is skipped while they are as they were when it last succeeded there.
    setup_if: NotRequired[list[str] | tuple[str, ...]]
    # Seconds for it.
    setup_timeout: NotRequired[float]
    # Seconds for agent and verify together.
    timeout: float
    # The job's name in its run.
    job: str
    run_id: str
    # Id of the controller that drives the run.
    controller: str
    # Whether a project is in the workspace; without one it is emptied first.
    project: bool
    # The project's path on the controller, for people.
    project_path: str | None
    # none, patch, branch, or contents: a patch that is made anew at home, of all contents.
    deliver: str
    # Globs of files that are to come home whatever git thinks of them.
    artifacts: list[str] | tuple[str, ...]
    # The project's commit that a branch is to begin at.
    base: str | None
    # First line of the commit that holds the job's work.
    title: str
    # Patterns, as rsync takes them, of what neither baseline nor patch may name.
    exclude: list[str]
    # The configuration's settings of this agent.
    settings: Mapping[str, str]
    # Whether a good end without a change is a success: yes, no, or `auto` (it is, and is told).
    expect_changes: bool | str
    # Whether a person asked for this node by its name: then what the node remembers of a login
    # that was missing does not count.
    pinned: NotRequired[bool]
    # Seconds without a sign of life after which the agent is ended; None: it never is for that.
    stall: NotRequired[float | None]
    # Dollars that the agent may cost; None: nobody set a limit.
    budget_usd: NotRequired[float | None]


class StoredSpec(JobSpec):
    """A JobSpec as the node keeps it in the attempt's `spec.json`, with what its lease was."""

    # Path of the workspace's folder.
    workspace: NotRequired[str]
    # The slot's number.
    slot: NotRequired[int]
    generation: NotRequired[int]


class StartRequest(AttemptRequest):
    """The attempt's agent is to be started, in the slot and workspace of its lease."""

    # Of the lease, as ClaimedReply has it.
    generation: int
    spec: JobSpec
    # Values of pass_env by name; the node keeps them in memory alone.
    env: dict[str, str]
    # In hex, what the supervisor is to sign the end with. It too is kept in memory alone.
    key: NotRequired[str]


class StartedReply(FromStore):
    """The supervisor of the attempt runs."""

    state: Literal["started"]
    # Path of the workspace's folder.
    workspace: str


# A start that is asked for again says what has become of the first one.
StartReply = StartedReply | RunningReply | EndedReply | VoidReply | RefusedReply
FenceReply = RunningReply | EndedReply | VoidReply | RefusedReply
# `running` says here that it was asked to end, and has not yet.
CancelReply = FenceReply
HarvestReply = RunningReply | EndedReply | RefusedReply


# -- poll


class PollRequest(TypedDict):
    """What happens to the attempts of one run is to be told.

    After the first reply the controller may say words to it: `+` when its run waits for a slot of
    this node, `-` when it waits no longer. The end of what can be said, its stdin, ends the poll.
    """

    # What the ids of the attempts begin with: the run's uid and a dash.
    prefix: str
    # Ids of attempts whose end need not be told any more.
    told: list[str]
    # Ids of attempts of which need not be told any more how a person can watch them.
    watchable: list[str]
    # As in ClaimRequest.
    slots: int
    # Whether how an agent is shall be told each time that it has said something else.
    lively: NotRequired[bool]
    # If what agents print shall be told: ids of attempts, and up to which byte that was done.
    said: NotRequired[dict[str, int]]


class WatchingReply(FromStore):
    """The first reply: the request was read."""

    state: Literal["watching"]


class ProgressReply(FromStore):
    """The attempt can be watched by a person."""

    state: Literal["progress"]
    attempt: str
    # The command to type on the node.
    watch: str


class PollEndedReply(EndedRecord, FromStore):
    """The attempt has ended: an `EndedReply`, and more.

    (It is not derived from that one, where the pylint of ansible-core 2.19 finds bases twice.)
    """

    state: Literal["ended"]
    attempt: str
    # The harvest's files by name, in base64; None if they are many bytes, which rsync fetches.
    files: dict[str, str] | None


class SignsReply(FromStore):
    """An agent that runs shows no sign of life, or waits for something, or does so no longer."""

    state: Literal["signs"]
    attempt: str
    signs: Signs


class SaidReply(FromStore):
    """An agent has printed something."""

    state: Literal["said"]
    attempt: str
    # Whole lines, as far as they are not very long.
    text: str
    # Up to which byte of what it has printed that goes.
    size: int


class UnknownReply(FromStore):
    """The attempt's supervisor died, and nobody has found out yet how it ended."""

    state: Literal["unknown"]
    attempt: str


class TurnReply(FromStore):
    """A slot of this node is kept for the run for some seconds: it may claim."""

    state: Literal["turn"]


PollReply = (
    WatchingReply
    | ProgressReply
    | SignsReply
    | SaidReply
    | PollEndedReply
    | UnknownReply
    | TurnReply
    | RefusedReply
)


# -- list and logs


class ListRequest(TypedDict):
    """Attempts are to be listed; each key that is given leaves out others."""

    # Of this run only; None: of all.
    run_id: NotRequired[str | None]
    # With ids that begin with this.
    prefix: NotRequired[str]
    # With ids that begin with this, or of jobs of this name.
    word: NotRequired[str]
    # That run, or ended at most so many seconds ago; their `ended` comes without the harvest.
    within: NotRequired[float]
    # Whether the last reply is to tell the agents of the node.
    agents: NotRequired[bool]
    # The agents of the user's config that it is to tell too, by name.
    own: NotRequired[Mapping[str, OwnAgent]]


class AgentOfNode(TypedDict):
    """An agent that a person finds who logs in to a node and types."""

    name: str
    # Of the program, by its files or by its own word in an earlier job; None: nothing says it.
    version: str | None
    # yes, no or unknown, without asking anybody.
    logged_in: str


class Missing(TypedDict):
    """An agent that can't be used on a node, or a tool of ours that is not there."""

    # Of the agent, or git or rsync.
    name: str
    # Why, and what would mend it: a sentence for a person.
    reason: str


class AttemptRow(FromStore):
    """An attempt that began. None: the program that started it did not say."""

    attempt: str
    # dead: its supervisor died, and it is not healed yet.
    state: Literal["void", "running", "dead", "ended"]
    # Whether a controller has the harvest.
    acknowledged: bool
    # The keys from here to `title` are those of JobSpec.
    run_id: str
    job: str
    digest: str | None
    agent: str
    project_path: str | None
    controller: str | None
    deliver: str | None
    title: str | None
    # Only in the state `ended`.
    ended: EndedRecord | None
    # When its agent began, in seconds since 1970 by the node's clock.
    begun_at: float | None
    # When it ended, by the same clock; only in the state `ended`.
    ended_at: float | None
    # How long its agent has run.
    seconds: float | None
    # Only in the state `running`.
    signs: NotRequired[Signs | None]
    # The last line of the log of one that runs, if people can read it; only of `board`.
    line: NotRequired[str]


class ForeignTask(TypedDict):
    """A task of gummy that somebody has started by hand."""

    pid: int
    # Its command line from the word gummy on, or the beginning of that.
    words: str
    # How long it has run; None where the system does not tell it.
    seconds: float | None


class ListedReply(FromStore):
    """The last reply: those were all."""

    state: Literal["listed"]
    # Only where it was asked for.
    agents: NotRequired[list[AgentOfNode]]
    # The same, of those that the node has not got; an older program does not tell them.
    missing: NotRequired[list[Missing]]
    # The tasks of gummy that somebody has started by hand, likewise.
    foreign: NotRequired[list[ForeignTask]]


ListReply = AttemptRow | ListedReply | RefusedReply


class LogReply(FromStore):
    """A piece of the log."""

    state: Literal["log"]
    text: str


class ReadReply(FromStore):
    """The last reply: the log was read to its end."""

    state: Literal["read"]
    # Of the whole log in bytes; of a long one only the end was told.
    size: int


LogsReply = LogReply | ReadReply | RefusedReply


class FollowRequest(TypedDict):
    """What becomes of these logs?"""

    # Attempt's id -> how many bytes of its log the asker knows; -1: of a long one the end will do.
    offsets: dict[str, int]
    # After so many seconds the last reply comes.
    seconds: float


class PieceReply(FromStore):
    """A piece of an attempt's log."""

    state: Literal["piece"]
    attempt: str
    text: str
    # How many bytes of the log are known with it.
    size: int


class ReachedReply(FromStore):
    """What this attempt has printed until now is told; from here on it is followed."""

    state: Literal["reached"]
    attempt: str


class OverReply(FromStore):
    """All of this attempt's log is told, and no more will come."""

    state: Literal["over"]
    attempt: str


class PausedReply(FromStore):
    """The last reply: whoever wants more asks again."""

    state: Literal["paused"]


FollowReply = PieceReply | ReachedReply | OverReply | PausedReply | RefusedReply


# -- ack and adopt


class AckRequest(TypedDict):
    """The controller has the harvest of these attempts."""

    attempts: list[str]
    # The controller's id.
    controller: str


class AcknowledgedReply(FromStore):
    """It is written down."""

    state: Literal["acknowledged"]


AckReply = AcknowledgedReply | RefusedReply


class AdoptRequest(TypedDict):
    """From now on this controller drives the run; another one's claims and starts are refused."""

    # What the ids of the run's attempts begin with.
    uid: str
    # The run's name.
    run_id: str
    # The controller's id.
    controller: str


class AdoptedReply(FromStore):
    """It is written down."""

    state: Literal["adopted"]


AdoptReply = AdoptedReply | RefusedReply


# -- specialists


class SpecialistsRequest(TypedDict):
    """What lives here of gummy's specialists, and what gummy's work has cost today."""

    # Seconds since the asker's midnight: clocks and time zones of two machines may differ.
    within: float
    # Projects on the node that are no workspaces, as its user writes them: `~` and `*` are read.
    paths: NotRequired[list[str]]
    # A script for its shell that prints how busy it is.
    load: NotRequired[str]


class SpecialistReply(FromStore):
    """A specialist."""

    state: Literal["specialist"]
    # Whether it lives in a workspace, in a project that was asked for, or in the home directory.
    where: Literal["workspace", "project", "home"]
    # The workspace as KEY/NUMBER.
    workspace: str | None
    # Of one in a workspace the project's path on its controller, of another one that on the node.
    project: str | None
    name: str
    # How often it was called.
    sessions: int | None
    # As gummy writes it, in ISO 8601, and how many seconds ago that was by the node's clock.
    last_active: str | None
    idle: NotRequired[float | None]
    session_id: str | None
    # Why something of it is not known; None if all is.
    reason: str | None
    # Dollars that its session has cost, if its claude was one of ours; gummy itself keeps none.
    cost_usd: float | None
    status: Literal["active", "dormant"]
    # What shows that it is active: its session in a process's argv, or a process in its project.
    seen_by: Literal["session", "cwd"] | None
    # For how many seconds that process has run, if it is active and the system tells it.
    works: NotRequired[float | None]


class NodeReply(FromStore):
    """The last reply: what holds for the node."""

    state: Literal["told"]
    # Why gummy can't be run here; None if it can.
    reason: str | None
    # What `status` of the specialists is told by on this system.
    evidence: Literal["argv_and_cwd", "argv"]
    # Dollars; None if nothing tells.
    cost_today: float | None
    # Whether there are more specialists than were told.
    more: bool
    # What the script of the request printed; blank: there was none, or it did not end.
    load: NotRequired[str]


SpecialistsReply = SpecialistReply | NodeReply | RefusedReply


# -- board


class BoardRequest(SpecialistsRequest):
    """The attempts that run or ended today are wanted too, and who waits for a slot."""


class WaitingRun(TypedDict):
    """A run that waits for a slot of this node. None: its node does not know it."""

    run_id: str | None
    controller: str | None


class SeenReply(FromStore):
    """The last reply: what holds for the node."""

    state: Literal["seen"]
    # What the script of the request printed; blank: there was none, or it did not end.
    load: str
    # Dollars; None if nothing tells.
    cost_today: float | None
    foreign: list[ForeignTask]
    waiting: list[WaitingRun]


BoardReply = AttemptRow | SpecialistReply | SeenReply | RefusedReply


# -- clean


class CleanRequest(TypedDict):
    """What is old, and more than is kept, is to go."""

    # What is older goes.
    days: float
    # Bytes that all attempts together may keep.
    most: float
    # Bytes that are to be free on the disk.
    free: float
    # Whether it is only to be told what would go.
    check: bool


class CleanRow(TypedDict):
    """Something that went, or with `check` would go."""

    what: Literal["attempt", "program", "workspace"]
    # An attempt's id, a program's file name, or KEY/NUMBER.
    name: str
    # On the disk.
    bytes: int
    why: str


class RemovedReply(CleanRow, FromStore):
    """Something that went, or with `check` would go."""

    state: Literal["removed"]


class CleanedReply(FromStore):
    """The last reply: that was all."""

    state: Literal["cleaned"]


CleanReply = RemovedReply | CleanedReply | RefusedReply


# -- session


class SessionRequest(TypedDict):
    """A line of a session's stdin. With neither verb nor word the request of this id is to end."""

    # Chosen by the asker, who uses none twice.
    id: int
    # What is asked; `ping` is answered by the session itself, which shows that it lives.
    verb: NotRequired[str]
    # As the verb has it.
    request: NotRequired[Mapping[str, object]]
    # A word to the request of this id, which listens: see PollRequest.
    word: NotRequired[str]


class ReadyFrame(TypedDict):
    """The first one: the program runs there."""

    state: Literal["ready"]


class ReplyFrame(TypedDict):
    """A reply to one of the requests."""

    state: Literal["reply"]
    id: int
    # As the request's verb has it.
    reply: object


class OverFrame(TypedDict):
    """There are no more replies to this request."""

    state: Literal["over"]
    id: int


class PongFrame(TypedDict):
    """The answer to a ping."""

    state: Literal["pong"]
    id: int


# A session that is `refused` takes no more requests, and ends.
SessionReply = ReadyFrame | ReplyFrame | OverFrame | PongFrame | RefusedReply
