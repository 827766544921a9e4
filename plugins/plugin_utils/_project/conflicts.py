# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files several jobs of a run changed, and in which order their patches apply, tried in an
index of our own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .git import GitError, git

# Applied patches; then the longest order so far counts.
TRIES = 100
SHOWN = 1000
# file content is taken as it is
PLAIN = "* -text !eol -ident -filter -working-tree-encoding -merge\n"


def find_conflicts(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of run.json -> for each project {"project", "files": [{"path", "jobs"}], "order": [job],
    "left": [job]}; projects without are left out.
    """
    patches: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["project"] and row["patch"] and os.path.exists(row["patch"]):
            patches.setdefault(row["project"], {})[row["name"]] = row["patch"]
    return [
        found
        for project, named in patches.items()
        if len(named) > 1 and (found := _of_project(project, named))
    ]


def _of_project(project: str, patches: Mapping[str, str]) -> dict[str, Any] | None:
    try:
        with tempfile.TemporaryDirectory(prefix="gummy-order-") as scratch:
            git(scratch, "init", "-q", "--bare", "--template=", "repository")
            touched = {name: _touched(scratch, patch) for name, patch in patches.items()}
            jobs: dict[bytes, list[str]] = {}
            for name, paths in touched.items():
                for path in paths:
                    jobs.setdefault(path, []).append(name)
            shared = {path: names for path, names in sorted(jobs.items()) if len(names) > 1}
            if not shared:
                return None
            involved = [name for name in patches if any(name in names for names in shared.values())]
            order = _Order(
                project, scratch, {path for name in involved for path in touched[name]}
            ).find({name: patches[name] for name in involved})
            files = [
                {"path": path.decode("utf-8", "backslashreplace"), "jobs": names}
                for path, names in shared.items()
            ]
            return {
                "project": project,
                "files": files[:SHOWN],
                "order": order,
                "left": [name for name in involved if name not in order],
            }
    except (GitError, OSError):
        # A report that can't be made spoils no run.
        return None


def _touched(folder: str, patch: str) -> set[bytes]:
    return {
        entry.split(b"\t", 2)[2]
        for entry in git(folder, "apply", "--numstat", "-z", patch).split(b"\0")
        if entry
    }


class _Order:
    """The project's files as they are now, in a repository of our own."""

    def __init__(self, project: str, scratch: str, paths: Iterable[bytes]) -> None:
        self._project = project
        self._scratch = scratch
        self._tries = 0
        self._indexes = 0
        self._at = (
            f"--git-dir={scratch}/repository",
            f"--work-tree={project}",
            "-c",
            "core.autocrlf=false",
            "-c",
            "core.safecrlf=false",
        )
        os.makedirs(f"{scratch}/repository/info", exist_ok=True)
        with open(f"{scratch}/repository/info/attributes", "w", encoding="ascii") as file:
            file.write(PLAIN)
        self._first = os.path.join(scratch, "index-0")
        there = b"".join(
            path + b"\0" for path in paths if _is_file(os.path.join(os.fsencode(project), path))
        )
        git(
            project,
            *self._at,
            "update-index",
            "--add",
            "-z",
            "--stdin",
            stdin=there,
            index=self._first,
        )

    def find(self, patches: Mapping[str, str]) -> list[str]:
        """The longest order that was found in which they apply, each after those before it."""
        return self._longest(self._first, patches, [])

    def _longest(self, index: str, patches: Mapping[str, str], begun: Sequence[str]) -> list[str]:
        best = list(begun)
        for name in patches:
            if name in begun or self._tries >= TRIES:
                continue
            after = self._applied(index, patches[name])
            found = self._longest(after, patches, [*begun, name]) if after else []
            if len(found) > len(best):
                best = found
            if len(best) == len(patches):
                break
        return best

    def _applied(self, index: str, patch: str) -> str | None:
        self._tries += 1
        self._indexes += 1
        copy = os.path.join(self._scratch, f"index-{self._indexes}")
        if os.path.exists(index):
            shutil.copyfile(index, copy)
        try:
            git(
                self._project,
                *self._at,
                "apply",
                "--cached",
                "--whitespace=nowarn",
                patch,
                index=copy,
            )
        except GitError:
            return None
        return copy


def _is_file(path: bytes) -> bool:
    return os.path.islink(path) or os.path.isfile(path)
