"""Where the files of a user are, and that a file is whole whoever reads it when."""

from __future__ import annotations

import json
import os
import stat

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files import paths

HOMES = {
    "XDG_CONFIG_HOME": (paths.config_home, "/home/me/.config/distributed-gummy"),
    "XDG_STATE_HOME": (paths.state_home, "/home/me/.local/state/distributed-gummy"),
    "XDG_CACHE_HOME": (paths.cache_home, "/home/me/.cache/distributed-gummy"),
}


@pytest.mark.parametrize("variable", HOMES)
def test_a_home_is_where_xdg_says_and_a_relative_path_does_not_count(variable, monkeypatch):
    home, default = HOMES[variable]
    monkeypatch.setenv("HOME", "/home/me")
    for value in ("", "here", "./here"):
        monkeypatch.setenv(variable, value)
        assert home() == default
    monkeypatch.delenv(variable)
    assert home() == default
    monkeypatch.setenv(variable, "/else where")
    assert home() == "/else where/distributed-gummy"


def test_a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    reader = path.open("rb")
    paths.write_whole(str(path), b"after")
    assert (reader.read(), path.read_bytes()) == (b"before", b"after")
    assert os.listdir(tmp_path) == ["file"]


def test_what_can_not_be_written_leaves_what_was_there(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        paths.write_whole(str(tmp_path / "folder"), b"text")
    assert os.listdir(tmp_path) == ["folder"]


def test_the_rights_are_those_that_were_asked_for(tmp_path):
    before = os.umask(0o022)
    try:
        paths.write_whole(str(tmp_path / "usual"), b"")
        paths.write_whole(str(tmp_path / "private"), b"", paths.PRIVATE)
    finally:
        os.umask(before)
    rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert rights == {"usual": 0o644, "private": 0o600}


def test_of_two_who_write_a_file_once_the_first_wins(tmp_path):
    path = tmp_path / "file"
    for content in (b"first", b"second"):
        paths.write_once(str(path), content)
    assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["file"]


def test_a_document_holds_a_path_that_is_no_utf_8(tmp_path):
    path = tmp_path / "run.json"
    paths.write_json(str(path), {"path": "caf\udce9", "city": "Köln"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"path": "caf\udce9", "city": "Köln"}
    assert "Köln" in path.read_text(encoding="utf-8") and "\\udce9" in path.read_text("utf-8")
