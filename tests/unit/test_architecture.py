"""docs/architecture.md is true: its wings and arrows are those of the code, and what the texts of
the project name is there.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
PAGE = ROOT / "docs" / "architecture.md"

# Plugins that only hold documentation import nothing, and are in no table.
WITHOUT_CODE = frozenset({"modules", "doc_fragments"})

# What is said of the folder of the wings, which is none.
CORE = PLUGINS / "plugin_utils" / "__init__.py"

Arrows = dict[str, frozenset[str]]


def tracked(*patterns: str) -> list[Path]:
    """The files of the project that match, as git knows them."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", *patterns],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    names = [name for name in done.stdout.decode().split("\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


# -- wings and arrows


def wing_of(parts: tuple[str, ...]) -> str:
    """The wing, or the kind of plugin, of a module below plugins/."""
    if parts[0] == "plugin_utils":
        return parts[1]
    return parts[0]


def imported_by(file: Path) -> Iterator[tuple[str, ...]]:
    """The modules below plugins/ that a file imports, those inside functions too."""
    parts = file.relative_to(PLUGINS).with_suffix("").parts
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = (*parts[: -node.level], *(node.module or "").split("."))
        module = tuple(filter(None, base))
        if module in ((), ("plugin_utils",)):
            yield from ((*module, alias.name) for alias in node.names)
        else:
            yield module


def arrows_of_the_code() -> Arrows:
    arrows: dict[str, set[str]] = {}
    for file in PLUGINS.rglob("*.py"):
        if file == CORE:
            continue
        wing = wing_of(file.relative_to(PLUGINS).with_suffix("").parts)
        arrows.setdefault(wing, set())
        for module in imported_by(file):
            if wing_of(module) != wing:
                arrows[wing].add(wing_of(module))
    return {wing: frozenset(used) for wing, used in arrows.items() if wing not in WITHOUT_CODE}


def arrows_of_the_page() -> Arrows:
    """Rows of three columns: a wing, what it is for, what it uses."""
    arrows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        row = re.fullmatch(r"\| `(\w+)` \| [^|]+ \| (nobody|(?:`\w+`(?:, )?)+) \|", line)
        if row:
            arrows[row[1]] = frozenset(re.findall(r"`(\w+)`", row[2]))
    return arrows


def test_each_wing_says_what_the_page_says_of_it() -> None:
    rows = re.findall(
        r"^\| `(_\w+)` \| ([^|]+) \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    page = dict(rows)
    for file in CORE.parent.glob("_*/__init__.py"):
        said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        sentence = page[file.parent.name]
        assert " ".join(said.split()) == f"{sentence[0].upper()}{sentence[1:]}.", file


def test_the_page_has_every_wing_and_every_arrow_that_the_code_has_and_no_other() -> None:
    assert arrows_of_the_page() == arrows_of_the_code()


def test_make_lint_allows_the_arrows_of_the_page_and_no_other() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [
        contract
        for contract in config["tool"]["importlinter"]["contracts"]
        if contract["type"] == "wings"
    ]
    allowed = {}
    for line in contract["allowed"]:
        wing, _arrow, used = line.partition("->")
        allowed[wing.strip()] = frozenset(name.strip() for name in used.split(",") if name.strip())

    wings = {wing: used for wing, used in arrows_of_the_page().items() if wing.startswith("_")}
    assert allowed == wings


# -- what texts name


def texts() -> list[Path]:
    return tracked(
        "*.md", "*.py", "*.sh", "*.yml", "*.toml", "Makefile", ".ci/run", "tests/doubles"
    )


def is_named_rightly(file: Path, name: str) -> bool:
    """A path is seen from the project's top, from the file, or from the core's top."""
    tops = (ROOT, file.parent, PLUGINS / "plugin_utils", PLUGINS)
    return any((top / name).exists() for top in tops)


@pytest.mark.parametrize("file", tracked("*.md"), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_something(file: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8"))
    broken = [
        link
        for link in links
        if not re.match(r"[a-z]+:", link) and not (file.parent / link).exists()
    ]
    assert not broken


def test_no_text_names_a_document_that_is_not_in_the_project() -> None:
    missing = []
    for file in texts():
        # The demo's jobs work in a project of their own.
        if "demo" in file.parts:
            continue
        for page in re.findall(r"\bdocs/[\w./-]+\.md\b", file.read_text(encoding="utf-8")):
            if not (ROOT / page).exists():
                missing.append(f"{file.relative_to(ROOT)}: {page}")
    assert not missing


def test_no_text_refers_to_a_section_or_a_step_by_a_number_that_nobody_can_look_up() -> None:
    riddle = re.compile(r"\bDESIGN\b|\b[Ss]ection [0-9]|\bS[0-7]\b(?=[.:;,) ])")
    riddles = []
    for file in texts():
        if file == Path(__file__) or "fixtures" in file.parts:
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if riddle.search(line):
                riddles.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not riddles


def test_every_file_that_the_page_names_is_there() -> None:
    names = re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|sh|yml|toml))`", PAGE.read_text("utf-8"))
    in_wings = [name for name in names if "/" in name]
    assert in_wings
    assert not [name for name in in_wings if not is_named_rightly(PAGE, name)]


def test_every_method_and_constant_that_the_page_names_is_there() -> None:
    code = "\n".join(file.read_text(encoding="utf-8") for file in PLUGINS.rglob("*.py"))
    page = PAGE.read_text(encoding="utf-8")
    names = (
        set(re.findall(r"`(?:[A-Z]\w+\.)?(_\w+|[A-Z][A-Z_]+)`", page)) - arrows_of_the_page().keys()
    )
    names |= {method for _class, method in re.findall(r"`([A-Z]\w+)\.(\w+)`", page)}
    assert names
    assert not {name for name in names if not re.search(rf"\b{re.escape(name)}", code)}
