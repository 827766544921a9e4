# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of all runs that this controller has a record of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .paths import NAME
from .record import JOURNAL, History, driver_of, read_history, run_folder, runs_folder

# Of so many runs, the newest, is told where no word chooses among them.
RUNS_MOST = 200
# States of an attempt in which its node has nothing of it to tell: it did not begin, or its
# harvest is here.
NOTHING_THERE = frozenset({"reserved", "claimed", "void", "fetched"})


@dataclass(frozen=True)
class KnownJob:
    """An attempt, or a job that has none, as the record of its run has it."""

    run_id: str
    job: str
    # None: the job has not been placed.
    attempt: str | None
    node: str | None
    # Whether the node may have something of it that is not here.
    is_open: bool
    # How it stands, for people: "success", "failed (agent)", "running on node-1", "not begun".
    how: str

    @property
    def name(self) -> str:
        """RUN/name, as people type it."""
        return f"{self.run_id}/{self.job}"


def known_jobs(word: str | None = None, run_id: str | None = None) -> list[KnownJob]:
    """Those whose name is this word, or whose attempt's id begins with it, the newest runs first.

    word: None for all, of the newest runs only; run_id: of this run only. Raises InputError for a
    state that is another user's.
    """
    return [
        known
        for run in _runs(word, run_id)
        for known in _of_run(run)
        if word is None or known.job == word or (known.attempt or "").startswith(word)
    ]


@dataclass(frozen=True)
class WaitingJob:
    """A job of a run that this controller drives now, which no node has yet."""

    run_id: str
    job: str
    # What people were told that it waits for; None: it waits for the run's other jobs.
    why: str | None


def waiting_jobs() -> list[WaitingJob]:
    """Those of the newest runs, in their order. Raises InputError as `known_jobs` does."""
    jobs = []
    for run in _runs(None, None):
        if driver_of(run) is None:
            continue
        history = read_history(run_folder(run))
        placed = {
            entry["job"] for entry in history.attempts.values() if entry.get("state") != "void"
        }
        jobs += [
            WaitingJob(run, job, history.waits.get(job))
            for job, digest in history.digests.items()
            if job not in placed and digest not in history.ended
        ]
    return jobs


def _runs(word: str | None, run_id: str | None) -> list[str]:
    """Names of the runs whose journals hold the word, the newest first."""
    if run_id is not None:
        return [run_id] if NAME.fullmatch(run_id) else []

    folder = runs_folder()
    try:
        names = [name for name in os.listdir(folder) if NAME.fullmatch(name)]
    except OSError:
        return []
    names.sort(key=lambda name: _changed_at(folder, name), reverse=True)
    if word is None:
        return names[:RUNS_MOST]
    # To read a journal as JSON takes long, and most runs have nothing to do with it.
    return [name for name in names if word.encode() in _journal(folder, name)]


def _journal(folder: str, name: str) -> bytes:
    try:
        with open(os.path.join(folder, name, JOURNAL), "rb") as file:
            return file.read()
    except OSError:
        return b""


def _changed_at(folder: str, name: str) -> float:
    try:
        return os.stat(os.path.join(folder, name, JOURNAL)).st_mtime
    except OSError:
        return 0.0


def _of_run(run_id: str) -> Iterator[KnownJob]:
    try:
        history = read_history(run_folder(run_id))
    except OSError:
        return
    placed = set()
    for attempt, entry in history.attempts.items():
        job = str(entry.get("job"))
        placed.add(job)
        node = str(entry.get("node"))
        is_open = entry.get("state") not in NOTHING_THERE
        how = _how(history, entry) or f"{entry.get('state')} on {node}"
        yield KnownJob(run_id, job, attempt, node, is_open, how)

    for job in history.digests:
        if job not in placed:
            end = history.ended.get(history.digests[job])
            yield KnownJob(run_id, job, None, None, False, _end(end) or "not begun")


def _how(history: History, entry: Mapping[str, Any]) -> str:
    """How the job of a fetched attempt ended; blank for another attempt."""
    if entry.get("state") != "fetched":
        return ""
    return _end(history.ended.get(str(entry.get("digest"))))


def _end(end: Mapping[str, Any] | None) -> str:
    if end is None:
        return ""
    failure = end.get("class")
    return f"{end.get('status')} ({failure})" if failure else str(end.get("status"))
