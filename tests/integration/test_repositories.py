"""Projects as people have them: what can't be read, and what git says a repository is."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess

import pytest
from real_nodes import Controller, Counter, git

pytestmark = pytest.mark.once


@pytest.fixture
def no_rights(controller: Controller) -> Controller:
    """The controller without root's right to read everything."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root reads everything, and there is no setpriv")
        bounds = "--bounding-set=-dac_override,-dac_read_search"
        controller.within = ("setpriv", bounds)
    return controller


def shut(folder: pathlib.Path) -> None:
    """A folder of somebody else's that nobody may look into."""
    folder.mkdir()
    (folder / "s").write_text("s", encoding="utf-8")
    if os.geteuid() == 0:
        os.chown(folder, 12345, 12345)
    folder.chmod(0)


def test_what_can_t_be_read_here_is_told_at_once_and_no_node_is_blamed(
    no_rights: Controller, counter: Counter
) -> None:
    shut(no_rights.project / "data")
    jobs = no_rights.jobs({"command": counter.command()}, {"command": counter.command()})
    words = ("-e", jobs, "-e", "gummy_run_id=shut")
    try:
        planned = no_rights.play("plan", *words)
        assert "can't read data/" in planned.output, planned
        played = no_rights.run(*words)
        assert played.status == 2, played
        for row in played.run["jobs"]:
            assert (row["status"], row["class"], row["attempts"]) == ("failed", "input", []), row
            assert "can't read data/" in row["message"] and '"/data/"]' in row["message"]
        assert not list(no_rights.state.parent.parent.rglob("quarantine.json"))
        synced = no_rights.play("sync")
        assert synced.status != 0 and "can't read data/" in synced.output, synced

        # The line that it says mends it, and the run called again goes on.
        setting = played.jobs["job-1"]["message"].partition("sync_exclude: ")[2]
        no_rights.configure(json.dumps({"sync_exclude": json.loads(setting)}))
        again = no_rights.run(*words)
        assert again.status == 0 and counter.starts() == ["job-1", "job-2"], again
    finally:
        (no_rights.project / "data").chmod(0o700)


def test_an_empty_git_in_and_above_a_project_makes_no_repository_of_it(
    controller: Controller,
) -> None:
    above = controller.folder / "above"
    project = controller.make_project(above / "project", repository=False)
    (above / ".git").mkdir()
    command = "mkdir .git .agents sub sub/.git; echo b > b; echo c > sub/c"
    played = controller.shell(command, "-e", f"gummy_project={project}")
    assert (played.status, played.job["files_changed"], played.job["nested"]) == (0, 2, []), played
    (project / ".git").mkdir()
    played = controller.shell("cat secret; echo b > b", "-e", f"gummy_project={project}")
    assert (played.status, played.job["files_changed"]) == (0, 1), played


def filtered(controller: Controller) -> pathlib.Path:
    """The project with a file that a filter keeps out of the repository in plain text.

    The node has the filter's settings, which travel with .git, and not its program.
    """
    project = controller.project
    script = controller.folder / "filter"
    script.write_text("#!/bin/sh\ntr a-zA-Z n-za-mN-ZA-M\n", encoding="utf-8")
    script.chmod(0o755)
    for way in ("clean", "smudge"):
        git(project, "config", f"filter.rot.{way}", str(script))
    (project / ".gitattributes").write_text("*.key filter=rot\n", encoding="utf-8")
    (project / "a.key").write_text("password\n", encoding="utf-8")
    git(project, "add", ".")
    git(project, "commit", "-qm", "filtered")
    return project


# The node's git has no such filter, so it stores what lies in the tree.
COMMIT = (
    "git config --remove-section filter.rot; echo more >> a.key; echo new > b.key; git add -A; "
    "git -c user.name=a -c user.email=a@b commit -qm x; echo last >> a.key"
)


def in_plain_text(project: pathlib.Path) -> list[str]:
    """Objects of the repository, reachable or not, that hold what the filter hides."""
    words = ["cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)"]
    rows = git(project, *words).stdout.splitlines()
    blobs = [row.split()[0] for row in rows if row.endswith(" blob")]
    return [name for name in blobs if "password" in git(project, "cat-file", "blob", name).stdout]


def test_a_patch_of_filtered_files_fits_and_the_agent_s_commits_are_not_offered(
    controller: Controller,
) -> None:
    project = filtered(controller)
    played = controller.shell(COMMIT, "-e", "gummy_run_id=filtered")
    assert played.status == 0 and played.job["commits"] == {}, played
    assert "do not fetch commits.bundle" in played.output, played
    git(project, "apply", played.job["patch"])
    assert (project / "a.key").read_text(encoding="utf-8") == "password\nmore\nlast\n"
    assert (project / "b.key").read_text(encoding="utf-8") == "new\n"
    assert in_plain_text(project) == []


def test_a_branch_of_filtered_files_is_merged_by_its_name(controller: Controller) -> None:
    project = filtered(controller)
    played = controller.shell(COMMIT, "-e", "gummy_run_id=f", "-e", "gummy_deliver=branch")
    assert played.status == 0 and "commits are made anew" in played.output, played
    assert in_plain_text(project) == []
    git(project, "merge", "-q", "--ff-only", played.job["delivered"]["branch"])
    assert (project / "a.key").read_text(encoding="utf-8") == "password\nmore\nlast\n"
    assert git(project, "status", "--porcelain").stdout == ""
    assert in_plain_text(project) == []


def test_a_patch_of_a_folder_of_a_repository_is_taken_over_by_the_line_of_the_summary(
    controller: Controller,
) -> None:
    folder = controller.project / "docs"
    played = controller.shell("echo more >> 'b c.txt'", "-e", f"gummy_project={folder}")
    assert played.status == 0 and len(played.job["notes"]) == 1, played
    command = played.job["notes"][0].partition("take the patch over with ")[2]
    assert f"job-1: take the patch over with {command}" in played.output
    subprocess.run(["sh", "-c", f"{command} '{played.job['patch']}'"], cwd=folder, check=True)
    assert (folder / "b c.txt").read_text(encoding="utf-8") == "text\nmore\n"


def test_a_repository_of_the_other_format_brings_home_branch_patch_and_commits(
    controller: Controller,
) -> None:
    project = controller.folder / "other"
    project.mkdir()
    git(project, "init", "-q", "--object-format=sha256")
    (project / "a").write_text("1\n2\n", encoding="utf-8")
    (project / "bin").write_bytes(bytes(range(256)))
    git(project, "add", ".")
    git(project, "commit", "-qm", "first")
    change = (
        "echo 3 >> a; git -c user.name=a -c user.email=a@b commit -qam x; mv a moved; "
        "printf '\\001\\000\\002' > bin"
    )
    words = ("-e", f"gummy_project={project}")
    branched = controller.shell(change, *words, "-e", "gummy_deliver=branch")
    assert branched.status == 0, branched
    branch = branched.job["delivered"]["branch"]
    assert git(project, "show", f"{branch}:moved").stdout == "1\n2\n3\n"
    assert len(git(project, "log", "--format=%s", f"HEAD..{branch}").stdout.splitlines()) == 2
    patched = controller.shell(change, *words)
    assert patched.status == 0 and patched.job["commits"], patched
    git(project, "apply", patched.job["patch"])
    assert (project / "bin").read_bytes() == b"\1\0\2" and not (project / "a").exists()


def test_two_jobs_that_change_a_filtered_file_are_told_an_order_of_their_patches(
    controller: Controller,
) -> None:
    project = filtered(controller)
    lines = "".join(f"{number}\n" for number in range(30))
    (project / "a.key").write_text(lines, encoding="utf-8")
    git(project, "commit", "-qam", "lines")
    jobs = controller.jobs(
        {"command": "sed -i.old 's/^3$/three/' a.key; rm a.key.old"},
        {"command": "sed -i.old 's/^25$/more/' a.key; rm a.key.old"},
    )
    played = controller.run("-e", jobs)
    assert played.status == 0, played
    (conflict,) = played.run["conflicts"]
    assert (conflict["order"], conflict["left"]) == (["job-1", "job-2"], []), conflict
    for name in conflict["order"]:
        git(project, "apply", played.jobs[name]["patch"])
    text = (project / "a.key").read_text(encoding="utf-8")
    assert "three" in text and "more" in text


def test_a_plan_says_that_a_node_s_git_is_too_old_for_the_project(controller: Controller) -> None:
    project = controller.folder / "other"
    project.mkdir()
    git(project, "init", "-q", "--object-format=sha256")
    facts = {"state": "measured", "load": {"cpu": 0.1}, "measured_at": 1.0, "git": "2.28.1"}
    inventory = controller.static(
        {"old": {"gummy_facts": facts}, "new": {"gummy_facts": {**facts, "git": "2.29.0"}}}
    )
    words = (
        "-e",
        "gummy_agent=shell",
        "-e",
        "gummy_command=true",
        "-e",
        f"gummy_project={project}",
    )
    planned = controller.play("plan", *words, inventory=inventory)
    assert "its git is 2.28, and a repository with sha256 needs 2.29" in planned.output, planned
    assert "job-1  ->  new" in planned.output, planned
