"""A harvest as a branch: nothing of the user's repository changes but objects and that one ref."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import branch as _branch
from workbench import Work, agent, said, trees


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path)


def test_a_branch_has_the_work_and_nothing_else_of_the_repository_changes(work):
    made = work.deliver(work.job(agent))
    assert (made["branch"], made["note"], made["base"]) == (
        "gummy/run/job",
        "",
        said(work.project, "rev-parse", "HEAD"),
    )
    assert said(work.project, "diff", "--name-status", "HEAD", made["branch"]).split() == [
        "M",
        "a",
        "D",
        "b",
        "A",
        "new",
    ]
    assert work.log(made["branch"]) == ["gummy|job: what was asked", "An Agent|first"]


def test_what_the_user_had_not_committed_is_kept_apart_from_what_the_agent_did(work):
    trees.git(work.project, "stash")
    (work.project / "a").write_text("one\n2\n3\n4\n5\n")
    (work.project / "c").write_text("mine\n")
    (work.project / "untracked").write_text("u\n")
    trees.git(work.project, "add", "c")
    made = work.deliver(work.job(lambda tree: (tree / "a").write_text("one\n2\n3\n4\nfive\n")))
    assert work.log(made["branch"]) == [
        "gummy|job: what was asked",
        "gummy|What was not committed when run/job began",
        "An Agent|first",
    ]
    assert (
        said(work.project, "diff", "--numstat", f"{made['branch']}~", made["branch"]) == "1\t1\ta"
        and work.show(made["branch"], "c") == "c\n"
    )


def test_commits_of_the_agent_are_the_very_same_ones_and_what_it_did_not_commit_follows(work):
    def commits(tree):
        work.commit(tree, "of the agent\n\nwith a body", a="1\n2\n3\n4\nfive\n")
        work.commit(tree, "another", d="d\n")
        (tree / "dirty").write_text("x\n")

    job = work.job(commits)
    made = work.deliver(job)
    assert work.log(made["branch"]) == [
        "gummy|job: what was asked",
        "An Agent|another",
        "An Agent|of the agent",
        "An Agent|first",
    ]
    assert said(work.project, "rev-parse", f"{made['branch']}~") == said(
        work.top / "job-tree", "rev-parse", "HEAD"
    )
    assert work.deliver(job) == made, "delivered again it is the same branch"


def test_a_base_that_moved_takes_the_work_on_top_with_messages_and_authors(work):
    def commits(tree):
        work.commit(tree, "of the agent\n\nwith a body", a="1\n2\n3\n4\nfive\n")
        (tree / "dirty").write_text("x\n")

    job = work.job(commits)
    work.commit(work.project, "meanwhile", a="one\n2\n3\n4\n5\n", c="C\n")
    made = work.deliver(job)
    assert (made["base"], made["note"]) == (said(work.project, "rev-parse", "HEAD"), "")
    assert work.log(made["branch"]) == [
        "gummy|job: what was asked",
        "An Agent|of the agent",
        "An Agent|meanwhile",
        "An Agent|first",
    ]
    assert (work.show(made["branch"], "a"), work.show(made["branch"], "c")) == (
        "one\n2\n3\n4\nfive\n",
        "C\n",
    )
    assert (
        said(work.project, "log", "-1", "--format=%B", f"{made['branch']}~")
        == "of the agent\n\nwith a body"
    )


def test_what_the_agent_committed_and_took_back_is_not_in_the_tree_that_the_branch_ends_with(work):
    (work.project / "mine").write_text("mine\n")
    (work.project / "committed").write_text("committed\n")
    (work.project / "b").write_text("my b\n")
    (work.project / ".gitignore").write_text("ignored\n")

    def commits(tree):
        workflow = tree / ".github" / "workflows"
        workflow.mkdir(parents=True)
        (workflow / "ci.yml").write_text("x\n")
        (tree / "c").write_text("C\n")
        (tree / "b").write_text("B\n")
        (tree / "a").unlink()
        (tree / "a").mkdir()
        (tree / "a" / "inner").write_text("x\n")
        (tree / "new").write_text("new\n")
        (tree / "ignored").write_text("x\n")
        trees.git(tree, "add", "-f", "ignored")
        trees.git(tree, "add", "-A", ":!mine")
        trees.git(tree, "commit", "-q", "-m", "all")
        (workflow / "ci.yml").unlink()
        (tree / "c").write_text("c\n")
        (tree / "b").write_text("my b\n")
        shutil.rmtree(tree / "a")
        (tree / "a").write_text("1\n2\n3\n4\n5\n")

    folder, result = work.job(commits)
    assert "ci.yml" not in Path(folder, "changes.patch").read_text()
    made = work.deliver((folder, result))
    listed = said(work.project, "ls-tree", "-r", "--name-only", made["branch"]).split("\n")
    # What the user had not committed is in it as far as the agent committed it or changed it.
    assert listed == [".gitignore", "a", "b", "c", "committed", "ignored", "new"]
    assert work.show(made["branch"], "b") == "my b\n" and work.show(made["branch"], "c") == "c\n"
    assert made["files"] == 5
    assert work.log(made["branch"])[1:] == ["An Agent|all", "An Agent|first"]


def test_commits_that_leave_nothing_changed_end_with_the_tree_that_was_there(work):
    def commits(tree):
        work.commit(tree, "in", evil="x\n")
        (tree / "evil").unlink()

    folder, result = work.job(commits)
    assert result["harvest"]["patch"] is None
    made = work.deliver((folder, result))
    assert made["files"] == 0
    assert said(work.project, "diff", "--name-only", "HEAD", made["branch"]) == ""


@pytest.mark.parametrize("commits", [True, False])
def test_a_conflict_starts_at_the_old_base_and_says_so(work, commits):
    job = work.job(
        lambda tree: (
            work.commit(tree, "mine", a="agent\n")
            if commits
            else (tree / "a").write_text("agent\n")
        )
    )
    base = said(work.project, "rev-parse", "HEAD")
    work.commit(work.project, "meanwhile", a="user\n")
    made = work.deliver(job)
    assert (
        made["base"] == base
        and "conflicts with that in a" in made["note"]
        and work.show(made["branch"], "a") == "agent\n"
    )
    assert said(work.project, "merge-base", made["branch"], "HEAD") == base


def test_a_name_that_is_taken_gets_the_next_number_and_odd_names_become_refs(work):
    names = [
        work.deliver(work.job(lambda tree, text=text: (tree / "a").write_text(text)))["branch"]
        for text in "xyx"
    ]
    assert names == ["gummy/run/job", "gummy/run/job-2", "gummy/run/job"]
    assert work.deliver(work.job(agent), "a..b.lock")["branch"] == "gummy/run/a-.b-lock"


def test_without_changes_there_is_no_branch(work):
    assert work.deliver(work.job(lambda tree: None)) is None


def test_where_a_branch_cannot_be_made_the_error_says_where_the_work_is(work):
    folder, result = work.job(agent)
    said(work.project, "branch", "gummy")
    with pytest.raises(_branch.DeliverError, match=f"refs/heads/gummy.*the work is in {folder}"):
        work.deliver((folder, result))
    shutil.rmtree(work.project / ".git")
    trees.git(work.project, "init", "-q", "--template=")
    with pytest.raises(
        _branch.DeliverError, match=f"began from, .*is not in .*the work is in {folder}"
    ):
        _branch.deliver_branch(
            str(work.project), folder, result, run_id="run", job="job", title="x"
        )


def test_a_directory_of_a_repository_and_a_worktree_get_branches_of_that_repository(work):
    (work.project / "sub").mkdir()
    work.commit(work.project, "second", **{"sub/x": "x\n"})
    job = work.job(lambda tree: (tree / "x").write_text("y\n"), project=work.project / "sub")
    made = work.deliver(job, project=work.project / "sub")
    assert said(work.project, "diff", "--name-only", "HEAD", made["branch"]) == "sub/x"
    trees.git(work.project, "worktree", "add", "-q", "--detach", str(work.top / "other"), "HEAD~")
    job = work.job(agent)
    made = work.deliver(job, "two", project=work.top / "other")
    assert work.show(made["branch"], "new") == "new\n"


def test_hooks_merge_drivers_and_filters_of_other_files_never_run(work):
    work.commit(
        work.project,
        "attributes",
        **{".gitattributes": "* filter=none merge=x text eol=crlf\nb filter=x\n"},
    )
    for name in ("reference-transaction", "post-commit", "post-index-change"):
        hook = work.project / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {work.top}/fired\n")
        hook.chmod(0o755)
    for setting in ("filter.x.clean", "filter.x.smudge", "merge.x.driver"):
        trees.git(work.project, "config", setting, f"touch {work.top}/fired")
    job = work.job(lambda tree: (tree / "a").write_bytes(b"1\r\n2\n3\n4\nfive\n"))
    trees.git(
        work.project,
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "filter.x.clean=cat",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "meanwhile",
    )
    made = _branch.deliver_branch(str(work.project), *job, run_id="run", job="job", title="x")
    assert (
        work.show(made["branch"], "a") == "1\n2\n3\n4\nfive\n" and not (work.top / "fired").exists()
    )


def added_at_home(work, tree, paths):
    """Path -> mode and id of what `git add` in the user's project would have stored of a file."""
    home = os.fsencode(str(work.top / "at-home"))
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(work.project, work.top / "at-home", symlinks=True)
    # Of a repository inside of it git would take no file.
    for inner in trees.repositories(work.top / "at-home"):
        shutil.rmtree(os.path.join(home, inner, b".git"))
    # Attributes are those of the user's tree, so the job's own come last.
    for path in sorted(paths, key=lambda path: path.endswith(b".gitattributes")):
        source = os.path.join(os.fsencode(str(tree)), path)
        target = os.path.join(home, path)
        for place in (path[:at] for at, byte in enumerate(path + b"/") if byte == ord("/")):
            there = os.path.join(home, place)
            if os.path.islink(there) or os.path.isfile(there):
                os.unlink(there)
            elif place == path and os.path.isdir(there):
                shutil.rmtree(there)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
        trees.git(work.top / "at-home", "--literal-pathspecs", "add", "-f", "--", os.fsdecode(path))
    listing = trees.git(work.top / "at-home", "ls-files", "-s", "-z").split(b"\0")[:-1]
    words = (line.partition(b"\t") for line in listing)
    return {path: b" ".join(head.split(b" ")[:2]).decode() for head, _tab, path in words}


@pytest.mark.parametrize("seed", [seed for seed in range(24) if seed % 3])
def test_the_branch_of_any_tree_has_every_changed_path_as_git_add_would_store_it(work, seed):
    shutil.rmtree(work.project)
    work.project.mkdir()
    tree = trees.Tree(work.project, seed)
    tree.attributes = seed % 2 == 0
    if seed % 5 == 0:
        tree.init = ("--object-format=sha256",)
    tree.fill()

    def change(top):
        tree.top = os.fsencode(str(top))
        if seed % 4:
            trees.git(top, "config", "--remove-section", "filter.x")
        tree.change()

    folder, result = work.job(change)
    made = work.deliver((folder, result))
    listed = dict(
        reversed(line.split("\t", 1))
        for line in said(work.project, "ls-tree", "-r", "-z", made["branch"]).split("\0")
        if line
    )
    words = Path(folder, "branch.raw").read_bytes().split(b"\0")
    modes = {
        name: record.decode().split(" ")[1]
        for record, name in zip(words[::2], words[1::2], strict=False)
    }
    there = [name for name, mode in modes.items() if mode != "000000"]
    wanted = added_at_home(work, work.top / "job-tree", there)
    for name, mode in modes.items():
        entry = listed.get(os.fsdecode(name))
        if mode == "000000":
            assert entry is None, name
        else:
            assert entry is not None and entry.replace(" blob ", " ") == wanted[name], name
    assert len(words) > 20


@pytest.mark.parametrize(
    ("what", "sentence"), [("none", "is none"), ("plain", "is none"), ("empty", "has none")]
)
def test_a_branch_that_cannot_be_is_an_input_error(tmp_path, what, sentence):
    if what == "empty":
        trees.git(tmp_path, "init", "-q", "--template=")

    class Job:
        name = "job"
        deliver = "branch"
        project = None if what == "none" else str(tmp_path)

    with pytest.raises(InputError, match=sentence):
        _branch.check_branches([Job])


def test_a_harvest_without_the_contents_that_it_names_makes_no_branch(work):
    folder, result = work.job(agent)
    raw = Path(folder) / "branch.raw"
    named = raw.read_bytes().split(b"\0")[0].split(b" ")[3]
    raw.write_bytes(raw.read_bytes().replace(named, b"12" * 20))
    with pytest.raises(_branch.DeliverError, match="has not got all contents"):
        work.deliver((folder, result))
