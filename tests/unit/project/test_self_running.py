"""Which changes of a job people are told of, for they run by themselves."""

from __future__ import annotations

import subprocess
import tempfile

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.self_running import (
    NAMED_MOST,
    describe_self_running,
    self_running,
    self_running_in,
)


@pytest.mark.parametrize(
    "path",
    [
        ".envrc",
        "sub/.envrc",
        ".husky/pre-commit",
        ".husky",
        ".vscode/tasks.json",
        "a/b/.VSCode/tasks.json",
        ".github/workflows/ci.yml",
        ".gitlab-ci.yml",
        "Jenkinsfile",
        ".claude/settings.json",
        ".claude/settings.local.json",
        ".mcp.json",
        ".pre-commit-config.yaml",
        "ansible.cfg",
    ],
)
def test_what_runs_by_itself_is_named_wherever_it_lies(path):
    assert self_running(["a.py", path, "b.py"]) == [path]
    assert path in describe_self_running([path])


@pytest.mark.parametrize(
    "path",
    ["CLAUDE.md", ".claude/CLAUDE.md", "src/envrc", ".github/README.md", "vscode/x", "x.envrc", ""],
)
def test_what_is_only_read_is_not(path):
    assert self_running([path]) == [] and describe_self_running([]) == ""


def test_the_paths_are_those_of_the_patch_and_of_the_branch(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("a.py", ".envrc", "x\ny/.envrc"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("x\n")
    subprocess.run(["git", "init", "-q", "."], cwd=tree, check=True)
    subprocess.run(["git", "add", "-A"], cwd=tree, check=True)
    patch = subprocess.run(
        ["git", "diff", "--cached", "--binary"], cwd=tree, check=True, capture_output=True
    ).stdout
    (tmp_path / "changes.patch").write_bytes(patch)
    assert self_running_in(str(tmp_path)) == [".envrc", "x\ny/.envrc"]

    (tmp_path / "branch.raw").write_bytes(b":0 1 2 3 A\0.mcp.json\0")
    assert self_running_in(str(tmp_path)) == [".envrc", ".mcp.json", "x\ny/.envrc"]

    many = b"".join(b":0\0%03d/.envrc\0" % number for number in range(100))
    (tmp_path / "branch.raw").write_bytes(many)
    assert len(self_running_in(str(tmp_path))) == NAMED_MOST


def test_a_repository_above_the_temporary_folder_changes_nothing(tmp_path, monkeypatch):
    above = tmp_path / "above"
    (above / "tmp").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "."], cwd=above, check=True)
    (above / "tmp" / "x").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(above / "tmp" / "x"))
    patch = b"diff --git a/.envrc b/.envrc\nnew file mode 100644\n--- /dev/null\n+++ b/.envrc\n"
    (tmp_path / "changes.patch").write_bytes(patch + b"@@ -0,0 +1 @@\n+x\n")
    assert self_running_in(str(tmp_path)) == [".envrc"]


def test_without_a_patch_that_can_be_read_there_are_none(tmp_path):
    assert self_running_in(str(tmp_path)) == []
    (tmp_path / "changes.patch").write_text("no patch\n")
    assert self_running_in(str(tmp_path)) == []
