# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the action `run_jobs`, as Ansible's argument specs tell them.

They are made from the table of keys. They have no defaults of their own, for a key that is no
option may be a variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .keys import JOB_KEYS, KEYS, TOP_KEYS, Key

# An option in an argument spec.
Row = dict[str, Any]

# The levels whose keys count for `run`.
LEVELS_OF_RUN = frozenset({"job", "run", "any"})

LIST_OF_TEXTS: Row = {"type": "list", "elements": "str"}

# Type of a key -> what Ansible calls it. What more a value has to be, `coerce` says.
TYPES: Mapping[str, Row] = {
    "agents": LIST_OF_TEXTS,
    "bool": {"type": "bool"},
    "changes": {"type": "str", "choices": ["auto", "true", "false"]},
    "count": {"type": "int"},
    "dollars": {"type": "float"},
    "duration": {"type": "str"},
    "globs": LIST_OF_TEXTS,
    "int": {"type": "int"},
    "jobs": {"type": "list", "elements": "dict"},
    "mapping": {"type": "dict"},
    "name": {"type": "str"},
    "path": {"type": "path"},
    "pattern": LIST_OF_TEXTS,
    "places": LIST_OF_TEXTS,
    "size": {"type": "str"},
    "stall": {"type": "str"},
    "statuses": LIST_OF_TEXTS,
    "str": {"type": "str"},
    "text": {"type": "str"},
    "variables": LIST_OF_TEXTS,
}


def run_options() -> dict[str, Row]:
    """The options that are keys: those of jobs, as defaults of all jobs, of the run, and `jobs`."""
    top = {key.name: _row(key) for key in KEYS if _is_of_the_run(key)}
    top["jobs"]["options"] = {name: _row(key) for name, key in JOB_KEYS.items()}
    return top


def _is_of_the_run(key: Key) -> bool:
    return key.level in LEVELS_OF_RUN and TOP_KEYS[key.name] is key


def _row(key: Key) -> Row:
    row = dict(TYPES[key.type])
    # Beside the agents that we know there are those of the user's config.
    if key.choices and key.type != "agents":
        row["choices"] = list(key.choices)
    return row
