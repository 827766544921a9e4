"""What a node needs of us works with its own Python and git and nothing else.

Standard library only: `make demo` runs this file on a node.
"""

from __future__ import annotations

import importlib
import pathlib
import subprocess
import sys
import tempfile
import unittest

NODE = pathlib.Path(__file__).resolve().parents[2] / "plugins" / "plugin_utils" / "_node"


class NodeProgram(unittest.TestCase):
    def test_every_file_compiles_with_this_python(self) -> None:
        files = sorted(NODE.glob("*.py"))
        self.assertTrue(files)
        for path in files:
            compile(path.read_bytes(), str(path), "exec", dont_inherit=True)

    def test_a_harvested_patch_gives_a_pristine_copy_the_same_content(self) -> None:
        sys.path.insert(0, str(NODE.parent))
        self.addCleanup(sys.path.remove, str(NODE.parent))
        baseline = importlib.import_module("_node.baseline")
        harvest = importlib.import_module("_node.harvest")
        with tempfile.TemporaryDirectory() as folder:
            work, pristine, out = (
                pathlib.Path(folder, name) for name in ("a tree", "pristine", "out")
            )
            for tree in (work, pristine):
                tree.mkdir()
                (tree / "old.txt").write_text("one\ntwo\n", encoding="utf-8")
            out.mkdir()
            baseline.make_baseline(str(work), f"{folder}/git")
            (work / "old.txt").write_text("one\n2\n", encoding="utf-8")
            (work / "new file").write_bytes(b"\0binary")
            result = harvest.make_harvest(str(work), f"{folder}/git", str(out))
            subprocess.run(["git", "apply", str(out / result["patch"])], cwd=pristine, check=True)
            self.assertEqual(
                {p.name: p.read_bytes() for p in pristine.iterdir()},
                {p.name: p.read_bytes() for p in work.iterdir()},
            )


if __name__ == "__main__":
    unittest.main()
