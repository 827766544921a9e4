"""What git says of a project, whatever the settings of the caller and of the repository."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import git as _git
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.git import (
    GitError,
    Project,
    ProjectError,
    git,
    project_at,
)


@pytest.fixture
def project(tmp_path):
    git(str(tmp_path), "init", "-q", "--template=", "project")
    return tmp_path / "project"


def test_a_folder_without_git_is_a_project_of_which_git_says_nothing(tmp_path):
    assert project_at(str(tmp_path)) == Project(str(tmp_path)) and not _git.in_git(str(tmp_path))


@pytest.mark.parametrize("what", ["empty", "hooks", "a file above"])
def test_a_git_that_git_takes_for_no_repository_makes_none_of_what_lies_below(tmp_path, what):
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "a" / ".git").mkdir()
    (below / ".git").mkdir()
    if what == "hooks":
        (below / ".git" / "hooks").mkdir()
    if what == "a file above":
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git" / "config").write_text("")
    assert project_at(str(below)) == Project(str(below)) and not _git.in_git(str(below))


def test_a_repository_that_lost_its_head_is_not_taken_for_a_folder_without_git(project):
    (project / ".gitignore").write_text("secret\n")
    (project / ".git" / "HEAD").unlink()
    with pytest.raises(ProjectError, match="its HEAD or its refs are missing"):
        project_at(str(project))


def test_a_submodule_whose_git_is_none_is_read_as_if_it_was_not_there(project):
    (project / ".gitignore").write_text("*.log\n")
    words = ("update-index", "--add", "--cacheinfo", "160000," + "1" * 40 + ",sub")
    git(str(project), *words)
    (project / "sub" / ".git").mkdir(parents=True)
    (project / "sub" / "a").write_text("a")
    found = project_at(str(project))
    assert found.ignored == () and found.plain == ()
    # Of its files git says nothing, and they are the project's.
    assert b"sub/a" in found.listed


def test_what_is_ignored_is_named_from_the_project_s_top(project):
    (project / ".gitignore").write_text("*.log\nbuilt/\n")
    (project / "built").mkdir()
    for name in ("built/x", "a.log", "kept"):
        (project / name).write_text("x")
    found = project_at(str(project))
    assert sorted(found.ignored) == [b"a.log", b"built/"]
    assert found.plain == found.parts == ()


def test_a_folder_of_a_repository_that_the_repository_ignores_is_nobody_s(project):
    (project / ".gitignore").write_text("mine/\n")
    (project / "mine").mkdir()
    (project / "mine" / "file").write_text("x")
    assert project_at(str(project / "mine")) == Project(str(project / "mine"))


def test_a_git_that_fails_speaks_for_itself_and_one_that_is_missing_says_what_to_do(
    project, monkeypatch
):
    with pytest.raises(GitError, match="not a valid object name|Not a valid object name|fatal"):
        git(str(project), "cat-file", "-e", "nothing")
    with pytest.raises(GitError, match="git rev-parse ended with 1"):
        git(str(project), "rev-parse", "-q", "--verify", "nothing")
    monkeypatch.setenv("PATH", str(project))
    with pytest.raises(ProjectError, match="install git"):
        git(str(project), "status")


def test_settings_of_the_caller_s_shell_lead_no_git_elsewhere(project, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    top = git(str(project), "rev-parse", "--show-toplevel").decode().strip()
    assert os.path.samefile(top, project)


def test_input_may_be_bytes_or_a_file_and_an_index_of_our_own_is_used(project, tmp_path):
    (tmp_path / "content").write_bytes(b"some bytes")
    with open(tmp_path / "content", "rb") as file:
        first = git(str(project), "hash-object", "-w", "--stdin", stdin=file)
    assert git(str(project), "hash-object", "--stdin", stdin=b"some bytes") == first
    entry = b"100644 " + first.strip() + b"\ta\n"
    git(str(project), "update-index", "--index-info", stdin=entry, index=str(tmp_path / "index"))
    assert git(str(project), "ls-files", index=str(tmp_path / "index")) == b"a\n"
    assert git(str(project), "ls-files") == b""


def test_a_repository_that_names_its_work_tree_is_looked_at_as_one_that_is_elsewhere(project):
    git(str(project), "config", "core.worktree", str(project))
    assert project_at(str(project)).parts == ((str(project / ".git"), ".git"),)


@pytest.mark.parametrize("where", ["ignored", "included"])
def test_a_pipe_to_which_nobody_writes_ends_git_with_words_that_name_folder_and_call(
    where, project, monkeypatch
):
    os.mkfifo(project / "pipe")
    if where == "ignored":
        (project / "pipe").rename(project / ".gitignore")
    else:
        git(str(project), "config", "include.path", str(project / "pipe"))
    monkeypatch.setattr(_git, "SECONDS_MOST", 0.3)
    with pytest.raises(ProjectError, match=f"git \\S+ in {project}/? took longer .* named pipe"):
        project_at(str(project))


def test_a_git_that_takes_too_long_ends_with_all_that_it_called(project, tmp_path):
    pid = tmp_path / "pid"
    alias = f"!sleep 600 & echo $! > {pid}; wait"
    with pytest.raises(GitError, match=f"git slow in {project} took longer than 1 s"):
        git(str(project), "slow", seconds=1, settings={"alias.slow": alias})
    words = ["ps", "-o", "stat=", "-p", pid.read_text().strip()]

    def is_alive() -> bool:
        state = subprocess.run(words, check=False, capture_output=True, text=True).stdout
        return state.strip()[:1] not in ("", "Z")

    # A busy machine takes a moment to end what was killed.
    until = time.monotonic() + 20
    while is_alive() and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_alive()


def test_a_git_that_prints_without_end_is_ended(project):
    with pytest.raises(GitError, match="git yes in .* was ended, for it printed more than"):
        git(str(project), "yes", settings={"alias.yes": "!yes"}, most=1000)
