"""What is written down says what the code says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import skill_page
import yaml
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import keys
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import states
from ansible_collections.distributed.gummy.plugins.plugin_utils._show import report

COLLECTIONS = Path(keys.__file__).parents[6]

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
JOBS = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
PLUGINS = sorted(
    [
        *ROOT.glob("plugins/modules/*.py"),
        *ROOT.glob("plugins/filter/*.py"),
        *ROOT.glob("plugins/inventory/*.py"),
    ]
)


@pytest.mark.parametrize("key", keys.JOB_KEYS.values(), ids=lambda key: str(key.name))
def test_the_page_of_jobs_has_every_job_key_with_the_text_of_the_table(key: keys.Key) -> None:
    assert f"| `{key.name}` | {key.text}" in JOBS


def test_the_page_of_jobs_has_no_job_key_that_the_table_lacks() -> None:
    table = JOBS.partition("| key | meaning (default) |\n|---|---|\n")[2].partition("\n\n")[0]
    assert {row.split("`")[1] for row in table.splitlines()} == set(keys.JOB_KEYS)


def test_the_page_of_jobs_has_every_setting_of_a_run_and_no_other() -> None:
    table = JOBS.partition("| setting | meaning |\n|---|---|\n")[2].partition("\n\n")[0]
    assert table.splitlines() == [
        f"| `gummy_{key.name}` | {key.text} |" for key in keys.KEYS if key.level in ("run", "any")
    ]


@pytest.mark.parametrize(
    "playbook", sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
)
def test_the_readme_names_every_playbook(playbook: str) -> None:
    assert f"`{playbook}`" in README.partition("## Included content")[2]


@pytest.mark.parametrize("request_text", skill_page.REQUESTS)
def test_the_readme_says_what_to_type_for_each_request(request_text: str) -> None:
    (row,) = re.findall(rf'^\| "{re.escape(request_text)}" \| (.*) \|$', README, re.MULTILINE)
    assert "`" in row or row.startswith("the same;")


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_into_a_page_leads_to_a_heading_of_it(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s:]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    for path, anchor in links:
        assert anchor in anchors(page.parent / path if path else page), (path, anchor)


def test_every_page_is_led_to() -> None:
    led_to = {
        (page.parent / path).resolve()
        for page in PAGES
        for path in re.findall(r"\]\(([^)#\s]+\.md)", page.read_text(encoding="utf-8"))
    }
    assert [page for page in PAGES[1:] if page not in led_to] == []


def test_the_diagrams_are_those_of_the_tables() -> None:
    show = [sys.executable, "-c", "import diagrams; print(diagrams.page(), end='')"]
    shown = subprocess.run(
        show,
        cwd=ROOT / "scripts",
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == (ROOT / "docs" / "states.md").read_text(encoding="utf-8"), (
        "type: .venv/bin/python scripts/diagrams.py"
    )


def test_every_state_and_every_status_has_its_row() -> None:
    page = (ROOT / "docs" / "states.md").read_text(encoding="utf-8")
    node, _head, rest = page.partition("## On the controller")
    ends = rest.partition("## How a job ends")[2]
    assert [state for state in states.TABLE if f"\n| `{state}`" not in node] == []
    assert [status for status in report.MARKS if not re.search(rf"\n\|.*`{status}[` ]", ends)] == []


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_plugin_documents_itself_under_its_own_name(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    document = yaml.safe_load(text.partition('DOCUMENTATION = r"""')[2].partition('"""')[0])
    assert (document.get("module") or document.get("name", "")).rpartition(".")[2] == path.stem
    assert all(yaml.safe_load_all(text.partition('EXAMPLES = r"""')[2].partition('"""')[0]))


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("plugins/**/*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_plugin_file_carries_its_licence(path: Path) -> None:
    assert (
        "# SPDX-License-Identifier: GPL-3.0-or-later"
        in path.read_text(encoding="utf-8").splitlines()[:5]
    )
