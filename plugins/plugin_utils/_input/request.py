# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user asked of `run`: settings and jobs, read raw and checked before anything starts."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.splitter import parse_kv

from .._errors import BadValue, InputError
from .._schedule.task_types import task_type_of
from .config import Config
from .keys import JOB_KEYS, TOP_KEYS, Key, coerce, hint, plain, show
from .nodes import check_preferences, check_weights
from .routing import why_not

__all__ = [
    "InputError",
    "Job",
    "Request",
    "new_run_id",
    "read_project",
    "read_request",
    "unknown_settings",
]

# Bytes: gummy takes the prompt as one argv word and says it twice.
PROMPT_LIMIT = 60_000
RAW_WORD = re.compile(r"gummy_(prompt|command|verify)=")
RAW_KEYS = ("prompt", "command", "verify")
# One of the two: where a job names one itself, the other one's default for all jobs does not hold.
EITHER = {"prompt": "command", "command": "prompt", "node": "nodes", "nodes": "node"}
# Key -> value (None: it is wrong, and a problem) and where it was given.
Given = Mapping[str, tuple[Any, str]]


def _digest(of: object) -> str:
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work.

    `project`: a real path, None for none; `task_type` is never auto; `nodes`: host names;
    `timeout`: seconds.

    `of`: the name of the job that this is on one node (`each`). `no_more`: why it may not be placed
    anew, blank if it may. `pass_env`: names only.
    """

    name: str
    id: str | None
    prompt: str | None
    command: str | None
    project: str | None
    task_type: str
    agent: str
    node: str | None
    nodes: tuple[str, ...] | None
    timeout: float
    verify: str | None
    accept_unproven: bool
    attempts: int
    priority: int = 0
    of: str | None = None
    no_more: str = ""
    specialist: str | None = None
    expect_changes: bool | str = "auto"
    pass_env: tuple[str, ...] = ()
    deliver: str = "patch"
    artifacts: tuple[str, ...] = ()

    def digest(self) -> str:
        """What a resumed run knows the job by: its `id`, else its name and all that changes the
        work itself.
        """
        return _digest(["id", self.id] if self.id else [self.name, self.content()])

    def content(self) -> str:
        """What changes when the work itself is edited."""
        return _digest(
            [self.agent, self.prompt, self.command, self.project, self.verify, self.expect_changes]
        )


@dataclass(frozen=True)
class Request:
    """A run as asked for.

    `named`: by the user; `lost_after`, `queue_timeout`: seconds; `output_file`: an absolute path;
    `notes`: for people.
    """

    run_id: str
    named: bool
    jobs: tuple[Job, ...]
    only: str | None
    adopt: bool
    detach: bool
    on_interrupt: str
    local_fallback: bool
    each: str | None
    min_nodes: int
    queue_timeout: float | None
    lost_after: float
    output_file: str | None
    progress: bool
    config: Config
    notes: tuple[str, ...] = ()


def read_request(
    cli_extra_vars: Sequence[str],
    variables: Mapping[str, object],
    hosts: Sequence[str],
    cwd: str,
    config: Config,
    match: Callable[[str], list[str]],
    extra_var_names: Iterable[str] = (),
) -> Request:
    """The request in the `-e` words as typed and the variables, untemplated.

    `hosts`: the candidates. InputError: all that is wrong.
    """
    raw, word_names, problems = _words(cli_extra_vars, variables)
    problems += unknown_settings([*word_names, *extra_var_names])
    wanted = {name: key for name, key in TOP_KEYS.items() if key.level in ("job", "run", "any")}
    asked = {name: raw.get(name, plain(variables.get(f"gummy_{name}"))) for name in wanted}
    top = _read(asked, wanted, "gummy_", problems)

    listed = "jobs" in top
    jobs = []
    for number, entry in enumerate((top["jobs"][0] or []) if listed else [{}], 1):
        place = f"job {number}" if listed else ""
        given = _given(entry, place, top, problems)
        jobs.append(_job(given, number, place, hosts, cwd, match, problems))
    problems += _twice([job.name for job in jobs], "name") + _twice(
        [job.id for job in jobs if job.id], "id"
    )

    output_file = None
    if asked_file := _value(top, "output_file"):
        with _collect(problems, "gummy_output_file"):
            output_file = _output_file(asked_file, cwd)
    if "run_id" not in top:
        problems += [
            f"gummy_{name}: give the run's name as well (gummy_run_id)"
            for name in ("only", "adopt")
            if _value(top, name)
        ]
    if _value(top, "each") is None and "min_nodes" in top:
        problems.append(
            "gummy_min_nodes: it goes with gummy_each=node or gummy_each=os; give that as well"
        )
    config, notes = _placement_of(top, config, hosts, problems)
    if problems:
        raise InputError(dict.fromkeys(problems))
    return Request(
        run_id=_value(top, "run_id") or new_run_id(),
        named="run_id" in top,
        jobs=tuple(jobs),
        only=_value(top, "only"),
        adopt=_value(top, "adopt"),
        detach=_value(top, "detach"),
        on_interrupt=_value(top, "on_interrupt"),
        local_fallback=_value(top, "local_fallback"),
        each=_value(top, "each"),
        min_nodes=_value(top, "min_nodes"),
        queue_timeout=_value(top, "queue_timeout"),
        lost_after=_value(top, "lost_after"),
        output_file=output_file,
        progress=_value(top, "progress"),
        config=config,
        notes=notes,
    )


def _placement_of(
    top: Given, config: Config, hosts: Sequence[str], problems: list[str]
) -> tuple[Config, tuple[str, ...]]:
    """The config with this run's weights and preferences, and notes.

    A config is for all runs, so it may name nodes that are not in this one.
    """
    if "load_weights" in top:
        with _collect(problems, "gummy_load_weights"):
            config = replace(config, load_weights=check_weights(top["load_weights"][0]))
    notes = [
        f"host_preferences of the config: no host {show(name)} in this play (first choice for {task_type})"
        for task_type, names in config.host_preferences.items()
        if "host_preferences" not in top
        for name in names
        if name not in hosts
    ]
    if "host_preferences" in top:
        with _collect(problems, "gummy_host_preferences"):
            config = replace(config, host_preferences=check_preferences(top["host_preferences"][0]))
            for name in (
                name
                for names in config.host_preferences.values()
                for name in names
                if name not in hosts
            ):
                raise BadValue(f"no host {show(name)} in this play; {hint(name, hosts)}")
    return config, tuple(notes)


def unknown_settings(extra_var_names: Iterable[str]) -> list[str]:
    """A sentence for each extra variable that looks like a setting and is none."""
    known = {f"gummy_{name}" for name in TOP_KEYS}
    names = dict.fromkeys(
        name
        for name in map(str, extra_var_names)
        if name.lower().startswith("gummy_") and name not in known
    )
    return [
        f"{show(name)} is no setting; {hint(name[6:].lower(), TOP_KEYS, 'gummy_')}"
        for name in names
    ]


def new_run_id() -> str:
    """A readable name that no other run has."""
    return time.strftime("%Y%m%d-%H%M%S-") + "".join(
        secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _digit in range(4)
    )


def read_project(raw: str | None, cwd: str) -> str | None:
    """The real path of a project; None for `none`, the current directory by default.

    BadValue: a sentence.
    """
    if raw == "none":
        return None
    path = os.path.realpath(os.path.join(cwd, os.path.expanduser(raw or ".")))
    advice = "name another directory, or none for no project"
    if not os.path.isdir(path):
        what = "is no directory" if os.path.exists(path) else "does not exist"
        raise BadValue(f"{path} {what}; {advice}")
    if path == "/":
        raise BadValue(f"/ is the whole machine; {advice}")
    if path in _homes():
        raise BadValue(f"{path} is your home directory; {advice}")
    if not os.access(path, os.R_OK | os.X_OK):
        raise BadValue(f"{path} can't be read; mend its permissions, or {advice}")
    return path


def _homes() -> set[str]:
    homes = {os.path.expanduser("~")}
    # A user without a passwd entry.
    with suppress(KeyError):
        homes.add(pwd.getpwuid(os.getuid()).pw_dir)
    return {os.path.realpath(home) for home in homes if os.path.isabs(home)}


@contextmanager
def _collect(problems: list[str], place: str) -> Iterator[None]:
    """Turns a BadValue into a problem at its place."""
    try:
        yield
    except BadValue as exc:
        problems.append(f"{place}: {exc}")


def _words(
    words: Sequence[str], variables: Mapping[str, object]
) -> tuple[dict[str, str], list[str], list[str]]:
    """Raw texts of the `-e` words that begin with them, the names that the words set, and problems.

    Ansible splits `-e k=v` at blanks, so a text is the rest of its word as typed, unless a later
    file or JSON set it again.
    """
    texts: dict[str, tuple[str, object]] = {}
    names: list[str] = []
    problems: list[str] = []
    advice = 'give it in a file (-e @file) or as JSON (-e \'{"gummy_prompt": "..."}\')'
    for word in words:
        if not word:
            continue
        if word[0] in "@{[":
            for key, (_value_seen, seen) in list(texts.items()):
                if (now := plain(variables.get(f"gummy_{key}"))) is not None and now != seen:
                    del texts[key]
            continue
        sets = _as_ansible_reads(word)
        begins = RAW_WORD.match(word)
        if not begins:
            names += sets
            problems += [
                f"gummy_{key}: it is not the first in its -e; give it a -e of its own"
                for key in RAW_KEYS
                if f"gummy_{key}" in sets
            ]
            continue
        own = f"gummy_{begins[1]}"
        texts[begins[1]] = (word[begins.end() :], sets.get(own))
        if others := [
            name for name in sets if name != own and name.lower().startswith(("gummy_", "ansible_"))
        ]:
            problems.append(
                f"{own}: its text would set {', '.join(others)} as well, for Ansible splits it at blanks; {advice}"
            )
    return {key: text for key, (text, _seen) in texts.items()}, names, problems


def _as_ansible_reads(word: str) -> dict[str, str]:
    try:
        sets: dict[str, str] = parse_kv(word)
    except (AnsibleError, UnicodeError):
        # Ansible itself has refused such a word before we come.
        return {}
    return {str(name): str(plain(value)) for name, value in sets.items() if name != "_raw_params"}


def _read(
    values: Mapping[str, object], keys: Mapping[str, Key], prefix: str, problems: list[str]
) -> dict[str, tuple[Any, str]]:
    """The values that are given, coerced, each with its place."""
    read: dict[str, tuple[Any, str]] = {}
    for name, raw in values.items():
        value = None
        with _collect(problems, prefix + name):
            value = coerce(keys[name], raw)
            if value is None:
                continue
        read[name] = (value, prefix + name)
    return read


def _given(entry: object, place: str, top: Given, problems: list[str]) -> Given:
    """A job's own keys over the defaults of all jobs.

    `place` is blank for the one job of the top level.
    """
    if not isinstance(entry, dict):
        problems.append(f"{place}: {show(entry)} is no job; write its keys, such as 'prompt: ...'")
        entry = {}
    for name in entry:
        if name not in JOB_KEYS:
            problems.append(f"{place}: unknown key {show(name)}; {_key_hint(str(name))}")
    own = _read(
        {name: raw for name, raw in entry.items() if name in JOB_KEYS},
        JOB_KEYS,
        f"{place}: ",
        problems,
    )
    defaults = {
        name: given
        for name, given in top.items()
        if TOP_KEYS[name].level == "job" and EITHER.get(name) not in own
    }
    return {**defaults, **own}


def _key_hint(name: str) -> str:
    bare = name.removeprefix("gummy_")
    if bare in JOB_KEYS:
        return f"in a job it is {bare!r}"
    if bare in TOP_KEYS:
        return f"it holds for the whole run: write 'gummy_{bare}' beside gummy_jobs"
    return hint(name, JOB_KEYS)


def _value(given: Given, name: str) -> Any:
    return given[name][0] if name in given else TOP_KEYS[name].default


def _job(
    given: Given,
    number: int,
    place: str,
    hosts: Sequence[str],
    cwd: str,
    match: Callable[[str], list[str]],
    problems: list[str],
) -> Job:
    """The job, with what is wrong with it added to the problems."""
    prompt, command, agent, node = (
        _value(given, name) for name in ("prompt", "command", "agent", "node")
    )
    where = {name: at for name, (_given_value, at) in given.items()}
    here, prefix = (f"{place}: ", "") if place else ("", "gummy_")
    if "prompt" not in given and "command" not in given:
        problems.append(
            f"{here}there is no prompt and no command; give {prefix}prompt, or {prefix}command with {prefix}agent shell"
        )
    elif prompt is not None and command is not None:
        problems.append(
            f"{here}there is a prompt and a command; take {prefix}prompt or {prefix}command away"
        )
    elif command is not None and agent != "shell":
        problems.append(
            f"{where['command']}: the agent {agent} takes a prompt, no command; add {prefix}agent=shell"
        )
    elif prompt is not None and agent == "shell":
        problems.append(
            f"{where['prompt']}: the agent shell takes a command, no prompt; give {prefix}command, or another {prefix}agent"
        )
    elif prompt is not None and agent == "gummy" and (size := len(prompt.encode())) > PROMPT_LIMIT:
        advice = "put the text in a file of the project and name that in the prompt"
        problems.append(
            f"{where['prompt']}: it has {size} bytes and gummy takes {PROMPT_LIMIT}; {advice}"
        )

    specialist = _value(given, "specialist")
    if specialist is not None and agent != "gummy":
        problems.append(
            f"{where['specialist']}: the agent {agent} has no specialists; take it away, or let gummy do the job"
        )
    elif specialist is not None and prompt is not None and (reason := why_not(specialist, prompt)):
        problems.append(f"{where['specialist']}: {reason}")
    project = None
    with _collect(problems, where.get("project") or f"{here}{prefix}project"):
        project = read_project(_value(given, "project"), cwd)
    if node is not None and node != "local" and node not in hosts:
        problems.append(
            f"{where['node']}: no host {show(node)} in this play; {hint(node, [*hosts, 'local'])}"
        )
    nodes = None
    if "nodes" in given and "node" in given:
        problems.append(f"{where['nodes']}: the job has a node as well; take one of the two away")
    elif pattern := given.get("nodes", (None,))[0]:
        with _collect(problems, where["nodes"]):
            nodes = _match(pattern, hosts, match)
    task_type = _value(given, "task_type")
    return Job(
        name=_value(given, "name") or f"job-{number}",
        id=_value(given, "id"),
        prompt=prompt,
        command=command,
        project=project,
        task_type=task_type_of(prompt or "") if task_type == "auto" else task_type,
        agent=agent,
        node=node,
        nodes=nodes,
        timeout=_value(given, "timeout"),
        verify=_value(given, "verify"),
        specialist=specialist,
        expect_changes=_value(given, "expect_changes"),
        pass_env=_value(given, "pass_env"),
        accept_unproven=_value(given, "accept_unproven"),
        attempts=_value(given, "attempts"),
        priority=_value(given, "priority"),
        deliver=_value(given, "deliver"),
        artifacts=_value(given, "artifacts") or (),
    )


def _match(
    pattern: str, hosts: Sequence[str], match: Callable[[str], list[str]]
) -> tuple[str, ...]:
    try:
        found = set(match(pattern))
    except AnsibleError as exc:
        raise BadValue(
            f"{show(pattern)} is no host pattern ({exc}); write it as for ansible --limit"
        ) from exc
    if names := tuple(host for host in hosts if host in found):
        return names
    raise BadValue(f"{show(pattern)} matches no host of this play; {hint(pattern, hosts)}")


def _twice(names: Sequence[str], what: str) -> list[str]:
    """Names that are taken; upper and lower case are one, for a run has a folder for each job."""
    seen: set[str] = set()
    problems = []
    for name in names:
        if name.lower() in seen:
            problems.append(
                f"gummy_jobs: two jobs have the {what} {name!r}; give each job its own {what}"
            )
        seen.add(name.lower())
    return problems


def _output_file(raw: str, cwd: str) -> str:
    path = os.path.abspath(os.path.join(cwd, os.path.expanduser(raw)))
    if not path.endswith(".json"):
        raise BadValue(f"{show(raw)} does not end in .json; name a .json file")
    if os.path.isdir(path):
        raise BadValue(f"{path} is a directory; name a file")
    if not os.path.isdir(os.path.dirname(path)):
        raise BadValue(
            f"the directory {os.path.dirname(path)} does not exist; make it, or name another"
        )
    if not os.access(path if os.path.exists(path) else os.path.dirname(path), os.W_OK):
        raise BadValue(f"{path} can't be written; name another file")
    return path
