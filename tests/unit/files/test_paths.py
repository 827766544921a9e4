"""Where the files of a user are, and that a file is whole whoever reads it when."""

from __future__ import annotations

import json
import os
import stat

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import BadValue
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


def test_the_file_is_never_written_through_a_link_and_a_link_in_its_place_is_replaced(
    tmp_path, monkeypatch
):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "x.json").symlink_to(victim)
    paths.write_json(str(tmp_path / "x.json"), {"a": 1})
    assert not (tmp_path / "x.json").is_symlink()
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}

    # Even a name that somebody guessed is not opened.
    monkeypatch.setattr(paths.secrets, "token_hex", lambda _count: "guessed")
    (tmp_path / "x.json.guessed.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        paths.write_json(str(tmp_path / "x.json"), {"a": 2})
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("names", [("r", "job"), ("a.b-c_d",), ("x" * 64,)])
def test_a_path_is_made_of_names(names):
    assert paths.path_of("/top", *names) == "/".join(("/top", *names))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/a", ".x", "-x", "a\0", "a\n", "é", "x" * 65, None, 7]
)
def test_what_is_no_name_becomes_no_path(name):
    for names in ((name,), ("r", name), (name, "job")):
        with pytest.raises(BadValue, match="is no name that a folder may have"):
            paths.path_of("/top", *names)
    with pytest.raises(BadValue):
        paths.path_of("/top", name, before=".fetch-")


def test_a_folder_of_ours_is_closed_to_others_and_one_of_somebody_else_is_refused(
    tmp_path, monkeypatch
):
    path = tmp_path / "state"
    path.mkdir(mode=0o755)
    assert paths.private_folder(str(path)) == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    (tmp_path / "link").symlink_to(path)
    assert paths.private_folder(str(tmp_path / "link"))

    other = os.geteuid() + 1
    monkeypatch.setattr(paths.os, "geteuid", lambda: other)
    with pytest.raises(BadValue, match="belongs to another user"):
        paths.private_folder(str(path))
