"""Files that several jobs changed, and an order in which their patches apply."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import conflicts
from workbench import Work, agent, identity, trees


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path)


def rows(work, **changes):
    project = str(work.project)
    found = []
    for name, change in changes.items():
        folder, _result = work.job(change, name)
        found.append({"name": name, "project": project, "patch": f"{folder}/changes.patch"})
    return found


def test_files_of_two_jobs_are_listed_with_an_order_in_which_they_apply(work):
    text = "".join(f"{number}\n" for number in range(60))
    work.commit(work.project, "long", long=text)
    trees.git(work.project, "stash")
    before = identity(work.project)
    found = conflicts.find_conflicts(
        rows(
            work,
            one=lambda tree: (tree / "long").write_text("first\n" + text),
            two=lambda tree: (tree / "long").write_text(text + "last\n"),
            alone=lambda tree: (tree / "a").write_text("x\n"),
            third=lambda tree: (tree / "long").write_text("another first\n" + text),
        )
    )
    assert identity(work.project) == before
    assert found == [
        {
            "project": str(work.project),
            "files": [{"path": "long", "jobs": ["one", "two", "third"]}],
            "order": ["one", "two"],
            "left": ["third"],
            "unread": [],
        }
    ]
    assert (
        conflicts.find_conflicts(
            rows(work, one=agent, two=lambda tree: (tree / "c").write_text("x\n"))
        )
        == []
    )


def test_an_order_is_found_where_only_one_works_and_without_git(work):
    (work.project / "g").write_text("g\n")
    (first, second) = rows(
        work,
        first=lambda tree: (tree / "g").write_text("g\nh\n"),
        second=lambda tree: (tree / "g").write_text("g\ni\n"),
    )
    Path(second["patch"]).write_text(
        Path(second["patch"])
        .read_text()
        .replace("+i\n", " h\n+i\n")
        .replace("@@ -1 +1,2 @@", "@@ -1,2 +1,3 @@")
    )
    shutil.rmtree(work.project / ".git")
    assert conflicts.find_conflicts([second, first])[0]["order"] == ["first", "second"]


def test_jobs_of_other_projects_without_patches_and_one_alone_are_no_conflict(work, tmp_path):
    (one,) = rows(work, one=agent)
    (tmp_path / "other").mkdir()
    other = Work(tmp_path / "other")
    (elsewhere,) = rows(other, two=agent)
    nothing = {"name": "three", "project": str(work.project), "patch": None}
    gone = {"name": "four", "project": str(work.project), "patch": "/nowhere/changes.patch"}
    assert conflicts.find_conflicts([one, elsewhere, nothing, gone]) == []


def test_a_patch_that_git_can_not_read_spoils_no_run_and_hides_no_other_conflict(work):
    one, two, bad = rows(work, one=agent, two=agent, bad=agent)
    Path(bad["patch"]).write_text("no patch\n")
    (found,) = conflicts.find_conflicts([one, bad, two])
    assert {row["path"] for row in found["files"]} == {"a", "b", "new"}
    assert (found["order"], found["left"], found["unread"]) == (["one"], ["two"], ["bad"])
    assert conflicts.find_conflicts([one, bad]) == []


def test_patches_with_paths_that_git_refuses_apply_after_none_and_hide_no_other(work):
    one, two, bad, worse = rows(work, one=agent, two=agent, bad=agent, worse=agent)
    (work.top / "outside").write_text("x\n")
    text = (
        "diff --git a/../outside b/../outside\n--- a/../outside\n+++ b/../outside\n"
        "@@ -1 +1 @@\n-x\n+y\n"
    )
    for row in (bad, worse):
        Path(row["patch"]).write_text(text)
    (found,) = conflicts.find_conflicts([one, two, bad, worse])
    assert {row["path"] for row in found["files"]} >= {"a", "b", "new"}
    assert found["order"] == ["one"] and {*found["left"], *found["unread"]} == {
        "two",
        "bad",
        "worse",
    }
    assert (work.top / "outside").read_text() == "x\n"
