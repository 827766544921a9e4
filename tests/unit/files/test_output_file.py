"""What `gummy_output_file` does with what is there already."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._files import output_file
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.output_file import (
    write_output,
)

DOCUMENT = {"a": 1}


def test_a_new_file_has_the_document(tmp_path):
    write_output(str(tmp_path / "x.json"), DOCUMENT)
    assert json.loads((tmp_path / "x.json").read_text()) == DOCUMENT
    assert os.listdir(tmp_path) == ["x.json"]


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o640])
def test_a_file_that_is_there_is_replaced_and_keeps_its_rights(tmp_path, mode):
    path = tmp_path / "x.json"
    path.write_text("old, and longer than what is new")
    path.chmod(mode)
    write_output(str(path), DOCUMENT)
    assert json.loads(path.read_text()) == DOCUMENT
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name, target in (("to-file", victim), ("to-nothing", tmp_path / "nothing")):
        (tmp_path / name).symlink_to(target)
        write_output(str(tmp_path / name), DOCUMENT)
        assert not (tmp_path / name).is_symlink()
        assert json.loads((tmp_path / name).read_text()) == DOCUMENT
    assert victim.read_text() == "precious" and not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("target", ["/dev/null", "."])
def test_a_link_to_what_is_no_file_is_refused_and_stays(tmp_path, target):
    (tmp_path / "out").symlink_to(target)
    with pytest.raises(InputError, match="gummy_output_file: .*/out could not be written"):
        write_output(str(tmp_path / "out"), DOCUMENT)
    assert os.readlink(tmp_path / "out") == target


def test_a_named_pipe_is_written_into_and_stays(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    # Until the reader has opened it, there is nobody to write to.
    while True:
        try:
            write_output(str(path), DOCUMENT)
            break
        except InputError:
            assert reader.is_alive()
    reader.join(10)
    assert json.loads(read[0]) == DOCUMENT and stat.S_ISFIFO(path.stat().st_mode)


def test_a_named_pipe_that_nobody_reads_is_told_and_holds_up_nothing(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="could not be written"):
        write_output(str(tmp_path / "pipe"), DOCUMENT)


def test_a_device_stays_a_device():
    before = os.stat("/dev/null")
    write_output("/dev/null", DOCUMENT)
    after = os.stat("/dev/null")
    assert (after.st_ino, after.st_rdev) == (before.st_ino, before.st_rdev)
    assert stat.S_ISCHR(after.st_mode)


def test_another_user_s_pipe_is_not_written_into(tmp_path, monkeypatch):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    own = os.geteuid()
    monkeypatch.setattr(output_file.os, "geteuid", lambda: own + 1)
    monkeypatch.setattr(output_file, "ROOT", own + 1)
    with pytest.raises(InputError, match="belongs to another user"):
        write_output(str(path), DOCUMENT)
    assert os.read(reader, 10) == b""
    os.close(reader)


@pytest.mark.parametrize("path", ["no/such/folder/x.json", "."])
def test_what_can_not_be_written_is_told_with_the_path(tmp_path, path):
    with pytest.raises(InputError, match="gummy_output_file"):
        write_output(str(Path(tmp_path, path)), DOCUMENT)
