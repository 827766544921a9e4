# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workspace's tree after a sync: a repository that the agent can work with."""

from __future__ import annotations

import contextlib
import os


def tidy(tree: str) -> None:
    """Take away what would keep the agent's git from its work.

    That is locks of a git that was at work at home, and work trees of an earlier agent.
    """
    git_dir = os.path.join(tree, ".git")
    if os.path.islink(git_dir) or not os.path.isdir(git_dir):
        return

    if os.path.isdir(os.path.join(git_dir, "worktrees")):
        # This import costs a sync as much as all the rest here.
        import shutil

        shutil.rmtree(os.path.join(git_dir, "worktrees"), ignore_errors=True)

    _remove_locks(git_dir, os.listdir(git_dir))
    refs = os.path.join(git_dir, "refs")
    # A project that means harm could have a link here, to a folder with locks of others.
    if not os.path.islink(refs):
        for folder, _folders, files in os.walk(refs):
            _remove_locks(folder, files)


def _remove_locks(folder: str, names: list[str]) -> None:
    """No ref may be called so, so what ends in .lock is one."""
    for name in names:
        if name.endswith(".lock"):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))
