# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's config file: what holds for all runs."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import yaml

from .._errors import BadValue, InputError
from .._files.paths import NAME, config_home
from .._schedule.placement import DEFAULT_WEIGHTS
from .keys import HARVEST_LIMIT, hint, read_count, read_dollars, read_size, show
from .nodes import check_preferences, check_weights, read_names
from .notify import Notify, read_notify

Number = TypeVar("Number", int, float)

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
# For a setting that names a model, and for one that names it with its provider.
A_MODEL = ("MODEL",)
A_PROVIDERS_MODEL = ("PROVIDER/MODEL",)

# The name of a model. It is a word of a command line, so it is no option.
MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+/-]{0,127}")
PROVIDERS_MODEL = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}/[A-Za-z0-9][A-Za-z0-9._:@+/-]{0,127}"
)

# Agent -> setting -> the values that it may have. `account` tells whose quota the agent uses; by
# default it is one of the agent's own name. What an agent may do is what its permission mode says;
# without one it is the least in which it can work on the project.
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
    "codex": {
        "account": ANY_WORD,
        "permission_mode": ("read-only", "workspace-write", "danger-full-access"),
        "model": A_MODEL,
    },
    "opencode": {
        "account": ANY_WORD,
        # auto allows what its own config does not deny.
        "permission_mode": ("default", "auto"),
        "model": A_PROVIDERS_MODEL,
    },
    "qwen": {
        "account": ANY_WORD,
        "permission_mode": ("plan", "default", "auto-edit", "auto", "yolo"),
        "model": A_MODEL,
    },
    "gemini": {
        "account": ANY_WORD,
        "permission_mode": ("plan", "default", "auto_edit", "yolo"),
        "model": A_MODEL,
    },
    "shell": {},
}

# Agent -> the setting without which it is never called, and why.
NEEDED_SETTINGS: Mapping[str, tuple[str, str]] = {
    "opencode": (
        "model",
        "without a model of yours it sends the project to a service of its own choice",
    ),
}

# What an agent of the user's own may have.
OWN_KEYS = ("argv", "prompt", "reads", "login", "account")
# How it gets the prompt, and whose events it prints; exit: none, its exit status says all.
OWN_PROMPTS = ("stdin", "file")
OWN_READS = ("exit", "claude", "codex", "opencode")
# The word of its command line that stands for the prompt's file.
FILE_WORD = "{file}"

# Agent -> the settings that `install` has of it; how each is read, INSTALL_READERS says.
INSTALL_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "gummy": ("source", "install"),
    "claude": ("version", "install"),
    "codex": ("version", "install"),
    "opencode": ("version", "install"),
    "qwen": ("version", "install"),
    "gemini": ("version", "install"),
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

# The agents of ours that use up an account, and so can say that it has no quota left. What is no
# agent of these and is said to have met a limit has merely failed.
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
class Budget:
    """What may be spent, in dollars; None: nobody set a limit."""

    # By all calls of a run together, where the run does not say it.
    run_usd: float | None = None
    # By all runs of this controller in a day of its clock.
    day_usd: float | None = None


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
class OwnAgent:
    """An agent of the user's own."""

    # Its command line.
    argv: tuple[str, ...]
    # One of OWN_PROMPTS, and one of OWN_READS.
    prompt: str
    reads: str
    # A file, as seen from the home, that is there when it is logged in; None: nothing shows that.
    login_file: str | None = None


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
    budget: Budget = Budget()
    # How many bytes of one harvest come home.
    harvest_limit: int = HARVEST_LIMIT
    # Whom a run tells how it ended, and when it needs a person; None: nobody.
    notify: Notify | None = None
    # Agent -> how `install` is to install it.
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    # The agents of the user's own, by name.
    own_agents: Mapping[str, OwnAgent] = field(default_factory=dict)
    # Path of the file, whether it is there or not; None if nobody looked for one.
    path: str | None = field(default=None, compare=False)
    # Whether the file is there.
    exists: bool = field(default=False, compare=False)
    # What the file says, as `load_weights` or `keep.days`.
    given: tuple[str, ...] = field(default=(), compare=False)

    @property
    def agent_names(self) -> tuple[str, ...]:
        """The agents that a job may name."""
        return (*AGENT_SETTINGS, *self.own_agents)

    @property
    def with_account(self) -> frozenset[str]:
        """The agents that use up an account, and so can say that it has no quota left."""
        own = (name for name, agent in self.own_agents.items() if agent.reads != "exit")
        return QUOTA_AGENTS | frozenset(own)

    @property
    def slots(self) -> dict[str, int]:
        """Node's name -> its slots, of the nodes for which the config says them."""
        return {name: node["slots"] for name, node in self.nodes.items() if "slots" in node}

    def account_of(self, agent: str) -> str:
        """Whose quota the agent uses up."""
        return self.agents.get(agent, {}).get("account", agent)


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
        # What a job's agent is told on its node, what this controller does to install it, and what
        # agents of the user's own there are, are three things under one key.
        values["agents"], values["recipes"], values["own_agents"] = values["agents"]
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
        given = _mapping(settings or {}, "settings to values")
        try:
            counts = _read_each(given, ["slots"], read_count)
        except BadValue as exc:
            raise BadValue(f"{name}: {exc}") from exc
        if counts:
            nodes[str(name)] = counts
    return nodes


def _agents(
    raw: object,
) -> tuple[dict[str, dict[str, str]], dict[str, Recipe], dict[str, OwnAgent]]:
    """The settings of each agent that its node gets, those by which it is installed, and the agents
    of the user's own.
    """
    agents: dict[str, dict[str, str]] = {}
    recipes: dict[str, Recipe] = {}
    own_agents: dict[str, OwnAgent] = {}
    for name, given in _mapping(raw, "agents to their settings").items():
        is_own = isinstance(given, dict) and "argv" in given
        if is_own and str(name).lower() in AGENT_SETTINGS:
            known = str(name).lower()
            raise BadValue(
                f"{name}: {known} is an agent that we know, so it can't have an argv; give yours "
                f"another name, such as 'my-{known}'"
            )
        if is_own:
            try:
                own_agents[name] = _own_agent(name, given)
            except BadValue as exc:
                raise BadValue(f"{name}: {exc}") from exc
            agents[name] = {key: given[key] for key in ("account",) if key in given}
            continue
        if name not in AGENT_SETTINGS:
            raise BadValue(
                f"unknown agent {show(name)}; {hint(str(name), AGENT_SETTINGS)} (One of your own "
                "needs an argv.)"
            )
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
    return agents, recipes, own_agents


def _own_agent(name: object, given: Mapping[Any, Any]) -> OwnAgent:
    """An agent of the user's own. BadValue: a sentence that does not say whose."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadValue("it is no name; use letters, digits, '.', '_' and '-'")
    for key in given:
        if key not in OWN_KEYS:
            raise BadValue(f"unknown key {show(key)}; {hint(str(key), OWN_KEYS)}")
    argv = given["argv"]
    is_list = isinstance(argv, list) and all(isinstance(word, str) and word for word in argv)
    if not is_list or not argv or any("\0" in word for word in argv):
        raise BadValue(
            f"argv: {show(argv)} is no command line; write a list of its words, such as "
            "[my-agent, --json], for no shell reads it"
        )

    prompt = given.get("prompt", "stdin")
    reads = given.get("reads", "exit")
    for key, value, choices in (("prompt", prompt, OWN_PROMPTS), ("reads", reads, OWN_READS)):
        if value not in choices:
            raise BadValue(f"{key}: unknown value {show(value)}; {hint(str(value), choices)}")
    has_word = any(FILE_WORD in word for word in argv)
    if has_word != (prompt == "file"):
        raise BadValue(
            f"argv: with prompt: file, and with that alone, a word has {FILE_WORD} in it, for the "
            "path of the prompt's file"
        )
    if "account" in given:
        _check_word("account", given["account"])
    return OwnAgent(tuple(argv), prompt, reads, _login_file(given.get("login")))


def _login_file(raw: object) -> str | None:
    if raw is None:
        return None
    login = _mapping(raw, "file to a path")
    path = login.get("file")
    if set(login) != {"file"} or not isinstance(path, str):
        raise BadValue("login: write it as {file: PATH}")
    path = path.removeprefix("~/")
    is_inside = path and not path.startswith(("/", "~")) and ".." not in path.split("/")
    if not is_inside or not path.isprintable():
        raise BadValue(
            f"login: {show(path)} is no file of a home; write it as seen from there, such as "
            "'.my-agent/auth.json'"
        )
    return path


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
    elif choices == A_MODEL:
        if not isinstance(value, str) or not MODEL.fullmatch(value):
            raise BadValue(f"{key}: {show(value)} is no name of a model; write one word")
    elif choices == A_PROVIDERS_MODEL:
        if not isinstance(value, str) or not PROVIDERS_MODEL.fullmatch(value):
            raise BadValue(
                f"{key}: {show(value)} names no model with its provider; write it like "
                "'anthropic/claude-sonnet-4-5', as `opencode models` lists them"
            )
    elif choices:
        if value not in choices:
            raise BadValue(f"{key}: unknown value {show(value)}; {hint(str(value), choices)}")
    else:
        _check_word(key, value)


def _check_word(key: object, value: object) -> None:
    """Raise BadValue for a value that is no name."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
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
    limits = _mapping(raw, "days, size_gb and free_gb to numbers")
    return Keep(**_read_each(limits, Keep.__dataclass_fields__, read_count))


def _budget(raw: object) -> Budget:
    limits = _mapping(raw, "run_usd and day_usd to dollars")
    return Budget(**_read_each(limits, Budget.__dataclass_fields__, read_dollars))


def _read_each(
    raw: Mapping[Any, Any], known: Collection[str], read: Callable[[object], Number]
) -> dict[str, Number]:
    """The values of a mapping, all read in one way. known: the keys that it may have."""
    values = {}
    for key, value in raw.items():
        if key not in known:
            raise BadValue(f"unknown key {key!r}; {hint(str(key), known)}")
        try:
            values[str(key)] = read(value)
        except BadValue as exc:
            raise BadValue(f"{key}: {exc}") from exc
    return values


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
    "budget": _budget,
    "harvest_limit": read_size,
    "notify": read_notify,
}

# The keys that hold settings one by one; the others are one setting each.
KEYS_OF_SETTINGS = frozenset({"nodes", "agents", "keep", "budget"})
