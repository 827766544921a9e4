"""Workspaces lie in short folders of the home, and the store points there. Without pytest."""

from __future__ import annotations

import json
import os
import socket
import unittest
from pathlib import Path

from node_case import A, NodeCase


class ShortPathsTest(NodeCase):
    def test_a_socket_50_bytes_below_the_project_fits_where_the_home_has_20(self) -> None:
        home = "/" + "h" * 19
        path = self.claim()["workspace"]
        self.assertTrue(path.startswith(str(self.home)), path)
        below = path[len(str(self.home)) :] + "/tree/" + "s" * 50
        self.assertLessEqual(len(home + below) + 1, 104)
        self.assertRegex(below, r"^/\.dg/[a-z]{10}/0/")

    def test_the_store_points_to_it_and_that_is_right_from_elsewhere_too(self) -> None:
        path = Path(self.claim()["workspace"])
        pointer = Path(self.store.pointer("project", 0))
        self.assertTrue(pointer.is_symlink() and not os.path.isabs(os.readlink(pointer)))
        self.assertTrue(pointer.samefile(path))
        self.assertEqual(str(path), self.store.workspace("project", 0))

    def test_a_folder_of_another_store_or_key_is_not_taken(self) -> None:
        first = Path(self.store.short_folder("project"))
        first.mkdir(parents=True)
        (first / "owner").write_text("another store's")
        path = Path(self.claim()["workspace"])
        self.assertNotEqual(first, path.parent)
        self.assertEqual(["owner"], os.listdir(first))
        self.assertEqual(str(path), self.store.workspace("project", 0))

    def test_a_workspace_of_an_older_program_moves_when_it_is_harvested_and_stays_until_then(
        self,
    ) -> None:
        for number in range(2):
            old = Path(self.store.pointer("project", number))
            (old / "tree").mkdir(parents=True)
            (old / "tree" / "work").write_text(str(number))
        attempt = self.store.attempt(A + "9")
        attempt.create()
        for mark in ("starting", "agent"):
            attempt.mark(mark)
        (old.parent / "0" / "holder.json").write_text(json.dumps({"attempt": attempt.id}))
        path = Path(self.claim(slots=9)["workspace"])
        self.assertEqual(path, Path(self.store.short_folder("project"), "1"))
        self.assertEqual("1", (path / "tree" / "work").read_text())
        kept = Path(self.store.pointer("project", 0))
        self.assertFalse(kept.is_symlink())
        self.assertEqual("0", (kept / "tree" / "work").read_text())
        self.assertEqual(str(kept), self.store.workspace("project", 0))

    def test_where_the_home_can_t_be_written_they_lie_in_the_store(self) -> None:
        (self.home / ".dg").write_text("no folder")
        path = self.claim()["workspace"]
        self.assertEqual(self.store.pointer("project", 0), path)
        self.assertTrue(os.path.isdir(os.path.join(path, "tree")))

    def test_clean_takes_pointer_workspace_mirror_and_folder(self) -> None:
        path = Path(self.claim()["workspace"])
        (path.parent / "mirror" / "tree").mkdir(parents=True)
        (path.parent / "mirror" / "lock").touch()
        self.ask("release", attempt=A + "1")
        self.ask("clean", days=1000, most=1e18, free=1e18, check=False)
        self.assertFalse(path.parent.exists())
        self.assertFalse(os.path.lexists(self.store.pointer("project", 0)))
        self.assertEqual(str(path), self.claim(A + "2")["workspace"])

    def test_an_agent_binds_a_socket_in_its_project(self) -> None:
        if len(str(self.home)) > 40:
            self.skipTest("the folder for temporary files has a long path")
        name = "tmp/sockets/.s.PGSQL.5432"
        ended = self.run_job(
            command="mkdir -p tmp/sockets; python3 -c 'import os, socket;"
            f' socket.socket(socket.AF_UNIX).bind(os.getcwd() + "/{name}")\''
        )
        self.assertIsNone(ended["class"], ended)
        self.assertTrue(hasattr(socket, "AF_UNIX"))


if __name__ == "__main__":
    unittest.main()
