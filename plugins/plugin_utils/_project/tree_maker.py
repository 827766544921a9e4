# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees and commits made by plumbing, in a repository of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .scratch import Scratch
from .stored import Change, Entry

# What has a tree's differences in words that `parse_changes` reads, and calls nothing.
DIFF_TREE = ("diff-tree", "-r", "-z", "--no-renames", "--no-ext-diff", "--no-textconv")


class TreeMaker:
    """Makes them in a scratch repository. Raises GitError."""

    def __init__(self, scratch: Scratch) -> None:
        self._git = scratch

    def word(self, *words: str, stdin: bytes = b"", index: str | None = None) -> str:
        """The one word that this git prints."""
        return self._git(*words, stdin=stdin, index=index).decode().strip()

    def tree_of(self, commit: str) -> str:
        return self.word("rev-parse", f"{commit}^{{tree}}")

    def read_into_index(self, *trees: str) -> str:
        """The path of a new index with this tree, or with a merge of three."""
        index = self._git.new_index()
        merge = ["-i", "-m", "--aggressive"] if len(trees) > 1 else []
        self._git("read-tree", *merge, *trees, index=index)
        return index

    def put(self, index: str, entries: Iterable[Entry]) -> None:
        """Write entries into an index in place of what it has there."""
        # What goes makes room for what comes: a file may become a folder.
        ordered = sorted(entries, key=lambda entry: entry.is_there)
        lines = [b"%s %s\t%s\0" % entry for entry in ordered]
        self._git("update-index", "-z", "--index-info", stdin=b"".join(lines), index=index)

    def write_tree(self, index: str) -> str:
        # A partial clone need not have all contents here.
        return self.word("write-tree", "--missing-ok", index=index)

    def tree_with(self, tree: str, entries: Iterable[Entry]) -> str:
        """A tree with these entries in place of what it has there."""
        index = self.read_into_index(tree)
        self.put(index, entries)
        return self.write_tree(index)

    def tree_of_entries(self, entries: Iterable[Entry]) -> str:
        """A tree with nothing but these."""
        index = self._git.new_index()
        self.put(index, [entry for entry in entries if entry.is_there])
        return self.write_tree(index)

    def differences(self, before: str, after: str) -> list[Change]:
        """The files in which two trees or commits differ."""
        listing = self._git(*DIFF_TREE, "--raw", "--no-abbrev", before, after, "--")
        return parse_changes(listing, b"")

    def write_commit(self, content: bytes) -> str:
        return self.word("hash-object", "-w", "-t", "commit", "--stdin", stdin=content)

    def recommit(self, commit: str, tree: str, parents: Sequence[str]) -> str:
        """The agent's commit with another tree and parents; a signature would not hold any more."""
        header, blank, message = self._git("cat-file", "commit", commit).partition(b"\n\n")
        signature = rb"\n(?:gpgsig|gpgsig-sha256|mergetag) [^\n]*(?:\n [^\n]*)*"
        lines = re.sub(signature, b"", header).split(b"\n")
        kept = [line for line in lines if not line.startswith((b"tree ", b"parent "))]
        given = [b"parent " + parent.encode() for parent in parents]
        return self.write_commit(
            b"\n".join([b"tree " + tree.encode(), *given, *kept]) + blank + message
        )


def parse_changes(raw: bytes, prefix: bytes) -> list[Change]:
    """The changes that `git diff --raw -z` names. prefix: what comes before each path."""
    words = raw.split(b"\0")
    changes = []
    for word, name in zip(words[::2], words[1::2], strict=False):
        old_mode, new_mode, old_id, new_id = word[1:].split(b" ")[:4]
        path = prefix + name
        changes.append(Change(Entry(old_mode, old_id, path), Entry(new_mode, new_id, path)))
    return changes
