"""A project, its workspace and a user's copy of it, for tests of baselines and harvests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugins" / "plugin_utils"))

import trees
from _node import baseline, beside, git, harvest

# The tests take the node program's parts from here, where the path is set.
__all__ = ["baseline", "beside", "git", "harvest"]


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
        """Harvest, apply in the user's tree, and compare; returns the result.

        It is applied plainly, or so that the project's .gitattributes don't count.
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
        trees.apply_nested(self.top / "out", user, result["nested"])
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
