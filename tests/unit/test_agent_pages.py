"""Each agent has a page: what it needs, what its success rests on, what goes wrong."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import config

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "agents"
HEADS = ["What it needs", "What its success rests on", "What is known to go wrong"]


def test_each_agent_has_a_page_and_that_of_all_agents_leads_there() -> None:
    pages = {path.stem for path in PAGES.iterdir()}
    assert pages == {*config.AGENT_SETTINGS, "own"}
    of_all = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    assert all(f"(agents/{name}.md)" in of_all for name in pages)
    assert "(docs/agents.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*config.AGENT_SETTINGS, "own"])
def test_a_page_has_its_parts_and_its_settings(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADS
    # What is set for it by name is one of its settings.
    settings = re.findall(rf"agents\.{name}\.(\w+)", text)
    known = {*config.AGENT_SETTINGS.get(name, ()), *config.INSTALL_SETTINGS.get(name, ())}
    assert set(settings) <= known
    choices = config.AGENT_SETTINGS.get(name, {}).get("permission_mode", ())
    modes = re.findall(r"permission_mode: (\S+?)`", text)
    assert set(modes) <= set(choices)
