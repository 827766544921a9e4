# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forms in which a document can be written beside JSON, by the end of a file's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .markup import fenced
from .page import page_of_text
from .run_junit import junit_of_run
from .run_markdown import markdown_of_run
from .run_page import html_of_run

Row = Mapping[str, Any]

# Of a run: each takes its document, and what lies in its jobs' folders, by job.
RUN_FORMATS: Mapping[str, Callable[[Row, Mapping[str, Row]], str]] = {
    ".xml": junit_of_run,
    ".md": markdown_of_run,
    ".html": html_of_run,
}


def page_of_run(suffix: str, run: Row, files: Mapping[str, Row]) -> str:
    """A run as a text of this form. files: as `_files/run_files.py` reads them."""
    return RUN_FORMATS[suffix](run, files)


def page_of_lines(suffix: str, title: str, lines: Sequence[str]) -> str | None:
    """Any other document, from the lines that people are shown of it; None: not in this form."""
    if suffix == ".md":
        return f"{fenced(chr(10).join(lines))}\n"
    if suffix == ".html":
        return page_of_text(title, lines)
    return None
