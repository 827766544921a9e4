"""What a project's .git names of this machine: only what is git's and knows the project goes."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import outside as _outside
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import (
    secrets as _secrets,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import sync
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.git import ProjectError
from workbench import trees


def repository(folder, *words):
    folder.mkdir(parents=True, exist_ok=True)
    trees.git(folder, "init", "-q", "--template=", *words)
    return folder


def commit(folder, name):
    (folder / name).write_text(name)
    trees.git(folder, "add", name)
    trees.git(folder, "commit", "-qm", name)
    return folder


@pytest.fixture
def private(tmp_path):
    """A repository of the user's that has nothing to do with the project."""
    return commit(repository(tmp_path / "private"), "private")


@pytest.fixture
def project(tmp_path):
    return commit(repository(tmp_path / "project"), "a")


def name_objects(project, folder):
    (project / ".git" / "objects" / "info").mkdir(exist_ok=True)
    (project / ".git" / "objects" / "info" / "alternates").write_text(f"{folder}\n")


def ssh_keys(top, _private):
    (top / "keys").mkdir()
    (top / "keys" / "id_rsa").write_text("x")
    return top / "keys"


def keys_called_objects(top, private):
    (private / ".git" / "objects" / "id_rsa").write_text("x")
    return private / ".git" / "objects"


def keys_in_a_pack_folder(top, private):
    (private / ".git" / "objects" / "pack" / "id_rsa").write_text("x")
    return private / ".git" / "objects"


def a_link_in_objects(top, private):
    (private / ".git" / "objects" / "aa").symlink_to(ssh_keys(top, private))
    return private / ".git" / "objects"


def a_link_to_keys(top, private):
    (top / "link").symlink_to(ssh_keys(top, private))
    return top / "link"


def objects_of_another_repository(_top, private):
    return private / ".git" / "objects"


def objects_without_repository(top, _private):
    (top / "objects" / "pack").mkdir(parents=True)
    return top / "objects"


@pytest.mark.parametrize(
    "make_folder",
    [
        ssh_keys,
        keys_called_objects,
        keys_in_a_pack_folder,
        a_link_in_objects,
        a_link_to_keys,
        objects_of_another_repository,
        objects_without_repository,
    ],
)
@pytest.mark.parametrize("through", [False, True])
def test_alternates_that_name_anything_else_than_the_project_s_objects_are_an_error(
    make_folder, through, project, private, tmp_path
):
    folder = make_folder(tmp_path, private)
    if through:
        # By way of a repository inside of the project.
        inner = commit(repository(project / "inner"), "b")
        name_objects(inner, folder)
        name_objects(project, inner / ".git" / "objects")
    else:
        name_objects(project, folder)
    with pytest.raises(ProjectError, match="nothing of it goes to a node"):
        sync.exclusions(str(project), [])
    assert sync.exclusions(str(project), [".git"]).outside == []


def test_a_name_that_a_terminal_would_obey_is_told_as_text(project, private):
    (private / ".git" / "objects" / "\x1b[2J\udce9").write_text("x")
    name_objects(project, private / ".git" / "objects")
    with pytest.raises(ProjectError, match=r"\(it has \\x1b\[2J\\udce9\)"):
        sync.exclusions(str(project), [])


def test_a_config_that_is_a_link_is_not_read_into_what_goes(project, tmp_path):
    (tmp_path / "own").write_text((project / ".git" / "config").read_text() + "# worktree, secret")
    (project / ".git" / "config").unlink()
    (project / ".git" / "config").symlink_to(tmp_path / "own")
    with pytest.raises(ProjectError, match="it is a link"):
        sync.exclusions(str(project), [])


def a_git_file(project, private):
    (project / ".git").write_text(f"gitdir: {private}/.git\n")


def a_link(project, private):
    (project / ".git").symlink_to(private / ".git")
    # Not the link by itself takes it along, but a setting for which the parts are put together.
    trees.git(private, "config", "core.worktree", str(private))


def a_common_dir(project, private):
    (project / "real").mkdir()
    (project / "real" / "HEAD").write_text("ref: refs/heads/master\n")
    (project / "real" / "commondir").write_text(f"{private}/.git\n")
    (project / "real" / "gitdir").write_text(f"{project}/.git\n")
    (project / ".git").write_text("gitdir: real\n")


def a_work_tree_of_it(project, private):
    trees.git(private, "worktree", "add", "-q", "--detach", "../other")
    git_dir = private / ".git" / "worktrees" / "other"
    (project / ".git").write_text(f"gitdir: {git_dir}\n")


@pytest.mark.parametrize("name_it", [a_git_file, a_link, a_common_dir, a_work_tree_of_it])
def test_a_git_dir_elsewhere_that_does_not_know_the_project_is_an_error(
    name_it, project, private, tmp_path
):
    shutil.rmtree(project / ".git")
    name_it(project, private)
    with pytest.raises(ProjectError, match="doesn't know it"):
        sync.exclusions(str(project), [])


def test_parts_that_know_the_project_are_named_and_looked_into_for_secrets(
    project, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    trees.git(project, "worktree", "add", "-q", "--detach", "../work")
    (project / ".git" / "server.key").write_text("x")
    (project / ".git" / "refs" / "heads" / "deploy.pem").write_text("")
    work = sync.exclusions(str(tmp_path / "work"), [])
    own = str(project / ".git")
    assert set(work.outside) == {own, f"{own}/worktrees/work"}
    (project / ".git" / "link.pem").symlink_to(project)
    assert _secrets.look_for_secrets_once(work, "one") == [".git/link.pem", ".git/server.key"]
    kept = sync.exclusions(str(tmp_path / "work"), ["/.git/server.key", "/.git/link.pem"])
    assert _secrets.look_for_secrets_once(kept, "two") == []


def test_a_repository_that_moved_is_known_again_by_what_the_message_says(project, tmp_path):
    trees.git(project, "init", "-q", "--separate-git-dir", "../elsewhere")
    assert sync.exclusions(str(project), []).outside == [str(tmp_path / "elsewhere")]

    shutil.copytree(project, tmp_path / "copy", symlinks=True)
    with pytest.raises(ProjectError, match=r"git status.*core\.worktree"):
        sync.exclusions(str(tmp_path / "copy"), [])
    trees.git(tmp_path / "elsewhere", "config", "core.worktree", str(tmp_path / "copy"))
    assert sync.exclusions(str(tmp_path / "copy"), []).outside == [str(tmp_path / "elsewhere")]


@pytest.mark.skipif(os.geteuid() != 0, reason="makes folders of another user")
def test_what_belongs_to_another_user_is_an_error_with_git_s_words(project, tmp_path):
    trees.git(project, "clone", "-q", "--shared", ".", "../shared")
    assert sync.exclusions(str(tmp_path / "shared"), []).outside
    os.chown(project / ".git" / "objects", 65534, 65534)
    with pytest.raises(ProjectError, match="it belongs to another user"):
        sync.exclusions(str(tmp_path / "shared"), [])

    subprocess.run(["chown", "-R", "65534", project], check=True)
    line = f"git config --global --add safe.directory {project}"
    with pytest.raises(ProjectError, match=line):
        sync.exclusions(str(project), [])


def test_what_a_large_repository_has_is_no_reason_to_refuse_it(project, tmp_path):
    for words in (("gc", "-q"), ("commit-graph", "write"), ("multi-pack-index", "write")):
        trees.git(project, *words)
    trees.git(project, "repack", "-adbq")
    (project / ".git" / "objects" / "pack" / "pack-12ab.keep").touch()
    (project / ".git" / "objects" / "pack" / ".tmp-1-pack-2.pack").touch()
    commit(project, "loose")
    assert list(_outside._what_is_odd(str(project / ".git" / "objects"))) == []
    trees.git(project, "clone", "-q", "--shared", ".", "../shared")
    assert sync.exclusions(str(tmp_path / "shared"), []).outside == [f"{project}/.git/objects"]
