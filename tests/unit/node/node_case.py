"""A node for one test: a home and a store of its own, and the node program's real zip.

It is called as a link calls it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "plugins" / "plugin_utils"))

from _links import program
from _node import (
    agents,
    awake,
    belongs,
    claim,
    claude,
    events,
    flow,
    launch,
    limits,
    logins,
    people,
    places,
    processes,
    recorder,
    row,
    signature,
    signs,
    specialists,
    states,
    supervisor,
    talk,
    verbs,
)
from _node.store import Refusal, Store, boot_clock, checked, is_locked, try_lock, write_durably

# the tests take the node program's parts from here, where the path is set
__all__ = [
    "Refusal",
    "agents",
    "awake",
    "belongs",
    "boot_clock",
    "checked",
    "claim",
    "claude",
    "events",
    "flow",
    "launch",
    "limits",
    "logins",
    "people",
    "places",
    "processes",
    "recorder",
    "row",
    "signature",
    "signs",
    "specialists",
    "states",
    "supervisor",
    "talk",
    "try_lock",
    "verbs",
    "write_durably",
]


_folder = tempfile.TemporaryDirectory(prefix="gummy-node-")
# Ids of attempts are random: what runs elsewhere on this machine is another attempt's.
A = f"a{os.urandom(4).hex()}-"
PROGRAM = program.build()
STARTER = program.STARTER
_bin = os.path.join(_folder.name, "bin")
_installer = [sys.executable, "-I", "-S", "-c", program.INSTALLER, _bin, PROGRAM.hash]
subprocess.run(_installer, input=PROGRAM.data, stdout=subprocess.DEVNULL, check=True)
# The only file there.
ZIP = os.path.join(_bin, *os.listdir(_bin))


def wait_for(condition):
    """The condition's first true value."""
    until = time.monotonic() + 30
    while not (found := condition()):
        if time.monotonic() > until:
            raise AssertionError("it did not become true within 30 s")
        time.sleep(0.01)
    return found


def replies(out: bytes) -> list[dict]:
    return [json.loads(line.rpartition(b"\x1e")[2]) for line in out.splitlines() if b"\x1e" in line]


def end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie that its parent has not collected does not."""
    done = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(done.stdout.strip()) and not done.stdout.strip().startswith("Z")


class NodeCase(unittest.TestCase):
    def setUp(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="gummy home-")).resolve()
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("GIT_", "XDG_", "GUMMY_"))
        }
        self.env = {
            **kept,
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "SHELL": "/bin/sh",
            "TMPDIR": str(self.home),
        }
        umask = os.umask(0o077)
        self.addCleanup(os.umask, umask)
        self.store = Store(str(self.home / "state"), str(self.home))
        os.umask(umask)
        self.addCleanup(self._end_everything)

    def _end_everything(self) -> None:
        for attempt in self.store.attempts():
            if is_locked(attempt.lock):
                with contextlib.suppress(AssertionError):
                    end(self.supervisor(attempt.id))
            for pid in processes.living(attempt.id):
                end(pid)

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", STARTER, ZIP, *words]

    def begin(self, verb: str, request: object, *words: str, **options: object) -> subprocess.Popen:
        """A verb's process, with its request sent and its stdin left open."""
        pipes = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": self.env,
        }
        process = subprocess.Popen(self.argv(verb, *words), **{**pipes, **options})
        data = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
        process.stdin.write(data)
        process.stdin.flush()
        return process

    def ask(self, verb: str, **request: object) -> dict:
        """The last reply of a verb."""
        out, errors = self.begin(verb, request).communicate(timeout=60)
        self.assertTrue(replies(out), errors)
        return replies(out)[-1]

    def listed(self, prefix: str = "", **request: object) -> list[dict]:
        found = replies(
            self.begin("list", {"prefix": prefix, **request}).communicate(timeout=60)[0]
        )
        self.assertEqual("listed", found[-1]["state"])
        return found[:-1]

    def claim(self, attempt: str = A + "1", key: str = "project", slots: int = 2) -> dict:
        return self.ask("claim", attempt=attempt, key=key, slots=slots)

    def spec(self, **changes: object) -> dict:
        known = {
            "agent": "shell",
            "command": "true",
            "prompt": None,
            "verify": None,
            "timeout": 60,
            "job": "job-1",
            "run_id": "r",
            "project": True,
        }
        return {**known, **changes}

    def start(
        self,
        attempt: str = A + "1",
        key: str = "project",
        slots: int = 2,
        sign: str | None = None,
        **spec: object,
    ) -> dict:
        """Claim and start. sign: what the end is to be signed with; None: it is not signed."""
        claimed = self.claim(attempt, key, slots)
        self.assertEqual("claimed", claimed["state"], claimed)
        request = {"generation": claimed["generation"], "spec": self.spec(**spec)}
        if sign is not None:
            request["key"] = sign
        return self.ask("start", attempt=attempt, **request)

    def end(self, attempt: str = A + "1") -> dict:
        """What a poll says of the attempt in the end: ended or unknown."""
        poll = self.begin("poll", {"prefix": attempt, "told": []})
        for line in poll.stdout:
            reply = replies(line)[0]
            if reply["state"] not in ("watching", "progress", "signs"):
                break
        poll.communicate(timeout=60)
        self.files = reply.pop("files", None)
        return reply

    def run_job(self, attempt: str = A + "1", **spec: object) -> dict:
        started = self.start(attempt, **spec)
        self.assertEqual("started", started["state"], started)
        return self.end(attempt)

    def supervisor(self, attempt: str = A + "1") -> int:
        pid = int(Path(self.store.attempt(attempt).lock).read_text() or 0)
        self.assertGreater(pid, 1)
        return pid

    def tree(self, number: int = 0, key: str = "project") -> Path:
        return Path(self.store.workspace(key, number), "tree")
