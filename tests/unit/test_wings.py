"""The contract on the wings sees a forbidden import wherever it stands, and no other."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
WINGS = pathlib.Path("plugins/plugin_utils")
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        importlib.util.find_spec("importlinter") is None,
        reason="import-linter is installed by `make lint`, which runs these tests too",
    ),
]


@pytest.fixture
def copy(tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of what the contract reads: the plugins, the table and the contract's own code."""
    for folder in ("plugins", "scripts"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    namespace = tmp_path / ".collections" / "ansible_collections" / "distributed"
    namespace.mkdir(parents=True)
    (namespace / "gummy").symlink_to("../../..")
    return tmp_path


def lint(copy: pathlib.Path) -> tuple[int, str]:
    """The exit status and the output of import-linter, called as `make lint` calls it."""
    program = pathlib.Path(sys.executable).with_name("lint-imports")
    process = subprocess.run(
        [program, "--no-logo", "--no-cache"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": ".collections", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return process.returncode, process.stdout


def append(path: pathlib.Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_the_wings_as_they_are_keep_the_contract(copy: pathlib.Path) -> None:
    status, output = lint(copy)
    assert status == 0, output


@pytest.mark.parametrize(
    ("path", "line", "message"),
    [
        # Upward, between two wings that do not know each other, and below what is pure.
        ("_files/record.py", "from .._run import run", "_files may not import _run"),
        ("_run/run.py", "from .._commands import clean", "_run may not import _commands"),
        ("_schedule/plan.py", "from .. import _errors", "_schedule may not import _errors"),
        # The node program is alone, and knows Python's own modules only.
        ("_node/store.py", "from .._links import link", "_node may not import _links"),
        ("_node/store.py", "import yaml", "_node may not import the package yaml"),
        # Ansible is for one wing.
        ("_links/link.py", "import ansible.utils", "_links may not import the package ansible"),
        # What uses plugin_utils is not used by it.
        ("_ansible/action.py", "from ...action import show", "may not import what uses it"),
    ],
)
@pytest.mark.parametrize("where", ["at the top", "in a function"])
def test_a_forbidden_import_breaks_it(
    copy: pathlib.Path, path: str, line: str, message: str, where: str
) -> None:
    if where == "in a function":
        line = f"def forbidden() -> None:\n    {line}"
    append(copy / WINGS / path, f"\n\n{line}\n")

    status, output = lint(copy)

    assert status == 1
    assert message in output
    module = path.removesuffix(".py").replace("/", ".")
    assert any(module in row and message in row for row in output.splitlines()), output


def test_a_wing_that_the_table_does_not_know_breaks_it(copy: pathlib.Path) -> None:
    (copy / WINGS / "_attic").mkdir()
    # Without it import-linter would not see the folder; test_architecture.py misses it then.
    (copy / WINGS / "_attic" / "__init__.py").touch()
    (copy / WINGS / "_attic" / "box.py").touch()

    status, output = lint(copy)

    assert status == 1
    assert "_attic is no wing of the table" in output


def test_a_table_that_allows_a_circle_breaks_it(copy: pathlib.Path) -> None:
    table = copy / "pyproject.toml"
    text = table.read_text(encoding="utf-8")
    assert '"_schedule ->"' in text
    table.write_text(text.replace('"_schedule ->"', '"_schedule -> _run"'), encoding="utf-8")

    status, output = lint(copy)

    assert status == 1
    assert "the table allows a circle" in output
