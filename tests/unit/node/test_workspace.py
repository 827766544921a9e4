"""The tree that an agent finds after a sync. Also runs without pytest."""

from __future__ import annotations

import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugins" / "plugin_utils"))
from _node import workspace


class TestTidy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = Path(folder.name) / "tree"

    def files(self):
        return sorted(
            str(path.relative_to(self.tree)) for path in self.tree.rglob("*") if path.is_file()
        )

    def test_locks_and_other_work_trees_go_and_all_else_stays(self):
        kept = [".git/HEAD", ".git/objects/aa.lock", ".git/refs/heads/main", "poetry.lock"]
        for name in [
            *kept,
            ".git/index.lock",
            ".git/refs/heads/deep/main.lock",
            ".git/worktrees/one/HEAD",
        ]:
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).touch()
        workspace.tidy(str(self.tree))
        self.assertEqual(kept, self.files())

    def test_a_git_that_is_no_folder_of_the_tree_is_left_alone(self):
        self.tree.mkdir()
        (self.tree.parent / "elsewhere").mkdir()
        (self.tree.parent / "elsewhere" / "index.lock").touch()
        os.symlink("../elsewhere", self.tree / ".git")
        workspace.tidy(str(self.tree))
        self.assertTrue((self.tree.parent / "elsewhere" / "index.lock").exists())

    def test_a_link_where_the_refs_should_be_is_not_followed(self):
        (self.tree / ".git").mkdir(parents=True)
        elsewhere = self.tree.parent / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "of-others.lock").touch()
        os.symlink(elsewhere, self.tree / ".git" / "refs")
        workspace.tidy(str(self.tree))
        self.assertTrue((elsewhere / "of-others.lock").exists())


if __name__ == "__main__":
    unittest.main()
