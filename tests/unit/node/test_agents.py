"""The agents on a node: `gummy` by the doubles of gummy and claude, whose docstrings say what their prompts do."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from unittest import mock

from node_case import ROOT, A, NodeCase, agents, replies


class AgentsTest(NodeCase):
    def setUp(self) -> None:
        super().setUp()
        for name in ("gummy", "claude"):
            self.program(name, (ROOT / "tests" / "doubles" / name).read_text())
        self.program("jq", "#!/bin/sh\n")
        (self.home / ".profile").write_text('echo "a login shell that prints"\nPATH="$HOME/my bin:$PATH"\n')
        self.env["IS_SANDBOX"] = "1"  # tests may run as root

    def program(self, name: str, text: str) -> None:
        path = self.home / "my bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def gummy(self, attempt: str = A + "1", **spec: object) -> dict:
        return self.run_job(attempt, agent="gummy", command=None, **spec)

    def test_a_good_run_has_a_proof_a_cost_a_report_and_a_patch(self) -> None:
        report = 'run for f in ~/.claude/logs/gummy/*-task.log; do echo fine > ~/.claude/agent_comms/gummy/$(basename "$f" .log)-report.md; done'
        ended = self.gummy(prompt="write new.txt hello\n" + report + "\ncost 0.25\nsay All good")
        self.assertEqual((None, "claude's result event", 0.25, "All good"), tuple(ended[key] for key in ("class", "proof", "cost_usd", "message")), ended)
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

    def test_success_is_claudes_own_word_and_nothing_else(self) -> None:
        for number, (prompt, wanted, text) in enumerate((
            ("is_error The model is confused", "agent", "The model is confused"),
            ("limit", "quota", "usage limit reached"),
            ("no_result", "agent", "has no result event"),
            ("fail 3", "agent", "exit status 3"),
        )):  # fmt: skip
            with self.subTest(prompt):
                ended = self.gummy(f"{A}{number}", prompt=prompt)
                self.assertEqual((wanted, None), (ended["class"], ended["proof"]), ended)
                self.assertIn(text, ended["message"])

    def test_specialist_mode_shows_nothing_and_so_proves_nothing(self) -> None:
        for number, (verify, proof) in enumerate(((None, None), ("grep -q x made", "verify"))):
            attempt = f"{A}{number}"
            generation = self.claim(attempt)["generation"]
            (self.tree() / ".gummy/lib").mkdir(parents=True, exist_ok=True)
            (self.tree() / ".gummy/lib/core.sh").touch()
            spec = self.spec(agent="gummy", prompt="write made x", verify=verify)
            self.assertEqual("started", self.ask("start", attempt=attempt, generation=generation, spec=spec)["state"])
            ended = self.end(attempt)
            self.assertEqual((None, proof), (ended["class"], ended["proof"]), ended)

    def test_the_prompt_reaches_claude_byte_for_byte(self) -> None:
        prompt = "-rf \"it's\" $(touch ran) `id` {{ lookup('pipe', 'id') }}\n\ttab \\ ünï 🚀\n%s" % ("x" * 50_000)
        self.assertIsNone(self.gummy(prompt=prompt)["class"])
        (line,) = (self.home / "claude-starts.log").read_text().splitlines()
        self.assertEqual(hashlib.sha256(prompt.encode()).hexdigest(), line.split()[1])
        self.assertFalse((self.tree() / "ran").exists())

    def test_two_starts_at_once_get_different_ids(self) -> None:
        for attempt in (A + "1", A + "2"):
            self.assertEqual("started", self.start(attempt, agent="gummy", prompt=f"write {attempt} x")["state"])
        ended = [self.end(attempt) for attempt in (A + "1", A + "2")]
        self.assertEqual(2, len({result["watch"] for result in ended}))
        self.assertEqual([None, None], [result["class"] for result in ended])
        self.assertEqual([[A + "1"], [A + "2"]], [[change["path"] for change in result["harvest"]["changed"]] for result in ended])

    def test_a_node_without_the_agent_or_with_root_only_says_so_and_starts_nothing(self) -> None:
        (self.home / "my bin" / "gummy").unlink()
        (self.home / ".profile").write_text('PATH="$HOME/my bin:/usr/bin:/bin"\n')
        refused = self.start(agent="gummy", prompt="x")
        self.assertEqual(("refused", "agent", "node"), (refused["state"], refused["class"], refused["blame"]))
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
        for script, wanted in (("echo noise\nexec /bin/sh \"$@\"\n", "/a:/b"), ("exit 1\n", "/a:/b"), ("kill -9 $$\n", "/a:/b")):
            self.program("shell", "#!/bin/sh\n" + script)
            with self.subTest(script), mock.patch.dict(os.environ, SHELL=str(self.home / "my bin" / "shell"), PATH="/a:/b", HOME=str(self.home)):
                (self.home / ".profile").write_text("PATH=/a:/b\n")
                self.assertEqual(wanted, agents.login_path())
