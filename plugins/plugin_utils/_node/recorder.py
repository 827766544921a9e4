# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorder: a program named `claude` that stands first on gummy's PATH, because gummy hides
what `claude` said.

It runs the real one in its own session and group, passes stdin, output, signals and exit status
through as they come, and writes down in the attempt's folder what claude was given and how it
ended. gummy takes a file of that name only, so each attempt gets one that starts this module.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import hashlib
import json
import os
import select
import signal
import stat
import sys

from .results import PIECE, Results
from .store import TYPE_CHECKING, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, NoReturn

FOLDER = "bin"
NOTES = "calls"
SIGN = b"# the recorder of distributed.gummy"
PASSED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
# Bytes of stdin among which our words are looked for.
HEAD = 1 << 20
# Bytes; of a longer word of argv only the hash is noted.
WORD = 200
TOLD = ("subtype", "is_error", "num_turns", "total_cost_usd", "session_id", "result")
# Characters of a result's text.
RESULT = 2000
# Bytes, or less.
PIPE_HOLDS = 1 << 20


def place(attempt: str, program: str) -> str:
    """Make the attempt's own `claude`, which runs this module of the program (a zip); the folder
    for PATH.
    """
    folder = os.path.join(attempt, FOLDER)
    os.makedirs(folder, exist_ok=True)
    first = "#!%s -ISXutf8\n" % sys.executable
    # Some kernels read no more of it.
    if " " in sys.executable or len(first) > 120:
        first = "#!/bin/sh\n''':'\nexec '%s' -ISXutf8 \"$0\" \"$@\"\n'''\n" % sys.executable
    code = (
        "import sys\nsys.path.insert(0, %a)\nfrom _node import recorder\nrecorder.main(%a, sys.argv[1:])\n"
        % (program, attempt)
    )
    path = os.path.join(folder, "claude")
    with open(path, "wb") as file:
        file.write(os.fsencode(first) + SIGN + b"\n" + code.encode())
    os.chmod(path, 0o700)
    return folder


def calls(attempt: str) -> list[dict[str, Any]]:
    """The calls of claude in their order: argv; once ended also prompt (sha256, bytes, ours),
    exit_status (negative: a signal), result.
    """
    rows: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(OSError), open(os.path.join(attempt, NOTES), "rb") as file:
        for text in file.read().split(b"\x1e"):
            # What a crash cut short.
            with contextlib.suppress(ValueError):
                note = json.loads(text)
                rows.setdefault(note["call"], {}).update(note)
    return list(rows.values())


def unlinked_file(path: str) -> int:
    """A file without a name, for what a program gets as stdin."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return file


def write(file: int, data: bytes) -> None:
    """All of it, though the other side may have made the file non-blocking."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(file, rest) :]
        except BlockingIOError:
            select.select((), (file,), ())


def read(file: int) -> bytes:
    """What is there, at least a byte; nothing at its end."""
    while True:
        try:
            return os.read(file, PIECE)
        except BlockingIOError:
            select.select((file,), (), ())


class Given:
    """A text that claude is given, looked at as it passes."""

    def __init__(self, ours: bytes, data: bytes = b"") -> None:
        self._ours = ours
        self._hash = hashlib.sha256()
        self._head = bytearray()
        self.size = 0
        self.add(data)

    def add(self, data: bytes) -> None:
        self._hash.update(data)
        self._head += data[: HEAD - len(self._head)]
        self.size += len(data)

    def note(self) -> dict[str, Any]:
        return {
            "sha256": self._hash.hexdigest(),
            "bytes": self.size,
            "ours": bool(self._ours) and self._ours in self._head,
        }


class Call:
    """One call of claude, from the recorder's side."""

    def __init__(self, attempt: str, argv: Sequence[bytes]) -> None:
        self.attempt = attempt
        self.argv = argv
        self.id = os.urandom(8).hex()
        spec = read_json(os.path.join(attempt, "spec.json")) or {}
        self._ours = str(spec.get("prompt") or "").strip().encode("utf-8", "surrogateescape")
        self.stdin = Given(self._ours)
        self.results = Results()
        words = [
            Given(self._ours, word).note()
            if len(word) > WORD
            else word.decode("utf-8", "backslashreplace")
            for word in argv
        ]
        self._note(argv=words)

    def _note(self, **what: Any) -> None:
        """On disk when this returns, whole or not at all as `calls` reads it; a full disk does not
        disturb claude.
        """
        with contextlib.suppress(OSError):
            file = os.open(
                os.path.join(self.attempt, NOTES),
                os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC,
                0o600,
            )
            os.write(file, b"\x1e" + json.dumps({"call": self.id, **what}).encode() + b"\n")
            os.fsync(file)
            os.close(file)

    def ended(self, status: int) -> None:
        self.results.end()
        event = self.results.last
        told = (
            None
            if event is None
            else {
                key: event[key][:RESULT] if isinstance(event[key], str) else event[key]
                for key in TOLD
                if key in event
            }
        )
        texts = [self.stdin.note()] if self.stdin.size else []
        texts += [
            Given(self._ours, word).note() for word in sorted(self.argv, key=len, reverse=True)
        ]
        prompt = next((text for text in texts if text["ours"]), texts[0] if texts else None)
        self._note(exit_status=status, prompt=prompt, result=told)

    def feed(self, source: int, sink: int) -> None:
        """Pass stdin on."""
        # Claude takes no more.
        with contextlib.suppress(OSError):
            while data := read(source):
                self.stdin.add(data)
                write(sink, data)
        os.close(sink)

    def pass_on(self, out: int) -> bool:
        """A piece of output; False at its end, or when nobody takes it."""
        try:
            data = read(out)
            write(1, data)
        except OSError:
            return False
        self.results.feed(data)
        return bool(data)


def main(attempt: str, words: Sequence[str]) -> NoReturn:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*PASSED, signal.SIGCHLD))
    call = Call(attempt, [os.fsencode(word) for word in words])
    environment = _environment(os.path.join(attempt, FOLDER))
    real = _real(environment.get(b"PATH", os.fsencode(os.defpath)))
    stdin, feeding = _stdin(call)
    out, sink = os.pipe()
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    ended_before = signal.signal(signal.SIGCHLD, lambda number, frame: None)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, ended_before)
        _become(real, call.argv, environment, (stdin, sink, sink if _one_file(1, 2) else 2), mask)
    with contextlib.suppress(OSError):
        # Else a signal for the group would reach claude twice; a session's leader can't leave its
        # group.
        os.setpgid(0, 0)
    os.close(sink)
    if feeding is not None:
        os.close(stdin)
        # It keeps all signals blocked.
        _thread.start_new_thread(call.feed, (0, feeding))
    # all of them: what we were started to ignore (bash has it so for jobs in the background),
    # claude may catch
    before = {
        number: signal.signal(number, lambda number, frame: os.kill(pid, number))
        for number in PASSED
    }
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    status, more = _wait(call, pid, out, wake)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    call.ended(code)
    # What claude left running may still write.
    if more and os.fork() == 0:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if handler == signal.SIG_IGN else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        while call.pass_on(out):
            pass
        os._exit(0)
    if code < 0:
        _die_of(-code)
    os._exit(code)


def _environment(folder: str) -> dict[bytes, bytes]:
    """As we were given it, without our folder on PATH."""
    environment = dict(os.environb)
    # Python may have set LC_CTYPE (PEP 538).
    with contextlib.suppress(OSError), open("/proc/self/environ", "rb") as file:
        environment = {
            name: value
            for name, is_one, value in (line.partition(b"=") for line in file.read().split(b"\0"))
            if is_one
        }
    if b"PATH" in environment:
        environment[b"PATH"] = b":".join(
            place for place in environment[b"PATH"].split(b":") if place != os.fsencode(folder)
        )
    return environment


def _real(path: bytes) -> bytes | None:
    """The first claude on PATH that is no recorder."""
    for folder in path.split(b":"):
        program = os.path.join(folder or b".", b"claude")
        if os.path.isfile(program) and os.access(program, os.X_OK):
            try:
                with open(program, "rb") as file:
                    if SIGN in file.read(PIECE):
                        continue
            except OSError:
                # It may be run and not read.
                pass
            return program
    return None


def _stdin(call: Call) -> tuple[int, int | None]:
    """(claude's stdin, where it is fed from here).

    A file is copied: another job's gummy may write the same one while claude reads.
    """
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return 0, None
    if stat.S_ISREG(mode):
        copy = unlinked_file(os.path.join(call.attempt, "stdin-%s" % call.id))
        while data := os.read(0, PIECE):
            call.stdin.add(data)
            write(copy, data)
        os.lseek(copy, 0, os.SEEK_SET)
        return copy, None
    return os.pipe() if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else (0, None)


def _one_file(one: int, other: int) -> bool:
    """Whether both lead to the same place: then they share a pipe too, which keeps the order of
    what is written.
    """
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False


def _become(
    real: bytes | None,
    argv: Sequence[bytes],
    environment: dict[bytes, bytes],
    streams: Sequence[int],
    mask: Iterable[int],
) -> NoReturn:
    """The child's side: never returns."""
    status = 127
    try:
        if sys.platform == "linux":
            import ctypes

            # PR_SET_PDEATHSIG: SIGKILL can't be passed on.
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        for target, source in enumerate(streams):
            if source != target:
                os.dup2(source, target)
        # Python ignores them.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if real is None:
            raise OSError(errno.ENOENT, "command not found")
        os.execve(real, [b"claude", *argv], environment)
    except OSError as exc:
        status = 127 if exc.errno == errno.ENOENT else 126
        os.write(2, b"claude: %s\n" % str(exc.strerror).encode())
    finally:
        os._exit(status)


def _wait(call: Call, pid: int, out: int, wake: int) -> tuple[int, bool]:
    """(claude's wait status, whether its output has not ended).

    All that it wrote itself has then been passed on.

    When nobody takes the output, claude learns that as it would without us: it can't write any
    more.
    """
    poller = select.poll()
    more = True
    done = 0
    poller.register(wake, select.POLLIN)
    poller.register(out, select.POLLIN)
    # Ready when nobody reads there any more.
    poller.register(1, 0)
    while not done:
        ready = [file for file, _event in poller.poll()]
        if 1 in ready or (out in ready and not call.pass_on(out)):
            poller.unregister(1)
            poller.unregister(out)
            os.close(out)
            more = False
        if wake in ready:
            os.read(wake, PIECE)
            # Nothing may be sent to a pid that is no longer claude's.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED)
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for _piece in range(PIPE_HOLDS // PIECE):
        if more and select.select((out,), (), (), 0)[0]:
            more = call.pass_on(out)
    return status, more


def _die_of(number: int) -> NoReturn:
    import resource

    # Claude's own core is enough.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # There is no handler for SIGKILL.
    with contextlib.suppress(OSError):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.kill(os.getpid(), number)
    os._exit(128 + number)
