"""Which changes of a job people are told of, for they run by themselves."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import (
    self_running as _self_running,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.self_running import (
    KEPT_MOST,
    NAMED_MOST,
    SelfRunning,
    look_for_self_running,
    self_running,
)
from workbench import Work, trees


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
    assert path in SelfRunning((path,), 1).describe()


@pytest.mark.parametrize(
    "path",
    ["CLAUDE.md", ".claude/CLAUDE.md", "src/envrc", ".github/README.md", "vscode/x", "x.envrc", ""],
)
def test_what_is_only_read_is_not(path):
    assert self_running([path]) == [] and SelfRunning().describe() == ""


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
    assert look_for_self_running(str(tmp_path)).paths == (".envrc", "x\ny/.envrc")

    (tmp_path / "branch.raw").write_bytes(b":0 1 2 3 A\0.mcp.json\0")
    found = look_for_self_running(str(tmp_path))
    assert found.paths == (".envrc", ".mcp.json", "x\ny/.envrc") and found.count == 3

    many = b"".join(b":0\0%04d/.envrc\0" % number for number in range(KEPT_MOST + 50))
    (tmp_path / "branch.raw").write_bytes(many)
    found = look_for_self_running(str(tmp_path))
    assert (len(found.paths), found.count) == (KEPT_MOST, KEPT_MOST + 52)
    assert found.describe().endswith(f", and {found.count - NAMED_MOST} more")


def test_without_a_patch_there_are_none_and_one_that_can_not_be_read_is_named(tmp_path):
    assert look_for_self_running(str(tmp_path)) == SelfRunning()
    (tmp_path / "changes.patch").write_text("no patch\n")
    found = look_for_self_running(str(tmp_path))
    assert found.paths == () and found.not_looked_at[0].startswith("changes.patch (")
    assert found.describe().startswith("not looked at for that: changes.patch (")


def test_many_of_one_kind_push_no_other_kind_off_the_line():
    decoys = [f"{letter}/{number}.code-workspace" for letter in "abc" for number in range(100)]
    decoys += [f".gitlab/{number}" for number in range(100)]
    dangers = ["z/.husky/pre-commit", ".github/workflows/z.yml", "z/.envrc", "z/.mcp.json"]
    found = self_running([*decoys, *dangers])
    assert len(found) == len(decoys) + len(dangers)
    assert {*dangers} <= {*found[:NAMED_MOST]}
    assert self_running(["a/b/.envrc", "z/.envrc", ".envrc"]) == [
        ".envrc",
        "z/.envrc",
        "a/b/.envrc",
    ]


def test_a_repository_above_the_temporary_folder_has_no_say(tmp_path, monkeypatch):
    trees.git(tmp_path, "init", "-q", "--template=")
    (tmp_path / "deep").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "deep"))
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "changes.patch").write_text(
        "diff --git a/.envrc b/.envrc\nnew file mode 100644\n--- /dev/null\n+++ b/.envrc\n"
        "@@ -0,0 +1 @@\n+x\n"
    )
    assert look_for_self_running(str(tmp_path / "job")).paths == (".envrc",)


def test_a_hundred_thousand_paths_take_no_more_than_one_look_at_each():
    # Of the processor, and generously: a pattern after the other took a minute.
    paths = [f"some/folder/of/a/project/file-{number}.py" for number in range(100_000)]
    paths += ["azure-pipelines" + ".y" * 2000 + "x", "/" * 4000]
    begun = time.process_time()
    assert self_running(paths) == []
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("limit", ["PATHS_MOST", "RAW_MOST", "NESTED_MOST", "NESTED_SECONDS"])
def test_what_is_over_a_limit_is_told(limit, tmp_path, monkeypatch):
    raw = b"".join(b":0\0%d/x\0" % number for number in range(100))
    (tmp_path / "branch.raw").write_bytes(raw)
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested" / "1.bundle").write_bytes(b"x" * 100)
    monkeypatch.setattr(_self_running, limit, -1 if limit == "NESTED_SECONDS" else 10)
    assert any(
        words in look_for_self_running(str(tmp_path)).describe()
        for words in ("more than 10 paths", "larger than", "too large", "too long")
    )


def test_a_patch_that_unpacks_to_more_than_the_memory_is_not_looked_at(tmp_path, monkeypatch):
    script = 'ulimit -v 60000; exec "$@"'
    module = "ansible_collections.distributed.gummy.plugins.plugin_utils._project.git"
    monkeypatch.setattr(f"{module}.WITH_LITTLE_MEMORY", ("/bin/sh", "-c", script, "sh"))
    work = Work(tmp_path)
    folder, _result = work.job(lambda tree: (tree / "zeros").write_bytes(bytes(200 << 20)))
    assert os.path.getsize(f"{folder}/changes.patch") < 10 << 20
    (line,) = look_for_self_running(folder).not_looked_at
    assert line.startswith("changes.patch (") and "memory" in line


def test_what_nested_repositories_and_the_branch_bring_is_looked_at(tmp_path):
    work = Work(tmp_path)
    vendor = work.project / "vendor"
    vendor.mkdir()
    trees.git(vendor, "init", "-q", "--template=")
    work.commit(vendor, "first", v="v\n")

    def agent(tree):
        (tree / "vendor" / ".envrc").write_text("x\n")
        (tree / "vendor" / ".husky").mkdir()
        (tree / "vendor" / ".husky" / "pre-commit").write_text("x\n")
        (tree / "a").write_text("x\n")

    folder, result = work.job(agent)
    nested = result["harvest"]["nested"]
    found = look_for_self_running(folder, nested=nested)
    assert (found.paths, found.not_looked_at) == (("vendor/.husky/pre-commit", "vendor/.envrc"), ())

    bundle = Path(folder, "nested", "1.bundle")
    bundle.write_bytes(bundle.read_bytes().replace(b"gummy/work", b"gummy/none"))
    found = look_for_self_running(folder, nested=nested)
    assert found.not_looked_at == ("nested/1.bundle (it has no refs/gummy/work)",)

    # A node that means harm has the branch bring what is nowhere else.
    base = trees.said(work.project, "rev-parse", "HEAD")
    work.commit(work.project, "evil", **{".envrc": "x\n"})
    made = {"base": base, "commit": trees.said(work.project, "rev-parse", "HEAD")}
    found = look_for_self_running(folder, nested=nested, project=str(work.project), delivered=made)
    assert ".envrc" in found.paths
