# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent needs around its run: its stdin, the recorder, the spacing of starts; and what its
run is worth in the end.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from . import agents, recorder
from .store import Attempt, Refusal, Store, try_lock

# Seconds in which gummy must have told its id.
ID_PATIENCE = 60.0
PASSED = re.compile(r"(?!(?:PATH|HOME|GIT_CEILING_DIRECTORIES|GUMMY_.*)\Z)[A-Za-z_][A-Za-z0-9_]*\Z")


class Run(Protocol):
    """Starts a program in the workspace, as the supervisor's child; `more` goes over the usual
    environment.
    """

    def __call__(
        self, argv: list[str], stdin: int = ..., more: Mapping[str, str] = ...
    ) -> subprocess.Popen[bytes]: ...


def passed_values(request: Mapping[str, Any]) -> dict[str, str]:
    """The values of pass_env in a request; they stay in memory."""
    passed = {str(name): str(value) for name, value in (request.get("env") or {}).items()}
    if wrong := [name for name in passed if not PASSED.match(name) or "\0" in passed[name]]:
        raise Refusal("%s can't be set for an agent" % ", ".join(map(repr, wrong)), "input", "ours")
    return passed


def prepare(
    store: Store,
    attempt: Attempt,
    spec: Mapping[str, Any],
    path: str,
    passed: Mapping[str, str],
    run: Run,
) -> Callable[[], subprocess.Popen[bytes]]:
    """Make what the agent needs; what is returned starts it."""
    agent = agents.AGENTS[spec["agent"]]
    more = dict(passed)
    stdin = subprocess.DEVNULL
    if agent.recorded:
        more["PATH"] = "%s:%s" % (recorder.place(attempt.folder, sys.argv[0]), path)
    if agent.stdin is not None:
        stdin = recorder.unlinked_file(attempt.path("stdin"))
        recorder.write(stdin, agent.stdin(spec).encode("utf-8", "surrogateescape"))
        os.lseek(stdin, 0, os.SEEK_SET)

    def begin() -> subprocess.Popen[bytes]:
        return run(agent.argv(spec), stdin, more)

    return (lambda: _spaced(store, attempt, begin)) if agent.spaced else begin


def _spaced(
    store: Store, attempt: Attempt, begin: Callable[[], subprocess.Popen[bytes]]
) -> subprocess.Popen[bytes]:
    """Start an agent whose ids are whole seconds; the next start on this node is held back until
    this one's second is over.
    """
    lock = try_lock(os.path.join(store.root, "spacing.lock"), patience=3600)
    try:
        child = begin()
        until = time.monotonic() + ID_PATIENCE
        while (
            child.poll() is None
            and agents.gummy_id(attempt.log) is None
            and time.monotonic() < until
        ):
            time.sleep(0.02)
        if (job_id := agents.gummy_id(attempt.log)) is not None:
            attempt.mark("watch", b"gummy-watch %s" % job_id.encode())
        time.sleep(1.05 - time.time() % 1)
    finally:
        if lock is not None:
            os.close(lock)
    return child


def result(attempt: Attempt, spec: Mapping[str, Any], status: int) -> dict[str, Any]:
    """What the agent's end means, for `ended`; its report becomes part of the harvest."""
    ran = agents.Ran(
        status, attempt.log, os.environ.get("HOME", ""), recorder.calls(attempt.folder)
    )
    said = agents.result_of(agents.AGENTS[spec["agent"]], ran)
    if said.report:
        shutil.copyfile(said.report, os.path.join(attempt.harvest, "report.md"))
    return {
        "class": said.failure,
        "proof": said.proof,
        "message": said.message,
        "cost_usd": said.cost_usd,
        "turns": said.turns,
        "session_id": said.session_id,
        "watch": said.watch,
        "reset_at": said.reset_at,
        "exit_status": status if status >= 0 else None,
    }


def weigh_changes(spec: Mapping[str, Any], ended: dict[str, Any]) -> None:
    """expect_changes, once the harvest is made: whether a good end without changes is a success,
    and says that there are none.
    """
    expected = spec.get("expect_changes", "auto")
    made = ended["harvest"]
    # What gummy itself notes there is no work.
    own = sum(change["path"].startswith(".gummy/") for change in made["changed"])
    if ended["class"] is not None or made["files"] > own or made["nested"]:
        return
    if expected is True:
        ended.update(
            {
                "class": "agent",
                "proof": None,
                "message": "it ended well and changed no file, and the job has expect_changes",
            }
        )
    elif expected == "auto" and spec["agent"] != "shell":
        ended["message"] = ": ".join(filter(None, ["no changes", ended.get("message")]))
