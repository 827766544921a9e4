# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two errors for what a user gave, which every wing may raise."""

from __future__ import annotations

from collections.abc import Iterable


class BadValue(ValueError):
    """A value that can't be used; its text is a sentence without the place."""


class InputError(Exception):
    """Input that can't be used. `problems`: a sentence each, with what, where, and what to do."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))
