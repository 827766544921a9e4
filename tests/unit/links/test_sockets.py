"""The folder of ssh's sockets: private, the same for all, and not one more for each link."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import sockets as _sockets

# As another process has it, which remembers nothing of this one.
fresh_control_folder = _sockets.control_folder.__wrapped__


@pytest.fixture
def parent(tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def usual_in(parent):
    return parent / f"gummy-{os.getuid()}"


def hold(parent, monkeypatch, trap):
    """Somebody else was there first."""
    path = usual_in(parent)
    if trap == "open":
        path.mkdir()
        path.chmod(0o755)
    elif trap == "file":
        path.touch()
    elif trap in ("link", "dangling"):
        (parent / "theirs").mkdir(mode=0o700)
        path.symlink_to(parent / ("theirs" if trap == "link" else "nothing"))
    else:
        path.mkdir(0o700)
        is_ours = _sockets._is_ours
        monkeypatch.setattr(_sockets, "_is_ours", lambda each: each != str(path) and is_ours(each))


def test_the_usual_one_has_a_short_name_and_is_taken_again(parent, tmp_path):
    memory = str(tmp_path / "cache/sockets")
    for _time in range(2):
        assert fresh_control_folder(memory, str(parent)) == str(usual_in(parent))
    assert stat.S_IMODE(usual_in(parent).stat().st_mode) == 0o700
    assert not os.path.lexists(memory)


@pytest.mark.parametrize("trap", ["open", "other", "link", "dangling", "file"])
def test_one_that_may_be_somebody_else_s_is_never_used_and_all_share_another(
    parent, tmp_path, monkeypatch, trap
):
    hold(parent, monkeypatch, trap)
    before = {*os.listdir(parent)}
    memory = str(tmp_path / "cache/sockets")
    (found,) = {fresh_control_folder(memory, str(parent)) for _time in range(5)}
    (name,) = {*os.listdir(parent)} - before
    assert found == str(parent / name) and len(name) < 20
    assert stat.S_IMODE(os.stat(found).st_mode) == 0o700


def test_what_is_remembered_and_gone_or_not_ours_is_made_anew(parent, tmp_path, monkeypatch):
    hold(parent, monkeypatch, "open")
    memory = tmp_path / "sockets"
    for spoil in (os.rmdir, lambda path: os.chmod(path, 0o755)):
        found = fresh_control_folder(str(memory), str(parent))
        spoil(found)
        assert fresh_control_folder(str(memory), str(parent)) != found

    memory.unlink()
    memory.symlink_to(tmp_path)
    assert os.path.dirname(fresh_control_folder(str(memory), str(parent))) == str(parent)


def test_where_nothing_can_be_remembered_one_process_has_one(parent, tmp_path, monkeypatch):
    hold(parent, monkeypatch, "open")
    (tmp_path / "file").touch()
    memory = str(tmp_path / "file/sockets")
    with ThreadPoolExecutor(1) as pool:
        found = {*pool.map(lambda _n: _sockets.control_folder(memory, str(parent)), range(5))}
    assert len(found) == 1 and len(os.listdir(parent)) == 2


def test_who_is_slower_leaves_nothing_behind(parent, tmp_path, monkeypatch):
    hold(parent, monkeypatch, "open")
    memory = tmp_path / "sockets"
    others = parent / "gummy-other"
    make = _sockets.tempfile.mkdtemp

    def make_after_another(**words):
        if not others.exists():
            others.mkdir(0o700)
            memory.symlink_to(others)
        return make(**words)

    monkeypatch.setattr(_sockets.tempfile, "mkdtemp", make_after_another)
    monkeypatch.setattr(_sockets.os, "unlink", lambda _path: None)
    assert fresh_control_folder(str(memory), str(parent)) == str(others)
    assert len(os.listdir(parent)) == 2
