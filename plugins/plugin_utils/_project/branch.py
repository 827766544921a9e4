# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A harvest as a branch of the user's repository, by plumbing with an index of its own.

Objects and one new ref are all that is written. No checkout, no hook, no filter, no merge driver;
the same harvest gives the same commits.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from .._errors import InputError
from .git import GitError, git, in_git

NONE = "0" * 40
# Contents; more than these come as a pack.
LOOSE = 100
WHO = "gummy <gummy@localhost>"
MOST_NUMBERS = 1000
# Bytes; larger files are not merged by lines.
MERGED_MOST = 64 << 20
# Mode and id before, mode and id after, path; of a path that is not there they are zeros.
Record = tuple[bytes, bytes, bytes, bytes, bytes]


class DeliverError(Exception):
    """There is no branch; the harvest is as it was."""


class DeliveredBranch(TypedDict):
    """A branch that was made, as it stands in run.json."""

    # Its name, without refs/heads/.
    branch: str
    # Its newest commit.
    commit: str
    # The commit that the work stands on: what is checked out, or where the job began.
    base: str
    # What a person has to know of it; blank if nothing.
    note: str


def check_branch(project: str | None, place: str) -> str | None:
    """What is wrong with a branch of this project as a sentence, before anything starts."""
    if project is None or not in_git(project):
        return f"{place}: deliver: branch needs a git project, and {project or 'a job without project'} is none; take patch, or git init"
    try:
        kind = git(project, "rev-parse", "--show-object-format").strip()
    except GitError as exc:
        return f"{place}: deliver: branch: git can't read {project}: {exc}"
    if kind != b"sha1":
        return f"{place}: deliver: branch can't be made in {project}, whose object format is {kind.decode()}; take patch"
    if head(project) is None:
        return f"{place}: deliver: branch needs a commit to start from, and {project} has none; commit something, or take patch"
    return None


def check_branches(jobs: Sequence[Any]) -> None:
    """Raises InputError."""
    problems = [check_branch(job.project, job.name) for job in jobs if job.deliver == "branch"]
    if found := [problem for problem in problems if problem]:
        raise InputError(found)


def head(project: str) -> str | None:
    """The commit that is checked out."""
    try:
        return git(project, "rev-parse", "-q", "--verify", "HEAD^{commit}").decode().strip()
    except GitError:
        return None


def deliver_branch(
    project: str,
    folder: str,
    result: Mapping[str, Any],
    *,
    run_id: str,
    job: str,
    title: str,
) -> DeliveredBranch | None:
    """Make a job's harvest the branch gummy/<run>/<job> of its project; None if nothing has changed.

    folder: of the harvest; result: how the attempt ended, in the node's words; title: the message
    of the commit with the work. Raises DeliverError.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="gummy-branch-") as scratch:
            return _Branch(project, folder, result, scratch).make(run_id, job, title)
    except (GitError, OSError, InputError, KeyError, ValueError) as exc:
        raise DeliverError(f"no branch could be made ({exc}); the work is in {folder}") from None


def describe_delivery(delivered: DeliveredBranch) -> str:
    """What `deliver_branch` made, for people."""
    text = f"branch {delivered['branch']}"
    if delivered["note"]:
        text += f"; {delivered['note']}"
    return text


class _Branch:
    def __init__(self, project: str, folder: str, result: Mapping[str, Any], scratch: str) -> None:
        harvest: Mapping[str, Any] = result["harvest"] or {}
        self._project = project
        self._folder = folder
        self._scratch = scratch
        self._when = int(result.get("begun_at") or 0)
        self._indexes = 0
        self._notes: list[str] = []
        base = harvest.get("head") or result.get("base")
        if not base or not self._has(base):
            raise GitError(
                f"the commit that the job began from, {base or 'unknown'}, is not in {project} any more"
            )
        self._top = self._git("rev-parse", "--show-toplevel").decode(errors="surrogateescape")[:-1]
        self._base = str(base)
        self._records = self._read_records(self._git("rev-parse", "--show-prefix")[:-1])
        self._commits = self._read_commits(harvest.get("commits") or {})

    def _git(self, *words: str, stdin: Any = b"", index: str | None = None) -> bytes:
        return git(self._project, *words, stdin=stdin, index=index)

    def _one(self, *words: str, **more: Any) -> str:
        return self._git(*words, **more).decode().strip()

    def _has(self, thing: str) -> bool:
        try:
            self._git("cat-file", "-e", f"{thing}^{{commit}}")
        except GitError:
            return False
        return True

    def _tree(self, commit: str) -> str:
        return self._one("rev-parse", f"{commit}^{{tree}}")

    def _read_records(self, prefix: bytes) -> list[Record]:
        path = os.path.join(self._folder, "branch.raw")
        if not os.path.exists(path):
            return []
        with open(path, "rb") as file:
            words = file.read().split(b"\0")
        records: list[Record] = []
        for word, name in zip(words[::2], words[1::2], strict=False):
            mode, new_mode, thing, new = word[1:].split(b" ")[:4]
            records.append((mode, thing, new_mode, new, prefix + name))
        listed = self._git("ls-tree", "-r", "-z", "--full-tree", self._base).split(b"\0")
        modules = [line.partition(b"\t")[2] + b"/" for line in listed if line.startswith(b"160000")]
        kept = [
            record for record in records if not modules or not record[4].startswith(tuple(modules))
        ]
        if len(kept) < len(records):
            self._notes.append(
                f"{len(records) - len(kept)} files of submodules are in the patch only"
            )
        with open(os.path.join(self._folder, "branch.pack"), "rb") as pack:
            self._git(
                *(["unpack-objects", "-q"] if len(records) < LOOSE else ["index-pack", "--stdin"]),
                stdin=pack,
            )
        return kept

    def _read_commits(self, refs: Mapping[str, str]) -> list[str]:
        """The agent's own, oldest first."""
        tip = refs.get("HEAD")
        bundle = os.path.join(self._folder, "commits.bundle")
        if tip is None or not os.path.exists(bundle):
            return []
        self._git("bundle", "unbundle", os.path.abspath(bundle))
        try:
            self._git("merge-base", self._base, tip)
        except GitError:
            self._notes.append("the agent's commits begin anew, and are in commits.bundle only")
            return []
        return (
            self._git("rev-list", "--reverse", "--topo-order", f"{self._base}..{tip}")
            .decode()
            .split()
        )

    def make(self, run_id: str, job: str, title: str) -> DeliveredBranch | None:
        start = self._commits[-1] if self._commits else self._base
        before = (
            self._tree(start)
            if self._commits
            else self._with(self._tree(start), [(row[0], row[1], row[4]) for row in self._records])
        )
        after = self._with(before, [(row[2], row[3], row[4]) for row in self._records])
        # what the user had not committed, and the agent changed, is a commit of its own, so that
        # the agent's is what the agent did
        steps = [
            (self._tree(start), before, f"What was not committed when {run_id}/{job} began"),
            (before, after, title),
        ]
        if not self._commits and before == after:
            return None
        now = head(self._project) or self._base
        tip, base = (self._onto(now, steps), now) if now != self._base else (None, self._base)
        if tip is None:
            tip = start
            base = self._base
            for old, new, message in steps:
                tip = self._commit(new, tip, message) if new != old else tip
        name = self._name(run_id, job, tip)
        return {"branch": name, "commit": tip, "base": base, "note": "; ".join(self._notes)}

    def _onto(self, now: str, steps: Sequence[tuple[str, str, str]]) -> str | None:
        """The work on top of a base that moved; None if that conflicts."""
        tip = now
        conflicts = list[str]()
        parents = [
            self._one("rev-list", "--parents", "-n", "1", commit).split()[1:]
            for commit in self._commits
        ]
        if parents != [[parent] for parent in [self._base, *self._commits][: len(parents)]]:
            self._notes.append(
                "the project has moved on; the agent's history is not a line from where the job began, so the branch starts at the old base"
            )
            return None
        for commit, (parent,) in zip(self._commits, parents, strict=True):
            tree = self._merged(self._tree(parent), self._tree(tip), self._tree(commit), conflicts)
            tip = self._again(commit, tree, tip)
        for old, new, message in steps:
            here = self._tree(tip)
            tree = self._merged(old, here, new, conflicts)
            tip = self._commit(tree, tip, message) if tree != here else tip
        if conflicts:
            shown = ", ".join(sorted(set(conflicts))[:10])
            self._notes.append(
                f"the project has moved on and the work conflicts with that in {shown}, so the branch starts at the old base"
            )
            return None
        return tip

    def _with(self, tree: str, entries: Sequence[tuple[bytes, bytes, bytes]]) -> str:
        """A tree with these (mode, id, path) in place of what it has there."""
        index = self._index(tree)
        self._put(index, entries)
        return self._one("write-tree", index=index)

    def _index(self, *trees: str) -> str:
        self._indexes += 1
        index = os.path.join(self._scratch, f"index-{self._indexes}")
        self._git(
            "read-tree",
            *(["-i", "-m", "--aggressive"] if len(trees) > 1 else []),
            *trees,
            index=index,
        )
        return index

    def _put(self, index: str, entries: Sequence[tuple[bytes, bytes, bytes]]) -> None:
        # What goes makes room for what comes.
        lines = sorted(entries, key=lambda entry: entry[0].strip(b"0") != b"")
        self._git(
            "-C",
            self._top,
            "update-index",
            "-z",
            "--index-info",
            stdin=b"".join(b"%s %s\t%s\0" % line for line in lines),
            index=index,
        )

    def _merged(self, base: str, ours: str, theirs: str, conflicts: list[str]) -> str:
        """The tree of a three-way merge; where that is not clean ours stays, and the path is a
        conflict.
        """
        if base in (ours, theirs):
            return theirs if base == ours else ours
        index = self._index(base, ours, theirs)
        stages: dict[bytes, dict[bytes, tuple[bytes, bytes]]] = {}
        for line in self._git("-C", self._top, "ls-files", "-u", "-z", index=index).split(b"\0")[
            :-1
        ]:
            words, _tab, path = line.partition(b"\t")
            mode, thing, stage = words.split(b" ")
            stages.setdefault(path, {})[stage] = (mode, thing)
        solved = []
        for path, found in stages.items():
            merged = self._solve(found)
            if merged is None:
                conflicts.append(path.decode("utf-8", "backslashreplace"))
                merged = found.get(b"2", (b"0", NONE.encode()))
            solved += [(b"0", NONE.encode(), path), (*merged, path)]
        self._put(index, solved[::2])
        self._put(index, [entry for entry in solved[1::2] if entry[0] != b"0"])
        return self._one("write-tree", index=index)

    def _solve(self, stages: Mapping[bytes, tuple[bytes, bytes]]) -> tuple[bytes, bytes] | None:
        """Mode and id of one file's merge by lines, if there is one."""
        if len(stages) < 3 or any(mode[:3] != b"100" for mode, _thing in stages.values()):
            return None
        (mode, thing), (our_mode, ours), (their_mode, theirs) = (
            stages[stage] for stage in (b"1", b"2", b"3")
        )
        if any(
            int(self._git("cat-file", "-s", each.decode())) > MERGED_MOST
            for each in (thing, ours, theirs)
        ):
            return None
        paths = []
        for number, content in enumerate((ours, thing, theirs)):
            paths.append(os.path.join(self._scratch, f"side-{number}"))
            with open(paths[-1], "wb") as file:
                file.write(self._git("cat-file", "blob", content.decode()))
        try:
            merged = self._git("merge-file", "-p", "-q", *paths)
        except GitError:
            return None
        return (their_mode if our_mode == mode else our_mode), self._git(
            "hash-object", "-w", "--no-filters", "--stdin", stdin=merged
        ).strip()

    def _commit(self, tree: str, parent: str, message: str) -> str:
        who = f"{WHO} {self._when} +0000"
        text = f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\n{message}\n"
        return self._one(
            "hash-object", "-w", "-t", "commit", "--stdin", stdin=text.encode("utf-8", "replace")
        )

    def _again(self, commit: str, tree: str, parent: str) -> str:
        """The agent's commit with another tree and parent; a signature would not hold any more."""
        header, blank, message = self._git("cat-file", "commit", commit).partition(b"\n\n")
        lines = re.sub(
            rb"\n(?:gpgsig|gpgsig-sha256|mergetag) [^\n]*(?:\n [^\n]*)*", b"", header
        ).split(b"\n")
        kept = [line for line in lines if not line.startswith((b"tree ", b"parent "))]
        data = (
            b"\n".join([b"tree " + tree.encode(), b"parent " + parent.encode(), *kept])
            + blank
            + message
        )
        return self._one("hash-object", "-w", "-t", "commit", "--stdin", stdin=data)

    def _name(self, run_id: str, job: str, tip: str) -> str:
        """The branch's name once it is there; an earlier try that made this very branch counts."""
        name = "gummy/" + "/".join(re.sub(r"\.(?=\.|$|lock$)", "-", part) for part in (run_id, job))
        for number in range(1, MOST_NUMBERS):
            numbered = name if number == 1 else f"{name}-{number}"
            try:
                known = self._one("rev-parse", "-q", "--verify", f"refs/heads/{numbered}")
            except GitError:
                try:
                    self._git(
                        "update-ref",
                        "-m",
                        f"gummy: {run_id}/{job}",
                        f"refs/heads/{numbered}",
                        tip,
                        NONE,
                    )
                    return numbered
                except GitError as exc:
                    # Made this very moment, or a branch's name is a folder here.
                    if "already exists" in str(exc):
                        continue
                    raise
            if known == tip:
                return numbered
        raise GitError(f"{name} and {MOST_NUMBERS - 1} numbers of it are taken")
