# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one task of the `sync` playbook: the project to every candidate's workspace."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils import _attempts
from ..plugin_utils._fleet import check_names, find_fleet, find_project, setting
from ..plugin_utils._keys import InputError


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        self.validate_argument_spec({})
        try:
            fleet = find_fleet(self, task_vars or {})
            check_names(self)
            document = _attempts.sync(fleet, find_project(task_vars or {}))
        except InputError as exc:
            return {"failed": True, "msg": "\n".join(exc.problems)}
        return {"changed": True, "document": document, "output_file": setting(task_vars or {}, "output_file")}
