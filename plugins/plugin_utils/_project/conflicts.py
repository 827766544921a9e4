# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files several jobs of a run changed, and in which order their patches apply.

The order is found by trying, in a repository and indexes of our own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from .git import GitError, git
from .home_patch import NODE_PATCH
from .scratch import PATCH_SECONDS, REPOSITORY, Scratch, paths_of_patch

# How many patches are applied at most for one project; then the longest order so far counts.
TRIES_MOST = 100
# How long the search may take for one project, in seconds; likewise.
SEARCH_SECONDS = 120.0
# How many files are told of one project.
FILES_MOST = 1000
# Attributes by which git takes the content of files as it is.
PLAIN_ATTRIBUTES = "* -text !eol -ident -filter -working-tree-encoding -merge\n"


class ConflictingFile(TypedDict):
    """A file that several jobs changed."""

    # From the project's top.
    path: str
    # Their names, in the order of the run.
    jobs: list[str]


class Conflict(TypedDict):
    """Jobs of one project that changed the same files, as it stands in run.json."""

    # Where the project lies.
    project: str
    files: list[ConflictingFile]
    # Jobs whose patches apply one after the other.
    order: list[str]
    # Jobs whose patches don't apply after those.
    left: list[str]
    # Jobs whose patches git can't read, or not with little memory and in a minute: they are not
    # looked at.
    unread: list[str]


def find_conflicts(rows: Iterable[Mapping[str, Any]]) -> list[Conflict]:
    """The conflicts of a run, by project. rows: the jobs of run.json."""
    patches: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["project"] and row["patch"] and os.path.exists(row["patch"]):
            # Orders are tried on files as they lie there.
            as_it_came = os.path.join(os.path.dirname(row["patch"]), NODE_PATCH)
            patch = as_it_came if os.path.exists(as_it_came) else row["patch"]
            patches.setdefault(row["project"], {})[row["name"]] = patch

    conflicts = [
        _find_in_project(project, named) for project, named in patches.items() if len(named) > 1
    ]
    return [conflict for conflict in conflicts if conflict is not None]


def _find_in_project(project: str, patches: Mapping[str, str]) -> Conflict | None:
    """patches: the paths of the jobs' patches, by name."""
    try:
        with tempfile.TemporaryDirectory(prefix="gummy-order-") as folder:
            scratch = Scratch(folder)
            changed, unread = _read_patches(scratch, patches)
            shared = _shared(changed)
            if not shared:
                return None

            involved = [name for name in changed if any(name in names for names in shared.values())]
            search = _OrderSearch(project, folder)
            tried = [name for name in involved if search.takes_files(changed[name])]
            order = search.find({name: patches[name] for name in tried})
    except (GitError, OSError):
        # A report that can't be made spoils no run.
        return None

    files: list[ConflictingFile] = [
        {"path": path.decode("utf-8", "backslashreplace"), "jobs": names}
        for path, names in shared.items()
    ]
    return {
        "project": project,
        "files": files[:FILES_MOST],
        "order": order,
        "left": [name for name in involved if name not in order],
        "unread": unread,
    }


def _read_patches(
    scratch: Scratch, patches: Mapping[str, str]
) -> tuple[dict[str, set[bytes]], list[str]]:
    """The paths that each patch changes, and the jobs whose patch can't be read.

    One bad patch hides nothing of the others.
    """
    changed = {}
    unread = []
    for name, patch in patches.items():
        try:
            changed[name] = paths_of_patch(scratch, patch)
        except (GitError, OSError):
            unread.append(name)
    return changed, unread


def _shared(changed: Mapping[str, Iterable[bytes]]) -> dict[bytes, list[str]]:
    """Paths that more than one job changed, sorted, with the jobs' names."""
    jobs: dict[bytes, list[str]] = {}
    for name, paths in changed.items():
        for path in paths:
            jobs.setdefault(path, []).append(name)
    return {path: names for path, names in sorted(jobs.items()) if len(names) > 1}


class _OrderSearch:
    """Tries orders of patches on the project's files as they are now. Raises GitError, OSError."""

    def __init__(self, project: str, scratch: str) -> None:
        """scratch: the folder of a repository of ours."""
        self._project = project
        self._scratch = scratch
        self._tries = 0
        self._until = time.monotonic() + SEARCH_SECONDS
        self._git_words = (
            f"--git-dir={scratch}/{REPOSITORY}",
            f"--work-tree={project}",
            "-c",
            "core.autocrlf=false",
            "-c",
            "core.safecrlf=false",
        )
        self._first_index = os.path.join(scratch, "index-0")
        os.makedirs(f"{scratch}/{REPOSITORY}/info", exist_ok=True)
        with open(f"{scratch}/{REPOSITORY}/info/attributes", "w", encoding="ascii") as file:
            file.write(PLAIN_ATTRIBUTES)

    def takes_files(self, paths: Iterable[bytes]) -> bool:
        """Read the project's files of a patch into the first index; False: git refuses a path."""
        top = os.fsencode(self._project)
        existing = [path for path in sorted(paths) if _is_file(os.path.join(top, path))]
        try:
            self._git(
                "update-index",
                "--add",
                "-z",
                "--stdin",
                stdin=b"".join(path + b"\0" for path in existing),
                index=self._first_index,
            )
        except GitError:
            return False
        return True

    def _git(
        self, *words: str, stdin: bytes = b"", index: str, seconds: float | None = None
    ) -> None:
        git(
            self._project,
            *self._git_words,
            *words,
            stdin=stdin,
            index=index,
            seconds=seconds,
            # A patch may say that it is larger than any memory.
            little_memory=seconds is not None,
        )

    def find(self, patches: Mapping[str, str]) -> list[str]:
        """The longest order that was found in which they apply, each after those before it."""
        return self._find_after(self._first_index, patches, [])

    def _find_after(
        self, index: str, patches: Mapping[str, str], begun: Sequence[str]
    ) -> list[str]:
        """The same, after the patches `begun`, which made this index."""
        best = list(begun)
        for name in patches:
            is_over = self._tries >= TRIES_MOST or time.monotonic() > self._until
            if name in begun or is_over:
                continue
            next_index = self._apply(index, patches[name])
            if next_index is not None:
                order = self._find_after(next_index, patches, [*begun, name])
                if len(order) > len(best):
                    best = order
            if len(best) == len(patches):
                break
        return best

    def _apply(self, index: str, patch: str) -> str | None:
        """A new index with the patch; None if it does not apply."""
        self._tries += 1
        copy = os.path.join(self._scratch, f"index-{self._tries}")
        # Without any file there is no index yet.
        if os.path.exists(index):
            shutil.copyfile(index, copy)
        try:
            words = ("apply", "--cached", "--whitespace=nowarn", patch)
            self._git(*words, index=copy, seconds=PATCH_SECONDS)
        except GitError:
            return None
        return copy


def _is_file(path: bytes) -> bool:
    return os.path.islink(path) or os.path.isfile(path)
