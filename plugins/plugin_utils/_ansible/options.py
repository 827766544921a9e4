# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people typed, as Ansible knows it: extra variables, and the settings of a request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.plugins.action import ActionBase

from .._errors import BadValue, InputError
from .._files.record import run_folder
from .._fleet.fleet import Fleet, with_load_or_reason
from .._input.each import on_each
from .._input.keys import TOP_KEYS, coerce, plain, setting
from .._input.pass_env import require_values
from .._input.request import Request, read_project, read_request, unknown_settings
from .candidates import LOCAL, match

# How many nodes are asked for their operating system at the same time.
AT_ONCE = 64


def extra_vars() -> list[str]:
    """The -e words as they were typed."""
    return [str(word) for word in context.CLIARGS.get("extra_vars", ())]


def check_names(action: ActionBase) -> None:
    """Raise InputError for extra variables that look like settings and are none."""
    problems = unknown_settings(_extra_var_names(action))
    if problems:
        raise InputError(problems)


def find_request(action: ActionBase, task_vars: Mapping[str, Any], fleet: Fleet) -> Request:
    """The request that was typed for this fleet. Raises InputError with all that is wrong."""
    settings = {
        f"gummy_{key}": task_vars[f"gummy_{key}"] for key in TOP_KEYS if f"gummy_{key}" in task_vars
    }
    names = [*fleet.names]
    if fleet.fallback is not None:
        names.append(LOCAL)

    def match_hosts(pattern: str) -> list[str]:
        return match(action, task_vars, pattern)

    request = read_request(
        extra_vars(),
        settings,
        names,
        os.getcwd(),
        fleet.config,
        match=match_hosts,
        extra_var_names=_extra_var_names(action),
    )

    # Of an earlier call's jobs some may have ended, and need no value any more.
    resumed = request.adopt or os.path.isdir(run_folder(request.run_id))
    if not resumed:
        require_values(request.jobs)
    if not fleet.names and any(job.node not in ("local", LOCAL) for job in request.jobs):
        problem = (
            "no node is among the hosts of this play "
            "(a broken or missing -i leaves localhost alone): "
            "give -i, or gummy_node=local to work here"
        )
        raise InputError([problem])

    request = replace(request, notes=(*request.notes, *_warn_of_config(request)))
    if request.each:
        return on_each(request, _systems(fleet))
    return request


def _warn_of_config(request: Request) -> list[str]:
    """That Ansible's own configuration comes from a project which a job is about.

    Its plugins have run already when this is told: that is Ansible's rule for the directory that
    it is called in, and no collection can change it.
    """
    if C.CONFIG_FILE is None:
        return []
    config = os.path.realpath(C.CONFIG_FILE)
    projects = sorted({job.project for job in request.jobs if job.project is not None})
    return [
        f"Ansible's configuration {config} lies in the project {project}: what it names runs on "
        "this machine; if the project is not yours, set ANSIBLE_CONFIG to a file of your own"
        for project in projects
        if os.path.commonpath([config, project]) == project
    ]


def find_setting(task_vars: Mapping[str, Any], key: str) -> Any:
    """The value of a key of the top level, read as the table of keys says. Raises InputError."""
    return setting(task_vars, key)


def find_option(args: Mapping[str, Any], task_vars: Mapping[str, Any], key: str) -> Any:
    """The value of a module's option, where it is given; else of the setting of the same name.

    A blank option is given, and says nothing: the setting does not count then. Raises InputError.
    """
    if args.get(key) is None:
        return find_setting(task_vars, key)
    try:
        value = coerce(TOP_KEYS[key], plain(args[key]))
    except BadValue as exc:
        raise InputError([f"{key}: {exc}"]) from exc
    return TOP_KEYS[key].default if value is None else value


def find_project(args: Mapping[str, Any], task_vars: Mapping[str, Any]) -> str | None:
    """The real path of the project that `sync` is about; None for none. Raises InputError."""
    name = "gummy_project" if args.get("project") is None else "project"
    try:
        return read_project(find_option(args, task_vars, "project"), os.getcwd())
    except BadValue as exc:
        raise InputError([f"{name}: {exc}"]) from exc


def _systems(fleet: Fleet) -> dict[str, str | None]:
    """The operating system of each node by name: from the inventory, else by asking it."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        systems = pool.map(lambda node: node.os or with_load_or_reason(fleet, node).os, fleet.nodes)
        return dict(zip(fleet.names, systems, strict=True))


def _extra_var_names(action: ActionBase) -> list[str]:
    """Names of all extra variables, also of those that come from files."""
    if not hasattr(action._task, "get_variable_manager"):
        return []
    manager = action._task.get_variable_manager()
    if manager is None:
        return []
    return [str(name) for name in manager.extra_vars]
