"""Git as a node uses it: nobody's settings, a git dir outside the workspace, errors in words."""

from __future__ import annotations

import os
from unittest import mock

from harvest_case import Case
from harvest_case import git as gits


class GitTest(Case):
    def make(self, git_dir: str = "g") -> gits.Git:
        path = self.top / git_dir
        self.git("init", "-q", "--bare", str(path), cwd=self.top)
        return gits.Git(str(self.tree), str(path))

    def test_a_git_dir_in_the_workspace_or_a_missing_workspace_is_an_error(self) -> None:
        with self.assertRaisesRegex(gits.HarvestError, "lies inside the workspace"):
            gits.Git(str(self.tree), str(self.tree / "sub" / "g"))
        with self.assertRaisesRegex(gits.HarvestError, "is not a directory"):
            gits.Git(str(self.top / "nothing"), str(self.top / "g"))

    def test_a_command_that_fails_is_an_error_with_git_s_own_words(self) -> None:
        git = self.make()
        with self.assertRaisesRegex(gits.HarvestError, "^git cat-file ended with 128: fatal: "):
            git("cat-file", "-t", "nothing")
        git("cat-file", "-t", "nothing", ok=(0, 128))
        self.assertTrue(git.failed)
        self.assertIn(b"fatal: ", git.errors)
        git("version")
        self.assertFalse(git.failed)
        nowhere = mock.patch.dict(os.environ, PATH=str(self.top))
        with nowhere, self.assertRaisesRegex(gits.HarvestError, "^git version: "):
            git("version")

    def test_no_setting_of_the_user_is_read(self) -> None:
        (self.home / ".gitconfig").write_text("[user]\n\tname = user\n")
        variables = {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "user.email",
            "GIT_CONFIG_VALUE_0": "e",
            "GIT_DIR": "/nowhere",
        }
        git = self.make()
        with mock.patch.dict(os.environ, variables):
            names = git("config", "--list", "--name-only").decode().split()
        self.assertEqual([], [name for name in names if name.startswith("user.")])
        self.assertIn("core.hookspath", names)

    def test_nothing_that_the_agent_s_repository_asks_for_is_run(self) -> None:
        git = self.make()
        self.git("init", "-q")
        self.write("watcher", f"#!/bin/sh\ntouch '{self.top}/ran'\n", mode=0o755)
        self.git("config", "core.fsmonitor", str(self.tree / "watcher"))
        self.write("file", "x")
        self.assertIn(b"file", git.names("-o", own=False))
        self.assertFalse((self.top / "ran").exists())

    def test_a_path_that_is_no_utf_8_can_be_shown(self) -> None:
        self.assertEqual("ü\\xff", gits.text("ü".encode() + b"\xff"))
        self.assertEqual("plain", gits.text("plain"))

    def test_a_git_that_is_a_link_or_a_file_is_not_followed(self) -> None:
        git = self.make()
        other = self.top / "other"
        other.mkdir()
        self.git("init", "-q", cwd=other)
        for lead in (
            lambda path: path.symlink_to(other / ".git"),
            lambda path: path.write_text(f"gitdir: {other}/.git"),
        ):
            lead(self.tree / ".git")
            with self.assertRaisesRegex(gits.HarvestError, "not followed"):
                git("show-ref", own=False)
            (self.tree / ".git").unlink()
