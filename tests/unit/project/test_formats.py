"""Every repository that git can make, through sync, baseline, harvest, patch and branch.

The list is made of git 2.55's gitrepository-layout, gitformat-index and the extensions of
`git help config`. What the git here can't make is skipped, and says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import baseline, harvest
from ansible_collections.distributed.gummy.plugins.plugin_utils._node.belongs import LIST
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import branch as _branch
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import sync
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.home_patch import (
    make_patch_at_home,
)
from workbench import said as _said
from workbench import trees

BINARY = bytes(range(256)) * 40


class NotHere(Exception):
    """The git of this machine can't make it."""


class Formatted:
    """A project with text, binary and renamed files, in a repository of one format."""

    def __init__(self, top):
        self.top = top
        self.project = top / "project"
        self.settings: dict[str, str] = {}

    def git(self, *words, folder=None):
        try:
            return _said(folder or self.project, *words)
        except AssertionError as exc:
            raise NotHere(f"git {' '.join(words)}: {exc}") from None

    def init(self, *words):
        self.project.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "--template=", *words)

    def fill(self):
        for name in ("deep/er", "side"):
            (self.project / name).mkdir(parents=True)
        texts = {"a.txt": "1\n2\n3\n", "deep/b.txt": "b\n", "deep/er/c.txt": "c\n", "gone": "g\n"}
        for name, text in {**texts, "side/s.txt": "s\n", "old name": "old\n"}.items():
            (self.project / name).write_text(text)
        (self.project / "bin").write_bytes(BINARY)
        (self.project / ".gitignore").write_text("*.ign\n")
        self.git("add", "-A")
        self.git("commit", "-qm", "first")
        (self.project / "a.txt").write_text("1\n2\n3\n4\n")
        self.git("commit", "-qam", "second")
        (self.project / "x.ign").write_text("ignored\n")


def plain(work):
    work.init()
    work.fill()


def sha256(work):
    work.init("--object-format=sha256")
    work.fill()


def reftable(work):
    work.init("--ref-format=reftable")
    work.fill()


def compat_hash(work):
    plain(work)
    work.git("config", "core.repositoryFormatVersion", "1")
    work.git("config", "extensions.compatObjectFormat", "sha256")
    work.git("rev-parse", "HEAD")


def extension(name, value):
    """A repository that has an extension of the settings."""

    def make(work):
        plain(work)
        work.git("config", "core.repositoryFormatVersion", "1")
        work.git("config", f"extensions.{name}", value)
        work.git("status")

    return make


def relative_worktree(work):
    plain(work)
    work.git("worktree", "add", "-q", "--relative-paths", "--detach", str(work.top / "linked"))
    work.project = work.top / "linked"


def worktree(work):
    plain(work)
    work.git("config", "extensions.worktreeConfig", "true")
    work.git("worktree", "add", "-q", "-b", "linked", str(work.top / "linked"))
    work.project = work.top / "linked"


def separate_git_dir(work):
    work.init(f"--separate-git-dir={work.top}/elsewhere.git")
    work.git("config", "core.worktree", str(work.project))
    work.fill()


def submodule(work):
    plain(work)
    inner = work.top / "inner"
    inner.mkdir()
    work.git("init", "-q", "--template=", folder=inner)
    (inner / "i.txt").write_text("i\n")
    work.git("add", "-A", folder=inner)
    work.git("commit", "-qm", "inner", folder=inner)
    work.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    work.git("commit", "-qm", "a submodule")


def as_submodule(work):
    submodule(work)
    work.project = work.project / "sub"
    for name in ("a.txt", "gone", "old name"):
        (work.project / name).write_text("1\n2\n")
    (work.project / "bin").write_bytes(BINARY)
    work.git("add", "-A")
    work.git("commit", "-qm", "of the submodule")


def shallow(work):
    plain(work)
    work.git("clone", "-q", "--depth=1", f"file://{work.project}", str(work.top / "shallow"))
    work.project = work.top / "shallow"


def partial(work):
    plain(work)
    work.git("config", "uploadpack.allowFilter", "true")
    words = ("clone", "-q", "--filter=blob:none", f"file://{work.project}")
    work.git("-c", "protocol.file.allow=always", *words, str(work.top / "partial"))
    work.project = work.top / "partial"


def shared(work):
    plain(work)
    work.git("clone", "-q", "--shared", str(work.project), str(work.top / "shared"))
    work.project = work.top / "shared"


def sparse(*words):
    """A work tree of which only a part is there."""

    def make(work):
        plain(work)
        work.git("sparse-checkout", "set", *words)
        assert not (work.project / "side" / "s.txt").exists()

    return make


def index_version(number):
    def make(work):
        plain(work)
        work.git("update-index", f"--index-version={number}")

    return make


def split_index(work):
    plain(work)
    work.git("config", "core.splitIndex", "true")
    work.git("update-index", "--split-index")
    assert list((work.project / ".git").glob("sharedindex.*"))


def untracked_cache(work):
    plain(work)
    work.git("update-index", "--force-untracked-cache")
    work.git("status")


def fsmonitor(work):
    plain(work)
    hook = work.top / "fsmonitor"
    hook.write_text("#!/bin/sh\nprintf 'token\\0/\\0'\n")
    hook.chmod(0o755)
    work.git("config", "core.fsmonitor", str(hook))
    work.git("update-index", "--fsmonitor")


def skip_hash(work):
    plain(work)
    work.git("config", "index.skipHash", "true")
    (work.project / "z").write_text("z\n")
    work.git("add", "z")
    work.git("commit", "-qm", "z")
    if (work.project / ".git" / "index").read_bytes()[-20:].strip(b"\0"):
        raise NotHere("git knows no index.skipHash")


def threads(work):
    plain(work)
    work.git("config", "index.threads", "4")
    work.git("update-index", "--force-write-index")


def intent_to_add(work):
    plain(work)
    (work.project / "intent").write_text("i\n")
    work.git("add", "-N", "intent")


def flags(work):
    plain(work)
    work.git("update-index", "--assume-unchanged", "deep/b.txt")
    work.git("update-index", "--skip-worktree", "deep/er/c.txt")


def unmerged(work):
    plain(work)
    work.git("checkout", "-q", "-b", "other", "HEAD~")
    (work.project / "deep" / "b.txt").write_text("theirs\n")
    work.git("commit", "-qam", "theirs")
    work.git("checkout", "-q", "-")
    (work.project / "deep" / "b.txt").write_text("ours\n")
    work.git("commit", "-qam", "ours")
    with pytest.raises(NotHere):
        work.git("merge", "-q", "other")


def resolved(work):
    unmerged(work)
    (work.project / "deep" / "b.txt").write_text("both\n")
    work.git("add", "deep/b.txt")


def packed(work):
    plain(work)
    work.git("pack-refs", "--all")
    work.git("repack", "-q", "-a", "-d", "--write-bitmap-index")
    work.git("multi-pack-index", "write")
    work.git("commit-graph", "write", "--reachable", "--split")


def replaced(work):
    plain(work)
    work.git("replace", "--graft", "HEAD")


def detached(work):
    plain(work)
    work.git("checkout", "-q", "--detach")


def orphaned(work):
    plain(work)
    work.git("symbolic-ref", "HEAD", "refs/heads/unborn")
    work.unborn = True


def folder_of_a_repository(work):
    plain(work)
    work.git("mv", "a.txt", "gone", "old name", "bin", "deep")
    work.git("commit", "-qm", "moved")
    work.project = work.project / "deep"


FORMATS = {
    "plain": plain,
    "sha256": sha256,
    "reftable": reftable,
    "compatObjectFormat": compat_hash,
    "noop": extension("noop", "true"),
    "preciousObjects": extension("preciousObjects", "true"),
    "worktreeConfig and a work tree": worktree,
    "relativeWorktrees": relative_worktree,
    "a separate git dir": separate_git_dir,
    "a submodule": submodule,
    "in a submodule": as_submodule,
    "a folder of a repository": folder_of_a_repository,
    "shallow": shallow,
    "partial": partial,
    "alternates": shared,
    "sparse, cone": sparse("--cone", "deep"),
    "sparse, no cone": sparse("--no-cone", "/deep/", "/a.txt", "/bin", "/gone", "/old name"),
    "sparse index": sparse("--cone", "--sparse-index", "deep"),
    "index 2": index_version(2),
    "index 3": intent_to_add,
    "index 4": index_version(4),
    "split index": split_index,
    "untracked cache": untracked_cache,
    "fsmonitor": fsmonitor,
    "skipHash": skip_hash,
    "threads (EOIE, IEOT)": threads,
    "assume-unchanged and skip-worktree": flags,
    "unmerged": unmerged,
    "resolve undo": resolved,
    "packs, bitmaps, commit graphs": packed,
    "replace refs": replaced,
    "detached": detached,
    "unborn": orphaned,
}


@pytest.fixture(params=FORMATS)
def work(request, tmp_path):
    made = Formatted(tmp_path)
    try:
        FORMATS[request.param](made)
    except NotHere as exc:
        version = subprocess.run(["git", "version"], capture_output=True, text=True, check=True)
        pytest.skip(f"{version.stdout.strip()} can't make it: {str(exc)[:120]}")
    return made


def send(project, workspace):
    """The project in a workspace, by the very rsync of a sync."""
    excluded = sync.exclusions(str(project), [])
    with sync.sources(excluded, excluded.contents()) as given:
        argv = sync.upload_argv(given, (), f"{workspace}/")
        subprocess.run(argv, input=given.names, check=True, capture_output=True)
    os.unlink(os.path.join(workspace, os.fsdecode(LIST)))


def agent(tree, commits):
    """Changes of each kind; some of them are committed."""
    (tree / "a.txt").write_text("1\n2\nthree\n")
    (tree / "bin").write_bytes(BINARY[::-1])
    (tree / "old name").rename(tree / "new name")
    if commits:
        trees.git(tree, "add", "--sparse", "-A", "--", "a.txt", "bin", "old name", "new name")
        trees.git(tree, "commit", "-qm", "of the agent")
    (tree / "gone").unlink()
    (tree / "made").mkdir()
    (tree / "made" / "m.txt").write_text("made\n")


def work_of(tree):
    names = ("a.txt", "bin", "old name", "new name", "gone", "made/m.txt")
    return {name: (tree / name).read_bytes() for name in names if (tree / name).exists()}


@pytest.mark.parametrize("commits", [False, True], ids=["uncommitted", "commits"])
def test_text_binary_and_renamed_files_come_home_of_every_repository(work, commits):
    if (work.project / "x.ign").exists():
        assert "ignored by git" in sync.exclusions(str(work.project), []).describe()
    tree = work.top / "tree"
    tree.mkdir()
    send(work.project, tree)
    own = os.path.lexists(tree / ".git")
    commits = commits and own and not _said(tree, "ls-files", "-u")
    before = work_of(tree)
    git_dir = str(work.top / "baseline.git")
    baseline.make_baseline(str(tree), git_dir)
    agent(tree, commits)
    out = work.top / "out"
    made = harvest.make_harvest(str(tree), git_dir, str(out), "branch")
    assert {row["path"] for row in made["changed"]} >= {"a.txt", "bin", "new name", "made/m.txt"}
    assert commits == ("HEAD" in made["commits"])

    base = None
    if not getattr(work, "unborn", False):
        base = _said(work.project, "rev-parse", "HEAD")
    result = {"harvest": made, "base": base, "begun_at": 1e9}
    notes = make_patch_at_home(str(work.project), str(out), result).notes
    assert not any("not looked at" in note for note in notes), notes
    status = _said(work.project, "--no-optional-locks", "status", "--porcelain")
    if base is not None:

        class Job:
            name = "job"
            deliver = "branch"
            project = str(work.project)

        _branch.check_branches([Job])
        delivered = _branch.deliver_branch(
            str(work.project), str(out), result, run_id="run", job="job", title="x"
        )
        branch_is_right(work, delivered, before, work_of(tree))
    assert _said(work.project, "--no-optional-locks", "status", "--porcelain") == status

    command = "apply"
    for note in notes:
        command = note.partition("take the patch over with git ")[2] or command
    subprocess.run(
        ["git", *command.split(), str(out / "changes.patch")], cwd=work.project, check=True
    )
    assert work_of(work.project) == work_of(tree)


def branch_is_right(work, delivered, before, after):
    """A clone of the branch has the work, and git has nothing to tell of it."""
    assert before != after
    prefix = _said(work.project, "rev-parse", "--show-prefix")
    branch = delivered["branch"]
    for name, content in after.items():
        blob = trees.git(work.project, "cat-file", "blob", f"{branch}:{prefix}{name}")
        assert blob == content, name
    clone = Path(work.top, "clone")
    try:
        source = f"file://{work.project}" if not prefix else f"file://{work.project.parent}"
        trees.git(work.top, "clone", "-q", "-b", branch, source, str(clone))
    except AssertionError as exc:
        # Of a partial clone not all is here.
        assert "promisor" in str(exc) or "missing" in str(exc) or "lazy" in str(exc), exc
        return
    assert work_of(clone / prefix) == after
    assert _said(clone, "status", "--porcelain") == ""
    shutil.rmtree(clone)
