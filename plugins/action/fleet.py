# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people ask of the whole fleet: one action, a verb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.utils.display import Display

from ..plugin_utils._ansible.action import FleetAction
from ..plugin_utils._ansible.candidates import find_fleet
from ..plugin_utils._ansible.options import check_names
from ..plugin_utils._commands import attempts, clean, views
from ..plugin_utils._input.keys import setting
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
        fleet = find_fleet(self, variables)
        verb = args["verb"]
        job = setting(variables, "job")
        run_id = setting(variables, "run_id")
        if verb == "status":
            document = views.status(fleet)
        elif verb == "specialists":
            document = views.specialists(fleet)
        elif verb == "logs":
            document = attempts.logs(fleet, job, run_id, _print_line)
        elif verb == "cancel":
            document = attempts.cancel(fleet, job, run_id)
        elif verb == "clean":
            document = clean.clean(fleet, self._task.check_mode)
        else:
            document = attempts.harvest(fleet, job, run_id)
        changed = verb in ("cancel", "harvest") or verb == "clean" and document["bytes"] > 0
        return {
            "changed": changed,
            "document": document,
            "output_file": setting(variables, "output_file"),
        }


def _print_line(line: str) -> None:
    Display().display(printable(line))
