# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which node a session of a specialist lives: where its last job ended well.

What a session is, a key says: a text that is another one for another specialist or project.
"""

from __future__ import annotations

import threading

from .private_file import cache_file, read_rows, write_private

FORMAT = 1

# How many sessions the file holds: the newest.
KEPT = 1000


class Sessions:
    """The node of each session, in a file of this user that may be deleted at any time.

    A job that goes elsewhere is slower, for its session begins anew there, but not wrong.
    """

    def __init__(self) -> None:
        self._path = cache_file("sessions.json")
        # Several jobs of a run may end at once.
        self._lock = threading.Lock()
        self._nodes = self._read()

    def home_of(self, key: str | None) -> str | None:
        """The node where the session of this key lives, if it is known and the job has one."""
        if key is None:
            return None
        return self._nodes.get(key)

    def keep(self, key: str | None, node: str) -> None:
        """Note that the session of this key lives on the node; None for what has no session."""
        if key is None or self._nodes.get(key) == node:
            return
        with self._lock:
            # Another run may have written meanwhile. Its sessions are kept, and ours is the newest.
            nodes = {**self._read(), key: node}
            self._nodes[key] = node
            newest = dict(list(nodes.items())[-KEPT:])
            write_private(self._path, {"format": FORMAT, "sessions": newest})

    def _read(self) -> dict[str, str]:
        rows = read_rows(self._path, FORMAT, "sessions")
        return {key: node for key, node in rows.items() if isinstance(node, str)}
