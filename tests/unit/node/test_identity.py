"""Who an agent commits as where nobody said it. Runs without pytest."""

from __future__ import annotations

import os
import subprocess
import unittest

from node_case import A, NodeCase

COMMIT = "git commit -q --allow-empty -m x && git log -1 --format='%an <%ae> %cn <%ce>' > who"


class IdentityTest(NodeCase):
    def who(self, **env: str) -> str:
        self.env.update(env)
        generation = self.claim()["generation"]
        subprocess.run(["git", "init", "-q"], cwd=self.tree(), check=True)
        self.prepare()
        reply = self.ask(
            "start", attempt=A + "1", generation=generation, spec=self.spec(command=COMMIT)
        )
        self.assertEqual("started", reply["state"], reply)
        ended = self.end()
        self.assertIsNone(ended["class"], ended)
        return (self.tree() / "who").read_text().strip()

    def prepare(self) -> None:
        """What a test does to the workspace before the agent."""

    def test_without_any_it_is_a_neutral_one(self) -> None:
        neutral = "gummy agent <agent@localhost>"
        self.assertEqual(f"{neutral} {neutral}", self.who(GIT_CONFIG_NOSYSTEM="1"))

    def test_what_the_node_says_counts(self) -> None:
        (self.home / ".gitconfig").write_text("[user]\n\tname = N\n\temail = n@n\n")
        self.assertEqual("N <n@n> N <n@n>", self.who())

    def test_what_the_project_says_counts_and_only_what_lacks_is_given(self) -> None:
        def prepare() -> None:
            words = ["git", "config", "user.email", "p@p"]
            subprocess.run(words, cwd=self.tree(), check=True)

        self.prepare = prepare
        self.assertEqual("gummy agent <p@p> gummy agent <p@p>", self.who(GIT_CONFIG_NOSYSTEM="1"))

    def test_where_the_environment_has_one_it_stays(self) -> None:
        names = {"GIT_AUTHOR_NAME": "E", "GIT_AUTHOR_EMAIL": "e@e", "GIT_CONFIG_NOSYSTEM": "1"}
        self.assertEqual("E <e@e> gummy agent <agent@localhost>", self.who(**names))
        self.assertNotIn("GIT_COMMITTER_NAME", os.environ)


if __name__ == "__main__":
    unittest.main()
