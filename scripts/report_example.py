"""Writes the reports of the example in tests/fixtures/report, and docs/report.png, its picture.

`PYTHONPATH=.collections .venv/bin/python scripts/report_example.py [CHROMIUM]`. A test compares the
reports; the picture is made if a Chromium is named, and says of which page it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from ansible_collections.distributed.gummy.plugins.plugin_utils._show.formats import (
    RUN_FORMATS,
    page_of_run,
)

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "tests" / "fixtures" / "report"
NAMES = {".xml": "junit.xml", ".md": "report.md", ".html": "report.html"}
PICTURE = ROOT / "docs" / "report.png"
# So much of the page is in the picture.
COLUMNS = 1000
ROWS = 960
# A PNG's signature and its first chunk.
HEAD_BYTES = 33


def reports() -> dict[str, str]:
    """The example's reports, by the names of their files."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    run = json.loads((EXAMPLE / "run.json").read_text(encoding="utf-8"))
    files = json.loads((EXAMPLE / "files.json").read_text(encoding="utf-8"))
    return {NAMES[suffix]: page_of_run(suffix, run, files) for suffix in RUN_FORMATS}


def picture(chromium: str) -> None:
    """Have Chromium photograph the page."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={folder}",
                f"--window-size={COLUMNS},{ROWS}",
                f"--screenshot={PICTURE}",
                (EXAMPLE / "report.html").as_uri(),
            ],
            check=True,
            env={**os.environ, "HOME": folder},
            timeout=120,
        )
    PICTURE.write_bytes(labelled(PICTURE.read_bytes(), label()))


def label() -> bytes:
    """What the picture of this page says of itself."""
    digest = hashlib.sha256((EXAMPLE / "report.html").read_bytes()).hexdigest()
    return f"Source\0report.html sha256 {digest}".encode()


def labelled(png: bytes, text: bytes) -> bytes:
    """A PNG with a chunk of text behind its head. Fonts differ, so pixels prove nothing."""
    chunk = b"tEXt" + text
    head = png[:HEAD_BYTES]
    return head + struct.pack(">I", len(text)) + chunk + _sum(chunk) + png[HEAD_BYTES:]


def _sum(chunk: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(chunk))


if __name__ == "__main__":
    for name, text in reports().items():
        (EXAMPLE / name).write_text(text, encoding="utf-8")
    if len(sys.argv) > 1:
        picture(sys.argv[1])
