# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes away what is old on the nodes, and of this controller's runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..plugin_utils._ansible.action import NODES, FleetAction
from ..plugin_utils._ansible.candidates import find_fleet
from ..plugin_utils._ansible.options import check_names, find_output_file
from ..plugin_utils._commands.clean import clean, has_changed


class ActionModule(FleetAction):
    spec: ClassVar = {**NODES}

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        check_names(self)
        output_file = find_output_file(variables)
        document = clean(find_fleet(self, variables, args.get("nodes")), self._task.check_mode)
        return {
            "changed": has_changed(document),
            "document": document,
            "output_file": output_file,
        }
