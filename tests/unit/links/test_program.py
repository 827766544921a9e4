"""The node program's zip: the same everywhere, whole on the node or not there at all, and run only
as it was installed.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import sys
import types
import zipfile
from collections.abc import Iterator

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import program


def install(folder, data, digest):
    argv = [sys.executable, "-I", "-S", "-c", program.INSTALLER, str(folder), digest]
    return subprocess.run(argv, input=data, capture_output=True, text=False, check=False)


@pytest.fixture
def installed(tmp_path):
    """The path of the program, installed."""
    built = program.build()
    done = install(tmp_path / "a folder", built.data, built.hash)
    assert (done.returncode, done.stderr) == (0, b"")
    (path,) = (tmp_path / "a folder").iterdir()
    assert done.stdout == f"\x1e{path.stem}\n".encode()
    return path


@pytest.fixture
def start(tmp_path):
    """Starts the program of a path with words, as a link does."""

    def run(path, *words):
        argv = [sys.executable, "-I", "-S", "-c", program.STARTER, str(path), *words]
        env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
        return subprocess.run(argv, input=b"{}\n", capture_output=True, env=env, check=False)

    return run


def test_the_same_sources_give_the_same_bytes():
    first = program.build()
    program.build.cache_clear()
    again = program.build()
    assert (again.data, again.digest) == (first.data, first.digest)


def test_other_sources_are_another_program():
    sources = dict(program.build().sources)
    digests = {program.build().digest}
    for changed in (
        {**sources, "_node/verbs.py": b""},
        {**sources, "_node/new.py": b""},
        dict(list(sources.items())[:-1]),
    ):
        digests.add(program.Program(changed).digest)
    assert len(digests) == 4


def test_the_zip_starts_by_itself_and_has_no_types_in_it():
    names = zipfile.ZipFile(io.BytesIO(program.build().data)).namelist()
    assert names[:2] == ["__main__.py", "_node/__init__.py"]
    assert "_node/verbs.py" in names
    assert program.NOT_SENT.isdisjoint(os.path.basename(name) for name in names)


def test_what_was_installed_runs_and_is_private_and_has_its_hash_as_its_name(
    installed, start, tmp_path
):
    assert stat.S_IMODE(installed.stat().st_mode) == 0o600
    assert hashlib.sha256(installed.read_bytes()).hexdigest() == installed.stem
    assert b'"state": "listed"' in start(installed, "list").stdout
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    by_hand = subprocess.run(
        [sys.executable, "-I", "-S", str(installed), "list"],
        input=b"{}\n",
        capture_output=True,
        env=env,
        check=True,
    )
    assert b'"state": "listed"' in by_hand.stdout


def test_beside_each_source_lies_the_code_of_the_python_that_installed_it(installed):
    names = set(zipfile.ZipFile(installed).namelist())
    sources = {name for name in names if name.endswith(".py")}
    assert {name + "c" for name in sources} == names - sources


def test_what_is_installed_again_is_the_same_file(installed):
    before = installed.stat()
    built = program.build()
    assert install(installed.parent, built.data, built.hash).returncode == 0
    assert (installed.stat().st_ino, installed.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )


def constants(code: types.CodeType) -> Iterator[object]:
    for constant in code.co_consts:
        yield constant
        if isinstance(constant, types.CodeType):
            yield from constants(constant)


def test_no_source_has_a_set_among_its_constants_which_a_python_before_311_writes_in_any_order():
    archive = zipfile.ZipFile(io.BytesIO(program.build().data))
    codes = [compile(archive.read(name), name, "exec", 0, True) for name in archive.namelist()]
    found = [value for code in codes for value in constants(code) if isinstance(value, frozenset)]
    assert not found


def test_a_program_that_arrived_damaged_is_not_installed(tmp_path):
    built = program.build()
    done = install(tmp_path / "bin", built.data[:-1], built.hash)
    assert (done.returncode, done.stderr) == (1, b"the program arrived damaged\n")
    assert not done.stdout and not (tmp_path / "bin").exists()


def test_a_program_that_was_changed_since_is_not_run_and_is_replaced(installed, start):
    right = installed.read_bytes()
    with zipfile.ZipFile(installed, "w") as other:
        other.writestr("__main__.py", "print('pwned')")
    done = start(installed, "list")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"the node program is not the one of its name\n"
    built = program.build()
    assert install(installed.parent, built.data, built.hash).returncode == 0
    assert installed.read_bytes() == right and os.listdir(installed.parent) == [installed.name]


def test_the_program_is_told_its_path_and_words_as_a_python_does_that_is_given_its_path(
    tmp_path, start
):
    tell = (
        "import sys, tell\n"
        "if __name__ == '__main__':\n"
        "    print(sys.argv, sys.path[0], tell.__file__)\n"
        "    sys.exit(7)\n"
    )
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("__main__.py", tell)
        archive.writestr("tell.py", "")
    path = tmp_path / f"{hashlib.sha256(other.read_bytes()).hexdigest()}.zip"
    other.rename(path)
    by_hand = subprocess.run(
        [sys.executable, "-I", "-S", str(path), "a verb", "-c"], capture_output=True, check=False
    )
    done = start(path, "a verb", "-c")
    assert done.stdout == by_hand.stdout and b"a verb" in done.stdout
    assert done.returncode == by_hand.returncode == 7


def test_a_python_without_the_quick_hash_takes_the_slow_one(installed, start, monkeypatch):
    quick = '("_sha2","_sha256")'
    assert quick in program.STARTER
    monkeypatch.setattr(program, "STARTER", program.STARTER.replace(quick, "()"))
    assert b'"state": "listed"' in start(installed, "list").stdout


@pytest.mark.parametrize("code", [program.INSTALLER, program.STARTER], ids=["install", "start"])
def test_any_login_shell_can_read_what_is_run_there(code):
    assert not set("'\n!\\") & set(code)
