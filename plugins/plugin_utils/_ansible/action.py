# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all actions of the collection share: one call for the whole play, and clear errors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from .._errors import InputError
from .._links.guardian import guardian
from .._links.outputs import reader_is_gone
from .._links.parent import ended_with_parent
from .arguments import check_arguments
from .manners import check_manners

# From -vvv on Ansible itself prints for its connections from within a worker.
WORKERS_PRINT = 3

# The option of the actions that are about nodes: a host pattern. The fragment _candidates tells it.
NODES: Mapping[str, Mapping[str, Any]] = {"nodes": {"type": "list", "elements": "str"}}


# Ansible has no types.
class FleetAction(ActionBase):  # type: ignore[misc]
    """An action that says its `spec` and does its work in `act`, which may raise InputError."""

    # It runs once for all hosts: run_once is not once under strategy free or with serial.
    BYPASS_HOST_LOOP = True
    # Nothing is sent to the host that Ansible thinks it runs for.
    TRANSFERS_FILES = False
    _requires_connection = False
    # The arguments, as Ansible's argument specs describe them.
    spec: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """What Ansible calls: checks the arguments, and turns an InputError into a failure."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        try:
            check_manners(self._task, variables)
            args = check_arguments(self.spec, self._task.args)
            with ended_with_parent():
                result = self.act(args, variables)
        except InputError as exc:
            result = {"failed": True, "msg": "\n".join(exc.problems)}
        if reader_is_gone():
            _end_calls()
        if "document" in result:
            # -v must not dump a document; a callback that writes all results has it all the same.
            result["_ansible_verbose_override"] = True
        return result

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        """The result of the action. args: as `spec` says; variables: of the play."""
        return {}


def _end_calls() -> None:
    """Nobody reads what the play prints: what threads still wait for must not keep this process."""
    guardian.end_all()
    if Display().verbosity >= WORKERS_PRINT:
        # If Ansible printed for us, nobody takes a result from us any more, and the play would wait
        # for it without end. A worker that died ends it.
        os._exit(1)
