"""A mirror whose tree a workspace has: nothing is shared, and no change of an agent is taken."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugins" / "plugin_utils"))
from _node import copies, lent
from _node.belongs import LIST

LIST_NAME = os.fsdecode(LIST)


class LentTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.mirror = Path(folder.name).resolve() / "mirror"
        self.own = self.mirror / "tree"
        self.tree = self.mirror.parent / "1" / "tree"
        self.tree.mkdir(parents=True)
        self.put("a", "d/b c", "d/e/tool", ".git/HEAD", LIST_NAME)
        (self.own / "d/e/tool").chmod(0o755)
        (self.own / "empty").mkdir()
        (self.own / "link").symlink_to("a")
        os.utime(self.own / "a", ns=(5, 123456789))

    def put(self, *names: str) -> None:
        for name in names:
            (self.own / name).parent.mkdir(parents=True, exist_ok=True)
            (self.own / name).write_text(name)

    def lend(self) -> None:
        self.assertFalse(lent.is_lent(str(self.mirror)))
        self.assertEqual(9, lent.lend(str(self.mirror), str(self.tree)))
        self.assertTrue(lent.is_lent(str(self.mirror)))

    def take_back(self) -> bool:
        is_whole = lent.take_back(str(self.mirror))
        self.assertFalse(lent.is_lent(str(self.mirror)))
        self.assertEqual({"tree"}, set(os.listdir(self.mirror)))
        return is_whole

    def there(self, folder: Path) -> dict[str, object]:
        """All that lies below a folder: path -> kind and mode, times, content."""
        found: dict[str, object] = {}
        for path in sorted(folder.rglob("*")):
            info = path.lstat()
            name = str(path.relative_to(folder))
            if path.is_symlink():
                found[name] = os.readlink(path)
            elif path.is_dir():
                found[name] = info.st_mode
            else:
                found[name] = (info.st_mode, info.st_mtime_ns, path.read_text())
        return found

    def test_the_workspace_gets_all_but_the_list_and_the_mirror_is_made_anew_the_same(self) -> None:
        before = self.there(self.own)
        (self.own / "d").chmod(0o555)
        self.addCleanup(self.tree.joinpath("d").chmod, 0o755)
        self.lend()
        self.assertFalse((self.tree / LIST_NAME).exists())
        self.assertTrue(self.take_back())
        self.assertEqual(0o555, (self.own / "d").stat().st_mode & 0o777)
        (self.own / "d").chmod(0o755)
        self.assertEqual(before, self.there(self.own))
        del before[LIST_NAME]
        (self.tree / "d").chmod(0o755)
        self.assertEqual(before, self.there(self.tree))

    def test_a_change_in_the_workspace_is_none_of_the_mirror_and_the_other_way(self) -> None:
        self.lend()
        self.assertTrue(self.take_back())
        (self.tree / "a").write_text("by an agent")
        (self.own / "d/b c").write_text("by rsync")
        self.assertEqual("a", (self.own / "a").read_text())
        self.assertEqual("d/b c", (self.tree / "d/b c").read_text())

    def test_what_an_agent_changed_does_not_come_back(self) -> None:
        def write_in_place() -> None:
            (self.tree / "a").write_text("A")

        def write_and_set_time_back() -> None:
            (self.tree / "a").write_text("A")
            os.utime(self.tree / "a", ns=(5, 123456789))

        def remove() -> None:
            (self.tree / "a").unlink()

        def write_through_link() -> None:
            (self.tree / "link").write_text("A")

        def exchange_folders() -> None:
            """Their files are as they were, but lie elsewhere."""
            (self.tree / "d").rename(self.tree / "x")
            (self.tree / "d").mkdir()
            (self.tree / "x").rename(self.tree / "d/e")

        def fifo() -> None:
            (self.tree / "a").unlink()
            os.mkfifo(self.tree / "a")

        def lead_elsewhere() -> None:
            (self.tree / "link").unlink()
            (self.tree / "link").symlink_to("/etc/passwd")

        for act, gone in (
            (write_in_place, {"a"}),
            (write_and_set_time_back, {"a"}),
            (lambda: (self.tree / "a").chmod(0o600), {"a"}),
            (remove, {"a"}),
            (lambda: os.link(self.tree / "a", self.tree / "second name"), {"a"}),
            (write_through_link, {"a"}),
            (exchange_folders, {"d/b c", "d/e/tool"}),
            (fifo, {"a"}),
            (lead_elsewhere, {"link"}),
            (lambda: shutil.rmtree(self.tree / ".git"), {".git/HEAD"}),
        ):
            with self.subTest(act):
                self.doCleanups()
                self.setUp()
                before = self.there(self.own)
                self.lend()
                # Some systems' clocks for files tick every few milliseconds; a start takes longer.
                time.sleep(0.02)
                act()
                self.assertFalse(self.take_back())
                for name in gone:
                    del before[name]
                self.assertEqual(before, self.there(self.own))

    def test_what_lies_beside_it_is_told_while_all_is_as_it_was_lent(self) -> None:
        def beside() -> list[bytes] | None:
            return lent.beside(str(self.mirror), str(self.tree))

        self.lend()
        self.assertEqual([], beside())
        self.assertIsNone(lent.beside(str(self.mirror), str(self.tree.parent / "other")))
        (self.tree / "new").mkdir()
        (self.tree / "new/x").touch()
        (self.tree / "d/y").touch()
        self.assertEqual([b"d/y", b"new/"], sorted(beside() or []))
        (self.tree / ".git/index").touch()
        self.assertIsNone(beside())
        (self.tree / ".git/index").unlink()
        self.assertIsNotNone(beside())
        (self.tree / "d/e").chmod(0o700)
        self.assertIsNone(beside())
        (self.tree / "d/e").chmod(0o755)
        self.assertIsNotNone(beside())
        (self.tree / "empty").rmdir()
        self.assertIsNone(beside())

    def test_what_is_changed_while_it_is_copied_does_not_come_back(self) -> None:
        self.lend()
        time.sleep(0.02)
        real = copies.Copies.file

        def change(copying: copies.Copies, source: bytes, target: bytes, info: object) -> None:
            if source.endswith(b"/a"):
                (self.tree / "a").write_text("A")
            real(copying, source, target, info)

        with mock.patch.object(copies.Copies, "file", change):
            self.assertFalse(self.take_back())
        self.assertFalse((self.own / "a").exists())
        self.assertTrue((self.own / "d/b c").exists())

    def test_a_workspace_that_is_gone_leaves_an_empty_mirror(self) -> None:
        self.lend()
        shutil.rmtree(self.tree.parent)
        self.assertFalse(self.take_back())
        self.assertEqual({"d", "d/e", "empty", ".git", LIST_NAME}, set(self.there(self.own)))

    def test_a_record_that_a_power_cut_left_is_read_as_far_as_it_goes(self) -> None:
        self.lend()
        record = (self.mirror / lent.RECORD).read_bytes()
        for length in (0, 5, *range(len(record) - 60, len(record)), len(record) + 60):
            if not lent.is_lent(str(self.mirror)):
                shutil.copy2(self.own / LIST_NAME, self.mirror / LIST_NAME)
                shutil.rmtree(self.own)
            (self.mirror / lent.RECORD).write_bytes(record[:length].ljust(length, b"\0"))
            with self.subTest(length):
                self.take_back()
                found = set(self.there(self.own)) - {LIST_NAME}
                self.assertLessEqual(found, set(self.there(self.tree)))

    def test_a_tree_that_can_not_be_moved_stays_the_mirror_s(self) -> None:
        (self.tree / "of an agent").write_text("mine")
        before = self.there(self.own)
        self.assertIsNone(lent.lend(str(self.mirror), str(self.tree)))
        self.assertFalse(lent.is_lent(str(self.mirror)))
        self.assertEqual(before, self.there(self.own))

    def test_one_that_is_ended_anywhere_leaves_the_mirror_lent_or_whole(self) -> None:
        class Ended(BaseException):
            pass

        for steps in range(10):
            with self.subTest(steps):
                self.doCleanups()
                self.setUp()
                before = self.there(self.own)
                self.lend()
                left = steps

                def ended(real):
                    def step(*args: object, **more: object) -> object:
                        nonlocal left
                        left -= 1
                        if left < 0:
                            raise Ended
                        return real(*args, **more)

                    return step

                with (
                    mock.patch("os.rename", ended(os.rename)),
                    mock.patch("os.mkdir", ended(os.mkdir)),
                    mock.patch("os.unlink", ended(os.unlink)),
                    contextlib.suppress(Ended),
                ):
                    lent.take_back(str(self.mirror))
                if lent.is_lent(str(self.mirror)):
                    is_whole = lent.take_back(str(self.mirror))
                    found = self.there(self.own)
                    self.assertEqual(is_whole, LIST_NAME in found)
                    found.setdefault(LIST_NAME, before[LIST_NAME])
                else:
                    found = self.there(self.own)
                self.assertEqual(before, found)


if __name__ == "__main__":
    unittest.main()
