"""A file that may be deleted at any time is believed only if nobody else can have written it."""

from __future__ import annotations

import os

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files import private_file


@pytest.fixture
def path(tmp_path):
    """A file in a folder of ours that is not there yet."""
    return tmp_path / "cache" / "nodes.json"


def written(path):
    private_file.write_private(str(path), {"nodes": 1})
    return private_file.read_private(str(path))


def test_the_cache_is_where_xdg_says_and_a_relative_path_does_not_count(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", "/home/me")
    assert private_file.cache_file("nodes.json") == "/home/me/.cache/distributed-gummy/nodes.json"


def test_what_was_written_is_read_and_nobody_else_may_look(path):
    assert private_file.read_private(str(path)) is None
    assert written(path) == {"nodes": 1}
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(path.parent) == ["nodes.json"]


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_believed(path, mode):
    written(path)
    path.chmod(mode)
    assert private_file.read_private(str(path)) is None


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_folder_that_others_may_look_into_is_neither_believed_nor_written_to(path, mode):
    written(path)
    path.parent.chmod(mode)
    assert private_file.read_private(str(path)) is None
    path.unlink()
    private_file.write_private(str(path), {})
    assert os.listdir(path.parent) == []


def test_a_link_a_pipe_and_a_linked_folder_are_not_believed(path, tmp_path):
    written(path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert private_file.read_private(str(path)) is None
    path.unlink()
    os.mkfifo(path, 0o600)
    assert private_file.read_private(str(path)) is None
    (tmp_path / "linked").symlink_to(path.parent)
    assert written(tmp_path / "linked" / "nodes.json") is None


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\udcff"])
def test_what_is_no_json_is_not_believed(path, text):
    written(path)
    path.write_bytes(text.encode("utf-8", errors="surrogateescape"))
    assert private_file.read_private(str(path)) is None


def test_what_is_too_large_is_not_read(path, monkeypatch):
    written(path)
    monkeypatch.setattr(private_file, "CAP", 5)
    assert private_file.read_private(str(path)) is None


def test_a_folder_that_can_not_be_made_is_no_error(tmp_path):
    (tmp_path / "cache").write_text("no folder")
    assert written(tmp_path / "cache" / "nodes.json") is None
