# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's config file: what holds for all runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from .._errors import BadValue, InputError
from .._files.paths import NAME, config_home
from .._schedule.placement import DEFAULT_WEIGHTS
from .keys import hint, read_count, show
from .node_data import check_preferences, check_weights, read_names

SYNC_EXCLUDE = (
    "node_modules",
    ".DS_Store",
    "*.log",
    "*.pyc",
    "__pycache__",
    ".venv",
    "venv",
    ".tox",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".next",
    ".terraform",
)
ANY_WORD = ()
# agent -> setting -> the values that it may have; account: whose quota the agent uses, by default
# one of the agent's own name
AGENT_SETTINGS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "gummy": {"account": ANY_WORD},
    "claude": {
        "account": ANY_WORD,
        "permission_mode": (
            "acceptEdits",
            "auto",
            "bypassPermissions",
            "default",
            "dontAsk",
            "manual",
            "plan",
        ),
    },
    "shell": {},
}


@dataclass(frozen=True)
class Keep:
    """What `clean` leaves: what is younger than so many days, up to so many GB of attempts a node
    and of runs here, workspaces while so many are free.
    """

    days: int = 30
    size_gb: int = 10
    free_gb: int = 5


@dataclass(frozen=True)
class Config:
    """What the file says, else the defaults.

    `nodes`: name -> {"slots": n}; `host_preferences`: task type -> names; `agents`: name ->
    settings.
    """

    load_weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    sync_exclude: tuple[str, ...] = SYNC_EXCLUDE
    host_preferences: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    nodes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    agents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    keep: Keep = Keep()


def default_path() -> str:
    """Where the file is looked for."""
    return os.path.join(config_home(), "config.yaml")


def load_config(path: str | None = None) -> Config:
    """The config of a file; the defaults if there is none.

    InputError: all that is wrong with it.
    """
    path = path or default_path()
    try:
        with open(path, encoding="utf-8") as file:
            data = yaml.safe_load(file)
    except (FileNotFoundError, NotADirectoryError):
        return Config()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(
            [f"{path}: can't be read ({exc}); make it a readable UTF-8 file, or remove it"]
        ) from exc
    except yaml.YAMLError as exc:
        raise InputError(
            [
                f"{path}: is not YAML ({' '.join(str(exc).split())}); mend the line, or remove the file"
            ]
        ) from exc
    if data is None:
        return Config()
    if not isinstance(data, dict):
        raise InputError(
            [
                f"{path}: is a {type(data).__name__}, not a mapping; write keys like 'sync_exclude:', each with its value"
            ]
        )
    problems: list[str] = []
    values: dict[str, Any] = {}
    for key, raw in data.items():
        try:
            if key not in READERS:
                raise BadValue(f"unknown key; {hint(str(key), READERS)}")
            if raw is not None:
                values[key] = READERS[key](raw)
        except BadValue as exc:
            problems.append(f"{path}: {key}: {exc}")
    if problems:
        raise InputError(problems)
    return Config(**values)


def _sync_exclude(raw: object) -> tuple[str, ...]:
    patterns = read_names(raw, "patterns")
    if any(set(pattern) & set("\0\r\n") for pattern in patterns):
        raise BadValue("a pattern has a line break in it; write one pattern for each list item")
    return patterns


def _nodes(raw: object) -> dict[str, dict[str, int]]:
    nodes: dict[str, dict[str, int]] = {}
    for name, settings in _mapping(raw, "node names to their settings").items():
        for key, value in _mapping(settings or {}, "settings to values").items():
            if key != "slots":
                raise BadValue(f"{name}: unknown key {key!r}; {hint(str(key), ['slots'])}")
            try:
                nodes[str(name)] = {"slots": read_count(value)}
            except BadValue as exc:
                raise BadValue(f"{name}: slots: {exc}") from exc
    return nodes


def _agents(raw: object) -> dict[str, dict[str, str]]:
    agents: dict[str, dict[str, str]] = {}
    for name, settings in _mapping(raw, "agents to their settings").items():
        if name not in AGENT_SETTINGS:
            raise BadValue(f"unknown agent {show(name)}; {hint(str(name), AGENT_SETTINGS)}")
        agents[name] = _mapping(settings or {}, "settings to values")
        for key, value in agents[name].items():
            if key not in AGENT_SETTINGS[name]:
                raise BadValue(
                    f"{name}: unknown key {show(key)}; {hint(str(key), AGENT_SETTINGS[name])}"
                )
            choices = AGENT_SETTINGS[name][key]
            if choices and value not in choices:
                raise BadValue(
                    f"{name}: {key}: unknown value {show(value)}; {hint(str(value), choices)}"
                )
            if not choices and not (isinstance(value, str) and NAME.fullmatch(value)):
                raise BadValue(
                    f"{name}: {key}: {show(value)} is no name; write one word of letters, digits, '.', '_' and '-', in quotes if it is a number"
                )
    return agents


def _keep(raw: object) -> Keep:
    known = {}
    for key, value in _mapping(raw, "days, size_gb and free_gb to numbers").items():
        if key not in Keep.__dataclass_fields__:
            raise BadValue(f"unknown key {key!r}; {hint(str(key), Keep.__dataclass_fields__)}")
        try:
            known[str(key)] = read_count(value)
        except BadValue as exc:
            raise BadValue(f"{key}: {exc}") from exc
    return Keep(**known)


def _mapping(raw: object, what: str) -> dict[Any, Any]:
    if not isinstance(raw, dict):
        raise BadValue(f"{show(raw)} is no mapping; write a mapping of {what}")
    return raw


READERS: Mapping[str, Callable[[object], Any]] = {
    "load_weights": check_weights,
    "sync_exclude": _sync_exclude,
    "host_preferences": check_preferences,
    "nodes": _nodes,
    "agents": _agents,
    "keep": _keep,
}
