# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes of a harvest with the contents that came along, as the user's git would store them.

Patch and branch are made of these. What must not get into the user's repository in plain text is
known here too: by no way, neither the agent's commits nor a copy under another name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._node.belongs import NODE_OWNED, Patterns
from .._node.setup import CHANGED, MADE
from .contents import INCLUDE_FILE, included_by_file
from .git import LARGE_SECONDS_MOST, GitError, git, project_at
from .scratch import Scratch
from .stored import NO_ID, SUBMODULE, Change, Contents, Entry, some_paths
from .tree_maker import TreeMaker, parse_changes

# Files of a harvest: what changed, its contents, and the agent's own commits.
RAW = "branch.raw"
PACK = "branch.pack"
BUNDLE = "commits.bundle"
# What tells which file looks like another one of before.
SIMILAR = ("diff-tree", "-r", "-z", "--raw", "--no-ext-diff", "--no-textconv", "-M50%", "-C50%")
# How many objects are stored one by one; more of them are kept as the pack that they came in.
LOOSE_MOST = 100
# The id of a blank file, by git's formats of objects.
BLANK = frozenset(
    {
        b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
        b"473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
    }
)


def by_setup(harvest: Mapping[str, Any]) -> set[str]:
    """The paths of what the job's setup did, as the node named them in text."""
    return {
        str(row.get("path"))
        for row in harvest.get("left_out") or ()
        if row.get("why") in (CHANGED, MADE)
    }


class HarvestContents:
    """Reads a harvest into a repository of ours. Raises GitError, OSError, ValueError."""

    def __init__(
        self,
        project: str,
        folder: str,
        scratch: Scratch,
        base: str | None,
        harvest: Mapping[str, Any],
    ) -> None:
        """folder: of the harvest; scratch: has the project's objects; base: the commit that the
        job began from; harvest: what the node says of it.
        """
        self._project = project
        self._folder = folder
        self._git = scratch
        self._raw = scratch
        if scratch.format != "sha1":
            # On a node contents have names of git's first format, whatever the project's is.
            apart = os.path.join(scratch.folder, "raw")
            os.mkdir(apart)
            self._raw = Scratch(apart)
        # Paths in the harvest are the project's, which may be a folder of the repository.
        self.prefix = git(project, "rev-parse", "--show-prefix").removesuffix(b"\n")
        self.stored = Contents(project, scratch, self._raw, base=base, folder=scratch.folder)
        # The changes as they came, and those that a branch takes, as git would have stored them.
        self.raw_changes: list[Change] = []
        # Those of them in submodules, which no branch takes.
        self.of_submodules: list[Change] = []
        self.changes: list[Change] = []
        # Paths that stay in the patch.
        self.kept: set[bytes] = set()
        # Ids of contents that must not get into the user's repository.
        self._secret: set[bytes] = set()
        self._node_owned = Patterns(NODE_OWNED)
        # What the job's setup did, and the agent may have committed with its own work.
        self._by_setup = by_setup(harvest)
        # What went along although git ignores it, which `git add -f` takes all the same.
        self._included: frozenset[bytes] = frozenset()
        if os.path.lexists(os.path.join(project, INCLUDE_FILE)):
            self._included = frozenset(included_by_file(project_at(project)))
        # Sentences for a person.
        self.notes: list[str] = []

    def read(self, more: Iterable[bytes] = ()) -> None:
        """Read the changes and their contents. more: paths whose attributes are asked for too."""
        path = os.path.join(self._folder, RAW)
        if os.path.exists(path):
            with open(path, "rb") as file:
                changes = parse_changes(file.read(), self.prefix)
            self._take_contents(len(changes))
            self._part(changes)
        self._check_contents(self.raw_changes)
        self.stored.learn(self.raw_changes, more)
        self._store()

    def _take_contents(self, count: int) -> None:
        unpack = ["index-pack", "--stdin"]
        if count < LOOSE_MOST:
            unpack = ["unpack-objects", "-q"]
        with open(os.path.join(self._folder, PACK), "rb") as pack:
            self._raw(*unpack, stdin=pack, seconds=LARGE_SECONDS_MOST)

    def _part(self, changes: Iterable[Change]) -> None:
        modules = self.stored.submodules
        for change in changes:
            is_inside = bool(modules) and change.after.path.startswith(modules)
            (self.of_submodules if is_inside else self.raw_changes).append(change)

    def _check_contents(self, changes: Iterable[Change]) -> None:
        """Trees are made without asking for contents, which a partial clone need not have here."""
        entries = (entry for change in changes for entry in change if entry.mode != SUBMODULE)
        ids = {entry.object_id for entry in entries if entry.object_id.strip(b"0")}
        names = b"".join(object_id + b"\n" for object_id in sorted(ids))
        kinds = self._raw("cat-file", "--batch-check=%(objecttype)", stdin=names).split(b"\n")
        if kinds[:-1] != [b"blob"] * len(ids):
            raise GitError("the harvest has not got all contents that it names")

    # -- what a branch takes

    def _store(self) -> None:
        """Fill what a branch takes, and what it must not take."""
        plain = set[bytes]()
        changes = []
        other_rules = set[bytes]()
        for change in self.raw_changes:
            path = change.after.path
            if self.stays_on_its_node(path):
                continue
            if self.stored.has_other_rules(path):
                other_rules.add(path)
                if self.stored.is_ever_filtered(path):
                    plain.update(self._plain_ids(change))
                continue
            stored = self.stored.change(change)
            changes.append(stored)
            if self.stored.rules(path).filter:
                plain.update(self._plain_ids(change) - {each.object_id for each in stored})
        plain |= self._copied_at_home()
        self.forbid(plain)

        copies = self._similar_to_filtered() | {
            change.after.path
            for change in changes
            if self._secret.intersection(entry.object_id for entry in change)
        }
        self.changes = [change for change in changes if change.after.path not in copies]
        self.kept = other_rules | copies
        if other_rules:
            self.notes.append(
                "the job changed attributes by which git stores a file, so it is in the patch "
                f"only: {some_paths(other_rules)}"
            )
        if copies:
            self.notes.append(
                "what has the content of a file that is filtered is in the patch only: "
                f"{some_paths(copies)}"
            )

    def _is_filtered(self, path: bytes) -> bool:
        return bool(self.stored.rules(path).filter)

    def _similar_to_filtered(self) -> set[bytes]:
        """Paths without a filter that look like another version of a file with one.

        Who moves such a file to where no filter is does not mean it to be read by all.
        """
        if not any(self._is_filtered(change.after.path) for change in self.raw_changes):
            return set()
        trees = TreeMaker(self._git)
        sides = [
            trees.tree_of_entries(
                entry._replace(object_id=self.stored.plain(entry.object_id))
                for entry in side
                if entry.is_regular
            )
            for side in zip(*self.raw_changes, strict=True)
        ]
        listing = self._git(*SIMILAR, *sides, "--", seconds=LARGE_SECONDS_MOST)
        words = iter(listing.split(b"\0")[:-1])
        found = set()
        for word in words:
            source = target = next(words)
            if word.rpartition(b" ")[2][:1] in (b"R", b"C"):
                target = next(words)
            if self._is_filtered(source) and not self._is_filtered(target):
                found.add(target)
        return found

    def _copied_at_home(self) -> set[bytes]:
        """Ids of new contents that a filtered file of the user's tree has, which did not change."""
        if not self.stored.attributes.drivers:
            return set()
        new = {
            change.after.object_id
            for change in self.raw_changes
            if change.after.is_regular and not self._is_filtered(change.after.path)
        }
        check = "--batch-check=%(objectsize)"
        given = b"".join(name + b"\n" for name in sorted(new))
        sizes = {int(line) for line in self._raw("cat-file", check, stdin=given).splitlines()}
        copied = new & self.stored.raw_ids_of_filtered(sizes - {0})
        return {self.stored.plain(object_id) for object_id in copied}

    def _plain_ids(self, change: Change) -> set[bytes]:
        return {self.stored.plain(entry.object_id) for entry in change if entry.is_regular}

    def plain_versions(self) -> dict[tuple[bytes, bytes], bytes]:
        """Path and id of a content as it came -> the id of what is stored of it."""
        stored = {change.after.path: change for change in self.changes}
        versions = {}
        for raw in self.raw_changes:
            change = stored.get(raw.after.path)
            if change is None:
                continue
            for came, kept in zip(raw, change, strict=True):
                if came.is_regular:
                    plain = self.stored.plain(came.object_id)
                    versions[(came.path, plain)] = kept.object_id
        return versions

    def keyed_paths(self) -> set[bytes]:
        """Paths whose filter gives another result for what is stored there already."""
        return {
            raw.after.path
            for raw in self.raw_changes
            if raw.after.path not in self.kept
            and raw.before.is_regular
            and self.stored.rules(raw.after.path).filter
            and not self.stored.is_steady(raw.before)
        }

    def forbid(self, ids: Iterable[bytes]) -> None:
        """Contents that must not get into the user's repository, unless it has them by itself."""
        names = sorted(set(ids) - self._secret - BLANK)
        if names:
            given = b"".join(name + b"\n" for name in names)
            listing = git(self._project, "cat-file", "--batch-check=%(objectname)", stdin=given)
            there = {line for line in listing.splitlines() if not line.endswith(b" missing")}
            self._secret.update(set(names) - there)

    def stays_on_its_node(self, path: bytes) -> bool:
        """Whether it is nobody's work.

        It may be what an agent keeps for itself, what setup did, or what .worktreeinclude names.
        """
        return self.is_not_delivered(path) or self._node_owned.name(path.removeprefix(self.prefix))

    def is_not_delivered(self, path: bytes) -> bool:
        """Whether the file is what setup did, or what .worktreeinclude names."""
        path = path.removeprefix(self.prefix)
        # A node names a path in text.
        is_by_setup = path.decode("utf-8", "backslashreplace") in self._by_setup
        return is_by_setup or path in self._included

    def is_secret(self, object_id: bytes) -> bool:
        return object_id in self._secret

    def check(self, tip: str, known: Sequence[str]) -> None:
        """Raise GitError if a branch would hold what must not get into the user's repository.

        known: commits that it has.
        """
        if not self._secret:
            return
        words = ("rev-list", "--objects", "--missing=allow-any", tip, "--not", *known)
        listing = self._git(*words, seconds=LARGE_SECONDS_MOST)
        if self._secret.intersection(line[: len(tip)] for line in listing.splitlines()):
            raise GitError("it would hold the content of a filtered file in plain text")

    # -- the agent's commits

    def why_not_fetched(self, refs: Iterable[str], base: str | None) -> str:
        """Why nobody should take over the agent's commits; blank: there is no reason.

        refs: the commits, which are in the repository of ours; base: what the project has of them.
        """
        words = ["rev-list", "--objects", "--missing=allow-any", *refs]
        if base is not None:
            words += ["--not", base]
        listing = self._git(*words, seconds=LARGE_SECONDS_MOST)
        rows = [line.partition(b" ") for line in listing.splitlines()]
        if any(name in self._secret or path in self.kept for name, _blank, path in rows):
            return "filtered files in plain text"

        paths = {path for _id, _blank, path in rows if path}
        rules = self.stored.attributes.of(paths)
        if any(each.filter for each in rules.values()):
            return "filtered files in plain text"
        left = {path for path in paths if self.is_not_delivered(path)}
        return f"what is not delivered: {some_paths(left)}" if left else ""


def _patch_entries(contents: HarvestContents, change: Change) -> Change:
    """Both sides of a file as a patch of the project's folder has them.

    `git apply` cleans the file that it finds, so where a filter is the patch has what git stores,
    by the attributes of the user's tree. Ends of lines it takes as they are.
    """
    rules = contents.stored.rules(change.after.path)
    if rules.is_opaque or rules.ident:
        change = contents.stored.change(change)
    else:
        change = Change(*(_as_it_came(contents, entry) for entry in change))
    before, after = (
        entry._replace(path=entry.path.removeprefix(contents.prefix)) for entry in change
    )
    return Change(before, after)


def _as_it_came(contents: HarvestContents, entry: Entry) -> Entry:
    if not entry.is_there or entry.mode == SUBMODULE:
        return entry
    return entry._replace(object_id=contents.stored.plain(entry.object_id))


def patch_trees(contents: HarvestContents, trees: TreeMaker) -> tuple[str, str] | None:
    """The trees between which the patch is, before and after; None if it is good as it came.

    A binary file's change names contents by hashes, so in a repository of another format none is.
    """
    rules = (contents.stored.rules(change.after.path) for change in contents.raw_changes)
    is_as_on_the_node = contents.stored.no_id == NO_ID
    if is_as_on_the_node and not any(each.is_opaque or each.ident for each in rules):
        return None
    changes = [
        _patch_entries(contents, change)
        for change in (*contents.raw_changes, *contents.of_submodules)
    ]
    before = trees.tree_of_entries(change.before for change in changes)
    return before, trees.tree_of_entries(change.after for change in changes)
