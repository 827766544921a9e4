# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The baseline of a workspace and the patch against it, made with a git dir outside the workspace.

What is compared is content: who committed what in the workspace's own repository doesn't matter,
and nothing is written there. What a patch can't hold comes beside it (beside.py) or is listed.
Callers hold the workspace's lock; nobody else uses the git dir. Runs on nodes: Python 3.9+,
standard library, git 2.25+.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import subprocess
from collections.abc import Iterable, Sequence
from typing import IO, Any, NamedTuple

from . import beside

PATCH = "changes.patch"
# Entries of "changed" and of "left_out".
SHOWN = 1000
SHOWN_IGNORED = 20
# Git apply refuses patches of 1 GiB.
TOO_BIG = 512 << 20
EMPTY = "empty folder"
REMOVED = "empty folder, removed"
OUTPUTS = (PATCH, beside.NESTED, beside.COMMITS, beside.RAW, beside.PACK, beside.ARTIFACTS)
EMPTY_BLOB = b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
STATUS = {"A": "added", "D": "deleted", "M": "modified", "T": "type changed"}
# info/attributes goes before every .gitattributes: file content is taken as it is
ATTRIBUTES = "* -text !eol !crlf -filter -ident !working-tree-encoding !diff !merge\n"
# bigFileThreshold: larger files stream into git's store and are not counted line by line
CONFIG = (
    "core.bare=false core.autocrlf=false core.safecrlf=false core.fileMode=true core.symlinks=true core.ignoreCase=false core.precomposeUnicode=false "
    "core.fsmonitor=false core.untrackedCache=false core.splitIndex=false core.compression=1 core.bigFileThreshold=32m gc.auto=0 "
    f"core.hooksPath={os.devnull} core.excludesFile={os.devnull} core.attributesFile={os.devnull}"
).split()


# the workspace's own repository is the agent's: what it asks for is neither run nor fetched
FOREIGN = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", "protocol.allow=never")


class HarvestError(Exception):
    """Baseline or patch could not be made; the workspace is as it was."""


class Git:
    def __init__(self, tree: str, git_dir: str, index: str = "index") -> None:
        self.tree = os.path.realpath(tree)
        self.dir = os.path.realpath(git_dir)
        self.index = os.path.join(self.dir, index)
        if not os.path.isdir(self.tree):
            raise HarvestError(f"{tree} is not a directory")
        if os.path.commonpath([self.tree, self.dir]) == self.tree:
            raise HarvestError(f"the git dir {git_dir} lies inside the workspace {tree}")

    def __call__(
        self,
        *args: str,
        stdin: bytes = b"",
        out: IO[bytes] | None = None,
        ok: Sequence[int] = (0,),
        own: bool = True,
    ) -> bytes:
        """Run git; own=False asks the workspace's own repository (read only)."""
        env = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith("GIT_") and k != "XDG_CONFIG_HOME"
        }
        env.update(
            HOME=self.dir,
            LC_ALL="C",
            GIT_CONFIG_NOSYSTEM="1",
            GIT_CONFIG_GLOBAL=os.devnull,
            GIT_ATTR_NOSYSTEM="1",
        )
        env.update(
            GIT_OPTIONAL_LOCKS="0",
            GIT_TERMINAL_PROMPT="0",
            GIT_NO_LAZY_FETCH="1",
            GIT_WORK_TREE=self.tree,
        )
        env["GIT_DIR"] = self.dir if own else os.path.join(self.tree, ".git")
        if own:
            env["GIT_INDEX_FILE"] = self.index
        config = [word for pair in (CONFIG if own else FOREIGN) for word in ("-c", pair)]
        try:
            done = subprocess.run(
                ["git", *config, *args],
                cwd=self.tree,
                env=env,
                input=stdin,
                stdout=out or subprocess.PIPE,
                stderr=subprocess.PIPE,
                check=False,
            )
        except OSError as e:
            raise HarvestError(f"git {args[0]}: {e}") from e
        if done.returncode not in ok:
            words = done.stderr[-2000:].decode("utf-8", "backslashreplace").strip()
            raise HarvestError(f"git {args[0]} ended with {done.returncode}: {words}")
        self.failed = done.returncode != 0
        self.said = done.stderr
        return done.stdout or b""

    def names(self, *args: str, own: bool = True) -> set[bytes]:
        return set(self("ls-files", "-z", *args, own=own).split(b"\0")) - {b""}


def _rule(pattern: str) -> str:
    """An exclude pattern as rsync reads it, as an option of ls-files; a .gitignore can't undo it."""
    if "/" in pattern.rstrip("/") and not pattern.startswith("/"):
        pattern = "**/" + pattern
    return "--exclude=" + ("\\" + pattern if pattern.startswith("!") else pattern)


class _Seen(NamedTuple):
    """A workspace's paths, as bytes; folders end with a slash. odd: what git's index can't hold,
    and why; modes: those that it doesn't keep.

    nested: each `.git` below the top; ignored: what rules ignore, a whole folder as one; apart: new
    files in nested repositories.
    """

    odd: dict[bytes, str]
    modes: dict[bytes, str]
    nested: list[bytes]
    ignored: set[bytes]
    apart: set[bytes]


def _look(tree: str, ignored: set[bytes], umask: int) -> _Seen:
    """Links are not followed."""
    root = os.fsencode(tree)
    todo = [b""]
    seen = _Seen({}, {}, [], ignored, set())
    odd = seen.odd
    usual = {0o644, 0o755, 0o666 & ~umask, 0o777 & ~umask}
    while todo:
        folder = todo.pop()
        try:
            entries = list(os.scandir(os.path.join(root, folder)))
        except OSError as e:
            if not folder:
                raise HarvestError(f"{tree} can't be read: {e.strerror}") from e
            odd[folder] = "not readable"
            continue
        if folder and not entries:
            odd[folder] = EMPTY
        for entry in entries:
            path = folder + entry.name
            try:
                if entry.name == b".git":
                    seen.nested.extend([path] if folder else [])
                    continue
                if path in ignored or path + b"/" in ignored or entry.is_symlink():
                    continue
                info = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    path += b"/"
                    todo.append(path)
                elif not entry.is_file(follow_symlinks=False):
                    odd[path] = "socket, fifo or device"
                    continue
                elif not os.access(entry.path, os.R_OK):
                    odd[path] = "not readable"
                elif info.st_size > TOO_BIG:
                    odd[path] = f"larger than {TOO_BIG >> 20} MiB"
                if info.st_mode & 0o7777 not in usual:
                    seen.modes[path] = f"mode {info.st_mode & 0o7777:04o}"
            except OSError:
                odd[path] = "not readable"
    return seen


def _kept(git: Git, exclude: Sequence[str]) -> set[bytes]:
    """Files that are ignored, but tracked in the workspace's own repository and not excluded."""
    try:
        kept = git.names("-c", "-i", "--exclude-standard", own=False)
        kept -= git.names("-c", "-i", *exclude, own=False) if kept and exclude else set()
    except HarvestError:
        # The agent may have broken or removed it.
        return set()
    root = os.fsencode(git.tree)

    def there(path: bytes) -> bool:
        full = os.path.join(root, path)
        plain = os.path.islink(full) or (os.path.isfile(full) and os.access(full, os.R_OK))
        return plain and os.path.realpath(os.path.dirname(full)) == os.path.dirname(full)

    return {path for path in kept if there(path)}


def _feed(git: Git, paths: Iterable[bytes], *flags: str) -> None:
    data = b"".join(path + b"\0" for path in paths)
    if data:
        git("update-index", "-z", *flags, "--stdin", stdin=data)


def _take(
    git: Git, rules: Sequence[str], kept: set[bytes], umask: int, new_in_nested: bool
) -> _Seen:
    """Make git's index what the workspace is now; without new files of nested repositories unless
    they are asked for.
    """
    with contextlib.suppress(OSError):
        # Of a harvest that was killed.
        os.unlink(git.index + ".lock")
    info = os.path.join(git.dir, "info", "exclude")
    try:
        shutil.copyfile(os.path.join(git.tree, ".git", "info", "exclude"), info)
    except OSError:
        open(info, "w").close()
    git("add", "-u", "--ignore-errors", ok=(0, 1))
    failed = git.failed
    listed = ("-o", "-i", "--directory")
    seen = _look(git.tree, git.names(*listed, *rules) - kept if rules else set(), umask)
    # git goes into a nested repository when its index knows a file in there; the last "add -u"
    # drops this one
    marks = b"".join(
        b"100644 " + EMPTY_BLOB + b"\t" + path[:-4] + b".gummy-was-here\0" for path in seen.nested
    )
    if marks:
        git("update-index", "-z", "--index-info", stdin=marks)
        seen = _look(git.tree, git.names(*listed, *rules) - kept if rules else set(), umask)
    new = git.names("-o", *rules) - seen.odd.keys()
    tops = tuple(path[:-4] for path in seen.nested)
    seen.apart.update(path for path in new if not new_in_nested and path.startswith(tops))
    _feed(git, (new | kept) - seen.odd.keys() - seen.apart, "--add", "--replace")
    if b"Ignoring path" in git.said:
        left = git.names("-o", *rules) - seen.odd.keys() - seen.apart
        seen.odd.update({path: "git refuses this name" for path in left if not path.endswith(b"/")})
    if marks:
        git("add", "-u", "--ignore-errors", ok=(0, 1))
        failed = failed or git.failed
    if failed:
        missed = set(git("diff-files", "-z", "--name-only").split(b"\0")) - seen.odd.keys() - {b""}
        # Say, a full disk.
        if missed:
            raise HarvestError(
                f"git could not take {len(missed)} files, {beside.text(min(missed))} among them"
            )
    return seen


def _fresh(git: Git) -> None:
    shutil.rmtree(git.dir, ignore_errors=True)
    for name in ("objects/pack", "refs", "info"):
        os.makedirs(os.path.join(git.dir, name), mode=0o700)
    for name, text in (
        ("HEAD", "ref: refs/heads/none\n"),
        ("config", ""),
        ("info/attributes", ATTRIBUTES),
    ):
        with open(os.path.join(git.dir, name), "w") as f:
            f.write(text)


def _worth_keeping(git: Git) -> bool:
    """False when objects of earlier baselines are many times what this one needs."""
    try:
        with open(git.index, "rb") as f:
            entries = struct.unpack(">L", f.read(12)[8:])[0]
        objects = os.path.join(git.dir, "objects")
        loose = sum(
            len(os.listdir(os.path.join(objects, name)))
            for name in os.listdir(objects)
            if len(name) == 2
        )
        packs = os.path.join(objects, "pack")
        return (
            loose < 4 * entries + 4096
            and len(os.listdir(packs)) < 16
            and os.path.exists(os.path.join(git.dir, "info", "attributes"))
        )
    except (OSError, struct.error):
        return False


def _baseline(git: Git, exclude: Sequence[str], umask: int) -> str:
    # without a repository of its own everything was sent, .gitignore or not
    is_git = os.path.lexists(os.path.join(git.tree, ".git"))
    rules = [*exclude, "--exclude-standard"] if is_git else [*exclude]
    kept = _kept(git, exclude) if is_git else set()
    if rules and os.path.exists(git.index):
        _feed(git, git.names("-c", "-i", *rules) - kept, "--force-remove")
    seen = _take(git, rules, kept, umask, new_in_nested=True)
    base = git("write-tree").decode().strip()
    state = os.path.join(git.dir, "gummy-baseline")
    known = {
        "base": base,
        "exclude": exclude,
        "umask": umask,
        "odd": [
            [os.fsdecode(path), why] for odd in (seen.odd, seen.modes) for path, why in odd.items()
        ],
        "refs": beside.refs(git),
        "nested": {beside.text(path): beside.signature(git.tree, path) for path in seen.nested},
    }
    with open(state + ".new", "w") as out:
        json.dump(known, out)
        out.flush()
        os.fsync(out.fileno())
    os.replace(state + ".new", state)
    return base


def make_baseline(tree: str, git_dir: str, exclude: Sequence[str] = (), umask: int = 0o022) -> str:
    """Keep what the workspace holds now, as git tree id. git_dir is made, or brought up to date
    from an earlier use.

    exclude: patterns as rsync takes them; neither baseline nor patch ever name such files (the
    user's tree may have others there). umask: the login's; modes that it gives to new files are
    none to tell of. Raises HarvestError.
    """
    git = Git(tree, git_dir)
    rules = [_rule(pattern) for pattern in exclude]
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(git.dir, "gummy-baseline"))
        if _worth_keeping(git):
            with contextlib.suppress(HarvestError):
                return _baseline(git, rules, umask)
        _fresh(git)
        return _baseline(git, rules, umask)
    except OSError as e:
        raise HarvestError(f"baseline of {tree}: {e}") from e


def _changes(listing: bytes) -> list[dict[str, Any]]:
    """The output of diff-index -z --raw --numstat: all raw records, then all counts, both in the
    order of paths.
    """
    words = listing.split(b"\0")[:-1]
    raw = 0
    while raw < len(words) and words[raw].startswith(b":"):
        raw += 2
    status = {words[i + 1]: words[i][-1:].decode() for i in range(0, raw, 2)}
    changes = []
    for word in words[raw:]:
        added, deleted, path = word.split(b"\t", 2)
        numbers = [None if n == b"-" else int(n) for n in (added, deleted)]
        changes.append(
            {
                "path": beside.text(path),
                "status": STATUS.get(status[path], "modified"),
                "added": numbers[0],
                "deleted": numbers[1],
            }
        )
    return changes


def _left_out(
    tree: str, seen: _Seen, known: set[tuple[bytes, str]], changed: set[str]
) -> list[dict[str, str]]:
    """What is new of what a patch doesn't carry, then what is ignored.

    A changed file loses its mode, new or not.
    """
    told = {
        path: why
        for path, why in seen.modes.items()
        if (path, why) not in known or beside.text(path) in changed
    }
    told.update({path: why for path, why in seen.odd.items() if (path, why) not in known})
    told.update(
        {
            path: REMOVED
            for path, why in known
            if why == EMPTY and not os.path.lexists(os.path.join(os.fsencode(tree), path))
        }
    )
    news = [{"path": beside.text(path), "why": why} for path, why in sorted(told.items())]
    news[SHOWN:] = [{"path": "", "why": f"{len(news) - SHOWN} more"}] if len(news) > SHOWN else []
    news += [
        {"path": beside.text(path), "why": "ignored"}
        for path in sorted(seen.ignored)[:SHOWN_IGNORED]
    ]
    more = len(seen.ignored) - SHOWN_IGNORED
    return news + ([{"path": "", "why": f"{more} more ignored"}] if more > 0 else [])


def make_harvest(
    tree: str, git_dir: str, out: str, deliver: str = "patch", artifacts: Sequence[str] = ()
) -> dict[str, Any]:
    """Write into out what the workspace has become since make_baseline: changes.patch, and what
    comes beside it; may be called again.

    deliver: `none` leaves it at artifacts and the list; `branch` adds what a branch is made of.
    artifacts: globs. Returns {"patch": file name or None, "files": n, "added": lines, "deleted":
    lines, "changed": [{"path", "status", "added", "deleted"}], "left_out": [{"path", "why"}],
    "nested": [path], "head": commit or None, "commits": {ref: commit}, "artifacts": n}; counts of
    binary and of very large files are None; path "" counts what is not listed. Raises HarvestError:
    then nothing of it is there.
    """
    git = Git(tree, git_dir, "harvest-index")
    try:
        _remove(out)
        return _harvest(git, out, deliver, artifacts)
    except (OSError, ValueError, KeyError) as e:
        # A full disk has room again for the word that it failed.
        _remove(out)
        raise HarvestError(f"harvest of {tree}: {e}") from e
    except HarvestError:
        _remove(out)
        raise


def _remove(out: str) -> None:
    for name in OUTPUTS:
        path = os.path.join(out, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)


def _harvest(git: Git, out: str, deliver: str, artifacts: Sequence[str]) -> dict[str, Any]:
    with open(os.path.join(git.dir, "gummy-baseline")) as f:
        state = json.load(f)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(git.index)
        # with its mtime: git compares it with files' to see which ones changed in the moment of the
        # baseline
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(os.path.join(git.dir, "index"), git.index)
    seen = _take(
        git,
        [*state["exclude"], "--exclude-standard"],
        _kept(git, state["exclude"]),
        state["umask"],
        new_in_nested=False,
    )
    # no renames: a patch that needs nothing but the files it changes, and takes no time to search
    # for pairs
    diff = ("diff-index", "--cached", "--no-renames", "--no-ext-diff", "--no-textconv")
    listing = git(*diff, "-z", "--raw", "--numstat", state["base"])
    changes = _changes(listing)
    os.makedirs(out, exist_ok=True)
    changed = {change["path"] for change in changes}
    known = {(os.fsencode(path), why) for path, why in state["odd"]}
    told = _left_out(git.tree, seen, known, changed)
    more, left = beside.artifacts(git.tree, artifacts, out)
    found: dict[str, Any] = {
        "nested": [],
        "head": state["refs"].get("HEAD"),
        "commits": {},
        "artifacts": more,
    }
    if deliver != "none":
        if changes:
            with open(os.path.join(out, PATCH), "wb") as f_out:
                git(
                    *diff,
                    "-p",
                    "--binary",
                    "--full-index",
                    "--no-color",
                    "--src-prefix=a/",
                    "--dst-prefix=b/",
                    state["base"],
                    out=f_out,
                )
                os.fsync(f_out.fileno())
        found["nested"], unread = beside.nested(
            git, out, seen.nested, seen.apart, state["nested"], changed
        )
        found["commits"], broken = beside.commits(git, out, state["refs"])
        left += unread + broken
        if deliver == "branch" and changes:
            beside.branch(git, out, listing)
    return {
        "patch": PATCH if changes and deliver != "none" else None,
        "files": len(changes),
        "added": sum(change["added"] or 0 for change in changes),
        "deleted": sum(change["deleted"] or 0 for change in changes),
        "changed": changes[:SHOWN],
        "left_out": told + left,
        **found,
    }
