# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the document of an earlier task to people, and lets the exit status tell the truth.

It also writes the document to gummy_output_file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ..plugin_utils._ansible.action import FleetAction
from ..plugin_utils._ansible.display import (
    callback_writes_yaml,
    columns,
    people_read_stdout,
    print_line,
)
from ..plugin_utils._ansible.options import find_setting
from ..plugin_utils._ansible.typed import was_typed, why_left_out
from ..plugin_utils._files.output_file import write_content, write_output
from ..plugin_utils._files.run_files import read_run_files
from ..plugin_utils._show import board, dashboard, doctor, formats, panels, report
from ..plugin_utils._show.kinds import kind_of
from ..plugin_utils._show.outcome import find_document, why_bad
from ..plugin_utils._show.text import in_ascii, printable

# What shows a document, by its kind.
PANELS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "plan": report.plan_text,
    "run": report.run_summary,
    "sync": report.sync_text,
    "logs": report.logs_text,
    "cancel": report.cancel_text,
    "harvest": report.harvest_text,
    "clean": report.clean_text,
    "install": report.install_text,
    "status": panels.status_text,
    "doctor": doctor.doctor_text,
}

# The same of those that are as wide as the terminal.
FRAMED: Mapping[str, Callable[[Mapping[str, Any], int], list[str]]] = {
    "specialists": dashboard.specialists_text,
    "watch": board.board_text,
}

# The kind of the first line by the status of a document; "bad" for the others.
HEADS = {"success": "good", "plan": None, "unfinished": "running"}

# The kind of a document that holds several.
SEVERAL = "info"


class ActionModule(FleetAction):
    spec: ClassVar = {"of": {"required": True}}

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        # Read raw, never as a task argument: what came from nodes and prompts must not meet a
        # template.
        name = args["of"]
        if name not in variables:
            return _nothing_to_show(self._task, name, variables)
        result = variables[name]
        document, problem = find_document(result, name, (*PANELS, *FRAMED, SEVERAL))
        if document is None:
            return {"failed": True, "msg": problem}

        shown = _show(document.get("documents", [document]), variables)

        path = result.get("output_file")
        if path:
            _write(path, document)

        message = why_bad(document, find_setting(variables, "fail_on"))
        if message is None:
            return {"changed": False, "failed": False, **shown}
        return {"changed": False, "failed": True, "msg": message, **shown}


def _write(path: str, document: Mapping[str, Any]) -> None:
    """Write the document in the form that the end of the file's name says. Raises InputError."""
    suffix = os.path.splitext(path)[1]
    text: str | None
    if suffix not in formats.RUN_FORMATS:
        write_output(path, document)
        return
    if document["kind"] == "run":
        text = formats.page_of_run(suffix, document, read_run_files(document["jobs"]))
    else:
        documents = document.get("documents", [document])
        lines = [printable(line) for each in documents for line in _text_of(each)]
        text = formats.page_of_lines(suffix, document["kind"], lines)
    if text is None:
        write_output(path, document)
    else:
        write_content(path, text.encode("utf-8", "replace"))


def _show(documents: Sequence[Mapping[str, Any]], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Show documents to people, if they are who reads stdout; what of it goes into the result."""
    if not people_read_stdout():
        return {}
    is_ascii = find_setting(variables, "ascii")
    lines: list[tuple[str, str | None]] = []
    for document in documents:
        text = [printable(line) for line in _text_of(document)]
        kinds = _kinds_of(document, text)
        if is_ascii:
            text = [in_ascii(line) for line in text]
        lines += zip(text, kinds, strict=True)

    if callback_writes_yaml(variables):
        # The callback writes the lines as the block of text that they are.
        return {"shown": "\n".join(line for line, _kind in lines), "_ansible_verbose_always": True}
    for line, kind in lines:
        print_line(line, kind)
    return {}


def _text_of(document: Mapping[str, Any]) -> list[str]:
    kind = document["kind"]
    if kind in FRAMED:
        return FRAMED[kind](document, columns())
    return PANELS[kind](document)


def _kinds_of(document: Mapping[str, Any], lines: Sequence[str]) -> list[str | None]:
    """The kind of each line of a document."""
    if document["kind"] == "logs":
        # What agents printed has no kind.
        return [None] * len(lines)
    kinds = [kind_of(line) for line in lines]
    if kinds and kinds[0] is None:
        kinds[0] = HEADS.get(document["status"], "bad")
    return kinds


def _nothing_to_show(task: Any, name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """No task has registered anything. Where --tags did that, nothing to do is no success."""
    left_out = why_left_out(task, variables)
    if left_out is None:
        problem = f"there is no variable {name}: give the name that a task before this registered"
        return {"failed": True, "msg": problem}
    failed = was_typed(task)
    return {"failed": failed, "skipped": not failed, "msg": left_out}
