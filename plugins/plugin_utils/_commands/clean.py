# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`clean`: takes away what is old on the nodes, and of the controller's runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import TypedDict

from .._files.record import SCHEMA_VERSION, History, read_history, runs_folder
from .._fleet.ask import all_replies, ask_all_nodes
from .._fleet.fleet import Fleet
from .._input.config import Keep
from .._links.link import Link
from .._node import wire
from .._node.clean import size_of

# How long a node may take to clean, in seconds.
CLEAN_SECONDS = 600.0
DAY = 86400
GIGABYTE = 1e9
# States of attempts of which this controller may be the only one that knows.
OPEN_STATES = frozenset({"sent", "running", "lost"})
# What is written to a run's folder while it goes on.
WRITTEN_BY_RUNS = ("journal.jsonl", "run.json")


class RemovedRun(TypedDict):
    """A run of this controller that goes."""

    name: str
    # On the disk.
    bytes: int
    # old, or more than is kept.
    why: str


class Removed(RemovedRun):
    """Something on a node that goes."""

    # attempt, workspace or program.
    what: str


class CleanedNode(TypedDict):
    """What goes on one node."""

    node: str
    removed: list[Removed]
    # All of it, on the disk.
    bytes: int


class CleanDocument(TypedDict):
    """What `clean` tells."""

    schema_version: int
    kind: str
    status: str
    # Whether it is only told what would go.
    check: bool
    # Each store once.
    nodes: list[CleanedNode]
    # Runs on this controller.
    runs: list[RemovedRun]
    # All of it, on the disks.
    bytes: int
    # Why nodes gave no answer, by name.
    no_answer: dict[str, str]


def clean(fleet: Fleet, check: bool) -> CleanDocument:
    """Take away what the config file says not to keep; with check only tell what would go."""
    keep = fleet.config.keep
    request: wire.CleanRequest = {
        "days": keep.days,
        "most": keep.size_gb * GIGABYTE,
        "free": keep.free_gb * GIGABYTE,
        "check": check,
    }

    def question(_node: str, link: Link) -> list[wire.CleanReply]:
        return all_replies(link, link.stream("clean", request, CLEAN_SECONDS), last="cleaned")

    answers, silent = ask_all_nodes(fleet, question)
    nodes = _cleaned_nodes(answers)
    runs = list(clean_runs(keep, check))
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "clean",
        "status": "success",
        "check": check,
        "nodes": nodes,
        "runs": runs,
        "bytes": sum(node["bytes"] for node in nodes) + sum(run["bytes"] for run in runs),
        "no_answer": silent,
    }


def has_changed(document: CleanDocument) -> bool:
    """Whether something was taken away, or would be."""
    return bool(document["runs"]) or any(node["removed"] for node in document["nodes"])


def _cleaned_nodes(answers: Mapping[str, list[wire.CleanReply]]) -> list[CleanedNode]:
    """What went on each node, once where two names lead to one store."""
    nodes: list[CleanedNode] = []
    stores = set[object]()
    for node, replies in answers.items():
        store = replies[-1].get("store")
        if store in stores:
            continue
        stores.add(store)
        removed: list[Removed] = [
            {
                "what": reply["what"],
                "name": reply["name"],
                "bytes": reply["bytes"],
                "why": reply["why"],
            }
            for reply in replies
            if reply["state"] == "removed"
        ]
        size = sum(row["bytes"] for row in removed)
        nodes.append({"node": node, "removed": removed, "bytes": size})
    return nodes


def clean_runs(keep: Keep, check: bool) -> Iterator[RemovedRun]:
    """Take this controller's old runs away, the oldest first; with check only tell which would go.

    A run goes when each of its jobs has ended and all harvests are at home, if it is older than
    keep.days, or if the runs together are more than keep.size_gb.
    """
    top = runs_folder()
    names = sorted(os.listdir(top)) if os.path.isdir(top) else []
    sizes = {name: size_of(os.path.join(top, name)) for name in names}
    total = sum(sizes.values())
    oldest = time.time() - keep.days * DAY

    # Hidden ones are on their way out.
    ages = [(_last_written(os.path.join(top, name)), name) for name in names if name[0] != "."]
    for written, name in sorted(ages):
        if written < oldest:
            why = "old"
        elif total > keep.size_gb * GIGABYTE:
            why = "more than is kept"
        else:
            continue
        if _remove_if_over(top, name, check):
            total -= sizes[name]
            yield {"name": name, "bytes": sizes[name], "why": why}


def _last_written(folder: str) -> float:
    """When a run was last at work, in seconds since 1970; now, if its folder does not say."""
    paths = [os.path.join(folder, name) for name in WRITTEN_BY_RUNS]
    times = [os.stat(path).st_mtime for path in paths if os.path.exists(path)]
    return max(times, default=time.time())


def _remove_if_over(top: str, name: str, check: bool) -> bool:
    """Remove a run of which nothing is left to be done; whether it is one. Raises nothing."""
    folder = os.path.join(top, name)
    try:
        lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_over(read_history(folder)):
            return False
        if not check:
            # Out of the way first, so that whoever opens this run's name meanwhile begins anew.
            aside = os.path.join(top, f".gone-{name}")
            os.rename(folder, aside)
            shutil.rmtree(aside, ignore_errors=True)
        return True
    except OSError:
        # Somebody else has the lock: the run is being driven.
        return False
    finally:
        os.close(lock)


def _is_over(history: History) -> bool:
    """Whether every job has ended with its harvest at home, and no other attempt may be open."""
    ends = [history.ended.get(digest) for digest in history.digests.values()]
    if not ends:
        return False

    ended_attempts = set[str]()
    for end in ends:
        if end is None or end.get("status") == "lost" or end.get("class") == "harvest":
            return False
        ended_attempts |= {attempt["id"] for attempt in end.get("attempts", ())}
    return not any(
        entry.get("state") in OPEN_STATES and attempt not in ended_attempts
        for attempt, entry in history.attempts.items()
    )
