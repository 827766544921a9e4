# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the attempts of a run and of how its jobs ended, and the rows of run.json.

Nothing here decides or asks: the engine writes down what it is told, and rows are made of that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from .._input.request import Job
from .._node import wire
from .._project.branch import DeliveredBranch
from .._project.self_running import NOTHING, SelfRunning
from .._schedule.placement import Ranked
from .._show.ends import job_words
from .._show.run_words import changes, without_changes

# How many nodes of a ranking the record keeps.
RANKING_KEPT = 25

# States in which an attempt occupies its node no more, the first of which counts.
OVER = ("ended", "fetched", "void", "lost")

# A node's entry in a ranking, as `Ranked.as_dict` gives it.
RankingRow = Mapping[str, Any]


class SyncRow(TypedDict, total=False):
    """What a sync sent; empty where there was none."""

    # Regular files that were sent, and their size in bytes.
    files: int
    bytes: int

    # How long it took.
    seconds: float

    # What stayed at home, for people.
    excluded: str


class AttemptFacts(TypedDict, total=False):
    """What an answer tells of an attempt, field by field as in AttemptLog."""

    generation: int
    slot: int
    store: str | None
    base: str | None
    sync: SyncRow
    delivered: DeliveredBranch | None
    result: Mapping[str, Any]
    files: Mapping[str, str] | None
    self_running: SelfRunning
    notes: Sequence[str]
    offers_commits: bool
    signs: wire.Signs
    counts: bool


@dataclass
class AttemptLog:
    """What is known of one attempt, for the record, for people, and for what is done next."""

    attempt: str
    job: str
    node: str

    # Why it went to this node, and how the best nodes stood then.
    why: str = ""
    ranking: tuple[RankingRow, ...] = ()

    # Of its claim: what tells it from an earlier one of the same attempt.
    generation: int = 0

    # The slot that it was given there, from 0; None: not known.
    slot: int | None = None

    # The node's store, once it has answered.
    store: str | None = None

    # The commit that the project's HEAD was at when it was synced, where a branch is asked for.
    base: str | None = None

    sync: SyncRow = field(default_factory=SyncRow)

    # How it ended, in its node's words, and its harvest, if that came along: name -> base64.
    result: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] | None = None

    # The branch that was made of it.
    delivered: DeliveredBranch | None = None

    # What of its work runs by itself elsewhere.
    self_running: SelfRunning = NOTHING

    # What a person has to know of its patch and of its commits.
    notes: Sequence[str] = ()

    # Whether people may be told to fetch commits.bundle.
    offers_commits: bool = True

    # How its agent was when its node told that last.
    signs: wire.Signs | None = None

    # Its newest state in the record.
    state: str = "reserved"

    # Whether it is an attempt for people: one that found no free slot never was.
    counts: bool = True

    # State -> when it came to be in it, in seconds since 1970 by the controller's clock.
    times: dict[str, float] = field(default_factory=dict)

    def learn(self, facts: AttemptFacts) -> None:
        """Write down what an answer tells."""
        for name, value in facts.items():
            setattr(self, name, value)


@dataclass(frozen=True)
class JobResult:
    """How a job ended, or how this call of its run leaves it."""

    # success, failed, unproven, lost, skipped or cancelled; running or waiting, if it is left.
    status: str

    # The class of the failure; None with all others.
    failure: str | None

    # A sentence for people, or blank.
    message: str

    # The node whose attempt decided; None: none did.
    node: str | None = None

    # What is known of that attempt.
    log: AttemptLog | None = None

    # The job's folder in the run's, if its harvest is there.
    folder: str | None = None

    # How the best nodes stood, at the placement or at the end of a job that was not placed.
    ranking: tuple[RankingRow, ...] = ()

    # The end of its log, if it did not succeed.
    log_tail: tuple[str, ...] = ()


class AttemptSummary(TypedDict):
    """An attempt in a job's row."""

    id: str
    node: str
    state: str

    # Why it went to this node.
    why: str

    # The slot that it had there, from 0; None: not known.
    slot: int | None

    # When its start went out and when it was over, in seconds since 1970 by the controller's clock;
    # None: it did not come to that, or nobody knows.
    begun_at: float | None
    ended_at: float | None


class NodeRow(TypedDict):
    """A node that the run could use."""

    # The name of its system, as `linux`; None: not known.
    os: str | None

    # How many jobs it may have at once.
    slots: int


class TestResults(TypedDict):
    """What the JUnit files among a job's artifacts say."""

    # Cases by what became of them; errors are those that could not be carried out.
    passed: int
    failed: int
    errors: int
    skipped: int

    # The paths of the files among the artifacts, and of those that were not read, with the reason.
    files: Sequence[str]
    refused: Sequence[Mapping[str, str]]


# `class` is a word of Python, so the row gets that key from here. (pylint does not see that a call
# of TypedDict makes a class.)
_Class = TypedDict("_Class", {"class": str | None})


class JobRow(_Class):  # pylint: disable=inherit-non-class
    """A job in run.json. Its `class` is that of its failure; None: it did not fail."""

    # The job's name, twice, for older readers.
    job: str
    name: str

    # As in JobResult.
    status: str
    message: str
    node: str | None

    agent: str
    task_type: str

    # The project's directory; None: the job has none.
    project: str | None

    # Why it went to its node.
    why: str | None

    # Of class `quota`: reset, credit or busy; None with all others.
    quota_kind: str | None

    # Of the agent; None: a signal ended it, or it did not run.
    exit_status: int | None

    # What shows that it succeeded.
    proof: str | None

    # What became of its `verify`: passed, failed, or skipped, for the agent had failed. None: it
    # has none.
    verify: str | None

    # None: no test results came home.
    tests: TestResults | None

    # What the signature of a good end is worth: valid, wrong, or unsigned, if this controller has
    # no key of the attempt. None: it did not end well.
    signature: str | None

    cost_usd: float | None
    turns: int | None
    session_id: str | None

    # What the agent's model read and wrote; None: it does not count that.
    tokens: wire.Tokens | None

    # What the agent was not allowed to do.
    denied: Sequence[str]

    # The version of the agent; None: it does not tell it.
    agent_version: str | None

    # How long the agent ran.
    seconds: float | None

    sync: SyncRow

    # The job's folder in the run's, and the patch in it.
    folder: str | None
    patch: str | None

    # The last lines of its log, made harmless for a terminal; none if it succeeded.
    log_tail: Sequence[str]

    # What the patch changes.
    files_changed: int
    lines_added: int
    lines_deleted: int

    # What a person has to know of the patch, and of the agent's commits beside it.
    notes: Sequence[str]

    # What the harvest does not carry, with the reason; nested repositories; copied artifacts;
    # refs that the agent made or moved, with the commit of each; none where commits.bundle would
    # bring filtered files in plain text.
    left_out: Sequence[Mapping[str, str]]
    nested: Sequence[str]
    artifacts: int
    commits: Mapping[str, str]

    delivered: DeliveredBranch | None

    # Paths among the changes that run by themselves elsewhere: hooks, editor tasks, CI, settings;
    # no more than a thousand. How many there are, and what could not be looked at for that.
    self_running: Sequence[str]
    self_running_count: int
    not_looked_at: Sequence[str]

    # The command with which a person on the node looks at it, and where it worked there.
    watch: str | None
    workspace: str | None

    attempts: list[AttemptSummary]
    ranking: list[RankingRow]


def kept_ranking(ranking: Sequence[Ranked]) -> tuple[RankingRow, ...]:
    """What the record keeps of a ranking."""
    now = time.time()
    return tuple(entry.as_dict(now) for entry in ranking[:RANKING_KEPT])


def job_row(job: Job, result: JobResult, attempts: Sequence[AttemptLog] = ()) -> JobRow:
    """The job's row of run.json. attempts: all that this run knows of the job, in their order."""
    log = result.log or AttemptLog("", job.name, "")
    ended = log.result
    harvest: Mapping[str, Any] = ended.get("harvest") or {}

    patch = None
    if result.folder and harvest.get("patch"):
        patch = os.path.join(result.folder, "changes.patch")

    return {
        "job": job.name,
        "name": job.name,
        "status": result.status,
        "class": result.failure,
        "message": result.message,
        "node": result.node,
        "agent": job.agent,
        "task_type": job.task_type,
        "project": job.project,
        "why": log.why if result.log else None,
        "quota_kind": ended.get("kind") if result.failure == "quota" else None,
        "exit_status": ended.get("exit_status"),
        "proof": ended.get("proof"),
        "verify": _verify(job, result),
        "tests": None,
        "signature": ended.get("signature"),
        "cost_usd": ended.get("cost_usd"),
        "turns": ended.get("turns"),
        "session_id": ended.get("session_id"),
        "tokens": ended.get("tokens"),
        "denied": ended.get("denied") or [],
        "agent_version": ended.get("agent_version"),
        "seconds": ended.get("seconds"),
        "sync": log.sync,
        "folder": result.folder,
        "patch": patch,
        "log_tail": list(result.log_tail),
        "files_changed": harvest.get("files", 0),
        "lines_added": harvest.get("added", 0),
        "lines_deleted": harvest.get("deleted", 0),
        "notes": list(log.notes),
        "left_out": harvest.get("left_out", []),
        "nested": harvest.get("nested", []),
        "artifacts": harvest.get("artifacts", 0),
        "commits": harvest.get("commits", {}) if log.offers_commits else {},
        "delivered": log.delivered,
        "self_running": list(log.self_running.paths),
        "self_running_count": log.self_running.count,
        "not_looked_at": list(log.self_running.not_looked_at),
        "watch": ended.get("watch"),
        "workspace": ended.get("workspace"),
        "attempts": [
            {
                "id": attempt.attempt,
                "node": attempt.node,
                "state": attempt.state,
                "why": attempt.why,
                "slot": attempt.slot,
                "begun_at": attempt.times.get("sent"),
                "ended_at": _over_at(attempt.times),
            }
            for attempt in attempts
        ],
        "ranking": list(result.ranking),
    }


def _verify(job: Job, result: JobResult) -> str | None:
    """What became of the job's `verify`."""
    if job.verify is None:
        return None
    if result.failure == "verify":
        return "failed"
    # No agent proves itself by this word: the supervisor says it when `verify` was good.
    if result.log is not None and result.log.result.get("proof") == "verify":
        return "passed"
    return "skipped"


def _over_at(times: Mapping[str, float]) -> float | None:
    """When an attempt was over, from its states."""
    return next((times[state] for state in OVER if state in times), None)


def describe_end(row: JobRow) -> str:
    """`failed (agent), 2 files changed (+3/-1), patch /...; exit status 4`, for people."""
    words = job_words(row)
    if not row["class"] and row["signature"] == "unsigned":
        words += " (unsigned)"

    went_wrong = row["message"] if row["status"] != "success" else ""
    if row["patch"]:
        words += f", {changes(row)}, patch {row['patch']}"
    elif row["delivered"]:
        words += f", branch {row['delivered']['branch']}"
    elif not went_wrong:
        words += f", {without_changes(row)}"

    if went_wrong:
        words += f"; {went_wrong}"
    return words
