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
from typing import Any, NamedTuple

from ansible.errors import AnsibleError
from ansible.parsing.splitter import parse_kv

from .._errors import BadValue, InputError
from .._schedule.task_types import task_type_of
from .config import AGENT_SETTINGS, NEEDED_SETTINGS, Config, default_path
from .keys import JOB_KEYS, TOP_KEYS, Key, coerce, hint, plain, show
from .nodes import check_preferences, check_weights
from .notify import WHERE
from .origins import SettingRow, setting_rows
from .pricing import why_not_held
from .routing import why_not

# Bytes of the longest prompt for gummy, which takes it as one argv word and says it twice.
PROMPT_LIMIT = 60_000

# Texts that are taken as typed. Ansible would split them at blanks, and template them.
RAW_KEYS = ("prompt", "command", "verify", "setup")
# How the file for what is shown may end, by which it is written in one form or another.
OUTPUT_FORMS = (".json", ".md", ".html")
OUTPUT_FORMS_OF_RUN = (*OUTPUT_FORMS, ".xml")
RAW_WORD = re.compile(r"gummy_(prompt|command|verify|setup)=")

# One of the two: where a job names one itself, the other one's default for all jobs does not hold.
EITHER = {"prompt": "command", "command": "prompt", "node": "nodes", "nodes": "node"}

# What there is to do. Where options of a task say it, variables that say it too do not count.
WORK = frozenset({"jobs", "prompt", "command"})

# What a run is called where the user gives no name: no letters and digits that look alike.
ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work."""

    # Its name within the run.
    name: str
    # What a resumed run knows it by, if its text may have been edited.
    id: str | None
    # What the agent is asked to do; None for the agent shell.
    prompt: str | None
    # The command of the agent shell; None for the others.
    command: str | None
    # The real path of the directory that it works on; None for none.
    project: str | None
    # The kind of work, for placement; never auto.
    task_type: str
    # The program that does it; of several the first, until one of them is chosen.
    agent: str
    # The only node that may take it; local for here.
    node: str | None
    # The names of the hosts that may take it; None for all.
    nodes: tuple[str, ...] | None
    # How long the agent may take, in seconds.
    timeout: float
    # A command that is run after the agent, if success depends on it.
    verify: str | None
    # Whether a success without evidence is one.
    accept_unproven: bool
    # How many nodes may try it.
    attempts: int
    # Higher numbers are placed first.
    priority: int = 0
    # With `each`: the name of the job that this one is on one node.
    of: str | None = None
    # Why it may not be placed anew; blank if it may.
    no_more: str = ""
    # The specialist of gummy that it is for.
    specialist: str | None = None
    # Whether a success must change files; auto: it need not, but of gummy and claude it is told.
    expect_changes: bool | str = "auto"
    # Names of variables whose values here the agent gets.
    pass_env: tuple[str, ...] = ()
    # What is made of the changes: patch, branch or none.
    deliver: str = "patch"
    # Globs of files that come home whether git ignores them or not.
    artifacts: tuple[str, ...] = ()
    # How long it may show no sign of life, in seconds; None for as long as `timeout`.
    stall: float | None = None
    # A command that is run before the agent; None for none.
    setup: str | None = None
    # Globs of files without whose change it is skipped; none: it is never skipped.
    setup_if: tuple[str, ...] = ()
    # How long it may take, in seconds.
    setup_timeout: float = 1800.0
    # Dollars that it may cost in one call of the run; None for no limit of its own.
    budget_usd: float | None = None
    # The agents that may do it, in their order; none: `agent` alone.
    agents: tuple[str, ...] = ()

    @property
    def choices(self) -> tuple[str, ...]:
        """The agents that may do it, in their order."""
        return self.agents or (self.agent,)

    def digest(self) -> str:
        """What a resumed run knows the job by: its `id`, else its name and the work itself."""
        return _digest(["id", self.id] if self.id else [self.name, self.content()])

    def content(self) -> str:
        """What changes when the work itself is edited."""
        # Which of several agents does it changes nothing; with one, runs of before there were
        # several are known as they were.
        agent = list(self.choices) if len(self.choices) > 1 else self.agent
        work: list[object] = [agent, self.prompt, self.command, self.project, self.verify]
        work.append(self.expect_changes)
        # Runs of before there was a setup are known as they were.
        return _digest([*work, self.setup] if self.setup is not None else work)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A run as asked for."""

    run_id: str
    # Whether the user gave the name.
    named: bool
    jobs: tuple[Job, ...]
    # failed: do the failed jobs of a run that ended anew, and nothing else.
    only: str | None
    # Whether the run is taken over from what the nodes know of it.
    adopt: bool
    # Whether to return when the free slots are used.
    detach: bool
    # What happens to the jobs on an interrupt: leave or cancel.
    on_interrupt: str
    # Whether the controller does what no node can.
    local_fallback: bool
    # node or os: do each job once on each of them.
    each: str | None
    # With `each`: on how many of them every job must have run.
    min_nodes: int
    # How long jobs may wait for a free slot, in seconds; None for as long as it takes.
    queue_timeout: float | None
    # How long a silent node keeps its job, in seconds.
    lost_after: float
    # The absolute path of the file for what is shown.
    output_file: str | None
    # Whether a line per event is shown.
    progress: bool
    # The config file, with the weights and preferences of this run.
    config: Config
    # Sentences for people.
    notes: tuple[str, ...] = ()
    # How many bytes of one harvest come home; None for what the config says.
    harvest_limit: int | None = None
    # Ends of jobs that make the task fail; none: it does not fail for its jobs.
    fail_on: tuple[str, ...] = ()
    # Where each setting came from.
    settings: tuple[SettingRow, ...] = ()
    # Dollars that all calls of the run may cost together, and all runs of this controller in a day;
    # None for no limit.
    run_budget_usd: float | None = None
    day_budget_usd: float | None = None
    # Whether what agents say is shown while they work.
    verbose: bool = False


class Given(NamedTuple):
    """The value of a key that a user gave."""

    # None if it is wrong, which is a problem already.
    value: Any
    # Where it was given, as the beginning of a sentence.
    where: str


def read_request(
    extra_var_words: Sequence[str],
    variables: Mapping[str, object],
    hosts: Sequence[str],
    cwd: str,
    config: Config,
    *,
    match: Callable[[str], list[str]],
    extra_var_names: Iterable[str] = (),
    options: Mapping[str, object] | None = None,
    origins: Mapping[str, str] | None = None,
) -> Request:
    """The request in the `-e` words as typed and the variables, untemplated, and in the options.

    hosts: the candidates; cwd: what relative paths start at; match: a host pattern -> the hosts
    that it means; extra_var_names: all names that -e sets; options: of the task, by the names of
    keys: they count more than variables; origins: variable -> where it is set, for people.
    InputError: all that is wrong.
    """
    reader = _Reader(hosts, cwd, match, config)
    top = reader.read_top(extra_var_words, variables, extra_var_names, options or {})
    jobs = reader.read_jobs(top)
    output_file = reader.read_output_file(top)
    reader.check_settings(top)
    config, notes = reader.read_placement(top, config)
    run_budget = _value(top, "run_budget_usd") or config.budget.run_usd
    reader.check_budgets(top, jobs, config, run_budget)
    if reader.problems:
        raise InputError(dict.fromkeys(reader.problems))

    given = {name: (value.value, value.where) for name, value in top.items()}
    return Request(
        run_id=_value(top, "run_id") or new_run_id(),
        named="run_id" in top,
        jobs=jobs,
        only=_value(top, "only"),
        adopt=_value(top, "adopt"),
        detach=_value(top, "detach"),
        on_interrupt=_value(top, "on_interrupt"),
        local_fallback=_value(top, "local_fallback"),
        each=_value(top, "each"),
        min_nodes=_value(top, "min_nodes"),
        queue_timeout=_value(top, "queue_timeout"),
        lost_after=_value(top, "lost_after"),
        harvest_limit=_value(top, "harvest_limit"),
        output_file=output_file,
        progress=_value(top, "progress"),
        config=config,
        notes=(*reader.notes, *notes),
        fail_on=_value(top, "fail_on"),
        settings=tuple(setting_rows(given, origins or {}, config)),
        run_budget_usd=run_budget,
        day_budget_usd=config.budget.day_usd,
        verbose=_value(top, "verbose"),
    )


def unknown_settings(extra_var_names: Iterable[str]) -> list[str]:
    """A sentence for each extra variable that looks like a setting and is none."""
    known = {f"gummy_{name}" for name in TOP_KEYS}
    unknown = dict.fromkeys(
        name
        for name in map(str, extra_var_names)
        if name.lower().startswith("gummy_") and name not in known
    )
    return [
        f"{name}: {WHERE}"
        if name.lower() == "gummy_notify"
        else f"{show(name)} is no setting; {hint(name[6:].lower(), TOP_KEYS, 'gummy_')}"
        for name in unknown
    ]


def new_run_id() -> str:
    """A readable name that no other run has."""
    letters = "".join(secrets.choice(ID_LETTERS) for _position in range(4))
    return time.strftime("%Y%m%d-%H%M%S-") + letters


def read_project(raw: str | None, cwd: str) -> str | None:
    """The real path of a project; None for `none`, the current directory by default.

    BadValue: a sentence.
    """
    if raw == "none":
        return None
    path = os.path.realpath(os.path.join(cwd, os.path.expanduser(raw or ".")))
    advice = "name another directory, or none for no project"
    if not os.path.isdir(path):
        problem = "is no directory" if os.path.exists(path) else "does not exist"
        raise BadValue(f"{path} {problem}; {advice}")
    if path == "/":
        raise BadValue(f"/ is the whole machine; {advice}")
    if path in _homes():
        raise BadValue(f"{path} is your home directory; {advice}")
    if not os.access(path, os.R_OK | os.X_OK):
        raise BadValue(f"{path} can't be read; mend its permissions, or {advice}")
    return path


class _Reader:
    """Reads a request. What is wrong is collected, so that a user is told all of it at once."""

    def __init__(
        self,
        hosts: Sequence[str],
        cwd: str,
        match: Callable[[str], list[str]],
        config: Config,
    ) -> None:
        self._hosts = hosts
        self._cwd = cwd
        self._match = match
        self._config = config
        # What stands before a key of the top level where the user wrote, or would write it.
        self._prefix = "gummy_"
        self.problems: list[str] = []
        # Sentences for people.
        self.notes: list[str] = []

    # Settings: what holds for the whole run

    def read_top(
        self,
        extra_var_words: Sequence[str],
        variables: Mapping[str, object],
        extra_var_names: Iterable[str],
        options: Mapping[str, object],
    ) -> dict[str, Given]:
        """The keys of the top level that are given."""
        texts, names = self._read_words(extra_var_words, variables)
        self.problems += unknown_settings([*names, *extra_var_names])
        keys = {name: key for name, key in TOP_KEYS.items() if key.level in ("job", "run", "any")}
        values = {name: texts.get(name, plain(variables.get(f"gummy_{name}"))) for name in keys}

        own = self._read_values({name: plain(raw) for name, raw in options.items()}, keys, "")
        # With fail_on alone, our own playbook, all else is said by variables.
        if own.keys() - {"fail_on"}:
            self._prefix = ""
        for name in self._overridden(own):
            if values[name] is not None and values[name] != "":
                self._note_of_two(name, own)
            del values[name]
        return {**self._read_values(values, keys, "gummy_"), **own}

    def _overridden(self, own: Mapping[str, Given]) -> list[str]:
        """The keys that do not count as variables, for options say the same or the work itself."""
        names = set(own)
        if names & WORK:
            names |= WORK
        return [name for name in TOP_KEYS if name in names]

    def _note_of_two(self, name: str, own: Mapping[str, Given]) -> None:
        if name in own:
            # A playbook of ours says that it does not fail by itself; `show` reads the variable.
            if name != "fail_on" or own[name].value:
                self.notes.append(f"gummy_{name} does not count: the task has the option {name}")
            return
        work = ", ".join(sorted(own.keys() & WORK))
        self.notes.append(f"gummy_{name} does not count: the task says what to do ({work})")

    def read_output_file(self, top: Mapping[str, Given]) -> str | None:
        """The absolute path of the file for what is shown, if one is asked for."""
        raw = _value(top, "output_file")
        if raw:
            with self._collect(top["output_file"].where):
                return read_output_file(raw, self._cwd, OUTPUT_FORMS_OF_RUN)
        return None

    def check_settings(self, top: Mapping[str, Given]) -> None:
        """Settings that need another one."""
        if "run_id" not in top:
            self.problems += [
                f"{top[name].where}: give the run's name as well ({self._prefix}run_id)"
                for name in ("only", "adopt")
                if _value(top, name)
            ]
        if _value(top, "each") is None and "min_nodes" in top:
            each = f"{self._prefix}each"
            self.problems.append(
                f"{top['min_nodes'].where}: it goes with {each}=node or {each}=os; "
                "give that as well"
            )

    def check_budgets(
        self,
        top: Mapping[str, Given],
        jobs: Iterable[Job],
        config: Config,
        run_budget: float | None,
    ) -> None:
        """A budget whose agent can't be held to it is none, unless the user allows that."""
        if _value(top, "unpriced") == "allow":
            return
        of_all = f"{self._prefix}run_budget_usd" if "run_budget_usd" in top else ""
        if not of_all and run_budget is not None:
            of_all = "budget.run_usd of the config file"
        if not of_all and config.budget.day_usd is not None:
            of_all = "budget.day_usd of the config file"
        for job in jobs:
            budget = of_all if job.budget_usd is None else "budget_usd"
            reasons = filter(None, map(why_not_held, job.choices))
            reason = next(reasons, "") if budget else ""
            if reason:
                self.problems.append(
                    f"{job.name}: {reason}, and there is {budget}; take that away, choose another "
                    f"agent, or give {self._prefix}unpriced=allow (what it costs is not counted)"
                )

    def read_placement(
        self, top: Mapping[str, Given], config: Config
    ) -> tuple[Config, tuple[str, ...]]:
        """The config with this run's weights and preferences, and notes."""
        if "load_weights" in top:
            with self._collect(top["load_weights"].where):
                weights = check_weights(top["load_weights"].value)
                config = replace(config, load_weights=weights)

        if "host_preferences" in top:
            with self._collect(top["host_preferences"].where):
                preferences = check_preferences(top["host_preferences"].value)
                for _task_type, name in self._strangers(preferences):
                    raise BadValue(f"no host {show(name)} in this play; {hint(name, self._hosts)}")
                config = replace(config, host_preferences=preferences)
            return config, ()

        # A config is for all runs, so it may name nodes that are not in this one.
        notes = [
            f"host_preferences of the config: no host {show(name)} in this play "
            f"(first choice for {task_type})"
            for task_type, name in self._strangers(config.host_preferences)
        ]
        return config, tuple(notes)

    def _strangers(self, preferences: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
        """Task type and name of each preferred node that is not in this play."""
        for task_type, names in preferences.items():
            for name in names:
                if name not in self._hosts:
                    yield task_type, name

    # Words: texts as they were typed

    def _read_words(
        self, words: Sequence[str], variables: Mapping[str, object]
    ) -> tuple[dict[str, str], list[str]]:
        """Raw texts of the `-e` words that begin with them, and the names that the other words set.

        Ansible splits `-e k=v` at blanks, so a text is the rest of its word as typed, unless a
        later file or JSON set it again.
        """
        texts: dict[str, str] = {}
        names: list[str] = []
        # Key -> what Ansible made of its word.
        as_split: dict[str, str | None] = {}
        for word in filter(None, words):
            if word[0] in "@{[":
                for key, value in as_split.items():
                    variable = plain(variables.get(f"gummy_{key}"))
                    if variable is not None and variable != value:
                        texts.pop(key, None)
                continue

            sets = _as_ansible_reads(word)
            begin = RAW_WORD.match(word)
            if begin is None:
                names += sets
                self._check_not_inside(sets)
            else:
                key = begin[1]
                texts[key] = word[begin.end() :]
                as_split[key] = sets.get(f"gummy_{key}")
                self._check_alone(f"gummy_{key}", sets)
        return texts, names

    def _check_not_inside(self, names: Iterable[str]) -> None:
        """A text that stands behind another variable in its word is cut at its first blank."""
        self.problems += [
            f"gummy_{key}: it is not the first in its -e; give it a -e of its own"
            for key in RAW_KEYS
            if f"gummy_{key}" in names
        ]

    def _check_alone(self, variable: str, names: Iterable[str]) -> None:
        """A text with `name=value` in it sets that too: no setting may be given by accident."""
        others = [
            name
            for name in names
            if name != variable and name.lower().startswith(("gummy_", "ansible_"))
        ]
        if others:
            advice = 'give it in a file (-e @file) or as JSON (-e \'{"gummy_prompt": "..."}\')'
            self.problems.append(
                f"{variable}: its text would set {', '.join(others)} as well, "
                f"for Ansible splits it at blanks; {advice}"
            )

    # Jobs

    def read_jobs(self, top: Mapping[str, Given]) -> tuple[Job, ...]:
        """The jobs of the list, or the one of the top level."""
        if "jobs" in top:
            entries = top["jobs"].value or []
            jobs = [
                self._read_job(self._job_input(entry, f"job {number}", top), number)
                for number, entry in enumerate(entries, 1)
            ]
        else:
            jobs = [self._read_job(self._job_input({}, "", top), 1)]
        where = top["jobs"].where if "jobs" in top else ""
        self._check_twice([job.name for job in jobs], "name", where)
        self._check_twice([job.id for job in jobs if job.id], "id", where)
        return tuple(jobs)

    def _job_input(self, entry: object, where: str, top: Mapping[str, Given]) -> _JobInput:
        """A job's own keys over the defaults of all jobs."""
        if not isinstance(entry, dict):
            self.problems.append(
                f"{where}: {show(entry)} is no job; write its keys, such as 'prompt: ...'"
            )
            entry = {}
        for name in entry:
            if name not in JOB_KEYS:
                key_hint = _key_hint(str(name), self._prefix)
                self.problems.append(f"{where}: unknown key {show(name)}; {key_hint}")
        values = {name: raw for name, raw in entry.items() if name in JOB_KEYS}
        own = self._read_values(values, JOB_KEYS, f"{where}: ")
        defaults = {
            name: given
            for name, given in top.items()
            if TOP_KEYS[name].level == "job" and EITHER.get(name) not in own
        }
        return _JobInput({**defaults, **own}, where, self._prefix)

    def _read_job(self, job: _JobInput, number: int) -> Job:
        """The job, with what is wrong with it added to the problems."""
        agents = self._read_agents(job)
        self._check_work(job, agents)
        if "shell" in agents and len(agents) > 1:
            self.problems.append(
                f"{job.where_of('agent')}: shell takes a command and the others take a prompt, so "
                "it can't stand in a list with them; take it out"
            )
        self._check_specialist(job, agents)
        project = self._read_project(job)
        self._check_setup(job, project)
        self._check_node(job)
        nodes = self._read_nodes(job)
        prompt = job.value("prompt")
        task_type = job.value("task_type")
        if task_type == "auto":
            task_type = task_type_of(prompt or "")
        return Job(
            name=job.value("name") or f"job-{number}",
            id=job.value("id"),
            prompt=prompt,
            command=job.value("command"),
            project=project,
            task_type=task_type,
            agent=agents[0],
            agents=agents if len(agents) > 1 else (),
            node=job.value("node"),
            nodes=nodes,
            timeout=job.value("timeout"),
            stall=job.value("stall"),
            verify=job.value("verify"),
            setup=job.value("setup"),
            setup_if=job.value("setup_if") or (),
            setup_timeout=job.value("setup_timeout"),
            specialist=job.value("specialist"),
            expect_changes=job.value("expect_changes"),
            pass_env=job.value("pass_env"),
            accept_unproven=job.value("accept_unproven"),
            attempts=job.value("attempts"),
            priority=job.value("priority"),
            deliver=job.value("deliver"),
            artifacts=job.value("artifacts") or (),
            budget_usd=job.value("budget_usd"),
        )

    def _read_agents(self, job: _JobInput) -> tuple[str, ...]:
        """The agents that may do the job, in their order."""
        given = job.value("agent")
        if given is None:
            # It is wrong, which is a problem already.
            given = TOP_KEYS["agent"].default
        agents: tuple[str, ...] = (given,) if isinstance(given, str) else tuple(given)
        where = job.where_of("agent")
        for agent in agents:
            if agent not in self._config.agent_names:
                known = hint(agent, self._config.agent_names)
                self.problems.append(f"{where}: unknown value {show(agent)}; {known}")
            elif agent in NEEDED_SETTINGS:
                setting, why = NEEDED_SETTINGS[agent]
                if setting not in self._config.agents.get(agent, {}):
                    (form,) = AGENT_SETTINGS[agent][setting]
                    self.problems.append(
                        f"{where}: {agent} has no {setting}, and {why}; write it into "
                        f"{self._config.path or default_path()}, as "
                        f"`agents: {{{agent}: {{{setting}: {form}}}}}`"
                    )
        return agents

    def _check_work(self, job: _JobInput, agents: Sequence[str]) -> None:
        """A prompt for agents that take one, or a command for the shell."""
        prompt = job.value("prompt")
        # Of agents that nobody knows nobody can say what they take.
        is_known = job.value("agent") is not None and set(agents) <= set(self._config.agent_names)
        takes_prompt = is_known and "shell" not in agents
        command = job.value("command")
        key = job.key
        if "prompt" not in job.given and "command" not in job.given:
            self.problems.append(
                f"{job.begin}there is no prompt and no command; "
                f"give {key('prompt')}, or {key('command')} with {key('agent')} shell"
            )
        elif prompt is not None and command is not None:
            self.problems.append(
                f"{job.begin}there is a prompt and a command; "
                f"take {key('prompt')} or {key('command')} away"
            )
        elif command is not None and takes_prompt:
            self.problems.append(
                f"{job.where_of('command')}: the agent {agents[0]} takes a prompt, no command; "
                f"add {key('agent')}=shell"
            )
        elif prompt is not None and agents == ("shell",):
            self.problems.append(
                f"{job.where_of('prompt')}: the agent shell takes a command, no prompt; "
                f"give {key('command')}, or another {key('agent')}"
            )
        elif prompt is not None and "gummy" in agents and len(prompt.encode()) > PROMPT_LIMIT:
            self.problems.append(
                f"{job.where_of('prompt')}: it has {len(prompt.encode())} bytes "
                f"and gummy takes {PROMPT_LIMIT}; "
                "put the text in a file of the project and name that in the prompt"
            )

    def _check_setup(self, job: _JobInput, project: str | None) -> None:
        if job.value("setup") is None:
            if job.value("setup_if"):
                self.problems.append(
                    f"{job.where_of('setup_if')}: there is no {job.key('setup')} that it could "
                    "skip; give one, or take it away"
                )
        elif project is None and job.value("project") == "none":
            self.problems.append(
                f"{job.where_of('setup')}: without a project there is nothing to set up; "
                f"give {job.key('project')}, or put it into the command"
            )

    def _check_specialist(self, job: _JobInput, agents: Sequence[str]) -> None:
        specialist = job.value("specialist")
        prompt = job.value("prompt")
        if specialist is None:
            return
        others = [agent for agent in agents if agent != "gummy"]
        if others:
            self.problems.append(
                f"{job.where_of('specialist')}: the agent {others[0]} has no specialists; "
                "take it away, or let gummy do the job"
            )
        elif prompt is not None:
            reason = why_not(specialist, prompt)
            if reason is not None:
                self.problems.append(f"{job.where_of('specialist')}: {reason}")

    def _read_project(self, job: _JobInput) -> str | None:
        with self._collect(job.where_of("project")):
            return read_project(job.value("project"), self._cwd)
        return None

    def _check_node(self, job: _JobInput) -> None:
        node = job.value("node")
        if node is not None and node != "local" and node not in self._hosts:
            self.problems.append(
                f"{job.where_of('node')}: no host {show(node)} in this play; "
                f"{hint(node, [*self._hosts, 'local'])}"
            )

    def _read_nodes(self, job: _JobInput) -> tuple[str, ...] | None:
        """The names of the hosts that a job's pattern means; None if it has none."""
        if "nodes" not in job.given:
            return None
        where = job.where_of("nodes")
        if "node" in job.given:
            self.problems.append(f"{where}: the job has a node as well; take one of the two away")
            return None
        pattern = job.given["nodes"].value
        if pattern:
            with self._collect(where):
                return self._hosts_of(pattern)
        return None

    def _hosts_of(self, pattern: str) -> tuple[str, ...]:
        """The candidates that a pattern means. BadValue: a sentence."""
        try:
            matches = set(self._match(pattern))
        except AnsibleError as exc:
            raise BadValue(
                f"{show(pattern)} is no host pattern ({exc}); write it as for ansible --limit"
            ) from exc
        names = tuple(host for host in self._hosts if host in matches)
        if not names:
            raise BadValue(
                f"{show(pattern)} matches no host of this play; {hint(pattern, self._hosts)}"
            )
        return names

    def _check_twice(self, names: Iterable[str], what: str, where: str) -> None:
        """Names that are taken; upper and lower case are one, for each job has a folder."""
        seen: set[str] = set()
        for name in names:
            if name.lower() in seen:
                self.problems.append(
                    f"{where}: two jobs have the {what} {name!r}; give each job its own {what}"
                )
            seen.add(name.lower())

    # Values

    def _read_values(
        self, values: Mapping[str, object], keys: Mapping[str, Key], prefix: str
    ) -> dict[str, Given]:
        """The values that are given, coerced, each with where: the prefix and its name."""
        read: dict[str, Given] = {}
        for name, raw in values.items():
            where = prefix + name
            value = None
            with self._collect(where):
                value = coerce(keys[name], raw)
                if value is None:
                    continue
            read[name] = Given(value, where)
        return read

    @contextmanager
    def _collect(self, where: str) -> Iterator[None]:
        """Turns a BadValue into a problem that says where, and goes on behind the block."""
        try:
            yield
        except BadValue as exc:
            self.problems.append(f"{where}: {exc}")


@dataclass(frozen=True)
class _JobInput:
    """The keys of one job: its own, and the defaults of all jobs."""

    given: Mapping[str, Given]
    # Which of the list it is, as the beginning of a sentence; blank for the one of the top level.
    where: str
    # What stands before a key of the top level.
    prefix: str

    def value(self, name: str) -> Any:
        """The value of a key: as given, else the default of the table."""
        return _value(self.given, name)

    def key(self, name: str) -> str:
        """The key as a user writes it there."""
        return name if self.where else self.prefix + name

    @property
    def begin(self) -> str:
        """The beginning of a sentence about the job."""
        return f"{self.where}: " if self.where else ""

    def where_of(self, name: str) -> str:
        """Where a key is given, or would be."""
        if name in self.given:
            return self.given[name].where
        return self.begin + self.key(name)


def _value(given: Mapping[str, Given], name: str) -> Any:
    """The value of a key: as given, else the default of the table."""
    return given[name].value if name in given else TOP_KEYS[name].default


def _key_hint(name: str, prefix: str) -> str:
    """The end of a sentence about a key that a job can't have. prefix: of keys of the top level."""
    bare = name.removeprefix("gummy_")
    if bare in JOB_KEYS:
        return f"in a job it is {bare!r}"
    if bare == "notify":
        return WHERE
    if bare in TOP_KEYS:
        return f"it holds for the whole run: write '{prefix}{bare}' beside {prefix}jobs"
    return hint(name, JOB_KEYS)


def _as_ansible_reads(word: str) -> dict[str, str]:
    """The variables that a word of -e sets."""
    try:
        sets: dict[str, str] = parse_kv(word)
    except (AnsibleError, UnicodeError):
        # Ansible itself has refused such a word before we come.
        return {}
    return {str(name): str(plain(value)) for name, value in sets.items() if name != "_raw_params"}


def read_output_file(raw: str, cwd: str, forms: Sequence[str] = OUTPUT_FORMS) -> str:
    """The absolute path of a file for a document. forms: how it may end. Raises BadValue."""
    path = os.path.abspath(os.path.join(cwd, os.path.expanduser(raw)))
    folder = os.path.dirname(path)
    suffix = os.path.splitext(path)[1]
    if suffix not in forms:
        known = f"{', '.join(forms[:-1])} or {forms[-1]}"
        raise BadValue(f"{show(raw)} does not end in {known}; name such a file")
    if os.path.isdir(path):
        raise BadValue(f"{path} is a directory; name a file")
    if not os.path.isdir(folder):
        raise BadValue(f"the directory {folder} does not exist; make it, or name another")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise BadValue(f"{path} can't be written; name another file")
    return path


def _homes() -> set[str]:
    """The real paths of the user's home, by the environment and by the system."""
    homes = {os.path.expanduser("~")}
    # A user may be without a passwd entry.
    with suppress(KeyError):
        homes.add(pwd.getpwuid(os.getuid()).pw_dir)
    return {os.path.realpath(home) for home in homes if os.path.isabs(home)}


def _digest(data: object) -> str:
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:32]
