# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the settings of a request came from, so that `plan` can tell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, TypedDict

from .config import KEYS_OF_SETTINGS, Config
from .keys import TOP_KEYS

# Where a setting can come from. What counts more stands before what counts less.
OPTION = "option of the task"
EXTRA_VAR = "extra var"
PLAY = "play"
GROUP_ALL = "group all"
CONFIG = "config file"
DEFAULT = "default"
ORIGINS = (OPTION, EXTRA_VAR, PLAY, GROUP_ALL, CONFIG, DEFAULT)

# Levels of the keys that count for a run.
LEVELS = frozenset({"job", "run", "any"})
# Types of keys whose values are work, which `plan` tells elsewhere, and may be long.
WORK_TYPES = frozenset({"text", "jobs"})


class SettingRow(TypedDict):
    """A setting, and who said it."""

    # As it is written there: gummy_agent, agent (an option), agents.claude.account (the file).
    name: str
    # option of the task, extra var, play (its vars, or what a task of it set), group all, config
    # file or default.
    source: str
    # Of the config file: its path.
    file: str | None
    # What counts; None where it is a job's text.
    value: Any
    # What the config file says as well, and does not count; None if it says nothing.
    instead_of: str | None


def setting_rows(
    given: Mapping[str, tuple[Any, str]], origins: Mapping[str, str], config: Config
) -> Iterator[SettingRow]:
    """Each setting that counts for a run, first those that somebody gave.

    given: key of the top level -> its value, and the name under which it was given; origins:
    variable -> one of ORIGINS; config: the file, with what the run says instead.
    """
    in_file = {name.partition(".")[0] for name in config.given}
    for name, (value, written) in given.items():
        is_variable = written.startswith("gummy_")
        if (name, value) == ("fail_on", ()) and not is_variable:
            # Our own playbook says this by an option, and `show` reads what people say.
            variable = f"gummy_{name}"
            yield _row(variable, origins.get(variable, DEFAULT), None)
            continue
        yield {
            "name": written,
            "source": origins.get(written, EXTRA_VAR) if is_variable else OPTION,
            "file": None,
            "value": None if TOP_KEYS[name].type in WORK_TYPES else _plain(value),
            "instead_of": f"{config.path}: {name}" if name in in_file else None,
        }

    for dotted in config.given:
        if dotted not in given:
            yield _row(dotted, CONFIG, _value_of(config, dotted), config.path)

    for name, key in TOP_KEYS.items():
        if key.level in LEVELS and name not in given and name not in in_file:
            yield _row(f"gummy_{name}", DEFAULT, key.default)
    for name in ("sync_exclude", *sorted(KEYS_OF_SETTINGS)):
        if name not in in_file:
            yield _row(name, DEFAULT, getattr(config, name))


def _row(name: str, source: str, value: Any, file: str | None = None) -> SettingRow:
    return {
        "name": name,
        "source": source,
        "file": file,
        "value": _plain(value),
        "instead_of": None,
    }


def _value_of(config: Config, dotted: str) -> Any:
    """What the config says under this key; None for how an agent is installed.

    So it is for whom a run tells: an address may be a secret.
    """
    name, *inner = dotted.split(".", 2)
    if name == "notify":
        return None
    value = getattr(config, name)
    for key in inner:
        if isinstance(value, Mapping):
            value = value.get(key)
        else:
            value = getattr(value, key, None)
    return value


def _plain(value: Any) -> Any:
    """The value as a document may hold it."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list, frozenset)):
        return [_plain(item) for item in value]
    return value
