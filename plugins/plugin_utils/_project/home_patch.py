# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A harvest's patch, made anew at home where filters stand between the tree and what git stores.

`git apply` cleans the file that it finds before it looks for what a patch takes away. So a patch of
files as they lie in the tree, which is what a node can make, fits no file that is filtered.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .._errors import InputError
from .attributes import Attributes, attribute_files_around
from .contents import INCLUDE_FILE
from .git import LARGE_SECONDS_MOST, GitError, git, prefix_in_git
from .harvest_contents import BUNDLE, RAW, HarvestContents, by_setup, patch_trees
from .outside import is_inside
from .scratch import Scratch
from .tree_maker import DIFF_TREE, TreeMaker

PATCH = "changes.patch"
# The patch as the node made it, once there is another one: it fits the files as they lie here.
NODE_PATCH = "changes.node.patch"
# How a patch names its files, and how it has them: whole, binary ones too.
OPTIONS = ("-p", "--binary", "--full-index", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")


@dataclass(frozen=True)
class PatchAtHome:
    """What has to be told of a patch, and of the commits that lie beside it."""

    # Sentences for a person.
    notes: tuple[str, ...] = ()
    # Whether people may be told to fetch commits.bundle.
    offers_commits: bool = True
    # Whether a filter gives another result each time, so that the patch fits the index alone.
    is_keyed: bool = False


def make_patch_at_home(project: str, folder: str, result: Mapping[str, Any]) -> PatchAtHome:
    """Make the patch of a harvest anew if it needs that. Raises nothing.

    folder: of the harvest; result: how the attempt ended, in the node's words. Without contents in
    the harvest the patch stays as it came.
    """
    if not any(os.path.exists(os.path.join(folder, name)) for name in (PATCH, RAW, BUNDLE)):
        # Nothing changed in the project's own repository.
        return PatchAtHome(tuple(_notes_on_nested(project, result)))
    try:
        path_in_git = prefix_in_git(project)
        if path_in_git is None:
            return PatchAtHome()
        prefix = os.fsdecode(path_in_git)
    except (GitError, InputError) as exc:
        return PatchAtHome((f"git can't read {project}: {exc}",))
    made = _make_with_contents(project, folder, result)
    made = replace(made, notes=(*made.notes, *_notes_on_nested(project, result)))
    options = ["--index"] if made.is_keyed else []
    if prefix:
        # Below the top of a repository git apply passes over what has no such word, and is content.
        options.append(f"--directory={shlex.quote(prefix.rstrip('/'))}")
    if not options or not os.path.exists(os.path.join(folder, PATCH)):
        return made
    command = " ".join(["git apply", *options])
    return replace(made, notes=(*made.notes, f"take the patch over with {command}"))


def _notes_on_nested(project: str, result: Mapping[str, Any]) -> list[str]:
    """Bundles of nested repositories that have a filter here hold plain text too."""
    notes = []
    harvest: Mapping[str, Any] = result.get("harvest") or {}
    for number, name in enumerate(harvest.get("nested") or (), 1):
        path = os.path.join(project, str(name))
        if is_inside(path, project) and os.path.lexists(os.path.join(path, ".git")):
            with contextlib.suppress(GitError, InputError, ValueError):
                asks = attribute_files_around(path).ask_for_contents()
                if asks and Attributes(path, path).drivers:
                    notes.append(
                        f"nested/{number}.bundle has files of {name} in plain text, which filters "
                        "keep out of that repository: do not fetch it there"
                    )
    return notes


def _make_with_contents(project: str, folder: str, result: Mapping[str, Any]) -> PatchAtHome:
    has_contents = os.path.exists(os.path.join(folder, RAW))
    has_commits = os.path.exists(os.path.join(folder, BUNDLE))
    if not (has_contents or has_commits):
        return PatchAtHome()
    try:
        if not (has_contents or _may_hold_what_stays(project, folder, result)):
            # Nothing of these commits could be in plain text that is not meant to be.
            return PatchAtHome()
        with tempfile.TemporaryDirectory(prefix="gummy-patch-") as scratch:
            return _make(project, folder, result, Scratch(scratch, project))
    except (GitError, OSError, InputError, KeyError, ValueError) as exc:
        note = (
            f"the patch holds files as they lie in the tree, and the agent's commits are not "
            f"looked at: {exc}"
        )
        return PatchAtHome((note,), offers_commits=False)


def _may_hold_what_stays(project: str, folder: str, result: Mapping[str, Any]) -> bool:
    """Whether an agent's commits may hold what a filter, .worktreeinclude or setup keep out."""
    harvest: Mapping[str, Any] = result.get("harvest") or {}
    return bool(
        by_setup(harvest)
        or os.path.lexists(os.path.join(project, INCLUDE_FILE))
        or Attributes(project, folder).drivers
    )


def _make(project: str, folder: str, result: Mapping[str, Any], scratch: Scratch) -> PatchAtHome:
    harvest: Mapping[str, Any] = result.get("harvest") or {}
    base = harvest.get("head") or result.get("base")
    if base is not None and not _has(project, str(base)):
        base = None
    refs: list[str] = []
    if os.path.exists(os.path.join(folder, BUNDLE)):
        bundle = os.path.join(folder, BUNDLE)
        refs = list(scratch.take_bundle(bundle, LARGE_SECONDS_MOST).values())

    contents = HarvestContents(project, folder, scratch, base, harvest)
    contents.read()
    notes = list(contents.notes)
    has_changes = bool(contents.raw_changes or contents.of_submodules)
    made = patch_trees(contents, TreeMaker(scratch)) if has_changes else None
    is_keyed = False
    if made is not None:
        _write(scratch, os.path.join(folder, PATCH), made)
        is_keyed = bool(contents.keyed_paths())
    why = contents.why_not_fetched(refs, base) if refs else ""
    if why:
        notes.append(f"the agent's commits hold {why}; do not fetch commits.bundle")
    return PatchAtHome(tuple(notes), not why, is_keyed)


def _has(project: str, commit: str) -> bool:
    try:
        git(project, "cat-file", "-e", f"{commit}^{{commit}}")
    except GitError:
        return False
    return True


def _write(scratch: Scratch, path: str, trees: tuple[str, str]) -> None:
    content = scratch(*DIFF_TREE[:2], *DIFF_TREE[3:], *OPTIONS, *trees, "--")
    with open(path + ".new", "wb") as file:
        file.write(content)
    as_it_came = os.path.join(os.path.dirname(path), NODE_PATCH)
    if os.path.exists(path) and not os.path.exists(as_it_came):
        os.rename(path, as_it_came)
    os.replace(path + ".new", path)
