# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of what belongs to a project: git's own, as far as it is there, minus sync_exclude.

rsync takes it name by name, so what a sync costs does not grow with what stays at home. A folder of
which all goes is one name. No link is followed: a file below a link to a folder is not the
project's.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from .._node.belongs import LIST, NODE_OWNED, Patterns
from .git import Project, ProjectError, git
from .outside import printable

# The file at a project's top that names what git ignores and the job needs, in .gitignore's syntax.
INCLUDE_FILE = ".worktreeinclude"
# How many files it may add: each of them is a rule of the harvest.
INCLUDED_MOST = 1000


@dataclass(frozen=True)
class Contents:
    """What of a project goes to a node, as it lay there when it was looked at."""

    # Paths of files and links, sorted; folders that are empty are among them, and end with a slash.
    files: list[bytes]
    # The folders, with a slash at their end, in which something lies that stays at home, or that
    # has a name of its own. The top is blank, and always one of them.
    mixed: frozenset[bytes]

    def names(self) -> list[bytes]:
        """The files in few names: a folder stands for all that is in it where all of it goes.

        What appears in such a folder before rsync looks into it goes along, until the node takes
        it away by the list of files. No name ends with a slash, for what has become a link
        meanwhile would be followed by that.
        """
        # Folder -> the outermost folder around it that goes whole; blank if there is none.
        known: dict[bytes, bytes] = {}
        names: dict[bytes, None] = {}
        for path in self.files:
            folder = folder_of(path)
            if folder not in known:
                known[folder] = self._outermost_whole(folder)
            names[(known[folder] or path).rstrip(b"/")] = None
        return list(names)

    def _outermost_whole(self, folder: bytes) -> bytes:
        """The outermost folder around this one, or itself, that goes whole; blank: none does."""
        end = 0
        while end < len(folder):
            end = folder.index(b"/", end) + 1
            if folder[:end] not in self.mixed:
                return folder[:end]
        return b""


def folder_of(path: bytes) -> bytes:
    """The folder of a file, with its slash; a folder, which ends with one, is its own."""
    return path[: path.rfind(b"/") + 1]


def contents(project: Project, patterns: Sequence[str], included: Iterable[bytes] = ()) -> Contents:
    """What goes to a node. A `.git` is none of the paths.

    patterns: of sync_exclude, which win over `included`, the paths that go although git ignores
    them. Raises ProjectError.
    """
    excluded = Patterns([*NODE_OWNED, "/" + os.fsdecode(LIST), *patterns])
    mixed: set[bytes] = set()
    found = list(_walk(project, excluded, mixed))
    belonging = found
    if project.is_git:
        listed = {*project.listed, *included}
        belonging = [path for path in found if path.endswith(b"/") or path in listed]
    files = [path for path in belonging if not excluded.name(path)]
    mixed.update(folder_of(path.rstrip(b"/")) for path in set(found).difference(files))

    # What git ignores was not walked through.
    apart = _there(project.path, set(included).difference(found))
    beside = [path for path in apart if not excluded.name(path)]
    mixed.update(folder_of(path) for path in beside)
    return Contents(sorted(files + beside), frozenset(with_all_above(mixed)))


def with_all_above(folders: Collection[bytes]) -> set[bytes]:
    """These folders and all around them, up to the top."""
    found = {b""}
    for folder in folders:
        above = folder
        while above not in found:
            found.add(above)
            above = folder_of(above[:-1])
    return found


def _walk(project: Project, excluded: Patterns, mixed: set[bytes]) -> Iterator[bytes]:
    """All files, links and empty folders that are there, but for what git or a pattern leaves out.

    What can't be read is among them, so that rsync says so. mixed: takes the folders in which
    something was left out.
    """
    top = os.fsencode(project.path)
    ignored = set(project.ignored)
    folders = [b""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(os.path.join(top, folder)) as entries:
                is_empty = True
                for entry in entries:
                    is_empty = False
                    path = folder + entry.name
                    if entry.name == b".git":
                        mixed.add(folder)
                    elif entry.is_dir(follow_symlinks=False):
                        path += b"/"
                        if path in ignored or excluded.name(path):
                            mixed.add(folder)
                        else:
                            folders.append(path)
                    elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                        yield path
                    else:
                        mixed.add(folder)
        except PermissionError as exc:
            if not folder:
                shown = printable(project.path)
                raise ProjectError([f"{shown} can't be read: {exc.strerror}"]) from None
            yield folder
        except OSError:
            # It went away meanwhile.
            continue
        else:
            if is_empty and folder:
                yield folder


def _there(top: str, paths: Collection[bytes]) -> Iterator[bytes]:
    """Those of the paths that are files or links, and not below a link."""
    for path in paths:
        full = os.path.join(os.fsencode(top), path)
        folder = os.path.dirname(full)
        is_below_link = os.path.realpath(folder) != os.path.join(
            os.path.realpath(os.fsencode(top)), os.path.dirname(path)
        ).rstrip(b"/")
        if not is_below_link and (os.path.islink(full) or os.path.isfile(full)):
            yield path


# -- what git ignores and the job needs


def included_by_file(project: Project) -> tuple[bytes, ...]:
    """What the project's .worktreeinclude names of what git ignores, sorted. Raises ProjectError.

    Folders behind links are not looked into.
    """
    path = os.path.join(project.path, INCLUDE_FILE)
    if not project.is_git or not os.path.lexists(path):
        return ()
    _check_include_file(path)
    listing = git(
        project.path,
        "ls-files",
        "-z",
        "--others",
        "--ignored",
        f"--exclude-from={path}",
    )
    names = set(listing.split(b"\0")) - {b""} - set(project.listed)
    inner = tuple(project.inner)
    found = tuple(
        sorted(name for name in names if not name.endswith(b"/") and not name.startswith(inner))
    )
    if len(found) > INCLUDED_MOST:
        raise ProjectError(
            [
                (
                    f"{printable(path)} names {len(found)} files that git ignores, and at most "
                    f"{INCLUDED_MOST} go along: name less, and let the job's `setup` make the rest"
                )
            ]
        )
    return found


def _check_include_file(path: str) -> None:
    """Raise ProjectError for one that is no file of the project, or names what is outside of it."""
    shown = printable(path)
    if os.path.islink(path):
        raise ProjectError([f"{shown} is a link, and is not followed: make it a file"])
    if not os.path.isfile(path):
        raise ProjectError([f"{shown} is no file: write patterns into one, as in a .gitignore"])
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
    except OSError as exc:
        raise ProjectError([f"{shown} can't be read: {exc.strerror}"]) from None
    wrong = [
        f"{shown}, line {number}: {printable(os.fsdecode(line))} leaves the project: "
        "name files in it, from its top"
        for number, line in enumerate(lines, 1)
        if not line.startswith(b"#")
        and (b".." in line.strip().lstrip(b"!").split(b"/") or line.startswith((b"~/", b"!~/")))
    ]
    if wrong:
        raise ProjectError(wrong)
