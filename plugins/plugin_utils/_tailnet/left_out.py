# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory plugin found and left out, for the commands that tell it.

The plugin writes it, and the actions read it: they run in forks of the process that parsed the
inventory. No variable carries it, for it would be every host's, and shown with each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Omitted(NamedTuple):
    """A machine of the tailnet that is no host."""

    # What it is called there; a text for people's eyes.
    name: str
    # Why, as a part of a sentence.
    reason: str


class Found(NamedTuple):
    """What a source has found of the tailnet."""

    # Why it knows this machine alone, a sentence; None if it knows the network.
    fault: str | None
    # This machine's own part, as the host variable gummy_tailnet has it.
    own: Mapping[str, object]
    # Whom it asks for the load.
    load_sources: tuple[str, ...]


# Path of the inventory source -> what it found when it was last parsed.
FOUND: dict[str, Found] = {}

# Path of the inventory source -> what it left out when it was last parsed.
LEFT_OUT: dict[str, tuple[Omitted, ...]] = {}
