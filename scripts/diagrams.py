"""Writes the diagrams of docs/states.md from the tables in the code:

`.venv/bin/python scripts/diagrams.py`. A test compares them.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Mapping

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "states.md"


def diagram(table: Mapping[str, Mapping[str, str]]) -> str:
    """Mermaid's text for state -> event -> next state; what changes nothing is left out."""
    ways: dict[tuple[str, str], list[str]] = {}
    for before, row in table.items():
        for event, after in row.items():
            if after != before:
                ways.setdefault((before, after), []).append(event)
    lines = [
        f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in ways.items()
    ]
    return "\n".join(
        ["```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(table))}", *lines, "```"]
    )


def page() -> str:
    """The page as it should be."""
    sys.path[:0] = [str(ROOT / ".collections"), str(ROOT / "plugins" / "plugin_utils")]
    from _node import states
    from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import stages

    text = PAGE.read_text(encoding="utf-8")
    for name, table in {"node": states.TABLE, "controller": stages.STAGES}.items():
        begin, rest = text.split(f"<!-- {name} -->\n", 1)
        after = rest.partition("<!-- end -->")[2]
        text = f"{begin}<!-- {name} -->\n{diagram(table)}\n<!-- end -->{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
