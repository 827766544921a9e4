# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`setup`: a command that makes a workspace ready before its agent begins.

Whether it is needed is known by what it was given when it last succeeded in this workspace. The
baseline is made after it, so that what it made is nobody's work. The tree as it came from home is
kept too: where the agent changed a file that setup had changed, the patch has to fit the file at
home.
"""

from __future__ import annotations

import hashlib
import json
import os

from .git import Git, text
from .store import TYPE_CHECKING, read_json, write_durably

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from . import wire

# Its log, in the harvest.
LOG = "setup.log"
# In the workspace's folder: what it was given when it last succeeded there.
STATE = "setup.json"
# In the git dir of the baseline: the git tree of what came from home.
HOME = "gummy-home"
# How long it may take where nobody says it, in seconds.
TIMEOUT = 1800.0
# Why a harvest does not carry what setup did.
CHANGED = "changed by setup, not delivered"
MADE = "made by setup, not delivered, and lost at the next sync unless git ignores it"


# -- whether it is needed


def fingerprint(tree: str, command: str, patterns: Sequence[str]) -> str:
    """What changes when the command does, or a file that one of the globs names."""
    digest = hashlib.sha256(command.encode("utf-8", "surrogateescape"))
    for path in sorted(set(_named(tree, patterns))):
        digest.update(b"\0" + os.fsencode(path) + b"\0")
        digest.update(_content(tree, path))
    return digest.hexdigest()


def _named(tree: str, patterns: Sequence[str]) -> Iterator[str]:
    from pathlib import Path

    top = Path(tree)
    for pattern in patterns:
        for path in top.glob(pattern):
            if path.is_symlink() or path.is_file():
                yield str(path.relative_to(top))


def _content(tree: str, path: str) -> bytes:
    """The hash of a file's content; of a link, and of what can't be read, something else."""
    full = os.path.join(tree, path)
    if os.path.islink(full):
        real = os.path.realpath(full)
        if os.path.commonpath([real, os.path.realpath(tree)]) != os.path.realpath(tree):
            return b"link " + os.fsencode(os.readlink(full))
    digest = hashlib.sha256()
    try:
        with open(full, "rb") as file:
            while True:
                piece = file.read(1 << 20)
                if not piece:
                    return digest.digest()
                digest.update(piece)
    except OSError:
        return b"unread"


def is_done(workspace: str, wanted: str) -> bool:
    """Whether it last succeeded in this workspace with the same fingerprint."""
    state = read_json(os.path.join(workspace, STATE))
    return state is not None and state.get("fingerprint") == wanted


def note(workspace: str, wanted: str | None) -> None:
    """Remember that it succeeded; None: that it may not have."""
    write_durably(os.path.join(workspace, STATE), json.dumps({"fingerprint": wanted}).encode())


# -- what it changed


def keep_home(tree: str, git_dir: str, home: str | None) -> None:
    """Remember, beside the baseline, the git tree of what came from home; None: it is the same."""
    path = os.path.join(git_dir, HOME)
    if home is not None:
        git = Git(tree, git_dir)
        git("cat-file", "-e", home, ok=(0, 1, 128))
        # The git dir may have been made anew for the baseline, and then setup's changes are not
        # told from home's.
        home = None if git.failed else home
    if home is not None:
        write_durably(path, home.encode())
    elif os.path.exists(path):
        os.unlink(path)


class Base:
    """What the harvest compares with, where setup changed something."""

    def __init__(self, git: Git, baseline: str) -> None:
        """git: with the index of the harvest; baseline: its git tree. Raises HarvestError."""
        # The git tree that the patch is made against.
        self.tree = baseline
        # What setup did, for the harvest's list.
        self.left_out: list[wire.Omission] = []
        home = _home_of(git)
        if home is not None and home != baseline:
            self._compare(git, home)

    def _compare(self, git: Git, home: str) -> None:
        by_setup = _changed(git("diff-tree", "-r", "-z", "--raw", "--no-renames", home, self.tree))
        by_agent = _changed(git("diff-index", "--cached", "-z", "--raw", "--no-renames", self.tree))
        both = by_setup.keys() & by_agent.keys()
        self.left_out = [
            {"path": text(path), "why": MADE if by_setup[path][0] == b"0" * 6 else CHANGED}
            for path in sorted(by_setup.keys() - both)
        ]
        if both:
            self.tree = self._as_at_home(git, {path: by_setup[path] for path in both})

    def _as_at_home(self, git: Git, entries: dict[bytes, tuple[bytes, bytes]]) -> str:
        """The git tree of the baseline, in which these paths are as they were at home."""
        index = os.path.join(git.dir, "home-index")
        at = {"GIT_INDEX_FILE": index}
        lines = b"".join(
            b"%s %s\t%s\0" % (mode, name, path) for path, (mode, name) in entries.items()
        )
        try:
            git("read-tree", self.tree, at=at)
            git("update-index", "-z", "--index-info", stdin=lines, at=at)
            return git("write-tree", at=at).decode().strip()
        finally:
            for path in (index, index + ".lock"):
                if os.path.exists(path):
                    os.unlink(path)


def _home_of(git: Git) -> str | None:
    try:
        with open(os.path.join(git.dir, HOME), encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _changed(listing: bytes) -> dict[bytes, tuple[bytes, bytes]]:
    """Path -> (mode, object) before the change, from raw lines; a new path has mode 000000."""
    words = listing.split(b"\0")[:-1]
    changed = {}
    for line, path in zip(words[::2], words[1::2]):
        mode, _mode, name = line.lstrip(b":").split(b" ")[:3]
        changed[path] = (mode, name)
    return changed
