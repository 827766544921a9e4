# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one task of the `run` playbook: check the input, then drive the jobs until they are home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..plugin_utils._ansible.action import FleetAction
from ..plugin_utils._ansible.candidates import find_fleet
from ..plugin_utils._ansible.display import (
    STDERR_IS_TERMINAL,
    draw_lines,
    is_verbose,
    print_line,
)
from ..plugin_utils._ansible.options import (
    RUN_OPTIONS,
    find_notify,
    find_request,
    refuse_junit_of_a_plan,
)
from ..plugin_utils._run.run import PlanDocument, ReaderGone, RunDocument, plan, run
from ..plugin_utils._show.outcome import why_failed
from ..plugin_utils._show.printer import Printer
from ..plugin_utils._show.text import fit


class ActionModule(FleetAction):
    spec: ClassVar = {
        "stage": {"choices": ["check", "plan", "run"], "default": "run"},
        "notify": {"type": "raw"},
        **RUN_OPTIONS,
    }

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        stage = args["stage"]
        if stage == "run" and self._task.check_mode:
            stage = "plan"

        options = {name: args[name] for name in RUN_OPTIONS if name in args}
        fleet = find_fleet(self, variables, options.get("nodes"))
        request = find_request(self, variables, fleet, options)
        notify = find_notify(args.get("notify"), variables, fleet)
        if stage == "plan":
            refuse_junit_of_a_plan(request.output_file)
        if stage == "check":
            return {"changed": False}

        draw = _draw if STDERR_IS_TERMINAL else None
        printer = Printer(_print_note, request.progress, draw=draw)
        document: PlanDocument | RunDocument
        try:
            if stage == "plan":
                document = plan(request, fleet)
            else:
                verbose = request.verbose or is_verbose()
                document = run(request, fleet, printer, notify, verbose=verbose)
        except ReaderGone as exc:
            # The callback can't tell it where nobody reads stdout.
            _print_note(str(exc))
            return {"changed": True, "failed": True, "msg": str(exc)}
        finally:
            printer.close()
        result = {
            "changed": document.get("changed", False),
            "document": document,
            "output_file": request.output_file,
        }
        failure = why_failed(document, request.fail_on)
        if failure is not None:
            result |= {"failed": True, "msg": failure}
        return result


def _draw(lines: Sequence[str]) -> None:
    draw_lines(lines, fit)


def _print_note(line: str) -> None:
    # On stderr: stdout belongs to the callback, and is flushed only where it is a terminal.
    print_line(line, stderr=True)
