"""The agents on a node: what is run, and how their ends are read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from unittest import mock

from agent_case import AgentCase
from node_case import A, agents, replies


class AgentsTest(AgentCase):
    def test_a_good_run_has_a_proof_a_cost_a_report_and_a_patch(self) -> None:
        report = (
            "run for f in ~/.claude/logs/gummy/*-task.log; do echo fine >"
            ' ~/.claude/agent_comms/gummy/$(basename "$f" .log)-report.md; done'
        )
        ended = self.gummy(prompt="write new.txt hello\n" + report + "\ncost 0.25\nsay All good")
        self.assertEqual(
            (None, "claude's result event", 0.25, "All good"),
            tuple(ended[key] for key in ("class", "proof", "cost_usd", "message")),
            ended,
        )
        self.assertRegex(ended["watch"], "^gummy-watch gummy-[0-9]+$")
        harvest = Path(self.store.attempt(A + "1").harvest)
        self.assertEqual("fine\n", (harvest / "report.md").read_text())
        self.assertIn("+hello", (harvest / "changes.patch").read_text())

    def test_a_running_job_says_how_to_watch_it_once(self) -> None:
        self.start(A + "1", agent="gummy", prompt=f"wait {self.home}/go", command=None)
        poll = self.begin("poll", {"prefix": A, "told": [], "watchable": []})
        seen = [replies(poll.stdout.readline())[0], replies(poll.stdout.readline())[0]]
        self.assertEqual(["watching", "progress"], [reply["state"] for reply in seen])
        self.assertRegex(seen[1]["watch"], r"^gummy-watch gummy-[0-9]+$")
        (self.home / "go").touch()
        self.assertEqual("ended", replies(poll.stdout.readline())[0]["state"])
        poll.communicate(timeout=60)

    def prepare(self, way: str) -> None:
        """The ways in which gummy works, and the one row of each other agent."""
        if way == "gummy of the home":
            self.specialists_at(self.home)
        elif way == "gummy by GUMMY_DIR":
            self.specialists_at(self.home / "elsewhere")
            self.env["GUMMY_DIR"] = str(self.home / "elsewhere/.gummy")
        elif way == "gummy resuming":
            self.specialists_at(self.tree())
            self.assertEqual(
                "claude's result event", self.run_agent(way, A + "first", "say hello")["proof"]
            )
            self.assertTrue(
                (self.tree() / ".gummy/specialists/general-specialist/session.txt").exists()
            )

    def test_how_every_agent_ends_is_read_from_its_own_word(self) -> None:
        scripts = {
            "success": (
                "write made hello ;; cost 0.25 ;; turns 4 ;; say All good",
                "echo hello > made",
            ),
            "is_error": ("write made half ;; is_error The model is confused", None),
            "no result": ("no_result", None),
            "exit status": ("fail 3", "exit 3"),
            "limit": ("limit", None),
            "signal": ("run kill -9 $PPID", "kill -9 $$"),
        }
        ends = {
            "success": (None, ""),
            "limit": ("quota", "usage limit reached"),
            "signal": ("killed", "SIGKILL"),
        }
        ends |= {
            "is_error": ("agent", "The model is confused"),
            "no result": ("agent", "no result event"),
            "exit status": ("agent", "exit status 3"),
        }
        ways = (
            "shell",
            "claude",
            "gummy",
            "gummy of the home",
            "gummy resuming",
            "gummy by GUMMY_DIR",
        )
        self.assertEqual(set(agents.AGENTS), {way.partition(" ")[0] for way in ways})
        for way in ways:
            self.doCleanups()
            # A home of its own.
            self.setUp()
            self.prepare(way)
            for number, (outcome, (prompt, command)) in enumerate(scripts.items()):
                text = command if way == "shell" else prompt
                if text is None or (
                    way == "gummy by GUMMY_DIR" and outcome not in ("success", "is_error")
                ):
                    continue
                with self.subTest(way, outcome=outcome):
                    ended = self.run_agent(way, f"{A}{number}", text)
                    failure, words = ends[outcome]
                    self.assertEqual(
                        (failure, failure is None),
                        (ended["class"], ended["proof"] is not None),
                        ended,
                    )
                    self.assertIn(words, ended["message"])
                    if way != "shell" and outcome == "success":
                        told = {
                            key: ended[key] for key in ("proof", "message", "cost_usd", "turns")
                        }
                        self.assertEqual(
                            {
                                "proof": "claude's result event",
                                "message": "All good",
                                "cost_usd": 0.25,
                                "turns": 4,
                            },
                            told,
                        )
                        self.assertRegex(ended["session_id"], "^[0-9a-f-]{36}$")
                        self.assertEqual("hello\n", (self.tree() / "made").read_text())

    def test_jq_s_error_in_specialist_mode_is_a_failure(self) -> None:
        self.specialists_at(self.home)
        ended = self.gummy(prompt="object")
        self.assertEqual(
            ("agent", "gummy ended with exit status 5", 0.01),
            (ended["class"], ended["message"], ended["cost_usd"]),
        )

    def test_a_gummy_that_gives_claude_another_job_s_prompt_or_none_has_not_succeeded(self) -> None:
        stream = "-p --output-format stream-json --verbose --dangerously-skip-permissions"
        for number, (script, failure, words) in enumerate(
            (
                (
                    f"echo write made x | claude {stream}",
                    "agent",
                    "another text than this job's prompt",
                ),
                ("claude --version", "agent", "another text than this job's prompt"),
                ("echo TASK COMPLETED", None, "never called the claude on its PATH"),
                (
                    f'echo write made x | claude {stream}; claude {stream} "$2" < /dev/null',
                    None,
                    "Done.",
                ),
            )
        ):
            self.program("gummy", f"#!/bin/sh\n{script}\n")
            with self.subTest(script):
                ended = self.gummy(f"{A}{number}", prompt="write ours x ;; cost 0.5")
                self.assertEqual(failure, ended["class"], ended)
                self.assertEqual(words == "Done.", ended["proof"] is not None, ended)
                self.assertIn(words, ended["message"])
        # Of both calls.
        self.assertEqual((0.51, 2), (ended["cost_usd"], ended["turns"]))

    def test_verify_proves_what_nothing_else_shows(self) -> None:
        self.program("gummy", "#!/bin/sh\necho x > made\n")
        ended = self.gummy(prompt="x", verify="grep -q x made")
        self.assertEqual((None, "verify"), (ended["class"], ended["proof"]), ended)

    def test_what_claude_says_of_itself_outweighs_an_exit_status_of_0(self) -> None:
        for event, failure in (
            ({"subtype": "success", "is_error": False}, None),
            ({"subtype": "error_max_turns", "is_error": False}, "agent"),
            ({"subtype": "success", "is_error": True, "result": "You've hit your limit"}, "quota"),
            (
                {
                    "subtype": "success",
                    "total_cost_usd": float("nan"),
                    "num_turns": "many",
                    "session_id": 5,
                    "result": ["x"],
                },
                None,
            ),
            ({}, "agent"),
        ):
            call = {"call": "2", "exit_status": 0, "prompt": {"ours": True}, "result": event}
            for calls in ([call], [{"call": "1", "exit_status": 3}, call]):
                with self.subTest(event), self.subTest(calls):
                    said = agents.result_of(
                        agents.AGENTS["gummy"], agents.Ran(0, "no log", "no home", calls)
                    )
                    self.assertEqual(
                        (failure, None, None), (said.failure, said.cost_usd, said.turns)
                    )
        cut_off = agents.Ran(0, "no log", "no home", [{"call": "1", "argv": []}])
        self.assertEqual("agent", agents.result_of(agents.AGENTS["gummy"], cut_off).failure)
        self.assertEqual(
            "killed", agents.result_of(agents.AGENTS["gummy"], cut_off._replace(status=-9)).failure
        )

    def test_a_used_up_quota_says_when_it_is_there_again_if_claude_does(self) -> None:
        for text, failure, reset_at in (
            ("Claude AI usage limit reached|1735689600", "quota", 1735689600),
            # Some versions tell it in milliseconds.
            ("Claude AI usage limit reached|1735689600123", "quota", 1735689600),
            ("Claude AI usage limit reached|17356896001", "quota", None),
            ("You've hit your limit, come back later", "quota", None),
            ("Invalid table a|1735689600", "agent", None),
        ):
            for agent in ("gummy", "claude"):
                with self.subTest(text, agent=agent):
                    ended = self.run_agent(agent, A + os.urandom(4).hex(), "is_error " + text)
                    self.assertEqual(
                        (failure, reset_at), (ended["class"], ended["reset_at"]), ended
                    )

    def test_claude_gets_the_prompt_on_stdin_and_the_permission_mode_of_the_settings(self) -> None:
        prompt = '-rf "it\'s" $(touch ran)\n' + "x" * 200_000
        for settings, mode in (({}, "acceptEdits"), ({"permission_mode": "plan"}, "plan")):
            spec = {"prompt": prompt, "settings": settings}
            self.assertEqual(
                [
                    "claude",
                    "-p",
                    "--verbose",
                    "--output-format",
                    "stream-json",
                    "--permission-mode",
                    mode,
                ],
                agents.AGENTS["claude"].argv(spec),
            )
            self.assertEqual(prompt, agents.AGENTS["claude"].stdin(spec))
        self.assertIsNone(self.run_agent("claude", A + "1", prompt)["class"])
        self.assertEqual(
            hashlib.sha256(prompt.encode()).hexdigest(),
            (self.home / "claude-starts.log").read_text().split()[1],
        )
        self.assertIn('"type": "result"', Path(self.store.attempt(A + "1").log).read_text())
        self.assertEqual(
            "need your permission",
            self.run_agent("claude", A + "2", "write made x", settings={"permission_mode": "plan"})[
                "message"
            ][14:34],
        )
        self.assertFalse((self.tree() / "made").exists())
        self.assertFalse(
            [
                path
                for attempt in self.store.attempts()
                for path in Path(attempt.folder).glob("stdin*")
            ]
        )

    # -- expect_changes

    # -- starts

    def test_the_prompt_reaches_claude_byte_for_byte(self) -> None:
        prompt = (
            "-rf \"it's\" $(touch ran) `id` {{ lookup('pipe', 'id') }}\n\ttab \\ ünï 🚀\n%s"
            % ("x" * 50_000)
        )
        self.assertIsNone(self.gummy(prompt=prompt)["class"])
        (line,) = (self.home / "claude-starts.log").read_text().splitlines()
        self.assertEqual(hashlib.sha256(prompt.encode()).hexdigest(), line.split()[1])
        self.assertFalse((self.tree() / "ran").exists())

    def test_a_node_without_the_agent_or_with_root_only_says_so_and_starts_nothing(self) -> None:
        (self.home / "my bin" / "gummy").unlink()
        (self.home / ".profile").write_text('PATH="$HOME/my bin:/usr/bin:/bin"\n')
        refused = self.start(agent="gummy", prompt="x")
        self.assertEqual(
            ("refused", "agent", "node"), (refused["state"], refused["class"], refused["blame"])
        )
        self.assertIn("gummy is not on the login shell's PATH", refused["message"])
        self.program("gummy", "#!/bin/sh\n")
        path = f"{self.home}/my bin:{os.environ['PATH']}"
        with mock.patch("os.geteuid", return_value=0), mock.patch.dict(os.environ):
            os.environ.pop("IS_SANDBOX", None)
            self.assertIn("refuses to run as root", agents.unusable("gummy", path) or "")
            self.assertIsNone(agents.unusable("shell", path))
        with mock.patch("os.geteuid", return_value=1000):
            self.assertIsNone(agents.unusable("gummy", path))
        self.assertIn("not known", agents.unusable("no-such", path) or "")

    def test_the_login_shell_may_print_fail_or_hang_up(self) -> None:
        for script, wanted in (
            ('echo noise\nexec /bin/sh "$@"\n', "/a:/b"),
            ("exit 1\n", "/a:/b"),
            ("kill -9 $$\n", "/a:/b"),
        ):
            self.program("shell", "#!/bin/sh\n" + script)
            with (
                self.subTest(script),
                mock.patch.dict(
                    os.environ,
                    SHELL=str(self.home / "my bin" / "shell"),
                    PATH="/a:/b",
                    HOME=str(self.home),
                ),
            ):
                (self.home / ".profile").write_text("PATH=/a:/b\n")
                self.assertEqual(wanted, agents.login_path())
