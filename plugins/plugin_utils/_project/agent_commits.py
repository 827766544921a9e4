# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's own commits, made anew where its git has not stored what the user's would have.

A node has neither the user's filters nor all of the settings: what the agent committed there of a
filtered file is plain text. Of such a file a commit gets what the user's git makes of it where that
is known, and else none of the change: the last state of the file is in the branch's last commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .harvest_contents import HarvestContents
from .scratch import Scratch
from .stored import Change, Entry, some_paths
from .tree_maker import TreeMaker


class AgentCommits:
    """Reads commits that are in a repository of ours, and makes them anew. Raises GitError."""

    def __init__(self, scratch: Scratch, trees: TreeMaker, commits: Sequence[str]) -> None:
        """commits: oldest first."""
        self._git = scratch
        self._trees = trees
        self.commits = list(commits)
        self._parents = {commit: self._read_parents(commit) for commit in commits}
        self._changes = {commit: self._read_changes(commit) for commit in commits}
        # Paths that are stored otherwise than the agent did, and those of which a change is left
        # out.
        self._mended: set[bytes] = set()
        self._left_out: set[bytes] = set()

    def _read_parents(self, commit: str) -> list[str]:
        return self._trees.word("rev-list", "--parents", "-n", "1", commit).split()[1:]

    def _read_changes(self, commit: str) -> list[Change]:
        parents = self._parents[commit]
        return self._trees.differences(parents[0], commit) if parents else []

    @property
    def paths(self) -> set[bytes]:
        """All paths that they change."""
        return {change.after.path for changes in self._changes.values() for change in changes}

    def rewrite(self, contents: HarvestContents) -> None:
        """Make those anew that hold what the user's git would have stored otherwise."""
        versions = contents.plain_versions()
        made: dict[str, str] = {}
        for commit in self.commits:
            made[commit] = self._rewrite(commit, made, contents, versions)
        self.commits = [made[commit] for commit in self.commits]
        if self._mended:
            contents.notes.append(
                f"the agent's commits are made anew, with your git's {some_paths(self._mended)}"
            )
        if self._left_out:
            contents.notes.append(
                "the agent's commits are made anew without what they held of "
                f"{some_paths(self._left_out)}"
            )

    def _rewrite(
        self,
        commit: str,
        made: Mapping[str, str],
        contents: HarvestContents,
        versions: Mapping[tuple[bytes, bytes], bytes],
    ) -> str:
        """The commit that stands for this one; made: those that stand for earlier ones."""
        parents = [made.get(parent, parent) for parent in self._parents[commit]]
        changes = self._changes[commit]
        entries = [_mend(change.after, contents, versions) for change in changes]
        is_same = all(entry == change.after for entry, change in zip(entries, changes, strict=True))
        if is_same and parents == self._parents[commit]:
            return commit

        for entry, change in zip(entries, changes, strict=True):
            if entry is None:
                self._left_out.add(change.after.path)
            elif entry != change.after:
                self._mended.add(entry.path)
        kept = [entry for entry in entries if entry is not None]
        tree = self._trees.tree_with(self._trees.tree_of(parents[0]), kept)
        return self._trees.recommit(commit, tree, parents)


def _mend(
    entry: Entry, contents: HarvestContents, versions: Mapping[tuple[bytes, bytes], bytes]
) -> Entry | None:
    """What a commit gets in place of an entry; None: nothing, what was there stays."""
    if contents.stays_on_its_node(entry.path):
        return None
    if entry.path in contents.kept or contents.is_secret(entry.object_id):
        # What came as it lay in the tree may be known by what is stored of it.
        version = versions.get((entry.path, entry.object_id))
        return None if version is None else entry._replace(object_id=version)
    if not entry.is_regular:
        return entry
    if contents.stored.has_other_rules(entry.path):
        return None
    rules = contents.stored.rules(entry.path)
    if rules.is_opaque:
        version = versions.get((entry.path, entry.object_id))
        is_known = entry.object_id in contents.stored.known(entry.path)
        # An encoding stands in the project's own attributes, so the node's git has seen to it.
        if version is None and (is_known or not rules.filter):
            version = entry.object_id
        if version is None:
            contents.forbid([entry.object_id])
            return None
        return entry._replace(object_id=version)
    if rules.is_plain:
        return entry
    return entry._replace(object_id=contents.stored.store_again(entry))
