"""Makes this checkout importable as ansible_collections.distributed.gummy, in the tests and in the
ansible programs that they start.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def _is_this_checkout() -> bool:
    try:
        spec = importlib.util.find_spec("ansible_collections.distributed.gummy")
    except ImportError:
        return False
    return spec is not None and any(
        pathlib.Path(p).resolve() == ROOT for p in spec.submodule_search_locations or []
    )


_holder = tempfile.TemporaryDirectory(prefix="gummy-collections-")
COLLECTIONS = pathlib.Path(_holder.name)
(COLLECTIONS / "ansible_collections" / "distributed").mkdir(parents=True)
(COLLECTIONS / "ansible_collections" / "distributed" / "gummy").symlink_to(
    ROOT, target_is_directory=True
)

# A copy in ~/.ansible must not be the one that is tested.
if not _is_this_checkout():
    from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

    _AnsibleCollectionFinder(paths=[str(COLLECTIONS)])._install()


def pytest_configure() -> None:
    """SIGTERM ends the tests as Ctrl-C does, so that what they started ends with them."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def environment_in(home: pathlib.Path) -> dict[str, str]:
    """The environment for a started ansible program: this checkout, this ansible-core first on
    PATH, and homes of its own.
    """
    home.mkdir()
    (home / "ansible.cfg").touch()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lstrip("_").startswith(("ANSIBLE_", "GIT_", "PYTHON", "XDG_", "SSH_"))
    }
    return {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "HOME": str(home),
        "PATH": f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_STATE_HOME": str(home / ".state"),
    }


@pytest.fixture
def ansible_env(tmp_path: pathlib.Path) -> Mapping[str, str]:
    return environment_in(tmp_path / "home")


@pytest.fixture(scope="session")
def make_environment() -> Callable[[pathlib.Path], dict[str, str]]:
    return environment_in
