# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what nodes, jobs and specialists do; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..plugin_utils._ansible.action import NODES, FleetAction
from ..plugin_utils._ansible.candidates import find_fleet
from ..plugin_utils._ansible.options import check_names, find_option, find_output_file
from ..plugin_utils._commands.fleet_info import THINGS, Wanted, gather


class ActionModule(FleetAction):
    spec: ClassVar = {
        **NODES,
        "gather": {
            "type": "list",
            "elements": "str",
            "choices": list(THINGS),
            "default": ["status"],
        },
        "job": {"type": "str"},
        "run_id": {"type": "str"},
        "specialist_paths": {"type": "list", "elements": "str"},
    }

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        check_names(self)
        output_file = find_output_file(variables)
        # doctor alone tells what is wrong with a config file that keeps all others from beginning.
        forgiving = args["gather"] == ["doctor"]
        documents, shown = gather(
            find_fleet(self, variables, args.get("nodes"), forgiving=forgiving),
            args["gather"],
            Wanted(
                job=find_option(args, variables, "job"),
                run_id=find_option(args, variables, "run_id"),
                specialist_paths=find_option(args, variables, "specialist_paths"),
            ),
        )
        return {
            "changed": False,
            **documents,
            "document": shown,
            "output_file": output_file,
        }
