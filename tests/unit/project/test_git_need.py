"""A node whose git can't read a project's repository gets no job of it, and the plan says why."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._load.probe import parse
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.git_need import (
    OLDEST,
    SINCE,
    git_need,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.settings import (
    PORTABLE,
    read_settings,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
    rank,
)
from workbench import trees


def need_of(*folders):
    return git_need([read_settings(str(folder)) for folder in folders])


def test_a_usual_project_and_one_without_git_need_what_a_baseline_needs(tmp_path):
    assert need_of() == (OLDEST, "")
    trees.git(tmp_path, "init", "-q", "--template=")
    assert need_of(tmp_path) == (OLDEST, "")


@pytest.mark.parametrize(
    ("words", "version", "what"),
    [
        (("--object-format=sha256",), (2, 29), "sha256"),
        (("-c", "index.sparse=true"), (2, 32), "a sparse index"),
    ],
)
def test_a_format_that_not_every_git_reads_needs_a_git_that_does(tmp_path, words, version, what):
    if words[0] == "-c":
        trees.git(tmp_path, "init", "-q", "--template=")
        trees.git(tmp_path, "config", *words[1].split("="))
    else:
        trees.git(tmp_path, "init", "-q", "--template=", *words)
    need = need_of(tmp_path)
    assert need.version == version and what in need.what


def test_of_a_project_with_repositories_inside_the_one_that_needs_most_counts(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    trees.git(tmp_path, "init", "-q", "--template=")
    trees.git(inner, "init", "-q", "--template=", "--object-format=sha256")
    assert need_of(tmp_path).version == OLDEST
    assert need_of(tmp_path, inner).version == (2, 29)


def test_what_needs_a_newer_git_goes_along_and_what_stays_at_home_needs_none():
    assert all(PORTABLE.fullmatch(name) for name, *_more in SINCE)


def test_a_node_with_an_older_git_is_rejected_with_both_versions(tmp_path):
    need = Need(git=(2, 45), git_for="a repository with reftable")
    nodes = [Node("old", "measured", git=(2, 39)), Node("new", "measured", git=(2, 45))]
    rows = {row.host: row for row in rank([*nodes, Node("unknown", "measured")], need)}
    assert rows["new"].rejected is None and rows["unknown"].rejected is None
    assert rows["old"].rejected == "its git is 2.39, and a repository with reftable needs 2.45"
    assert rows["old"].change == "git 2.45 or newer has to be there"


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        (["git version 2.39.5"], "2.39.5"),
        (["git version 2.24.3 (Apple Git-128)", "git version 2.50.0"], "2.50.0"),
        (["git version 2.47.windows.1"], "2.47.0"),
        (["", "no git"], None),
    ],
)
def test_the_newest_git_that_a_probe_finds_counts(lines, version):
    text = "\n".join(f"@gummy-probe git {line} @end" for line in lines)
    assert parse(text).git == version
