# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every agent is to the rest of the node program: a row, and a reader of what it prints."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TypedDict

    from . import wire

    class TextNote(TypedDict):
        """A text that claude was given, without the text itself."""

        sha256: str
        bytes: int
        # Whether the job's own prompt is in it.
        ours: bool

    class CallNote(TypedDict, total=False):
        """A call of claude: what is there from its begin, and what only once it has ended."""

        call: str
        # The words of its command line; of a long one only a note.
        argv: list[str | TextNote]
        # The text that may be the prompt, None if there is none.
        prompt: TextNote | None
        # Negative for a signal.
        exit_status: int
        # What it has said so far, as Said.
        said: dict[str, Any]
        # What its end means, as Result.
        verdict: dict[str, Any]

    class Said(TypedDict, total=False):
        """What an agent has said of itself so far; a key that is not there: nothing.

        The keys are those of wire.EndedRecord and wire.Signs, and one of our own.
        """

        cost_usd: float | None
        tokens: wire.Tokens | None
        turns: int | None
        session_id: str | None
        agent_version: str | None
        denied: list[str]
        words: str
        waits: str
        # Whether the last thing that it said is its result.
        finished: bool


# How an agent is held to a budget. The controller has the same table; a test compares them.
# It costs nothing.
FREE = "free"
# It has a cap of its own, and tells at its end what it cost.
CAPPED = "capped"
# It tells what it costs while it runs, and is ended here.
LIVE = "live"
# It does neither.
UNPRICED = "unpriced"
# What models' services answer in HTTP when they have too much to do, and when nobody is logged in.
BUSY_STATUS = (408, 500, 502, 503, 504, 522, 524, 529)
LOGIN_STATUS = (401, 403)
# Characters of what an agent says that are told.
SHOWN = 500
# Refused permissions that are told, and characters of each.
DENIED_MOST = 20
DENIED_SHOWN = 200
# Bytes of stderr's end that are kept, for the reason of a failure that has no event.
ERRORS_MOST = 4096
# Seconds for which an agent may go on after its result.
AFTER_RESULT = 10.0
# The signals of which a program dies. A shell says so by an exit status of 128 and the number.
DEADLY = frozenset(
    {
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGILL,
        signal.SIGTRAP,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGKILL,
        signal.SIGSEGV,
        signal.SIGPIPE,
        signal.SIGALRM,
        signal.SIGTERM,
        signal.SIGXCPU,
        signal.SIGXFSZ,
        signal.SIGSYS,
    }
)
SHELL_ADDS = 128


class Result(NamedTuple):
    """What an agent says of itself at its end."""

    # The class of failure, None if it did not fail.
    failure: str | None = None
    # Of a `quota`: reset, credit or busy.
    kind: str | None = None
    # What shows the success; None if nothing does.
    proof: str | None = None
    # A sentence for a person.
    message: str = ""
    # Why its success is none if it changed no file; None: there is no reason to doubt it.
    hollow: str | None = None
    cost_usd: float | None = None
    turns: int | None = None
    tokens: wire.Tokens | None = None
    session_id: str | None = None
    # What it was not allowed to do, in its own words.
    denied: Sequence[str] = ()
    # Path of the report that it wrote.
    report: str | None = None
    # The command with which a person can look at it.
    watch: str | None = None
    # When there is quota again, in seconds since 1970, if the agent says so.
    reset_at: int | None = None
    agent_version: str | None = None


class Reader:
    """Reads what an agent prints while it runs. This one reads nothing."""

    def feed(self, stream: str, data: bytes) -> None:
        """Take the next piece of `out` or `err`."""

    def end(self) -> None:
        """Both streams have ended."""

    def said(self) -> Said:
        """What is known so far."""
        return {}

    def refused_by_service(self) -> Result:
        """Of one that waits for its service: what that said, as the end that this would be."""
        return Result()


class Grace:
    """How long an agent may go on after its result; then it is ended, and its result counts."""

    def __init__(self) -> None:
        # Since when its result has been the last thing that it said.
        self._since: float | None = None

    def is_over(self, is_finished: bool) -> bool:
        """is_finished: whether its result is the last thing that it has said by now."""
        if not is_finished:
            self._since = None
            return False
        now = time.monotonic()
        if self._since is None:
            self._since = now
        return now >= self._since + AFTER_RESULT


class Ran(NamedTuple):
    """How an agent ended."""

    # Its exit status, negative for a signal. None: it was ended because its result stood there and
    # it went on.
    status: int | None
    # What read its output.
    reader: Reader
    # Path of what it printed.
    log: str = ""
    # Path of the user's home directory.
    home: str = ""
    # What the recorder wrote down of its calls of claude.
    calls: Sequence[CallNote] = ()


class Agent:
    """A kind of agent: one row of the table in agents.py."""

    # What must be where a person finds it who types there.
    programs: tuple[str, ...] = ()
    # Variables that it gets unless the user's environment, or pass_env, has them: its bounds.
    environment: Mapping[str, str] = {}
    # The names that the configuration may set for it (`account` is the controller's own).
    settings: tuple[str, ...] = ()
    # The program whose login it uses, and the variables that may bring one along.
    login_program = ""
    login_variables: tuple[str, ...] = ()
    # Whether a missing file of its login shows that there is none, also where its program is a
    # script, which might bring a login along.
    login_file_is_all = False
    # What a person does on the node to log in.
    login_advice = ""
    # Whether starts on one node must lie a second apart.
    spaced = False
    # Whether its calls of claude go through the recorder.
    recorded = False
    # Seconds without a sign of life after which it is ended, if the job does not say it.
    stall: float | None = None
    # Seconds for which it may wait for its service, saying so, before it is ended; None: for as
    # long as it likes.
    wait_most: float | None = None
    # Names of empty folders that it leaves at the top of the project, and that are no work.
    leavings: tuple[str, ...] = ()
    # Whether its streams are read while it runs; else they are the log itself.
    streams = False
    # How it is held to a budget.
    pricing = UNPRICED

    def argv(self, spec: wire.JobSpec) -> list[str]:
        """The command line for a job."""
        raise NotImplementedError

    def argv_in(self, spec: wire.JobSpec, folder: str) -> list[str]:
        """The same where words of it lead to `files`, which lie in this folder."""
        return self.argv(spec)

    def stdin(self, spec: wire.JobSpec) -> str | None:
        """What it gets on stdin; None for nothing."""
        return None

    def files(self, spec: wire.JobSpec) -> Mapping[str, str]:
        """Files that it gets beside the project, by name."""
        return {}

    def forced(self, spec: wire.JobSpec, environment: Mapping[str, str]) -> Mapping[str, str]:
        """Variables that it gets whoever sets them too. environment: what it would get else."""
        return {}

    def refusal(self, spec: wire.JobSpec) -> str | None:
        """Why it can't do a job with such a prompt, whichever node it is; None: it can."""
        return None

    def refuses_root(self, settings: Mapping[str, str]) -> bool:
        """Whether it can't be run as root with these settings."""
        return False

    def reader(self) -> Reader:
        """A new reader of what it prints."""
        return Reader()

    def result(self, ran: Ran) -> Result:
        """How its run ended, in its own words."""
        raise NotImplementedError

    def logged_in(self, home: str, environment: Mapping[str, str]) -> str:
        """yes, no or unknown, from files alone. unknown never speaks against a node."""
        return "unknown"

    def login_files(self, home: str) -> tuple[str, ...]:
        """The files that change when a person logs in."""
        return ()


# -- how a program ended


def killed_by(status: int) -> int | None:
    """The number of the signal that ended a program, None if none did.

    status: as subprocess has it, negative for a signal.
    """
    if status < 0:
        return -status
    number = status - SHELL_ADDS
    return number if number in DEADLY else None


def signal_name(number: int) -> str:
    return signal.Signals(number).name if number in list(signal.Signals) else str(number)


def last_line(text: str) -> str:
    """The last line of a text that says something, without a stack of calls below it."""
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    lines = [line for line in lines if line and not line.startswith("at ")]
    return lines[-1][:SHOWN] if lines else ""
