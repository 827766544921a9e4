"""The store: identity, names, durable writes, locks."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

from node_case import NodeCase, Refusal, checked, is_locked, replies, try_lock, write_durably


class StoreTest(NodeCase):
    def test_a_name_that_could_leave_its_folder_or_be_an_option_is_refused(self) -> None:
        for name in (
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc",
            "-rf",
            ".hidden",
            "a b",
            "a\n",
            "a\0",
            "ä",
            "x" * 129,
            None,
            7,
            ["a"],
        ):
            with self.subTest(name=name), self.assertRaises(Refusal):
                checked(name)
        self.assertEqual("run-1.a_B", checked("run-1.a_B"))

    def test_two_first_calls_agree_on_the_stores_identity_and_a_third_one_too(self) -> None:
        self.env["XDG_STATE_HOME"] = str(self.home / "fresh")
        first = [self.begin("list", {}) for _time in range(4)]
        ids = {replies(process.communicate(timeout=60)[0])[-1]["store"] for process in first}
        self.assertEqual({self.ask("list")["store"]}, ids)
        self.assertNotIn(self.store.id, ids)

    def test_the_store_lies_in_the_home_for_its_owner_only(self) -> None:
        del self.env["XDG_STATE_HOME"]
        self.claim()
        (found,) = (self.home / ".local" / "state" / "distributed-gummy").iterdir()
        self.assertEqual(0o700, stat.S_IMODE(found.stat().st_mode))
        self.assertTrue((found / "claims.json").is_file())

    def test_a_store_of_a_newer_format_is_refused_and_left_alone(self) -> None:
        path = Path(self.store.root, "store.json")
        path.write_text(json.dumps({"format": 2, "id": "x"}))
        before = sorted(os.listdir(self.store.root))
        reply = self.claim()
        self.assertEqual(
            ("refused", "store", "node"), (reply["state"], reply["class"], reply["blame"])
        )
        self.assertIn("newer collection", reply["message"])
        self.assertEqual(before, sorted(os.listdir(self.store.root)))

    def test_a_failed_write_leaves_the_old_content(self) -> None:
        path = self.home / "file"
        write_durably(str(path), b"old")
        with self.assertRaises(TypeError):
            write_durably(str(path), "no bytes")  # type: ignore[arg-type]
        self.assertEqual(b"old", path.read_bytes())
        write_durably(str(path), b"new")
        self.assertEqual(b"new", path.read_bytes())

    def test_a_lock_has_one_holder_is_not_inherited_and_many_may_look(self) -> None:
        path = str(self.home / "lock")
        # Who asks makes nothing.
        self.assertFalse(is_locked(path))
        self.assertFalse(os.path.exists(path))
        fd = try_lock(path)
        assert fd is not None
        self.assertIsNone(try_lock(path))
        self.assertTrue(is_locked(path))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        child = subprocess.Popen(
            [sys.executable, "-c", "print('up', flush=True); input()"], close_fds=False, **pipes
        )
        self.assertEqual(b"up\n", child.stdout.readline())
        os.close(fd)
        self.assertFalse(is_locked(path))
        child.communicate(b"\n")
        again = try_lock(path)
        assert again is not None
        os.close(again)
