# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the controller: gathered here, all at once, and nothing is changed."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .._files.paths import cache_home, config_home, state_home
from .._fleet.fleet import Fleet, Tailnet
from .._links.at_once import CompletedCommand, run_all
from .._links.reader import clean_line
from .node_facts import SENTENCE_MOST

# How long all programs here may take, in seconds.
SECONDS = 5.0
# A name that no host has: what ssh's config says of it, it says of every host.
NOBODY = "gummy-no-host-has-this-name"
# Program -> what it is asked.
QUESTIONS: Mapping[str, Sequence[str]] = {
    "ssh": ("ssh", "-V"),
    "ssh_config": ("ssh", "-G", "--", NOBODY),
    "rsync": ("rsync", "--version"),
    "git": ("git", "--version"),
}


@dataclass(frozen=True)
class Answer:
    """What a program here said."""

    # Its path; blank: it is not there.
    path: str = ""
    # The first line of its stdout, or else of its stderr, and the last one of its stderr.
    first_line: str = ""
    last_error: str = ""
    # Its exit status; None: it did not end by itself.
    status: int | None = None


@dataclass(frozen=True)
class Folder:
    """A folder of the collection here, which need not be there yet."""

    path: str
    # Why it can't be used, as a part of a sentence; None: it can.
    trouble: str | None = None
    # The part of its path that the trouble is about.
    about: str = ""
    # Bytes that are free for the user.
    free: int | None = None


@dataclass(frozen=True)
class ControllerFacts:
    """What is known of the controller."""

    # The time, in seconds since 1970.
    now: float = 0.0
    # How ansible-playbook was called, as far as another playbook needs it.
    command: str = "ansible-playbook"
    # How many nodes the play has.
    nodes: int = 0
    # Versions of ansible-core and of the Python that runs it.
    ansible: str = ""
    python: str = ""
    # Name of QUESTIONS -> its answer.
    answers: Mapping[str, Answer] = field(default_factory=dict)
    # Path of dw; blank: it is not there.
    dw: str = ""
    tailnets: Sequence[Tailnet] = ()
    # What is wrong with the config file and with settings of hosts, sentences.
    config_problems: Sequence[str] = ()
    setting_problems: Sequence[str] = ()
    config_path: str = ""
    # Names in the config file that are no host of the play.
    unknown_names: Sequence[str] = ()
    state: Folder = Folder("")
    cache: Folder = Folder("")
    # Whether the user is root, who needs no sudo.
    is_root: bool = False
    # Whether this is macOS.
    macos: bool = False

    def answer(self, name: str) -> Answer:
        """What a program said."""
        return self.answers.get(name, Answer())


def gather_controller(fleet: Fleet) -> ControllerFacts:
    """The facts of this machine. Raises nothing."""
    commands = {name: argv for name, argv in QUESTIONS.items() if shutil.which(argv[0])}
    completed = run_all(commands, timeout=SECONDS)
    around = fleet.surroundings
    return ControllerFacts(
        now=time.time(),
        command=fleet.command,
        nodes=len(fleet.names),
        ansible=around.ansible,
        python=platform.python_version(),
        answers={name: _answer(commands[name][0], each) for name, each in completed.items()},
        dw=shutil.which("dw") or "",
        tailnets=around.tailnets,
        config_problems=around.config_problems,
        setting_problems=around.setting_problems,
        config_path=os.path.join(config_home(), "config.yaml"),
        unknown_names=_unknown_names(fleet),
        state=look_at(state_home()),
        cache=look_at(cache_home()),
        is_root=os.geteuid() == 0,
        macos=platform.system() == "Darwin",
    )


def _answer(program: str, completed: CompletedCommand) -> Answer:
    errors = completed.err.strip().splitlines()
    lines = [*completed.out.strip().splitlines()[:1], *errors[:1], completed.trouble or ""]
    return Answer(
        shutil.which(program) or "",
        clean_line(next(filter(None, lines), "")[:SENTENCE_MOST]),
        clean_line(errors[-1][:SENTENCE_MOST]) if errors else "",
        completed.status,
    )


def _unknown_names(fleet: Fleet) -> tuple[str, ...]:
    """What the config says of nodes that the play does not have."""
    config = fleet.config
    preferred = [name for names in config.host_preferences.values() for name in names]
    known = {*fleet.candidates, *(name for name, _reason in fleet.left_out)}
    return tuple(sorted({*config.nodes, *preferred} - known))


def look_at(path: str) -> Folder:
    """Whether a folder can be used, or else be made."""
    about = path
    while not os.path.lexists(about) and os.path.dirname(about) != about:
        about = os.path.dirname(about)
    free = None
    try:
        info = os.stat(about)
        trouble = _trouble(path, about, info)
        disk = os.statvfs(about)
        free = disk.f_bavail * disk.f_frsize
    except OSError as exc:
        trouble = f"can't be looked at ({exc.strerror})"
    return Folder(path, trouble, about, free)


def _trouble(path: str, about: str, info: os.stat_result) -> str | None:
    if not stat.S_ISDIR(info.st_mode):
        return "is no folder"
    if about == path and info.st_uid != os.geteuid():
        return "belongs to another user"
    if not os.access(about, os.W_OK | os.X_OK):
        return "can't be written"
    return None
