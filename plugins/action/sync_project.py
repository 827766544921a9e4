# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends a project to every candidate's workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..plugin_utils._ansible.action import NODES, FleetAction
from ..plugin_utils._ansible.candidates import find_fleet
from ..plugin_utils._ansible.display import print_line
from ..plugin_utils._ansible.options import (
    check_names,
    find_output_file,
    find_project,
    find_setting,
)
from ..plugin_utils._commands.sync import has_changed, sync
from ..plugin_utils._show.text import printable


class ActionModule(FleetAction):
    spec: ClassVar = {**NODES, "project": {"type": "str"}}

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        check_names(self)
        output_file = find_output_file(variables)
        fleet = find_fleet(self, variables, args.get("nodes"))
        note = _print_note if find_setting(variables, "progress") else _say_nothing
        document = sync(fleet, find_project(args, variables), note, check=self._task.check_mode)
        return {
            "changed": has_changed(document),
            "document": document,
            "output_file": output_file,
        }


def _print_note(line: str) -> None:
    print_line(printable(line), stderr=True)


def _say_nothing(line: str) -> None:
    """Without progress stderr is for errors."""
