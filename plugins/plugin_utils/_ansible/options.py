# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people typed, as Ansible knows it: extra variables, and the settings of a request."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.plugins.action import ActionBase
from ansible.template import is_trusted_as_template
from ansible.utils.display import Display

from .._errors import BadValue, InputError
from .._files.record import run_folder
from .._fleet.fleet import Fleet, with_load_or_reason
from .._input.each import on_each
from .._input.keys import TOP_KEYS, coerce, plain, setting
from .._input.notify import WHERE, Notify, read_notify
from .._input.option_spec import run_options
from .._input.origins import EXTRA_VAR, GROUP_ALL, PLAY
from .._input.pass_env import require_values
from .._input.request import (
    Request,
    read_output_file,
    read_project,
    read_request,
    unknown_settings,
)
from .candidates import LOCAL, match

# How many nodes are asked for their operating system at the same time.
AT_ONCE = 64
# The options of run_jobs that are keys.
RUN_OPTIONS = run_options()
# What a template begins with.
OPEN = ("{{", "{%")


def extra_vars() -> list[str]:
    """The -e words as they were typed."""
    return [str(word) for word in context.CLIARGS.get("extra_vars", ())]


def check_names(action: ActionBase) -> None:
    """Raise InputError for extra variables that look like settings and are none."""
    problems = unknown_settings(_extra_var_names(action))
    if problems:
        raise InputError(problems)


def find_request(
    action: ActionBase,
    task_vars: Mapping[str, Any],
    fleet: Fleet,
    options: Mapping[str, Any] | None = None,
) -> Request:
    """The request for this fleet: the task's options, and what else was typed.

    Raises InputError with all that is wrong.
    """
    options = options or {}
    settings = {
        f"gummy_{key}": task_vars[f"gummy_{key}"] for key in TOP_KEYS if f"gummy_{key}" in task_vars
    }
    extra_names = _extra_var_names(action)
    _refuse_templates(settings, [*extra_names, *(f"gummy_{name}" for name in options)])
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
        extra_var_names=extra_names,
        options=options,
        origins=find_origins(action, task_vars, settings),
    )

    # Of an earlier call's jobs some may have ended, and need no value any more.
    resumed = request.adopt or os.path.isdir(run_folder(request.run_id))
    if not resumed:
        require_values(request.jobs)
    if not fleet.names and any(job.node not in ("local", LOCAL) for job in request.jobs):
        problem = (
            "no node is among the hosts of this play "
            "(a broken or missing -i leaves localhost alone): "
            "give -i, or gummy_node=local to work here; in a play of localhost, give run_jobs its "
            "option nodes"
        )
        raise InputError([problem])

    request = replace(request, notes=(*request.notes, *_warn_of_config(request)))
    if request.each:
        return on_each(request, _systems(fleet))
    return request


def find_origins(
    action: ActionBase, task_vars: Mapping[str, Any], names: Iterable[str]
) -> dict[str, str]:
    """Where each of these variables is set, in the words of `_input/origins.py`."""
    extra_names = set(_extra_var_names(action))
    in_play = _vars_of_play(action)
    # What every host has: the variables of group all, and what tasks have set for this one.
    hostvars = task_vars.get("hostvars")
    common = {} if hostvars is None else hostvars.raw_get(LOCAL)

    origins = {}
    for name in names:
        if name in extra_names:
            origins[name] = EXTRA_VAR
        elif name not in in_play and name in common:
            origins[name] = GROUP_ALL
        else:
            origins[name] = PLAY
    return origins


def _vars_of_play(action: ActionBase) -> frozenset[str]:
    """The names that the play itself sets: its vars, and what its tasks have set so far."""
    names: set[str] = set()
    block = getattr(action._task, "_parent", None)
    for part in (getattr(block, "_play", None), action._task):
        get_vars = getattr(part, "get_vars", dict)
        names.update(map(str, get_vars()))
    manager = action._task.get_variable_manager()
    for facts in getattr(manager, "_nonpersistent_fact_cache", {}).values():
        names.update(map(str, facts))
    return frozenset(names)


def _refuse_templates(settings: Mapping[str, Any], read_raw: Iterable[str]) -> None:
    """Raise InputError for templates in variables, which nobody would fill in.

    A text is one if Ansible would template it: it stands in the vars of a play, group or host. What
    set_fact, a lookup or a node yielded is data. read_raw: names of variables whose braces are
    meant as they are, or do not count.
    """
    raw = set(read_raw)
    problems = [
        f"{name}: {where}it has an open '{{{{' and stands in the vars of a play, a group or a "
        "host, and such a text is read as it is: give it as the option "
        f"{name.removeprefix('gummy_')} of distributed.gummy.run_jobs, which Ansible fills in, or "
        "mark it !unsafe if its braces are meant"
        for name, value in settings.items()
        if name not in raw
        for where in _templates_in(value)
    ]
    if problems:
        raise InputError(problems)


def _templates_in(value: Any, where: str = "") -> Iterator[str]:
    """Where templates stand in a value of a variable: beginnings of sentences."""
    if isinstance(value, str):
        if is_trusted_as_template(value) and any(sign in value for sign in OPEN):
            yield where
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _templates_in(item, f"{where}{name}: ")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value, 1):
            yield from _templates_in(item, f"{where}{number}: ")


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
    if setting_is_given(task_vars, key):
        Display().warning(f"gummy_{key} does not count: the task has the option {key}")
    try:
        value = coerce(TOP_KEYS[key], plain(args[key]))
    except BadValue as exc:
        raise InputError([f"{key}: {exc}"]) from exc
    return TOP_KEYS[key].default if value is None else value


def setting_is_given(task_vars: Mapping[str, Any], key: str) -> bool:
    """Whether the variables say something for the key; a blank text says nothing."""
    value = task_vars.get(f"gummy_{key}")
    return value is not None and str(value).strip() != ""


def find_project(args: Mapping[str, Any], task_vars: Mapping[str, Any]) -> str | None:
    """The real path of the project that `sync` is about; None for none. Raises InputError."""
    name = "gummy_project" if args.get("project") is None else "project"
    try:
        return read_project(find_option(args, task_vars, "project"), os.getcwd())
    except BadValue as exc:
        raise InputError([f"{name}: {exc}"]) from exc


def find_output_file(task_vars: Mapping[str, Any]) -> str | None:
    """The absolute path of the file for what is shown, if one is asked for. Raises InputError.

    It is looked at before anything is done, so that nothing is done whose document can't be kept.
    """
    raw = find_setting(task_vars, "output_file")
    if not raw:
        return None
    try:
        return read_output_file(raw, os.getcwd())
    except BadValue as exc:
        raise InputError([f"gummy_output_file: {exc}"]) from exc


def find_notify(given: object, task_vars: Mapping[str, Any], fleet: Fleet) -> Notify | None:
    """Whom the run tells: what the task's option says, else the config file. Raises InputError."""
    if "gummy_notify" in task_vars:
        raise InputError([f"gummy_notify: {WHERE}"])
    if given is None:
        return fleet.config.notify
    try:
        return read_notify(plain(given))
    except BadValue as exc:
        raise InputError([f"notify: {exc}"]) from exc


def refuse_junit_of_a_plan(path: str | None) -> None:
    """Raise InputError: a plan has no tests, and a file without any would say that all is well."""
    if path is not None and path.endswith(".xml"):
        problem = "of a plan there is no JUnit file; name a .json, .md or .html file"
        raise InputError([f"gummy_output_file: {problem}"])


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
