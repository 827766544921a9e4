# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a harvest lies beside the patch, because a patch can't hold it.

The agent's commits, nested repositories, artifacts, and what a branch is made of. Links are never
followed out of the workspace. Functions raise OSError and HarvestError, say when the disk is full.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence

from .git import HarvestError, is_real_folder, text
from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from . import wire
    from .git import Git

    LeftOut = list[wire.Omission]

NESTED = "nested"
# The commit of a nested repository's bundle that holds its files as the agent left them.
WORK = "refs/gummy/work"
# The mode of a submodule in a tree.
SUBMODULE = b"160000"
COMMITS = "commits.bundle"
RAW = "branch.raw"
PACK = "branch.pack"
ARTIFACTS = "artifacts"
# Words of one command line; those that are cut off make a bundle larger, no worse.
MOST_REFS = 10_000


# -- the agent's commits


def refs(git: Git) -> dict[str, str]:
    """HEAD and all refs of the workspace's own repository, with their objects.

    There are none where the repository is missing or broken.
    """
    try:
        return _read_refs(git, {})
    except HarvestError:
        return {}


def _read_refs(git: Git, at: Mapping[str, str]) -> dict[str, str]:
    """The same of the repository that `at` leads to. Raises HarvestError."""
    listing = git("show-ref", "--head", ok=(0, 1), own=False, at=at)
    objects = {}
    for line in listing.decode("utf-8", "surrogateescape").splitlines():
        commit, _blank, name = line.partition(" ")
        objects[name] = commit
    return objects


def commits(git: Git, out: str, before: Mapping[str, str]) -> tuple[dict[str, str], LeftOut]:
    """Write a bundle of what is new in the agent's repository, on whatever branch.

    A harvest's content says nothing of history. before: the refs of the baseline. Returns the refs
    that are in the bundle, and what was left out.
    """
    new = {name: commit for name, commit in refs(git).items() if before.get(name) != commit}
    if not new:
        return {}, []
    known = list(dict.fromkeys(before.values()))[:MOST_REFS]
    words = [*new, *(f"^{commit}" for commit in known)]
    try:
        if not git("rev-list", "--objects", "-n", "1", *words, "--", own=False):
            return {}, []
        git("rev-list", "--objects", "--quiet", *words, "--", own=False)
    except HarvestError as e:
        return {}, [{"path": ".git", "why": f"its commits can't be read: {e}"}]
    git("bundle", "create", os.path.join(os.path.realpath(out), COMMITS), *words, own=False)
    return new, []


# -- nested repositories


def signature(tree: str, path: bytes) -> str:
    """Tells whether a nested repository's history was touched.

    Its index does not count: `git status` alone changes it.
    """
    digest = hashlib.sha256()
    for name in _below(tree, path):
        if os.path.basename(name) != b"index":
            info = os.lstat(os.path.join(os.fsencode(tree), name))
            digest.update(b"%s\0%d\0%d\0" % (name, info.st_size, info.st_mtime_ns))
    return digest.hexdigest()


def _below(tree: str, path: bytes) -> Iterator[bytes]:
    """The path and all that is in it, in order, from the top of the tree."""
    root = os.fsencode(tree)
    yield path
    if os.path.islink(os.path.join(root, path)):
        return
    for where, folders, files in os.walk(os.path.join(root, path)):
        folders.sort()
        here = os.path.relpath(where, root)
        yield from (os.path.join(here, name) for name in sorted(folders + files))


def nested(
    git: Git,
    out: str,
    *,
    git_dirs: Sequence[bytes],
    apart: Collection[bytes],
    before: Mapping[str, str],
    changed: Collection[str],
) -> tuple[list[str], LeftOut]:
    """Write a bundle of each nested repository that is new or changed.

    It has the repository's refs with their history, and a commit with its files. Nothing else of a
    `.git` goes along: hooks and settings would be run by who takes it over.

    git_dirs: each `.git` below the top; apart: new files in them; before: their signatures in the
    baseline; changed: paths that the patch changes. Returns the repositories' paths, the first one
    that of the folder NESTED's 1.bundle, and what was left out.
    """
    touched = set()
    for top in _outermost(git_dirs):
        inside = [path for path in git_dirs if path.startswith(top)]
        if (
            any(before.get(text(path)) != signature(git.tree, path) for path in inside)
            or any(path.startswith(top) for path in apart)
            or any(path.startswith(text(top)) for path in changed)
        ):
            touched.add(top)
    if not touched:
        return [], []

    chosen = tuple(touched)
    tops = sorted(path[: -len(b".git")] for path in git_dirs if path.startswith(chosen))
    scratch = os.path.join(git.dir, "nested")
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(os.path.join(scratch, "refs"), mode=0o700)
    os.mkdir(os.path.join(scratch, "objects"), mode=0o700)
    os.makedirs(os.path.join(out, NESTED))
    try:
        bundler = _Bundler(git, scratch, tops, apart)
        for number, top in enumerate(tops, 1):
            bundler.write(top, os.path.join(os.path.realpath(out), NESTED, f"{number}.bundle"))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return [text(top[:-1]) for top in tops], bundler.left_out


def _outermost(git_dirs: Sequence[bytes]) -> list[bytes]:
    """The folders, with their slash, of repositories that lie in no other nested one."""
    tops = [path[: -len(b".git")] for path in git_dirs]
    return [
        top for top in tops if not any(top != other and top.startswith(other) for other in tops)
    ]


class _Bundler:
    """Makes bundles of nested repositories, in a repository of our own.

    Of a nested one its refs are read and its objects are borrowed, and no more. Raises
    HarvestError, OSError.
    """

    def __init__(
        self, git: Git, scratch: str, tops: Sequence[bytes], apart: Collection[bytes]
    ) -> None:
        """scratch: a bare repository's folder; tops: of the repositories, with a slash."""
        self._git = git
        self._scratch = scratch
        self._tops = tops
        self.left_out: LeftOut = []
        # A folder without one is no repository.
        self._write("HEAD", "ref: refs/heads/none\n")
        self._entries = self._list_entries(apart)

    def _list_entries(self, apart: Collection[bytes]) -> list[tuple[bytes, bytes]]:
        """(mode, id and stage; path) of each file of the workspace, those apart among them."""
        at = {"GIT_INDEX_FILE": os.path.join(self._scratch, "all")}
        if os.path.exists(self._git.index):
            shutil.copy2(self._git.index, at["GIT_INDEX_FILE"])
        paths = b"".join(path + b"\0" for path in sorted(apart))
        words = ("update-index", "-z", "--add", "--replace", "--stdin")
        self._git(*words, stdin=paths, at=at)

        lines = self._git("ls-files", "-s", "-z", at=at).split(b"\0")[:-1]
        entries = [(line.partition(b"\t")[0], line.partition(b"\t")[2]) for line in lines]
        refused = set(apart) - {path for _words, path in entries}
        self.left_out += [
            {"path": text(path), "why": "git refuses this name"}
            for path in sorted(refused)
            if not path.endswith(b"/")
        ]
        return entries

    def write(self, top: bytes, bundle: str) -> None:
        """Write one repository's bundle; without its history where that can't be read."""
        git_dir = os.path.join(self._git.tree, os.fsdecode(top), ".git")
        at = {
            "GIT_DIR": self._scratch,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(os.path.join(self._git.dir, "objects")),
        }
        tree = self._write_tree(top)
        try:
            refs, branch = self._read_history(git_dir)
            borrowed = {**at}
            borrowed["GIT_ALTERNATE_OBJECT_DIRECTORIES"] += ":" + _quoted(
                os.path.join(git_dir, "objects")
            )
            self._write_bundle(bundle, tree, refs, branch, borrowed)
        except HarvestError as e:
            why = f"its history and all else in it: {e}"
            self.left_out.append({"path": text(top + b".git"), "why": why})
            self._write_bundle(bundle, tree, {}, None, at)

    def _write_tree(self, top: bytes) -> str:
        """The git tree of the repository's files, but of those of repositories inside of it."""
        inside = tuple(other for other in self._tops if other != top and other.startswith(top))
        lines = [
            b"%s\t%s\0" % (words, path[len(top) :])
            for words, path in self._entries
            if path.startswith(top) and not path.startswith(inside or (b"/",))
        ]
        index = os.path.join(self._scratch, "one")
        if os.path.exists(index):
            os.unlink(index)
        at = {"GIT_INDEX_FILE": index}
        self._git("update-index", "-z", "--index-info", stdin=b"".join(lines), at=at)
        return self._git("write-tree", at=at).decode().strip()

    def _read_history(self, git_dir: str) -> tuple[dict[str, str], str | None]:
        """The refs, and the branch that is checked out, of one that has all its history."""
        if not is_real_folder(git_dir) or not is_real_folder(os.path.join(git_dir, "objects")):
            raise HarvestError("it is a link or no folder, and is not followed")
        if os.path.lexists(os.path.join(git_dir, "shallow")):
            raise HarvestError("it is a shallow clone")
        at = {"GIT_DIR": git_dir, "GIT_WORK_TREE": os.path.dirname(git_dir)}
        refs = _read_refs(self._git, at)
        branch = self._git("symbolic-ref", "-q", "HEAD", ok=(0, 1), own=False, at=at)
        return refs, os.fsdecode(branch.rstrip(b"\n")) or None

    def _write_bundle(
        self,
        bundle: str,
        tree: str,
        refs: Mapping[str, str],
        branch: str | None,
        at: Mapping[str, str],
    ) -> None:
        head = refs.get("HEAD")
        parent = f"parent {head}\n" if head else ""
        who = "gummy <gummy@localhost> 0 +0000"
        commit = f"tree {tree}\n{parent}author {who}\ncommitter {who}\n\nWhat the agent left\n"
        words = ("hash-object", "-w", "-t", "commit", "--stdin")
        work = self._git(*words, stdin=commit.encode(), at=at).decode().strip()

        rows = {**refs, WORK: work}
        rows.pop("HEAD", None)
        packed = "".join(f"{commit} {name}\n" for name, commit in sorted(rows.items()))
        self._write("packed-refs", packed)
        checked_out = head or "ref: refs/heads/none"
        if branch in refs:
            checked_out = f"ref: {branch}"
        self._write("HEAD", checked_out + "\n")
        given = ["HEAD"] if head else []
        self._git("bundle", "create", bundle, *given, "--all", at=at)

    def _write(self, name: str, content: str) -> None:
        with open(os.path.join(self._scratch, name), "wb") as file:
            file.write(os.fsencode(content))


def _quoted(path: str) -> str:
    """A path as one of a list of folders of objects, in which a colon stands between two."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


# -- artifacts


def artifacts(tree: str, patterns: Sequence[str], out: str) -> tuple[int, LeftOut]:
    """Copy what the globs name, ignored or not, a folder with all that is in it.

    Returns how many files, and what was left out.
    """
    if not patterns:
        return 0, []
    # Costs a job without artifacts as much as all of the harvest's own code.
    from pathlib import Path

    top = Path(tree)
    left_out: LeftOut = []
    copied = set[Path]()
    for pattern in patterns:
        files = [
            file
            for path in top.glob(pattern)
            for file in _files(path)
            if ".git" not in file.relative_to(top).parts
        ]
        if not files:
            left_out.append({"path": pattern, "why": "no artifact matches"})
        for file in files:
            name = file.relative_to(top)
            if name in copied:
                continue
            reason = _copy(file, tree, Path(out, ARTIFACTS, name))
            if reason is None:
                copied.add(name)
            else:
                left_out.append({"path": text(str(name)), "why": reason})
    return len(copied), left_out


def _files(path: Path) -> Iterator[Path]:
    """The path itself, or all files in it if it is a folder."""
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    for where, _folders, files in os.walk(path):
        yield from (path.joinpath(where, name) for name in sorted(files))


def _copy(file: Path, tree: str, target: Path) -> str | None:
    """Copy one artifact; returns why it can't be copied, None if it is."""
    real = os.path.realpath(file)
    if os.path.commonpath([real, tree]) != tree or not os.path.isfile(real):
        return "an artifact that leads out of the workspace, or is no file"

    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(real, target)
    except OSError as e:
        if e.errno != errno.EACCES:
            raise
        return "not readable"
    target.chmod(0o600 | os.stat(real).st_mode & 0o755)
    return None


# -- what a branch is made of


def branch(
    git: Git, out: str, listing: bytes, old: str | None = None, new: str | None = None
) -> None:
    """Write the changes as git's raw records, and a pack of the contents before and after.

    The contents need not be in the project's own repository. listing: the output of diff-index -z
    --raw, with or without counts; old, new: HEAD of the workspace's own repository at the baseline
    and now. What the agent committed and then made undone is a record too, although it changed
    nothing since the baseline: else the branch would hold it.
    """
    records = []
    contents = dict[str, None]()
    paths = set[bytes]()
    words = iter(listing.split(b"\0"))
    for word in words:
        if not word.startswith(b":"):
            break
        path = next(words)
        records += [word, path]
        paths.add(path)
    if old and new and old != new:
        records += _undone(git, old, new, paths)

    for word in records[::2]:
        blobs = word.split(b" ")[2:4]
        # A blob of zeros stands for a file that is not there.
        contents.update(dict.fromkeys(blob.decode() for blob in blobs if blob.strip(b"0")))

    with open(os.path.join(out, RAW), "wb") as file:
        file.write(b"".join(record + b"\0" for record in records))
    with open(os.path.join(out, PACK), "wb") as file:
        git(
            "pack-objects",
            "-q",
            "--stdout",
            "--delta-base-offset",
            stdin="".join(f"{blob}\n" for blob in contents).encode(),
            out=file,
        )


def _undone(git: Git, old: str, new: str, known: Collection[bytes]) -> list[bytes]:
    """Records of the paths that the commits from old to new change and that are otherwise now.

    They are what they were at the baseline, or `known` would have them: before and after are the
    same.
    """
    objects = os.path.join(git.tree, ".git", "objects")
    if not is_real_folder(os.path.dirname(objects)) or not is_real_folder(objects):
        return []
    at = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(objects)}
    plain = ("-r", "-z", "--raw", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-abbrev")
    index = ("diff-index", "--cached", *plain[1:], new, "--")
    try:
        committed = set(git("diff-tree", *plain, old, new, "--", at=at).split(b"\0")[1::2])
        words = git(*index, at=at).split(b"\0")
    except HarvestError:
        # The agent broke its repository. What its branch brings is looked at at home in any case.
        return []

    records = []
    for word, path in zip(words[::2], words[1::2]):
        old_mode, mode, _old_id, object_id, _letter = word[1:].split(b" ")
        is_gone = not mode.strip(b"0")
        if path in known or path not in committed or SUBMODULE in (old_mode, mode):
            continue
        # What is ignored, or no file that an index can hold, is there and not in the index.
        if is_gone and os.path.lexists(os.path.join(os.fsencode(git.tree), path)):
            continue
        same = b"%s %s %s %s" % (mode, mode, object_id, object_id)
        records += [b":" + same + b" M", path]
    return records
