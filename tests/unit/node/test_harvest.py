"""Baseline and patch on real trees.

Also runs without pytest: python3.9 -m unittest tests/unit/node/test_harvest.py
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import traceback
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugins" / "plugin_utils"))
import trees
from _node import baseline, harvest
from _node.git import HarvestError


def listing(tree: Path, leave_out: list[str] = ()) -> dict[bytes, tuple[str, bytes]]:
    """What a patch can carry: path -> kind and content."""
    found = {}
    for folder, folders, files in os.walk(os.fsencode(str(tree))):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = [name for name in folders if name != b".git"]
        for name in files + links:
            full = os.path.join(folder, name)
            path = os.path.relpath(full, os.fsencode(str(tree)))
            text = path.decode("utf-8", "backslashreplace")
            if name == b".git" or any(
                text == out.rstrip("/") or out.endswith("/") and text.startswith(out)
                for out in leave_out
            ):
                continue
            if os.path.islink(full):
                found[path] = ("link", os.readlink(full))
            elif os.path.isfile(full):
                found[path] = (
                    "x" if os.stat(full).st_mode & 0o100 else "file",
                    Path(os.fsdecode(full)).read_bytes(),
                )
    return found


class Case(unittest.TestCase):
    def setUp(self):
        self.top = Path(os.path.realpath(tempfile.mkdtemp()))
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.tree = self.top / "tree"
        self.home = self.top / "home"
        self.tree.mkdir()
        self.home.mkdir()

    def git(self, *args, cwd=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        env.update(HOME=str(self.home), XDG_CONFIG_HOME=str(self.home), GIT_CONFIG_NOSYSTEM="1")
        who = ["-c", "core.fsmonitor=false", "-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(
            ["git", *who, *args], cwd=cwd or self.tree, env=env, check=False, capture_output=True
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def write(self, path, data, mode=0o644):
        full = self.tree / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(data if isinstance(data, bytes) else data.encode())
        full.chmod(mode)

    def base(self, *exclude):
        tree_id = baseline.make_baseline(str(self.tree), str(self.top / "g"), exclude)
        shutil.rmtree(self.top / "user", ignore_errors=True)
        (self.top / "user").mkdir()
        self.git(f"--git-dir={self.top}/g", f"--work-tree={self.top}/user", "checkout-index", "-a")
        return tree_id

    def harvest(self, **more):
        return harvest.make_harvest(
            str(self.tree), str(self.top / "g"), str(self.top / "out"), **more
        )

    def check(self, plain=True):
        """Harvest, apply in the user's tree (plainly, or so that the project's .gitattributes don't
        count), compare; returns the result.
        """
        result = self.harvest()
        user = self.top / "user"
        patch = str(self.top / "out" / "changes.patch")
        if result["patch"] and plain:
            self.git("apply", patch, cwd=user)
        elif result["patch"]:
            self.git(
                "-c", "core.autocrlf=false", "apply", "--directory=" + str(user)[1:], patch, cwd="/"
            )
        if result["nested"]:
            subprocess.run(
                ["tar", "-xf", str(self.top / "out" / "nested.tar"), "-C", str(user)], check=True
            )
        out = [entry["path"] for entry in result["left_out"]]
        have = listing(self.top / "user", out)
        want = listing(self.tree, out)
        self.assertEqual(
            [p for p in have.keys() | want.keys() if have.get(p) != want.get(p)],
            [],
            result["left_out"],
        )
        return result

    def why(self, result):
        return {entry["path"]: entry["why"] for entry in result["left_out"]}


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

    def test_nested_repositories_come_whole_and_what_was_tracked_in_them_is_in_the_patch_too(self):
        self.write("sub/tracked", "1\n")
        self.base()
        self.write("sub/tracked", "2\n")
        self.write("new/committed", "x\n")
        for path in ("sub", "new", "new/deeper", "empty"):
            (self.tree / path).mkdir(exist_ok=True)
            self.git("init", "-q", cwd=self.tree / path)
            if path == "new":
                self.git("add", ".", cwd=self.tree / path)
                self.git("commit", "-qm", "x", cwd=self.tree / path)
        self.write("new/deeper/file", "x\n")
        result = self.check()
        self.assertEqual([c["path"] for c in result["changed"]], ["sub/tracked"])
        self.assertEqual(result["nested"], ["empty", "new", "sub"])
        there = [(self.top / name / "new/.git/HEAD").read_bytes() for name in ("tree", "user")]
        self.assertEqual(there[0], there[1])

    def test_attributes_and_users_config_do_not_matter(self):
        (self.home / ".gitconfig").write_text(
            '[core]\n\tautocrlf = true\n\tfsmonitor = touch fired\n[filter "x"]\n\tclean = touch fired\n\trequired\n'
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


class TestReuse(Case):
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
        for i in range(20):
            (self.top / "g" / "objects" / "pack" / f"{i}.keep").touch()
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

    def test_errors_are_harvest_errors(self):
        with self.assertRaisesRegex(HarvestError, "inside the workspace"):
            baseline.make_baseline(str(self.tree), str(self.tree / "g"))
        with self.assertRaises(HarvestError):
            self.harvest()


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
        trees.apply(out, user, plain=not attributes)
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
        for path in map(names.__getitem__, result["nested"]):
            here, there = (
                trees.git(folder / path, "log", "--all", "--format=%H")
                for folder in (self.tree, user)
            )
            self.assertEqual(here, there)
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
