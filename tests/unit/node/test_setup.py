"""A job's setup: it makes the workspace ready, and what it did is nobody's work. Without pytest."""

from __future__ import annotations

import os
import signal
import subprocess
import unittest
from pathlib import Path
from unittest import mock

from node_case import A, NodeCase, alive, wait_for


class SetupTest(NodeCase):
    def put(self, attempt: str = A + "1", **files: str) -> int:
        """Claim a workspace with this content, as a sync would leave it; its claim's generation."""
        generation = self.claim(attempt, slots=1)["generation"]
        for name, content in files.items():
            (self.tree() / name).write_text(content)
        return generation

    def begin_job(self, generation: int, attempt: str = A + "1", **spec: object) -> dict:
        return self.ask(
            "start",
            attempt=attempt,
            generation=generation,
            spec=self.spec(**spec),
            env={"TOKEN": "s3cret"},
        )

    def job(self, attempt: str = A + "1", files: dict | None = None, **spec: object) -> dict:
        self.begin_job(self.put(attempt, **(files or {"lock": "1\n"})), attempt, **spec)
        return self.end(attempt)

    def log(self, attempt: str = A + "1") -> str:
        return Path(self.store.attempt(attempt).harvest, "setup.log").read_text()

    def test_it_runs_before_the_agent_with_its_own_log_and_what_it_makes_is_no_change(self) -> None:
        ended = self.job(setup='echo "$TOKEN" | wc -c; echo x > made', command="cat made > mine")
        self.assertIsNone(ended["class"], ended)
        self.assertEqual(["mine"], [change["path"] for change in ended["harvest"]["changed"]])
        self.assertEqual("7\n", self.log().strip() + "\n")
        (row,) = ended["harvest"]["left_out"]
        self.assertEqual("made", row["path"])
        self.assertIn("lost at the next sync", row["why"])
        self.assertNotIn("s3cret", self.everything())

    def everything(self) -> str:
        return "".join(
            path.read_text(errors="replace")
            for path in Path(self.store.root).rglob("*")
            if path.is_file()
        )

    def test_a_file_that_it_and_the_agent_changed_has_a_patch_that_fits_the_one_at_home(
        self,
    ) -> None:
        home = {"lock": "1\n2\n3\n", "other": "a\n", "gone": "g\n"}
        ended = self.job(
            files=home,
            setup="echo set > other; sed -i s/1/one/ lock; rm gone; echo n > new",
            command="echo 4 >> lock; echo m >> new",
        )
        changed = {row["path"]: row["status"] for row in ended["harvest"]["changed"]}
        self.assertEqual({"lock": "modified", "new": "added"}, changed)
        left_out = {row["path"]: row["why"] for row in ended["harvest"]["left_out"]}
        self.assertEqual({"other", "gone"}, set(left_out))

        project = self.home / "project"
        project.mkdir()
        for name, content in home.items():
            (project / name).write_text(content)
        patch = Path(self.store.attempt(A + "1").harvest, "changes.patch")
        subprocess.run(["git", "apply", str(patch)], cwd=project, check=True)
        self.assertEqual("one\n2\n3\n4\n", (project / "lock").read_text())
        self.assertEqual("a\n", (project / "other").read_text())
        self.assertEqual("n\nm\n", (project / "new").read_text())

    def test_it_is_skipped_while_its_files_and_the_command_are_as_when_it_last_succeeded(
        self,
    ) -> None:
        count = self.home / "count"
        setup = f"echo x >> '{count}'"
        wanted = 0
        for number, (content, command, runs) in enumerate(
            [
                ("1", setup, True),
                ("1", setup, False),
                ("2", setup, True),
                ("2", setup + "; exit 3", True),
                # The last one failed.
                ("2", setup, True),
                ("2", setup, False),
            ]
        ):
            with self.subTest(number):
                ended = self.job(
                    f"{A}{number}",
                    {"lock": content},
                    setup=command,
                    setup_if=["*lock", "**/none"],
                    deliver="none",
                )
                wanted += runs
                self.assertEqual("setup" if "exit" in command else None, ended["class"], ended)
                self.assertEqual(wanted, len(count.read_text().split()))

    def test_without_globs_it_is_never_skipped(self) -> None:
        count = self.home / "count"
        for number in range(2):
            self.job(f"{A}{number}", setup=f"echo x >> '{count}'")
        self.assertEqual("x\nx\n", count.read_text())

    def test_one_that_fails_or_takes_too_long_ends_the_attempt_and_no_agent_begins(self) -> None:
        for number, (setup, seconds, said) in enumerate(
            [("echo why; exit 3", 60, "exit status 3"), ("sleep 600", 0.5, "still running")]
        ):
            with self.subTest(setup):
                attempt = f"{A}{number}"
                ended = self.job(
                    attempt, setup=setup, setup_timeout=seconds, command="touch agent-ran"
                )
                self.assertEqual("setup", ended["class"], ended)
                self.assertIn(said, ended["message"])
                self.assertIn("setup.log", ended["message"])
                self.assertFalse((self.tree() / "agent-ran").exists())
                self.assertFalse(self.store.attempt(attempt).has("agent"))
        self.assertEqual("why\n", self.log(A + "0"))

    def test_what_it_leaves_running_lives_until_the_agent_ends(self) -> None:
        ended = self.job(
            setup="sleep 600 & echo $! > server", command="kill -0 $(cat server) && echo lives"
        )
        self.assertIsNone(ended["class"], ended)
        self.assertFalse(alive(int((self.tree() / "server").read_text())))

    def test_it_finds_the_programs_that_the_agent_finds_and_keeps_the_node_awake(self) -> None:
        folder = self.home / ".local" / "bin"
        folder.mkdir(parents=True)
        for name, text in (
            ("tool", "#!/bin/sh\n"),
            ("caffeinate", '#!/bin/sh\nshift\ntouch "$HOME/held"\nexec "$@"\n'),
        ):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        waits = 'until [ -e "$HOME/held" ]; do sleep 0.05; done'
        with mock.patch.dict(os.environ, HOME=str(self.home)):
            ended = self.job(setup=f"tool && {waits}", setup_timeout=20, command="tool")
            self.assertIsNone(ended["class"], ended)
            (self.home / "held").unlink()
            ended = self.job(A + "2", setup=f"{waits}; exit 3", setup_timeout=20)
        self.assertEqual(("setup", []), (ended["class"], ended["survivors"]))
        self.assertIn("exit status 3", ended["message"])

    def test_a_supervisor_that_dies_in_it_proves_that_no_agent_began(self) -> None:
        self.begin_job(self.put(lock="1"), setup="touch begun; sleep 600")
        wait_for((self.tree() / "begun").exists)
        os.kill(self.supervisor(), signal.SIGKILL)
        wait_for(lambda: self.ask("fence", attempt=A + "1")["state"] != "running")
        self.assertEqual("void", self.ask("fence", attempt=A + "1")["state"])

    def test_a_cancel_ends_it(self) -> None:
        self.begin_job(self.put(lock="1"), setup="echo $$ > begun; sleep 600")
        wait_for(lambda: (self.tree() / "begun").exists() and (self.tree() / "begun").read_text())
        ended = self.ask("cancel", attempt=A + "1")
        self.assertEqual(("ended", "cancelled"), (ended["state"], ended["class"]))
        self.assertFalse(alive(int((self.tree() / "begun").read_text())))


if __name__ == "__main__":
    unittest.main()
