# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes lack an agent, and what would install it there; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..plugin_utils._ansible.action import NODES, FleetAction
from ..plugin_utils._ansible.candidates import find_fleet
from ..plugin_utils._ansible.options import check_names, find_option, find_output_file
from ..plugin_utils._commands.install import look_for_agent
from ..plugin_utils._commands.recipes import WAYS


class ActionModule(FleetAction):
    spec: ClassVar = {
        **NODES,
        "agent": {"type": "str"},
        "install_way": {"type": "str", "choices": ["auto", *WAYS]},
    }

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        check_names(self)
        output_file = find_output_file(variables)
        agent = find_option(args, variables, "agent")
        way = find_option(args, variables, "install_way")
        fleet = find_fleet(self, variables, args.get("nodes"), anew=True)
        document = look_for_agent(fleet, agent, None if way == "auto" else way)
        result = {
            "changed": False,
            "document": document,
            "nodes": {row["name"]: row for row in document["nodes"]},
            "output_file": output_file,
        }
        if document["status"] == "failed":
            result |= {"failed": True, "msg": document["message"]}
        return result
