# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the document of an earlier task to people, writes it to gummy_output_file, and lets the exit status tell the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils import _report
from ..plugin_utils._printer import shown
from ..plugin_utils._record import write_json

PANELS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "plan": _report.plan_text,
    "run": _report.run_summary,
    "sync": _report.sync_text,
    "logs": _report.logs_text,
    "harvest": _report.harvest_text,
}


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec({"of": {"required": True}})
        # Read raw, never as a task argument: what came from nodes and prompts must not meet a template.
        result = (task_vars or {})[args["of"]]
        document, path = result["document"], result.get("output_file")
        for line in PANELS[document["kind"]](document):
            Display().display(shown(line))
        if path:
            write_json(path, document)
        bad = document["status"] not in ("success", "plan")
        return {"changed": False, "failed": bad, **({"msg": document.get("message") or "not every job is good: see above"} if bad else {})}
