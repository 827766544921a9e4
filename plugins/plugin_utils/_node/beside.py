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

from .git import HarvestError, text
from .store import TYPE_CHECKING

if TYPE_CHECKING:
    import tarfile
    from pathlib import Path

    from . import wire
    from .git import Git

    LeftOut = list[wire.Omission]

NESTED = "nested.tar"
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
    if not os.path.isdir(os.path.join(git.tree, ".git")):
        return {}
    try:
        listing = git("show-ref", "--head", ok=(0, 1), own=False)
    except HarvestError:
        return {}
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
    """Write an archive of the nested repositories that are new or changed, with their history.

    git_dirs: each `.git` below the top; apart: new files in them; before: their signatures in the
    baseline; changed: paths that the patch changes. Returns the repositories' paths, and what was
    left out.
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

    chosen = tuple(sorted(touched))
    names = {path for path in (*git.names("-c"), *apart) if path.startswith(chosen)}
    for path in git_dirs:
        if path.startswith(chosen):
            names.update(_below(git.tree, path))
    left_out = _archive(git.tree, os.path.join(out, NESTED), sorted(names))
    return [text(top[:-1]) for top in chosen], left_out


def _outermost(git_dirs: Sequence[bytes]) -> list[bytes]:
    """The folders, with their slash, of repositories that lie in no other nested one."""
    tops = [path[: -len(b".git")] for path in git_dirs]
    return [
        top for top in tops if not any(top != other and top.startswith(other) for other in tops)
    ]


def _archive(tree: str, path: str, names: Sequence[bytes]) -> LeftOut:
    """Write what has these names into an archive; returns what can't be read."""
    # Most harvests need none.
    import tarfile

    left_out: LeftOut = []
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, dereference=False) as archive:
        for name in names:
            word = os.fsdecode(name)
            try:
                archive.add(os.path.join(tree, word), word, recursive=False, filter=_anonymous)
            except PermissionError:
                left_out.append({"path": text(name), "why": "not readable"})
    return left_out


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """An entry without its owner; None for what is neither file, folder nor link."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info if info.isfile() or info.isdir() or info.issym() or info.islnk() else None


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


def branch(git: Git, out: str, listing: bytes) -> None:
    """Write the changes as git's raw records, and a pack of the contents before and after.

    The contents need not be in the project's own repository. listing: the output of diff-index -z
    --raw, with or without counts.
    """
    records = []
    contents = dict[str, None]()
    words = iter(listing.split(b"\0"))
    for word in words:
        if not word.startswith(b":"):
            break
        records += [word, next(words)]
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
