# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the document of an earlier task to people, writes it to gummy_output_file, and lets the
exit status tell the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ansible.utils.display import Display

from ..plugin_utils._ansible.action import FleetAction
from ..plugin_utils._files.paths import write_json
from ..plugin_utils._show import panels, report
from ..plugin_utils._show.text import printable

PANELS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "plan": report.plan_text,
    "run": report.run_summary,
    "sync": report.sync_text,
    "logs": report.logs_text,
    "cancel": report.cancel_text,
    "harvest": report.harvest_text,
    "clean": report.clean_text,
    "status": panels.status_text,
    "specialists": panels.specialists_text,
}


class ActionModule(FleetAction):
    spec: ClassVar = {"of": {"required": True}}

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        # Read raw, never as a task argument: what came from nodes and prompts must not meet a
        # template.
        result = variables[args["of"]]
        document = result["document"]
        path = result.get("output_file")
        for line in PANELS[document["kind"]](document):
            Display().display(printable(line))
        if path:
            write_json(path, document)
        bad = document["status"] not in ("success", "plan", "unfinished")
        return {
            "changed": False,
            "failed": bad,
            **(
                {"msg": document.get("message") or "not every job is good: see above"}
                if bad
                else {}
            ),
        }
