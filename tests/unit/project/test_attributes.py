"""Whether a run has a node send contents, which a filter between tree and repository needs."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import (
    git as _git,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.attributes import (
    attribute_files_around,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import (
    exclusions,
)
from workbench import trees

FILTERED = "*.secret filter=keyed\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with a folder, and a user whose own files of attributes are not there."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    project = tmp_path / "project"
    (project / "below").mkdir(parents=True)
    (project / "below" / "file").write_text("1\n")
    trees.git(project, "init", "-q", "--template=")
    trees.git(project, "add", "-A")
    trees.git(project, "commit", "-qm", "one")
    return project


def asks(folder, *sync_exclude):
    """What a run would tell a node of it, and what it says where git has to be asked again."""
    told = exclusions(str(folder), sync_exclude).attribute_files.ask_for_contents()
    assert attribute_files_around(str(folder)).ask_for_contents() == told
    return told


@pytest.mark.parametrize("text", ["", "*.txt text\n", "*.txt eol=lf\n", "*.md diff=markdown\n"])
def test_a_patch_of_a_project_without_filters_comes_as_it_is(project, text):
    (project / ".gitattributes").write_text(text)
    assert not asks(project) and not asks(project / "below")


@pytest.mark.parametrize(
    "place",
    [
        "project/.gitattributes",
        "project/below/.gitattributes",
        "project/.git/info/attributes",
        "config/git/attributes",
        "mine",
    ],
)
def test_a_filter_has_contents_sent_wherever_it_stands(project, tmp_path, place):
    path = tmp_path / place
    if place == "mine":
        trees.git(project, "config", "core.attributesFile", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FILTERED)
    assert asks(project) and asks(project / "below")


def test_attributes_that_git_ignores_or_that_are_in_the_index_alone_count_too(project):
    (project / ".gitignore").write_text(".gitattributes\n")
    (project / ".gitattributes").write_text(FILTERED)
    assert asks(project)
    trees.git(project, "add", "-f", ".gitattributes")
    (project / ".gitattributes").unlink()
    assert asks(project)


def test_a_linked_worktree_has_the_attributes_of_its_repository(project, tmp_path):
    trees.git(project, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    assert not asks(tmp_path / "linked")
    (project / ".git" / "info").mkdir(exist_ok=True)
    (project / ".git" / "info" / "attributes").write_text(FILTERED)
    assert asks(tmp_path / "linked")
    # They count here all the same if the repository stays at home.
    assert asks(tmp_path / "linked", ".git")


def test_what_is_changed_during_a_run_counts_and_git_is_asked_once(project, monkeypatch):
    (project / ".gitattributes").write_text("")
    files = exclusions(str(project), []).attribute_files
    monkeypatch.setattr(_git, "Process", None)
    assert not files.ask_for_contents()
    (project / ".gitattributes").write_text(FILTERED)
    assert files.ask_for_contents()


def test_a_folder_without_git_has_no_attributes(tmp_path):
    (tmp_path / ".gitattributes").write_text(FILTERED)
    assert not asks(tmp_path)
