"""The shell part that runs before there is a Python environment."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.once


def sh(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    words = ["sh", "-euc", f". scripts/env.sh; . scripts/bootstrap.sh; {script}"]
    return subprocess.run(
        words,
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def program(path: pathlib.Path, text: str) -> pathlib.Path:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_shim_that_does_not_run_does_not_hide_the_python_behind_it(
    tmp_path: pathlib.Path,
) -> None:
    shims = tmp_path / "shims"
    real = tmp_path / "a real one"
    shims.mkdir()
    real.mkdir()
    program(shims / "python3", "echo 'pyenv: python3: command not found' >&2; exit 127")
    (real / "python3").symlink_to(os.path.realpath(sys.executable))
    done = sh("pythons", PATH=f"{shims}:{real}:{os.environ['PATH']}", HOME=str(tmp_path))
    assert f"{sys.version_info[1]} {real}/python3" in done.stdout.splitlines()
    assert str(shims) not in done.stdout


def test_of_a_shim_that_runs_the_python_behind_it_is_taken(tmp_path: pathlib.Path) -> None:
    shim = program(tmp_path / "python3", f'exec {os.path.realpath(sys.executable)} "$@"')
    done = sh("pythons", PYTHON=str(shim), PATH=os.environ["PATH"], HOME=str(tmp_path))
    first = done.stdout.splitlines()[0]
    assert first == f"{sys.version_info[1]} {os.path.realpath(sys.executable)}"


def test_each_useless_python_is_named_with_its_reason(tmp_path: pathlib.Path) -> None:
    old = program(tmp_path / "old", "echo 3 9")
    bare = program(tmp_path / "bare", "echo 3 12; exit 1")
    shim = program(tmp_path / "shim", "exit 127")
    done = sh(
        f"printf '%s\\n' '{old}' '{bare}' '{shim}' | try_pythons",
        PATH=os.environ["PATH"],
        HOME=str(tmp_path),
    )
    assert done.stdout.splitlines() == [
        f"no {old}: is 3.9",
        f"no {bare}: has no venv with ensurepip",
        f"no {shim}: does not run",
    ]


def test_a_shim_that_finds_its_python_in_the_venv_to_be_replaced_is_of_no_use(
    tmp_path: pathlib.Path,
) -> None:
    shim = program(
        tmp_path / "shim", "case $PATH in */.venv/bin:*) echo 3 12 ;; *) exit 127 ;; esac"
    )
    done = sh(
        f"python_candidates() {{ echo '{shim}'; }}; pythons",
        # As in a shell where it was activated.
        PATH=f"{ROOT}/.venv/bin:{os.environ['PATH']}",
        HOME=str(tmp_path),
    )
    assert done.returncode == 1 and f"{shim}: does not run" in done.stderr


def test_without_any_python_one_sentence_says_what_to_type(tmp_path: pathlib.Path) -> None:
    done = sh(
        'python_candidates() { :; }; found=$(pythons) || stop "$need_python"',
        PATH=os.environ["PATH"],
        HOME=str(tmp_path),
    )
    assert done.returncode == 1
    assert "apt-get install python3 python3-venv" in done.stderr


@pytest.mark.parametrize(
    ("system", "user", "why"), [("Darwin", "0", "need Linux"), ("Linux", "1000", "sudo make e2e")]
)
def test_end_to_end_tests_that_can_not_run_say_why_and_are_no_failure(
    tmp_path: pathlib.Path, system: str, user: str, why: str
) -> None:
    program(tmp_path / "uname", f"echo {system}")
    program(tmp_path / "id", f"echo {user}")
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "scripts/make.sh", "e2e"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (
        done.returncode == 0
        and done.stderr.startswith("SKIPPED the end-to-end tests: ")
        and why in done.stderr
    )


def test_what_a_machine_lacks_for_a_tailnet_skips_those_tests_and_no_others() -> None:
    """What make passes on is the reason of each; the real agents need no tailnet."""
    words = ["-rs", "-p", "no:cacheprovider", "tests/e2e/test_leftovers.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT,
        env={**os.environ, "GUMMY_E2E_LACKS": "they need Go"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "3 skipped" in done.stdout, done.stdout
    assert "they need Go" in done.stdout
    script = (ROOT / "scripts" / "make.sh").read_text(encoding="utf-8")
    assert "*' --agents '*) ;;" in script and "pytest -rs tests/e2e" in script


def test_a_locale_without_utf8_is_replaced_by_one_that_exists(tmp_path: pathlib.Path) -> None:
    program(
        tmp_path / "locale",
        'case $1 in charmap) echo ANSI_X3.4-1968 ;; -a) printf "%s\\n" C POSIX de_DE.utf8 ;; esac',
    )
    done = sh(
        'echo "$LC_ALL"', PATH=f"{tmp_path}:{os.environ['PATH']}", HOME=str(tmp_path), LC_ALL="C"
    )
    assert done.stdout == "de_DE.utf8\n"


def test_what_the_callers_shell_set_for_ansible_git_and_python_is_gone(
    tmp_path: pathlib.Path,
) -> None:
    foreign = (
        "ANSIBLE_FORKS",
        "_ANSIBLE_X",
        "GIT_DIR",
        "PYTHONPATH",
        "SSH_AUTH_SOCK",
        "ANSIBLE_COLLECTIONS_PATH",
    )
    callers = {**dict.fromkeys(foreign, "/x"), "PYTHON": "mine"}
    left = dict(
        line.partition("=")[::2]
        for line in sh(
            "env", PATH=os.environ["PATH"], HOME=str(tmp_path), **callers
        ).stdout.splitlines()
    )
    assert {name: left.get(name) for name in callers} == {
        **dict.fromkeys(callers),
        "ANSIBLE_COLLECTIONS_PATH": f"{ROOT}/.collections",
        "PYTHON": "mine",
    }


def test_a_home_that_does_not_exist_is_laid_below_the_clone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    words = ["sh", "-euc", '. scripts/env.sh; echo "$HOME|$XDG_STATE_HOME"']
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path}/.home|{tmp_path}/.home/.local/state\n"


def test_a_missing_program_without_the_right_to_install_is_one_line_to_type(
    tmp_path: pathlib.Path,
) -> None:
    done = sh(
        "id() { echo 1000; }; need sh=dash no-such-program-here=openssh-server",
        PATH=os.environ["PATH"],
        HOME=str(tmp_path),
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "install openssh-server" in done.stderr
    assert "dash" not in done.stderr


def test_a_half_built_environment_is_not_taken_for_a_whole_one(tmp_path: pathlib.Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "requirements").write_text("pytest\n", encoding="utf-8")
    ask = f"whole '{tmp_path}' '{tmp_path}/requirements' && echo whole || echo half"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    before = sh(ask, **env).stdout
    sh(f"stamp '{tmp_path}/requirements' > '{tmp_path}/.whole'", **env)
    after = sh(ask, **env).stdout
    (tmp_path / "requirements").write_text("pytest>8\n", encoding="utf-8")
    assert (before, after, sh(ask, **env).stdout) == ("half\n", "whole\n", "half\n")


@pytest.mark.parametrize(
    ("core", "said"),
    [
        ("", "tests/requirements.txt\n"),
        ("2.20", "tests/requirements-2.20.txt\n"),
        ("1.9", "or give one of 2.19 2.20."),
    ],
)
def test_another_ansible_core_is_asked_for_by_its_number(core: str, said: str) -> None:
    done = sh("main_requirements", CORE=core, PATH=os.environ["PATH"])
    assert said in done.stdout + done.stderr
    assert (done.returncode == 0) == said.endswith("\n")
