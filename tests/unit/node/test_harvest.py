"""The harvest of real trees: the patch, and what is listed because a patch can't hold it.

Also runs without pytest: python3.9 -m unittest tests/unit/node/test_harvest.py
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import traceback
import unittest

import trees
from harvest_case import Case, baseline


class TestPatch(Case):
    def test_every_kind_of_change_comes_home_and_is_counted(self):
        for name in ("mod", "gone", "moved", "x"):
            self.write(name, f"{name}\nline\n" * 5)
        self.write("bin", bytes(range(256)))
        self.base()
        self.write("mod", "mod\nnew end, no newline")
        self.write("bin", bytes(range(255, -1, -1)) * 9)
        (self.tree / "gone").unlink()
        (self.tree / "moved").rename(self.tree / "to here")
        (self.tree / "x").chmod(0o755)
        (self.tree / "dangling").symlink_to("no/where")
        result = self.check()
        found = {
            change["path"]: (change["status"], change["added"], change["deleted"])
            for change in result["changed"]
        }
        self.assertEqual(found["mod"], ("modified", 1, 9))
        self.assertEqual(found["bin"], ("modified", None, None))
        self.assertEqual(found["gone"], ("deleted", 0, 10))
        self.assertEqual(found["to here"], ("added", 10, 0))
        self.assertEqual(found["x"], ("modified", 0, 0))
        self.assertEqual(
            (result["files"], result["added"], result["deleted"], result["left_out"]),
            (7, 12, 29, []),
        )

    def test_nothing_changed_and_an_empty_project_give_no_patch(self):
        self.base()
        nothing = {
            "patch": None,
            "files": 0,
            "added": 0,
            "deleted": 0,
            "changed": [],
            "left_out": [],
        }
        beside = {"nested": [], "head": None, "commits": {}, "artifacts": 0}
        self.assertEqual(self.harvest(), {**nothing, **beside})
        self.assertFalse((self.top / "out" / "changes.patch").exists())

    def test_commits_of_the_agent_count_by_content_and_its_repository_is_only_read(self):
        self.git("init", "-q")
        self.write("a", "1\n")
        self.git("add", ".")
        self.git("commit", "-qm", "one")
        self.base()
        self.write("a", "2\n")
        self.git("commit", "-qam", "two")
        self.write("b", "dirty\n")
        before = {
            p: (p.stat().st_mtime_ns, p.stat().st_size) for p in (self.tree / ".git").rglob("*")
        }
        self.assertEqual([c["path"] for c in self.check()["changed"]], ["a", "b"])
        self.assertEqual(
            {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in (self.tree / ".git").rglob("*")},
            before,
        )

    def test_ignored_files_are_counted_tracked_ones_carried(self):
        self.git("init", "-q")
        self.write(".gitignore", "dist/\n*.log\n")
        self.write("dist/kept.js", "1\n")
        self.write("forced.log", "1\n")
        self.git("add", "-f", ".")
        self.write("dist/junk", "old\n")
        self.base()
        self.write("dist/kept.js", "2\n")
        (self.tree / "forced.log").unlink()
        self.write("later/x", "ignored from now on")
        self.write(".gitignore", "dist/\n*.log\nlater\n")
        result = self.harvest()
        self.assertEqual(
            [c["path"] for c in result["changed"]], [".gitignore", "dist/kept.js", "forced.log"]
        )
        self.assertEqual(self.why(result), {"dist/junk": "ignored", "later/": "ignored"})

    def test_without_a_repository_everything_sent_is_baseline(self):
        self.write(".gitignore", "*.log\n")
        self.write("a.log", "1\n")
        self.base()
        self.write("a.log", "2\n")
        self.write("new.log", "ignored\n")
        self.assertEqual([c["path"] for c in self.check()["changed"]], ["a.log"])

    def test_excluded_files_never_appear(self):
        self.git("init", "-q")
        self.write(".gitignore", "!keep.log\n")
        for name in ("keep.log", "node_modules/x", "sub/cache/y", "#odd"):
            self.write(name, "of an earlier job")
        self.git("add", ".")
        self.base("*.log", "node_modules", "sub/cache", "#odd")
        for name in ("keep.log", "node_modules/x", "sub/cache/y", "#odd"):
            self.write(name, "changed")
        self.assertEqual(self.harvest()["files"], 0)

    def test_attributes_and_users_config_do_not_matter(self):
        (self.home / ".gitconfig").write_text(
            "[core]\n\tautocrlf = true\n\tfsmonitor = touch fired\n"
            '[filter "x"]\n\tclean = touch fired\n\trequired\n'
        )
        os.environ["GIT_DIR"] = "/nonexistent"
        old_home = os.environ.get("HOME")
        os.environ["HOME"] = str(self.home)
        self.addCleanup(os.environ.pop, "GIT_DIR")
        self.addCleanup(os.environ.__setitem__, "HOME", old_home or "/")
        self.write("crlf.txt", b"one\r\ntwo\r\n")
        self.write(
            ".gitattributes",
            b"* filter=x\n*.dat ident\n*.u16 working-tree-encoding=UTF-16\n*.no -diff\n",
        )
        self.write("id.dat", b"$Id: 123 $\n")
        self.write("w.u16", "text\n".encode("utf-16"))
        self.base()
        self.write("crlf.txt", b"one\r\n2\r\n")
        self.write("id.dat", b"$Id: 456 $\nmore")
        self.write("w.u16", "text 2\n".encode("utf-16"))
        self.write("t.no", b"lines\n")
        self.git("init", "-q", cwd=self.top / "user")
        self.assertEqual(
            [(c["path"], c["added"]) for c in self.harvest()["changed"]],
            [("crlf.txt", 1), ("id.dat", 2), ("t.no", 1), ("w.u16", None)],
        )
        self.check(plain=False)
        self.assertEqual(list(self.top.rglob("fired")), [])

    def test_plain_apply_in_a_checkout_with_autocrlf(self):
        (self.home / ".gitconfig").write_text("[core]\n\tautocrlf = true\n")
        self.write("crlf.txt", b"one\r\ntwo\r\n")
        self.base()
        self.write("crlf.txt", b"one\r\n2\r\n")
        self.git("init", "-q", cwd=self.top / "user")
        self.assertEqual(self.check()["files"], 1)

    def test_what_a_patch_cannot_carry_is_listed(self):
        (self.tree / "old empty").mkdir()
        self.write("was a file", "x")
        self.base()
        (self.tree / "new empty").mkdir()
        os.mkfifo(str(self.tree / "fifo"))
        (self.tree / "was a file").unlink()
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(self.tree / "was a file"))
        self.write(".GIT/x", "x")
        result = self.harvest()
        self.assertEqual(result["files"], 0)
        special = "socket, fifo or device"
        self.assertEqual(
            self.why(result),
            {
                "new empty/": "empty folder",
                "fifo": special,
                "was a file": special,
                ".GIT/x": "git refuses this name",
            },
        )

    def test_unreadable_files_are_listed_and_not_deleted(self):
        self.write("tracked", "1")
        self.write("shut/inside", "1")
        self.write("other", "1")
        self.base()
        self.write("other", "2")
        self.write("secret", "x", mode=0)
        (self.tree / "tracked").chmod(0)
        (self.tree / "shut").chmod(0)
        self.addCleanup((self.tree / "shut").chmod, 0o700)
        result = self.unprivileged()
        self.assertEqual([c["path"] for c in result["changed"]], ["other"])
        self.assertEqual(
            self.why(result),
            {"secret": "not readable", "tracked": "not readable", "shut/": "not readable"},
        )

    def unprivileged(self):
        """The harvest as somebody whom modes bind."""
        if os.geteuid() != 0:
            return self.harvest()
        subprocess.run(["chown", "-R", "65534:65534", str(self.top)], check=True)
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            os.setgid(65534)
            os.setuid(65534)
            try:
                os.write(into, repr(self.harvest()).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(into)
        with open(out, "rb") as f:
            return eval(f.read().decode())


class RandomTree(Case):
    """One of them."""

    def tree_of(self, seed):
        tree = trees.Tree(self.tree, seed)
        tree.fill()
        subprocess.run(["cp", "-a", str(self.tree), str(self.top / "user")], check=True)
        shutil.rmtree(self.top / "user" / ".git", ignore_errors=True)
        baseline.make_baseline(str(self.tree), str(self.top / "g"))
        tree.change()
        self.result = self.harvest(artifacts=trees.ARTIFACTS)
        self.check_that_all_is_there(tree)

    def check_that_all_is_there(self, tree):
        result = self.result
        out = self.top / "out"
        user = self.top / "user"
        attributes = any((folder / ".gitattributes").exists() for folder in (user, self.tree))
        trees.apply(out, user, not attributes, result["nested"])
        have = trees.listing(user)
        want = trees.listing(self.tree)
        self.assertEqual([], trees.differences(have, want, result["left_out"]))
        self.assertGreater(result["files"], 10)
        brought = trees.listing(out / "artifacts")
        artifacts = {b"built/deep", b"kept folder"}
        self.assertEqual(result["artifacts"], len(brought))
        self.assertLessEqual(
            {
                path
                for path in want
                if os.path.dirname(path) in artifacts or path.endswith(b".ign") and b"/" not in path
            },
            brought.keys(),
        )
        self.assertEqual(
            {path: data for path, (_mode, data) in brought.items()},
            {path: want[path][1] for path in brought},
        )
        names = {
            path.decode("utf-8", "backslashreplace"): os.fsdecode(path)
            for path in trees.repositories(self.tree)
        }
        for number, path in enumerate(map(names.__getitem__, result["nested"]), 1):
            bundle = str(out / "nested" / f"{number}.bundle")
            trees.git(user / path, "fetch", "-q", bundle, "+refs/*:refs/theirs/*")
            here, there = (
                set(trees.git(folder / path, "log", "--all", "--format=%H").split())
                for folder in (self.tree, user)
            )
            self.assertLessEqual(here, there)
        self.assertGreaterEqual(len(result["nested"]), 3)
        if tree.has_git:
            heads = trees.git(
                self.tree, "for-each-ref", "--format=%(objectname)", "refs/heads"
            ).split()
            trees.git(self.tree, "bundle", "verify", str(out / "commits.bundle"))
            self.assertLessEqual(set(result["commits"].values()), {head.decode() for head in heads})


def one_tree(seed):
    """What is wrong with this one, or blank."""
    case = RandomTree("tree_of")
    try:
        case.setUp()
        case.tree_of(seed)
        return ""
    # Any problem is told, with its seed.
    except Exception:  # noqa: BLE001
        return f"seed {seed}: {traceback.format_exc()}"
    finally:
        case.doCleanups()


class TestRandomTrees(unittest.TestCase):
    def test_applying_the_harvest_to_a_copy_of_the_baseline_gives_the_workspace(self):
        """A few, for this Python; tests/integration/test_random_trees.py has the two hundred."""
        self.assertEqual([], list(filter(None, map(one_tree, range(12)))))


if __name__ == "__main__":
    unittest.main()
