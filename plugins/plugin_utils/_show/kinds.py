# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of line it is that people read: by its kind it is coloured."""

from __future__ import annotations

import re

# The kind of a line by the mark that stands before a job, an attempt or a specialist.
KINDS = {
    "✓": "good",
    "✗": "bad",
    "▶": "running",
    "⚡": "running",
    "?": "unsure",
    "!": "unsure",
    "-": "left out",
    "…": "left out",
    "💤": "left out",
}
# A mark begins a line, a cell or what is in a frame, and a word comes after it.
MARK = re.compile(rf"(?:^|  |│ )([{re.escape(''.join(KINDS))}]) {{1,2}}\w")


def kind_of(line: str) -> str | None:
    """The kind of a line of a panel or a summary; None: it has no mark."""
    found = MARK.search(line)
    if found is None:
        return None
    return KINDS[found.group(1)]
