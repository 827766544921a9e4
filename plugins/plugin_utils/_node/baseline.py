# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The baseline of a workspace: its content before the agent begins, as a git tree.

The git dir lies outside the workspace. What is compared later is content: who committed what in the
workspace's own repository doesn't matter, and nothing is written there. Callers hold the
workspace's lock, and nobody else uses the git dir. Needs git 2.25 or newer.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from . import beside
from .git import Git, HarvestError, text
from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypedDict

    class Baseline(TypedDict):
        """What is kept of a baseline beside git's index, in STATE of the git dir."""

        # The git tree of its content.
        base: str
        # What is left out of it, as options of ls-files.
        exclude: list[str]
        # The login's.
        umask: int
        # (path, why) of what its git tree does not hold.
        odd: list[list[str]]
        # The refs of the workspace's own repository, with their objects.
        refs: dict[str, str]
        # The nested repositories, with their signatures.
        nested: dict[str, str]


STATE = "gummy-baseline"
# Bytes: `git apply` refuses patches of 1 GiB.
TOO_BIG = 512 << 20
EMPTY = "empty folder"
UNREADABLE = "not readable"
NO_REPOSITORY = "a .git that is no repository"
EMPTY_BLOB = b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
# info/attributes goes before every .gitattributes: the content of files is taken as it is.
ATTRIBUTES = "* -text !eol !crlf -filter -ident !working-tree-encoding !diff !merge\n"
# Objects and packs of earlier baselines that a git dir may have before it is made anew.
SPARE_OBJECTS = 4096
MOST_PACKS = 16
# With more new files than this their objects go into packs: a file for each takes far longer.
LOOSE_MOST = 1000
# What is as large as this goes into a pack as it is read. The agent waits for it, and packing
# would take as long as all else together, so it is not compressed.
ONE_PACK = ("-c", "core.bigFileThreshold=1", "-c", "core.compression=0")
# Into how many packs they go, but for those of few files: git looks at each object of a pack that
# it writes for each file that it adds, so one pack of all takes the square of their number.
PACKS = 8
FEW_FILES = 5000
# Whose files are ours.
_US = os.geteuid()


class Survey(NamedTuple):
    """A workspace's paths, as bytes; those of folders end with a slash."""

    # What git's index can't hold, and why.
    odd: dict[bytes, str]
    # Modes that git's index doesn't keep, in words.
    modes: dict[bytes, str]
    # Each `.git` below the top.
    nested: list[bytes]
    # What rules ignore; a folder that is ignored as a whole stands for all that is in it.
    ignored: set[bytes]
    # New files in nested repositories.
    apart: set[bytes]


def make_baseline(tree: str, git_dir: str, exclude: Sequence[str] = (), umask: int = 0o022) -> str:
    """Keep what the workspace holds now, and return its git tree's id.

    git_dir is made, or brought up to date from an earlier use. exclude: patterns as rsync takes
    them; neither baseline nor patch ever name such files, for the user's tree may have others
    there. umask: the login's; modes that it gives to new files are none to tell of. Raises
    HarvestError.
    """
    git = Git(tree, git_dir)
    rules = [_rule(pattern) for pattern in exclude]
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(git.dir, STATE))
        if _worth_keeping(git):
            with contextlib.suppress(HarvestError):
                return _make(git, rules, umask)
        _fresh(git)
        return _make(git, rules, umask)
    except OSError as e:
        raise HarvestError(f"baseline of {tree}: {e}") from e


def _make(git: Git, exclude: list[str], umask: int) -> str:
    # Without a repository of its own everything was sent, .gitignore or not.
    is_git = git.is_repository(b".git")
    rules = list(exclude)
    kept = set[bytes]()
    if is_git:
        rules.append("--exclude-standard")
        kept = kept_files(git, exclude)

    if rules and os.path.exists(git.index):
        _feed(git, git.names("-c", "-i", *rules) - kept, "--force-remove")
    survey = take_in(git, rules, kept, umask, new_in_nested=True)
    base = git("write-tree").decode().strip()

    baseline: Baseline = {
        "base": base,
        "exclude": exclude,
        "umask": umask,
        "odd": [
            [os.fsdecode(path), why]
            for part in (survey.odd, survey.modes)
            for path, why in part.items()
        ],
        "refs": beside.refs(git),
        "nested": {text(path): beside.signature(git.tree, path) for path in survey.nested},
    }
    _write_state(git, baseline)
    return base


def _write_state(git: Git, baseline: Baseline) -> None:
    path = os.path.join(git.dir, STATE)
    with open(path + ".new", "w") as file:
        json.dump(baseline, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def read_state(git: Git) -> Baseline:
    """What was kept of the baseline in this git dir. Raises OSError, ValueError."""
    with open(os.path.join(git.dir, STATE)) as file:
        baseline: Baseline = json.load(file)
    return baseline


def _rule(pattern: str) -> str:
    """An exclude pattern of rsync as an option of ls-files, which no .gitignore can undo."""
    if "/" in pattern.rstrip("/") and not pattern.startswith("/"):
        pattern = "**/" + pattern
    if pattern.startswith("!"):
        pattern = "\\" + pattern
    return "--exclude=" + pattern


# -- the git dir


def _fresh(git: Git) -> None:
    """Make the git dir anew."""
    shutil.rmtree(git.dir, ignore_errors=True)
    for name in ("objects/pack", "refs", "info"):
        os.makedirs(os.path.join(git.dir, name), mode=0o700)
    files = {"HEAD": "ref: refs/heads/none\n", "config": "", "info/attributes": ATTRIBUTES}
    for name, content in files.items():
        with open(os.path.join(git.dir, name), "w") as file:
            file.write(content)


def _worth_keeping(git: Git) -> bool:
    """False when objects of earlier baselines are many times what this one needs."""
    objects = os.path.join(git.dir, "objects")
    try:
        with open(git.index, "rb") as file:
            entries = struct.unpack(">L", file.read(12)[8:])[0]
        # Git spreads loose objects over folders of two letters.
        folders = [name for name in os.listdir(objects) if len(name) == 2]
        loose = sum(len(os.listdir(os.path.join(objects, name))) for name in folders)
        names = os.listdir(os.path.join(objects, "pack"))
    except (OSError, struct.error):
        return False
    packs = sum(name.endswith(".pack") for name in names)
    is_whole = os.path.exists(os.path.join(git.dir, "info", "attributes"))
    return loose < 4 * entries + SPARE_OBJECTS and packs < MOST_PACKS and is_whole


def _feed(git: Git, paths: Iterable[bytes], *flags: str) -> bytes:
    """Give paths to update-index, if there are any; returns what git complained of."""
    given = sorted(paths)
    options: Sequence[str] = ()
    at_once = len(given)
    if len(given) > LOOSE_MOST and _packs_at_once(git):
        options = ONE_PACK
        at_once = max(FEW_FILES, -(-len(given) // PACKS))
    complaints = b""
    for start in range(0, len(given), at_once or 1):
        data = b"".join(path + b"\0" for path in given[start : start + at_once])
        git(*options, "update-index", "-z", *flags, "--stdin", stdin=data)
        complaints += git.errors
    return complaints


def _packs_at_once(git: Git) -> bool:
    """Whether this git writes all that one call adds into one pack; older ones make many."""
    match = re.search(rb"(\d+)\.(\d+)", git("version"))
    return match is not None and (int(match[1]), int(match[2])) >= (2, 38)


# -- what the workspace holds


def kept_files(git: Git, exclude: Sequence[str]) -> set[bytes]:
    """Files that are ignored, but tracked in the workspace's own repository and not excluded."""
    try:
        kept = git.names("-c", "-i", "--exclude-standard", own=False)
        if kept and exclude:
            kept -= git.names("-c", "-i", *exclude, own=False)
    except HarvestError:
        # The agent may have broken or removed its repository.
        return set()
    root = os.fsencode(git.tree)
    return {path for path in kept if _is_plain(os.path.join(root, path))}


def _is_plain(path: bytes) -> bool:
    """Whether it is a link or a readable file, and no folder on the way to it is a link."""
    readable = os.path.isfile(path) and os.access(path, os.R_OK)
    folder = os.path.dirname(path)
    return (os.path.islink(path) or readable) and os.path.realpath(folder) == folder


def take_in(
    git: Git, rules: Sequence[str], kept: set[bytes], umask: int, *, new_in_nested: bool
) -> Survey:
    """Make git's index what the workspace is now, and tell what it can't hold.

    rules: what is ignored, as options of ls-files; kept: files that are not, whatever rules say.
    new_in_nested: whether new files of nested repositories go into the index. Raises HarvestError,
    OSError.
    """
    _prepare(git)
    git("add", "-u", "--ignore-errors", ok=(0, 1))
    failed = git.failed

    survey = _survey(git, rules, kept, umask)
    # Git goes into a nested repository when its index knows a file in there. The last `add -u`
    # drops this one again.
    marks = b"".join(
        b"100644 " + EMPTY_BLOB + b"\t" + _top(path) + b".gummy-was-here\0"
        for path in survey.nested
    )
    if marks:
        git("update-index", "-z", "--index-info", stdin=marks)
        survey = _survey(git, rules, kept, umask)

    new = git.names("-o", *rules) - survey.odd.keys()
    if not new_in_nested:
        tops = tuple(_top(path) for path in survey.nested)
        survey.apart.update(path for path in new if path.startswith(tops))
    wanted = (new | kept) - survey.odd.keys() - survey.apart
    if b"Ignoring path" in _feed(git, wanted, "--add", "--replace"):
        left = git.names("-o", *rules) - survey.odd.keys() - survey.apart
        for path in left:
            if not path.endswith(b"/"):
                survey.odd[path] = "git refuses this name"

    if marks:
        git("add", "-u", "--ignore-errors", ok=(0, 1))
        failed = failed or git.failed
    if failed:
        _check_nothing_is_missing(git, survey)
    return survey


def _prepare(git: Git) -> None:
    """Make way for a new look: no lock of a harvest that was killed, the repository's own rules."""
    with contextlib.suppress(OSError):
        os.unlink(git.index + ".lock")
    rules = os.path.join(git.dir, "info", "exclude")
    try:
        shutil.copyfile(os.path.join(git.tree, ".git", "info", "exclude"), rules)
    except OSError:
        open(rules, "w").close()


def _check_nothing_is_missing(git: Git, survey: Survey) -> None:
    """Git could not add all, say for a full disk: that is an error unless we know why."""
    differing = set(git("diff-files", "-z", "--name-only").split(b"\0"))
    missing = differing - survey.odd.keys() - {b""}
    if missing:
        raise HarvestError(
            f"git could not take {len(missing)} files, {text(min(missing))} among them"
        )


def _top(path: bytes) -> bytes:
    """The folder, with its slash, of a nested `.git`."""
    return path[: -len(b".git")]


def _survey(git: Git, rules: Sequence[str], kept: set[bytes], umask: int) -> Survey:
    ignored = set[bytes]()
    if rules:
        ignored = git.names("-o", "-i", "--directory", *rules) - kept
    survey = Survey({}, {}, [], ignored, set())
    _walk(git, survey, umask)
    return survey


def _walk(git: Git, survey: Survey, umask: int) -> None:
    """Fill the survey with all that lies in the tree; links are not followed."""
    root = os.fsencode(git.tree)
    usual_modes = {0o644, 0o755, 0o666 & ~umask, 0o777 & ~umask}
    folders = [b""]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(os.path.join(root, folder)))
        except OSError as e:
            if not folder:
                raise HarvestError(f"{git.tree} can't be read: {e.strerror}") from e
            survey.odd[folder] = UNREADABLE
            continue

        if folder and not entries:
            survey.odd[folder] = EMPTY
        for entry in entries:
            path = folder + entry.name
            if entry.name == b".git":
                if folder and git.is_repository(path):
                    survey.nested.append(path)
                elif folder:
                    survey.odd[path] = NO_REPOSITORY
            elif path in survey.ignored or path + b"/" in survey.ignored:
                continue
            elif _is_folder(entry, path, survey, usual_modes):
                folders.append(path + b"/")


def _is_folder(
    entry: os.DirEntry[bytes], path: bytes, survey: Survey, usual_modes: set[int]
) -> bool:
    """Note what git can't hold of an entry, and say whether it is a folder to look into."""
    try:
        info = entry.stat(follow_symlinks=False)
    except OSError:
        survey.odd[path] = UNREADABLE
        return False
    mode = info.st_mode
    is_folder = stat.S_ISDIR(mode)
    if is_folder:
        path += b"/"
    elif stat.S_ISLNK(mode):
        return False
    elif not stat.S_ISREG(mode):
        survey.odd[path] = "socket, fifo or device"
        return False
    elif not _is_readable(entry.path, info):
        survey.odd[path] = UNREADABLE
    elif info.st_size > TOO_BIG:
        survey.odd[path] = f"larger than {TOO_BIG >> 20} MiB"
    if mode & 0o7777 not in usual_modes:
        survey.modes[path] = f"mode {mode & 0o7777:04o}"
    return is_folder


def _is_readable(path: bytes, info: os.stat_result) -> bool:
    """Whether a file can be read; of one's own its mode says so, and of others the system does."""
    return bool(info.st_mode & stat.S_IRUSR and info.st_uid == _US) or os.access(path, os.R_OK)
