# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a project this user can't read: a matter of this machine, told before a node is asked.

A database's folder that a container made is the usual case. rsync would stumble over it on every
node, and each of them would be blamed for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence

from .sent import sent_paths
from .sync import Exclusions, anchored

# How many paths are named to people, and how many are looked for.
SHOWN_MOST = 10
FOUND_MOST = 1000


def why_unreadable(excluded: Exclusions, config: str) -> str:
    """Why a project can't go to any node, with the line that mends it; blank if it can.

    config: path of the config file. Raises ProjectError.
    """
    if not os.access(excluded.project.path, os.R_OK | os.X_OK):
        return f"this user can't read {excluded.project.path}, so nothing of it goes to a node"
    paths = unreadable_paths(excluded)
    if not paths:
        return ""
    shown = [path.decode("utf-8", "backslashreplace") for path in paths[:SHOWN_MOST]]
    names = ", ".join(shown)
    if len(paths) > len(shown):
        names += f" and {len(paths) - len(shown)} more"
    rules = [anchored(path).decode("utf-8", "backslashreplace") for path in paths[:SHOWN_MOST]]
    setting = json.dumps([*excluded.patterns, *rules])
    return (
        f"this user can't read {names} in {excluded.project.path}, so nothing of it goes to a "
        f"node. To leave that at home, write in {config}: sync_exclude: {setting}"
    )


def unreadable_paths(excluded: Exclusions) -> list[bytes]:
    """Paths of what would go to a node and can't be read here, sorted; folders end with a slash.

    Raises ProjectError.
    """
    project = excluded.project
    found = set(_unreadable_in(project.path, frozenset(project.ignored)))
    # What goes although git ignores it was not walked through.
    found.update(path for path in excluded.included if not _is_readable(project.path, path))
    for folder, path in project.parts:
        top = os.fsencode(path) + b"/"
        found.update(top + name for name in _unreadable_in(folder, frozenset()))
    if not found:
        # So it is nearly always.
        return []
    sent = {path.rstrip(b"/") for path in sent_paths(excluded)}
    return sorted(path for path in found if path.rstrip(b"/") in sent)[:FOUND_MOST]


def _unreadable_in(top: str, ignored: frozenset[bytes]) -> Iterator[bytes]:
    """What can't be read below a folder.

    Links are not followed, and what is ignored is passed over.
    """
    root = os.fsencode(top)
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(os.path.join(root, folder)))
        except FileNotFoundError:
            continue
        except OSError:
            yield folder
            continue
        for entry in entries:
            path = folder + entry.name
            if entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                if path + b"/" in ignored or path in ignored:
                    continue
                if os.access(entry.path, os.R_OK | os.X_OK):
                    waiting.append(path + b"/")
                elif os.path.lexists(entry.path):
                    yield path + b"/"
            elif (
                entry.is_file(follow_symlinks=False)
                and not os.access(entry.path, os.R_OK)
                and path not in ignored
                and os.path.lexists(entry.path)
            ):
                yield path


def _is_readable(top: str, path: bytes) -> bool:
    """Whether a file can be read; what is a link, or not there, counts as one."""
    full = os.path.join(os.fsencode(top), path)
    return os.path.islink(full) or not os.path.lexists(full) or os.access(full, os.R_OK)


def why_each_unreadable(projects: Sequence[Exclusions], config: str) -> dict[str, str]:
    """Project -> why it can't go to any node, of those that can't. Raises ProjectError."""
    reasons = {each.project.path: why_unreadable(each, config) for each in projects}
    return {path: reason for path, reason in reasons.items() if reason}
