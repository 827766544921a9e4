# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's config file: what holds for all runs."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from .._errors import BadValue, InputError
from .._files.paths import NAME, config_home
from .._schedule.placement import DEFAULT_WEIGHTS
from .keys import HARVEST_LIMIT, hint, read_count, read_size, show
from .nodes import check_preferences, check_weights, read_names
from .notify import Notify, read_notify

# What a sync leaves out unless the config says otherwise: what can be made anew on the node.
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

# A tool of claude's, with what it may do in brackets.
TOOL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}(\([^\x00-\x1f()]{1,200}\))?")

# For a setting that may have any name as its value, and for one that has words of its agent's own.
ANY_WORD = ()
ANY_WORDS = ("",)

# Agent -> setting -> the values that it may have. `account` tells whose quota the agent uses; by
# default it is one of the agent's own name.
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
        # What it may use beyond its permission mode, as `Bash(git *)`; one text or a list.
        "allowed_tools": ANY_WORDS,
    },
    "shell": {},
}

# Agent -> the settings that `install` has of it; how each is read, INSTALL_READERS says.
INSTALL_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "gummy": ("source", "install"),
    "claude": ("version", "install"),
    "shell": (),
}

# A commit by its full hash, of SHA-1 or SHA-256: a shorter one, a branch or a tag may come to mean
# something else.
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

# Where git may get a source from. Neither a helper of git's own, such as ext::, nor an option.
SOURCE_URL = re.compile(r"(?:https://|ssh://|file:///|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:)[^\s\0]+")
# A password or token in it would stand in command lines and logs.
URL_SECRET = re.compile(r"https://[^/]*@|ssh://[^/]*:[^/]*@")

# One version of a package, and no range.
VERSION = re.compile(r"\d{1,9}\.\d{1,9}\.\d{1,9}(?:-[A-Za-z0-9.-]{1,40})?")

# The agents that use up an account, and so can say that it has no quota left. What is no agent of
# these and is said to have met a limit has merely failed.
QUOTA_AGENTS = frozenset(
    agent for agent, settings in AGENT_SETTINGS.items() if "account" in settings
)


@dataclass(frozen=True)
class Keep:
    """What `clean` leaves."""

    # What is younger than so many days.
    days: int = 30
    # So many GB of attempts on a node, and of runs here: the newest.
    size_gb: int = 10
    # Workspaces, while so many GB are free.
    free_gb: int = 5


@dataclass(frozen=True)
class Source:
    """Where git gets the source of an agent from."""

    url: str
    # Its full hash.
    commit: str


@dataclass(frozen=True)
class Recipe:
    """How `install` is to install an agent, as far as the file says it."""

    # What it is built from, where there is no brew.
    source: Source | None = None
    # The version of npm's package; None for the newest.
    version: str | None = None
    # The user's own command line, which goes before all other ways.
    install: str | None = None


@dataclass(frozen=True)
class Config:
    """What the file says, else the defaults."""

    # Part of the load -> what it counts.
    load_weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    # Patterns as rsync has them.
    sync_exclude: tuple[str, ...] = SYNC_EXCLUDE
    # Task type -> names of the nodes that are its first choice.
    host_preferences: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # Node's name -> its settings: `slots`, how many jobs it may have at once.
    nodes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    # Agent -> its settings, as in AGENT_SETTINGS.
    agents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    keep: Keep = Keep()
    # How many bytes of one harvest come home.
    harvest_limit: int = HARVEST_LIMIT
    # Whom a run tells how it ended, and when it needs a person; None: nobody.
    notify: Notify | None = None
    # Agent -> how `install` is to install it.
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    # Path of the file, whether it is there or not; None if nobody looked for one.
    path: str | None = field(default=None, compare=False)
    # Whether the file is there.
    exists: bool = field(default=False, compare=False)
    # What the file says, as `load_weights` or `keep.days`.
    given: tuple[str, ...] = field(default=(), compare=False)

    @property
    def slots(self) -> dict[str, int]:
        """Node's name -> its slots, of the nodes for which the config says them."""
        return {name: node["slots"] for name, node in self.nodes.items() if "slots" in node}


def default_path() -> str:
    """Where the file is looked for."""
    return os.path.join(config_home(), "config.yaml")


def load_config(path: str | None = None) -> Config:
    """The config of a file; the defaults if there is none.

    InputError: all that is wrong with it.
    """
    path = path or default_path()
    problems: list[str] = []
    values: dict[str, Any] = {}
    data = _read_yaml(path)
    for key, raw in (data or {}).items():
        try:
            if key not in READERS:
                raise BadValue(f"unknown key; {hint(str(key), READERS)}")
            if raw is not None:
                values[key] = READERS[key](raw)
        except BadValue as exc:
            problems.append(f"{path}: {key}: {exc}")
    if problems:
        raise InputError(problems)

    if "agents" in values:
        # What a job's agent is told on its node, and what this controller does to install it, are
        # two things under one key.
        values["agents"], values["recipes"] = values["agents"]
    return Config(**values, path=path, exists=data is not None, given=_given(data or {}))


def _given(data: Mapping[Any, Any]) -> tuple[str, ...]:
    """What the file says: its keys and, where they hold settings, those of each."""
    names = []
    for key, value in data.items():
        if key not in KEYS_OF_SETTINGS:
            names += [str(key)] if value is not None else []
            continue
        for name, setting in (value or {}).items():
            if isinstance(setting, dict):
                names += [f"{key}.{name}.{inner}" for inner in setting]
            elif setting is not None:
                names.append(f"{key}.{name}")
    return tuple(names)


def _read_yaml(path: str) -> dict[Any, Any] | None:
    """The keys of the file, maybe none; None if there is no file. Raises InputError."""
    try:
        with open(path, encoding="utf-8") as file:
            data = yaml.safe_load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as exc:
        problem = f"can't be read ({exc}); make it a readable UTF-8 file, or remove it"
        raise InputError([f"{path}: {problem}"]) from exc
    except yaml.YAMLError as exc:
        reason = " ".join(str(exc).split())
        problem = f"is not YAML ({reason}); mend the line, or remove the file"
        raise InputError([f"{path}: {problem}"]) from exc

    if data is None:
        return {}
    if not isinstance(data, dict):
        problem = (
            f"is a {type(data).__name__}, not a mapping; "
            "write keys like 'sync_exclude:', each with its value"
        )
        raise InputError([f"{path}: {problem}"])
    return data


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


def _agents(raw: object) -> tuple[dict[str, dict[str, str]], dict[str, Recipe]]:
    """The settings of each agent that its node gets, and those by which it is installed."""
    agents: dict[str, dict[str, str]] = {}
    recipes: dict[str, Recipe] = {}
    for name, given in _mapping(raw, "agents to their settings").items():
        if name not in AGENT_SETTINGS:
            raise BadValue(f"unknown agent {show(name)}; {hint(str(name), AGENT_SETTINGS)}")
        settings: dict[str, str] = {}
        recipe: dict[str, Any] = {}
        for key, value in _mapping(given or {}, "settings to values").items():
            try:
                if key in INSTALL_SETTINGS[name]:
                    recipe[key] = INSTALL_READERS[key](value)
                else:
                    _check_agent_setting(name, key, value)
                    settings[key] = value
                    if AGENT_SETTINGS[name][key] == ANY_WORDS:
                        settings[key] = ",".join(read_names(value, "tools"))
            except BadValue as exc:
                raise BadValue(f"{name}: {exc}") from exc
        agents[name] = settings
        if recipe:
            recipes[name] = Recipe(**recipe)
    return agents, recipes


def _check_agent_setting(agent: str, key: object, value: object) -> None:
    """Raise BadValue for a setting that the agent does not have, or a value that it can't have."""
    settings = AGENT_SETTINGS[agent]
    if key not in settings:
        known = [*settings, *INSTALL_SETTINGS[agent]]
        raise BadValue(f"unknown key {show(key)}; {hint(str(key), known)}")
    choices = settings[str(key)]
    if choices == ANY_WORDS:
        try:
            tools = read_names(value, "tools")
        except BadValue as exc:
            raise BadValue(f"{key}: {exc}") from exc
        wrong = [tool for tool in tools if not TOOL.fullmatch(tool)]
        if wrong:
            raise BadValue(
                f"{key}: {show(wrong[0])} is no tool; write Bash, Edit or 'Bash(git *)', each as "
                "an item of a list"
            )
    elif choices:
        if value not in choices:
            raise BadValue(f"{key}: unknown value {show(value)}; {hint(str(value), choices)}")
    elif not (isinstance(value, str) and NAME.fullmatch(value)):
        raise BadValue(
            f"{key}: {show(value)} is no name; "
            "write one word of letters, digits, '.', '_' and '-', in quotes if it is a number"
        )


def _source(raw: object) -> Source:
    source = _mapping(raw, "url and commit")
    for key in source:
        if key not in Source.__dataclass_fields__:
            known = Source.__dataclass_fields__
            raise BadValue(f"source: unknown key {show(key)}; {hint(str(key), known)}")

    url = source.get("url")
    if not isinstance(url, str) or not SOURCE_URL.fullmatch(url):
        raise BadValue(
            f"source: url: {show(url)} is no URL of a git repository; "
            "write https://, ssh://, file:/// or user@host:path"
        )
    if URL_SECRET.match(url):
        raise BadValue(
            "source: url: it has a login in it, which would stand in command lines and logs; "
            "take it out, and let git on the node find it (a credential helper, an ssh key)"
        )

    commit = source.get("commit")
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise BadValue(
            f"source: commit: {show(commit)} is no full hash of a commit, and anything else may "
            "come to mean something else; write its 40 (or 64) hex digits in quotes, as "
            f"`git ls-remote {shlex.quote(url)}` lists them"
        )
    return Source(url, commit)


def _version(raw: object) -> str:
    if not isinstance(raw, str) or not VERSION.fullmatch(raw):
        raise BadValue(f"version: {show(raw)} is no version; write one like '1.2.3', in quotes")
    return raw


def _install(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip() or "\0" in raw:
        raise BadValue(
            f"install: {show(raw)} is no command; write a line for the node's /bin/sh, in quotes"
        )
    return raw


# Setting of an agent that `install` has -> how it is read. Each raises BadValue, and says its name.
INSTALL_READERS: Mapping[str, Callable[[object], Source | str]] = {
    "source": _source,
    "version": _version,
    "install": _install,
}


def _keep(raw: object) -> Keep:
    limits = {}
    for key, value in _mapping(raw, "days, size_gb and free_gb to numbers").items():
        if key not in Keep.__dataclass_fields__:
            raise BadValue(f"unknown key {key!r}; {hint(str(key), Keep.__dataclass_fields__)}")
        try:
            limits[str(key)] = read_count(value)
        except BadValue as exc:
            raise BadValue(f"{key}: {exc}") from exc
    return Keep(**limits)


def _mapping(raw: object, what: str) -> dict[Any, Any]:
    if not isinstance(raw, dict):
        raise BadValue(f"{show(raw)} is no mapping; write a mapping of {what}")
    return raw


# Key of the file -> how its value is read: each returns what `Config` takes, or raises BadValue.
READERS: Mapping[str, Callable[[object], Any]] = {
    "load_weights": check_weights,
    "sync_exclude": _sync_exclude,
    "host_preferences": check_preferences,
    "nodes": _nodes,
    "agents": _agents,
    "keep": _keep,
    "harvest_limit": read_size,
    "notify": read_notify,
}

# The keys that hold settings one by one; the others are one setting each.
KEYS_OF_SETTINGS = frozenset({"nodes", "agents", "keep"})
