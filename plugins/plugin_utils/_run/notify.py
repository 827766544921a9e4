# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling somebody that a run has ended, or that it needs a person.

It happens in a thread of its own, has a time limit of its own, and whatever becomes of it changes
nothing of the run: what goes wrong is a line of the progress.

The one who is told may be anybody's service. So nothing of what jobs were to do, where anything
lies, or what an agent said is told unless the user asked for that.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._input.notify import Notify
from .._input.request import Job
from .._links.at_once import run_all
from .._show.ends import whole_words

# How long one notification may take, and all that are on their way when the run ends, in seconds.
SECONDS = 10.0
CLOSE_SECONDS = 12.0
# How many wait to be told.
WAITING_MOST = 100

# Why a person is needed -> what is said of it.
NEEDS = {
    "login": "{agent} is not logged in on {node}",
    "credit": "the account of {agent} is out of credits",
    "lost": "{node} is silent: the job {job} may still run there",
    "budget": "the budget is used up: {job} did not begin",
}
# The same of a job that began, and has used up what it may cost itself.
OWN_BUDGET = "{job} has used up its budget on {node}"

# What is told, for programs.
Message = dict[str, Any]


def end_message(
    run: Mapping[str, Any], jobs: Sequence[Job], include: frozenset[str] = frozenset()
) -> Message:
    """What is told at the end of a run. run: its document; include: what more is asked for."""
    rows = [_job_message(row) for row in run["jobs"]]
    message: Message = {
        "schema_version": run["schema_version"],
        "kind": "notification",
        "event": "end",
        "text": f"{run['run_id']}: {whole_words(run)}",
        "run_id": run["run_id"],
        "status": run["status"],
        "seconds": run["seconds"],
        "cost_usd": run["cost"]["cost_usd"],
        "today_usd": run["today_usd"],
        "jobs": rows,
    }
    if "paths" in include:
        message["folder"] = run["folder"]
        for row, told in zip(run["jobs"], rows, strict=True):
            told |= {key: row.get(key) for key in ("project", "folder", "patch")}
    if "prompts" in include:
        tasks = {job.name: job.prompt or job.command for job in jobs}
        for told in rows:
            told["task"] = tasks.get(told["name"])
    if "log" in include:
        for row, told in zip(run["jobs"], rows, strict=True):
            told["message"] = row["message"]
            told["log"] = row["log_tail"]
    return message


def _job_message(row: Mapping[str, Any]) -> Message:
    """What may be told of a job to anybody."""
    keys = ("name", "status", "class", "node", "agent", "seconds", "cost_usd", "files_changed")
    told = {key: row.get(key) for key in keys}
    tests = row.get("tests")
    counts = ("passed", "failed", "errors", "skipped")
    told["tests"] = None if tests is None else {key: tests[key] for key in counts}
    return told


def need_message(run_id: str, need: str, *, job: str, node: str, agent: str) -> Message:
    """What is told when a person is needed. need: of NEEDS."""
    words = OWN_BUDGET if _is_own_budget(need, node) else NEEDS[need]
    return {
        "schema_version": 1,
        "kind": "notification",
        "event": "person",
        "text": f"{run_id}: {words.format(job=job, node=node, agent=agent)}",
        "run_id": run_id,
        "need": need,
        "job": job,
        "node": node,
        "agent": agent,
    }


def _is_own_budget(need: str, node: str) -> bool:
    """Whether the budget is that of the job alone: what the run's keeps back has no node."""
    return need == "budget" and node != "-"


class Notifier:
    """Tells what is handed to it, one after the other, in a thread of its own.

    notify: whom; None: nobody. say: takes a line for people, in any thread.
    """

    def __init__(self, notify: Notify | None, run_id: str, say: Callable[[str], None]) -> None:
        self._notify = notify
        self._run_id = run_id
        self._say = say
        # What a person was told that he is needed for: each thing once.
        self._told: set[tuple[str, str]] = set()
        # None ends the thread.
        self._waiting: queue.Queue[Message | None] = queue.Queue(WAITING_MOST)
        self._thread: threading.Thread | None = None

    def person_needed(self, need: str, job: str, node: str, agent: str) -> None:
        """A person is needed, say for a login; told once for each thing that is to be done."""
        thing = {"login": f"{node} {agent}", "credit": agent}.get(need, job)
        if need == "budget" and not _is_own_budget(need, node):
            # The run's is that of all its jobs.
            thing = ""
        if (need, thing) not in self._told:
            self._told.add((need, thing))
            message = need_message(self._run_id, need, job=job, node=node, agent=agent)
            self.tell(message)

    def end(self, run: Mapping[str, Any], jobs: Sequence[Job]) -> None:
        """The run has ended. Whatever is wrong with its document, it ends as it would."""
        if self._notify is None:
            return
        try:
            self.tell(end_message(run, jobs, self._notify.include))
        except Exception as exc:  # noqa: BLE001
            self._say(f"the notification could not be made: {exc!r}")

    def tell(self, message: Message) -> None:
        """Hand in what is to be told; returns at once."""
        if self._notify is None:
            return
        if self._thread is None:
            # A daemon: one that hangs must not keep the process alive.
            self._thread = threading.Thread(target=self._work, args=(self._notify,), daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self._say("a notification was dropped, for too many wait")

    def close(self) -> None:
        """Wait for what is still to be told, and not longer than it may take."""
        if self._thread is None or self._notify is None:
            return
        until = time.monotonic() + CLOSE_SECONDS
        try:
            self._waiting.put(None, timeout=CLOSE_SECONDS)
            self._thread.join(max(0.0, until - time.monotonic()))
        except queue.Full:
            pass
        if self._thread.is_alive():
            self._say(f"the notification by {self._notify.name} takes too long, and is left alone")

    def _work(self, notify: Notify) -> None:
        while (message := self._waiting.get()) is not None:
            try:
                trouble = deliver(notify, message)
            except Exception as exc:  # noqa: BLE001
                # Its words may have the address in them.
                trouble = type(exc).__name__
            if trouble is not None:
                self._say(f"the notification by {notify.name} failed: {trouble}")


def deliver(notify: Notify, message: Message, seconds: float = SECONDS) -> str | None:
    """Tell it; why that failed, without a word of what may be a secret, None: it did not."""
    data = json.dumps(message, ensure_ascii=True).encode() + b"\n"
    if notify.command:
        return _call(notify.command, data, seconds)
    # Only who is told by an address needs them: they make each run begin later.
    from .post import post

    return post(notify.address, data, seconds)


def _call(command: Sequence[str], data: bytes, seconds: float) -> str | None:
    """Run the command with the message on its stdin."""
    argv = [os.path.expanduser(command[0]), *command[1:]]
    done = run_all({"it": argv}, {"it": data}, timeout=seconds)["it"]
    if done.trouble is not None:
        return done.trouble
    return None if done.status == 0 else f"exit status {done.status}"
