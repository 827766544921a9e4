# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether it is the nodes that give no answer, or this controller that is offline."""

from __future__ import annotations

# How long nothing is placed while all nodes are asked, in seconds; less, if they answer.
SUSPICION = 30.0


class Contact:
    """What is known of the controller's own network, from who answers and who does not.

    When several nodes in a row gave no answer, all of them are asked at once before more attempts
    are spent on them. When none of them answers, it is taken to be the controller that is offline.
    """

    def __init__(self) -> None:
        # Nodes that failed to answer since any node last did.
        self._unanswered: set[str] = set()

        # Until when the answers of all nodes are waited for.
        self._asking_until = float("-inf")

        # Since when no node answers; None: one does, or they were not asked.
        self._offline_since: float | None = None

    @property
    def offline_since(self) -> float | None:
        return self._offline_since

    def on_answer(self) -> bool:
        """A node has answered; whether none did before."""
        self._unanswered.clear()
        was_offline = self._offline_since is not None
        self._offline_since = None
        return was_offline

    def on_no_answer(self, node: str) -> None:
        self._unanswered.add(node)

    def is_doubtful(self, now: float) -> bool:
        """Whether all nodes should be asked now."""
        return len(self._unanswered) > 1 and self._offline_since is None and not self.is_asking(now)

    def ask(self, now: float) -> float:
        """All nodes are asked; until when their answers are waited for."""
        self._asking_until = now + SUSPICION
        return self._asking_until

    def is_asking(self, now: float) -> bool:
        return self._asking_until > now

    def on_all_asked(self) -> None:
        """The answers are there."""
        self._asking_until = float("-inf")

    def go_offline(self, now: float) -> bool:
        """No node answers; whether that is news."""
        if self._offline_since is not None:
            return False
        self._offline_since = now
        return True
