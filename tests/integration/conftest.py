"""Fixtures for tests of whole playbooks.

One local fleet of three nodes is for all of them, a controller for each test.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from real_nodes import NODES, ROOT, Controller, Counter, Fleet

DOUBLES = ROOT / "tests" / "doubles"
SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin:/usr/local/sbin"


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    if missing := [
        tool
        for tool in ("sshd", "ssh", "ssh-keygen", "rsync", "git")
        if not shutil.which(tool, path=SBIN)
    ]:
        pytest.skip(f"needs {', '.join(missing)}")
    nodes = Fleet(tmp_path_factory.mktemp("nodes") / "fleet")
    yield nodes
    nodes.call("down")


@pytest.fixture(scope="session")
def make_controller(
    fleet: Fleet, make_environment: Callable[[pathlib.Path], dict[str, str]]
) -> Callable[[pathlib.Path], Controller]:
    def make(folder: pathlib.Path) -> Controller:
        folder.mkdir(exist_ok=True)
        return Controller(
            fleet,
            folder,
            make_environment(folder / "home"),
            {"nodes": {node: {"slots": 2} for node in NODES}},
        )

    return make


@pytest.fixture
def controller(
    tmp_path: pathlib.Path, make_controller: Callable[[pathlib.Path], Controller]
) -> Iterator[Controller]:
    one = make_controller(tmp_path / "controller")
    yield one
    one.close()


@pytest.fixture
def repaired(fleet: Fleet) -> Iterator[Fleet]:
    """The fleet for a test that breaks nodes: afterwards all of them answer again."""
    yield fleet
    fleet.call("up", "--size", str(len(NODES)))


@pytest.fixture
def counter(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[Counter]:
    one = Counter(fleet, re.sub(r"\W+", "-", request.node.name))
    yield one
    # A job that a failed test left would keep its slot.
    for hold in ("-go", "-go-on"):
        one.let_go(hold)


@pytest.fixture(scope="module")
def with_doubles(fleet: Fleet) -> Iterator[Fleet]:
    """The nodes have gummy and claude, as far as anybody can tell."""
    fleet.put_doubles(gummy="gummy", claude="claude")
    yield fleet
    for node in NODES:
        fleet.home(node).joinpath(".profile").unlink()
        # A program there is found without any PATH.
        for name in ("gummy", "claude", "jq"):
            fleet.home(node).joinpath("bin", name).unlink()
