"""The node program's own tests, on the oldest Python from 3.9 on that runs on this machine."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

NODE_TESTS = pathlib.Path(__file__).resolve().parents[1] / "unit" / "node"
ASK = (
    "import sys; sys.version_info >= (3, 9) or sys.exit(1); "
    "print(*sys.version_info[:3]); print(sys.executable)"
)


def pythons() -> list[tuple[tuple[int, ...], str]]:
    """(version, path) of those that really run: a pyenv shim may not."""
    names = [shutil.which(f"python3.{minor}") for minor in range(9, 15)]
    names += [str(path) for path in pathlib.Path.home().glob(".pyenv/versions/*/bin/python3")]
    found = {(tuple(sys.version_info[:3]), sys.executable)}
    for name in filter(None, names):
        try:
            done = subprocess.run(
                [name, "-I", "-S", "-c", ASK],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            version, path = done.stdout.splitlines()
            found.add((tuple(map(int, version.split())), path))
    return sorted(found)


@pytest.mark.once
def test_the_node_program_works_on_the_oldest_python_here(
    capsys: pytest.CaptureFixture[str],
) -> None:
    version, python = pythons()[0]
    with capsys.disabled():
        print(f"\nthe node program's tests run on Python {'.'.join(map(str, version))} ({python})")
    files = sorted(path.name for path in NODE_TESTS.glob("test_*.py"))
    # They wait more than they work.
    with ThreadPoolExecutor(max_workers=4) as pool:
        done = list(pool.map(lambda name: run_tests(python, name), files))
    assert [said for status, said in done if status or "Ran 0 tests" in said] == []


def run_tests(python: str, name: str) -> tuple[int, str]:
    """A file of the node program's tests in a process of its own: its status, and what it said."""
    done = subprocess.run(
        [python, "-m", "unittest", "discover", "-s", str(NODE_TESTS), "-p", name],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return done.returncode, f"{name}\n{done.stderr[-8000:]}"
