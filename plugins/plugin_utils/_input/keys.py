# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table of the keys a user may give, and how their values are read."""

from __future__ import annotations

import difflib
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from .._errors import BadValue, InputError
from .._files.paths import NAME
from .routing import ROUTES

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The node program has the same rule; a test compares them.
SET_BY_US = re.compile(r"PATH|HOME|GIT_CEILING_DIRECTORIES|GUMMY_.*")
DURATION = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")
LONGEST = 365 * 86400.0
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True)
class Key:
    """A key.

    `level`: job | run | any | other | fleet; at the top level its name carries `gummy_`. `type`:
    how `coerce` reads it.
    """

    name: str
    level: str
    type: str
    default: object
    text: str
    choices: tuple[str, ...] = ()


KEYS = (
    Key(
        "name", "job", "name", None, "Name of the job within its run; job-1, job-2, ... by default."
    ),
    Key(
        "id",
        "job",
        "name",
        None,
        "Identity of the job for resuming, where its text may have been edited.",
    ),
    Key("prompt", "job", "text", None, "What the agent is asked to do."),
    Key("command", "job", "text", None, "Command of the agent shell."),
    Key(
        "project",
        "job",
        "path",
        None,
        "Directory the job works on; by default the one the command was typed in; none: no project.",
    ),
    Key(
        "task_type",
        "job",
        "str",
        "auto",
        "Kind of work, for placement; auto reads it from the prompt.",
        ("auto", "general", "database", "api", "frontend", "testing", "security"),
    ),
    Key(
        "agent",
        "job",
        "str",
        "gummy",
        "Program that does the job: gummy, claude, or shell for a command.",
        ("gummy", "claude", "shell"),
    ),
    Key(
        "specialist",
        "job",
        "str",
        None,
        "Specialist of gummy that the job is for; the prompt has to lead gummy there.",
        tuple(ROUTES),
    ),
    Key("node", "job", "str", None, "The only node that may take the job; local: here."),
    Key("nodes", "job", "pattern", None, "Host pattern of the nodes that may take the job."),
    Key("timeout", "job", "duration", 4 * 3600.0, "Longest time the agent may take."),
    Key("verify", "job", "text", None, "Command run on the node after the agent; part of success."),
    Key(
        "expect_changes",
        "job",
        "changes",
        "auto",
        "Whether a success must change files: true (else it failed), false (no matter), auto (no matter, but of gummy and claude it is said).",
    ),
    Key(
        "pass_env",
        "job",
        "variables",
        (),
        "Names of variables that the agent gets with the values they have here; nothing else sees those.",
    ),
    Key("accept_unproven", "job", "bool", False, "Take a success without evidence as success."),
    Key(
        "artifacts",
        "job",
        "globs",
        None,
        "Globs of files to bring home whether git ignores them or not, as `dist/*.whl`; a list.",
    ),
    Key(
        "deliver",
        "job",
        "str",
        "patch",
        "What is made of the changes: a patch, a branch of the project too, or none.",
        ("patch", "branch", "none"),
    ),
    Key("attempts", "job", "count", 3, "How many nodes may try the job."),
    Key(
        "priority",
        "job",
        "int",
        0,
        "Jobs with a higher number are placed first, others in the order of the list.",
    ),
    Key("jobs", "run", "jobs", None, "The jobs of a batch, a list."),
    Key("run_id", "run", "name", None, "Name of the run; the same name again resumes it."),
    Key(
        "only",
        "run",
        "str",
        None,
        "failed: of a run that ended, do the failed jobs anew and nothing else.",
        ("failed",),
    ),
    Key(
        "each",
        "run",
        "str",
        None,
        "Do every job once on each node, or on one node of each operating system.",
        ("node", "os"),
    ),
    Key(
        "min_nodes",
        "run",
        "count",
        1,
        "With each: on how many nodes, or systems, every job must have run; those out of reach are skipped.",
    ),
    Key(
        "adopt",
        "run",
        "bool",
        False,
        "Take a run over whose record is gone or another controller's, from what the nodes know of it.",
    ),
    Key(
        "detach",
        "run",
        "bool",
        False,
        "Return when the free slots are used; call the run again for the rest.",
    ),
    Key(
        "on_interrupt",
        "run",
        "str",
        "leave",
        "What happens to the jobs when ansible-playbook is interrupted.",
        ("leave", "cancel"),
    ),
    Key("local_fallback", "run", "bool", True, "Work on the controller when no node can."),
    Key("lost_after", "run", "duration", 3600.0, "How long a silent node keeps its job."),
    Key(
        "queue_timeout",
        "run",
        "duration",
        None,
        "How long jobs may wait for a free slot; without it, as long as it takes.",
    ),
    Key(
        "load_weights",
        "run",
        "mapping",
        None,
        "What each part of the load counts, instead of what the config says.",
    ),
    Key(
        "host_preferences",
        "run",
        "mapping",
        None,
        "Task types to nodes that are their first choice, instead of what the config says.",
    ),
    Key("nodes", "any", "pattern", "all:localhost", "Host pattern of the play: the candidates."),
    Key(
        "refresh",
        "any",
        "bool",
        False,
        "Ask the nodes anew, instead of taking what they said in the last half minute.",
    ),
    Key("output_file", "any", "str", None, "File for what is shown, for a script; ends in .json."),
    Key("progress", "any", "bool", True, "Show a line per event."),
    Key(
        "job",
        "other",
        "str",
        None,
        "Job for logs, cancel and harvest: an id, a unique prefix of one, or RUN/name.",
    ),
    Key(
        "fleet_state",
        "fleet",
        "str",
        "status",
        "What the local fleet should be.",
        ("up", "down", "status"),
    ),
    Key("fleet_size", "fleet", "count", 3, "Nodes of the local fleet."),
    Key("fleet_dir", "fleet", "path", None, "Folder of the local fleet."),
)
JOB_KEYS: Mapping[str, Key] = {key.name: key for key in KEYS if key.level == "job"}
# At the top level `gummy_nodes` is the play's pattern, no default of the jobs.
TOP_KEYS: Mapping[str, Key] = {
    key.name: key for key in KEYS if (key.name, key.level) != ("nodes", "job")
}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100
# A value in a sentence: escaped, and cut.
show = _SHORT.repr


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one, if any is."""
    found = difflib.get_close_matches(name, sorted(known), n=1)
    return found[0] if found else None


def hint(name: str, known: Iterable[str], prefix: str = "") -> str:
    """The end of a sentence about an unknown name: the nearest right one, else those that there
    are.
    """
    names = sorted(known)
    near = nearest(name, names)
    if near:
        return f"did you mean {prefix + near!r}?"
    more = ", ..." if len(names) > 20 else ""
    return (
        f"known: {', '.join(prefix + each for each in names[:20])}{more}"
        if names
        else "none is known"
    )


def plain(value: object) -> object:
    """The same data in plain Python types: Ansible's values may be subclasses that carry tags."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {plain(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, float) else value


def coerce(key: Key, raw: object) -> object:
    """The value of a key, None for blank ("not given"). BadValue: a sentence without the place."""
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return None
    if key.type in READ_AS_IT_STANDS:
        return READ_AS_IT_STANDS[key.type](raw)
    if (
        key.type == "pattern"
        and isinstance(raw, list)
        and all(isinstance(item, str) for item in raw)
    ):
        return ",".join(raw) or None
    value = raw.strip() if isinstance(raw, str) and key.type != "path" else raw
    if key.type in READ_STRIPPED:
        return READ_STRIPPED[key.type](value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise BadValue(f"{show(value)} is no text; put it in quotes")
    if "\0" in value:
        raise BadValue("it contains a NUL character; take it out")
    if key.choices and value not in key.choices:
        raise BadValue(f"unknown value {show(value)}; {hint(value, key.choices)}")
    if key.type == "name" and not NAME.fullmatch(value):
        raise BadValue(
            f"{show(value)} is no name; use 1 to 64 letters, digits, '.', '_' and '-', the first a letter or digit"
        )
    return value


def setting(variables: Mapping[str, object], name: str) -> Any:
    """A setting of the top level, read raw; its default if it is not given. Raises InputError."""
    try:
        value = coerce(TOP_KEYS[name], plain(variables.get(f"gummy_{name}")))
    except BadValue as exc:
        raise InputError([f"gummy_{name}: {exc}"]) from exc
    return TOP_KEYS[name].default if value is None else value


def read_count(raw: object) -> int:
    """A whole number, 1 or more. BadValue: a sentence."""
    if not isinstance(raw, bool) and isinstance(raw, (int, float, str)):
        try:
            if (number := int(raw)) == float(raw) and number >= 1:
                return number
        except (ValueError, OverflowError):
            pass
    raise BadValue(f"{show(raw)} is no count; write a whole number, 1 or more")


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise BadValue(
            f"{show(raw)} is no text; put it in quotes, so that it is taken as it stands"
        )
    if "\0" in raw:
        raise BadValue("it contains a NUL character; take it out")
    try:
        raw.encode()
    except UnicodeEncodeError:
        raise BadValue("it is not UTF-8; save or type it as UTF-8") from None
    return raw


def _jobs(raw: object) -> list[object]:
    if not isinstance(raw, list):
        raise BadValue(
            f"{show(raw)} is no list; write '- prompt: ...' for each job in a file and give it with -e @file"
        )
    if not raw:
        raise BadValue("the list is empty; give it a job")
    return raw


def _mapping(raw: object) -> dict[object, object]:
    """`-e name=value` gives text, so text is read as YAML."""
    try:
        read = yaml.safe_load(raw) if isinstance(raw, str) else raw
    except yaml.YAMLError:
        read = None
    if not isinstance(read, dict):
        raise BadValue(f"{show(raw)} is no mapping; write it like '{{cpu: 1, memory: 0.5}}'")
    return read


def _int(raw: object) -> int:
    if (
        not isinstance(raw, bool)
        and isinstance(raw, (int, str))
        and re.fullmatch(r"-?\d{1,9}", str(raw))
    ):
        return int(raw)
    raise BadValue(f"{show(raw)} is no whole number; write one, such as 10 or -1")


def _changes(raw: object) -> bool | str:
    try:
        return "auto" if str(raw).lower() == "auto" else _bool(raw)
    except BadValue:
        raise BadValue(f"{show(raw)} is none of auto, true and false; write one of them") from None


def _variables(raw: object) -> tuple[str, ...]:
    names = re.split(r"[\s,]+", raw.strip(", ")) if isinstance(raw, str) else raw
    if not isinstance(names, (list, tuple)):
        raise BadValue(f"{show(raw)} is no list of names; write '- NAME' for each")
    for name in names:
        if not isinstance(name, str) or not VARIABLE.fullmatch(name):
            raise BadValue(
                f"{show(name)} is no name of a variable; give the name alone, its value is read from this controller's environment"
            )
        if SET_BY_US.fullmatch(name):
            raise BadValue(f"{name} is set on the node for every agent; take it out")
    return tuple(dict.fromkeys(names))


def _globs(raw: object) -> tuple[str, ...] | None:
    globs = [raw] if isinstance(raw, str) else raw
    if not isinstance(globs, (list, tuple)) or not all(
        isinstance(glob, str) and glob.strip() and "\0" not in glob for glob in globs
    ):
        raise BadValue(f"{show(raw)} is no list of globs; write '- dist/*.whl' for each")
    for glob in globs:
        parts = glob.split("/")
        if glob.startswith(("/", "~")) or ".." in parts:
            raise BadValue(
                f"{show(glob)} leaves the workspace; write it as seen from the project's directory, without '..'"
            )
        if any("**" in part and part != "**" for part in parts) or not any(
            part not in ("", ".") for part in parts
        ):
            raise BadValue(
                f"{show(glob)} is no glob of files; write '**' between slashes only, as in 'dist/**/*.whl'"
            )
    return tuple(globs) or None


def _bool(raw: object) -> bool:
    word = str(raw).lower()
    if isinstance(raw, (bool, int, str)) and word in TRUE | FALSE:
        return word in TRUE
    raise BadValue(f"{show(raw)} is neither true nor false; write one of them")


def _duration(raw: object) -> float:
    seconds = math.nan
    if not isinstance(raw, bool) and isinstance(raw, (int, float)):
        seconds = float(raw)
    elif isinstance(raw, str) and DURATION.fullmatch(raw.lower()):
        seconds = sum(
            float(part[:-1]) * SECONDS[part[-1]]
            for part in re.findall(r"[\d.]+[dhms]", raw.lower())
        )
    elif isinstance(raw, str) and re.fullmatch(r"\d+(\.\d+)?", raw):
        seconds = float(raw)
    if 0 < seconds <= LONGEST:
        return seconds
    raise BadValue(
        f"{show(raw)} is no duration; write 90s, 30m, 4h or a number of seconds, more than 0 and at most 365d"
    )


# type of a key -> how its value is read
READ_AS_IT_STANDS: Mapping[str, Callable[[object], object]] = {
    "text": _text,
    "jobs": _jobs,
    "mapping": _mapping,
    "globs": _globs,
}
READ_STRIPPED: Mapping[str, Callable[[object], object]] = {
    "bool": _bool,
    "count": read_count,
    "duration": _duration,
    "int": _int,
    "changes": _changes,
    "variables": _variables,
}
