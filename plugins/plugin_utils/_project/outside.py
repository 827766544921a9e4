# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which folders outside of a project may go to a node along with it.

A project's `.git` can name any folder of this machine as a part of its repository, and whoever made
the project wrote that `.git`. So a name alone proves nothing: a folder goes along only if it is
git's, and if something in it that the project can't have written leads back to the project.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from typing import NoReturn

from .git import GitError, Project, ProjectError, git

# What lies in a folder of git's objects, as paths in it.
OBJECT_FILES = re.compile(
    r"[0-9a-f]{2}/([0-9a-f]{38}|[0-9a-f]{62}|tmp_obj_\w+)"
    r"|pack/(pack-[0-9a-f]+\.\w+|multi-pack-index[\w.-]*|\.?tmp[\w.-]+)"
    r"|info/(packs|alternates|commit-graph|commit-graphs/[\w.-]+)"
)
OBJECT_FOLDERS = re.compile(r"[0-9a-f]{2}|pack|info|info/commit-graphs")
# How many of a project's commits, the newest first, are looked for in a folder of objects.
COMMITS_MOST = 100_000


def check_outside(project: Project) -> None:
    """Raise ProjectError for a part of the project's repository that must not go to a node."""
    if not project.parts:
        return
    git_dirs = [folder for folder, path in project.parts if path == ".git"]
    try:
        for folder in git_dirs:
            config = os.path.join(folder, "config")
            if os.path.islink(config):
                _refuse(project, config, "it is a link")

        for folder, path in project.parts:
            if not is_inside(folder, project.path):
                _check_owner(project, folder)
                if path != ".git":
                    _check_objects(project, folder)
        if not all(is_inside(folder, project.path) for folder in git_dirs):
            _check_git_dir(project, git_dirs[0], git_dirs[-1])
    except (GitError, OSError) as exc:
        raise ProjectError([f"git can't read the project {project.path}: {exc}"]) from None


def is_inside(folder: str, top: str) -> bool:
    """Whether a folder, whatever links lead to it, lies in another one or is it."""
    real_top = os.path.realpath(top)
    return os.path.commonpath([os.path.realpath(folder), real_top]) == real_top


def _refuse(project: Project, folder: str, reason: str) -> NoReturn:
    message = (
        f"the .git of {project.path} names {folder} as a part of its repository, and {reason}: "
        "nothing of it goes to a node. If it is no part, take it out of there "
        "(.git, .git/commondir, .git/objects/info/alternates); to send the project without its "
        'history, write sync_exclude: [".git"]'
    )
    raise ProjectError([printable(message)])


def printable(text: str) -> str:
    """A text with names from a project, without what a terminal would obey."""
    return "".join(
        letter if letter.isprintable() else ascii(letter).strip("'\"") for letter in text
    )


def _check_owner(project: Project, folder: str) -> None:
    """Whose project git reads is git's own question; a part of it has the same owner, or ours."""
    owner = os.stat(folder).st_uid
    if owner not in (os.geteuid(), os.lstat(project.path).st_uid):
        _refuse(project, folder, f"it belongs to another user ({owner})")


# -- a git dir


def _check_git_dir(project: Project, own: str, common: str) -> None:
    """A git dir that is elsewhere has to know the project.

    own: what the project's `.git` names; common: the repository that it is a work tree of, or own.
    """
    if own != common:
        if not _knows_work_tree(project, own, common):
            _refuse(
                project,
                common,
                "that repository doesn't know it as a work tree (git worktree repair tells it)",
            )
    elif not _is_set_to(project, own) and not _has_seen_files(project):
        _refuse(
            project,
            own,
            "that repository doesn't know it (git status in the project tells it, "
            f"or: git --git-dir={own} config core.worktree {project.path})",
        )


def _knows_work_tree(project: Project, own: str, common: str) -> bool:
    if os.path.dirname(own) != os.path.join(common, "worktrees"):
        return False
    try:
        with open(os.path.join(own, "gitdir"), "rb") as file:
            there = os.fsdecode(file.read().rstrip(b"\n"))
    except OSError:
        return False
    place = os.path.join(own, os.path.dirname(there))
    return os.path.realpath(place) == os.path.realpath(project.path)


def _is_set_to(project: Project, own: str) -> bool:
    """Whether the git dir's own settings name the project as its work tree."""
    try:
        words = ("config", "--file", os.path.join(own, "config"), "-z", "core.worktree")
        value = os.fsdecode(git(own, *words).rstrip(b"\0"))
    except GitError:
        return False
    return os.path.realpath(os.path.join(own, value)) == os.path.realpath(project.path)


def _has_seen_files(project: Project) -> bool:
    """Whether the index has a file of the project with the very inode and ctime that it has here.

    Git keeps these numbers when it reads a file, and nobody elsewhere can know or make them.
    """
    # Each name ends with a NUL; the lines that tell of it follow, and then the next name.
    chunks = git(project.path, "ls-files", "--debug", "-z").split(b"\0")
    for before, after in zip(chunks, chunks[1:], strict=False):
        name = os.fsdecode(before.rpartition(b"\n")[2])
        numbers = re.match(rb"  ctime: (\d+):(\d+)\n(?:  [^\n]*\n)*?[^\n]*\tino: (\d+)\n", after)
        try:
            info = os.lstat(os.path.join(project.path, name))
        except (OSError, ValueError):
            continue
        here = (*divmod(info.st_ctime_ns, 10**9), info.st_ino & 0xFFFFFFFF)
        if numbers is not None and tuple(map(int, numbers.groups())) == here:
            return True
    return False


# -- a folder of objects


def _check_objects(project: Project, folder: str) -> None:
    odd = next(_what_is_odd(folder), None)
    if odd is not None:
        _refuse(project, folder, f"it is no folder of git's objects (it has {odd})")
    repository = os.path.dirname(folder)
    if os.path.basename(folder) != "objects" or not (
        os.path.isfile(os.path.join(repository, "HEAD"))
        and os.path.isdir(os.path.join(repository, "refs"))
    ):
        _refuse(project, folder, "it is not the objects of a repository")
    if not _has_commits_of(project, folder):
        _refuse(project, folder, "it has no commit of the project")


def _what_is_odd(folder: str) -> Iterator[str]:
    """What lies in a folder and not in one of git's objects, links among them."""
    left = [""]
    while left:
        below = left.pop()
        with os.scandir(os.path.join(folder, below)) as entries:
            for entry in entries:
                path = below + entry.name
                if entry.is_dir(follow_symlinks=False) and OBJECT_FOLDERS.fullmatch(path):
                    left.append(path + "/")
                elif not (entry.is_file(follow_symlinks=False) and OBJECT_FILES.fullmatch(path)):
                    yield path


def _has_commits_of(project: Project, folder: str) -> bool:
    """Whether a commit of the project lies there.

    The names of commits are hashes of what is in them. Who has not got a repository knows none of
    them, so a project that names one has to do with it.
    """
    words = ("rev-list", "--all", f"--max-count={COMMITS_MOST}", "HEAD")
    try:
        commits = git(project.path, *words)
    except GitError:
        # Nothing is checked out yet.
        commits = git(project.path, *words[:-1])
    with tempfile.TemporaryDirectory(prefix="gummy-objects-") as scratch:
        kind = ["--object-format=sha256"] if len(commits.partition(b"\n")[0]) == 64 else []
        git(scratch, "init", "-q", "--bare", "--template=", *kind, "repository")
        found = git(
            scratch,
            "--git-dir=repository",
            "cat-file",
            "--batch-check=%(objecttype)",
            stdin=commits,
            objects=folder,
        )
    return b"commit" in found.split(b"\n")
