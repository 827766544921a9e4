"""An attempt's life on a node: started at most once, watched, ended, harvested.

Or it is proven not to have started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from node_case import A, NodeCase, alive, is_locked, replies, signature, wait_for

# Leaves a child in a session of its own and an orphan without our environment; both, and itself,
# ignore TERM. Writes their pids.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def stay(name):
    open(name + ".new", "w").write(str(os.getpid()))
    os.rename(name + ".new", name)
    if name == "orphan" and sys.platform == "linux":
        os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"], {})
    time.sleep(600)
if os.fork() == 0:
    os.setsid()
    stay("session")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        stay("orphan")
    os._exit(0)
stay("agent")
"""


class SupervisorTest(NodeCase):
    def pids(self, *names: str) -> list[int]:
        paths = [self.tree() / name for name in names]
        wait_for(lambda: all(path.exists() and path.read_text() for path in paths))
        return [int(path.read_text()) for path in paths]

    def python(self, script: str) -> str:
        path = self.home / "script.py"
        path.write_text(script)
        return f"exec '{sys.executable}' '{path}'"

    def patch(self, attempt: str = A + "1") -> str:
        return Path(self.store.attempt(attempt).harvest, "changes.patch").read_text()

    # -- start

    def test_two_starts_at_once_start_the_agent_once(self) -> None:
        generation = self.claim()["generation"]
        request = {
            "attempt": A + "1",
            "generation": generation,
            "spec": self.spec(command="echo x >> count; while ! [ -e go ]; do sleep 0.02; done"),
        }
        both = [self.begin("start", request) for _time in range(2)]
        states = sorted(
            replies(process.communicate(timeout=60)[0])[-1]["state"] for process in both
        )
        self.assertEqual(["running", "started"], states)
        (self.tree() / "go").touch()
        self.assertIsNone(self.end()["class"])
        self.assertEqual("ended", self.ask("start", **request)["state"])
        self.assertEqual("x\n", (self.tree() / "count").read_text())

    def test_start_returns_while_the_agent_runs_on_without_its_caller(self) -> None:
        command = (
            "umask > umask; [ /dev/stdin -ef /dev/null ] && touch null;"
            " while ! [ -e go ]; do sleep 0.02; done; echo said"
        )
        generation = self.claim()["generation"]
        start = self.begin(
            "start",
            {"attempt": A + "1", "generation": generation, "spec": self.spec(command=command)},
            umask=0o027,
            start_new_session=True,
        )
        # Returns when nobody holds the pipes any more.
        out, _errors = start.communicate(timeout=60)
        self.assertEqual("started", replies(out)[-1]["state"])
        self.assertEqual("running", self.ask("fence", attempt=A + "1")["state"])
        self.assertNotEqual(start.pid, os.getsid(self.supervisor()))
        (self.tree() / "go").touch()
        self.assertEqual("exit status 0", self.end()["proof"])
        self.assertTrue((self.tree() / "null").exists())
        self.assertEqual(0o027, int((self.tree() / "umask").read_text(), 8))
        self.assertEqual("said\n", Path(self.store.attempt(A + "1").log).read_text())

    def test_a_running_attempt_keeps_its_slot_and_workspace_and_an_ended_one_gives_them_back(
        self,
    ) -> None:
        self.start(slots=1, command="while ! [ -e go ]; do sleep 0.02; done")
        slot = Path(self.store.slot(0))
        # What the probe counts.
        wait_for(lambda: slot.read_text() == f"{self.supervisor()}\n")
        self.assertEqual("busy", self.claim(A + "2", slots=1)["state"])
        self.assertEqual(
            self.store.workspace("project", 1), self.claim(A + "3", slots=2)["workspace"]
        )
        self.ask("release", attempt=A + "3")
        (self.tree() / "go").touch()
        self.end()
        self.assertEqual(
            self.store.workspace("project", 0), self.claim(A + "2", slots=1)["workspace"]
        )

    def test_what_may_not_start_is_refused_and_does_not_run(self) -> None:
        generation = self.claim()["generation"]
        spec = self.spec(command=f"touch '{self.home}/ran'")
        for wanted, request in (
            ("lease", {"generation": generation + 1, "spec": spec}),
            ("agent", {"generation": generation, "spec": {**spec, "agent": "no-such"}}),
            ("agent", {"generation": generation, "spec": {**spec, "agent": "gummy"}}),
        ):
            with self.subTest(wanted), self.subTest(request["spec"]["agent"]):
                reply = self.ask("start", attempt=A + "1", **request)
                self.assertEqual(("refused", wanted), (reply["state"], reply["class"]), reply)
        self.assertEqual("void", self.ask("fence", attempt=A + "1")["state"])
        late = self.ask("start", attempt=A + "1", generation=generation, spec=spec)
        self.assertEqual(
            ("refused", "fenced", "ours"), (late["state"], late["class"], late["blame"])
        )
        self.assertFalse((self.home / "ran").exists())

    def test_without_a_baseline_nothing_starts_and_the_attempt_ends_as_start(self) -> None:
        claimed = self.claim()
        Path(claimed["workspace"], "baseline.git").touch()
        reply = self.ask(
            "start",
            attempt=A + "1",
            generation=claimed["generation"],
            spec=self.spec(command="touch ran"),
        )
        self.assertEqual("started", reply["state"])
        self.assertEqual("start", self.end()["class"])
        self.assertFalse((self.tree() / "ran").exists())
        self.assertEqual(claimed["workspace"], self.claim(A + "2", slots=1)["workspace"])

    # -- end

    def test_how_the_agent_ended_is_told(self) -> None:
        for number, (wanted, told, spec) in enumerate(
            (
                (None, {"proof": "exit status 0", "exit_status": 0}, {"command": "true"}),
                (
                    None,
                    {"proof": "verify"},
                    {"command": "echo 1 > made", "verify": "grep -q 1 made"},
                ),
                ("verify", {}, {"command": "true", "verify": "exit 7"}),
                ("agent", {"exit_status": 3}, {"command": "exit 3", "verify": "true"}),
                ("killed", {}, {"command": "kill -KILL $$"}),
                ("timeout", {}, {"command": "sleep 600", "timeout": 0.2}),
                ("timeout", {}, {"command": "true", "verify": "sleep 600", "timeout": 0.5}),
            )
        ):
            with self.subTest(spec):
                ended = self.run_job(f"{A}{number}", project=False, **spec)
                self.assertEqual(("ended", wanted), (ended["state"], ended["class"]), ended)
                self.assertEqual({**ended, **told}, ended)
                self.assertEqual([], ended["survivors"])
                self.assertIsNotNone(ended["harvest"])

    def test_ended_is_also_what_left_the_session_forked_twice_or_ignores_term(self) -> None:
        self.start(command=self.python(STUBBORN))
        pids = self.pids("agent", "session", "orphan")
        ended = self.ask("cancel", attempt=A + "1")
        self.assertEqual(
            ("ended", "cancelled", []), (ended["state"], ended["class"], ended["survivors"])
        )
        self.assertEqual([False] * 3, [alive(pid) for pid in pids])

    def test_what_a_good_agent_leaves_running_is_ended_before_the_harvest(self) -> None:
        self.start(
            command="(trap 'echo late > late; exit' TERM; echo $$ > pid;"
            " while :; do sleep 0.02; done) & while ! [ -s pid ]; do sleep 0.02; done"
        )
        ended = self.end()
        self.assertEqual((None, []), (ended["class"], ended["survivors"]))
        self.assertIn("+late", self.patch())

    def test_a_cancel_ends_the_agent_keeps_the_work_and_may_be_repeated(self) -> None:
        self.start(command="echo half > work; echo $$ > pid; sleep 600", verify="touch verified")
        (agent,) = self.pids("pid")
        cancels = [self.begin("cancel", {"attempt": A + "1"}) for _time in range(2)]
        answers = [replies(one.communicate(timeout=60)[0])[-1] for one in cancels]
        self.assertEqual(
            [("ended", "cancelled")] * 2, [(answer["state"], answer["class"]) for answer in answers]
        )
        self.assertFalse(alive(agent) or (self.tree() / "verified").exists())
        self.assertIn("+half", self.patch())
        self.assertEqual({**answers[0], "attempt": A + "1"}, self.end())

    def test_a_cancel_of_what_has_not_begun_proves_that_it_never_will(self) -> None:
        generation = self.claim(slots=1)["generation"]
        self.assertEqual("void", self.ask("cancel", attempt=A + "1")["state"])
        self.assertEqual(
            "refused",
            self.ask("start", attempt=A + "1", generation=generation, spec=self.spec())["state"],
        )
        self.assertEqual("claimed", self.claim(A + "2", slots=1)["state"])

    def test_a_cancel_of_what_ended_changes_nothing(self) -> None:
        ended = self.run_job(command="exit 4")
        self.assertEqual({**self.ask("cancel", attempt=A + "1"), "attempt": A + "1"}, ended)

    def test_term_for_the_supervisor_is_no_cancel_and_keeps_the_work(self) -> None:
        self.start(command="echo half > work; echo $$ > pid; sleep 600")
        (agent,) = self.pids("pid")
        os.kill(self.supervisor(), signal.SIGTERM)
        ended = self.end()
        self.assertEqual("killed", ended["class"])
        self.assertIn("shutting down", ended["message"])
        self.assertFalse(alive(agent))
        self.assertIn("+half", self.patch())

    def test_who_sees_a_dead_supervisor_ends_the_rest_and_makes_the_harvest(self) -> None:
        self.start(
            command=self.python(
                "import os\nos.setsid\n"
                + STUBBORN.replace("signal.signal(", "0 and signal.signal(").replace(
                    "{})", "os.environ)"
                )
            )
        )
        pids = self.pids("agent", "session", "orphan")
        os.kill(self.supervisor(), signal.SIGKILL)
        attempt = self.store.attempt(A + "1")
        # Though its children live.
        wait_for(lambda: not is_locked(attempt.lock))
        self.assertEqual([True] * 3, [alive(pid) for pid in pids])
        self.assertEqual("unknown", self.end()["state"])
        self.assertEqual("dead", self.listed(A + "1")[0]["state"])
        self.assertEqual(self.store.workspace("project", 1), self.claim(A + "2")["workspace"])
        healed = self.ask("fence", attempt=A + "1")
        self.assertEqual(("ended", "lost"), (healed["state"], healed["class"]))
        self.assertEqual([False] * 3, [alive(pid) for pid in pids])
        self.assertIn("b/agent", self.patch())
        self.assertEqual({**healed, "attempt": A + "1"}, self.end())
        self.assertEqual(self.store.workspace("project", 0), self.claim(A + "3")["workspace"])

    def test_a_disk_that_is_full_keeps_the_work_and_the_harvest_is_made_when_there_is_room(
        self,
    ) -> None:
        disk = str(self.home / "state")

        def mount(*words: str) -> bool:
            return (
                subprocess.run(
                    ["mount", "-t", "tmpfs", *words, "none", disk], check=False, capture_output=True
                ).returncode
                == 0
            )

        if os.geteuid() or sys.platform != "linux" or not mount("-o", "size=300m"):
            self.skipTest("needs root on Linux, and leave to mount")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=False)
        generation = self.claim()["generation"]
        self.assertTrue(mount("-o", "remount,size=4m"))
        command = "echo work > work; cat /dev/zero > fill; exit 3"
        self.ask(
            "start",
            attempt=A + "1",
            generation=generation,
            spec=self.spec(command=command, artifacts=["wor*"]),
        )
        ended = self.end()
        self.assertEqual("harvest", ended["class"], ended)
        for word in (str(self.tree()), "distributed.gummy.harvest -e gummy_job=" + A):
            self.assertIn(word, ended["message"])
        self.ask("ack", attempts=[A + "1"], controller="c")
        self.assertEqual("work\n", (self.tree() / "work").read_text())
        self.assertTrue(mount("-o", "remount,size=600m"))
        self.assertNotEqual(self.tree().parent, Path(self.claim(A + "2")["workspace"]))
        again = self.ask("harvest", attempt=A + "1")
        self.assertEqual(
            ("agent", 3, 2, 1),
            (
                again["class"],
                again["exit_status"],
                again["harvest"]["files"],
                again["harvest"]["artifacts"],
            ),
            again,
        )
        self.assertIn("+work\n", self.patch())
        self.assertEqual(again, self.ask("harvest", attempt=A + "1"))
        self.assertEqual(
            [("ended", False)],
            [(row["state"], row["acknowledged"]) for row in self.listed(A + "1")],
        )

    def test_a_failed_harvest_says_where_the_work_lies_and_keeps_it(self) -> None:
        ended = self.run_job(command="echo precious > work; rm -rf ../baseline.git")
        self.assertEqual("harvest", ended["class"])
        self.assertIn(str(self.tree()), ended["message"])
        self.assertEqual("precious\n", (self.tree() / "work").read_text())
        self.assertEqual(self.store.workspace("project", 1), self.claim(A + "2")["workspace"])

    # -- the signature of the end

    def test_the_end_is_signed_and_the_key_is_left_nowhere(self) -> None:
        key = os.urandom(32).hex()
        look = (
            "env > seen; ps axww >> seen; cat ../holder.json >> seen;"
            ' cat "$XDG_STATE_HOME"/distributed-gummy/*/attempts/*/* >> seen 2>/dev/null; true'
        )
        ended = self.run_job(sign=key, command=look, verify="true")
        self.assertEqual(("verify", None), (ended["proof"], ended["class"]))
        self.assertEqual(signature.sign(key, A + "1", ended), ended["signature"])

        for path in self.home.rglob("*"):
            if path.is_file():
                self.assertNotIn(key.encode(), path.read_bytes(), path)
        self.assertIn(b"GUMMY_ATTEMPT", (self.tree() / "seen").read_bytes())

    def test_another_end_or_attempt_or_key_has_another_signature(self) -> None:
        end = {"class": None, "proof": "verify", "exit_status": 0}
        keys = {"00" * 32, "01" * 32}
        ends = [end, {**end, "class": "agent"}, {**end, "proof": None}, {**end, "exit_status": 1}]
        made = {signature.sign(key, name, each) for key in keys for name in "ab" for each in ends}
        self.assertEqual(len(keys) * 2 * len(ends), len(made))

    def test_without_a_key_nothing_is_signed(self) -> None:
        self.assertNotIn("signature", self.run_job())

    def test_an_end_that_is_written_in_place_of_a_supervisor_has_no_signature(self) -> None:
        self.start(sign="00" * 32, command="sleep 60")
        attempt = self.store.attempt(A + "1")
        wait_for(lambda: attempt.has("agent"))
        forged = {"class": None, "message": "", "proof": "verify", "harvest": None}
        Path(attempt.harvest).mkdir(exist_ok=True)
        Path(attempt.harvest, "result.json").write_text(json.dumps(forged))
        os.kill(self.supervisor(), signal.SIGKILL)
        wait_for(lambda: not is_locked(attempt.lock))
        self.assertNotIn("signature", self.ask("fence", attempt=A + "1"))

    def test_a_harvest_that_is_made_later_leaves_the_end_signed(self) -> None:
        key = "00" * 32
        ended = self.run_job(sign=key, command="echo x > work; mv ../baseline.git ../aside")
        self.assertEqual("harvest", ended["class"])
        workspace = self.tree().parent
        (workspace / "aside").rename(workspace / "baseline.git")
        again = self.ask("harvest", attempt=A + "1")
        self.assertIsNone(again["class"], again)
        self.assertEqual(signature.sign(key, A + "1", again), again["signature"])

    # -- damaged files

    def test_a_supervisor_that_died_right_after_its_harvest_loses_nothing_of_the_result(
        self,
    ) -> None:
        ended = self.run_job(command="echo x > x; exit 3")
        os.unlink(self.store.attempt(A + "1").path("ended.json"))
        self.assertEqual(
            {**ended, "files": None},
            {**self.ask("fence", attempt=A + "1"), "attempt": A + "1", "files": None},
        )

    def test_a_damaged_result_is_read_from_its_copy_and_without_one_is_no_success(self) -> None:
        attempt = self.store.attempt(A + "1")
        ended = self.run_job(command="exit 3")
        Path(attempt.path("ended.json")).write_text("")
        self.assertEqual(ended, self.end())
        Path(attempt.harvest, "result.json").write_text("")
        for told in (self.end(), self.ask("fence", attempt=A + "1")):
            self.assertEqual("harvest", told["class"])
            self.assertIn(attempt.path("ended.json") + " is damaged", told["message"])

    def test_a_workspace_whose_holder_can_not_be_read_is_given_to_nobody_and_kept(self) -> None:
        self.run_job(command="echo precious > work")
        Path(self.tree().parent, "holder.json").write_text("")
        self.assertEqual(
            self.store.workspace("project", 1), self.claim(A + "2", slots=1)["workspace"]
        )
        self.assertEqual("precious\n", (self.tree() / "work").read_text())

    def test_of_an_attempt_whose_spec_can_not_be_read_the_work_is_kept_and_the_result_says_where(
        self,
    ) -> None:
        self.start(command="echo precious > work; sleep 600")
        wait_for((self.tree() / "work").exists)
        attempt = self.store.attempt(A + "1")
        pid = self.supervisor()
        Path(attempt.path("spec.json")).write_text("")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_locked(attempt.lock))
        healed = self.ask("fence", attempt=A + "1")
        self.assertEqual(("ended", "harvest"), (healed["state"], healed["class"]))
        self.assertIn("the one whose holder.json names this attempt", healed["message"])
        self.assertEqual(
            self.store.workspace("project", 1), self.claim(A + "2", slots=1)["workspace"]
        )
        self.assertEqual("precious\n", (self.tree() / "work").read_text())

    # -- fence

    def test_a_fence_proves_that_an_unknown_or_never_begun_attempt_will_not_start(self) -> None:
        self.claim(A + "1", slots=1)
        half = self.store.attempt(A + "2")
        half.create()
        # Its supervisor died before the agent.
        half.mark("starting")
        for attempt in (A + "1", A + "2", "never-heard-of"):
            with self.subTest(attempt):
                self.assertEqual(
                    ["void", "void"],
                    [self.ask("fence", attempt=attempt)["state"] for _time in range(2)],
                )
                self.assertEqual("refused", self.claim(attempt)["state"])
        # The fence gave the slot back.
        self.assertEqual("claimed", self.claim(A + "3", slots=1)["state"])

    def test_a_job_of_a_newer_schema_is_refused_before_anything_starts(self) -> None:
        generation = self.claim()["generation"]
        reply = self.ask("start", attempt=A + "1", generation=generation, spec=self.spec(schema=99))
        self.assertEqual(
            ("refused", "schema", "input"), (reply["state"], reply["class"], reply["blame"])
        )
        self.assertEqual("void", self.ask("fence", attempt=A + "1")["state"])

    def test_a_fence_tells_what_ended_with_its_result(self) -> None:
        ended = self.run_job(command="exit 4")
        fenced = self.ask("fence", attempt=A + "1")
        self.assertEqual({key: value for key, value in ended.items() if key != "attempt"}, fenced)
        self.assertFalse(self.store.attempt(A + "1").has("void"))
