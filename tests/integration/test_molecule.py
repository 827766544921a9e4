"""The scenarios of Molecule on the local fleet: each does its whole sequence with this checkout,
and leaves nothing behind.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping

import pytest
from real_nodes import ROOT, traces

SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin:/usr/local/sbin"
FOLDER = ROOT / "extensions" / "molecule"
SCENARIOS = sorted(path.parent.name for path in FOLDER.glob("*/molecule.yml"))
# Seconds that one scenario may take; on an idle machine it is a tenth of that.
LIMIT = 300

MISSING = [
    tool
    for tool in ("sshd", "ssh", "ssh-keygen", "rsync", "git")
    if not shutil.which(tool, path=SBIN)
]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")


class Molecule:
    """Molecule, as `make molecule` calls it, with a folder of its own for what scenarios make."""

    def __init__(self, environment: Mapping[str, str], folder: pathlib.Path) -> None:
        self.folder = folder
        self._environment = {
            **environment,
            "GUMMY_MOLECULE_DIR": str(folder.relative_to(ROOT)),
            "NO_COLOR": "1",
        }
        # A scenario says itself where the collection is.
        del self._environment["ANSIBLE_COLLECTIONS_PATH"]

    def __call__(self, *words: str) -> tuple[int, str]:
        """Its exit status and all that it printed; it has ended then, and what it called too."""
        with subprocess.Popen(
            [sys.executable, "-m", "molecule", *words],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _nothing = process.communicate(timeout=LIMIT)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                output, _nothing = process.communicate()
                print(output)
                raise
        return process.returncode, output

    def left(self) -> list[str]:
        """The scenarios that have a folder."""
        return [name for name in SCENARIOS if (self.folder / name).exists()]


@pytest.fixture
def molecule(ansible_env: Mapping[str, str]) -> Iterator[Molecule]:
    cache = ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="molecule-", dir=cache) as folder:
        one = Molecule(ansible_env, pathlib.Path(folder))
        yield one
        # A scenario that was cut short has its fleet yet.
        for scenario in one.left():
            one("destroy", "--scenario-name", scenario)


def put_a_stale_copy_into(home: pathlib.Path) -> None:
    """A collection of our name that can do nothing, where Ansible looks by default."""
    copy = home / ".ansible" / "collections" / "ansible_collections" / "distributed" / "gummy"
    copy.mkdir(parents=True)
    copy.joinpath("galaxy.yml").write_text("namespace: distributed\nname: gummy\nversion: 0.0.1\n")


def test_there_are_scenarios_and_molecule_takes_one_if_none_is_named() -> None:
    assert {"default", "local_fleet"} <= set(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_passes_with_this_checkout_and_leaves_nothing(
    molecule: Molecule, ansible_env: Mapping[str, str], scenario: str
) -> None:
    home = pathlib.Path(ansible_env["HOME"])
    put_a_stale_copy_into(home)
    before = set(home.rglob("*"))

    status, output = molecule("test", "--scenario-name", scenario)

    assert status == 0 and re.search(rf"^{scenario} .*missing=0 +failed=0", output, re.MULTILINE), (
        output
    )
    assert molecule.left() == [] and traces(molecule.folder) == []
    # Molecule's own notes are there, and nothing of the scenario's.
    notes = home / ".ansible" / "tmp"
    written = {path for path in home.rglob("*") if path.is_file()} - before
    assert [path for path in written if not path.is_relative_to(notes)] == []


@pytest.mark.once
def test_a_scenario_that_fails_midway_takes_its_fleet_away(molecule: Molecule) -> None:
    status, output = molecule(
        "test", "--scenario-name", "default", "--", "-e", "spelling_node=node-9"
    )
    assert status != 0 and "node-9" in output, output
    assert "create: Executed: Successful" in output and "idempotence:" not in output, output
    assert molecule.left() == [] and traces(molecule.folder) == []
