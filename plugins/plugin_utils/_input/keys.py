# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table of the keys a user may give, and how their values are read."""

from __future__ import annotations

import contextlib
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

# The name of a variable of the environment.
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Those that an agent gets from us. The node program has the same rule; a test compares them.
SET_BY_US = re.compile(r"PATH|HOME|PWD|GIT_CEILING_DIRECTORIES|GUMMY_.*")

# A duration with its units, and what each is worth in seconds.
DURATION = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}

# The longest duration that makes sense, in seconds.
LONGEST = 365 * 86400.0

# The shortest time without a sign of life after which a job may be ended, in seconds.
STALL_LEAST = 60.0

# A size with its unit, and what each is worth in bytes.
SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([kmgt]?)b?")
BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}

# A folder on a node, and how many may be named at once.
PLACE = re.compile(r"(?:~?/[^\x00-\x1f\x7f]{0,1000}|~)")
PLACES_MOST = 50

# How many bytes of one harvest come home, where nobody says it.
HARVEST_LIMIT = 2 * 10**9

# An amount of money, and the largest that makes sense, in dollars.
AMOUNT = re.compile(r"\$?\s*(\d{1,9}(?:\.\d{1,9})?)")
DOLLARS_MOST = 1e6

# How a job can end that is not as it should be.
BAD_ENDS = ("failed", "lost", "unproven", "cancelled")

TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True)
class Key:
    """A key that a user may give; at the top level its name carries `gummy_`."""

    name: str
    # Where it may be given: in a job and, as a default of all jobs, at the top level (job); for
    # `run` alone (run); for all commands (any); for other commands than `run` (other); for the
    # local fleet (fleet).
    level: str
    # How `coerce` reads it.
    type: str
    # Its value where none is given.
    default: object
    # What it means, for people: the documentation has it too.
    text: str
    # The values that it may have; none if that is not a matter of choice.
    choices: tuple[str, ...] = ()


KEYS = (
    Key(
        "name",
        level="job",
        type="name",
        default=None,
        text="Name of the job within its run; job-1, job-2, ... by default.",
    ),
    Key(
        "id",
        level="job",
        type="name",
        default=None,
        text="Identity of the job for resuming, where its text may have been edited.",
    ),
    Key(
        "prompt",
        level="job",
        type="text",
        default=None,
        text="What the agent is asked to do.",
    ),
    Key(
        "command",
        level="job",
        type="text",
        default=None,
        text="Command of the agent shell.",
    ),
    Key(
        "project",
        level="job",
        type="path",
        default=None,
        text=(
            "Directory the job works on; by default the one the command was typed in; "
            "none: no project."
        ),
    ),
    Key(
        "task_type",
        level="job",
        type="str",
        default="auto",
        text="Kind of work, for placement; auto reads it from the prompt.",
        choices=("auto", "general", "database", "api", "frontend", "testing", "security"),
    ),
    Key(
        "agent",
        level="job",
        type="agents",
        default="gummy",
        text=(
            "Program that does the job: gummy, claude, codex, opencode, qwen, gemini, shell for a "
            "command, or one of the config's own; a list is an order: the first one that a free "
            "node can run."
        ),
        choices=("gummy", "claude", "codex", "opencode", "qwen", "gemini", "shell"),
    ),
    Key(
        "specialist",
        level="job",
        type="str",
        default=None,
        text="Specialist of gummy that the job is for; the prompt has to lead gummy there.",
        choices=tuple(ROUTES),
    ),
    Key(
        "node",
        level="job",
        type="str",
        default=None,
        text="The only node that may take the job; local: here.",
    ),
    Key(
        "nodes",
        level="job",
        type="pattern",
        default=None,
        text="Host pattern of the nodes that may take the job.",
    ),
    Key(
        "timeout",
        level="job",
        type="duration",
        default=4 * 3600.0,
        text="Longest time the agent may take.",
    ),
    Key(
        "stall",
        level="job",
        type="stall",
        default=None,
        text=(
            "How long the job may show no sign of life (no CPU, no new process, no output, no "
            "bytes moved) before it is ended, a minute or more; without it, as long as timeout."
        ),
    ),
    Key(
        "setup",
        level="job",
        type="text",
        default=None,
        text=(
            "Command run in the workspace before the agent, such as one that installs what the "
            "project needs; what it makes and git does not ignore is lost at the next sync."
        ),
    ),
    Key(
        "setup_if",
        level="job",
        type="globs",
        default=None,
        text=(
            "Globs of files, such as lock files; setup is skipped while they and the command are "
            "as they were when it last succeeded in the workspace; a list."
        ),
    ),
    Key(
        "setup_timeout",
        level="job",
        type="duration",
        default=1800.0,
        text="Longest time that setup may take; timeout begins after it.",
    ),
    Key(
        "verify",
        level="job",
        type="text",
        default=None,
        text="Command run on the node after the agent; part of success.",
    ),
    Key(
        "expect_changes",
        level="job",
        type="changes",
        default="auto",
        text=(
            "Whether a success must change files: true (else it failed), false (no matter), "
            "auto (no matter, but of all agents but shell it is said)."
        ),
    ),
    Key(
        "budget_usd",
        level="job",
        type="dollars",
        default=None,
        text=(
            "Dollars that the job may cost in one call of the run; its agent is held to them while "
            "it works, so that the job ends failed (budget)."
        ),
    ),
    Key(
        "pass_env",
        level="job",
        type="variables",
        default=(),
        text=(
            "Names of variables that the agent gets with the values they have here; no argument, "
            "file, log or result holds those, but another job of the same login can read them."
        ),
    ),
    Key(
        "accept_unproven",
        level="job",
        type="bool",
        default=False,
        text="Take a success without evidence as success.",
    ),
    Key(
        "artifacts",
        level="job",
        type="globs",
        default=None,
        text=(
            "Globs of files to bring home whether git ignores them or not, as `dist/*.whl`; a list."
        ),
    ),
    Key(
        "deliver",
        level="job",
        type="str",
        default="patch",
        text="What is made of the changes: a patch, a branch of the project too, or none.",
        choices=("patch", "branch", "none"),
    ),
    Key(
        "attempts",
        level="job",
        type="count",
        default=3,
        text="How many nodes may try the job.",
    ),
    Key(
        "priority",
        level="job",
        type="int",
        default=0,
        text="Jobs with a higher number are placed first, others in the order of the list.",
    ),
    Key(
        "jobs",
        level="run",
        type="jobs",
        default=None,
        text="The jobs of a batch, a list.",
    ),
    Key(
        "run_id",
        level="run",
        type="name",
        default=None,
        text="Name of the run; the same name again resumes it.",
    ),
    Key(
        "only",
        level="run",
        type="str",
        default=None,
        text="failed: of a run that ended, do the failed jobs anew and nothing else.",
        choices=("failed",),
    ),
    Key(
        "each",
        level="run",
        type="str",
        default=None,
        text="Do every job once on each node, or on one node of each operating system.",
        choices=("node", "os"),
    ),
    Key(
        "min_nodes",
        level="run",
        type="count",
        default=1,
        text=(
            "With each: on how many nodes, or systems, every job must have run; those out of "
            "reach are skipped."
        ),
    ),
    Key(
        "adopt",
        level="run",
        type="bool",
        default=False,
        text=(
            "Take a run over whose record is gone or another controller's, from what the "
            "nodes know of it."
        ),
    ),
    Key(
        "detach",
        level="run",
        type="bool",
        default=False,
        text="Return when the free slots are used; call the run again for the rest.",
    ),
    Key(
        "on_interrupt",
        level="run",
        type="str",
        default="leave",
        text="What happens to the jobs when ansible-playbook is interrupted.",
        choices=("leave", "cancel"),
    ),
    Key(
        "local_fallback",
        level="run",
        type="bool",
        default=True,
        text="Work on the controller when no node can.",
    ),
    Key(
        "lost_after",
        level="run",
        type="duration",
        default=3600.0,
        text="How long a silent node keeps its job.",
    ),
    Key(
        "queue_timeout",
        level="run",
        type="duration",
        default=None,
        text="How long jobs may wait for a free slot; without it, as long as it takes.",
    ),
    Key(
        "run_budget_usd",
        level="run",
        type="dollars",
        default=None,
        text=(
            "Dollars that all calls of the run may cost together; then nothing more begins, what "
            "runs goes on to its end. By default what the config says."
        ),
    ),
    Key(
        "unpriced",
        level="run",
        type="str",
        default="refuse",
        text=(
            "Whether jobs may have a budget whose agents can't be held to one: refuse, or allow, "
            "and then what they cost is not counted."
        ),
        choices=("refuse", "allow"),
    ),
    Key(
        "load_weights",
        level="run",
        type="mapping",
        default=None,
        text="What each part of the load counts, instead of what the config says.",
    ),
    Key(
        "host_preferences",
        level="run",
        type="mapping",
        default=None,
        text="Task types to nodes that are their first choice, instead of what the config says.",
    ),
    Key(
        "fail_on",
        level="run",
        type="statuses",
        default=BAD_ENDS,
        text="Ends of jobs that make the run fail; an empty list: none does.",
        choices=BAD_ENDS,
    ),
    Key(
        "nodes",
        level="any",
        type="pattern",
        default="all:localhost",
        text=(
            "Host pattern of the candidates: hosts of the play or, as an option of run_jobs, hosts "
            "of the whole inventory, as far as --limit leaves them."
        ),
    ),
    Key(
        "refresh",
        level="any",
        type="bool",
        default=False,
        text="Ask the nodes anew, instead of taking what they said in the last half minute.",
    ),
    Key(
        "output_file",
        level="any",
        type="str",
        default=None,
        text=(
            "File for what is shown: .json for a script, .md or .html for people and, of run, .xml "
            "for JUnit."
        ),
    ),
    Key(
        "progress",
        level="any",
        type="bool",
        default=True,
        text="Show a line per event on stderr; without it nothing but errors is printed there.",
    ),
    Key(
        "ascii",
        level="any",
        type="bool",
        default=False,
        text="Show panels and summaries in ASCII alone, for terminals that have nothing else.",
    ),
    Key(
        "verbose",
        level="run",
        type="bool",
        default=False,
        text=(
            "Show on stderr what agents say and which tools they use while they work, each line "
            "with its job's name; so does -v."
        ),
    ),
    Key(
        "harvest_limit",
        level="any",
        type="size",
        default=None,
        text=(
            "How much of one harvest comes home, such as 500MB or 10GB; what is larger stays on "
            "its node. By default what the config says, else 2GB."
        ),
    ),
    Key(
        "job",
        level="other",
        type="str",
        default=None,
        text=(
            "Job for logs, cancel and harvest: RUN/name, the name if only one known job has it, "
            "or the id of an attempt or a unique prefix of one."
        ),
    ),
    Key(
        "specialist_paths",
        level="other",
        type="places",
        default=(),
        text=(
            "Folders of projects on the nodes, such as ~/code/*, whose specialists are shown too, "
            "beside those of workspaces and homes; a list."
        ),
    ),
    Key(
        "follow",
        level="other",
        type="bool",
        default=False,
        text="Have logs go on until the jobs have ended.",
    ),
    Key(
        "raw",
        level="other",
        type="bool",
        default=False,
        text="Show in logs what agents printed as it is, not what a person wants to read of it.",
    ),
    Key(
        "lines",
        level="other",
        type="count",
        default=None,
        text="How many of the last lines of each log are shown; without it all of them.",
    ),
    Key(
        "install_way",
        level="other",
        type="str",
        default="auto",
        text=("How install may install an agent; auto is the first of the others that a node has."),
        choices=("auto", "command", "brew", "source", "npm"),
    ),
    Key(
        "fleet_state",
        level="fleet",
        type="str",
        default="status",
        text="What the local fleet should be.",
        choices=("up", "down", "status"),
    ),
    Key(
        "fleet_size",
        level="fleet",
        type="count",
        default=3,
        text="Nodes of the local fleet.",
    ),
    Key(
        "fleet_dir",
        level="fleet",
        type="path",
        default=None,
        text="Folder of the local fleet.",
    ),
)

# The keys that a job of `gummy_jobs` may have.
JOB_KEYS: Mapping[str, Key] = {key.name: key for key in KEYS if key.level == "job"}

# The keys of the top level, where `gummy_nodes` is the play's pattern and no default of the jobs.
TOP_KEYS: Mapping[str, Key] = {
    key.name: key for key in KEYS if (key.name, key.level) != ("nodes", "job")
}

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100

# A value in a sentence: escaped, and cut.
show = _SHORT.repr

# So many known names are listed where none is like the one that was given.
MOST_NAMES = 20


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one, if any is."""
    names = sorted(known)
    matches = difflib.get_close_matches(name, names, n=1)
    if not matches:
        # In capitals everything is unlike.
        small = {each.casefold(): each for each in names}
        matches = [small[each] for each in difflib.get_close_matches(name.casefold(), small, n=1)]
    return matches[0] if matches else None


def hint(name: str, known: Iterable[str], prefix: str = "") -> str:
    """The end of a sentence about an unknown name: the nearest right one, else those there are.

    prefix: what stands before each of the known names where a user writes them.
    """
    names = sorted(known)
    near = nearest(name, names)
    if near:
        return f"did you mean {prefix + near!r}?"
    if not names:
        return "none is known"
    listed = ", ".join(prefix + each for each in names[:MOST_NAMES])
    more = ", ..." if len(names) > MOST_NAMES else ""
    return f"known: {listed}{more}"


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
    """The value of a key, None for blank ("not given").

    BadValue: a sentence that does not say where.
    """
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return None
    if key.type in READ_AS_IT_STANDS:
        return READ_AS_IT_STANDS[key.type](raw)
    if key.type == "statuses":
        return _statuses(key, raw)
    if key.type == "pattern" and isinstance(raw, list) and _are_texts(raw):
        return ",".join(raw) or None
    # A path may begin or end with a blank.
    value = raw.strip() if isinstance(raw, str) and key.type != "path" else raw
    if key.type in READ_STRIPPED:
        return READ_STRIPPED[key.type](value)
    return _word(key, value)


def setting(variables: Mapping[str, object], name: str) -> Any:
    """A setting of the top level, read raw; its default if it is not given. Raises InputError."""
    key = TOP_KEYS[name]
    try:
        value = coerce(key, plain(variables.get(f"gummy_{name}")))
    except BadValue as exc:
        raise InputError([f"gummy_{name}: {exc}"]) from exc
    return key.default if value is None else value


def read_count(raw: object) -> int:
    """A whole number, 1 or more. BadValue: a sentence."""
    if not isinstance(raw, bool) and isinstance(raw, (int, float, str)):
        with contextlib.suppress(ValueError, OverflowError):
            number = int(raw)
            if number == float(raw) and number >= 1:
                return number
    raise BadValue(f"{show(raw)} is no count; write a whole number, 1 or more")


def read_size(raw: object) -> int:
    """Bytes, 1 or more. BadValue: a sentence."""
    if not isinstance(raw, bool) and isinstance(raw, (int, float, str)):
        match = SIZE.fullmatch(str(raw).strip().lower())
        if match:
            number, unit = match.groups()
            size = int(float(number) * BYTES[unit])
            if size >= 1:
                return size
    raise BadValue(f"{show(raw)} is no size; write 500MB, 2GB or a number of bytes, 1 or more")


def read_dollars(raw: object) -> float:
    """Dollars, more than 0. BadValue: a sentence."""
    if not isinstance(raw, bool) and isinstance(raw, (int, float, str)):
        match = AMOUNT.fullmatch(str(raw).strip())
        if match and 0 < float(match[1]) <= DOLLARS_MOST:
            return float(match[1])
    raise BadValue(
        f"{show(raw)} is no amount of dollars; write a number such as 5 or 0.50, more than 0 and "
        f"at most {DOLLARS_MOST:.0f}"
    )


def _word(key: Key, value: object) -> str:
    """A text of one line: a name, a choice, a path or a pattern."""
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
            f"{show(value)} is no name; "
            "use 1 to 64 letters, digits, '.', '_' and '-', the first a letter or digit"
        )
    return value


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


def _stall(raw: object) -> float:
    """A duration that is not so short that a pause for thought would end a job."""
    seconds = _duration(raw)
    if seconds < STALL_LEAST:
        raise BadValue(f"{show(raw)} is less than a minute; write 1m or more")
    return seconds


def _jobs(raw: object) -> list[object]:
    if not isinstance(raw, list):
        raise BadValue(
            f"{show(raw)} is no list; "
            "write '- prompt: ...' for each job in a file and give it with -e @file"
        )
    if not raw:
        raise BadValue("the list is empty; give it a job")
    return raw


def _mapping(raw: object) -> dict[object, object]:
    """`-e name=value` gives text, so text is read as YAML."""
    try:
        value = yaml.safe_load(raw) if isinstance(raw, str) else raw
    except yaml.YAMLError:
        value = None
    if not isinstance(value, dict):
        raise BadValue(f"{show(raw)} is no mapping; write it like '{{cpu: 1, memory: 0.5}}'")
    return value


def _int(raw: object) -> int:
    is_number = isinstance(raw, (int, str)) and not isinstance(raw, bool)
    if is_number and re.fullmatch(r"-?\d{1,9}", str(raw)):
        return int(str(raw))
    raise BadValue(f"{show(raw)} is no whole number; write one, such as 10 or -1")


def _changes(raw: object) -> bool | str:
    if str(raw).lower() == "auto":
        return "auto"
    try:
        return _bool(raw)
    except BadValue:
        raise BadValue(f"{show(raw)} is none of auto, true and false; write one of them") from None


def _variables(raw: object) -> tuple[str, ...]:
    """Names of variables; a text holds several, with blanks or commas between them."""
    names = re.split(r"[\s,]+", raw.strip(", ")) if isinstance(raw, str) else raw
    if not isinstance(names, (list, tuple)):
        raise BadValue(f"{show(raw)} is no list of names; write '- NAME' for each")
    for name in names:
        if not isinstance(name, str) or not VARIABLE.fullmatch(name):
            raise BadValue(
                f"{show(name)} is no name of a variable; give the name alone, "
                "its value is read from this controller's environment"
            )
        if SET_BY_US.fullmatch(name):
            raise BadValue(f"{name} is set on the node for every agent; take it out")
    return tuple(dict.fromkeys(names))


def _agents(raw: object) -> str | tuple[str, ...]:
    """The name of an agent, or several in their order; a text may hold several, with blanks or
    commas between them.

    Which agents there are, the config says too.
    """
    names = re.findall(r"[^\s,\[\]]+", raw) if isinstance(raw, str) else raw
    if not isinstance(names, (list, tuple)):
        raise BadValue(f"{show(raw)} is no agent; write one name, or a list of names")
    if not names:
        raise BadValue("the list is empty; name an agent in it, such as claude")
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise BadValue(f"{show(name)} is no name of an agent; write one word for each")
    first, *others = dict.fromkeys(names)
    return (first, *others) if others else first


def _statuses(key: Key, raw: object) -> tuple[str, ...]:
    """Some of the key's choices, maybe none; a text holds several, as `-e` gives them."""
    words = re.findall(r"[^\s,\[\]]+", raw) if isinstance(raw, str) else raw
    if not isinstance(words, (list, tuple)):
        raise BadValue(f"{show(raw)} is no list; write '- failed' for each, or [] for none")
    for word in words:
        if word not in key.choices:
            raise BadValue(f"unknown value {show(word)}; {hint(str(word), key.choices)}")
    return tuple(dict.fromkeys(words))


def _globs(raw: object) -> tuple[str, ...] | None:
    """Globs of files of the workspace; a text is a list of one."""
    globs = [raw] if isinstance(raw, str) else raw
    if not isinstance(globs, (list, tuple)) or not all(map(_is_glob, globs)):
        raise BadValue(f"{show(raw)} is no list of globs; write '- dist/*.whl' for each")
    for glob in globs:
        parts = glob.split("/")
        if glob.startswith(("/", "~")) or ".." in parts:
            raise BadValue(
                f"{show(glob)} leaves the workspace; "
                "write it as seen from the project's directory, without '..'"
            )
        names_nothing = all(part in ("", ".") for part in parts)
        if names_nothing or any("**" in part and part != "**" for part in parts):
            raise BadValue(
                f"{show(glob)} is no glob of files; "
                "write '**' between slashes only, as in 'dist/**/*.whl'"
            )
    return tuple(globs) or None


def _places(raw: object) -> tuple[str, ...]:
    """Folders on the nodes, which only they can look for; a text is a list of one."""
    places = [raw] if isinstance(raw, str) else raw
    if not isinstance(places, (list, tuple)) or len(places) > PLACES_MOST:
        raise BadValue(
            f"{show(raw)} is no list of at most {PLACES_MOST} folders; write '- ~/code/*' for each"
        )
    for place in places:
        if not isinstance(place, str) or not PLACE.fullmatch(place.strip()):
            raise BadValue(
                f"{show(place)} is no folder of a node; write it from the root or from the home "
                "there, as in /srv/shop or '~/code/*', in quotes"
            )
    return tuple(dict.fromkeys(place.strip() for place in places))


def _is_glob(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _bool(raw: object) -> bool:
    word = str(raw).lower()
    if isinstance(raw, (bool, int, str)) and word in TRUE | FALSE:
        return word in TRUE
    raise BadValue(f"{show(raw)} is neither true nor false; write one of them")


def _duration(raw: object) -> float:
    """Seconds."""
    seconds = math.nan
    if not isinstance(raw, bool) and isinstance(raw, (int, float)):
        seconds = float(raw)
    elif isinstance(raw, str) and DURATION.fullmatch(raw.lower()):
        parts = re.findall(r"[\d.]+[dhms]", raw.lower())
        seconds = sum(float(part[:-1]) * SECONDS[part[-1]] for part in parts)
    elif isinstance(raw, str) and re.fullmatch(r"\d+(\.\d+)?", raw):
        seconds = float(raw)
    # What is no number is not above 0 either.
    if 0 < seconds <= LONGEST:
        return seconds
    raise BadValue(
        f"{show(raw)} is no duration; "
        "write 90s, 30m, 4h or a number of seconds, more than 0 and at most 365d"
    )


# Type of a key -> how its value is read as it stands: blanks and line breaks are part of it.
READ_AS_IT_STANDS: Mapping[str, Callable[[object], object]] = {
    "text": _text,
    "jobs": _jobs,
    "mapping": _mapping,
    "globs": _globs,
    "places": _places,
}

# Type of a key -> how its value is read without the blanks around it. What is in neither table is a
# text of one line.
READ_STRIPPED: Mapping[str, Callable[[object], object]] = {
    "bool": _bool,
    "count": read_count,
    "duration": _duration,
    "stall": _stall,
    "size": read_size,
    "dollars": read_dollars,
    "int": _int,
    "changes": _changes,
    "variables": _variables,
    "agents": _agents,
}
