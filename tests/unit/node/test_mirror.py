"""A workspace after a sync: what belongs, and what is kept; nothing else. Runs without pytest."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugins" / "plugin_utils"))
from _node import mirror
from _node.belongs import LIST, pack


class MirrorTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name).resolve()
        self.mirror = self.top / "mirror"
        self.tree = self.top / "tree"
        self.mirror.mkdir()
        self.tree.mkdir()
        self.repositories: list[str] = []
        self.plain: list[str] = []
        self.patterns: list[str] = []
        self.files: list[str] = []

    def put(self, folder: Path, *names: str) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)

    def repository(self, below: str = "") -> None:
        """A repository in the mirror, as a sync would have sent it."""
        folder = self.mirror / below
        folder.mkdir(exist_ok=True)
        subprocess.run(["git", "init", "-q", "--template="], cwd=folder, check=True)
        subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
        self.repositories.append(below)

    def belongs(self, *names: str) -> None:
        self.put(self.mirror, *names)
        self.files += names

    def sync(self) -> mirror.Making:
        """What the node program does when rsync has filled the mirror."""
        header = {
            "repositories": self.repositories,
            "plain": self.plain,
            "patterns": self.patterns,
        }
        (self.mirror / os.fsdecode(LIST)).write_bytes(pack(header, map(os.fsencode, self.files)))
        listed = mirror.read_list_of(str(self.mirror))
        mirror.prune(str(self.mirror), listed)
        making = mirror.Making(str(self.mirror), str(self.tree), str(self.top / "none.git"))
        making.make(listed)
        return making

    def there(self, folder: Path | None = None) -> set[str]:
        folder = folder or self.tree
        return {
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if not path.is_dir() and ".git" not in path.parts
        }

    def test_what_belongs_is_there_with_mode_and_time_and_all_else_is_gone(self) -> None:
        self.belongs("a", "d/b", "tool")
        (self.mirror / "tool").chmod(0o755)
        os.utime(self.mirror / "a", ns=(5, 123456789))
        (self.mirror / "link").symlink_to("a")
        self.files.append("link")
        self.put(self.mirror, "d/stale", "old/x")
        self.put(self.tree, "d/of an agent", "mine/x", "tool/was a folder", "link")
        making = self.sync()
        self.assertEqual({"a", "d/b", "tool", "link"}, self.there())
        self.assertEqual({*self.there(), os.fsdecode(LIST)}, self.there(self.mirror))
        self.assertFalse((self.tree / "mine").exists())
        self.assertEqual(0o755, (self.tree / "tool").stat().st_mode & 0o777)
        self.assertEqual(123456789, (self.tree / "a").stat().st_mtime_ns)
        self.assertEqual("a", os.readlink(self.tree / "link"))
        self.assertEqual(2, making.deleted)
        self.assertEqual((0, 0), (self.sync().changes, self.sync().deleted))

    def test_a_file_that_an_agent_changed_is_the_project_s_again(self) -> None:
        self.belongs("a", "b", "c")
        self.sync()
        (self.tree / "a").write_text("longer than before")
        (self.tree / "b").chmod(0o600)
        (self.tree / "c").unlink()
        os.link(self.tree / "b", self.top / "elsewhere")
        self.assertEqual(3, self.sync().changes)
        self.assertEqual("a", (self.tree / "a").read_text())
        self.assertEqual({"a", "b", "c"}, self.there())

    def test_what_git_ignores_is_kept_and_in_each_repository_by_its_own_rules(self) -> None:
        self.belongs(".gitignore", "a.o", "own/.gitignore", "sub/.gitignore")
        (self.mirror / ".gitignore").write_text("/built/\n*.o\n")
        (self.mirror / "own/.gitignore").write_text("cache\n")
        (self.mirror / "sub/.gitignore").write_text("made\n")
        subprocess.run(["git", "init", "-q"], cwd=self.mirror, check=True)
        subprocess.run(["git", "add", "-f", "a.o"], cwd=self.mirror, check=True)
        self.repositories.append("")
        self.repository("own/")
        self.plain.append("sub/")
        kept = {"built/x/y", "d/b.o", "own/cache", "sub/made"}
        self.put(self.tree, *kept, "cache", "own/built/x", "sub/stale", "new/x")
        self.sync()
        self.assertEqual({*self.files, *kept}, self.there())
        # A tracked file that is gone at home is not ignored, whatever its name.
        self.files.remove("a.o")
        self.sync()
        self.assertEqual({*self.files, *kept}, self.there())

    def test_without_git_what_sync_exclude_names_is_kept(self) -> None:
        self.belongs("a", ".gitignore")
        (self.mirror / ".gitignore").write_text("ignored\n")
        self.patterns = ["*.log", "node_modules"]
        kept = {"d/x.log", "node_modules/m"}
        self.put(self.tree, *kept, "ignored", "d/y")
        self.sync()
        self.assertEqual({*self.files, *kept}, self.there())

    def test_a_specialist_and_other_agents_state_stay_and_take_what_the_project_has(self) -> None:
        self.belongs("a", ".gummy/specialists/db/prompt.txt", ".claude/agent-memory/r/shared.md")
        kept = {
            ".gummy/specialists/db/session.txt",
            ".gummy/specialists/ui/prompt.txt",
            ".claude/agent-memory/r/noted.md",
            ".claude/settings.local.json",
            ".crush/crush.db",
            ".aider.chat.history.md",
        }
        self.put(self.tree, *kept, ".gummy/lib/x", ".claude/commands/x.md")
        (self.tree / ".gummy/specialists/db/prompt.txt").write_text("the node's own")
        self.sync()
        self.assertEqual({*self.files, *kept}, self.there())
        name = ".gummy/specialists/db/prompt.txt"
        self.assertEqual(name, (self.tree / name).read_text())

    def test_a_repository_is_the_project_s_as_a_whole_and_one_of_an_agent_goes(self) -> None:
        self.belongs("a")
        self.repository()
        self.sync()
        self.put(self.tree, ".git/refs/heads/of-an-agent", "made/.git/HEAD", "made/x")
        self.sync()
        self.assertFalse((self.tree / ".git/refs/heads/of-an-agent").exists())
        self.assertEqual({"a"}, self.there())
        # Nor does it go on as one when the project at home has none any more.
        self.repositories.clear()
        mirror.delete_folder(os.fsencode(self.mirror / ".git"))
        self.sync()
        self.assertFalse((self.tree / ".git").exists())

    def test_a_folder_that_was_closed_is_opened_for_it(self) -> None:
        self.belongs("d/a")
        (self.mirror / "d").chmod(0o500)
        self.addCleanup((self.mirror / "d").chmod, 0o700)
        self.put(self.tree, "closed/x")
        (self.tree / "closed").chmod(0)
        self.sync()
        self.addCleanup((self.tree / "d").chmod, 0o700)
        self.assertEqual({"d/a"}, self.there())
        self.assertEqual(0o500, (self.tree / "d").stat().st_mode & 0o777)

    def test_no_link_is_followed(self) -> None:
        self.put(self.top, "private/key")
        self.belongs("d/a")
        (self.tree / "d").symlink_to(self.top / "private")
        (self.tree / "other").symlink_to(self.top / "private")
        self.sync()
        self.assertEqual({"d/a"}, self.there())
        self.assertEqual({"key"}, self.there(self.top / "private"))

    def test_what_would_go_is_foreseen_and_nothing_done(self) -> None:
        self.belongs(".gitignore", "d/a")
        (self.mirror / ".gitignore").write_text("built\n")
        self.repository()
        self.sync()
        self.put(self.tree, "built/x", "d/b", "new/c")
        before = self.there()
        listed = mirror.read_list_of(str(self.mirror))
        self.assertEqual(["d/b", "new/c"], mirror.foresee(str(self.tree), listed))
        self.assertEqual(before, self.there())
        self.assertEqual([], mirror.foresee(str(self.top / "not there"), listed))

    def test_a_copy_is_a_copy_where_there_is_no_reflink(self) -> None:
        self.belongs("large")
        (self.mirror / "large").write_bytes(os.urandom(3 << 20))
        self.sync()
        with (self.tree / "large").open("ab") as file:
            file.write(b"x")
        self.assertEqual(3 << 20, (self.mirror / "large").stat().st_size)


if __name__ == "__main__":
    unittest.main()
