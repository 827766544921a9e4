# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what nodes, jobs and specialists do; changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ..plugin_utils._ansible.action import NODES, FleetAction
from ..plugin_utils._ansible.candidates import find_fleet
from ..plugin_utils._ansible.display import people_read_stdout, print_line
from ..plugin_utils._ansible.options import check_names, find_option, find_output_file
from ..plugin_utils._commands.fleet_info import THINGS, Asked, gather
from ..plugin_utils._commands.follow import Told
from ..plugin_utils._commands.logs import LogsView
from ..plugin_utils._show.followed import FollowedLogs


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
        "follow": {"type": "bool"},
        "raw": {"type": "bool"},
        "lines": {"type": "int"},
    }

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        check_names(self)
        output_file = find_output_file(variables)
        # doctor alone tells what is wrong with a config file that keeps all others from beginning.
        forgiving = args["gather"] == ["doctor"]
        view = LogsView(find_option(args, variables, "raw"), find_option(args, variables, "lines"))
        follow = None
        if "logs" in args["gather"] and find_option(args, variables, "follow"):
            follow = _shower(view)
        asked = Asked(
            find_option(args, variables, "job"),
            find_option(args, variables, "run_id"),
            view,
            follow,
        )
        fleet = find_fleet(self, variables, args.get("nodes"), forgiving=forgiving)
        documents, shown = gather(fleet, args["gather"], asked)
        return {
            "changed": False,
            **documents,
            "document": shown,
            "output_file": output_file,
        }


def _shower(view: LogsView) -> Callable[[Told], None]:
    """Shows what logs become to people, if they are who reads stdout."""
    if not people_read_stdout():
        return lambda told: None
    logs = FollowedLogs(raw=view.raw, lines=view.lines)

    def show(told: Told) -> None:
        for line in logs.take(told.row, told.what, told.text):
            print_line(line, flush=True)

    return show
