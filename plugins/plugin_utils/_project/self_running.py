# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which changes of a job run by themselves elsewhere: at a commit, in an editor, on a CI server.

A patch is read before it is applied, and what a shell or an editor runs as soon as it lies there is
easily read over. So people are told of it. All that is looked at came from a node: each look has a
limit, and what is over it is told too.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest

from .._errors import InputError
from .branch import DeliveredBranch, paths_between
from .git import GitError
from .harvest_files import BUNDLE, NESTED
from .scratch import Scratch, paths_of_patch

# Files by their names, wherever they lie, and folders, which end in a slash; a group for each kind
# of danger. In small letters, for some file systems know no other ones. A star stands for anything
# within a name, `y*ml` for yml and yaml.
RUN_BY_THEMSELVES = (
    # Hooks, and what installs them.
    (
        ".husky/",
        ".githooks/",
        ".git-hooks/",
        "githooks/",
        ".git/hooks/",
        ".pre-commit-config.y*ml",
        ".pre-commit-hooks.y*ml",
        "lefthook.*",
        ".lefthook.*",
        ".overcommit.yml",
        ".gitconfig",
        ".gitmodules",
    ),
    # CI servers, when somebody pushes it.
    (
        ".github/workflows/",
        ".github/actions/",
        ".gitea/workflows/",
        ".forgejo/workflows/",
        ".gitlab-ci.y*ml",
        ".gitlab/",
        ".circleci/",
        ".buildkite/",
        ".woodpecker/",
        ".woodpecker.y*ml",
        ".drone.y*ml",
        ".travis.yml",
        ".cirrus.y*ml",
        ".semaphore/",
        ".teamcity/",
        ".azure-pipelines/",
        "azure-pipelines*.y*ml",
        "bitbucket-pipelines.yml",
        "appveyor.yml",
        ".appveyor.yml",
        "cloudbuild.y*ml",
        "jenkinsfile*",
    ),
    # Shells, when somebody enters the folder.
    (
        ".envrc",
        ".autoenv*",
        ".mise.toml",
        "mise.toml",
        ".bashrc",
        ".zshrc",
        ".profile",
        ".zshenv",
    ),
    # Editors, when somebody opens it.
    (
        ".vscode/",
        ".idea/",
        ".zed/",
        ".fleet/",
        ".devcontainer/",
        ".devcontainer.json",
        "*.code-workspace",
        "*.sublime-project",
        ".dir-locals.el",
        ".exrc",
        ".vimrc",
        ".nvimrc",
        ".nvim.lua",
    ),
    # Agents' settings, with their hooks and servers; not what they are merely told.
    (
        ".claude/settings*.json",
        ".claude/hooks/",
        ".mcp.json",
        ".cursor/",
        ".codex/",
        ".gemini/",
        ".opencode/",
        "opencode.json*",
        ".windsurf/",
        ".kiro/",
        ".continue/",
        ".aider.conf.yml",
    ),
    # Programs that read their settings where they are called.
    (
        "ansible.cfg",
        ".npmrc",
        ".yarnrc",
        ".yarnrc.yml",
        ".pnp.*",
        ".pnpmfile.cjs",
        ".cargo/config*",
        "sitecustomize.py",
        "usercustomize.py",
    ),
)
# So many of the paths are kept; more are counted.
KEPT_MOST = 1000
# How many of them one line names.
NAMED_MOST = 10
# So many paths of one job are looked at. A longer one than this, in bytes, is none of a file.
PATHS_MOST = 200_000
PATH_MOST = 4096
# Files of a harvest: the patch, and a list of what a branch is made of.
PATCH = "changes.patch"
RAW = "branch.raw"
# The commit of such a bundle that holds the files.
WORK = "refs/gummy/work"
# Bytes of branch.raw, of all nested bundles, and of a list of the paths in one.
RAW_MOST = 64 << 20
NESTED_MOST = 512 << 20
LISTING_MOST = 64 << 20
# How long looking at all of one job's nested repositories may take, in seconds.
NESTED_SECONDS = 60.0
# How many characters of a reason are told.
REASON_MOST = 200


@dataclass(frozen=True)
class SelfRunning:
    """What of a job's work runs by itself elsewhere."""

    # The paths, the first of each kind first.
    paths: tuple[str, ...] = ()
    # How many there are, with those that are not kept.
    count: int = 0
    # What could not be looked at, with the reason.
    not_looked_at: tuple[str, ...] = ()

    def describe(self) -> str:
        """What a person is told of them; blank if there is nothing to tell."""
        sentences = []
        if self.paths:
            names = ", ".join(self.paths[:NAMED_MOST])
            more = self.count - len(self.paths[:NAMED_MOST])
            if more:
                names += f", and {more} more"
            sentences.append(f"changes what runs by itself elsewhere, so read it first: {names}")
        if self.not_looked_at:
            sentences.append(f"not looked at for that: {', '.join(self.not_looked_at)}")
        return "; ".join(sentences)


def _as_pattern(name: str) -> str:
    """A regular expression for a name of the table, from the beginning of a component on."""
    pattern = re.escape(name.rstrip("/")).replace(r"y\*ml", "ya?ml").replace(r"\*", "[^/]*")
    # A file or a link in the place of a folder counts as that folder.
    return pattern + (r"(?:/|\Z)" if name.endswith("/") else r"\Z")


_NAMES = [name for kind in RUN_BY_THEMSELVES for name in kind]


@cache
def _fits() -> re.Pattern[str]:
    """One look at a path for all of them; each is a group, so the one that fits has a number.

    Only runs that bring something home need it, and to compile it takes as long as this import.
    """
    return re.compile("(?:^|/)(?:" + "|".join(f"({_as_pattern(name)})" for name in _NAMES) + ")")


def self_running(paths: Iterable[str]) -> list[str]:
    """Those of the paths that run by themselves.

    The first of each kind comes first, then the second of each, and so on, so that many of one kind
    push none of another away; within a kind likewise by names of the table. Of one name those come
    first that lie nearest to the top.
    """
    found: dict[int, list[str]] = {}
    for path in paths:
        match = _fits().search(path.casefold())
        if match is not None:
            found.setdefault(match.lastindex or 0, []).append(path)

    kinds = []
    number = 0
    for names in RUN_BY_THEMSELVES:
        numbers = range(number + 1, number + 1 + len(names))
        number += len(names)
        kinds.append(_in_turns([sorted(found.get(at, []), key=_depth) for at in numbers]))
    return _in_turns(kinds)


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path


def _in_turns(lists: Iterable[Sequence[str]]) -> list[str]:
    """The first of each list, then the second of each, and so on."""
    return [path for turn in zip_longest(*lists) for path in turn if path is not None]


def look_for_self_running(
    folder: str,
    *,
    nested: Sequence[str] = (),
    project: str | None = None,
    delivered: DeliveredBranch | None = None,
) -> SelfRunning:
    """What of a job's work runs by itself elsewhere. Raises nothing.

    folder: of its harvest; nested: the paths of the nested repositories in it; project, delivered:
    the branch that was made in it.
    """
    search = _Search(folder)
    search.look(PATCH, search.in_patch)
    search.look(RAW, search.in_raw)
    if project is not None and delivered is not None:
        base, tip = delivered["base"], delivered["commit"]
        search.look("the branch", lambda: search.in_branch(project, base, tip))
    search.in_nested(nested)

    paths = sorted(path.decode("utf-8", "backslashreplace") for path in search.paths)
    found = self_running(paths)
    return SelfRunning(tuple(found[:KEPT_MOST]), len(found), tuple(search.not_looked_at))


# Of work in which nothing does.
NOTHING = SelfRunning()


class _Search:
    """Collects the paths that a harvest changes."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.paths = set[bytes]()
        self.not_looked_at: list[str] = []

    def look(self, what: str, at: Callable[[], Iterable[bytes]]) -> None:
        """Take the paths of one source, or note why that could not be."""
        try:
            self._take(what, at())
        except (GitError, InputError, OSError) as exc:
            self.not_looked_at.append(f"{what} ({str(exc)[:REASON_MOST]})")

    def _take(self, what: str, paths: Iterable[bytes]) -> None:
        for path in paths:
            if len(self.paths) >= PATHS_MOST:
                self.not_looked_at.append(f"more than {PATHS_MOST} paths ({what})")
                return
            if len(path) <= PATH_MOST:
                self.paths.add(path)

    def _file(self, name: str) -> str | None:
        """The path of a file of the harvest; None if it is not there or blank."""
        path = os.path.join(self._folder, name)
        if os.path.isfile(path) and os.path.getsize(path):
            return path
        return None

    def in_patch(self) -> Iterable[bytes]:
        patch = self._file(PATCH)
        if patch is None:
            return ()
        with tempfile.TemporaryDirectory(prefix="gummy-paths-") as scratch:
            return paths_of_patch(Scratch(scratch), patch)

    def in_raw(self) -> Iterable[bytes]:
        raw = self._file(RAW)
        if raw is None:
            return ()
        if os.path.getsize(raw) > RAW_MOST:
            raise OSError(f"larger than {RAW_MOST >> 20} MiB")
        with open(raw, "rb") as file:
            # Before each path stands what has changed of it.
            return file.read().split(b"\0")[1::2]

    def in_branch(self, project: str, base: str, tip: str) -> Iterable[bytes]:
        with tempfile.TemporaryDirectory(prefix="gummy-paths-") as scratch:
            return paths_between(Scratch(scratch, project), base, tip)

    def in_nested(self, names: Sequence[str]) -> None:
        """Look at the files of the nested repositories, as the agent left them."""
        until = time.monotonic() + NESTED_SECONDS
        left = NESTED_MOST
        for bundle in sorted(self._bundles(), key=lambda name: int(name.partition(".")[0])):
            path = os.path.join(self._folder, NESTED, bundle)
            number = int(bundle.partition(".")[0])
            top = f"{NESTED}/{bundle}"
            if number <= len(names):
                top = names[number - 1]
            left -= os.path.getsize(path)
            seconds = until - time.monotonic()
            if left < 0 or seconds <= 0:
                why = "they are too large" if left < 0 else "it took too long"
                self.not_looked_at.append(f"{NESTED}/{bundle} and what comes after it ({why})")
                return
            self.look(f"{NESTED}/{bundle}", _BundleLook(path, os.fsencode(top), seconds))

    def _bundles(self) -> list[str]:
        folder = os.path.join(self._folder, NESTED)
        if not os.path.isdir(folder):
            return []
        return [name for name in os.listdir(folder) if BUNDLE.fullmatch(name)]


@dataclass(frozen=True)
class _BundleLook:
    """Tells the paths of the files in a nested repository's bundle, below its own path."""

    bundle: str
    top: bytes
    seconds: float

    def __call__(self) -> Iterable[bytes]:
        until = time.monotonic() + self.seconds
        with tempfile.TemporaryDirectory(prefix="gummy-nested-") as folder:
            scratch = Scratch(folder)
            refs = scratch.take_bundle(self.bundle, self.seconds, little_memory=True)
            work = refs.get(WORK, "")
            if not re.fullmatch(r"[0-9a-f]{40}", work):
                raise GitError(f"it has no {WORK}")
            listing = scratch(
                *("ls-tree", "-r", "-z", "--name-only", "--full-tree", work),
                seconds=max(1.0, until - time.monotonic()),
                little_memory=True,
                most=LISTING_MOST,
            )
        return [self.top + b"/" + path for path in listing.split(b"\0")[:-1]]
