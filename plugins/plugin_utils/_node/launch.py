# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent needs around its run, and what its run is worth in the end.

Before: its stdin, the recorder, and the spacing of starts. After: its own result, and whether a
success without changes is one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from . import agents, recorder
from .store import TYPE_CHECKING, Attempt, Refusal, Store, try_lock

if TYPE_CHECKING:
    from . import wire

    Begin = Callable[[], subprocess.Popen[bytes]]

# Seconds in which gummy must have told its id.
ID_PATIENCE = 60.0
# Seconds that a start waits for its turn.
SPACING_PATIENCE = 3600.0
# The names that pass_env may set for an agent: not those by which gummy or we work.
PASSED = re.compile(r"(?!(?:PATH|HOME|GIT_CEILING_DIRECTORIES|GUMMY_.*)\Z)[A-Za-z_][A-Za-z0-9_]*\Z")


class Run(Protocol):
    """Starts a program in the workspace, as the supervisor's child.

    `more` goes over the usual environment.
    """

    def __call__(
        self, argv: list[str], stdin: int = ..., more: Mapping[str, str] = ...
    ) -> subprocess.Popen[bytes]: ...


def passed_values(request: wire.StartRequest) -> dict[str, str]:
    """The values of pass_env in a request, which stay in memory. Raises Refusal."""
    passed = {str(name): str(value) for name, value in (request.get("env") or {}).items()}
    wrong = [name for name in passed if not PASSED.match(name) or "\0" in passed[name]]
    if wrong:
        raise Refusal("%s can't be set for an agent" % ", ".join(map(repr, wrong)), "input", "ours")
    return passed


def prepare(
    store: Store,
    attempt: Attempt,
    spec: wire.StoredSpec,
    *,
    path: str,
    passed: Mapping[str, str],
    run: Run,
) -> Begin:
    """Make what the agent needs, and return what starts it.

    path: the login shell's PATH; passed: what the user passes on in the environment.
    """
    agent = agents.AGENTS[spec["agent"]]
    more = dict(passed)
    stdin = subprocess.DEVNULL
    if agent.recorded:
        more["PATH"] = "%s:%s" % (recorder.install(attempt.folder, sys.argv[0]), path)
    if agent.stdin is not None:
        stdin = recorder.unlinked_file(attempt.path("stdin"))
        recorder.write(stdin, agent.stdin(spec).encode("utf-8", "surrogateescape"))
        os.lseek(stdin, 0, os.SEEK_SET)

    def begin() -> subprocess.Popen[bytes]:
        return run(agent.argv(spec), stdin, more)

    def begin_spaced() -> subprocess.Popen[bytes]:
        return _spaced(store, attempt, begin)

    return begin_spaced if agent.spaced else begin


def _spaced(store: Store, attempt: Attempt, begin: Begin) -> subprocess.Popen[bytes]:
    """Start an agent whose ids are whole seconds.

    The next start on this node is held back until this one's second is over.
    """
    lock = try_lock(os.path.join(store.root, "spacing.lock"), patience=SPACING_PATIENCE)
    try:
        child = begin()
        job_id = _wait_for_id(child, attempt.log)
        if job_id is not None:
            attempt.mark("watch", b"gummy-watch %s" % job_id.encode())
        time.sleep(1.05 - time.time() % 1)
    finally:
        if lock is not None:
            os.close(lock)
    return child


def _wait_for_id(child: subprocess.Popen[bytes], log: str) -> str | None:
    until = time.monotonic() + ID_PATIENCE
    while child.poll() is None and agents.gummy_id(log) is None and time.monotonic() < until:
        time.sleep(0.02)
    return agents.gummy_id(log)


def result(attempt: Attempt, spec: wire.StoredSpec, status: int) -> wire.EndedRecord:
    """What the agent's end means; its report becomes part of the harvest.

    status: its exit status, negative for a signal.
    """
    ran = agents.Ran(
        status, attempt.log, os.environ.get("HOME", ""), recorder.calls(attempt.folder)
    )
    own = agents.result_of(agents.AGENTS[spec["agent"]], ran)
    if own.report:
        shutil.copyfile(own.report, os.path.join(attempt.harvest, "report.md"))
    return {
        "class": own.failure,
        "proof": own.proof,
        "message": own.message,
        "cost_usd": own.cost_usd,
        "turns": own.turns,
        "session_id": own.session_id,
        "watch": own.watch,
        "reset_at": own.reset_at,
        "exit_status": status if status >= 0 else None,
    }


def weigh_changes(
    spec: wire.StoredSpec, ended: wire.EndedRecord, harvest: wire.HarvestRecord
) -> None:
    """Apply expect_changes to a good end whose harvest changed nothing.

    It is then a failure, or its message says so.
    """
    # What gummy itself notes there is no work.
    own = [change for change in harvest["changed"] if change["path"].startswith(".gummy/")]
    if ended["class"] is not None or harvest["files"] > len(own) or harvest["nested"]:
        return

    expected = spec.get("expect_changes", "auto")
    if expected is True:
        ended["class"] = "agent"
        ended["proof"] = None
        ended["message"] = "it ended well and changed no file, and the job has expect_changes"
    elif expected == "auto" and spec["agent"] != "shell":
        message = ended.get("message")
        what = "no changes but gummy's own notes" if own else "no changes"
        ended["message"] = "%s: %s" % (what, message) if message else what
