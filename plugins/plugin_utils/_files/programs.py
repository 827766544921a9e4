# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As which file the node program was installed on each node from here.

Each node's Python makes another file of the program, and only its installation tells the hash.
What a node told counts for that node alone, for it may have lied.
"""

from __future__ import annotations

import re
import threading

from .private_file import cache_file, read_rows, write_private

FORMAT = 1

# How many programs the file holds: the newest.
KEPT = 4000

# A hash, as the node told it: anything else is not kept, nor believed.
SHA256 = re.compile(r"[0-9a-f]{64}")


class Programs:
    """The hash of each installed program, in a file of this user that may be deleted at any time.

    A node of which it is not known gets its program once more.
    """

    def __init__(self) -> None:
        self._path = cache_file("programs.json")
        # Many nodes may be asked at once.
        self._lock = threading.Lock()
        # Not read before it is needed.
        self._hashes: dict[str, str] | None = None

    def hash_of(self, link: str, program: str) -> str | None:
        """The hash of the file that was made of a program on a node, if it is known.

        link: tells the node's connection settings from others; program: the digest of what was
        sent.
        """
        with self._lock:
            if self._hashes is None:
                self._hashes = self._read()
            return self._hashes.get(_key(link, program))

    def keep(self, link: str, program: str, installed: str) -> None:
        """Note the hash that a node told of the file that it made."""
        if not SHA256.fullmatch(installed):
            return
        with self._lock:
            # Another playbook may have written meanwhile. What it noted is kept, and ours is the
            # newest.
            hashes = self._read()
            hashes.pop(_key(link, program), None)
            hashes[_key(link, program)] = installed
            self._hashes = dict(list(hashes.items())[-KEPT:])
            write_private(self._path, {"format": FORMAT, "programs": self._hashes})

    def _read(self) -> dict[str, str]:
        rows = read_rows(self._path, FORMAT, "programs")
        return {
            key: installed
            for key, installed in rows.items()
            if isinstance(installed, str) and SHA256.fullmatch(installed)
        }


def _key(link: str, program: str) -> str:
    return f"{link} {program}"
