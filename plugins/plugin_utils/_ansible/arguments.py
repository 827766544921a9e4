# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of a task, held against Ansible's argument spec.

Ansible's own check does not say which element of a list is wrong, so each is checked by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._errors import InputError
from .._input.keys import hint, show

Spec = Mapping[str, Mapping[str, Any]]

# What Ansible would write as a text, so that `true` becomes True and a list its Python. Whoever
# reads the value says what is wrong with it.
NO_TEXTS = (bool, int, float, list, tuple, Mapping)


def check_arguments(spec: Spec, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments in the types of the spec, and its defaults. Blank is "not given".

    Raises InputError with all that is wrong.
    """
    problems: list[str] = []
    lists = {name: row["options"] for name, row in spec.items() if "options" in row}
    flat = {**spec, **{name: {"type": "list"} for name in lists}}

    read = _check(flat, given, "", problems)
    for name, options in lists.items():
        if isinstance(given.get(name), str) and name in read:
            # Ansible would split it at commas.
            problems.append(f"{name}: {show(given[name])} is no list; write '- ' for each of them")
        elif isinstance(read.get(name), list):
            read[name] = _check_list(name, options, read[name], problems)
    if problems:
        raise InputError(problems)
    return read


def _check_list(
    name: str, options: Spec, entries: list[Any], problems: list[str]
) -> list[dict[str, Any]]:
    read = []
    word = name.removesuffix("s")
    for number, entry in enumerate(entries, 1):
        where = f"{word} {number}: "
        if isinstance(entry, Mapping):
            read.append(_check(options, entry, where, problems))
        else:
            problems.append(
                f"{where}{show(entry)} is no {word}; write its keys, such as 'prompt: ...'"
            )
    return read


def _check(spec: Spec, given: Mapping[str, Any], where: str, problems: list[str]) -> dict[str, Any]:
    """What is given of these options, checked. where: the beginning of a sentence about it."""
    what = "key" if where else "option"
    for name in given:
        if name not in spec:
            problems.append(f"{where}unknown {what} {show(name)}; {hint(str(name), spec)}")

    values = {name: value for name, value in given.items() if name in spec and not _is_blank(value)}
    result = ArgumentSpecValidator(spec).validate(values)
    problems += [where + message for message in result.error_messages]

    read = {name: value for name, value in result.validated_parameters.items() if value is not None}
    for name, value in values.items():
        if spec[name].get("type", "str") in ("str", "path") and isinstance(value, NO_TEXTS):
            read[name] = value
    return read


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
