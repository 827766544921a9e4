"""Writes the panels' golden files, tests/fixtures/panels/*.txt, and shows what has changed in them:

`PYTHONPATH=.collections .venv/bin/python scripts/golden.py`. Read the difference before committing.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.distributed.gummy.plugins.plugin_utils._show import board, dashboard
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.text import in_ascii

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "panels"
WIDTHS = (60, 80, 120)
PANELS: dict[str, Callable[..., list[str]]] = {
    "specialists": dashboard.specialists_text,
    "watch": board.board_text,
}

# The clock in the heading of the board.
os.environ["TZ"] = "UTC"
time.tzset()


def main() -> None:
    for name, text in PANELS.items():
        document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        for width in WIDTHS:
            lines = text(document, width)
            for form, shown in (("", lines), ("-ascii", [in_ascii(line) for line in lines])):
                path = FOLDER / f"{name}-{width}{form}.txt"
                path.write_text("\n".join(shown) + "\n", encoding="utf-8")
    subprocess.run(["git", "diff", "--stat", "--", str(FOLDER)], check=True)


if __name__ == "__main__":
    main()
