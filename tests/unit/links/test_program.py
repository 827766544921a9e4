"""The node program's zip: the same everywhere, whole on the node or not there at all."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import zipfile

from ansible_collections.distributed.gummy.plugins.plugin_utils._links import program


def install(path, data, digest):
    argv = [sys.executable, "-I", "-S", "-c", program.INSTALLER, str(path), digest]
    return subprocess.run(argv, input=data, capture_output=True, text=False, check=False)


def test_the_same_sources_give_the_same_bytes():
    first = program.build()
    program.build.cache_clear()
    assert program.build() == first


def test_the_zip_starts_by_itself_and_has_no_types_in_it():
    names = zipfile.ZipFile(io.BytesIO(program.build().data)).namelist()
    assert names[:2] == ["__main__.py", "_node/__init__.py"]
    assert "_node/verbs.py" in names
    assert program.NOT_SENT.isdisjoint(os.path.basename(name) for name in names)


def test_what_was_installed_runs_and_is_private(tmp_path):
    built = program.build()
    path = tmp_path / "a folder" / "program.zip"
    done = install(path, built.data, built.digest)
    assert (done.returncode, done.stderr) == (0, b"")
    assert os.listdir(path.parent) == ["program.zip"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    asked = subprocess.run(
        [sys.executable, "-I", "-S", str(path), "list"],
        input=b"{}\n",
        capture_output=True,
        env=env,
        check=True,
    )
    assert b'"state": "listed"' in asked.stdout


def test_beside_each_source_lies_the_code_of_the_python_that_installed_it(tmp_path):
    built = program.build()
    path = tmp_path / "program.zip"
    install(path, built.data, built.digest)
    names = set(zipfile.ZipFile(path).namelist())
    sources = {name for name in names if name.endswith(".py")}
    assert {name + "c" for name in sources} == names - sources


def test_a_program_that_arrived_damaged_is_not_installed(tmp_path):
    built = program.build()
    path = tmp_path / "program.zip"
    done = install(path, built.data[:-1], built.digest)
    assert (done.returncode, done.stderr) == (1, b"the program arrived damaged\n")
    assert not path.exists()


def test_any_login_shell_can_read_the_installer():
    assert "'" not in program.INSTALLER and "\n" not in program.INSTALLER
