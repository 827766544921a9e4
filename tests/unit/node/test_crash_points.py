"""Wherever a verb or the supervisor is ended, whoever goes on finds a store that tells the truth.

A job is driven as an engine drives it (see docs/architecture.md), with one process of its first
attempt ended before its n-th act, for n = 1, 2, ... until it gets through.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from node_case import ZIP, NodeCase, alive, claim, end, replies, wait_for

CRASH_POINT = str(Path(__file__).with_name("crash_point.py"))
# As a link does where there is no ssh.
LOCAL = "/bin/sh -c 'shift; exec /bin/sh -c \"$*\"' sh"
WHO = {"run_id": "r", "controller": "c"}
AT_ONCE = 4
# Points of one process, at the very most.
MOST = 200
# It counts its start, finds out whether it is alone, leaves a process that goes on writing, and
# works until it may end.
AGENT = """
echo "$GUMMY_ATTEMPT" >> "$HOME/starts"
mkdir "$HOME/at-work" || touch "$HOME/two-at-work"
(while :; do echo late >> late; sleep 0.01; done) & echo $! >> "$HOME/pids"
echo work > work; until [ -e "$HOME/go" ]; do sleep 0.01; done; rmdir "$HOME/at-work"
"""
# In git's place: at its n-th call it ends its parent, and stays until somebody ends it.
GIT = """#!/bin/sh
home={home}
echo x >> "$home/git-calls"
[ "$(wc -l < "$home/git-calls")" -eq {number} ] || exec {git} "$@"
echo $$ >> "$home/pids"; touch "$home/crashed"; kill -9 $PPID; exec sleep 600
"""


class Walk(NodeCase):
    """One job on a node of its own.

    `victim` is the verb to be ended, `supervisor` or `git`; `then` is `again` (the same verb) or
    `fence`.
    """

    def __init__(self, victim: str, number: int, then: str, before: str) -> None:
        super().__init__()
        self.victim = victim
        self.number = number
        self.then = then
        self.before = before

    def setUp(self) -> None:
        super().setUp()
        # The first call makes the store.
        shutil.rmtree(self.home / "state")
        self.spent = False
        # Walks go on at once, and an attempt is ended by its id.
        self.run = f"r{os.urandom(4).hex()}-"
        self.project = self.home / "project"
        self.harvest = self.home / "harvest"
        self.project.mkdir()
        (self.project / "old").write_text("old\n")
        self.harvest.mkdir()
        if self.before not in ("lose the supervisor", "cancel it"):
            (self.home / "go").touch()
        if self.victim == "git":
            (self.home / "bin").mkdir()
            (self.home / "bin" / "git").write_text(
                GIT.format(
                    number=self.number,
                    home=shlex.quote(str(self.home)),
                    git=shlex.quote(shutil.which("git")),
                )
            )
            (self.home / "bin" / "git").chmod(0o755)
            # It is found where an agent would be.
            (self.home / ".profile").write_text('PATH="$HOME/bin:$PATH"\n')

    @property
    def crashed(self) -> bool:
        return (self.home / "crashed").exists()

    def argv(self, *words: str) -> list[str]:
        if self.spent or words[0] != {"supervisor": "start"}.get(self.victim, self.victim):
            return super().argv(*words)
        self.spent = True
        who = "supervisor" if self.victim == "supervisor" else "verb"
        point = [str(self.home / "state"), who, str(self.number), str(self.home / "crashed")]
        return [sys.executable, "-I", "-S", CRASH_POINT, ZIP, *point, *words]

    def lines(self, name: str) -> list[str]:
        path = self.home / name
        return path.read_text().split() if path.exists() else []

    # -- what a controller does

    def call(self, verb: str, **request: object) -> dict:
        """The verb's reply, the second time if there was none the first time; {"state":

        None} if it must be fenced instead.
        """
        for _time in range(1 if self.then == "fence" and verb in ("claim", "start") else 2):
            done = subprocess.run(
                self.argv(verb),
                input=json.dumps(request).encode() + b"\n",
                env=self.env,
                capture_output=True,
                timeout=60,
                check=False,
            )
            if found := replies(done.stdout):
                return found[-1]
        self.assertTrue(self.crashed, done.stderr)
        return {"state": None}

    def rsync(self, remote: tuple, *words: str) -> bool:
        for _time in range(1 if self.then == "fence" and remote[0] == "receive" else 2):
            argv = [
                "rsync",
                "-rlpt",
                "-e",
                LOCAL,
                "--rsync-path=" + shlex.join(self.argv(*remote)),
                *words,
            ]
            done = subprocess.run(argv, env=self.env, capture_output=True, timeout=60, check=False)
            if done.returncode == 0:
                return True
        self.assertTrue(self.crashed, done.stderr)
        return False

    def drive(self) -> None:
        """Attempts until one ended; the next one only when a fence has said `void`."""
        number = 1
        while (ended := self.attempt(f"{self.run}{number}")) is None:
            self.assertTrue(self.crashed or self.before, f"attempt {number} was void for no reason")
            self.assertNotIn(
                f"{self.run}{number}", self.lines("starts"), "it was void and had started"
            )
            number = number + 1
            self.before = ""
        self.name = f"{self.run}{number}"
        self.ended = ended

    def attempt(self, name: str) -> dict | None:
        claimed = self.call("claim", attempt=name, key="project", slots=1, **WHO)
        self.workspace = Path(claimed.get("workspace", self.home))
        if self.before == "take it over":
            self.assertEqual(
                "adopted", self.call("adopt", uid=name.rpartition("-")[0], **WHO)["state"]
            )
        if self.before == "give it back":
            self.assertEqual("released", self.call("release", attempt=name)["state"])
        if claimed["state"] is None or self.before in ("give it back", "not start it"):
            return self.settle(name)
        if not self.rsync(
            ("receive", name, str(claimed["generation"])), "--delete", f"{self.project}/", "node:x/"
        ):
            return self.settle(name)
        started = self.call(
            "start",
            attempt=name,
            generation=claimed["generation"],
            spec=self.spec(command=AGENT, **WHO),
        )
        if self.before in ("lose the supervisor", "cancel it"):
            wait_for(lambda: self.lines("starts"))
        if self.before == "lose the supervisor":
            end(self.supervisor(name))
        if self.before == "cancel it":
            self.assertIn(self.call("cancel", attempt=name)["state"], ("ended", "running"))
        return self.wait(name) if started["state"] in ("started", "running") else self.settle(name)

    def settle(self, name: str) -> dict | None:
        fenced = self.call("fence", attempt=name)
        self.assertIn(fenced["state"], ("void", "running", "ended"), fenced)
        if fenced["state"] == "void":
            self.assertEqual([], self.living(), "it was void, and something of it lives")
            late = self.call(
                "start", attempt=name, generation=1, spec=self.spec(command=AGENT, **WHO)
            )
            self.assertNotIn(late["state"], ("started", "running"))
            return None
        return self.wait(name)

    def wait(self, name: str) -> dict | None:
        known = wait_for(
            lambda: (
                (reply := self.call("poll", prefix=name, told=[]))["state"] != "watching" and reply
            )
        )
        return known if known["state"] == "ended" else self.settle(name)

    def bring_home(self) -> None:
        self.assertTrue(self.rsync(("send", self.name), "node:x/", f"{self.harvest}/"))
        self.assertEqual(
            "acknowledged", self.call("ack", attempts=[self.name], controller="c")["state"]
        )

    # -- what it finds

    def living(self) -> list[int]:
        return [int(pid) for pid in self.lines("pids") if alive(int(pid))]

    def check(self) -> None:
        """What is seen from outside tells the same.

        That is the agent\'s own counts, the processes, the workspace, and what came home.
        """
        starts = self.lines("starts")
        dead = (
            ("lost",)
            if self.victim in ("supervisor", "git") or self.before == "lose the supervisor"
            else ()
        )
        self.assertIn(
            self.ended["class"],
            ("cancelled",) if self.before == "cancel it" else (None, *dead),
            self.ended,
        )
        self.assertEqual([self.name] if self.ended["class"] is None else starts[:1], starts)
        self.assertFalse((self.home / "two-at-work").exists())
        self.assertEqual([], self.living())
        self.assertTrue(self.store.attempt(self.name).has("acknowledged"))
        self.assertEqual(
            self.ended["class"], json.loads((self.harvest / "result.json").read_text())["class"]
        )
        if (self.harvest / "changes.patch").exists():
            subprocess.run(
                ["git", "apply", str(self.harvest / "changes.patch")],
                cwd=self.project,
                check=True,
                capture_output=True,
            )
        there = {path.name: path.read_text() for path in Path(self.ended["workspace"]).iterdir()}
        self.assertEqual(there, {path.name: path.read_text() for path in self.project.iterdir()})
        self.assertEqual("work\n", there.get("work") if self.ended["class"] is None else "work\n")
        after = claim.claim(
            self.store, {"attempt": self.run + "next", "key": "project", "slots": 1, **WHO}
        )
        self.assertEqual(
            ("claimed", str(Path(self.ended["workspace"]).parent)),
            (after["state"], after.get("workspace")),
        )


class CrashPointTest(NodeCase):
    def every_point(
        self, victim: str, then: str = "again", before: str = "", least: int = 3
    ) -> None:
        def walk(number: int) -> bool:
            one = Walk(victim, number, then, before)
            one.setUp()
            try:
                one.drive()
                one.bring_home()
                one.check()
                return one.crashed
            except Exception as exc:
                raise AssertionError(
                    f"{victim} ended at point {number}, then {then}: {str(exc)[:600]}"
                ) from exc
            finally:
                one.doCleanups()

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for first in range(1, MOST, AT_ONCE):
                reached = list(pool.map(walk, range(first, first + AT_ONCE)))
                if not all(reached):
                    break
        self.assertGreaterEqual(first + sum(reached) - 1, least)
        self.assertFalse(all(reached), "it never got through")

    def test_a_claim(self) -> None:
        self.every_point("claim")
        self.every_point("claim", "fence")

    def test_a_release(self) -> None:
        self.every_point("release", before="give it back")

    def test_a_takeover(self) -> None:
        self.every_point("adopt", before="take it over", least=2)

    def test_a_sync(self) -> None:
        self.every_point("receive")
        self.every_point("receive", "fence")

    def test_a_start(self) -> None:
        self.every_point("start")
        self.every_point("start", "fence")

    def test_a_supervisor(self) -> None:
        self.every_point("supervisor")

    def test_a_git_that_outlives_its_supervisor(self) -> None:
        self.every_point("git")

    def test_a_fence_before_the_start(self) -> None:
        self.every_point("fence", before="not start it")

    def test_a_fence_that_heals(self) -> None:
        self.every_point("fence", before="lose the supervisor")

    def test_a_cancel(self) -> None:
        self.every_point("cancel", before="cancel it")

    def test_a_poll(self) -> None:
        self.every_point("poll", least=1)

    def test_a_fetch(self) -> None:
        self.every_point("send", least=1)

    def test_an_acknowledgement(self) -> None:
        self.every_point("ack", least=2)
