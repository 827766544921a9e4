# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the document of an earlier task to people, and lets the exit status tell the truth.

It also writes the document to gummy_output_file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ansible.utils.display import Display

from ..plugin_utils._ansible.action import FleetAction
from ..plugin_utils._files.output_file import write_output
from ..plugin_utils._show import panels, report
from ..plugin_utils._show.text import printable

# What shows a document, by its kind.
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


# Statuses of documents with which all is well; any other one fails the task.
GOOD = frozenset({"success", "plan", "unfinished"})


class ActionModule(FleetAction):
    spec: ClassVar = {"of": {"required": True}}

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        # Read raw, never as a task argument: what came from nodes and prompts must not meet a
        # template.
        result = variables[args["of"]]
        document = result["document"]
        for each in document.get("documents", [document]):
            for line in PANELS[each["kind"]](each):
                Display().display(printable(line))

        path = result.get("output_file")
        if path and not self._task.check_mode:
            write_output(path, document)

        if document["status"] in GOOD:
            return {"changed": False, "failed": False}
        message = document.get("message") or "not every job is good: see above"
        return {"changed": False, "failed": True, "msg": message}
