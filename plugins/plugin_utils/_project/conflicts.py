# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files several jobs of a run changed, and in which order their patches apply.

The order is found by trying, in a repository and indexes of our own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from .git import GitError, git

# How many patches are applied at most for one project; then the longest order so far counts.
TRIES_MOST = 100
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


def find_conflicts(rows: Iterable[Mapping[str, Any]]) -> list[Conflict]:
    """The conflicts of a run, by project. rows: the jobs of run.json."""
    patches: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["project"] and row["patch"] and os.path.exists(row["patch"]):
            patches.setdefault(row["project"], {})[row["name"]] = row["patch"]

    conflicts = [
        _find_in_project(project, named) for project, named in patches.items() if len(named) > 1
    ]
    return [conflict for conflict in conflicts if conflict is not None]


def _find_in_project(project: str, patches: Mapping[str, str]) -> Conflict | None:
    """patches: the paths of the jobs' patches, by name."""
    try:
        with tempfile.TemporaryDirectory(prefix="gummy-order-") as scratch:
            git(scratch, "init", "-q", "--bare", "--template=", "repository")
            changed = _changed_by_each(scratch, patches)
            shared = _shared(changed)
            if not shared:
                return None

            involved = [name for name in patches if any(name in names for names in shared.values())]
            paths = {path for name in involved for path in changed[name]}
            search = _OrderSearch(project, scratch, paths)
            order = search.find({name: patches[name] for name in involved})
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
    }


def _changed_by_each(scratch: str, patches: Mapping[str, str]) -> dict[str, set[bytes]]:
    """What each job changed, by its name; a patch that git can't read is left out."""
    changed = {}
    for name, patch in patches.items():
        with contextlib.suppress(GitError):
            changed[name] = _changed_paths(scratch, patch)
    return changed


def _changed_paths(folder: str, patch: str) -> set[bytes]:
    # The repository is named: none that lies above the folder has a say.
    listing = git(folder, "--git-dir=repository", "apply", "--numstat", "-z", patch)
    return {entry.split(b"\t", 2)[2] for entry in listing.split(b"\0") if entry}


def _shared(changed: Mapping[str, Iterable[bytes]]) -> dict[bytes, list[str]]:
    """Paths that more than one job changed, sorted, with the jobs' names."""
    jobs: dict[bytes, list[str]] = {}
    for name, paths in changed.items():
        for path in paths:
            jobs.setdefault(path, []).append(name)
    return {path: names for path, names in sorted(jobs.items()) if len(names) > 1}


class _OrderSearch:
    """Tries orders of patches on the project's files as they are now.

    paths: of the files that matter. Raises GitError, OSError.
    """

    def __init__(self, project: str, scratch: str, paths: Iterable[bytes]) -> None:
        self._project = project
        self._scratch = scratch
        self._tries = 0
        self._git_words = (
            f"--git-dir={scratch}/repository",
            f"--work-tree={project}",
            "-c",
            "core.autocrlf=false",
            "-c",
            "core.safecrlf=false",
        )
        self._first_index = os.path.join(scratch, "index-0")
        self._read_files(paths)

    def _read_files(self, paths: Iterable[bytes]) -> None:
        os.makedirs(f"{self._scratch}/repository/info", exist_ok=True)
        attributes = f"{self._scratch}/repository/info/attributes"
        with open(attributes, "w", encoding="ascii") as file:
            file.write(PLAIN_ATTRIBUTES)

        top = os.fsencode(self._project)
        existing = [path for path in paths if _is_file(os.path.join(top, path))]
        self._git(
            "update-index",
            "--add",
            "-z",
            "--stdin",
            stdin=b"".join(path + b"\0" for path in existing),
            index=self._first_index,
        )

    def _git(self, *words: str, stdin: bytes = b"", index: str) -> None:
        git(self._project, *self._git_words, *words, stdin=stdin, index=index)

    def find(self, patches: Mapping[str, str]) -> list[str]:
        """The longest order that was found in which they apply, each after those before it."""
        return self._find_after(self._first_index, patches, [])

    def _find_after(
        self, index: str, patches: Mapping[str, str], begun: Sequence[str]
    ) -> list[str]:
        """The same, after the patches `begun`, which made this index."""
        best = list(begun)
        for name in patches:
            if name in begun or self._tries >= TRIES_MOST:
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
            self._git("apply", "--cached", "--whitespace=nowarn", patch, index=copy)
        except GitError:
            return None
        return copy


def _is_file(path: bytes) -> bool:
    return os.path.islink(path) or os.path.isfile(path)
