# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How busy this node is, in the words of the script that the controller's probe runs too.

The asker sends that script along, so that one thing is measured in one way. What it prints is the
asker's to read.
"""

from __future__ import annotations

import contextlib
import subprocess

# Seconds that the script may take, and bytes of what it prints that are told.
SECONDS = 5.0
MOST = 16000


class Load:
    """The script as it runs, beside whatever else is looked at meanwhile."""

    def __init__(self, script: str) -> None:
        """script: for sh; blank: nothing is measured."""
        self._process: subprocess.Popen[bytes] | None = None
        if not script:
            return
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )

    def text(self) -> str:
        """What it printed; blank where it did not end in time."""
        if self._process is None:
            return ""
        try:
            printed, _none = self._process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return ""
        return printed[:MOST].decode("utf-8", "replace")
