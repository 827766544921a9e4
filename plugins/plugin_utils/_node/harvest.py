# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The harvest of a workspace: the patch against its baseline, and the list of what changed.

What a patch can't hold comes beside it (beside.py), or is listed with the reason. Callers hold the
workspace's lock, and nobody else uses the git dir.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence

from . import beside, setup
from .baseline import EMPTY, Survey, kept_files, read_state, take_in
from .git import Git, HarvestError, text
from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from . import wire

PATCH = "changes.patch"
# Entries of `changed` and of `left_out`; the rest is counted.
SHOWN = 1000
# Entries of `left_out` for what is ignored.
SHOWN_IGNORED = 20
REMOVED = "empty folder, removed"
# All that a harvest writes.
OUTPUTS = (PATCH, beside.NESTED, beside.COMMITS, beside.RAW, beside.PACK, beside.ARTIFACTS)
STATUS = {"A": "added", "D": "deleted", "M": "modified", "T": "type changed"}
# No renames: so the patch needs nothing but the files that it changes, and no time goes into the
# search for pairs.
DIFF = ("diff-index", "--cached", "--no-renames", "--no-ext-diff", "--no-textconv")


def make_harvest(
    tree: str, git_dir: str, out: str, deliver: str = "patch", artifacts: Sequence[str] = ()
) -> wire.HarvestRecord:
    """Write into the folder `out` what the workspace has become since its baseline.

    That is changes.patch, and what comes beside it; it may be called again. deliver: `none` leaves
    it at artifacts and the list, `branch` adds what a branch is made of, and `contents` the same
    for a patch that is made anew at home, where filters are. artifacts: globs. Raises HarvestError:
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


def _harvest(git: Git, out: str, deliver: str, artifacts: Sequence[str]) -> wire.HarvestRecord:
    baseline = read_state(git)
    _copy_index(git)
    survey = take_in(
        git,
        [*baseline["exclude"], "--exclude-standard"],
        kept_files(git, baseline["exclude"]),
        baseline["umask"],
        new_in_nested=False,
    )
    base = setup.Base(git, baseline["base"])
    listing = git(*DIFF, "-z", "--raw", "--numstat", base.tree)
    changes = _changes(listing)
    changed = {change["path"] for change in changes}

    os.makedirs(out, exist_ok=True)
    before = {(os.fsencode(path), why) for path, why in baseline["odd"]}
    left_out = base.left_out[:SHOWN] + _left_out(git.tree, survey, before, changed)
    record = _record(changes, left_out, baseline["refs"].get("HEAD"))
    record["artifacts"], not_copied = beside.artifacts(git.tree, artifacts, out)
    left_out += not_copied
    if deliver == "none":
        return record

    if changes:
        _write_patch(git, out, base.tree)
        record["patch"] = PATCH
    record["nested"], unread = beside.nested(
        git,
        out,
        git_dirs=survey.nested,
        apart=survey.apart,
        before=baseline["nested"],
        changed=changed,
    )
    record["commits"], broken = beside.commits(git, out, baseline["refs"])
    left_out += unread + broken
    new_head = record["commits"].get("HEAD")
    if deliver in ("branch", "contents") and (changes or new_head):
        beside.branch(git, out, listing, baseline["refs"].get("HEAD"), new_head)
    return record


def _record(
    changes: list[wire.Change], left_out: list[wire.Omission], head: str | None
) -> wire.HarvestRecord:
    """A harvest of which nothing has been written yet."""
    return {
        "patch": None,
        "files": len(changes),
        "added": sum(change["added"] or 0 for change in changes),
        "deleted": sum(change["deleted"] or 0 for change in changes),
        "changed": changes[:SHOWN],
        "left_out": left_out,
        "nested": [],
        "head": head,
        "commits": {},
        "artifacts": 0,
    }


def _copy_index(git: Git) -> None:
    """The harvest works on a copy of the baseline's index, which the next harvest needs again."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(git.index)
    with contextlib.suppress(FileNotFoundError):
        # With its mtime: git compares it with those of files, to see which ones changed in the
        # moment of the baseline.
        shutil.copy2(os.path.join(git.dir, "index"), git.index)


def _write_patch(git: Git, out: str, base: str) -> None:
    options = ("-p", "--binary", "--full-index", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")
    with open(os.path.join(out, PATCH), "wb") as file:
        git(*DIFF, *options, base, out=file)
        os.fsync(file.fileno())


def _changes(listing: bytes) -> list[wire.Change]:
    """The changes in the output of diff-index -z --raw --numstat.

    All raw records come first, then all counts, both in the order of paths.
    """
    words = listing.split(b"\0")[:-1]
    raw = 0
    while raw < len(words) and words[raw].startswith(b":"):
        raw += 2
    letters = {words[i + 1]: words[i][-1:].decode() for i in range(0, raw, 2)}

    changes: list[wire.Change] = []
    for word in words[raw:]:
        added, deleted, path = word.split(b"\t", 2)
        changes.append(
            {
                "path": text(path),
                "status": STATUS.get(letters[path], "modified"),
                "added": _count(added),
                "deleted": _count(deleted),
            }
        )
    return changes


def _count(digits: bytes) -> int | None:
    """A number of lines; git has a dash for a file that it doesn't count."""
    return None if digits == b"-" else int(digits)


def _left_out(
    tree: str, survey: Survey, before: set[tuple[bytes, str]], changed: set[str]
) -> list[wire.Omission]:
    """What is new of what a patch doesn't carry, then what is ignored.

    before: (path, why) of the baseline; changed: the paths that the patch carries.
    """
    reasons: dict[bytes, str] = {}
    for path, why in survey.modes.items():
        # A file that the patch changes loses its mode, new or not.
        if (path, why) not in before or text(path) in changed:
            reasons[path] = why
    for path, why in survey.odd.items():
        if (path, why) not in before:
            reasons[path] = why
    for path, why in before:
        if why == EMPTY and not os.path.lexists(os.path.join(os.fsencode(tree), path)):
            reasons[path] = REMOVED

    new: list[wire.Omission] = [
        {"path": text(path), "why": why} for path, why in sorted(reasons.items())
    ]
    ignored: list[wire.Omission] = [
        {"path": text(path), "why": "ignored"} for path in sorted(survey.ignored)
    ]
    return _at_most(SHOWN, new, "more") + _at_most(SHOWN_IGNORED, ignored, "more ignored")


def _at_most(most: int, rows: list[wire.Omission], what: str) -> list[wire.Omission]:
    """The first rows, and one that counts the others."""
    more = len(rows) - most
    if more <= 0:
        return rows
    return [*rows[:most], {"path": "", "why": f"{more} {what}"}]
