# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of what belongs to a project: git's own, as far as it is there, minus sync_exclude.

rsync takes it name by name, so what a sync costs does not grow with what stays at home. No link is
followed: a file below a link to a folder is not the project's.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence

from .._node.belongs import LIST, NODE_OWNED, Patterns
from .git import Project, ProjectError, git
from .outside import printable

# The file at a project's top that names what git ignores and the job needs, in .gitignore's syntax.
INCLUDE_FILE = ".worktreeinclude"
# How many files it may add: each of them is a rule of the harvest.
INCLUDED_MOST = 1000


def contents(
    project: Project, patterns: Sequence[str], included: Iterable[bytes] = ()
) -> list[bytes]:
    """Paths of what goes to a node, sorted; folders that are empty end with a slash.

    patterns: of sync_exclude, which win over `included`, the paths that go although git ignores
    them. A `.git` is none of the paths.
    """
    excluded = Patterns([*NODE_OWNED, "/" + os.fsdecode(LIST), *patterns])
    found = list(_walk(project, excluded))
    if project.is_git:
        listed = {*project.listed, *included}
        found = [path for path in found if path.endswith(b"/") or path in listed]
        # What git ignores was not walked through.
        found += _there(project.path, set(included) - set(found))
    return sorted(path for path in found if not excluded.name(path))


def _walk(project: Project, excluded: Patterns) -> Iterator[bytes]:
    """All files, links and empty folders that are there, but for what git or a pattern leaves out.

    What can't be read is among them, so that rsync says so.
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
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        path += b"/"
                        if path not in ignored and not excluded.name(path):
                            folders.append(path)
                    elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                        yield path
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
