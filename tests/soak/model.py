"""What a soak must look like afterwards, from its history alone.

That is what was wanted, injected, reported, and counted by the jobs themselves.

The model is small: a job starts at most once, in a workspace of its own; what is reported good did
all of its work, and that work is at home; what is reported otherwise was meant to fail, or met a
fault that can do just that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# class of a failure -> kinds of fault that explain it, if they met the job
EXPLAINS = {
    "killed": {"agent killed", "node rebooted"},
    "lost": {"supervisor killed", "node rebooted", "disk full"},
    "harvest": {"disk full", "file truncated"},
    "agent": {"disk full", "agent killed", "node rebooted"},
    # What an agent of the doubles began was killed, and not the agent itself.
    "verify": {"disk full", "agent killed", "node rebooted"},
    "start": {"disk full"},
    "cancelled": {"job cancelled"},
}
NOTHING_RAN = frozenset({"unreachable", "sync", "refused", "start", "input"})


@dataclass(frozen=True)
class Job:
    """A job of the soak."""

    name: str
    # The class that it must end with; None: it must be a success.
    fails: str | None
    # What a batch says of it.
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """A fault that struck."""

    kind: str
    # The attempts that were in flight where it struck: all of them, if it struck a controller.
    attempts: frozenset[str]
    # For people: what was struck, and what came of it.
    detail: str = ""


@dataclass
class History:
    """What was wanted of a soak, what befell it, and what came of it."""

    jobs: list[Job]
    faults: list[Fault] = field(default_factory=list)
    # (attempt, job), as the jobs wrote it down.
    starts: list[tuple[str, str]] = field(default_factory=list)
    # Attempts whose command got to its end.
    ends: set[str] = field(default_factory=set)
    # Attempts that were not alone in their workspaces.
    shared: list[str] = field(default_factory=list)
    # The last row that was reported of a job; `at_home` is whether its work lies in the patch that
    # came with it.
    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def problems(history: History) -> dict[str, list[str]]:
    """By kind of broken promise: a sentence each."""
    found: dict[str, list[str]] = {
        "lost unreported": [],
        "run twice": [],
        "false success": [],
        "two writers": [],
        "unexplained": [],
    }

    started: dict[str, list[str]] = {}
    for attempt, job in history.starts:
        started.setdefault(job, []).append(attempt)

    for job in history.jobs:
        tries = started.get(job.name, [])
        row = history.rows.get(job.name)

        if len(tries) > 1:
            found["run twice"].append(f"{job.name} started as {', '.join(tries)}")

        if row is None or row["status"] in ("lost", "running", "waiting"):
            status = "nothing" if row is None else row["status"]
            found["lost unreported"].append(f"{job.name}: {status} was reported of it")
        elif row["status"] == "success":
            if job.fails or not set(tries) & history.ends:
                found["false success"].append(
                    f"{job.name} should end as {job.fails or 'success'}, "
                    f"and its command ended {set(tries) & history.ends}"
                )
            elif not row["at_home"]:
                found["lost unreported"].append(
                    f"{job.name} is a success, and its work is not at home"
                )
        elif row["class"] in NOTHING_RAN and tries and not _explained(row, tries, history.faults):
            found["lost unreported"].append(
                f"{job.name} started, and was reported as {row['class']}: {row['message']}"
            )
        elif row["class"] != job.fails and not _explained(row, tries, history.faults):
            found["unexplained"].append(
                f"{job.name}: {row['status']} ({row['class']}): {row['message']}, "
                f"{', '.join(tries) or 'never started'}"
            )

    found["two writers"] += [
        f"{attempt} was not alone in its workspace" for attempt in history.shared
    ]
    return found


def _explained(row: Mapping[str, Any], tries: Iterable[str], faults: Iterable[Fault]) -> bool:
    able = EXPLAINS.get(row["class"], set())
    return any(
        fault.kind in able
        and fault.attempts & {*tries, *(attempt["id"] for attempt in row["attempts"])}
        for fault in faults
    )


def report(history: History, kinds: Iterable[str]) -> list[str]:
    """The lines for people: faults by kind, then the verdict."""
    times = Counter(fault.kind for fault in history.faults)
    hit = Counter[str]()
    for fault in history.faults:
        hit[fault.kind] += len(fault.attempts)
    table = [f"{kind:24}{times[kind]:6} times{hit[kind]:8} jobs in flight" for kind in kinds]
    found = problems(history)
    ends = Counter(
        f"{row['status']} ({row['class']})" if row["class"] else row["status"]
        for row in history.rows.values()
    )
    table.append("ended: " + ", ".join(f"{count} {end}" for end, count in ends.most_common()))
    broke = [f"{kind}: {sentence}" for kind, sentences in found.items() for sentence in sentences]
    counts = ", ".join(
        f"{kind} {len(sentences)}"
        for kind, sentences in found.items()
        if sentences or kind not in ("two writers", "unexplained")
    )
    return [*table, *broke, f"jobs {len(history.jobs)}, {counts}"]
