"""Fixtures: one tailnet for all tests, and for each a controller that plays inside of it."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Iterator

import pytest
import real_tailnet
from real_nodes import Controller
from real_tailnet import NODES, Tailnet

# What needs more of a machine than the real agents do: scripts/e2e.sh says what it lacks.
ON_A_TAILNET = ("test_tailnet.py", "test_workflows.py", "test_leftovers.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--agents", action="store_true", help="only the real agents that npm gives, and all of them"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "all_agents: runs with --agents alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --agents the real agents alone; without it one of them, so that it stays short."""
    is_all = config.getoption("--agents")
    lacks = os.environ.get("GUMMY_E2E_LACKS")
    kept = []
    left = []
    for item in items:
        is_agent = item.path.name in ("test_real_agents.py", "test_real_claude.py")
        is_wanted = is_agent if is_all else item.get_closest_marker("all_agents") is None
        (kept if is_wanted else left).append(item)
        if lacks and item.path.name in ON_A_TAILNET:
            item.add_marker(pytest.mark.skip(reason=lacks))
    items[:] = kept
    config.hook.pytest_deselected(items=left)


@pytest.fixture(scope="session")
def tailnet() -> Iterator[Tailnet]:
    assert real_tailnet.BIN.is_dir(), (
        "type `make e2e`: it builds the programs that these tests need"
    )
    with real_tailnet.tailnet() as one:
        yield one


@pytest.fixture
def controller(
    tailnet: Tailnet,
    tmp_path: pathlib.Path,
    make_environment: Callable[[pathlib.Path], dict[str, str]],
) -> Iterator[Controller]:
    settings = {"nodes": {node: {"slots": 1} for node in NODES}}
    one = Controller(
        tailnet,
        tmp_path,
        make_environment(tmp_path / "home"),
        settings,
        within=real_tailnet.inside("controller"),
    )
    yield one
    one.close()


@pytest.fixture
def repaired(tailnet: Tailnet) -> Iterator[Tailnet]:
    """The tailnet for a test that changes it: afterwards it is as it was."""
    yield tailnet
    tailnet.repair()
