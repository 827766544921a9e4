# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a node, read from what its ssh and its shell said.

All of it is data of a stranger: what is no number of its range, no path and no word that is known
counts as not said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from .._links.reader import clean_line, is_path
from .._load.probe import LINE_BEGIN, Measurement, lines_of, parse
from .agents import AGENTS

# Characters that are kept of a sentence, and of a PATH.
SENTENCE_MOST = 200
PATH_MOST = 4096
YES_OR_NO: Mapping[str, bool] = {"yes": True, "no": False}
# Where a program may be found, as doctor.sh calls it.
PLACES = ("login", "session", "interactive", "folder", "elsewhere")
# What installs programs: the word that has it do that, and whether root has to.
MANAGERS: Mapping[str, tuple[str, bool]] = {
    "apt-get": ("apt-get install -y", True),
    "dnf": ("dnf install -y", True),
    "yum": ("yum install -y", True),
    "zypper": ("zypper --non-interactive install", True),
    "pacman": ("pacman -S --noconfirm", True),
    "apk": ("apk add", True),
    "brew": ("brew install", False),
}
# A version as programs tell it.
VERSION = re.compile(r"\d{1,9}\.\d{1,9}(?:\.\d{1,9})?[0-9A-Za-z.+-]{0,40}")
# File systems that another machine holds.
NETWORK_FILE_SYSTEMS = re.compile(
    r"(nfs\d?|cifs|smb\d?|smbfs|afpfs|webdav|9p|ceph|glusterfs|lustre|afs|beegfs"
    r"|fuse\.(sshfs|glusterfs|ceph|rclone|s3fs))\Z"
)
# A device of such a file system: `server:/folder` and `//server/share`.
NETWORK_DEVICE = re.compile(r"[^/\s]+:/|//")


@dataclass(frozen=True)
class Contact:
    """How it went to ask a node."""

    # Why it gave no answer: a kind of LinkError, `silent` (the login works, and then nothing comes)
    # or `no_command` (the login runs no commands); None: it answered.
    kind: str | None = None
    # The same as a part of a sentence, and the last line of what ssh or the node itself said.
    reason: str = ""
    said: str = ""
    # When each line of the answer came, in seconds since 1970, and the line.
    lines: Sequence[tuple[float, str]] = ()
    # When it was asked.
    asked_at: float = 0.0


@dataclass(frozen=True)
class Way:
    """How the controller reaches a node: all of it is the controller's own word."""

    # What a person types before a command there; none for this machine itself.
    words: tuple[str, ...] = ()
    # What `ssh-keygen -R` is to forget, and in which file; blank: not known.
    known_as: str = ""
    known_hosts: str = ""
    # The address that the ssh config gives the node's own name; blank: none, or not asked.
    own_name_leads_to: str = ""


@dataclass(frozen=True)
class Program:
    """A program on a node."""

    # Place of PLACES -> its path.
    paths: Mapping[str, str] = field(default_factory=dict)
    # What its link leads to.
    real: str = ""
    # What it says of its version, one line.
    version_line: str = ""

    @property
    def version(self) -> str | None:
        """Its version, if it tells one."""
        found = VERSION.search(self.version_line)
        return found.group() if found else None


@dataclass(frozen=True)
class NodeFacts:
    """What is known of a node; None and blank stand for what is not known."""

    name: str
    way: Way = Way()
    contact: Contact = Contact()
    # What the inventory knows of it as a machine of the tailnet; empty where it is none.
    tailnet: Mapping[str, object] = field(default_factory=dict)
    # Address of the tailnet -> the node that has it.
    addresses: Mapping[str, str] = field(default_factory=dict)
    # How ansible-playbook was called, as far as another playbook needs it.
    command: str = "ansible-playbook"
    # What the login shell printed before our first line.
    noise: str = ""
    # Key of a line -> how long it took to come, in seconds.
    took: Mapping[str, float] = field(default_factory=dict)
    # What load.sh said.
    measured: Measurement = field(default_factory=Measurement)
    # Bytes of memory, in all.
    memory: int | None = None
    # How far its clock is ahead of this machine's, in seconds.
    clock_ahead: float | None = None
    uid: int | None = None
    # Whether the login says that it is a sandbox, in which agents run as root.
    sandbox: bool = False
    # The name of the user's shell, as bash.
    shell: str = ""
    # The start-up file of a login bash.
    profile: str = ".profile"
    # login, session or interactive -> its PATH.
    paths: Mapping[str, str] = field(default_factory=dict)
    # (version, path) of the Python that was found.
    python: tuple[str, str] | None = None
    # Whether any Python was looked for.
    python_said: bool = False
    programs: Mapping[str, Program] = field(default_factory=dict)
    # Agent -> by what it is logged in: `file`, `settings`, or the name of a variable.
    logins: Mapping[str, frozenset[str]] = field(default_factory=dict)
    # (agent, name) of settings that are made.
    settings: frozenset[tuple[str, str]] = frozenset()
    # Whether the home has specialists of gummy's.
    specialists: bool = False
    # Whether git knows who commits.
    git_identity: bool | None = None
    # What installs programs there, one of MANAGERS.
    manager: str = ""
    # What holds the state, as `server:/folder`, and the kind of its file system.
    device: str = ""
    filesystem: str = ""
    # Properties of logind, and whether the user's processes may outlive the login.
    logind: Mapping[str, str] = field(default_factory=dict)
    linger: bool | None = None
    # What systemd says of sleep.target, and minutes after which macOS sleeps; 0: never.
    sleep_target: str = ""
    sleep_after: int | None = None
    max_sessions: int | None = None
    # The format of the store; None: there is none.
    store_format: int | None = None
    # Whether the folder of the state can be written, and which folder that is, or is to be made in.
    writable: bool | None = None
    state_folder: str = ""

    @property
    def answered(self) -> bool:
        """Whether the node said anything of itself."""
        return self.contact.kind is None

    @property
    def complete(self) -> bool:
        """Whether its answer came to its end: else what is not in it may yet be there."""
        return self.measured.done

    @property
    def network_home(self) -> bool | None:
        """Whether another machine holds its home; None: that is not known."""
        if not self.device and not self.filesystem:
            return None
        return bool(
            NETWORK_FILE_SYSTEMS.match(self.filesystem) or NETWORK_DEVICE.match(self.device)
        )

    def program(self, name: str) -> Program:
        """What is known of a program."""
        return self.programs.get(name, Program())


def read_node(
    name: str,
    contact: Contact,
    tailnet: Mapping[str, object],
    *,
    addresses: Mapping[str, str],
    command: str = "ansible-playbook",
) -> NodeFacts:
    """The facts of a node. The arguments are as the fields of NodeFacts."""
    text = "\n".join(line for _at, line in contact.lines)
    lines = list(lines_of(text))
    last = dict(lines)
    may_write, _blank, state_folder = last.get("writable", "").partition(" ")
    return NodeFacts(
        name=name,
        contact=contact,
        tailnet=tailnet,
        addresses=addresses,
        command=command,
        noise=_noise(text),
        took=_times(contact),
        measured=parse(text),
        memory=_memory(last),
        clock_ahead=_clock_ahead(contact),
        uid=_number(last.get("uid")),
        sandbox=last.get("sandbox") == "1",
        shell=_plain(last.get("shell", "").rpartition("/")[2]),
        profile=_one_of(last.get("profile"), (".bash_profile", ".bash_login", ".profile")),
        paths={
            place: clean_line(path[:PATH_MOST])
            for place, path in _words(lines, "path", 2)
            if place in PLACES
        },
        python=_python(last.get("python", "")),
        python_said="python" in last,
        programs=_programs(lines),
        logins=_logins(lines),
        settings=frozenset(
            (agent, setting) for agent, setting in _words(lines, "setting", 2) if agent in AGENTS
        ),
        specialists="specialists" in last,
        git_identity=YES_OR_NO.get(last.get("identity", "")),
        manager=_one_of(last.get("manager"), (*MANAGERS, "")),
        device=_plain(last.get("disk", "").partition(" ")[0]),
        filesystem=_plain(last.get("filesystem", "")),
        logind=dict(re.findall(r"([A-Za-z]{1,40})=([A-Za-z-]{1,40})", last.get("logind", ""))),
        linger=YES_OR_NO.get(last.get("linger", "")),
        sleep_target=_plain(last.get("sleep_target", "")),
        sleep_after=_number(last.get("sleep_after")),
        max_sessions=_number(last.get("max_sessions")),
        store_format=_number(last.get("store")),
        writable=YES_OR_NO.get(may_write),
        state_folder=_path(state_folder),
    )


def _words(lines: Sequence[tuple[str, str]], key: str, count: int) -> Iterator[Any]:
    """The values of a key in so many words, the last of which may have blanks."""
    for name, value in lines:
        row = tuple(value.split(" ", count - 1))
        if name == key and len(row) == count:
            yield row


def _memory(last: Mapping[str, str]) -> int | None:
    """Bytes of memory: Linux tells kB of it, macOS bytes."""
    kilobytes = _number(last.get("MemTotal:"))
    if kilobytes is not None:
        return 1024 * kilobytes
    return _number(last.get("memsize"))


def _python(line: str) -> tuple[str, str] | None:
    version, _blank, path = line.partition(" ")
    if VERSION.fullmatch(version) and is_path(path):
        return version, path
    return None


def _programs(lines: Sequence[tuple[str, str]]) -> dict[str, Program]:
    versions = dict(_words(lines, "version", 2))
    real = dict(_words(lines, "real", 2))
    return {
        name: Program(paths, _path(real.get(name, "")), _sentence(versions.get(name, "")))
        for name, paths in _program_paths(lines).items()
    }


def _program_paths(lines: Sequence[tuple[str, str]]) -> dict[str, dict[str, str]]:
    known = {name for row in AGENTS.values() for name in row.programs} | {"rsync", "git"}
    paths: dict[str, dict[str, str]] = {name: {} for name in known}
    for name, place, path in _words(lines, "program", 3):
        if name in known and place in PLACES and is_path(path):
            paths[name][place] = path
    return paths


def _logins(lines: Sequence[tuple[str, str]]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for agent, how in _words(lines, "login", 2):
        login = AGENTS[agent].login if agent in AGENTS else None
        if login is not None and how in ("file", "settings", *login.variables):
            found.setdefault(agent, set()).add(how)
    return {agent: frozenset(ways) for agent, ways in found.items()}


def _noise(text: str) -> str:
    """What the login shell printed, on one line."""
    before, begin, _after = text.partition(LINE_BEGIN)
    if not begin:
        return ""
    return _sentence(" ".join(before[: 4 * SENTENCE_MOST].split()))


def _times(contact: Contact) -> dict[str, float]:
    """How long each key took to come after the line before it."""
    times: dict[str, float] = {}
    before = (contact.asked_at, "")
    for (earlier, _line), (at, line) in pairwise([before, *contact.lines]):
        for key, _value in lines_of(line):
            times[key] = times.get(key, 0.0) + max(0.0, at - earlier)
    return times


def _clock_ahead(contact: Contact) -> float | None:
    """It tells whole seconds, so half of one is what it has left out, in the mean."""
    for at, line in contact.lines:
        for key, value in lines_of(line):
            number = _number(value)
            if key == "clock" and number is not None:
                return round(number + 0.5 - at, 1)
    return None


def _number(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"\d{1,15}", text):
        return None
    return int(text)


def _path(text: str) -> str:
    """A path that can be shown; blank for anything else."""
    return text if is_path(text) else ""


def _one_of(word: str | None, words: Sequence[str]) -> str:
    return word if word is not None and word in words else words[-1]


def _plain(text: str) -> str:
    """A word that is shown."""
    return clean_line(text[:64])


def _sentence(text: str) -> str:
    return clean_line(text[:SENTENCE_MOST]).strip()
