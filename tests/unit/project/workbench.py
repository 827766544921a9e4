"""A project in git, and jobs that work on copies of it as they do on a node."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from ansible_collections.distributed.gummy.plugins.plugin_utils._node import baseline, harvest
from ansible_collections.distributed.gummy.plugins.plugin_utils._node.setup import keep_home
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import branch as _branch

sys.path.insert(0, str(Path(__file__).parents[1] / "node"))
import trees
from trees import identity, said


class Work:
    """A project, and jobs on copies of it."""

    def __init__(self, top):
        self.top = top
        self.project = top / "project"
        self.project.mkdir()
        trees.git(self.project, "init", "-q", "--template=")
        self.commit(self.project, "first", a="1\n2\n3\n4\n5\n", b="b\n", c="c\n")

    def commit(self, tree, message, **files):
        for name, text in files.items():
            (tree / name).write_text(text)
        trees.git(tree, "add", "-A")
        trees.git(tree, "commit", "-qm", message)

    def job(self, change, name="job", project=None, setup=None):
        """(folder, result) of a job whose agent does this in its workspace, after its setup."""
        tree = self.top / f"{name}-tree"
        out = self.top / f"{name}-out"
        for path in (tree, out):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(project or self.project, tree, symlinks=True)
        git_dir = str(self.top / f"{name}-git")
        home = baseline.make_baseline(str(tree), git_dir)
        if setup is not None:
            setup(tree)
            baseline.make_baseline(str(tree), git_dir)
            keep_home(str(tree), git_dir, home)
        base = said(self.project, "rev-parse", "HEAD")
        change(tree)
        return str(out), {
            "harvest": harvest.make_harvest(str(tree), git_dir, str(out), "branch"),
            "base": base,
            "begun_at": 1e9,
        }

    def deliver(self, job, name="job", project=None):
        before = identity(self.project)
        made = _branch.deliver_branch(
            str(project or self.project),
            *job,
            run_id="run",
            job=name,
            title=f"{name}: what was asked",
        )
        assert identity(self.project) == before
        return made

    def show(self, branch, path):
        return trees.git(self.project, "show", f"{branch}:{path}").decode()

    def log(self, branch):
        return said(self.project, "log", "--format=%an|%s", branch).splitlines()


def agent(tree):
    (tree / "a").write_text("1\n2\n3\n4\nfive\n")
    (tree / "b").unlink()
    (tree / "new").write_text("new\n")
