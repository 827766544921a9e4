# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The link: how the controller reaches one node, by Ansible's own connection settings of that host.

The connection plugin gives the ssh argv (and opens the master when it knows a password); every call
is a process of our own. What is asked and answered is in `_node/wire.py`.

How the node program comes alive on a machine that has nothing of ours:

1. Guess. The program is one file, whose name on the node is its hash; we know that from when it was
   installed from here (`KnownPrograms`). The verb is simply asked, by `python3` and that name: on a
   node that we know this is all, and it costs one command.
2. Look. If we know of none there, or no reply came, hello.sh says which Python there is new enough,
   and which hash the file of that name has now.
3. Install. If it is not its name, the zip is sent to a few lines of Python (INSTALLER), which
   compare its hash, rename it into place, so that nobody ever runs half of it, and say its name.
4. Retry. The verb is asked again, with the interpreter that was found. Every verb may be asked
   twice, so nothing is lost if the guess did arrive.

Each start of the program, rsync's remote side too, goes through STARTER, which runs nothing but a
file whose hash is its name: a file that somebody has changed gives no reply, and is replaced. Who
changes the Python there, or the login shell, is not found out by this (docs/security.md).

Another version of the program, or what another Python has made of it, has another hash and lies
beside the first one: what already runs on the node goes on with the program that it was started
from.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, cast, overload

from .._node import wire
from .._node.durations import spoken
from . import reader
from .asks import VERBS_OF_ROWS, Asks
from .by_hand import typed_words
from .channel import Channel
from .errors import InvalidReply, LinkError
from .process import DeadlinePassed, NotStarted, Process, TooMuchOutput, run
from .program import INSTALLER, STARTER, Program
from .session import REPLIES_MOST, NodeSession
from .ssh_failures import waits_for_a_person, why_ssh_failed
from .words import SHELL_SECONDS, asks_a_person, told_words

__all__ = ["InvalidReply", "Link", "LinkError"]

# Interpreters to try on a node; the probe tries those of them that have no path (probe.sh).
PYTHONS = (
    "python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 "
    "/usr/bin/python3 /usr/local/bin/python3 /opt/homebrew/bin/python3"
)
# How scripts are run: the same in every login shell.
REMOTE_SHELL = "/bin/sh -s"
# What shows that a login runs commands. The quotes are gone where a shell has read it, so that one
# who merely repeats what was asked for is not taken for a shell; every shell has both.
ASKS_FOR_HELLO = 'echo gummy""-hello'
HELLO = b"gummy-hello"
# How the program is started where nobody has looked yet, as an argument of `/bin/sh -c`: any login
# shell passes that on. The first of its words is STARTER. Where python3 or the program is not, no
# reply comes.
GUESS = (
    'code=$1; shift; exec {python} -I -S -c "$code" "${{XDG_STATE_HOME:-$HOME/.local/state}}'
    '/distributed-gummy/bin/{installed}.zip" "$@"'
)
# What INSTALLER says: the hash of the file as it has written it.
SAYS_INSTALLED = re.compile(rb"\x1e([0-9a-f]{64})\r?$", re.MULTILINE)
# What INSTALLER says where it fails, without the number that Python puts before it.
SAYS_NOT_INSTALLED = re.compile(r"not installed: (?:\[Errno -?\d+\] )?([^\n]*)")
# How rsync starts its remote side where there is no ssh: it gives the host first, then the command.
LOCAL_RSYNC_SHELL = "/bin/sh -c 'shift; exec /bin/sh -c \"$*\"' sh"
# How many calls may go on at once on one node beside its session: the MaxSessions of an sshd is 10.
SESSIONS = 5
# Rsync's exit status when the other side ended without a word of rsync.
RSYNC_BROKEN_OFF = 12
# Bytes that rsync may print here, which are a few lines.
RSYNC_OUTPUT_CAP = 4 * 1024 * 1024


class KnownPrograms(Protocol):
    """What is remembered of the programs that were installed from here, in this call or before."""

    def hash_of(self, link: str, program: str) -> str | None:
        """The hash that a program of this digest has on the node of this link, by their keys."""

    def keep(self, link: str, program: str, installed: str) -> None:
        """Note this hash, as the node told it."""


@dataclass(frozen=True)
class Installed:
    """The node program as it can be started on one node."""

    # Path of the interpreter there.
    python: str
    # Path of the program's zip there.
    path: str

    def command(self, *words: str) -> str:
        """The program's command line for these words, as a login shell reads it."""
        return shlex.join([self.python, "-I", "-S", "-c", STARTER, self.path, *words])


@cache
def hello() -> str:
    """The script that looks at a node, without the words that it is given."""
    return Path(__file__).with_name("hello.sh").read_text(encoding="utf-8")


class Link(Asks):
    """One node, as it can be asked.

    call() and stream() ask the node program by a call for each verb, and `session` by one lasting
    call for many. shell() runs a script, and rsync_words() lets rsync use the same connection. All
    of them raise LinkError, and may be used by several threads. Every reply has passed through
    reader.py.
    """

    def __init__(
        self,
        name: str,
        host: str,
        ssh: list[str] | None,
        program: Program,
        python: str | None = None,
        *,
        opener: Callable[[str], bytes] | None = None,
        key: str = "local",
        known: KnownPrograms | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """host: the address; ssh: argv without host and command, None for a local connection.

        program: what the node is to run; python: the interpreter for it, if the user names one.
        opener: for password logins. It runs a command through Ansible's connection plugin, which
        knows the password, thereby opens the master, and returns what is printed. key: tells these
        settings from others.
        known: without it the program is installed by each link anew; warn: takes a sentence about a
        program that was changed.
        """
        self.name = name
        self.host = host
        self.key = key
        self._ssh = ssh
        self._program = program
        self._given_python = python
        self._opener = opener
        self._known = known
        self._warn = warn
        self._opening = threading.Lock()
        self._sessions = threading.Semaphore(SESSIONS)
        # The hash of the program as it was installed from here; None: not looked up, or unknown.
        self._hash: str | None = None
        self._installed: Installed | None = None
        self._guess_works = False
        # Whether the newest session did not come about by a guess, so that the next one looks.
        self._guess_failed = False
        # The lasting session, which is opened when it is first asked something.
        self.session = NodeSession(self)
        # Whether it is this machine, which is slow at times and never out of reach.
        self.is_local = ssh is None
        # Whether the login shell prints something of its own, which breaks rsync.
        self._noisy = False
        self.connected = False
        # When the way to the node program got one step further, by the monotonic clock: the node
        # was connected, has said what there is, has taken the program, has begun a session.
        self.last_step = 0.0
        # What was called and has not ended, and whether nobody waits for the node any more.
        self._one_at_a_time = threading.Lock()
        self._under_way: set[Process] = set()
        self.is_given_up = False
        # Which rows of the last call that brings rows were left out, for people; blank: none.
        self.invalid_rows = ""

    # -- the connection

    def _argv(self, command: str) -> list[str]:
        if self._ssh is None:
            return ["/bin/sh", "-c", command]
        return [*self._ssh, "--", self.host, command]

    def probe_argv(self, seconds: float) -> list[str]:
        """argv that gives the node's /bin/sh our stdin, and asks nobody anything.

        It has given up connecting before these seconds are over.
        """
        if self._ssh is None:
            return REMOTE_SHELL.split()
        limits = [
            "-o",
            f"ConnectTimeout={max(1, min(3, int(seconds) - 1))}",
            "-o",
            "ConnectionAttempts=1",
        ]
        return [self._ssh[0], *limits, *self._ssh[1:], "--", self.host, REMOTE_SHELL]

    def by_hand_words(self) -> list[str]:
        """What a person types here before a command for the node; none where it is this machine."""
        if self._ssh is None:
            return []
        return [*typed_words(self._ssh), self.host]

    def config_argv(self, name: str | None = None) -> list[str] | None:
        """argv that prints what ssh's config makes of a name, by default the node's own address.

        None for a connection without ssh.
        """
        if self._ssh is None:
            return None
        return [*self._ssh, "-G", "--", name or self.host]

    def has_master(self, seconds: float) -> bool:
        """Whether a connection to the node is open, so that its login has worked."""
        if self._ssh is None:
            return True
        with contextlib.suppress(DeadlinePassed, NotStarted):
            status, _out, _errors = run([*self._ssh, "-O", "check", "--", self.host], b"", seconds)
            return status == 0
        return False

    def anew(self) -> Link:
        """A link to the same node over a connection of its own, which its user ends by drop().

        An open master would hide that a new login fails, and may have died. Where a password is
        asked for it is this link, for nobody else can log in.
        """
        if self._ssh is None or self._opener is not None:
            return self
        mark = secrets.token_hex(2)
        argv = [f"{word}-{mark}" if word.startswith("ControlPath=") else word for word in self._ssh]
        return Link(self.name, self.host, argv, self._program, self._given_python, key=self.key)

    @property
    def asks_password(self) -> bool:
        """Whether only Ansible's plugin can log in, for it knows the password."""
        return self._opener is not None

    @property
    def given_python(self) -> str | None:
        """The interpreter that is set for the node, if one is."""
        return self._given_python

    def connect(self) -> None:
        """Open the ssh master once; other threads wait for it. Raises LinkError."""
        with self._opening:
            if self.connected or self._ssh is None:
                return
            if not self._listens():
                self._say_hello()
            self.connected = True
            self.last_step = time.monotonic()

    def _say_hello(self) -> None:
        """The first command, which opens the master. Raises LinkError where none is run."""
        if self._opener is not None:
            out = self._opener(ASKS_FOR_HELLO)
        else:
            out = self._run(ASKS_FOR_HELLO, seconds=40, shows_shell=True)
        # What has record separators is no sentence for a person: who reads it says what is wrong.
        if HELLO not in out and b"\x1e" not in out:
            raise self._no_command(out, "", None)

    def _no_command(self, out: bytes, errors: str, status: int | None) -> LinkError:
        """The error of a login that answers, and runs no command: its words are for a person."""
        words = told_words(f"{errors}\n{out.decode('utf-8', 'replace')}")
        if not words:
            words = f"nothing, and ends with exit status {status}" if status else "nothing"
        return LinkError(f"the login runs no command, and says: {words}", "no_command")

    def is_warm(self) -> bool:
        """Whether a connection is open, here or of an earlier playbook."""
        return self.connected or self._ssh is None or self._listens()

    def _listens(self) -> bool:
        """Whether an earlier playbook's master is there.

        One that hangs is found out by the call's own deadline.
        """
        paths = [
            word.partition("=")[2] for word in self._ssh or () if word.startswith("ControlPath=")
        ]
        path = paths[0] if paths else ""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as ours:
            ours.connect(path)
            return True
        return False

    def _run(
        self,
        command: str,
        data: bytes = b"",
        seconds: float = 30.0,
        *,
        shows_shell: bool = False,
    ) -> bytes:
        """stdout of a command. Raises LinkError, also if it fails.

        shows_shell: whether any shell can carry it out, so that one who does not is none.
        """
        opened: list[Process] = []
        try:
            with contextlib.ExitStack() as ends:

                def on_opened(process: Process) -> None:
                    opened.append(process)
                    ends.enter_context(self._noted(process))
                    process.on_wait = self._looker(process, shows_shell=shows_shell)

                status, out, errors = run(self._argv(command), data, seconds, opened=on_opened)
        except NotStarted as exc:
            raise self._not_started(exc) from None
        except TooMuchOutput as exc:
            raise self._too_much(exc) from None
        except DeadlinePassed:
            self.drop()
            raise self._no_answer(seconds, *opened) from None
        self._check(status, errors)
        if status and shows_shell:
            raise self._no_command(out, errors, status)
        if status:
            reason = _last_words(errors) or told_words(out.decode("utf-8", "replace"))
            raise LinkError(f"{self.name}: exit status {status}: {reason}", "reply")
        self.last_step = time.monotonic()
        return out

    def _looker(self, process: Process, *, shows_shell: bool = False) -> Callable[[], None]:
        """What looks, while a process is waited for, whether its words say that this is in vain.

        It raises LinkError then.
        """
        begun = time.monotonic()

        def look() -> None:
            seconds = time.monotonic() - begun
            beginning = process.beginning
            words = process.errors() + beginning.decode("utf-8", "replace")
            self.check_words(words, seconds)
            is_late = shows_shell and not self.connected and seconds >= SHELL_SECONDS
            if is_late and beginning.strip() and HELLO not in beginning:
                raise self._no_command(beginning, process.errors(), None)

        return look

    def check_words(self, words: str, seconds: float) -> None:
        """Raises LinkError if these words of one who has begun nothing ask for a person.

        seconds: how long that has been waited for.
        """
        if self._ssh is None or self.connected or not asks_a_person(words, seconds):
            return
        raise LinkError(waits_for_a_person(words), "login")

    def _no_answer(self, seconds: float, process: Process | None = None) -> LinkError:
        text = f"{self.name} did not answer within {spoken(seconds)}"
        words = ""
        if process is not None and not self.connected:
            words = told_words(process.errors() + process.beginning.decode("utf-8", "replace"))
        if words:
            text += f", and said: {words}"
        return LinkError(text, "timeout")

    def _not_started(self, error: NotStarted) -> LinkError:
        return LinkError(f"{self.name}: {error}")

    def _too_much(self, error: TooMuchOutput) -> LinkError:
        return InvalidReply(f"{self.name} was cut off: {error}")

    def _check(self, status: int, errors: str) -> None:
        """Raises LinkError if it was ssh itself that failed."""
        if status == 255 and self._ssh is not None:
            self.connected = False
            kind, reason = why_ssh_failed(errors)
            raise LinkError(reason, kind)

    def drop(self) -> None:
        """End the master: its connection no longer answers."""
        self.connected = False
        if self._ssh is not None:
            with contextlib.suppress(DeadlinePassed, NotStarted):
                run([*self._ssh, "-O", "exit", "--", self.host], seconds=5)

    def give_up(self) -> None:
        """End all that is under way: nobody waits for this node any more.

        The connection goes last, for its master holds the other ends of what they print. A client
        that has not got through to it would open a connection of its own, and wait for that. A run
        that uses the connection too opens another one, and asks again.
        """
        with self._one_at_a_time:
            self.is_given_up = True
            under_way = list(self._under_way)
        for process in under_way:
            process.kill()
        self.drop()

    @contextlib.contextmanager
    def _noted(self, process: Process) -> Iterator[None]:
        """While this lasts, `give_up` ends the process."""
        with self._one_at_a_time:
            self._under_way.add(process)
            is_late = self.is_given_up
        if is_late:
            process.kill()
        try:
            yield
        finally:
            with self._one_at_a_time:
                self._under_way.discard(process)

    def shell(self, script: str, seconds: float, *, shows_shell: bool = False) -> str:
        """stdout of a script run by the node's /bin/sh, whatever the login shell is.

        shows_shell: whether the script can't fail. Raises LinkError.
        """
        self.connect()
        with self._sessions:
            out = self._run(REMOTE_SHELL, script.encode(), seconds, shows_shell=shows_shell)
        return out.decode("utf-8", "backslashreplace")

    # -- the node program

    def _known_hash(self) -> str | None:
        """The hash of the program that lies there, as far as we know."""
        if self._hash is None and self._known is not None:
            self._hash = self._known.hash_of(self.key, self._program.digest)
        return self._hash

    def _find_program(self) -> Installed:
        """Interpreter and program on the node; the program is sent if it is not there as it was.

        Raises LinkError.
        """
        installed = self._installed
        if installed is not None:
            return installed

        expected = self._known_hash()
        facts = self._look(expected)
        if not facts.get("python"):
            raise LinkError(
                f"no Python 3.9 or newer runs on {self.name} (tried {PYTHONS}):"
                " install python3 there",
                "python",
            )
        if not facts.get("state"):
            raise LinkError(f"{self.name} does not say where its state lies", "reply")
        folder = f"{facts['state']}/bin"
        if expected is None or facts.get("program") != expected:
            if expected is not None and facts.get("program"):
                self._warn_of_change()
            expected = self._install(facts["python"], folder)

        installed = Installed(facts["python"], f"{folder}/{expected}.zip")
        self._installed = installed
        return installed

    def _look(self, expected: str | None) -> dict[str, str]:
        """What hello.sh says of the node: python, state, program."""
        given = [self._given_python] if self._given_python else []
        words = shlex.join([expected or "", *given, *PYTHONS.split()])
        out = self.shell(f"set -- {words}\n{hello()}", 30, shows_shell=True)
        if "\x1e" not in out:
            raise self._no_command(out.encode(), "", None)
        if out.partition("\x1e")[0].strip():
            self._noisy = True
        try:
            return reader.read_facts(out)
        except reader.NotValid as exc:
            raise InvalidReply(
                f"what {self.name} says of its Python and its state is not valid: {exc}"
            ) from None

    def _install(self, python: str, folder: str) -> str:
        """The hash of the program as it lies in the node's folder now. Raises LinkError."""
        words = [python, "-I", "-S", "-c", INSTALLER, folder, self._program.hash]
        try:
            out = self._run(shlex.join(words), self._program.data, 60)
        except LinkError as exc:
            why = SAYS_NOT_INSTALLED.search(str(exc))
            if why is None or exc.kind != "reply":
                raise
            raise LinkError(
                f"the node program can't be written to {folder}: {why.group(1)}; the home of the"
                " login there, or what XDG_STATE_HOME says, has to be writable",
                "state",
            ) from None
        said = SAYS_INSTALLED.findall(out)
        if not said:
            raise LinkError(f"{self.name} does not say which program it has installed", "reply")

        self._hash = str(said[-1], "ascii")
        if self._known is not None:
            self._known.keep(self.key, self._program.digest, self._hash)
        return self._hash

    def _warn_of_change(self) -> None:
        """Say once that the program on the node is not what was installed there."""
        warn, self._warn = self._warn, None
        if warn is not None:
            warn(
                f"the node program on {self.name} has been changed since it was installed, and is"
                " put there anew: what changed it has all rights of the login there"
                " (docs/security.md)"
            )

    def command(self, *words: str) -> str:
        """The node program's command line for these words, as a login shell reads it.

        Raises LinkError.
        """
        guess = self._guess(*words) if self._guess_works else None
        return guess or self._find_program().command(*words)

    def _guess(self, *words: str) -> str | None:
        """The same where nobody has looked yet, or None if we know of no program there."""
        expected = self._known_hash()
        if expected is None:
            return None
        python = shlex.quote(self._given_python or "python3")
        script = GUESS.format(python=python, installed=expected)
        return shlex.join(["/bin/sh", "-c", script, "sh", STARTER, *words])

    # The verbs with many replies.

    @overload
    def stream(
        self, verb: Literal["list"], request: wire.ListRequest, seconds: float
    ) -> Iterator[wire.ListReply]: ...

    @overload
    def stream(
        self, verb: Literal["logs"], request: wire.AttemptRequest, seconds: float
    ) -> Iterator[wire.LogsReply]: ...

    @overload
    def stream(
        self, verb: Literal["follow"], request: wire.FollowRequest, seconds: float
    ) -> Iterator[wire.FollowReply]: ...

    @overload
    def stream(
        self, verb: Literal["specialists"], request: wire.SpecialistsRequest, seconds: float
    ) -> Iterator[wire.SpecialistsReply]: ...

    @overload
    def stream(
        self, verb: Literal["board"], request: wire.BoardRequest, seconds: float
    ) -> Iterator[wire.BoardReply]: ...

    @overload
    def stream(
        self, verb: Literal["clean"], request: wire.CleanRequest, seconds: float
    ) -> Iterator[wire.CleanReply]: ...

    def stream(self, verb: str, request: Mapping[str, object], seconds: float) -> Iterator[Any]:
        """The replies of a verb as they come, at least one. Raises LinkError."""
        return self._replies(verb, request, seconds)

    def _replies(
        self, verb: str, request: Mapping[str, object], seconds: float
    ) -> Iterator[dict[str, Any]]:
        """The walk of the head: on a warm node its first step is enough."""
        self.connect()
        installed = self._installed
        known = self._guess(verb) if installed is None else installed.command(verb)
        if known is not None:
            try:
                yield from self._ask(known, verb, request, seconds)
                self._guess_works = installed is None
                return
            except LinkError as exc:
                if exc.kind not in ("reply", "python") or isinstance(exc, InvalidReply):
                    raise
                if self.is_given_up:
                    raise
                self._guess_works = False
        yield from self._ask(self.command(verb), verb, request, seconds)

    def _ask(
        self, command: str, verb: str, request: Mapping[str, object], seconds: float
    ) -> Iterator[dict[str, Any]]:
        data = json.dumps(request).encode() + b"\n"
        with self._sessions:
            try:
                process = Process(self._argv(command), data)
            except NotStarted as exc:
                raise self._not_started(exc) from None
            try:
                with self._noted(process):
                    yield from self._read(process, verb, request, seconds)
            except TooMuchOutput as exc:
                raise self._too_much(exc) from None
            except DeadlinePassed:
                self.drop()
                raise self._no_answer(seconds, process) from None
            finally:
                process.close()

    def _read(
        self, process: Process, verb: str, request: Mapping[str, object], seconds: float
    ) -> Iterator[dict[str, Any]]:
        """The replies that a process prints, as the reader lets them pass.

        Raises LinkError, DeadlinePassed.
        """
        count = 0
        invalid = 0
        self.invalid_rows = ""
        for line in process.lines(seconds):
            if line.partition(b"\x1e")[0].strip():
                self._noisy = True
            try:
                reply = reader.read(verb, request, line)
            except reader.NotValid as exc:
                if verb in VERBS_OF_ROWS:
                    invalid += 1
                    self.invalid_rows = f"{invalid} of its rows are not valid, the last one: {exc}"
                    continue
                raise self._not_valid(verb, exc) from None
            if reply is None:
                continue
            if reply.get("class") == "python" and reply["state"] == "refused":
                raise LinkError(f"{self.name}: {reply['message']}", "python")
            count += 1
            if count > REPLIES_MOST:
                raise InvalidReply(f"{self.name} gave more than {REPLIES_MOST} replies to {verb}")
            yield reply

        status = process.status()
        self._check(status, process.errors())
        if not count:
            # Interpreter or program may be gone: the next call looks again.
            self._installed = None
            reason = _last_words(process.errors())
            raise LinkError(f"{self.name} gave no valid reply to {verb}: {reason}", "reply")

    def _not_valid(self, verb: str, error: reader.NotValid) -> LinkError:
        return InvalidReply(f"the reply of {self.name} to {verb} is not valid: {error}")

    # -- the session, as session.py wants it

    def open_session(self) -> Channel:
        """A new session, by the walk of the head: a guess first. Raises LinkError."""
        command = None
        if not self._guess_failed and self._installed is None:
            command = self._guess("session")
        # Without a password the session itself may open the master: it is the first to call.
        if command is None or self._opener is not None:
            self.connect()
        try:
            return Channel(self._argv(command or self.command("session")))
        except NotStarted as exc:
            raise self._not_started(exc) from None

    def on_session_ready(self) -> None:
        self.connected = True
        self.last_step = time.monotonic()
        self._guess_works = self._installed is None
        self._guess_failed = False

    def on_session_failed(self) -> None:
        # Interpreter or program may be gone: the next one looks.
        self._guess_works = False
        self._guess_failed = True
        self._installed = None

    def why_ended(self, status: int, errors: str) -> LinkError:
        try:
            self._check(status, errors)
        except LinkError as exc:
            return exc
        reason = _last_words(errors)
        return LinkError(f"the session with {self.name} ended: {reason}", "reply")

    def on_noise(self) -> None:
        self._noisy = True

    # -- rsync

    def rsync_words(self, *words: str) -> list[str]:
        """rsync's options that make the node program, called with these words, its remote side.

        Raises LinkError where a login shell would break rsync.
        """
        command = self.command(*words)
        if self._noisy:
            raise LinkError(
                f"the login shell of {self.name} prints something, which breaks rsync:"
                " silence its start-up files there",
                "settings",
            )
        shell = LOCAL_RSYNC_SHELL
        if self._ssh is not None:
            shell = shlex.join(self._ssh)
        return ["-e", shell, f"--rsync-path={command}"]

    def rsync_target(self) -> str:
        """What stands for the node in rsync's arguments; the node program replaces the path."""
        if ":" in self.host:
            return f"[{self.host}]:x/"
        return f"{self.host}:x/"

    def rsync(
        self,
        argv: list[str],
        seconds: float,
        data: bytes = b"",
        opened: Callable[[Process], None] | None = None,
        cap: int = RSYNC_OUTPUT_CAP,
    ) -> tuple[int, str, str]:
        """(exit status, stdout, stderr) of an rsync over this link, with data on its stdin.

        `opened` gets the process, so that another thread can end it; cap: bytes that it may print
        on stdout. Raises LinkError.
        """
        env = {key: value for key, value in os.environ.items() if not key.startswith("RSYNC_")}
        # Its messages are read, so they must be in English.
        env["LC_ALL"] = "C"
        with self._sessions:
            try:
                status, out, errors = run(argv, data, seconds, env, cap=cap, opened=opened)
            except NotStarted as exc:
                raise self._not_started(exc) from None
            except TooMuchOutput as exc:
                raise self._too_much(exc) from None
            except DeadlinePassed:
                raise LinkError(
                    f"rsync with {self.name} took longer than {spoken(seconds)}", "timeout"
                ) from None
        self._check(status, errors)
        if status == RSYNC_BROKEN_OFF:
            # The program may be gone or changed: who asks next for its command line looks first.
            self._guess_works = False
            self._installed = None
        return status, out.decode("utf-8", "backslashreplace"), errors


def refusal_in(errors: str) -> wire.RefusedReply | None:
    """The node program's no, which it says among the errors of an rsync; None if there is none."""
    reply = _reply_in(errors, "refused")
    return None if reply is None else cast(wire.RefusedReply, reply)


def made_in(errors: str) -> wire.MadeReply | None:
    """What the node program says of the workspace that it has made, in the same place."""
    reply = _reply_in(errors, "made")
    return None if reply is None else cast(wire.MadeReply, reply)


def _reply_in(errors: str, state: str) -> dict[str, Any] | None:
    for line in errors.encode().splitlines():
        # What is no reply is an error like others.
        with contextlib.suppress(reader.NotValid):
            reply = reader.read("receive", {}, line)
            if reply is not None and reply["state"] == state:
                return reply
    return None


def _last_words(errors: str) -> str:
    """The end of what was said on stderr, for people."""
    if "Traceback (most recent call last)" in errors or '  File "' in errors:
        return told_words(errors)
    return reader.clean_lines(errors.strip()[-300:])


def digest(*parts: object) -> str:
    """What tells these connection settings from others.

    It is also the name of the master's socket, so it is short.
    """
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
