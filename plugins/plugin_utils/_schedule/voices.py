# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who said what of the whole run: no single node decides for all.

What concerns more than the job that a node was asked for is believed when two say so who are not
the same. A node has one voice, whatever it calls its store: else a node that lies would speak for
two. Names that lead to one store have one voice together. A node whose store is not known yet
counts as one of its own. (A machine that has two names in the inventory and lies about its store
has two voices: nothing that it says could tell.)
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable


def voice_of(node: str, store: str | None) -> str:
    """What tells this node's voice from others."""
    if store is None:
        return f"node {node}"
    return f"store {store}"


class Voices:
    """What was said, and by whom."""

    def __init__(self) -> None:
        # What was said -> node -> its voice when it said so last.
        self._speakers: dict[Hashable, dict[str, str]] = {}

    def add(self, saying: Hashable, node: str, store: str | None) -> None:
        self._speakers.setdefault(saying, {})[node] = voice_of(node, store)

    def speakers(self, saying: Hashable) -> list[str]:
        """The nodes that say so, in their order."""
        return sorted(self._speakers.get(saying, {}))

    def agree(self, saying: Hashable) -> bool:
        """Whether two say so who are not the same."""
        return are_several(self._speakers.get(saying, {}).values())


def are_several(voices: Iterable[str]) -> bool:
    return len(set(voices)) > 1
