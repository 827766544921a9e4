# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What git says of the user's project: what it ignores, and where its repository lies.

Only read, never written.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, Any

from .._errors import InputError

# Nothing of the user's runs, nothing but what was asked for is written, whatever the settings of
# the user and the repository say.
QUIET = (
    "safe.directory=*",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "core.sparseCheckout=false",
    f"core.hooksPath={os.devnull}",
    "gc.auto=0",
    "maintenance.auto=false",
)


class ProjectError(InputError):
    """The project can't be read; the message says what to do."""


class GitError(Exception):
    """A git that did not do its work; its own words."""


def git(
    folder: str, *words: str, stdin: bytes | IO[bytes] = b"", index: str | None = None
) -> bytes:
    """stdout of a git about the repository that this folder is in. index: a file used in place of
    the repository's own. Raises GitError.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env |= {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    } | ({"GIT_INDEX_FILE": index} if index else {})
    argv = ["git", *(word for setting in QUIET for word in ("-c", setting)), *words]
    given: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    try:
        done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, check=False, **given)
    except FileNotFoundError:
        raise ProjectError(
            [f"{folder} is a git project, and git is not on this machine's PATH: install git"]
        ) from None
    if done.returncode:
        raise GitError(
            done.stderr.decode(errors="backslashreplace").strip()[-1000:]
            or f"git {words[0]} ended with {done.returncode}"
        )
    out: bytes = done.stdout
    return out


@dataclass(frozen=True)
class Project:
    """ignored: paths from the project's top, folders with a slash at their end. plain:

    `.git`s that make no sense on another machine.

    parts: folders that together make the `.git` of the workspace, and their places in it; none if
    the project's own is good as it is.
    """

    path: str
    ignored: tuple[bytes, ...] = ()
    plain: tuple[bytes, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()


def project_at(path: str) -> Project:
    """Raises ProjectError."""
    if not in_git(path):
        return Project(path)
    try:
        ignored, plain = _looked_into(path, b"")
        # Of the repository above, so it is nobody's git project.
        if b"./" in ignored:
            return Project(path)
        return Project(path, tuple(ignored), tuple(plain), tuple(_parts(path)))
    except GitError as exc:
        raise ProjectError([f"git can't read the project {path}: {exc}"]) from None


def in_git(path: str) -> bool:
    return any(
        os.path.lexists(os.path.join(folder, ".git"))
        for folder in (path, *map(str, PurePath(path).parents))
    )


def _looked_into(top: str, below: bytes) -> tuple[list[bytes], list[bytes]]:
    """(ignored, plain) of the repository there, and of those inside it, which git by itself doesn't
    look into.
    """
    folder = os.path.join(top, os.fsdecode(below))
    with ThreadPoolExecutor(2) as pool:
        listings = pool.map(
            lambda words: _names(git(folder, "ls-files", "-z", "--exclude-standard", *words)),
            (("-oi", "--directory"), ("-t", "-s", "-o")),
        )
    ignored = [below + name for name in next(listings)]
    plain = list[bytes]()
    if below + b"./" in ignored:
        return ignored, plain
    for entry in next(listings):
        submodule = entry.startswith((b"H 160000 ", b"S 160000 "))
        inner = below + (entry.partition(b"\t")[2] + b"/" if submodule else entry[2:])
        if not inner.endswith(b"/") or not os.path.lexists(
            os.path.join(os.fsencode(top), inner, b".git")
        ):
            continue
        if submodule or _reaches_out(os.path.join(top, os.fsdecode(inner), ".git")):
            plain.append(inner + b".git")
        more, deeper = _looked_into(top, inner)
        ignored += more
        plain += deeper
    return ignored, plain


def _names(listing: bytes) -> list[bytes]:
    return [name for name in listing.split(b"\0") if name]


def _reaches_out(git_dir: str) -> bool:
    """Whether it is merely a file that names the real one, or takes objects from another
    repository.
    """
    return not os.path.isdir(git_dir) or os.path.exists(
        os.path.join(git_dir, "objects", "info", "alternates")
    )


def _parts(path: str) -> list[tuple[str, str]]:
    """Of two parts that have the same file the first one's counts: a worktree's own HEAD and index
    before those of the repository.
    """
    own = os.path.join(path, ".git")
    if not os.path.lexists(own) or not (_reaches_out(own) or _names_a_tree(own)):
        return []
    found = (
        git(path, "rev-parse", "--absolute-git-dir", "--git-common-dir")
        .decode(errors="surrogateescape")
        .split("\n")
    )
    folders = dict.fromkeys(os.path.realpath(os.path.join(path, folder)) for folder in found[:2])
    counted = git(path, "count-objects", "-v").decode(errors="surrogateescape").split("\n")
    alternates = [
        line.partition(": ")[2].strip('"') for line in counted if line.startswith("alternate: ")
    ]
    return [
        *((folder, ".git") for folder in folders),
        *((folder, ".git/objects") for folder in alternates),
    ]


def _names_a_tree(git_dir: str) -> bool:
    """Whether core.worktree may be set: it would lead the agent's git to a path of this machine."""
    try:
        with open(os.path.join(git_dir, "config"), "rb") as file:
            return b"worktree" in file.read().lower()
    except OSError:
        return False


def portable_config(parts: Sequence[tuple[str, str]], folder: str) -> None:
    """Into this folder: the repository's settings without those that bind it to this machine.

    Times are kept, so that it is sent once.
    """
    own = parts[0][0]
    common = [source for source, place in parts if place == ".git"][-1]
    config = os.path.join(folder, "config")
    with open(config, "wb") as file, open(os.path.join(common, "config"), "rb") as source:
        file.write(source.read())
    git(folder, "config", "--file", config, "core.bare", "false")
    # Unset fails where there is none.
    git(folder, "config", "--file", config, "core.worktree", "x")
    git(folder, "config", "--file", config, "--unset-all", "core.worktree")
    os.utime(config, ns=(0, os.stat(os.path.join(common, "config")).st_mtime_ns))
    if own != common and not os.path.exists(os.path.join(own, "config.worktree")):
        # Else the one of the main work tree would count.
        open(os.path.join(folder, "config.worktree"), "w").close()
        os.utime(os.path.join(folder, "config.worktree"), (0, 0))
