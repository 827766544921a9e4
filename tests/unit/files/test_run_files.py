"""What of a job's folder the reports show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files import run_files
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.run_files import (
    read_run_files,
)


def row(folder: Path, name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "status": "failed",
        "class": "agent",
        "folder": str(folder),
        "patch": str(folder / "changes.patch"),
        "artifacts": 0,
        **more,
    }


def test_patches_are_cut_at_a_line_and_share_what_there_is_of_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_files, "PATCH_MOST", 10)
    monkeypatch.setattr(run_files, "PATCHES_MOST", 12)
    (tmp_path / "changes.patch").write_text("1234\n5678\n90\n")
    files = read_run_files([row(tmp_path, "a"), row(tmp_path, "b")])
    assert (files["a"]["patch"], files["a"]["patch_left"]) == ("1234\n5678\n", 3)
    assert (files["b"]["patch"], files["b"]["patch_left"]) == ("", 13)


def test_of_a_log_the_last_whole_lines_are_read_unless_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_files, "LOG_MOST", 8)
    (tmp_path / "log").write_bytes(b"first\nsecond\nla\xff\n")
    rows = [row(tmp_path, "bad", patch=None), row(tmp_path, "good", patch=None, status="success")]
    files = read_run_files(rows)
    assert files["bad"]["log"] == "la\N{REPLACEMENT CHARACTER}\n"
    assert files["good"]["log"] == ""


def test_of_a_job_whose_setup_failed_it_is_the_log_of_that(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("the agent\n")
    (tmp_path / "setup.log").write_text("npm ci\n")
    rows = [row(tmp_path, "a", patch=None), row(tmp_path, "b", patch=None, **{"class": "setup"})]
    files = read_run_files(rows)
    assert (files["a"]["log"], files["b"]["log"]) == ("the agent\n", "npm ci\n")


def test_what_is_gone_or_is_no_file_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/etc/passwd")
    (tmp_path / "changes.patch").mkdir()
    gone = row(tmp_path / "gone", "gone")
    unfetched = {**row(tmp_path, "unfetched", patch=None), "folder": None}
    empty = {"patch": "", "patch_left": 0, "log": "", "tests": []}
    assert read_run_files([row(tmp_path, "odd"), gone, unfetched]) == {
        "odd": empty,
        "gone": empty,
        "unfetched": empty,
    }
