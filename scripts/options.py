"""Prints plugins/modules/run_jobs.py with the options that the table of keys says.

.venv/bin/python scripts/options.py > /tmp/new && cp /tmp/new plugins/modules/run_jobs.py
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from ansible_collections.distributed.gummy.plugins.plugin_utils._input.keys import (
    JOB_KEYS,
    TOP_KEYS,
    Key,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.option_spec import (
    Row,
    run_options,
)

MODULE = Path(__file__).resolve().parents[1] / "plugins" / "modules" / "run_jobs.py"
BEGIN = "    default: run\n"
END = "extends_documentation_fragment:\n"
COLUMNS = 100


def module() -> str:
    """The text of the module's file."""
    text = MODULE.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _old, end, tail = rest.partition(END)
    lines = []
    for name, row in run_options().items():
        lines += _option(TOP_KEYS[name], row, "  ")
    return head + begin + "\n".join(lines) + "\n" + end + tail


def _option(key: Key, row: Row, indent: str) -> list[str]:
    """An option's lines."""
    deeper = indent + "  "
    words = textwrap.wrap(description(key), COLUMNS - len(deeper) - 4)
    lines = [
        f"{indent}{key.name}:",
        f"{deeper}description:",
        f"{deeper}  - >-",
        *(f"{deeper}    {line}" for line in words),
        f"{deeper}type: {row['type']}",
    ]
    if "elements" in row:
        lines.append(f"{deeper}elements: {row['elements']}")
    if "choices" in row:
        choices = ", ".join(f"'{word}'" if _is_odd(word) else word for word in row["choices"])
        line = f"{deeper}choices: [{choices}]"
        if len(line) > COLUMNS:
            lines += [f"{deeper}choices:", *(f"{deeper}  - {word}" for word in row["choices"])]
        else:
            lines.append(line)
    if "options" in row:
        lines.append(f"{deeper}suboptions:")
        for name, inner in row["options"].items():
            lines += _option(JOB_KEYS[name], inner, deeper + "  ")
    return lines


def description(key: Key) -> str:
    """What the documentation says of a key."""
    text = re.sub(r"`([^`]+)`", r"C(\1)", key.text)
    default = _default(key)
    if default:
        text += f" By default {default}."
    return text


def _default(key: Key) -> str:
    """The default for people; blank for none, or where the text has it."""
    value = key.default
    if value is None or value == () or (key.name, key.level) == ("nodes", "any"):
        return ""
    if key.type == "duration" and isinstance(value, float):
        return f"V({value / 3600:g}h)"
    if isinstance(value, bool):
        return f"V({str(value).lower()})"
    if isinstance(value, tuple):
        return "all of them"
    return f"V({value})"


def _is_odd(word: str) -> bool:
    """Whether YAML would read it as something else than a text."""
    return word in ("true", "false")


if __name__ == "__main__":
    print(module(), end="")
