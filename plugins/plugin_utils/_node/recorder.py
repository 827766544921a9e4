# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorder: a program named `claude` that stands first on gummy's PATH.

gummy hides what `claude` said, so this stands between the two. It runs the real claude in its own
session and group, passes stdin, output, signals and exit status through as they come, and writes
down in the attempt's folder what claude was given, what it says, and how it ended. gummy takes a
file of that name only, so each attempt gets one that starts this module.

In three things it is more than a listener. gummy's specialists ask claude for `--output-format
json` and expect the array of all events, which claude prints only with `--verbose`: without it such
a job would fail after it was paid. A claude that does not end after its result is ended. And where
the job has a budget, claude is told what is left of it, for gummy has no word for that.
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
import time

from . import session_costs, talk
from .claude import BUDGET_OPTION, ClaudeReader, budget_word
from .events import PIECE, dollars
from .row import Grace
from .store import TYPE_CHECKING, read_json, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import FrameType
    from typing import Any, NoReturn

    from .row import CallNote, TextNote

    # What signal.signal takes and returns.
    Handler = Any


# The folder, in an attempt's own, that comes first on gummy's PATH.
FOLDER = "bin"
# The file, in an attempt's folder, that holds the notes.
NOTES = "calls"
# By this line a recorder knows that a claude is another recorder.
SIGN = b"# the recorder of distributed.gummy"
# The signals that are passed on to claude.
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
# Bytes of a word of argv; of a longer one only the hash is noted.
WORD = 200
# Milliseconds between two looks at what claude has said.
LOOK = 1000
# Seconds between two notes of what claude has said so far; its results are noted at once.
NOTE_EVERY = 60.0
# Seconds for which a claude that does not end after its result may go on after a TERM.
AFTER_TERM = 5.0
# Sessions of which it is kept what they have cost.
COSTS_MOST = 2000
# Bytes that a pipe holds at most.
PIPE_HOLDS = 1 << 20
# Bytes of a `#!` line that every kernel reads.
FIRST_LINE_MOST = 120
# Linux's number for being sent a signal when our parent dies.
PR_SET_PDEATHSIG = 1


# -- for the supervisor


def install(attempt: str, program: str) -> str:
    """Make the attempt's own `claude`, and return the folder for PATH.

    attempt: its folder; program: the node program's zip, in which this module is.
    """
    folder = os.path.join(attempt, FOLDER)
    os.makedirs(folder, exist_ok=True)
    first = "#!%s -ISXutf8\n" % sys.executable
    if " " in sys.executable or len(first) > FIRST_LINE_MOST:
        # A script of both: sh executes the second line, and Python reads a text of three lines.
        first = "#!/bin/sh\n''':'\nexec '%s' -ISXutf8 \"$0\" \"$@\"\n'''\n" % sys.executable
    code = (
        "import sys\n"
        "sys.path.insert(0, %a)\n"
        "from _node import recorder\n"
        "recorder.main(%a, sys.argv[1:])\n"
    ) % (program, attempt)

    path = os.path.join(folder, "claude")
    with open(path, "wb") as file:
        file.write(os.fsencode(first) + SIGN + b"\n" + code.encode())
    os.chmod(path, 0o700)
    return folder


def calls(attempt: str) -> list[CallNote]:
    """The calls of claude, in their order, as an attempt's folder has them."""
    rows: dict[str, CallNote] = {}
    with contextlib.suppress(OSError), open(os.path.join(attempt, NOTES), "rb") as file:
        for text in file.read().split(b"\x1e"):
            # A note may be cut short by a crash.
            with contextlib.suppress(ValueError):
                note = json.loads(text)
                rows.setdefault(note["call"], {}).update(note)
    return list(rows.values())


# -- files


def unlinked_file(path: str) -> int:
    """A file without a name, for what a program gets as stdin."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return file


def write(file: int, data: bytes) -> None:
    """Write all of it, though the other side may have made the file non-blocking."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(file, rest) :]
        except BlockingIOError:
            select.select((), (file,), ())


def read(file: int) -> bytes:
    """Read what is there, at least a byte; nothing at its end."""
    while True:
        try:
            return os.read(file, PIECE)
        except BlockingIOError:
            select.select((file,), (), ())


# -- one call


class Given:
    """A text that claude is given, looked at as it passes."""

    def __init__(self, ours: bytes, data: bytes = b"") -> None:
        """ours: the job's prompt; data: the text's begin."""
        self._ours = ours
        self._hash = hashlib.sha256()
        self._head = bytearray()
        self.size = 0
        self.add(data)

    def add(self, data: bytes) -> None:
        self._hash.update(data)
        self._head += data[: HEAD - len(self._head)]
        self.size += len(data)

    def note(self) -> TextNote:
        return {
            "sha256": self._hash.hexdigest(),
            "bytes": self.size,
            "ours": bool(self._ours) and self._ours in self._head,
        }


class Call:
    """One call of claude, from the recorder's side."""

    def __init__(self, attempt: str, argv: Sequence[bytes]) -> None:
        """attempt: its folder; argv: without the program's name."""
        self.attempt = attempt
        self.argv = argv
        self.id = os.urandom(8).hex()
        spec = read_json(os.path.join(attempt, "spec.json")) or {}
        self._ours = str(spec.get("prompt") or "").strip().encode("utf-8", "surrogateescape")
        self._budget = dollars(spec.get("budget_usd"))
        self.stdin = Given(self._ours)
        self.reader = ClaudeReader(lambda event: talk.keep(attempt, event))
        self._store = os.path.dirname(os.path.dirname(attempt))
        self.reader.earlier_cost = session_costs.cost_of(self._store, _resumed(argv))
        self._grace = Grace()
        # When it was noted what it says, and what that was.
        self._noted_at = 0.0
        self._noted: dict[str, Any] = {}
        # The signals that have ended claude since it did not end after its result.
        self._ended_by: list[int] = []
        self._term_at = 0.0
        self._note({"argv": [self._word(word) for word in argv]})

    def _word(self, word: bytes) -> str | TextNote:
        if len(word) > WORD:
            return Given(self._ours, word).note()
        return word.decode("utf-8", "backslashreplace")

    def _note(self, note: CallNote) -> None:
        """Add a note, which is on disk when this returns.

        It is there whole or not at all, as `calls` reads it. A full disk does not disturb claude.
        """
        line = json.dumps({"call": self.id, **note}).encode()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            file = os.open(os.path.join(self.attempt, NOTES), flags, 0o600)
            os.write(file, b"\x1e" + line + b"\n")
            os.fsync(file)
            os.close(file)

    def ended(self, status: int) -> int:
        """Note how claude ended; returns the exit status that its caller is to see."""
        self.reader.end()
        if self.reader.earlier_cost is None:
            # The newest session of the directory can be gone on with without its name.
            self.reader.earlier_cost = session_costs.cost_of(self._store, self.reader.session)
        self._remember_cost()
        known = None if self._ended_by else status
        verdict = self.reader.verdict(known)
        if known is None:
            # It counts as what it said.
            status = 1 if verdict.failure else 0
        note: CallNote = {"exit_status": status, "prompt": self._prompt()}
        self._note({**note, "verdict": verdict._asdict()})
        return status

    def words_for_claude(self) -> Sequence[bytes]:
        """The words of the call, and those that we add."""
        return _with_budget(_with_verbose(self.argv), self._left())

    def _left(self) -> float | None:
        """What of the job's budget its earlier calls have left; None: it has none.

        Of a call that runs beside this one is known what it has cost until now.
        """
        if self._budget is None:
            return None
        spent = 0.0
        for note in calls(self.attempt):
            told = note.get("verdict") or note.get("said") or {}
            spent += dollars(told.get("cost_usd")) or 0.0
        return self._budget - spent

    def _remember_cost(self) -> None:
        session = self.reader.session or ""
        if self.reader.total_cost is None or not session_costs.SESSION.match(session):
            return
        folder = os.path.join(self._store, session_costs.FOLDER)
        with contextlib.suppress(OSError):
            os.makedirs(folder, exist_ok=True)
            names = os.listdir(folder)
            if len(names) > COSTS_MOST:
                paths = sorted((os.path.join(folder, name) for name in names), key=_age)
                for path in paths[COSTS_MOST // 2 :]:
                    os.unlink(path)
            data = b"%.10f" % self.reader.total_cost
            write_whole(os.path.join(folder, session), data)

    def look(self, pid: int) -> None:
        """Note what is new, and end a claude that goes on after its result."""
        now = time.monotonic()
        said = dict(self.reader.said())
        is_new = said != self._noted and now > self._noted_at + NOTE_EVERY
        if is_new or (said["finished"] and not self._noted.get("finished")):
            self._noted = said
            self._noted_at = now
            self._note({"said": said})

        if not self._grace.is_over(bool(said["finished"])):
            return
        if not self._ended_by:
            self._term_at = now
            self._ended_by.append(signal.SIGTERM)
            os.kill(pid, signal.SIGTERM)
        elif len(self._ended_by) == 1 and now > self._term_at + AFTER_TERM:
            self._ended_by.append(signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)

    def _prompt(self) -> TextNote | None:
        """The text that has our words, else stdin or the longest word."""
        texts = []
        if self.stdin.size:
            texts.append(self.stdin.note())
        for word in sorted(self.argv, key=len, reverse=True):
            texts.append(Given(self._ours, word).note())
        for text in texts:
            if text["ours"]:
                return text
        return texts[0] if texts else None

    def feed(self, source: int, sink: int) -> None:
        """Pass stdin on to its end."""
        # An error says that claude takes no more.
        with contextlib.suppress(OSError):
            while data := read(source):
                self.stdin.add(data)
                write(sink, data)
        os.close(sink)

    def pass_on(self, out: int) -> bool:
        """Pass a piece of output on; False at its end, or when nobody takes it."""
        try:
            data = read(out)
            write(1, data)
        except OSError:
            return False
        self.reader.feed("out", data)
        return bool(data)


def _resumed(argv: Sequence[bytes]) -> str | None:
    """The session that a call goes on with, if it names one."""
    for word, value in zip(argv, (*argv[1:], b"")):
        name, _equals, own = word.partition(b"=")
        if name in (b"--resume", b"-r"):
            return (own or value).decode("utf-8", "replace")
    return None


def _age(path: str) -> float:
    return -os.stat(path).st_mtime


def _with_verbose(argv: Sequence[bytes]) -> Sequence[bytes]:
    """The words of a call, with --verbose where json is asked for and it is missing."""
    asks = b"--output-format=json" in argv
    for option, value in zip(argv, argv[1:]):
        asks = asks or (option == b"--output-format" and value == b"json")
    if not asks or b"--verbose" in argv:
        return argv
    return [b"--verbose", *argv]


def _with_budget(argv: Sequence[bytes], left: float | None) -> Sequence[bytes]:
    """The words of a call, with what it may cost; a cap that stands there already may be lower."""
    option = BUDGET_OPTION.encode()
    asks = any(word == option or word.startswith(option + b"=") for word in argv)
    # Without -p it is no job, such as --version or a login.
    is_job = b"-p" in argv or b"--print" in argv
    if left is None or asks or not is_job:
        return argv
    return [option, budget_word(left).encode(), *argv]


# -- the recorder's own process


def main(attempt: str, words: Sequence[str]) -> NoReturn:
    """Be claude: attempt is the attempt's folder, words are those of the command line."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*PASSED, signal.SIGCHLD))
    call = Call(attempt, [os.fsencode(word) for word in words])
    stdin, feeding = _stdin(call)
    out, sink = os.pipe()
    wake, handler_before = _wake_at_the_end()
    errors = sink if _one_file(1, 2) else 2
    pid = _start(call, (stdin, sink, errors), handler_before, mask)
    os.close(sink)
    if feeding is not None:
        os.close(stdin)
        # This thread keeps all signals blocked.
        _thread.start_new_thread(call.feed, (0, feeding))
    before = _pass_signals_to(pid)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    status, more = _wait(call, pid, out, wake)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    shown = call.ended(code)
    # What claude left running may still write, and nobody waits for it.
    if more and os.fork() == 0:
        _restore(before, mask)
        while call.pass_on(out):
            pass
        os._exit(0)
    if shown < 0:
        _die_of(-shown)
    os._exit(shown)


def _wake_at_the_end() -> tuple[int, Handler]:
    """(a pipe that can be read when claude has ended, the handler of SIGCHLD so far)."""
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    return wake, signal.signal(signal.SIGCHLD, _do_nothing)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """A handler, without which the signal would not wake us."""


def _start(call: Call, streams: Sequence[int], child_handler: Handler, mask: Iterable[int]) -> int:
    """Start the real claude with these streams as its first descriptors; returns its pid.

    child_handler and mask: the handler of SIGCHLD and the blocked signals that it gets.
    """
    environment = _environment(os.path.join(call.attempt, FOLDER))
    real = _real(environment.get(b"PATH", os.fsencode(os.defpath)))
    words = call.words_for_claude()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, child_handler)
        _become(real, words, environment, streams, mask)
    with contextlib.suppress(OSError):
        # Without this a signal for the group would reach claude twice. A session's leader can't
        # leave its group.
        os.setpgid(0, 0)
    return pid


def _pass_signals_to(pid: int) -> dict[int, Handler]:
    """Pass all of PASSED on to this process; returns the handlers so far.

    Also those that we were started to ignore (bash has it so for jobs in the background): claude
    may catch them.
    """

    def pass_on(number: int, frame: FrameType | None) -> None:
        os.kill(pid, number)

    return {number: signal.signal(number, pass_on) for number in PASSED}


def _restore(handlers: dict[int, Handler], mask: Iterable[int]) -> None:
    """Let signals do again what they did when we were started."""
    for number, handler in handlers.items():
        ignored = handler == signal.SIG_IGN
        signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _environment(folder: str) -> dict[bytes, bytes]:
    """The environment as we were given it, without our folder on PATH."""
    environment = dict(os.environb)
    # os.environ may have a LC_CTYPE that Python has set (PEP 538).
    with contextlib.suppress(OSError), open("/proc/self/environ", "rb") as file:
        lines = [line for line in file.read().split(b"\0") if b"=" in line]
        environment = dict(line.split(b"=", 1) for line in lines)
    if b"PATH" in environment:
        folders = environment[b"PATH"].split(b":")
        ours = os.fsencode(folder)
        environment[b"PATH"] = b":".join(each for each in folders if each != ours)
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
                # It may be a program that can be run and not read.
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
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return os.pipe()
    return 0, None


def _one_file(one: int, other: int) -> bool:
    """Whether both lead to the same place.

    Then claude's two streams share a pipe, which keeps the order of what it writes.
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
    """Become claude: the child's side, which never returns."""
    status = 127
    try:
        if sys.platform == "linux":
            import ctypes

            # SIGKILL can't be passed on: so claude is to die of one when we do.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for target, source in enumerate(streams):
            if source != target:
                os.dup2(source, target)
        # Python ignores these two, and claude would too.
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

    All that it wrote itself has then been passed on. When nobody takes the output, claude learns
    that as it would without us: it can't write any more.
    """
    poller = select.poll()
    more = True
    done = 0
    poller.register(wake, select.POLLIN)
    poller.register(out, select.POLLIN)
    # Our stdout is ready when nobody reads there any more.
    poller.register(1, 0)

    while not done:
        ready = [file for file, _event in poller.poll(LOOK)]
        call.look(pid)
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

    # What it wrote last may still be in the pipe.
    for _piece in range(PIPE_HOLDS // PIECE):
        if more and select.select((out,), (), (), 0)[0]:
            more = call.pass_on(out)
    return status, more


def _die_of(number: int) -> NoReturn:
    """End by the signal that ended claude."""
    import resource

    # Claude's own core dump is enough.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # There is no handler for SIGKILL, which is an error here.
    with contextlib.suppress(OSError):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.kill(os.getpid(), number)
    os._exit(128 + number)
