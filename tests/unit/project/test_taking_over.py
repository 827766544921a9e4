"""What docs/results.md says to type for a nested repository, with harvests that mean harm."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from workbench import Work, trees

PAGE = Path(__file__).parents[3] / "docs" / "results.md"


@pytest.fixture
def work(tmp_path):
    made = Work(tmp_path)
    vendor = made.project / "vendor"
    vendor.mkdir()
    trees.git(vendor, "init", "-q", "--template=")
    made.commit(vendor, "first", v="v\n")
    return made


def take_over(work, folder, number=1):
    """The page's own commands; returns whether all of them were done."""
    block = re.search(r"```bash\n((?:git -C vendor .*\n)+)```", PAGE.read_text(encoding="utf-8"))
    assert block is not None
    lines = block[1].splitlines()
    assert any("fetch" in line for line in lines) and any("checkout" in line for line in lines)
    for line in lines:
        words = line.replace("JOB_FOLDER", shlex.quote(folder)).replace("1.b", f"{number}.b")
        done = subprocess.run(["sh", "-c", words], cwd=work.project, check=False)
        if done.returncode:
            return False
    return True


def own_files(work):
    """What lies in the repository's own folder, but for what a fetch writes."""
    git_dir = work.project / "vendor" / ".git"
    return {
        path: path.read_bytes()
        for path in git_dir.rglob("*")
        if path.is_file()
        and path.relative_to(git_dir).parts[0] not in ("objects", "FETCH_HEAD", "index")
    }


def test_an_agent_s_commits_and_files_come_and_none_of_its_hooks_and_settings(work):
    def agent(tree):
        vendor = tree / "vendor"
        trees.git(vendor, "commit", "-q", "--allow-empty", "-m", "of the agent")
        hook = vendor / ".git" / "hooks" / "post-checkout"
        hook.parent.mkdir()
        hook.write_text(f"#!/bin/sh\ntouch {work.top}/ran\n")
        hook.chmod(0o755)
        trees.git(vendor, "config", "core.hooksPath", str(hook.parent))
        trees.git(vendor, "config", "core.fsmonitor", f"touch {work.top}/ran; false")
        trees.git(vendor, "config", "filter.f.clean", f"touch {work.top}/ran; cat")
        trees.git(vendor, "config", "filter.f.smudge", f"touch {work.top}/ran; cat")
        (vendor / ".gitattributes").write_text("* filter=f\n")
        (vendor / "new").write_text("new\n")
        (vendor / "v").write_text("v2\n")
        (vendor / "odd\n -name").write_text("odd\n")

    folder, result = work.job(agent)
    # The agent's own repository ran what it asked for.
    (work.top / "ran").unlink(missing_ok=True)
    assert result["harvest"]["nested"] == ["vendor"]
    before = own_files(work)
    assert take_over(work, folder) and own_files(work) == before
    vendor = work.project / "vendor"
    there = {path.name for path in vendor.iterdir()}
    assert there == {".git", ".gitattributes", "new", "odd\n -name", "v"}
    assert (vendor / "v").read_text() == "v2\n"
    assert trees.said(vendor, "log", "-1", "--format=%s", "FETCH_HEAD^") == "of the agent"
    trees.git(vendor, "status")
    assert not (work.top / "ran").exists()


def test_a_git_that_is_a_link_or_leads_elsewhere_by_links_is_not_followed(work):
    secret = work.top / "secret"
    secret.mkdir()
    trees.git(secret, "init", "-q", "--template=")
    work.commit(secret, "secret", key="TOP SECRET\n")

    def agent(tree):
        (tree / "linked").mkdir()
        (tree / "linked" / ".git").symlink_to(secret / ".git")
        (tree / "linked" / "mine").write_text("mine\n")
        (tree / "named").mkdir()
        (tree / "named" / ".git").write_text(f"gitdir: {secret}/.git\n")
        (tree / "parts").mkdir()
        trees.git(tree / "parts", "init", "-q", "--template=")
        (tree / "parts" / "out").symlink_to(secret)
        objects = tree / "parts" / ".git" / "objects"
        objects.rename(tree / "parts" / "old")
        objects.symlink_to(secret / ".git" / "objects")
        head = trees.said(secret, "rev-parse", "HEAD")
        (tree / "parts" / ".git" / "refs" / "heads" / "x").write_text(f"{head}\n")

    folder, result = work.job(agent)
    names = result["harvest"]["nested"]
    assert names == ["linked", "named", "parts"]
    why = {row["path"]: row["why"] for row in result["harvest"]["left_out"]}
    for number, name in enumerate(names, 1):
        assert "not followed" in why[f"{name}/.git"]
        trees.take_over(Path(folder) / "nested" / f"{number}.bundle", work.top / "home" / name)
    assert (work.top / "home" / "linked" / "mine").read_text() == "mine\n"
    assert os.path.islink(work.top / "home" / "parts" / "out")
    head = trees.said(secret, "rev-parse", "HEAD")
    for name in names:
        with pytest.raises(AssertionError):
            trees.git(work.top / "home" / name, "cat-file", "-e", head)


def test_a_clone_that_is_shallow_or_broken_brings_its_files_and_says_that_the_rest_stays(work):
    work.commit(work.project / "vendor", "second", v="v1\n")

    def agent(tree):
        origin = f"file://{work.project}/vendor"
        trees.git(tree, "clone", "-q", "--depth=1", origin, "shallow")
        for path in (tree / "vendor" / ".git" / "objects").glob("??"):
            for file in path.iterdir():
                file.unlink()
        (tree / "vendor" / "new").write_text("new\n")

    folder, result = work.job(agent)
    assert result["harvest"]["nested"] == ["shallow", "vendor"]
    why = {row["path"]: row["why"] for row in result["harvest"]["left_out"]}
    assert "shallow" in why["shallow/.git"] and "history" in why["vendor/.git"]
    assert take_over(work, folder, 2)
    assert (work.project / "vendor" / "new").read_text() == "new\n"


def blob(folder, text):
    done = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"],
        cwd=folder,
        input=text,
        capture_output=True,
        check=True,
    )
    return bytes.fromhex(done.stdout.decode())


def tree_of(folder, *entries):
    """A tree with these (mode, name, id), whatever git would say of them."""
    content = b"".join(b"%s %s\0%s" % entry for entry in entries)
    words = ["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"]
    done = subprocess.run(words, cwd=folder, input=content, capture_output=True, check=True)
    return bytes.fromhex(done.stdout.decode())


@pytest.mark.parametrize(
    "path",
    [
        ".git/hooks/pre-commit",
        ".GIT/config",
        "../a",
        "a/../../b",
        ".git",
        "link/planted",
        "one name:../up",
    ],
)
def test_a_bundle_that_a_node_made_up_writes_nothing_but_files_of_the_repository(path, work):
    forge = work.top / "forge"
    forge.mkdir()
    trees.git(forge, "init", "-q", "--template=")
    work.commit(forge, "x", x="x\n")
    *folders, name = path.encode().split(b"/")
    if path.startswith("one name:"):
        folders, name = [], b"../up"
    made = tree_of(forge, (b"100755", name, blob(forge, b"#!/bin/sh\n")))
    for folder in reversed(folders):
        made = tree_of(forge, (b"40000", folder, made))
    if path.startswith("link"):
        # A link and a folder of one name.
        outside = blob(forge, os.fsencode(work.top))
        inner = tree_of(forge, (b"100755", name, blob(forge, b"#!/bin/sh\n")))
        made = tree_of(forge, (b"120000", b"link", outside), (b"40000", b"link", inner))
    commit = trees.said(forge, "commit-tree", made.hex(), "-m", "x")
    (forge / ".git" / "refs" / "gummy").mkdir()
    (forge / ".git" / "refs" / "gummy" / "work").write_text(f"{commit}\n")
    (work.top / "folder" / "nested").mkdir(parents=True)
    bundle = str(work.top / "folder" / "nested" / "1.bundle")
    trees.git(forge, "bundle", "create", bundle, "refs/gummy/work")

    vendor = work.project / "vendor"
    before = own_files(work)
    outside = {entry: entry.lstat().st_mtime_ns for entry in (*work.top.iterdir(),)}
    siblings = {entry.name for entry in work.project.iterdir()}
    take_over(work, str(work.top / "folder"))
    assert own_files(work) == before
    assert {entry: entry.lstat().st_mtime_ns for entry in (*work.top.iterdir(),)} == outside
    assert {entry.name for entry in work.project.iterdir()} == siblings
    assert {entry.name for entry in vendor.iterdir()} <= {".git", "v", "link", "a", "etc"}
