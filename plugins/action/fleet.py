# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people ask of the whole fleet: one action, a verb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..plugin_utils._ansible.action import FleetAction
from ..plugin_utils._ansible.candidates import find_fleet
from ..plugin_utils._ansible.display import people_read_stdout, print_line
from ..plugin_utils._ansible.options import check_names, find_setting
from ..plugin_utils._commands.cancel import cancel
from ..plugin_utils._commands.clean import clean
from ..plugin_utils._commands.harvest import harvest
from ..plugin_utils._commands.logs import logs
from ..plugin_utils._commands.specialists import specialists
from ..plugin_utils._commands.status import status
from ..plugin_utils._show.text import printable


class ActionModule(FleetAction):
    spec: ClassVar = {
        "verb": {
            "choices": ["status", "specialists", "logs", "cancel", "harvest", "clean"],
            "required": True,
        }
    }

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        check_names(self)
        verb = args["verb"]
        document = self._ask(verb, variables)
        return {
            "changed": _has_changed(verb, document),
            "document": document,
            "output_file": find_setting(variables, "output_file"),
        }

    def _ask(self, verb: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        fleet = find_fleet(self, variables)
        job = find_setting(variables, "job")
        run_id = find_setting(variables, "run_id")
        if verb == "status":
            return status(fleet)
        if verb == "specialists":
            return specialists(fleet)
        if verb == "logs":
            return logs(fleet, job, run_id, _print_line)
        if verb == "cancel":
            return cancel(fleet, job, run_id)
        if verb == "clean":
            return clean(fleet, self._task.check_mode)
        return harvest(fleet, job, run_id, find_setting(variables, "harvest_limit"))


def _has_changed(verb: str, document: Mapping[str, Any]) -> bool:
    if verb == "clean":
        return bool(document["bytes"] > 0)
    return verb in ("cancel", "harvest")


def _print_line(line: str) -> None:
    # Another callback writes a document of its own to stdout.
    if people_read_stdout():
        print_line(printable(line))
