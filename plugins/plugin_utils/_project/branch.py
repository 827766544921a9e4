# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A harvest as a branch of the user's repository, by plumbing with an index of its own.

The objects of the branch and one new ref are all that is written, and files are stored as `git add`
would have stored them here, by the user's filters. No checkout, no hook, no merge driver; the same
harvest gives the same commits, unless a filter gives another result each time.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypedDict

from .._errors import InputError
from .agent_commits import AgentCommits
from .git import LARGE_SECONDS_MOST, GitError, git, in_git, without_hooks
from .harvest_contents import BUNDLE, LOOSE_MOST, HarvestContents
from .scratch import Scratch
from .stored import NO_MODE, Entry
from .tree_maker import DIFF_TREE, TreeMaker

# Author and committer of our own commits.
WHO = "gummy <gummy@localhost>"
# How many numbers are tried for a name that is taken.
NUMBERS_MOST = 1000
# How many paths in conflict are named.
CONFLICTS_SHOWN = 10
# Larger files are not merged by lines, in bytes.
MERGED_MOST = 64 << 20


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
    # How many files it changes against its base.
    files: int


class DeliverableJob(Protocol):
    """What is asked of a job here."""

    @property
    def name(self) -> str: ...

    @property
    def project(self) -> str | None: ...

    @property
    def deliver(self) -> str: ...


class Step(NamedTuple):
    """A commit that is to be made."""

    # The tree that it starts from, and the one that it holds.
    before: str
    after: str
    message: str


# Mode and id of a file in conflict by its stage: b"1" the base, b"2" ours, b"3" theirs.
Stages = Mapping[bytes, tuple[bytes, bytes]]


def check_branches(jobs: Iterable[DeliverableJob]) -> None:
    """Raise InputError for jobs that ask for a branch which can't be, before anything starts."""
    problems = [_check_branch(job.project, job.name) for job in jobs if job.deliver == "branch"]
    found = [problem for problem in problems if problem]
    if found:
        raise InputError(found)


def _check_branch(project: str | None, where: str) -> str | None:
    """What is wrong with a branch of this project, as a sentence."""
    try:
        if project is None or not in_git(project):
            return (
                f"{where}: deliver: branch needs a git project, "
                f"and {project or 'a job without project'} is none; take patch, or git init"
            )
        object_format = git(project, "rev-parse", "--show-object-format").strip()
    except GitError as exc:
        return f"{where}: deliver: branch: git can't read {project}: {exc}"
    if object_format not in (b"sha1", b"sha256"):
        return (
            f"{where}: deliver: branch can't be made in {project}, "
            f"whose object format is {object_format.decode()}; take patch"
        )
    if head(project) is None:
        return (
            f"{where}: deliver: branch needs a commit to start from, and {project} has none; "
            "commit something, or take patch"
        )
    return None


def head(project: str) -> str | None:
    """The commit that is checked out; None if there is none."""
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
    """Make a job's harvest the branch gummy/<run>/<job> of its project; None without changes.

    folder: of the harvest; result: how the attempt ended, in the node's words; title: the message
    of the commit with the work. Raises DeliverError.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="gummy-branch-") as scratch:
            return _BranchMaker(project, folder, result, scratch).make(run_id, job, title)
    except (GitError, OSError, InputError, KeyError, ValueError) as exc:
        raise DeliverError(f"no branch could be made ({exc}); the work is in {folder}") from None


def describe_delivery(delivered: DeliveredBranch) -> str:
    """What `deliver_branch` made, for people."""
    text = f"branch {delivered['branch']}"
    if delivered["note"]:
        text += f"; {delivered['note']}"
    return text


class _BranchMaker:
    """Reads a harvest into the project's repository, and makes commits and a branch of it.

    The harvest has the changes against what the job found (branch.raw names them, branch.pack has
    their contents) and the agent's own commits (commits.bundle). The work is done in a repository
    of our own that has the project's objects; the project's itself is asked for refs only. Raises
    GitError, OSError, and KeyError or ValueError for a harvest that is not what it should be.
    """

    def __init__(self, project: str, folder: str, result: Mapping[str, Any], scratch: str) -> None:
        harvest: Mapping[str, Any] = result["harvest"] or {}
        self._project = project
        self._folder = folder
        # For indexes and the sides of a merge.
        self._scratch = scratch
        self._git = Scratch(scratch, project)
        self._trees = TreeMaker(self._git)
        # All commits have the time at which the job began, so that making them again gives the
        # very same ones.
        self._when = int(result.get("begun_at") or 0)
        # Sentences for a person.
        self._notes: list[str] = []

        base = harvest.get("head") or result.get("base")
        if not base or not self._has(base):
            raise GitError(
                f"the commit that the job began from, {base or 'unknown'}, "
                f"is not in {project} any more"
            )
        self._base = str(base)
        commits = AgentCommits(
            self._git, self._trees, self._read_commits(harvest.get("commits") or {})
        )
        self._contents = HarvestContents(project, folder, self._git, self._base, harvest)
        self._contents.read(commits.paths)
        commits.rewrite(self._contents)
        self._commits = commits.commits
        skipped = len(self._contents.of_submodules)
        if skipped:
            self._notes.append(f"{skipped} files of submodules are in the patch only")
        self._notes += self._contents.notes

    # -- git

    def _has(self, commit: str) -> bool:
        try:
            self._git("cat-file", "-e", f"{commit}^{{commit}}")
        except GitError:
            return False
        return True

    # -- reading the harvest

    def _read_commits(self, refs: Mapping[str, str]) -> list[str]:
        """The agent's own commits, oldest first, once they are in the repository."""
        tip = refs.get("HEAD")
        bundle = os.path.join(self._folder, BUNDLE)
        if tip is None or not os.path.exists(bundle):
            return []
        self._git.take_bundle(bundle, LARGE_SECONDS_MOST)
        try:
            self._git("merge-base", self._base, tip)
        except GitError:
            self._notes.append("the agent's commits begin anew, and are in commits.bundle only")
            return []
        listing = self._trees.word("rev-list", "--reverse", "--topo-order", f"{self._base}..{tip}")
        self._check_commits(tip)
        return listing.split()

    def _check_commits(self, tip: str) -> None:
        """A branch with a hole would break the repository; a partial clone's own holes are none."""
        packs = os.path.join(str(self._git.borrowed), "pack")
        if os.path.isdir(packs) and any(name.endswith(".promisor") for name in os.listdir(packs)):
            return
        words = ("rev-list", "--objects", "--quiet", tip, "--not", self._base)
        self._git(*words, seconds=LARGE_SECONDS_MOST)

    # -- making the branch

    def make(self, run_id: str, job: str, title: str) -> DeliveredBranch | None:
        """Make the branch; None if nothing has changed."""
        changes = self._contents.changes
        start = self._commits[-1] if self._commits else self._base
        found_tree = self._trees.tree_of(start)
        if not self._commits:
            found_tree = self._trees.tree_with(found_tree, [change.before for change in changes])
        left_tree = self._trees.tree_with(found_tree, [change.after for change in changes])
        if not self._commits and found_tree == left_tree:
            if self._contents.kept:
                # The patch has work, and why there is no branch of it has to be told.
                raise GitError("; ".join(self._notes))
            return None

        # What the user had not committed, and the agent changed, is a commit of its own, so that
        # the agent's is what the agent did.
        steps = [
            Step(
                self._trees.tree_of(start),
                found_tree,
                f"What was not committed when {run_id}/{job} began",
            ),
            Step(found_tree, left_tree, title),
        ]
        base = head(self._project) or self._base
        tip = None
        if base != self._base:
            tip = self._rebase(base, steps)
        if tip is None:
            base = self._base
            tip = self._commit_steps(start, steps)
        self._contents.check(tip, [base, self._base])
        few = len(changes) < LOOSE_MOST
        self._git.hand_over(tip, [base, self._base], few, LARGE_SECONDS_MOST)
        name = self._create_ref(run_id, job, tip)
        note = "; ".join(self._notes)
        files = len(paths_between(self._git, base, tip))
        return {"branch": name, "commit": tip, "base": base, "note": note, "files": files}

    def _commit_steps(self, start: str, steps: Sequence[Step]) -> str:
        """The steps on top of where the job began; one that changes nothing makes no commit."""
        tip = start
        for step in steps:
            if step.after != step.before:
                tip = self._commit(step.after, tip, step.message)
        return tip

    def _rebase(self, base: str, steps: Sequence[Step]) -> str | None:
        """The work on top of a base that moved; None if that conflicts."""
        parents = [
            self._trees.word("rev-list", "--parents", "-n", "1", commit).split()[1:]
            for commit in self._commits
        ]
        line = [self._base, *self._commits][: len(self._commits)]
        if parents != [[commit] for commit in line]:
            self._notes.append(
                "the project has moved on; the agent's history is not a line from where the job "
                "began, so the branch starts at the old base"
            )
            return None

        tip = base
        conflicts: list[str] = []
        for parent, commit in zip(line, self._commits, strict=True):
            trees = (
                self._trees.tree_of(parent),
                self._trees.tree_of(tip),
                self._trees.tree_of(commit),
            )
            tip = self._trees.recommit(commit, self._merge(*trees, conflicts), [tip])
        for step in steps:
            ours = self._trees.tree_of(tip)
            tree = self._merge(step.before, ours, step.after, conflicts)
            if tree != ours:
                tip = self._commit(tree, tip, step.message)

        if conflicts:
            paths = ", ".join(sorted(set(conflicts))[:CONFLICTS_SHOWN])
            self._notes.append(
                f"the project has moved on and the work conflicts with that in {paths}, "
                "so the branch starts at the old base"
            )
            return None
        return tip

    # -- trees

    def _merge(self, base: str, ours: str, theirs: str, conflicts: list[str]) -> str:
        """The tree of a three-way merge.

        conflicts: takes the paths for which there is none; ours stays there.
        """
        if base == ours:
            return theirs
        if base == theirs:
            return ours

        index = self._trees.read_into_index(base, ours, theirs)
        removed = []
        merged = []
        for path, stages in self._unmerged(index).items():
            # The three stages of a path go, and one entry comes.
            removed.append(Entry(NO_MODE, self._contents.stored.no_id, path))
            solution = self._merge_file(stages)
            if solution is None:
                conflicts.append(path.decode("utf-8", "backslashreplace"))
                solution = stages.get(b"2")
            if solution is not None:
                merged.append(Entry(*solution, path))
        self._trees.put(index, removed)
        self._trees.put(index, merged)
        return self._trees.write_tree(index)

    def _unmerged(self, index: str) -> dict[bytes, Stages]:
        """The files for which git itself has no merge."""
        found: dict[bytes, dict[bytes, tuple[bytes, bytes]]] = {}
        listing = self._git("ls-files", "-u", "-z", index=index)
        for line in listing.split(b"\0")[:-1]:
            words, _tab, path = line.partition(b"\t")
            mode, object_id, stage = words.split(b" ")
            found.setdefault(path, {})[stage] = (mode, object_id)
        return dict(found)

    def _merge_file(self, stages: Stages) -> tuple[bytes, bytes] | None:
        """Mode and id of one file's merge by lines, if there is one."""
        if len(stages) < 3 or any(not mode.startswith(b"100") for mode, _id in stages.values()):
            return None
        base_mode, base = stages[b"1"]
        our_mode, ours = stages[b"2"]
        their_mode, theirs = stages[b"3"]
        for object_id in (base, ours, theirs):
            if int(self._git("cat-file", "-s", object_id.decode())) > MERGED_MOST:
                return None

        paths = []
        for number, object_id in enumerate((ours, base, theirs)):
            paths.append(os.path.join(self._scratch, f"side-{number}"))
            with open(paths[-1], "wb") as file:
                file.write(self._git("cat-file", "blob", object_id.decode()))
        try:
            content = self._git("merge-file", "-p", "-q", *paths)
        except GitError:
            return None
        mode = their_mode if our_mode == base_mode else our_mode
        words = ("hash-object", "-w", "--no-filters", "--stdin")
        return mode, self._git(*words, stdin=content).strip()

    # -- commits and the ref

    def _commit(self, tree: str, parent: str, message: str) -> str:
        who = f"{WHO} {self._when} +0000"
        text = f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\n{message}\n"
        return self._trees.write_commit(text.encode("utf-8", "replace"))

    def _create_ref(self, run_id: str, job: str, tip: str) -> str:
        """The branch's name once it is there.

        An earlier try that made this very branch counts; of another commit it takes the name, and
        the next number is tried.
        """
        parts = [re.sub(r"\.(?=\.|$|lock$)", "-", part) for part in (run_id, job)]
        name = "/".join(["gummy", *parts])
        for number in range(1, NUMBERS_MOST):
            numbered = name if number == 1 else f"{name}-{number}"
            existing = self._commit_of(numbered)
            if existing is None and self._make_ref(numbered, tip, f"{run_id}/{job}"):
                return numbered
            if existing == tip:
                return numbered
        raise GitError(f"{name} and {NUMBERS_MOST - 1} numbers of it are taken")

    def _commit_of(self, branch: str) -> str | None:
        try:
            words = ("rev-parse", "-q", "--verify", f"refs/heads/{branch}")
            return git(self._project, *words).decode().strip()
        except GitError:
            return None

    def _make_ref(self, branch: str, tip: str, reason: str) -> bool:
        """Whether the branch could be made; not if somebody made it this very moment."""
        words = (
            "update-ref",
            "-m",
            f"gummy: {reason}",
            f"refs/heads/{branch}",
            tip,
            "0" * len(tip),
        )
        try:
            git(self._project, *words, settings=without_hooks(self._project))
        except GitError as exc:
            if "already exists" in str(exc):
                return False
            raise
        return True


def paths_between(scratch: Scratch, base: str, tip: str) -> list[bytes]:
    """The paths in which two commits differ: what a branch brings. Raises GitError."""
    return scratch(*DIFF_TREE, "--name-only", base, tip, "--").split(b"\0")[:-1]
