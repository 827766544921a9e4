# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what nodes, jobs and specialists do; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ansible.utils.display import Display

from ..plugin_utils._ansible.action import NODES, FleetAction
from ..plugin_utils._ansible.candidates import find_fleet
from ..plugin_utils._ansible.display import (
    colored,
    drawable_terminal,
    people_read_stdout,
    print_line,
)
from ..plugin_utils._ansible.options import (
    check_names,
    find_option,
    find_output_file,
    find_setting,
)
from ..plugin_utils._commands.fleet_info import THINGS, Wanted, gather
from ..plugin_utils._commands.follow import Told
from ..plugin_utils._commands.logs import LogsView
from ..plugin_utils._commands.watch import Watching
from ..plugin_utils._show.board import board_text
from ..plugin_utils._show.followed import FollowedLogs
from ..plugin_utils._show.kinds import kind_of
from ..plugin_utils._show.screen import NoScreen, draw_until_told
from ..plugin_utils._show.text import in_ascii, printable


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
        "specialist_paths": {"type": "list", "elements": "str"},
        "live": {"type": "bool", "default": False},
        "follow": {"type": "bool"},
        "raw": {"type": "bool"},
        "lines": {"type": "int"},
    }

    def act(self, args: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        check_names(self)
        output_file = find_output_file(variables)
        # doctor alone tells what is wrong with a config file that keeps all others from beginning.
        forgiving = args["gather"] == ["doctor"]
        if args["live"] and args["gather"] != ["watch"]:
            problem = "live: nothing but the board is live; give gather: [watch]"
            return {"failed": True, "msg": problem}
        is_ascii = find_setting(variables, "ascii")
        wanted = _wanted(args, variables, is_ascii=is_ascii)
        fleet = find_fleet(self, variables, args.get("nodes"), forgiving=forgiving)

        document = None
        terminal = drawable_terminal(variables) if args["live"] else None
        if terminal is not None:
            watching = Watching(fleet, wanted.specialist_paths)
            try:
                document = _draw(terminal, watching, is_ascii=is_ascii)
            finally:
                watching.close()
        if document is None:
            documents, shown = gather(fleet, args["gather"], wanted)
        else:
            documents, shown = {"watch": document}, document
        return {
            "changed": False,
            **documents,
            "document": shown,
            "output_file": output_file,
        }


def _wanted(args: Mapping[str, Any], variables: Mapping[str, Any], *, is_ascii: bool) -> Wanted:
    """What is to be read, and how logs are shown."""
    view = LogsView(find_option(args, variables, "raw"), find_option(args, variables, "lines"))
    follow = None
    if "logs" in args["gather"] and find_option(args, variables, "follow"):
        follow = _shower(view, is_ascii=is_ascii)
    return Wanted(
        job=find_option(args, variables, "job"),
        run_id=find_option(args, variables, "run_id"),
        specialist_paths=find_option(args, variables, "specialist_paths"),
        view=view,
        follow=follow,
    )


def _draw(terminal: str, watching: Watching, *, is_ascii: bool) -> Mapping[str, Any] | None:
    """The last board of those that were drawn until somebody ended it; None: none could be."""
    parent = os.getppid()

    def lines(columns: int, rows: int) -> list[str]:
        text = [printable(line) for line in board_text(watching.document(), columns, rows)]
        shown = [in_ascii(line) for line in text] if is_ascii else text
        return [colored(line, kind_of(whole)) for line, whole in zip(shown, text, strict=True)]

    def is_over() -> bool:
        return os.getppid() != parent

    try:
        draw_until_told(terminal, lines, is_over)
        return watching.document()
    except NoScreen as exc:
        Display().warning(f"the board is shown once, and not drawn: {exc}")
        return None


def _shower(view: LogsView, *, is_ascii: bool) -> Callable[[Told], None]:
    """Shows what logs become to people, if they are who reads stdout."""
    if not people_read_stdout():
        return lambda told: None
    logs = FollowedLogs(raw=view.raw, lines=view.lines)

    def show(told: Told) -> None:
        for line in logs.take(told.row, told.what, told.text):
            print_line(in_ascii(line) if is_ascii else line, flush=True)

    return show
