"""What of a project can't be read here is told with the line that leaves it out."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import unreadable
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.git import git
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import exclusions
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.unreadable import (
    unreadable_paths,
    why_unreadable,
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project; what has no right for its owner can't be read, by root neither."""
    folder = tmp_path / "project"
    for name in ("data", "kept", "odd"):
        (folder / name).mkdir(parents=True)
    (folder / "data" / "s").write_text("s")
    (folder / "kept" / "a").write_text("a")

    def access(path, mode):
        return bool(os.lstat(path).st_mode & 0o400)

    monkeypatch.setattr(unreadable.os, "access", access)
    yield folder
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o700)


def test_a_project_that_can_be_read_costs_no_rsync_and_says_nothing(project, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert why_unreadable(exclusions(str(project), []), "config.yaml") == ""


def test_files_and_folders_that_can_t_be_read_are_named_with_the_line_that_leaves_them_out(project):
    (project / "data").chmod(0)
    (project / "kept" / "a*").write_text("a")
    (project / "kept" / "a*").chmod(0)
    why = why_unreadable(exclusions(str(project), ["*.log"]), "config.yaml")
    assert "can't read data/, kept/a* in" in why and "write in config.yaml: " in why
    patterns = json.loads(why.partition("sync_exclude: ")[2])
    assert patterns == ["*.log", "/data/", "/kept/a\\*"]
    assert why_unreadable(exclusions(str(project), patterns), "config.yaml") == ""


def test_what_stays_at_home_may_be_anything(project):
    git(str(project), "init", "-q", "--template=")
    (project / ".gitignore").write_text("data/\n*.secret\n")
    (project / "kept" / "x.secret").write_text("")
    (project / "kept" / "a.log").write_text("")
    for path in ("data", "kept/x.secret", "kept/a.log"):
        (project / path).chmod(0)
    (project / "link").symlink_to("data")
    assert unreadable_paths(exclusions(str(project), ["*.log"])) == []


def test_what_goes_although_git_ignores_it_is_looked_at_too(project):
    git(str(project), "init", "-q", "--template=")
    (project / ".gitignore").write_text("data/\n.env*\n")
    (project / ".worktreeinclude").write_text(".env.test\n")
    for name in (".env.test", ".env"):
        (project / name).write_text("")
        (project / name).chmod(0)
    excluded = exclusions(str(project), [])
    assert unreadable_paths(excluded) == [b".env.test"]
    patterns = json.loads(why_unreadable(excluded, "config.yaml").partition("sync_exclude: ")[2])
    assert unreadable_paths(exclusions(str(project), patterns)) == []


def test_a_project_that_can_t_be_entered_is_said_to_be_so(project):
    excluded = exclusions(str(project), [])
    project.chmod(0)
    assert why_unreadable(excluded, "config.yaml").startswith(f"this user can't read {project}, so")


def test_a_file_of_a_repository_inside_is_left_out_by_the_line_that_names_it(project):
    git(str(project), "init", "-q", "--template=")
    git(str(project / "kept"), "init", "-q", "--template=")
    (project / "kept" / ".git" / "description").write_text("")
    (project / "kept" / ".git" / "description").chmod(0)
    excluded = exclusions(str(project), [])
    assert unreadable_paths(excluded) == [b"kept/.git/description"]
    patterns = json.loads(why_unreadable(excluded, "config.yaml").partition("sync_exclude: ")[2])
    left = exclusions(str(project), patterns)
    assert unreadable_paths(left) == [] and left.project.inner == (b"kept/",)


def test_odd_names_and_parts_of_the_repository_elsewhere_are_seen_too(project, tmp_path):
    git(str(project), "init", "-q", "--template=", f"--separate-git-dir={tmp_path}/elsewhere")
    git(str(project), "config", "core.worktree", str(project))
    (project / "odd" / "new\nline ü").write_text("")
    (project / "odd" / "new\nline ü").chmod(0)
    (tmp_path / "elsewhere" / "description").write_text("")
    (tmp_path / "elsewhere" / "description").chmod(0)
    found = unreadable_paths(exclusions(str(project), []))
    assert found == [b".git/description", "odd/new\nline ü".encode()]
