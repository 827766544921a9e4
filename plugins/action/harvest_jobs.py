# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings home what ended jobs left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..plugin_utils._ansible.action import NODES, FleetAction
from ..plugin_utils._ansible.candidates import find_fleet
from ..plugin_utils._ansible.options import check_names, find_option, find_output_file
from ..plugin_utils._commands.harvest import harvest_and_compare, has_changed


class ActionModule(FleetAction):
    spec: ClassVar = {
        **NODES,
        "job": {"type": "str"},
        "run_id": {"type": "str"},
        "harvest_limit": {"type": "str"},
    }

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        check_names(self)
        output_file = find_output_file(variables)
        document, differences = harvest_and_compare(
            find_fleet(self, variables, args.get("nodes")),
            find_option(args, variables, "job"),
            find_option(args, variables, "run_id"),
            find_option(args, variables, "harvest_limit"),
            check=self._task.check_mode,
            compare=self._task.diff,
        )
        result = {
            "changed": has_changed(document),
            "document": document,
            "output_file": output_file,
        }
        return {**result, "diff": differences} if differences else result
