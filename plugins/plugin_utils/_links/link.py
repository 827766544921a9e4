# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The link: how the controller reaches one node, through Ansible's own connection settings of that
host.

The connection plugin gives the ssh argv (and opens the master when it knows a password); every call
is a process of our own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .process import DeadlinePassed, Process, run
from .program import INSTALLER, Program
from .ssh_failures import why_ssh_failed

PYTHONS = "python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 /usr/bin/python3 /usr/local/bin/python3 /opt/homebrew/bin/python3"
HELLO = """
state="${{XDG_STATE_HOME:-$HOME/.local/state}}/distributed-gummy"
for candidate in {given} {pythons}; do
  found=$(command -v "$candidate" 2>/dev/null) || continue
  "$found" -I -S -c "import sys; sys.exit(sys.version_info < (3, 9))" </dev/null >/dev/null 2>&1 && break
  found=
done
[ -f "$state/bin/{digest}.zip" ] && program=there || program=missing
printf '\\036%s=%s\\n' python "$found" state "$state" program "$program"
"""
# The same in every login shell.
REMOTE_SHELL = "/bin/sh -s"
# Any login shell passes it on. Where python3 or the program is not, no reply comes: nothing is lost
# by trying.
GUESS = 'exec {python} -I -S "${{XDG_STATE_HOME:-$HOME/.local/state}}/distributed-gummy/bin/{digest}.zip" "$@"'
# At once on one node; sshd's MaxSessions is 10.
SESSIONS = 6


class LinkError(Exception):
    """The node could not be asked, or its reply is not valid: the outcome of the call is unknown.

    kind: unreachable, timeout, login, host_key, python, reply
    """

    def __init__(self, message: str, kind: str = "unreachable") -> None:
        super().__init__(message)
        self.kind = kind


def control_folder(parent: str = "/tmp") -> str:
    """A private folder for ssh's sockets with a name short enough for them (104 bytes on macOS)."""
    path = os.path.join(parent, f"gummy-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    info = os.lstat(path)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
        # Somebody else made it: never use theirs.
        return tempfile.mkdtemp(prefix="gummy-", dir=parent)
    return path


class Link:
    """call() and stream() ask the node program; shell() runs a script; rsync_words() lets rsync use
    the same connection.

    ssh: argv of ssh without host and command, or None for a local connection. opener: for password
    logins, runs a command through Ansible's connection plugin, which knows the password, and
    thereby opens the master. key: tells its settings from others.
    """

    def __init__(
        self,
        name: str,
        host: str,
        ssh: list[str] | None,
        program: Program,
        python: str | None = None,
        opener: Callable[[str], None] | None = None,
        key: str = "local",
    ) -> None:
        self.name = name
        self.host = host
        self.key = key
        self._ssh = ssh
        self._program = program
        self._given_python = python
        self._opener = opener
        self._opening = threading.Lock()
        self._sessions = threading.Semaphore(SESSIONS)
        self._node: Mapping[str, str] | None = None
        self._guess_works = False
        self._noisy = False
        self.connected = False

    # -- the connection

    def _argv(self, command: str) -> list[str]:
        return (
            ["/bin/sh", "-c", command]
            if self._ssh is None
            else [*self._ssh, "--", self.host, command]
        )

    def probe_argv(self, seconds: float) -> list[str]:
        """argv that gives the node's /bin/sh our stdin, asks nothing, and has given up connecting
        before these seconds are over.
        """
        if self._ssh is None:
            return REMOTE_SHELL.split()
        limits = [
            "-o",
            f"ConnectTimeout={max(1, min(3, int(seconds) - 1))}",
            "-o",
            "ConnectionAttempts=1",
            "-o",
            "LogLevel=ERROR",
        ]
        return [self._ssh[0], *limits, *self._ssh[1:], "--", self.host, REMOTE_SHELL]

    def connect(self) -> None:
        """Open the ssh master once; other threads wait for it. Raises LinkError."""
        with self._opening:
            if self.connected or self._ssh is None:
                return
            if not self._listens():
                if self._opener is not None:
                    self._opener("true")
                else:
                    self._run("true", seconds=40)
            self.connected = True

    def _listens(self) -> bool:
        """Whether an earlier playbook's master is there.

        One that hangs is found out by the call's own deadline.
        """
        path = next(
            (word.partition("=")[2] for word in self._ssh or () if word.startswith("ControlPath=")),
            "",
        )
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as ours:
            ours.connect(path)
            return True
        return False

    def _run(self, command: str, data: bytes = b"", seconds: float = 30.0) -> bytes:
        try:
            status, out, errors = run(self._argv(command), data, seconds)
        except DeadlinePassed:
            self.drop()
            raise LinkError(
                f"{self.name} did not answer within {seconds:.0f} s", "timeout"
            ) from None
        self._check(status, errors)
        if status:
            raise LinkError(f"{self.name}: exit status {status}: {errors.strip()[-300:]}", "reply")
        return out

    def _check(self, status: int, errors: str) -> None:
        if status == 255 and self._ssh is not None:
            self.connected = False
            kind, reason = why_ssh_failed(errors)
            raise LinkError(reason, kind)

    def drop(self) -> None:
        """End the master: its connection no longer answers."""
        self.connected = False
        if self._ssh is not None:
            with contextlib.suppress(DeadlinePassed):
                run([*self._ssh, "-O", "exit", "--", self.host], seconds=5)

    def shell(self, script: str, seconds: float) -> str:
        """stdout of a script run by the node's /bin/sh, whatever the login shell.

        Raises LinkError.
        """
        self.connect()
        with self._sessions:
            return self._run(REMOTE_SHELL, script.encode(), seconds).decode(
                "utf-8", "backslashreplace"
            )

    # -- the node program

    def _where(self) -> Mapping[str, str]:
        """Interpreter, state folder and program on the node; the program is sent if it is not
        there.
        """
        if self._node is not None:
            return self._node
        given = shlex.quote(self._given_python) if self._given_python else ""
        out = self.shell(
            HELLO.format(given=given, pythons=PYTHONS, digest=self._program.digest), 30
        )
        self._noisy |= bool(out.partition("\x1e")[0].strip())
        node = dict(
            line.rpartition("\x1e")[2].split("=", 1)
            for line in out.split("\n")
            if "\x1e" in line and "=" in line
        )
        if not node.get("python"):
            raise LinkError(
                f"no Python 3.9 or newer runs on {self.name} (tried {PYTHONS}): install python3 there",
                "python",
            )
        node["zip"] = f"{node['state']}/bin/{self._program.digest}.zip"
        if node["program"] != "there":
            words = [node["python"], "-I", "-S", "-c", INSTALLER, node["zip"], self._program.digest]
            self._run(shlex.join(words), self._program.data, 60)
        self._node = node
        return node

    def command(self, *words: str) -> str:
        """The node program's command line for these words, as a login shell reads it."""
        if self._guess_works:
            return self._guess(*words)
        node = self._where()
        return shlex.join([node["python"], "-I", "-S", node["zip"], *words])

    def _guess(self, *words: str) -> str:
        script = GUESS.format(
            python=shlex.quote(self._given_python or "python3"), digest=self._program.digest
        )
        return shlex.join(["/bin/sh", "-c", script, "sh", *words])

    def call(self, verb: str, request: Mapping[str, Any], seconds: float = 30.0) -> dict[str, Any]:
        """The one reply of a verb.

        Raises LinkError when there is none: the outcome is then unknown.
        """
        return list(self.stream(verb, request, seconds))[-1]

    def stream(
        self,
        verb: str,
        request: Mapping[str, Any],
        seconds: float,
        opened: Callable[[Process], None] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Replies as they come, at least one.

        `opened` gets the process, so that another thread can close a verb that waits.

        On a warm node one call is enough: it is asked as most nodes can be, and looked at only if
        no reply comes. Verbs may be asked twice.
        """
        self.connect()
        if self._node is None:
            try:
                yield from self._ask(self._guess(verb), verb, request, seconds, opened)
                self._guess_works = True
                return
            except LinkError as exc:
                if exc.kind not in ("reply", "python"):
                    raise
                self._guess_works = False
        yield from self._ask(self.command(verb), verb, request, seconds, opened)

    def _ask(
        self,
        command: str,
        verb: str,
        request: Mapping[str, Any],
        seconds: float,
        opened: Callable[[Process], None] | None,
    ) -> Iterator[dict[str, Any]]:
        with self._sessions:
            process = Process(
                self._argv(command),
                json.dumps(request).encode() + b"\n",
                keep_stdin=opened is not None,
            )
            if opened is not None:
                opened(process)
            replies = 0
            try:
                for line in process.lines(seconds):
                    reply = decode(line)
                    self._noisy |= bool(line.partition(b"\x1e")[0].strip())
                    if reply is not None and reply.get("class") == "python":
                        raise LinkError(f"{self.name}: {reply.get('message')}", "python")
                    if reply is not None:
                        replies += 1
                        yield reply
                status = process.status()
                self._check(status, process.errors())
                if not replies:
                    # Interpreter or program may be gone: look again at the next call.
                    self._node = None
                    raise LinkError(
                        f"{self.name} gave no valid reply to {verb}: {process.errors().strip()[-300:]}",
                        "reply",
                    )
            except DeadlinePassed:
                self.drop()
                raise LinkError(
                    f"{self.name} did not answer within {seconds:.0f} s", "timeout"
                ) from None
            finally:
                process.close()

    # -- rsync

    def rsync_words(self, *words: str) -> list[str]:
        """rsync's options that make the node program its remote side.

        Raises LinkError where a login shell would break rsync.
        """
        command = self.command(*words)
        if self._noisy:
            raise LinkError(
                f"the login shell of {self.name} prints something, which breaks rsync: silence its start-up files there",
                "settings",
            )
        shell = (
            "/bin/sh -c 'shift; exec /bin/sh -c \"$*\"' sh"
            if self._ssh is None
            else shlex.join(self._ssh)
        )
        return ["-e", shell, f"--rsync-path={command}"]

    def rsync_place(self) -> str:
        """What stands for the node in rsync's arguments; the node program replaces the path."""
        return f"[{self.host}]:x/" if ":" in self.host else f"{self.host}:x/"

    def rsync(self, argv: list[str], seconds: float, data: bytes = b"") -> tuple[int, str, str]:
        """(exit status, stdout, stderr) of an rsync over this link, with data on its stdin.

        Raises LinkError.
        """
        env = {key: value for key, value in os.environ.items() if not key.startswith("RSYNC_")} | {
            "LC_ALL": "C"
        }
        with self._sessions:
            try:
                status, out, errors = run(argv, data, seconds, env)
            except DeadlinePassed:
                raise LinkError(
                    f"rsync with {self.name} took longer than {seconds:.0f} s", "timeout"
                ) from None
        self._check(status, errors)
        return status, out.decode("utf-8", "backslashreplace"), errors


def decode(line: bytes) -> dict[str, Any] | None:
    """A reply (RFC 7464: a record separator, then JSON), or None for what a login shell printed."""
    _noise, mark, text = line.rpartition(b"\x1e")
    if not mark:
        return None
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return reply if isinstance(reply, dict) else None


def digest(*parts: object) -> str:
    """What tells these connection settings from others; also the name of the master's socket, so it
    is short.
    """
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
