"""Baselines: one git dir serves many of them, and what it can't take is an error."""

from __future__ import annotations

import os
import shutil
from unittest import mock

from harvest_case import Case, baseline
from harvest_case import git as gits


class BaselineTest(Case):
    def test_the_same_git_dir_serves_the_next_job_and_a_second_harvest(self):
        self.write("a", "1\n")
        self.write("b", "1\n")
        first = self.base()
        self.write("a", "2\n")
        (self.tree / "b").unlink()
        self.assertEqual(self.harvest(), self.harvest())
        second = self.base()
        self.assertNotEqual(first, second)
        self.assertIsNone(self.harvest()["patch"])
        self.write("c", "3\n")
        self.assertEqual([c["path"] for c in self.check()["changed"]], ["c"])

    def test_a_broken_or_overgrown_git_dir_is_made_anew(self):
        self.write("a", "1\n")
        tree_id = self.base()
        (self.top / "g" / "index").write_bytes(b"DIRC\0\0\0\2\0\0\0\1 rubbish")
        self.assertEqual(self.base(), tree_id)
        for i in range(baseline.MOST_PACKS):
            (self.top / "g" / "objects" / "pack" / f"pack-{i}.pack").touch()
        self.assertEqual(self.base(), tree_id)
        self.assertEqual(list((self.top / "g" / "objects" / "pack").iterdir()), [])

    def test_leftovers_that_are_ignored_now_leave_the_baseline(self):
        self.git("init", "-q")
        self.write("cache/x", "1")
        self.base()
        self.write(".gitignore", "cache\n")
        self.base()
        self.write("cache/x", "2")
        self.assertEqual(self.harvest()["files"], 0)

    def test_a_git_that_git_takes_for_no_repository_hides_nothing_of_what_lies_beside_it(self):
        self.write("plain/a", "1\n")
        (self.tree / "plain" / ".git").mkdir()
        self.write("file/.git", "not of git\n")
        self.write("ignored", "1\n")
        self.write(".gitignore", "ignored\n")
        (self.tree / ".git").mkdir()
        self.base()
        self.write("plain/a", "2\n")
        self.write("plain/new", "new\n")
        self.write("file/new", "new\n")
        (self.tree / "late" / ".git" / "hooks").mkdir(parents=True)
        self.write("late/new", "new\n")
        self.write("ignored", "2\n")
        harvest = self.harvest()
        self.assertEqual(
            {change["path"] for change in harvest["changed"]},
            {"ignored", "plain/a", "plain/new", "file/new", "late/new"},
        )
        self.assertEqual(harvest["nested"], [])
        self.assertIn(
            {"path": "late/.git", "why": "a .git that is no repository"}, harvest["left_out"]
        )

    def test_very_many_new_files_make_one_pack_and_the_same_tree(self):
        for i in range(baseline.LOOSE_MOST + 1):
            self.write(f"d{i % 10}/{i}", f"{i}\n")
        loose = list((self.top / "g" / "objects").glob("??/*"))
        first = self.base()
        packs = list((self.top / "g" / "objects" / "pack").glob("*.pack"))
        if baseline._packs_at_once(gits.Git(str(self.tree), str(self.top / "g"))):
            self.assertEqual((len(packs), loose), (1, []))
        with mock.patch.object(baseline, "_packs_at_once", lambda git: False):
            self.assertEqual(self.base(), first)
        self.write("d1/1", "changed\n")
        self.assertEqual([c["path"] for c in self.check()["changed"]], ["d1/1"])

    def test_more_files_go_into_several_packs_and_what_git_refuses_is_told_of_each(self):
        for i in range(12):
            self.write(f"d{i % 3}/{i}", f"{i}\n")
        self.write(".GIT/x", "comes first, and git refuses it")
        first = self.base()
        shutil.rmtree(self.top / "g")
        with (
            mock.patch.object(baseline, "LOOSE_MOST", 5),
            mock.patch.object(baseline, "FEW_FILES", 4),
        ):
            self.assertEqual(self.base(), first)
        git = gits.Git(str(self.tree), str(self.top / "g"))
        odd = dict(baseline.read_state(git)["odd"])
        self.assertEqual(odd, {".GIT/x": "git refuses this name"})
        packs = list((self.top / "g" / "objects" / "pack").glob("*.pack"))
        if baseline._packs_at_once(git):
            self.assertEqual(len(packs), 4)
            # They leave room for more before the git dir is made anew.
            self.assertLess(baseline.PACKS, baseline.MOST_PACKS)
            self.assertTrue(baseline._worth_keeping(git))
        self.write("d1/1", "changed\n")
        self.assertEqual([c["path"] for c in self.harvest()["changed"]], ["d1/1"])

    def test_errors_are_harvest_errors(self):
        with self.assertRaisesRegex(gits.HarvestError, "inside the workspace"):
            baseline.make_baseline(str(self.tree), str(self.tree / "g"))
        with self.assertRaises(gits.HarvestError):
            self.harvest()

    def test_patterns_of_rsync_mean_the_same_to_git(self):
        for pattern, rule in (
            ("*.log", "--exclude=*.log"),
            ("cache/", "--exclude=cache/"),
            ("sub/cache", "--exclude=**/sub/cache"),
            ("/top/x", "--exclude=/top/x"),
            ("!odd", "--exclude=\\!odd"),
        ):
            with self.subTest(pattern):
                self.assertEqual(rule, baseline._rule(pattern))

    def test_what_git_could_not_take_is_an_error_and_not_left_out(self):
        self.write("a", "1")
        self.base()
        self.write("a", "2")
        real = gits.Git.__call__

        def full(git, *args, **more):
            """As on a full disk: nothing new can be stored."""
            if args[0] == "add":
                git.failed = True
                return b""
            return real(git, *args, **more)

        error = self.assertRaisesRegex(gits.HarvestError, "could not take 1 files, a among them")
        with mock.patch.object(gits.Git, "__call__", full), error:
            self.harvest()

    def test_the_state_is_gone_while_a_baseline_is_made(self):
        self.write("a", "1")
        self.base()
        state = os.path.join(self.top, "g", baseline.STATE)
        self.assertTrue(os.path.exists(state))
        error = self.assertRaisesRegex(gits.HarvestError, "baseline of .*full")
        with mock.patch.object(baseline, "_make", side_effect=OSError("full")), error:
            self.base()
        self.assertFalse(os.path.exists(state))
