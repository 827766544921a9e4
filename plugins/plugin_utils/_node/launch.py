# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent needs around its run, and what its run is worth in the end.

Before: its stdin, the recorder, and the spacing of starts. After: its own result, and whether a
success without changes is one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from . import agents, gummy, recorder, row
from .durations import spoken
from .store import TYPE_CHECKING, Attempt, Refusal, Store, try_lock

if TYPE_CHECKING:
    from . import wire

    Begin = Callable[[], subprocess.Popen[bytes]]

# Seconds in which gummy must have told its id.
ID_PATIENCE = 60.0
# Seconds that a start waits for its turn.
SPACING_PATIENCE = 3600.0
# The names that pass_env may set for an agent: not those by which gummy or we work.
PASSED = re.compile(
    r"(?!(?:PATH|HOME|PWD|GIT_CEILING_DIRECTORIES|GUMMY_.*)\Z)[A-Za-z_][A-Za-z0-9_]*\Z"
)


class Run(Protocol):
    """Starts a program in the workspace, as the supervisor's child.

    `more` goes over the usual environment. With `piped` its stdout and stderr are pipes; else they
    are the attempt's log, or what `output` says.
    """

    def __call__(
        self,
        argv: list[str],
        stdin: int = ...,
        more: Mapping[str, str] = ...,
        *,
        piped: bool = ...,
        output: int | None = ...,
    ) -> subprocess.Popen[bytes]: ...


class Prepared(NamedTuple):
    """An agent that can be started."""

    begin: Begin
    # Reads what it prints while it runs.
    reader: row.Reader


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
) -> Prepared:
    """Make what the agent needs.

    path: the login shell's PATH; passed: what the user passes on in the environment.
    """
    agent = agents.of_job(spec)
    more = {**_bounds(agent, passed), **passed}
    more.update(agent.forced(spec, {**os.environ, **more}))
    for name, text in agent.files(spec).items():
        attempt.mark(name, text.encode("utf-8", "surrogateescape"))
    stdin = subprocess.DEVNULL
    if agent.recorded:
        more["PATH"] = "%s:%s" % (recorder.install(attempt.folder, sys.argv[0]), path)
    given = agent.stdin(spec)
    if given is not None:
        stdin = recorder.unlinked_file(attempt.path("stdin"))
        recorder.write(stdin, given.encode("utf-8", "surrogateescape"))
        os.lseek(stdin, 0, os.SEEK_SET)
    argv = agent.argv_in(spec, attempt.folder)

    def begin() -> subprocess.Popen[bytes]:
        return run(argv, stdin, more, piped=agent.streams)

    def begin_spaced() -> subprocess.Popen[bytes]:
        return _spaced(store, attempt, begin)

    return Prepared(begin_spaced if agent.spaced else begin, agent.reader())


def _bounds(agent: row.Agent, passed: Mapping[str, str]) -> dict[str, str]:
    """The bounds of a row, where neither the node's environment nor the user sets them."""
    return {
        name: value
        for name, value in agent.environment.items()
        if name not in passed and name not in os.environ
    }


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
    while child.poll() is None and gummy.gummy_id(log) is None and time.monotonic() < until:
        time.sleep(0.02)
    return gummy.gummy_id(log)


def result(
    attempt: Attempt, spec: wire.StoredSpec, reader: row.Reader, status: int | None
) -> wire.EndedRecord:
    """What the agent's end means; its report becomes part of the harvest.

    status: as row.Ran has it.
    """
    agent = agents.of_job(spec)
    ran = row.Ran(
        status, reader, attempt.log, os.environ.get("HOME", ""), recorder.calls(attempt.folder)
    )
    own = agents.result_of(agent, ran)
    program = shutil.which(agent.programs[0]) if agent.programs else None
    message = own.message
    if own.failure == "agent" and own.session_id is None and program is not None:
        # One that told nothing of itself may be another program than people think.
        message = "%s (it is %s)" % (message, program)
    if own.report:
        shutil.copyfile(own.report, os.path.join(attempt.harvest, "report.md"))
    ended = _record_of(own, message)
    ended["exit_status"] = status if status is not None and status >= 0 else None
    return ended


def _record_of(own: row.Result, message: str) -> wire.EndedRecord:
    return {
        "class": own.failure,
        "kind": own.kind,
        "proof": own.proof,
        "message": message,
        "doubt": own.hollow,
        "cost_usd": own.cost_usd,
        "tokens": own.tokens,
        "turns": own.turns,
        "session_id": own.session_id,
        "denied": list(own.denied),
        "watch": own.watch,
        "reset_at": own.reset_at,
        "agent_version": own.agent_version,
    }


def waited(reader: row.Reader, seconds: float) -> wire.EndedRecord:
    """The end of an agent that had waited for its service for too long.

    What its service said decides; where it said nothing, it has too much to do.
    """
    own = reader.refused_by_service()
    if own.failure not in ("quota", "login"):
        own = own._replace(failure="quota", kind="busy", reset_at=None)
    waits = reader.said().get("waits") or "no reason given"
    message = "ended, for it had waited for its service for %s: %s" % (spoken(seconds), waits)
    return _record_of(own, message)


def remove_leavings(spec: wire.JobSpec, tree: str) -> None:
    """Take away the empty folders that the agent leaves, which are no work."""
    agent = agents.row_of(spec["agent"], spec.get("own"))
    for name in agent.leavings if agent is not None else ():
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(tree, name))


def told(attempt: Attempt, spec: wire.StoredSpec, reader: row.Reader) -> row.Said:
    """What the agent has told of itself until now."""
    if agents.of_job(spec).recorded:
        return gummy.told_by(recorder.calls(attempt.folder))
    return reader.said()


def keep_what_was_told(ended: wire.EndedRecord, said: row.Said) -> None:
    """An agent that was ended has no result, and what it told before counts all the same."""
    for key in ("cost_usd", "tokens", "turns", "session_id", "denied", "agent_version"):
        value = said.get(key)
        if value is not None and not ended.get(key):
            ended[key] = value  # type: ignore[typeddict-item]


def weigh_changes(
    spec: wire.StoredSpec, ended: wire.EndedRecord, harvest: wire.HarvestRecord
) -> None:
    """Weigh a good end by its harvest: one that changed nothing may be a failure.

    It is one where its agent was refused something or did nothing at all, and where the job has
    expect_changes; else its message says it.
    """
    # What gummy itself notes there is no work.
    own = [change for change in harvest["changed"] if change["path"].startswith(".gummy/")]
    doubt = ended.pop("doubt", None)
    has_changed = harvest["files"] > len(own) or bool(harvest["nested"])
    if ended["class"] is not None:
        return

    message = ended.get("message")
    if has_changed:
        # What it was refused is told, though it did something.
        if ended.get("denied") and doubt:
            ended["message"] = "; ".join(filter(None, (message, doubt.partition(" and says: ")[0])))
        return

    expected = spec.get("expect_changes", "auto")
    if doubt:
        _fail_without_changes(ended, "it changed no file, and %s" % doubt)
    elif expected is True:
        message = "it ended well and changed no file, and the job has expect_changes"
        _fail_without_changes(ended, message)
    elif expected == "auto" and spec["agent"] != "shell":
        message = ended.get("message")
        what = "no changes but gummy's own notes" if own else "no changes"
        ended["message"] = "%s: %s" % (what, message) if message else what


def _fail_without_changes(ended: wire.EndedRecord, message: str) -> None:
    ended["class"] = "agent"
    ended["proof"] = None
    ended["message"] = message
