# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a play may ask of an action that is called once for all hosts, and what it may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible import constants as C
from ansible.module_utils.parsing.convert_bool import boolean

from .._errors import InputError


def check_manners(task: Any, variables: Mapping[str, Any]) -> None:
    """Raise InputError for a keyword of the task or its play that would not do what it says."""
    problems = [
        problem
        for problem in (
            _why_not_in_batches(variables) or _why_not_for_each_host(task, variables),
            _why_not_delegated(task),
            _why_not_become(task),
        )
        if problem
    ]
    if problems:
        raise InputError(problems)


def live_hosts(variables: Mapping[str, Any]) -> list[str]:
    """The hosts of the play without those that failed, or were unreachable, before this task."""
    return [str(name) for name in variables.get("ansible_play_hosts") or ()]


def failed_hosts(variables: Mapping[str, Any]) -> frozenset[str]:
    """The hosts of the play that failed, were unreachable, or were ended, before this task."""
    return frozenset(map(str, variables.get("ansible_play_hosts_all") or ())).difference(
        live_hosts(variables)
    )


def _batch(variables: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in variables.get("ansible_play_batch") or ()]


def _why_not_in_batches(variables: Mapping[str, Any]) -> str | None:
    """`serial` is seen by what it does: one that leaves all hosts in one batch does no harm."""
    if set(_batch(variables)) == set(live_hosts(variables)):
        return None
    return (
        "this play runs in batches (serial), and the nodes must all be seen at once: remove serial"
    )


def _why_not_for_each_host(task: Any, variables: Mapping[str, Any]) -> str | None:
    hosts = len(_batch(variables))
    if hosts < 2 or task.run_once:
        return None
    return (
        f"this play has {hosts} hosts, and the task is done once for all of them: "
        "add `run_once: true` to it, so that what it registers is there for every host"
    )


def _why_not_delegated(task: Any) -> str | None:
    host = task.delegate_to
    if not host or host in C.LOCALHOST:
        return None
    return (
        f"delegate_to: {host}: the nodes are reached from this controller and from nowhere else: "
        "remove it (the option `nodes` says which hosts are candidates)"
    )


def _why_not_become(task: Any) -> str | None:
    if boolean(task.become or False, strict=False):
        return (
            "this task is set to become another user: agents run as the login user; "
            "unset become for it"
        )
    return None
