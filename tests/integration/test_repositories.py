"""Projects as people have them: what can't be read, and what git says a repository is."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import pytest
from real_nodes import Controller, Counter

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
