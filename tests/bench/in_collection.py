"""Runs a program that imports this clone as a collection: `in_collection.py PROGRAM WORD...`.

Ansible's own programs make collections importable before they import anything of one; so does this,
and the program begins with plain imports.
"""

from __future__ import annotations

import pathlib
import runpy
import sys

from ansible.plugins.loader import init_plugin_loader

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main() -> None:
    sys.path.insert(0, str(ROOT / ".collections"))
    init_plugin_loader()
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
