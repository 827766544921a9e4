# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The core of the collection, in wings; docs/architecture.md has the plan of them.

Ansible's loader compiles each module of a collection anew in every process, and there are more
than a hundred here: that was a quarter of what a command costs beside Ansible's own start. So what
is below this package is loaded as any other Python, by the loader that keeps what it compiled in
`__pycache__`. Where nothing can be written there it compiles them, too, and says nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType
from typing import cast


class CompiledModules(MetaPathFinder):
    """Finds the modules of this package alone."""

    def __init__(self, package: str) -> None:
        self._prefix = f"{package}."
        self._folders: dict[str, FileFinder] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What Python loads the module by; None if it is none of ours."""
        if path is None or not fullname.startswith(self._prefix):
            return None
        for folder in path:
            if folder not in self._folders:
                self._folders[folder] = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES))
            spec = self._folders[folder].find_spec(fullname, target)
            if spec is not None:
                return spec
        return None


def put_before_ansible(finder: MetaPathFinder, finders: list[object]) -> None:
    """Ask this finder before Ansible's; where that one is not, Python's own is asked anyway."""
    for place, other in enumerate(finders):
        if type(other).__name__ == "_AnsibleCollectionFinder":
            finders.insert(place, finder)
            return


put_before_ansible(CompiledModules(__name__), cast("list[object]", sys.meta_path))
