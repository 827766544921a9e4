"""A debugger of the tests' own, in a started ansible-playbook.

It ends the process that drives the run with SIGKILL, or its session with the node, at the n-th of
its points.

Put this folder on PYTHONPATH. GUMMY_CRASH_POINT is `WHO WHERE MARK`: WHO is `worker` (that process
alone), `all` (ansible-playbook as well), or `session` (the ssh of the session with the node, and
the run goes on); WHERE is the point's number, or what it is (`begun-start`); MARK is written with
what the point was. Points are: after each durable write of the journal; before an rsync or the ssh
of a session starts, right after that, and when it has ended; before a request goes into a session,
right after that, and when a reply to it has come and nothing was made of it yet.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading

# The workers that it forks have other ids, and are left alone.
MAIN = os.getpid()
WHO, WHERE, MARK = os.environ.get("GUMMY_CRASH_POINT", "nobody 0 -").split(" ", 2)
# What an ssh of ours may be called for, and what goes over a session.
CALLED = ("session", "fence")
VERBS = ("claim", "release", "start", "fence", "cancel", "poll", "ack")
REPLY = re.compile(rb'\x1e\{"state": "reply", "id": (\d+),')
guard = threading.Lock()
left = int(WHERE) if WHERE.isdigit() else 0
# The process group of the newest session, and the verb of each request that went into it.
session = 0
asked: dict[int, str] = {}


def point(what: str) -> None:
    global left
    if os.getpid() == MAIN:
        return
    with guard:
        left -= 1
        if left == 0 or what.replace(" ", "-") == WHERE:
            with open(MARK, "w", encoding="utf-8") as file:
                file.write(what)
            if WHO == "session":
                with contextlib.suppress(ProcessLookupError):
                    if session:
                        os.killpg(session, signal.SIGKILL)
                return
            if WHO == "all":
                os.kill(MAIN, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


def called_for(words: list[str]) -> str:
    """What this command is called for; empty if it is another command."""
    verb = ""
    if words[0] == "rsync":
        return "rsync"
    if "--" in words:
        # ssh gets the remote command as one word, whose last word is the verb.
        verb = words[-1].strip("'").rpartition(" ")[2]
    return verb if verb in CALLED else ""


class Watched(subprocess.Popen):
    """A process, and the points around it if it is one of ours."""

    def __init__(self, args, *more, **options) -> None:
        global session
        words = [args] if isinstance(args, str) else [os.fsdecode(word) for word in args]
        self._verb = called_for(words)
        self._point("before")
        super().__init__(args, *more, **options)
        if self._verb == "session":
            session = self.pid
        self._point("begun")

    def _point(self, when: str) -> None:
        if self._verb:
            point(f"{when} {self._verb}")

    def wait(self, timeout=None) -> int:
        running = self.returncode is None
        status = super().wait(timeout)
        if running:
            self._point("ended")
        return status


def fsync(fd: int, real=os.fsync) -> None:
    real(fd)
    point("journal")


def write(fd: int, data: bytes, real=os.write) -> int:
    """A request may go into a session here, in one piece, for those of these tests are short."""
    frame = {}
    if bytes(data[:6]) == b'{"id":':
        with contextlib.suppress(ValueError):
            frame = json.loads(bytes(data))
    verb = frame.get("verb")
    if verb not in VERBS:
        return real(fd, data)
    asked[frame["id"]] = verb
    point(f"before {verb}")
    written = real(fd, data)
    point(f"begun {verb}")
    return written


def read(fd: int, size: int, real=os.read) -> bytes:
    """Replies may come out of a session here."""
    data = real(fd, size)
    for number in REPLY.findall(data):
        point(f"ended {asked.get(int(number), '-')}")
    return data


if WHO != "nobody":
    os.fsync = fsync
    os.write = write
    os.read = read
    subprocess.Popen = Watched
