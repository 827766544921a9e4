# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one task of the `run` playbook: check the input, place the jobs, drive them, bring the harvest home."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils._fleet import find_fleet, find_request
from ..plugin_utils._keys import InputError
from ..plugin_utils._printer import Printer
from ..plugin_utils._run import plan, run


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True  # run_once is not once under strategy free or with serial
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec({"stage": {"choices": ["check", "plan", "run"], "default": "run"}})
        stage = "plan" if args["stage"] == "run" and self._task.check_mode else args["stage"]
        try:
            fleet = find_fleet(self, task_vars or {})
            request = find_request(self, task_vars or {}, fleet)
            if stage == "check":
                return {"changed": False}
            printer = Printer(request.progress)
            try:
                document = plan(request, fleet) if stage == "plan" else run(request, fleet, printer)
            finally:
                printer.close()
        except InputError as exc:
            return {"failed": True, "msg": "\n".join(exc.problems)}
        return {"changed": stage == "run", "document": document, "output_file": request.output_file}
