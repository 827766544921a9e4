# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two errors for what a user gave, which every wing may raise."""

from __future__ import annotations

from collections.abc import Iterable


class BadValue(ValueError):
    """A value that can't be used.

    Its text is a sentence that does not say where the value was given: who caught it knows.
    """


class InputError(Exception):
    """Input that can't be used."""

    def __init__(self, problems: Iterable[str]) -> None:
        """problems: a sentence each, with what is wrong, where it was given, and what to do."""
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))
