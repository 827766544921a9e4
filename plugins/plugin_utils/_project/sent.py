# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sync to an empty workspace would bring there, told without an rsync."""

from __future__ import annotations

import os
from collections.abc import Iterator

from .._node.belongs import Patterns
from .contents import folder_of, with_all_above
from .sync import Exclusions


def sent_paths(excluded: Exclusions) -> set[bytes]:
    """The paths in the workspace of all files, links and folders that would go there.

    Those of folders end with a slash. Raises ProjectError.
    """
    project = excluded.project
    top = os.fsencode(project.path)
    cut = Patterns([os.fsdecode(rule.removeprefix(b"- ")) for rule in excluded.rules])
    folders = [(os.fsencode(folder), os.fsencode(path)) for folder, path in project.parts]
    folders += [
        (os.path.join(top, repository, b".git"), repository + b".git")
        for repository in excluded.configs
        if repository or not project.parts
    ]
    inside = (path for folder, path in folders for path in _all_in(folder, path + b"/"))
    paths = {*excluded.contents().files, *(path for path in inside if not cut.name(path))}
    return paths | with_all_above({folder_of(path) for path in paths})


def _all_in(folder: bytes, path: bytes) -> Iterator[bytes]:
    """All that is in a folder, which has this path in the workspace; links are not followed."""
    for where, inner, names in os.walk(folder):
        below = path + where[len(folder) :].lstrip(b"/")
        below += b"" if below.endswith(b"/") else b"/"
        for name in inner:
            is_link = os.path.islink(os.path.join(where, name))
            yield below + name + (b"" if is_link else b"/")
        yield from (below + name for name in names)
