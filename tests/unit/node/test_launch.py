"""What is around an agent's run: pass_env, the spacing of starts, and expect_changes."""

from __future__ import annotations

import hashlib
import os

from agent_case import AgentCase
from node_case import A, Refusal, launch


class LaunchTest(AgentCase):
    def test_a_success_without_changes_is_one_only_if_none_are_expected(self) -> None:
        for number, (agent, text, expected, failure, words) in enumerate(
            (
                ("claude", "say fine", "auto", None, "no changes: fine"),
                ("claude", "say fine", False, None, "fine"),
                ("claude", "say fine", True, "agent", "changed no file"),
                ("claude", "write new x ;; say fine", True, None, "fine"),
                ("claude", "is_error broken", True, "agent", "claude reports an error: broken"),
                # Though gummy makes a specialist.
                ("gummy", "say fine", True, "agent", "changed no file"),
                ("gummy", "say fine", "auto", None, "no changes but gummy's own notes: fine"),
                ("shell", "true", "auto", None, ""),
                ("shell", "true", True, "agent", "changed no file"),
            )
        ):
            if agent == "gummy":
                self.specialists_at(self.tree())
            with self.subTest(agent, text=text, expected=expected):
                ended = self.run_agent(agent, f"{A}{number}", text, expect_changes=expected)
                self.assertEqual(
                    (failure, failure is None), (ended["class"], ended["proof"] is not None), ended
                )
                self.assertTrue(
                    ended["message"] == words if failure is None else words in ended["message"],
                    ended,
                )

    def test_two_starts_at_once_get_different_ids(self) -> None:
        for attempt in (A + "1", A + "2"):
            self.assertEqual(
                "started", self.start(attempt, agent="gummy", prompt=f"write {attempt} x")["state"]
            )
        ended = [self.end(attempt) for attempt in (A + "1", A + "2")]
        self.assertEqual(2, len({result["watch"] for result in ended}))
        self.assertEqual([None, None], [result["class"] for result in ended])
        self.assertEqual(
            [[A + "1"], [A + "2"]],
            [[change["path"] for change in result["harvest"]["changed"]] for result in ended],
        )

    def test_passed_values_are_in_the_agent_s_environment_and_nowhere_else(self) -> None:
        secret = f"s3cret-{os.urandom(8).hex()}\n\udcff"
        for agent, script in (("shell", ""), ("gummy", "run ")):
            attempt = A + agent
            generation = self.claim(attempt)["generation"]
            text = (
                script + 'printf %s "$TOKEN" | sha256sum > seen;'
                " cat /proc/*/cmdline > argv 2> /dev/null; :"
            )
            spec = self.spec(agent=agent, command=text, prompt=text, verify='test -z "$TOKEN"')
            reply = self.ask(
                "start", attempt=attempt, generation=generation, spec=spec, env={"TOKEN": secret}
            )
            self.assertEqual("started", reply["state"], reply)
            self.assertIsNone(self.end(attempt)["class"])
            wanted = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
            self.assertEqual(wanted, (self.tree() / "seen").read_text().split()[0])
            self.assertNotIn(
                secret[:20], (self.tree() / "argv").read_bytes().decode("utf-8", "replace")
            )
        for path in self.home.rglob("*"):
            if path.is_file():
                self.assertNotIn(secret[:20].encode(), path.read_bytes(), path)

    def test_a_node_refuses_names_that_are_ours_or_none(self) -> None:
        for name in (
            "PATH",
            "HOME",
            "GUMMY_ATTEMPT",
            "GUMMY_X",
            "GIT_CEILING_DIRECTORIES",
            "A-B",
            "",
            "A=B",
            "1A",
            "A\n",
        ):
            with self.subTest(name), self.assertRaises(Refusal) as raised:
                launch.passed_values({"env": {name: "x"}})
            self.assertEqual(("input", "ours"), (raised.exception.kind, raised.exception.blame))
        with self.assertRaises(Refusal):
            launch.passed_values({"env": {"TOKEN": "a\0b"}})
        self.assertEqual(
            {"PATHS": "x", "home": "y"}, launch.passed_values({"env": {"PATHS": "x", "home": "y"}})
        )
