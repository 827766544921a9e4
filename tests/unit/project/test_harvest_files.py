"""What of that which a node sends as a harvest is let in, and how much."""

from __future__ import annotations

import os
import stat
import threading

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import (
    harvest_files as _files,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.harvest_files import (
    DEPTH_MOST,
    KNOWN,
    GrowthWatch,
    HarvestLimit,
    Pace,
    keep_known,
    remove_tree,
)


@pytest.fixture
def sent(tmp_path):
    folder = tmp_path / "sent"
    folder.mkdir()
    return folder


def kept(sent):
    """The paths that were let in."""
    target = sent.parent / "known"
    keep_known(str(sent), str(target))
    return {
        os.path.relpath(os.path.join(where, name), target)
        for where, _folders, files in os.walk(target)
        for name in files
    }


def put(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x")


def test_the_files_of_a_harvest_come_and_no_other_name(sent):
    put(sent, *KNOWN, "artifacts/dist/a.whl", "artifacts/.env")
    put(sent, ".git/config", "log0", "attempt", "LOG", "hooks/x", ".envrc", "nested/.git/config")
    assert kept(sent) == {*KNOWN, "artifacts/dist/a.whl", "artifacts/.env"}


def test_of_nested_repositories_bundles_come_and_nothing_else(sent):
    put(sent, "nested/1.bundle", "nested/12.bundle")
    put(
        sent, "nested/0.bundle", "nested/HEAD", "nested/objects/x", "nested/refs/x", "nested/config"
    )
    (sent / "nested/2.bundle").symlink_to("/etc/passwd")
    put(sent, "nested/3.bundle/x")
    assert kept(sent) == {"nested/1.bundle", "nested/12.bundle"}


def test_a_folder_a_link_or_a_pipe_in_the_place_of_a_file_does_not_come(sent):
    put(sent, "log/x")
    (sent / "result.json").symlink_to("/etc/passwd")
    os.mkfifo(sent / "report.md")
    (sent / "artifacts").symlink_to("/etc")
    assert kept(sent) == set()


def test_no_git_finds_a_repository_in_the_artifacts(sent):
    names = (".git", ".GIT", ".git ", ".git.", "git~1", ".g\u200cit")
    put(sent, *(f"artifacts/{name}/config" for name in names), "artifacts/sub/.git")
    put(sent, "artifacts/bare/HEAD", "artifacts/bare/objects/x", "artifacts/bare/refs/x")
    put(sent, "artifacts/common/head", "artifacts/common/commondir", "artifacts/HEAD")
    assert kept(sent) == {
        "artifacts/bare/HEAD~",
        "artifacts/bare/objects/x",
        "artifacts/bare/refs/x",
        "artifacts/common/head~",
        "artifacts/common/commondir",
        "artifacts/HEAD",
    }


def test_odd_names_of_artifacts_are_made_plain_and_links_and_devices_stay_away(sent):
    put(sent, "artifacts/a\nb", "artifacts/\x1b[31m/é", "artifacts/-rf", "artifacts/ok")
    (sent / "artifacts" / os.fsdecode(b"\xff")).write_text("x")
    (sent / "artifacts" / "link").symlink_to("ok")
    (sent / "artifacts" / "folder").symlink_to("/etc")
    os.mkfifo(sent / "artifacts" / "pipe")
    assert kept(sent) == {
        "artifacts/a%0Ab",
        "artifacts/%1B[31m/é",
        "artifacts/-rf",
        "artifacts/ok",
        "artifacts/%FF",
    }


def test_modes_are_those_of_plain_files(sent):
    put(sent, "artifacts/closed/tool", "log")
    (sent / "artifacts/closed/tool").chmod(0o6777)
    (sent / "log").chmod(0)
    (sent / "artifacts/closed").chmod(0)
    assert kept(sent) == {"artifacts/closed/tool", "log"}
    known = sent.parent / "known"
    modes = [stat.S_IMODE((known / n).stat().st_mode) for n in ("artifacts/closed/tool", "log")]
    assert modes == [0o755, 0o600]


def test_what_lies_too_deep_stays_away_and_all_of_it_can_be_removed(sent):
    put(sent, "/".join(("artifacts", *["d"] * (DEPTH_MOST + 5), "x")), "artifacts/x")
    assert kept(sent) == {"artifacts/x"}

    folder = os.open(sent, os.O_RDONLY)
    for _each in range(1500):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    assert HarvestLimit(files=500).why_over(str(sent)) == "more than 500 files"
    remove_tree(str(sent))
    assert not sent.exists()


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (HarvestLimit(), ""),
        (HarvestLimit(bytes=2 * 10**6), "more than 2 MB"),
        (HarvestLimit(files=3), ""),
        (HarvestLimit(files=2), "more than 2 files"),
    ],
)
def test_a_harvest_over_its_limit_is_found_out(sent, limit, why):
    put(sent, "artifacts/a")
    (sent / "log").write_bytes(b"x" * (2 * 10**6 + 1))
    assert limit.why_over(str(sent)) == why


def test_what_is_hidden_in_a_path_too_long_to_look_at_is_too_much(sent):
    folder = os.open(sent, os.O_RDONLY)
    for _each in range(30):
        os.mkdir("d" * 200, dir_fd=folder)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    assert "can't be measured (File name too long)" in HarvestLimit().why_over(str(sent))
    remove_tree(str(sent))
    assert not sent.exists()


def test_who_writes_too_much_is_stopped_while_it_writes(sent):
    stopped = threading.Event()
    watch = GrowthWatch(str(sent), HarvestLimit(bytes=10))
    watch.begin(stopped.set)
    (sent / "log").write_bytes(b"x" * 11)
    assert stopped.wait(10) and watch.end() == "more than 0 MB"


def test_who_writes_too_slowly_is_stopped_too(sent, monkeypatch):
    monkeypatch.setattr(_files, "LEAST_SECONDS", 0.0)
    stopped = threading.Event()
    watch = GrowthWatch(str(sent), HarvestLimit(bytes=10))
    watch.begin(stopped.set)
    assert stopped.wait(10) and watch.end() == "" and watch.is_too_slow


def test_a_pace_is_what_comes_in_a_while_and_not_since_the_beginning():
    least = _files.LEAST_BYTES
    seconds = _files.LEAST_SECONDS
    pace = Pace(1000.0)
    # A slow line that goes on brings enough in each while.
    for number in range(1, 50):
        assert not pace.is_too_slow(number * least, 1000.0 + number * (seconds - 1))
    # Then it drips.
    last = 1000.0 + 49 * (seconds - 1)
    assert not pace.is_too_slow(50 * least - 1, last + seconds - 1)
    assert pace.is_too_slow(50 * least - 1, last + seconds)


def test_many_small_files_are_progress_too(sent):
    put(sent, "artifacts/a")
    assert HarvestLimit().measure(str(sent))[0] >= 2 * _files.BYTES_OF_A_FILE


def test_who_writes_little_is_not(sent):
    watch = GrowthWatch(str(sent), HarvestLimit(bytes=10))
    watch.begin(lambda: pytest.fail("stopped"))
    put(sent, "log")
    assert watch.end() == ""
