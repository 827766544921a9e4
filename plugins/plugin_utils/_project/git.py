# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What git says of the user's project: what it ignores, and where its repository lies.

Only read, never written.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import IO, Any

from .._errors import InputError
from .._links.process import (
    WITH_LITTLE_MEMORY,
    DeadlinePassed,
    NotStarted,
    Process,
    TooMuchOutput,
)
from .._node.durations import spoken

# Settings with which nothing of the user's runs, and nothing but what was asked for is written,
# whatever the settings of the user and the repository say. Whose folders git looks into at all is
# its own rule, safe.directory, and the user's word: there is nothing about it here.
QUIET = (
    "safe.bareRepository=explicit",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "core.sparseCheckout=false",
    f"core.hooksPath={os.devnull}",
    # Newer gits take hooks from settings too; these are the events of the commands used here.
    "hook.reference-transaction.enabled=false",
    "hook.post-index-change.enabled=false",
    # A repository that borrows objects would be asked by it for what it has.
    "core.alternateRefsCommand=true",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "protocol.allow=never",
)
# The same as QUIET, for what a repository's own settings could undo: nothing is fetched, by no
# protocol, however old this git is, and nobody is asked. A git that doesn't know one ignores it.
NOTHING_RUNS = {
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_SSH_COMMAND": "false",
    "GIT_PROXY_COMMAND": "false",
    "GIT_ASKPASS": "false",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "false",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    # The filter of git-lfs would fetch what it has not got.
    "GIT_LFS_SKIP_SMUDGE": "1",
}
# Calls a program that may take 16 GB of memory, where the system can hold it to that: git keeps in
# memory what a filter of the user's prints, which may have no end.
WITH_FILTERS = ("/bin/sh", "-c", 'ulimit -v 16000000 2>/dev/null; exec "$@"', "sh")
# Which files git takes the user's own settings from, safe.directory among them, stays as it is.
USERS_OWN = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
# What `ls-files -t -s` says of a tracked file before its path: letter, mode, object, stage.
TRACKED = re.compile(rb"[A-Zac-z] \d{6} [0-9a-f]{40,64} \d\t")
# How many of the last characters that a git says of its failure are passed on.
MESSAGE_MOST = 1000
# What git says where it has looked in the folder and in all above, and found no repository.
NO_REPOSITORY = "not a git repository (or any"
# How long a git may take, in seconds. Of a strange project it may read a pipe to which nobody
# writes.
SECONDS_MOST = 300.0
# The same for one that takes in a harvest.
LARGE_SECONDS_MOST = 3600.0
# Bytes of what it prints.
OUTPUT_MOST = 1 << 30


class ProjectError(InputError):
    """The project can't be read; the message says what to do."""


class GitError(Exception):
    """A git that did not do its work, in its own words."""


def git(
    folder: str,
    *words: str,
    stdin: bytes | IO[bytes] = b"",
    index: str | None = None,
    objects: str | None = None,
    settings: Mapping[str, str] | None = None,
    seconds: float | None = None,
    little_memory: bool = False,
    with_filters: bool = False,
    most: int = OUTPUT_MOST,
) -> bytes:
    """What a git prints about the repository that this folder is in.

    words: command and options; stdin: its input, or a file of it; index: path of a file used in
    place of the repository's own index; objects: of a folder in place of its objects; settings:
    more than QUIET, whatever their names hold; seconds: after which it is ended with all that it
    called, SECONDS_MOST if it is None; little_memory: end it when it takes much of that;
    with_filters: whether it runs filters of the user's; most: bytes of its output, with more it is
    ended.

    Raises GitError, and ProjectError where there is no git.
    """
    argv = ["git", "--no-pager"]
    for setting in QUIET:
        argv += ["-c", setting]
    argv += words
    if little_memory:
        argv = [*WITH_LITTLE_MEMORY, *argv]
    elif with_filters:
        argv = [*WITH_FILTERS, *argv]

    env = {**_environment(index, objects), **_as_variables(settings or {})}
    given: dict[str, Any] = {"data": stdin} if isinstance(stdin, bytes) else {"source": stdin}
    deadline = SECONDS_MOST if seconds is None else seconds
    command = _command_in(words)
    try:
        process = Process(argv, env=env, folder=folder, **given)
    except NotStarted as exc:
        if not os.path.isdir(folder):
            raise GitError(f"{folder} is not there") from None
        if shutil.which("git") is not None:
            raise GitError(f"{exc} in {folder}") from None
        raise ProjectError(
            [f"{folder} is a git project, and git is not on this machine's PATH: install git"]
        ) from None
    try:
        out = process.output(deadline, most)
        status = process.status()
        errors = process.errors()
    except TooMuchOutput as exc:
        raise GitError(f"git {command} in {folder} was ended, for {exc}") from None
    except DeadlinePassed:
        raise GitError(
            f"git {command} in {folder} took longer than {spoken(deadline)} and was ended: look "
            "for a named pipe among its settings and its files .gitignore, or for a silent disk"
        ) from None
    finally:
        process.close()

    if status:
        message = errors.strip()[-MESSAGE_MOST:]
        raise GitError(message or f"git {command} ended with {status}")
    return out


def _command_in(words: Sequence[str]) -> str:
    """The command's name, behind options and their settings."""
    before = ("", *words)
    return next(
        word
        for last, word in zip(before, words, strict=False)
        if not word.startswith("-") and last != "-c"
    )


def _as_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings as variables of git's, for `-c` splits at the first = of a name."""
    env = {}
    if settings:
        env["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (name, value) in enumerate(settings.items()):
        env[f"GIT_CONFIG_KEY_{number}"] = name
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    return env


def without_hooks(folder: str) -> dict[str, str]:
    """Settings that turn off each hook that the settings of this repository name.

    A git since 2.54 takes hooks from there, by whatever names, and 2.54 itself knows no way to turn
    off all of them. Raises GitError.
    """
    listing = git(folder, "config", "--list", "--name-only", "-z")
    names = {name.rpartition(b".")[0] for name in listing.split(b"\0") if name.startswith(b"hook.")}
    return {os.fsdecode(name) + ".enabled": "false" for name in sorted(names) if b"." in name}


def _environment(index: str | None, objects: str | None) -> dict[str, str]:
    """Ours without what the caller's shell set for other repositories."""
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("GIT_") or key in USERS_OWN
    }
    env.update(NOTHING_RUNS)
    env["SSH_ASKPASS"] = "false"
    env["LC_ALL"] = "C"
    if index is not None:
        env["GIT_INDEX_FILE"] = index
    if objects is not None:
        env["GIT_OBJECT_DIRECTORY"] = objects
    return env


@dataclass(frozen=True)
class Project:
    """A project as far as its sync has to know it."""

    # Where it lies on this machine.
    path: str
    # Whether git says what belongs to it; without git all that lies there does.
    is_git: bool = False
    # Whether it has a repository of its own, and is no mere folder of another one's tree.
    is_top: bool = False
    # What git says belongs to it, as paths from the project's top; some may not be there.
    listed: tuple[bytes, ...] = ()
    # What git ignores, as paths from the project's top; folders have a slash at their end.
    ignored: tuple[bytes, ...] = ()
    # Paths of `.git`s inside of the project that make no sense on another machine.
    plain: tuple[bytes, ...] = ()
    # The repositories inside of the project that go along as such, as paths with a slash at their
    # end.
    inner: tuple[bytes, ...] = ()
    # (folder, its path in the workspace) of those that together make the workspace's `.git`; none
    # if the project's own is good as it is.
    parts: tuple[tuple[str, str], ...] = ()


def project_at(path: str) -> Project:
    """The project at this path, as git knows it. Raises ProjectError."""
    try:
        prefix = prefix_in_git(path)
        if prefix is None:
            return Project(path)
        found = _Found()
        _look_into(path, b"", found)
        if b"./" in found.ignored:
            # The repository above ignores it, so it is nobody's git project.
            return Project(path)
        parts = tuple(_repository_parts(path))
        return Project(
            path,
            is_git=True,
            is_top=bool(parts) or not prefix,
            listed=tuple(found.listed),
            ignored=tuple(found.ignored),
            plain=tuple(found.plain),
            inner=tuple(found.inner),
            parts=parts,
        )
    except GitError as exc:
        raise ProjectError([f"git can't read the project {path}: {exc}"]) from None


def in_git(path: str) -> bool:
    """Whether git says that a repository is here or above. Raises as prefix_in_git does."""
    return prefix_in_git(path) is not None


def prefix_in_git(path: str) -> bytes | None:
    """The path of this folder in the repository that is here or above; None if there is none.

    It ends with a slash, and at the top it is blank. A `.git` alone proves nothing: some agents
    leave an empty one, in /tmp too. Raises GitError for a repository that git refuses or can't
    read, and ProjectError where it would have to be asked and is not there.
    """
    if not any(
        os.path.lexists(os.path.join(folder, ".git"))
        for folder in (path, *map(str, PurePath(path).parents))
    ):
        # Without the name there is nothing that git could find.
        return None
    try:
        return git(path, "rev-parse", "--show-prefix").removesuffix(b"\n")
    except GitError as exc:
        if NO_REPOSITORY not in str(exc):
            raise
        if os.path.lexists(os.path.join(path, ".git", "objects")):
            # What it ignores would go to the nodes, if this were taken for a folder without git.
            raise GitError(
                f"{path}/.git has objects, and git finds no repository there: its HEAD or its refs "
                "are missing or broken"
            ) from None
        return None


@dataclass
class _Found:
    """What was found of a project until now; the fields are those of Project."""

    listed: list[bytes] = field(default_factory=list)
    ignored: list[bytes] = field(default_factory=list)
    plain: list[bytes] = field(default_factory=list)
    inner: list[bytes] = field(default_factory=list)


def _look_into(top: str, below: bytes, found: _Found) -> None:
    """Find what git says of a repository, and of those inside of it.

    Git by itself doesn't look into repositories inside of another one. below: path of the
    repository from the project's top, with a slash at its end, or blank. Raises GitError.
    """
    ignored_names, entries = _list_files(os.path.join(top, os.fsdecode(below)))
    found.ignored += [below + name for name in ignored_names]
    if b"./" in ignored_names:
        return

    for entry in entries:
        is_submodule = entry.startswith((b"H 160000 ", b"S 160000 "))
        # Of what git tracks a mode and more stand before the path.
        tracked = TRACKED.match(entry)
        name = entry[tracked.end() :] if tracked else entry[2:]
        inner = below + name + (b"/" if is_submodule else b"")
        if not inner.endswith(b"/"):
            found.listed.append(inner)
            continue
        git_dir = os.path.join(top, os.fsdecode(inner), ".git")
        if is_submodule and not is_top(os.path.join(top, os.fsdecode(inner))):
            # It was never fetched, and git reads a `.git` that is none as if it was not there. Of
            # files that lie there git says nothing.
            found.listed += _files_below(top, inner)
            continue
        if not os.path.lexists(git_dir):
            continue
        if is_submodule or _reaches_out(git_dir):
            found.plain.append(inner + b".git")
        else:
            found.inner.append(inner)
        _look_into(top, inner, found)


def _files_below(top: str, below: bytes) -> Iterator[bytes]:
    """Paths of all files and links in a folder, from the top."""
    root = os.fsencode(top)
    for folder, inner, names in os.walk(os.path.join(root, below)):
        links = [name for name in inner if os.path.islink(os.path.join(folder, name))]
        for name in names + links:
            yield os.path.relpath(os.path.join(folder, name), root)


def is_top(folder: str) -> bool:
    """Whether git takes this folder for the top of a repository. Raises GitError."""
    return prefix_in_git(folder) == b""


def _list_files(folder: str) -> tuple[list[bytes], list[bytes]]:
    """(what git ignores here; all that it knows or could, with a letter and a mode before it)."""

    def list_with(words: Sequence[str]) -> list[bytes]:
        listing = git(folder, "ls-files", "-z", "--exclude-standard", *words)
        return [name for name in listing.split(b"\0") if name]

    # Each may take seconds in a large project.
    with ThreadPoolExecutor(2) as pool:
        ignored = pool.submit(list_with, ("-oi", "--directory"))
        entries = pool.submit(list_with, ("-t", "-s", "-o"))
    return ignored.result(), entries.result()


def _reaches_out(git_dir: str) -> bool:
    """Whether a `.git` is a link or a mere file to the real one, or takes another's objects."""
    if os.path.islink(git_dir):
        return True
    alternates = os.path.join(git_dir, "objects", "info", "alternates")
    return not os.path.isdir(git_dir) or os.path.exists(alternates)


def _repository_parts(path: str) -> list[tuple[str, str]]:
    """The folders that make the project's repository, and their paths in the workspace.

    Of two that have the same file the first one's counts: a worktree's own HEAD and index before
    those of the repository. Raises GitError.
    """
    own = os.path.join(path, ".git")
    if not os.path.lexists(own) or not (_reaches_out(own) or _names_a_tree(own)):
        return []

    git_dirs = _lines(path, "rev-parse", "--absolute-git-dir", "--git-common-dir")[:2]
    # In a repository that is no worktree both are the same.
    folders = dict.fromkeys(os.path.realpath(os.path.join(path, folder)) for folder in git_dirs)
    alternates = [
        line.partition(": ")[2].strip('"')
        for line in _lines(path, "count-objects", "-v")
        if line.startswith("alternate: ")
    ]
    parts = [(folder, ".git") for folder in folders]
    return parts + [(folder, ".git/objects") for folder in alternates]


def _lines(folder: str, *words: str) -> list[str]:
    return git(folder, *words).decode(errors="surrogateescape").split("\n")


def _names_a_tree(git_dir: str) -> bool:
    """Whether core.worktree may be set, so that what git reads as the project may be another's."""
    try:
        with open(os.path.join(git_dir, "config"), "rb") as file:
            return b"worktree" in file.read().lower()
    except OSError:
        return False
