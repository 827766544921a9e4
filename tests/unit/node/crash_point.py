"""Runs the node program and ends it with SIGKILL right before the n-th thing that it does.

It is a debugger of the tests' own.

`crash_point.py PROGRAM STORE WHO NUMBER MARK VERB ...`; WHO is `verb` or `supervisor` (what the
verb forks); MARK is made when the point was reached. What counts is seen by audit events, which
Python raises before the act: files of the store that are written, made, renamed or removed, locks,
and processes that are started or ended.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys

CHANGES = os.O_TRUNC | os.O_APPEND | os.O_EXCL
OF_FILES = {"os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"}
OF_PROCESSES = {
    "fcntl.flock",
    "os.fork",
    "subprocess.Popen",
    "os.posix_spawn",
    "os.kill",
    "os.killpg",
}


def main(program: str, store: str, who: str, number: str, mark: str, *words: str) -> None:
    verb = os.getpid()
    left = int(number)

    def counts(event: str, args: tuple) -> bool:
        if event == "os.exec":
            return os.path.exists(args[0])
        if event in OF_PROCESSES or not str(args[0] if args else "").startswith(store):
            return event in OF_PROCESSES
        if event == "open":
            return bool(args[2] & CHANGES or (args[2] & os.O_CREAT and not os.path.exists(args[0])))
        return event in OF_FILES or (event == "os.mkdir" and not os.path.exists(args[0]))

    def hook(event: str, args: tuple) -> None:
        nonlocal left
        if left > 0 and (os.getpid() == verb) == (who == "verb") and counts(event, args):
            left -= 1
            if left == 0:
                os.close(os.open(mark, os.O_CREAT | os.O_WRONLY))
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    sys.argv[1:] = words
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
