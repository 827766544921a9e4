"""A debugger of the tests' own, in a started ansible-playbook.

It ends the process that drives the run with SIGKILL, at the n-th of its points.

Put this folder on PYTHONPATH. GUMMY_CRASH_POINT is `WHO WHERE MARK`: WHO is `worker` (that process
alone) or `all` (ansible-playbook as well); WHERE is the point's number, or what it is
(`begun-start`); MARK is written with what the point was. Points are: after each durable write of
the journal; before a verb's ssh or rsync starts, right after that, and when it has ended and
nothing was made of its reply yet.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading

# The workers that it forks have other ids, and are left alone.
MAIN = os.getpid()
WHO, WHERE, MARK = os.environ.get("GUMMY_CRASH_POINT", "nobody 0 -").split(" ", 2)
VERBS = ("claim", "rsync", "start", "fence", "poll", "ack")
guard = threading.Lock()
left = int(WHERE) if WHERE.isdigit() else 0


def point(what: str) -> None:
    global left
    if os.getpid() == MAIN:
        return
    with guard:
        left -= 1
        if left == 0 or what.replace(" ", "-") == WHERE:
            with open(MARK, "w", encoding="utf-8") as file:
                file.write(what)
            if WHO == "all":
                os.kill(MAIN, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


def verb_of(words: list[str]) -> str:
    """The verb that this command carries to a node; empty if it is another command."""
    verb = ""
    if words[0] == "rsync":
        verb = "rsync"
    elif "--" in words:
        # ssh gets the remote command as one word, whose last word is the verb.
        verb = words[-1].strip("'").rpartition(" ")[2]
    return verb if verb in VERBS else ""


class Watched(subprocess.Popen):
    """A process, and the points around it if it is a verb's."""

    def __init__(self, args, *more, **options) -> None:
        words = [args] if isinstance(args, str) else [os.fsdecode(word) for word in args]
        self._verb = verb_of(words)
        self._point("before")
        super().__init__(args, *more, **options)
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


if WHO != "nobody":
    os.fsync = fsync
    subprocess.Popen = Watched
