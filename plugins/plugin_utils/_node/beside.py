# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a harvest lies beside the patch: the agent's commits, nested repositories, artifacts, and
what a branch is made of.

Links are never followed out of the workspace. Functions raise OSError and HarvestError, say when
the disk is full. Runs on nodes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tarfile
    from pathlib import Path

    from .harvest import Git

    Left = list[dict[str, str]]

NESTED = "nested.tar"
COMMITS = "commits.bundle"
RAW = "branch.raw"
PACK = "branch.pack"
ARTIFACTS = "artifacts"
# Words of one command line; those that are cut off make a bundle larger, no worse.
MOST_REFS = 10_000


def text(path: str | bytes) -> str:
    """A path for people and JSON: bytes that are not UTF-8 become \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def refs(git: Git) -> dict[str, str]:
    """What the workspace's own repository has:

    HEAD and all refs, with their objects; none where it is missing or broken.
    """
    if not os.path.isdir(os.path.join(git.tree, ".git")):
        return {}
    from .harvest import HarvestError

    with contextlib.suppress(HarvestError):
        lines = (
            git("show-ref", "--head", ok=(0, 1), own=False)
            .decode("utf-8", "surrogateescape")
            .splitlines()
        )
        return {name: thing for thing, _blank, name in (line.partition(" ") for line in lines)}
    return {}


def commits(git: Git, out: str, before: Mapping[str, str]) -> tuple[dict[str, str], Left]:
    """A bundle of what is new in the agent's repository, on whatever branch, for a harvest's
    content says nothing of history: (refs, left out).
    """
    from .harvest import HarvestError

    new = {name: thing for name, thing in refs(git).items() if before.get(name) != thing}
    if not new:
        return {}, []
    words = [*new, *(f"^{thing}" for thing in list(dict.fromkeys(before.values()))[:MOST_REFS])]
    try:
        if not git("rev-list", "--objects", "-n", "1", *words, "--", own=False):
            return {}, []
        git("rev-list", "--objects", "--quiet", *words, "--", own=False)
    except HarvestError as e:
        return {}, [{"path": ".git", "why": f"its commits can't be read: {e}"}]
    git("bundle", "create", os.path.join(os.path.realpath(out), COMMITS), *words, own=False)
    return new, []


def signature(tree: str, path: bytes) -> str:
    """Tells whether a nested repository's history was touched; what `git status` does to its index
    says nothing.
    """
    found = hashlib.sha256()
    for name in _below(tree, path):
        if os.path.basename(name) != b"index":
            info = os.lstat(os.path.join(os.fsencode(tree), name))
            found.update(b"%s\0%d\0%d\0" % (name, info.st_size, info.st_mtime_ns))
    return found.hexdigest()


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
    found: Sequence[bytes],
    apart: Collection[bytes],
    before: Mapping[str, str],
    changed: Collection[str],
) -> tuple[list[str], Left]:
    """An archive of the nested repositories that are new or changed, whole, with their history:

    (their paths, left out).
    """
    tops = [path[:-4] for path in found]
    outer = [
        top for top in tops if not any(top != other and top.startswith(other) for other in tops)
    ]
    touched = [
        top
        for path in found
        if before.get(text(path)) != signature(git.tree, path)
        for top in outer
        if path.startswith(top)
    ]
    touched += [
        top
        for top in outer
        if any(path.startswith(top) for path in apart)
        or any(path.startswith(text(top)) for path in changed)
    ]
    if not touched:
        return [], []
    import tarfile

    chosen = tuple(sorted(set(touched)))
    left = []
    names = {path for path in (*git.names("-c"), *apart) if path.startswith(chosen)}
    for path in found:
        names.update(_below(git.tree, path) if path.startswith(chosen) else ())
    with tarfile.open(
        os.path.join(out, NESTED), "w", format=tarfile.GNU_FORMAT, dereference=False
    ) as archive:
        for name in sorted(names):
            try:
                archive.add(
                    os.path.join(git.tree, os.fsdecode(name)),
                    os.fsdecode(name),
                    recursive=False,
                    filter=_anonymous,
                )
            except PermissionError:
                left.append({"path": text(name), "why": "not readable"})
    return [text(top[:-1]) for top in chosen], left


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info if info.isfile() or info.isdir() or info.issym() or info.islnk() else None


def artifacts(tree: str, patterns: Sequence[str], out: str) -> tuple[int, Left]:
    """Copies of what the globs name, ignored or not, a folder with all that is in it:

    (how many files, left out).
    """
    if not patterns:
        return 0, []
    # Costs a job without artifacts as much as all of the harvest's own code.
    from pathlib import Path

    top = Path(tree)
    left = []
    copied = set()
    for pattern in patterns:
        files = [
            file
            for path in top.glob(pattern)
            for file in _files(path)
            if ".git" not in file.relative_to(top).parts
        ]
        left += [] if files else [{"path": pattern, "why": "no artifact matches"}]
        for file in files:
            name = file.relative_to(top)
            real = os.path.realpath(file)
            if name in copied:
                continue
            if os.path.commonpath([real, tree]) != tree or not os.path.isfile(real):
                left.append(
                    {
                        "path": text(str(name)),
                        "why": "an artifact that leads out of the workspace, or is no file",
                    }
                )
                continue
            place = Path(out, ARTIFACTS, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(real, place)
            except OSError as e:
                if e.errno != errno.EACCES:
                    raise
                left.append({"path": text(str(name)), "why": "not readable"})
                continue
            place.chmod(0o600 | os.stat(real).st_mode & 0o755)
            copied.add(name)
    return len(copied), left


def _files(path: Path) -> Iterator[Path]:
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    for where, _folders, files in os.walk(path):
        yield from (path.joinpath(where, name) for name in sorted(files))


def branch(git: Git, out: str, listing: bytes) -> None:
    """The changes as git's raw records, and a pack of the contents before and after, which need not
    be in the project's own repository.
    """
    records = []
    contents = dict[str, None]()
    words = iter(listing.split(b"\0"))
    for word in words:
        if not word.startswith(b":"):
            break
        records += [word, next(words)]
        contents.update(
            dict.fromkeys(thing.decode() for thing in word.split(b" ")[2:4] if thing.strip(b"0"))
        )
    with open(os.path.join(out, RAW), "wb") as file:
        file.write(b"".join(record + b"\0" for record in records))
    with open(os.path.join(out, PACK), "wb") as file:
        git(
            "pack-objects",
            "-q",
            "--stdout",
            "--delta-base-offset",
            stdin="".join(f"{thing}\n" for thing in contents).encode(),
            out=file,
        )
