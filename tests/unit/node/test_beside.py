"""What comes home beside the patch: nested repositories, commits, artifacts, a branch's parts."""

from __future__ import annotations

import os
import subprocess

import trees
from harvest_case import Case, beside


class BesideTest(Case):
    def test_nested_repositories_come_with_history_and_their_tracked_files_are_in_the_patch_too(
        self,
    ):
        self.write("sub/tracked", "1\n")
        self.base()
        self.write("sub/tracked", "2\n")
        self.write("new/committed", "x\n")
        for path in ("sub", "new", "new/deeper", "empty"):
            (self.tree / path).mkdir(exist_ok=True)
            self.git("init", "-q", cwd=self.tree / path)
            if path == "new":
                self.git("add", ".", cwd=self.tree / path)
                self.git("commit", "-qm", "x", cwd=self.tree / path)
        self.write("new/deeper/file", "x\n")
        result = self.check()
        self.assertEqual([c["path"] for c in result["changed"]], ["sub/tracked"])
        self.assertEqual(result["nested"], ["empty", "new", "new/deeper", "sub"])
        head = trees.said(self.tree / "new", "rev-parse", "HEAD")
        self.assertEqual(head, trees.said(self.top / "user/new", "rev-parse", "FETCH_HEAD^"))

    def test_only_repositories_that_are_new_or_touched_have_a_bundle(self):
        for name in ("same", "moved on", "edited"):
            (self.tree / name).mkdir()
            self.git("init", "-q", cwd=self.tree / name)
            self.write(f"{name}/file", "1\n")
            self.git("add", ".", cwd=self.tree / name)
            self.git("commit", "-qm", "x", cwd=self.tree / name)
        self.base()
        self.git("commit", "-q", "--allow-empty", "-m", "y", cwd=self.tree / "moved on")
        self.write("edited/file", "2\n")
        self.assertEqual(["edited", "moved on"], self.harvest()["nested"])

    def test_commits_come_in_a_bundle_that_has_only_what_is_new(self):
        self.git("init", "-q", "-b", "main")
        self.write("a", "1\n")
        self.git("add", ".")
        self.git("commit", "-qm", "before")
        self.base()
        self.assertEqual({}, self.harvest()["commits"])
        self.assertFalse((self.top / "out" / beside.COMMITS).exists())

        self.git("switch", "-q", "-c", "work")
        self.write("a", "2\n")
        self.git("commit", "-qam", "of the agent")
        commits = self.harvest()["commits"]
        self.assertEqual({"HEAD", "refs/heads/work"}, set(commits))
        self.assertEqual(1, len(set(commits.values())))
        bundle = str(self.top / "out" / beside.COMMITS)
        heads = subprocess.run(
            ["git", "bundle", "list-heads", bundle], capture_output=True, text=True, check=True
        ).stdout
        lines = {f"{commit} {name}" for name, commit in commits.items()}
        self.assertEqual(lines, set(heads.splitlines()))

    def test_artifacts_are_copied_whatever_git_thinks_of_them_and_links_lead_nowhere_else(self):
        self.base()
        self.write(".gitignore", "dist\n")
        self.write("dist/a.bin", b"\0\1", mode=0o755)
        self.write("dist/deep/b.txt", "b")
        self.write("dist/.git/config", "x")
        (self.tree / "inside").symlink_to("dist/a.bin")
        (self.tree / "outside").symlink_to("/etc/passwd")
        result = self.harvest(artifacts=["dist", "inside", "outside", "none*"])
        found = self.top / "out" / beside.ARTIFACTS
        files = {str(path.relative_to(found)) for path in found.rglob("*") if path.is_file()}
        self.assertEqual({"dist/a.bin", "dist/deep/b.txt", "inside"}, files)
        self.assertEqual(3, result["artifacts"])
        self.assertFalse((found / "inside").is_symlink())
        self.assertEqual(0o755, os.stat(found / "dist/a.bin").st_mode & 0o777)
        why = self.why(result)
        self.assertIn("leads out of the workspace", why["outside"])
        self.assertEqual("no artifact matches", why["none*"])

    def test_a_branch_is_made_of_raw_records_and_a_pack_of_what_they_name(self):
        self.write("mod", "1\n")
        self.write("gone", "1 and more\n")
        self.base()
        self.write("mod", "2\n")
        (self.tree / "gone").unlink()
        self.write("new", "3\n")
        self.harvest(deliver="contents")
        contents = (self.top / "out" / beside.RAW).read_bytes()
        self.harvest(deliver="branch")
        words = (self.top / "out" / beside.RAW).read_bytes().split(b"\0")[:-1]
        self.assertEqual(contents.split(b"\0")[:-1], words)
        self.assertEqual([b"gone", b"mod", b"new"], words[1::2])
        self.assertEqual([b"D", b"M", b"A"], [record[-1:] for record in words[::2]])
        named = {blob for record in words[::2] for blob in record.split(b" ")[2:4]}
        blobs = {blob.decode() for blob in named if blob.strip(b"0")}
        self.assertEqual(4, len(blobs))

        fresh = self.top / "fresh"
        fresh.mkdir()
        self.git("init", "-q", cwd=fresh)
        with open(self.top / "out" / beside.PACK, "rb") as pack:
            subprocess.run(["git", "unpack-objects", "-q"], cwd=fresh, stdin=pack, check=True)
        for blob in blobs:
            self.git("cat-file", "-e", blob, cwd=fresh)
