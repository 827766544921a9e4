# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a project goes to a node, and the rsyncs there and home."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import shutil
import stat
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .._errors import InputError
from .._links.link import RSYNC_OUTPUT_CAP, Link, LinkError, made_in, refusal_in
from .._links.process import Process
from .._links.reader import clean_line
from .._node import wire
from .._node.belongs import LIST, Patterns, pack
from .._node.durations import spoken
from .attributes import AttributeFiles, attribute_files, attribute_files_around
from .contents import Contents, contents, folder_of, included_by_file, with_all_above
from .git import GitError, Project, ProjectError, project_at
from .git_need import GitNeed, git_need
from .harvest_files import KNOWN, LEAST_BYTES, LEAST_SECONDS, GrowthWatch, HarvestLimit
from .outside import check_outside, is_inside, printable
from .settings import Settings, portable_settings, read_settings, write_configs, write_made

# How long no byte of a sync may move, in seconds. Both sides say so in half of that when they only
# think, so a slow node or a slow line shows.
STALL_SECONDS = 20
# How long a node may take to say what a sync would delete there, in seconds.
FORESEE_SECONDS = 120.0
# How long it may take to make a workspace of what the node has, in seconds.
REMAKE_SECONDS = 3600.0
# How often a sync that waits for another one of its project renews its claim, in seconds.
RENEW_SECONDS = 30.0
# How long an rsync may take, in seconds; its own --timeout ends one that stands still.
RSYNC_SECONDS = 6 * 3600.0
# How long the fetch of a harvest may keep a run, in seconds; longer if its limit is so large that
# this many bytes a second need more time for it.
FETCH_SECONDS = 3600.0
FETCH_BYTES_A_SECOND = 500_000

# Has an rsync print a line for each change: what it is, and where.
ITEMIZED = ("--out-format=%i %n", "--8-bit-output")
# Such a line: a deletion, or what happens to which kind of file and what of it differs; the path.
ITEM = re.compile(r"(?:(\*deleting) {0,2}|([<>ch.][fdLDS])([^ ]{5,12}))(?: (.*))?")
# So many paths are kept, and so many bytes of such lines are read.
PATHS_MOST = 1000
ITEMS_CAP = 64 * 1024 * 1024
# What a repository says of paths of this machine; submodules go as plain content.
NOT_PORTABLE = ("/.git/worktrees", "/.git/modules")
# What of a repository leads to its parts elsewhere, which the workspace gets in one piece.
BOUND_TO_HERE = ("/.git/commondir", "/.git/gitdir", "/.git/objects/info/alternates")
# How sync_exclude says that the repository stays at home.
GIT = frozenset({".git", ".git/", "/.git", "/.git/"})

# Calls a program that may take 2 GB of memory, and write files of so many blocks of 512 bytes (the
# first argument) and no larger ones, where the system can hold it to that. The list of files that a
# node sends lies in rsync's memory, and it may have no end; a large file is a second wall, behind
# the measuring.
LIMITED = (
    "/bin/sh",
    "-c",
    'for limit in "c 0" "v 2000000" "f $1"; do ulimit -$limit; done 2>/dev/null; shift; exec "$@"',
    "sh",
)
# No program gets a smaller limit of a file, in bytes: ssh has files of its own to write.
FILE_LEAST = 1_000_000

# Exit status of an rsync in which no byte moved any more.
STALLED = 30
# Exit status of an rsync for which a file went away meanwhile.
VANISHED = 24
# Exit statuses for what goes wrong on the network: in socket I/O, in time, or in ssh.
NETWORK_FAILED = frozenset({10, 30, 35, 255})
# How many characters of one line of rsync's errors are told.
LINE_MOST = 1000
# How a login shell that prints something shows itself.
NOISY_SHELL = re.compile(r"is your shell clean|protocol version mismatch")


class TransferError(Exception):
    """An rsync that did not do its work.

    failure: the class of failure that the job has by it, which docs/architecture.md lists; refusal:
    the node program's clear no, if it gave one; is_stalled: whether no byte moved any more.
    """

    def __init__(
        self,
        failure: str,
        message: str,
        refusal: Mapping[str, Any] | None = None,
        *,
        is_stalled: bool = False,
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.refusal = refusal
        self.is_stalled = is_stalled


@dataclass(frozen=True)
class Exclusions:
    """A project: what of it goes to the nodes, and what is kept from them."""

    project: Project
    # rsync's filter rules for what lies in the repositories; of all else there is a list.
    rules: tuple[bytes, ...]
    # What sync_exclude says, in the words of the user.
    patterns: tuple[str, ...]
    # Repository -> its config for the nodes; the project's own is blank, the paths of those inside
    # of it end with a slash.
    configs: Mapping[bytes, bytes]
    # What git ignores and goes along all the same, as paths from the project's top.
    included: tuple[bytes, ...]
    # What the repositories need of a node's git.
    git_need: GitNeed = field(default_factory=GitNeed)
    # Where its attributes may stand here.
    attribute_files: AttributeFiles = field(default_factory=AttributeFiles)

    @property
    def outside(self) -> list[str]:
        """The folders outside of the project that go along, as parts of its repository, in text."""
        folders = (folder for folder, _path in self.project.parts)
        return [printable(folder) for folder in folders if not is_inside(folder, self.project.path)]

    def describe(self) -> str:
        """What stays at home, for people: patterns, and how many paths git names."""
        words = [*self.patterns]
        if self.project.ignored:
            words.append(f"{len(self.project.ignored)} ignored by git")
        if self.project.plain:
            words.append(f"{len(self.project.plain)} .git of submodules")
        return ", ".join(words) or "nothing"

    def contents(self) -> Contents:
        """What belongs and is there now. Raises ProjectError."""
        return contents(self.project, self.patterns, self.included)

    def listed(self, files: Sequence[bytes]) -> bytes:
        """The list of what belongs, as a node gets it."""
        plain = [path[: -len(b".git")] for path in self.project.plain]
        return pack(
            {
                "repositories": [os.fsdecode(path) for path in self.configs],
                "plain": [os.fsdecode(path) for path in plain],
                "patterns": [*self.patterns],
            },
            files,
        )

    def not_harvested(self) -> list[str]:
        """The included files as patterns, for neither baseline nor patch may name them."""
        return [os.fsdecode(anchored(path)) for path in self.included]


@dataclass(frozen=True)
class Changes:
    """What an rsync made, changed or deleted in a workspace, or would."""

    # How many files, folders and links that are.
    count: int
    # How many of them were deleted.
    deleted: int
    # The first of them as rsync lists them: their paths, a deleted one's behind `delete `.
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Sent:
    """What an rsync has sent, or would send; 0 where it does not say."""

    # Regular files that were not there yet, or not like this.
    files: int
    # Their size.
    bytes: int
    # All that it changed there; None if it was not asked.
    changes: Changes | None = None

    def describe(self) -> str:
        """`3 files, 12.3 kB`."""
        return f"{self.files} files, {_size(self.bytes)}"


def workspace_key(project: str | None, controller: str) -> str:
    """The name of a project's workspaces on every node.

    It is the same for every run of this controller, so that a specialist finds its session again.
    Jobs without a project share a scratch workspace.
    """
    if project is None:
        return f"scratch-{controller}"
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", os.path.basename(project)).strip("-_")[:40] or "project"
    return f"{name}-{hashlib.sha256(f'{controller}:{project}'.encode()).hexdigest()[:12]}"


def check_rsync() -> None:
    """Raise InputError where this machine has no rsync, without which no project goes anywhere."""
    if shutil.which("rsync") is None:
        raise InputError(["rsync is not on this machine's PATH: install rsync"])


def exclusions(path: str, sync_exclude: Sequence[str]) -> Exclusions:
    """What of the project at this path goes to a node, and what stays at home.

    What git ignores stays, but for what .worktreeinclude names, and what sync_exclude names in any
    case. Raises ProjectError.
    """
    at_home = project_at(path)
    with_repository = GIT.isdisjoint(sync_exclude)
    project = at_home if with_repository else replace(at_home, parts=())
    # What follows the `.git` is a file in it.
    cut = Patterns(
        [pattern for pattern in sync_exclude if "/.git/" not in "/" + pattern.rstrip("/")]
    )
    inner = tuple(path for path in project.inner if not cut.name(path + b".git/"))
    project = replace(project, inner=inner)
    check_outside(project)

    try:
        settings = {inner: _settings_in(project, inner) for inner in project.inner}
        if project.is_top:
            own = _settings_in(project, b"")
            if with_repository:
                settings = {b"": own, **settings}
            attributes = attribute_files(at_home, own)
        else:
            attributes = attribute_files_around(path)
        included = included_by_file(project)
    except GitError as exc:
        raise ProjectError([f"git can't read the project {path}: {exc}"]) from None
    configs = {repository: portable_settings(each) for repository, each in settings.items()}

    # rsync takes the first rule that fits. A branch may have the name of a cache, so of what
    # sync_exclude says only what names the repository cuts it.
    rules = [*NOT_PORTABLE]
    if project.parts:
        rules += BOUND_TO_HERE
    rules += [pattern for pattern in sync_exclude if "/.git/" in "/" + pattern]
    words = [_exclude(pattern.encode()) for pattern in rules]
    for repository in configs:
        # What it says stands in the config that is made.
        words.append(_exclude(anchored(repository + b".git/config.worktree")))
    return Exclusions(
        project,
        tuple(words),
        tuple(sync_exclude),
        configs,
        included,
        git_need(settings.values()),
        attributes,
    )


def _settings_in(project: Project, repository: bytes) -> Settings:
    """Raises GitError."""
    return read_settings(os.path.join(project.path, os.fsdecode(repository)))


def _exclude(pattern: bytes) -> bytes:
    return b"- " + pattern


def anchored(path: bytes) -> bytes:
    """An rsync pattern for just this path.

    A backslash escapes only where a wildcard makes it a pattern at all.
    """
    if re.search(rb"[*?\[]", path):
        path = re.sub(rb"([\\*?\[])", rb"\\\1", path)
    return b"/" + path


@dataclass(frozen=True)
class Turn:
    """One of several syncs of a project to a node: only one at a time sends anything."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    # Called now and then by who waits, whose claim must not run out.
    renew: Callable[[], None] = lambda: None


def send_project(
    link: Link, excluded: Exclusions, attempt: str, generation: int, turn: Turn | None = None
) -> Sent:
    """Send a project to a node, into the workspace that the attempt claimed there.

    generation: of the claim, so that one who lost the workspace meanwhile does no harm there; turn:
    shared with others who send the same. What the node has already needs no rsync, so of those that
    wait only the first one sends something.

    Raises LinkError, TransferError.
    """
    turn = turn or Turn()
    belongs = excluded.contents()
    folders = _states_of_folders(excluded, belongs)
    digest = digest_of(excluded, belongs.files) if link.session.is_open else ""
    request: wire.MirrorRequest = {"attempt": attempt, "generation": generation, "digest": digest}
    while True:
        changes = _remake(link, request) if digest else None
        if changes is not None:
            return Sent(0, 0, changes)
        if turn.lock.acquire(blocking=False):
            break
        while not turn.lock.acquire(timeout=RENEW_SECONDS):
            turn.renew()
        turn.lock.release()
        # What came to the project meanwhile shall go along too, should it be our turn.
        belongs = excluded.contents()

    try:
        out, errors, belongs = _receive(link, excluded, belongs, attempt, generation)
        # A courtesy to the next sync. What was written here while rsync looked gives another digest
        # from then on, but a folder may have been another one for that while.
        if digest and folders == _states_of_folders(excluded, belongs):
            with contextlib.suppress(LinkError):
                link.session.call("mirrored", request)
    finally:
        turn.lock.release()
    sent = read_stats(out)
    made = made_in(errors)
    if made is None:
        return sent
    changes = Changes(made["changes"], made["deleted"], ())
    return replace(without_list(sent, made["listed"]), changes=changes)


def _receive(
    link: Link, excluded: Exclusions, belongs: Contents, attempt: str, generation: int
) -> tuple[str, str, Contents]:
    """(stdout, stderr, what it was given) of the rsync into the mirror.

    Raises LinkError, TransferError.
    """
    words = link.rsync_words("receive", attempt, str(generation))
    until = time.monotonic() + RSYNC_SECONDS
    while True:
        try:
            return _upload(link, excluded, belongs, words)
        except TransferError as exc:
            is_waiting = exc.refusal is not None and exc.refusal["class"] == "mirror"
            # Another sync of the project goes on there; the node made us wait for a while, and the
            # lease was renewed.
            if not is_waiting or time.monotonic() > until:
                raise
        belongs = excluded.contents()


def _remake(link: Link, request: wire.MirrorRequest) -> Changes | None:
    """What it changed to make the workspace of what the node has; None: a sync is needed.

    Raises TransferError.
    """
    try:
        reply = link.session.call("remake", request, REMAKE_SECONDS)
    except LinkError:
        # rsync will find out what is wrong.
        return None
    if reply["state"] == "refused":
        raise TransferError("refused", reply["message"], reply)
    if reply["state"] == "stale":
        return None
    return Changes(reply["changes"], reply["deleted"], ())


def digest_of(excluded: Exclusions, files: Sequence[bytes]) -> str:
    """A hash of all that rsync would look at: what belongs, and each file's kind, size and times.

    files: what belongs. The time of the last change of an inode is hashed too, which nobody can
    set.
    """
    project = excluded.project
    top = os.fsencode(project.path.rstrip("/"))
    digest = hashlib.sha256(excluded.listed(files))
    for repository, config in excluded.configs.items():
        digest.update(b"\0".join([repository, config, b""]))
    for rule in excluded.rules:
        digest.update(rule)

    paths = [top + b"/" + path for path in files]
    folders = _folders_around(project, files)
    for path in (*paths, *folders, *_all_in(_repositories(excluded))):
        try:
            info = os.lstat(path)
        except OSError:
            digest.update(b"gone")
            continue
        is_folder = stat.S_ISDIR(info.st_mode)
        # What happens in a folder changes its times, and its files have lines of their own.
        times = () if is_folder else (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)
        digest.update(b"%s %r\0" % (path, (info.st_mode, *times)))
    return digest.hexdigest()


def _states_of_folders(
    excluded: Exclusions, belongs: Contents
) -> tuple[list[bytes], dict[bytes, tuple[int, int]]]:
    """(the files; inode and time of its last change of each folder around them or of git)."""
    folders = _folders_around(excluded.project, belongs.files)
    for repository in _repositories(excluded):
        folders += [where for where, _inner, _names in os.walk(repository)]
    states = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            info = os.lstat(folder)
            states[folder] = (info.st_ino, info.st_ctime_ns)
    return belongs.files, states


def _folders_around(project: Project, files: Sequence[bytes]) -> list[bytes]:
    """The folders in which these files of a project lie, with all around them up to its top."""
    top = os.fsencode(project.path)
    around = with_all_above({folder_of(path) for path in files})
    return [os.path.join(top, folder).rstrip(b"/") for folder in sorted(around)]


def _repositories(excluded: Exclusions) -> list[bytes]:
    """The folders of git that go along."""
    top = os.fsencode(excluded.project.path)
    inside = [os.path.join(top, path, b".git") for path in excluded.configs]
    return inside + [os.fsencode(folder) for folder, _path in excluded.project.parts]


def _all_in(folders: Sequence[bytes]) -> Iterator[bytes]:
    for folder in folders:
        for where, inner, names in os.walk(folder):
            inner.sort()
            for name in sorted(names + inner):
                yield os.path.join(where, name)


def preview_project(link: Link, excluded: Exclusions, key: str, slots: int) -> Sent:
    """What a sync of the project would send and delete now; nothing is claimed or done.

    key: of the workspace; slots: of the node. Raises LinkError, TransferError.
    """
    words = ["--dry-run", *ITEMIZED, *link.rsync_words("preview", key, str(slots))]
    # Not by folders: in one that goes whole rsync would delete what the node keeps there.
    out, _errors, belongs = _upload(
        link, excluded, excluded.contents(), words, ITEMS_CAP, by_folders=False
    )
    listed = excluded.listed(belongs.files)
    # The list of what belongs is no file of the project.
    lines = out.split("\n")
    others = [line for line in lines if not line.endswith(" " + os.fsdecode(LIST))]
    changes = read_changes("\n".join(others))
    sent = without_list(read_stats(out), len(listed) if len(others) < len(lines) else 0)
    reply = link.call(
        "foresee",
        {"key": key, "slots": slots, "listed": base64.b64encode(zlib.compress(listed)).decode()},
        FORESEE_SECONDS,
    )
    if reply["state"] == "refused":
        raise TransferError("refused", reply["message"], reply)
    deleted = ["delete " + path for path in reply["paths"]]
    changes = Changes(
        changes.count + reply["deleted"],
        changes.deleted + reply["deleted"],
        (*changes.paths, *deleted)[:PATHS_MOST],
    )
    return replace(sent, changes=changes)


def _upload(
    link: Link,
    excluded: Exclusions,
    belongs: Contents,
    words: Sequence[str],
    cap: int = RSYNC_OUTPUT_CAP,
    *,
    by_folders: bool = True,
) -> tuple[str, str, Contents]:
    """(stdout, stderr, what it was given) of the rsync to a node.

    words: its options; cap: bytes that it may print; by_folders: whether a folder of which all goes
    is one name. Raises LinkError, TransferError.
    """
    with sources(excluded, belongs, by_folders=by_folders) as given:
        argv = upload_argv(given, words, link.rsync_target())
        status, out, errors = link.rsync(argv, RSYNC_SECONDS, given.names, cap=cap)
    if status == VANISHED:
        # Somebody works there: what is new meanwhile may need what was not there before.
        belongs = excluded.contents()
        with sources(excluded, belongs, by_folders=by_folders) as given:
            argv = upload_argv(given, words, link.rsync_target())
            status, out, errors = link.rsync(argv, RSYNC_SECONDS, given.names, cap=cap)

    refusal = refusal_in(errors)
    if refusal is not None:
        raise TransferError("refused", refusal["message"], refusal)
    if status not in (0, VANISHED):
        is_stalled = status == STALLED
        raise TransferError(*why_rsync_failed(status, errors), is_stalled=is_stalled)
    return out, errors, belongs


@dataclass(frozen=True)
class Sources:
    """What an rsync is given of a project."""

    # Path of the folder from which it starts.
    folder: str
    # The names for its stdin, as paths from there, each with a NUL after it.
    names: bytes
    # Path of the file with the filter rules.
    rules: str


@contextlib.contextmanager
def sources(
    excluded: Exclusions, belongs: Contents, *, by_folders: bool = True
) -> Iterator[Sources]:
    """What rsync is given of a project, while the context lasts.

    by_folders: whether a folder of which all goes is one name.

    In each name what follows `/./` is the path in the workspace. What stands before it leads there
    from a folder of ours, and is short, for rsync reads the names letter by letter. Of two with the
    same path in the workspace the first one's goes. So what we make comes first: the list of what
    belongs, and each repository's config. Then come the parts of a repository that is elsewhere, by
    folders that name each part by its path in the workspace, and then the project.
    """
    project = excluded.project
    with tempfile.TemporaryDirectory(prefix="gummy-sync-") as folder:
        made = os.path.join(folder, "0")
        os.mkdir(made)
        write_made(os.path.join(made, os.fsdecode(LIST)), excluded.listed(belongs.files))
        configs = write_configs(made, excluded.configs)
        names = [b"0/./" + path for path in (LIST, *configs)]

        for number, (source, path) in enumerate(project.parts, 1):
            part = os.path.join(folder, str(number), path)
            os.makedirs(os.path.dirname(part))
            os.symlink(source, part)
            names.append(os.fsencode(f"{number}/./{path}/"))

        os.symlink(project.path, os.path.join(folder, "p"))
        repositories = [path for path in configs if path != b".git/" or not project.parts]
        paths = belongs.names() if by_folders else belongs.files
        names += [b"p/./" + path for path in (*repositories, *paths)]
        rules = os.path.join(folder, "rules")
        with open(rules, "wb") as file:
            file.write(b"".join(rule + b"\0" for rule in excluded.rules))
        yield Sources(folder, b"".join(name + b"\0" for name in names), rules)


def seconds_in_a_run(limit: HarvestLimit) -> float:
    """How long the fetch of a harvest may keep a run: what is fetched later comes by `harvest`."""
    return min(RSYNC_SECONDS, max(FETCH_SECONDS, limit.bytes / FETCH_BYTES_A_SECOND))


def fetch_harvest(
    link: Link, attempt: str, folder: str, limit: HarvestLimit, seconds: float = RSYNC_SECONDS
) -> None:
    """Fetch an ended attempt's harvest into an existing folder, as the node sends it.

    The rsync is ended when it has brought more than the limit allows, brings too little, or takes
    more than these seconds: else a node could keep us for as long as it likes. Raises LinkError,
    TransferError.
    """
    words = link.rsync_words("send", attempt)
    argv = limited(limit, download_argv(folder, words, link.rsync_target()))
    growth = GrowthWatch(folder, limit)

    def watch(process: Process) -> None:
        growth.begin(process.kill)

    try:
        status, _out, errors = link.rsync(argv, seconds, opened=watch)
    except LinkError as exc:
        if exc.kind != "timeout":
            raise
        raise _too_slow(link, attempt, f"took longer than {spoken(seconds)}") from None
    finally:
        too_much = growth.end()
    if too_much:
        raise _too_large(link, attempt, too_much)
    if growth.is_too_slow:
        least = f"{LEAST_BYTES / 1e3:.0f} kB in {spoken(LEAST_SECONDS)}"
        raise _too_slow(link, attempt, f"brought less than {least}")
    if status:
        raise TransferError(*why_rsync_failed(status, errors))


def limited(limit: HarvestLimit, argv: Sequence[str]) -> list[str]:
    """The argv of the same program which can write no file that is much over the limit."""
    # One that is over it shall be seen to be so.
    blocks = max(limit.bytes, FILE_LEAST) // 512 + 2
    return [*LIMITED, str(blocks), *argv]


def _too_large(link: Link, attempt: str, too_much: str) -> TransferError:
    """Why a harvest stays on its node, with the way to it."""
    remedy = "take from there what you need of it by hand"
    if too_much.endswith("MB"):
        remedy = (
            f"to take it all the same: harvest -e gummy_job={attempt} -e gummy_harvest_limit=SIZE"
        )
    return TransferError(
        "harvest",
        f"the harvest has {too_much} (harvest_limit): {_stays_there(link, attempt)}; {remedy}",
    )


def _too_slow(link: Link, attempt: str, why: str) -> TransferError:
    """The same for a fetch that was ended because it would have kept us for too long."""
    return TransferError(
        "harvest",
        f"the fetch of the harvest {why}: {_stays_there(link, attempt)}; "
        f"to try it once more, for as long as {spoken(RSYNC_SECONDS)}: "
        f"harvest -e gummy_job={attempt}",
    )


def _stays_there(link: Link, attempt: str) -> str:
    return (
        f"it stays on {link.name}, in ~/.local/state/distributed-gummy/*/attempts/{attempt}/harvest"
    )


def upload_argv(given: Sources, link_words: Sequence[str], remote: str) -> list[str]:
    """The argv of an rsync that sends a project, with the names of its sources on its stdin.

    Modes and times go along, owners do not. A time is compared to the nanosecond, for what changes
    within a second may keep its size. In folders that are sent whole, as those of repositories are,
    what is not here is deleted; the rest the node program takes away.
    """
    return [
        "rsync",
        "-rlpt",
        "--modify-window=-1",
        "--delete",
        "--from0",
        "--files-from=-",
        f"--exclude-from={given.rules}",
        "--stats",
        f"--timeout={STALL_SECONDS}",
        *link_words,
        "--",
        given.folder,
        remote,
    ]


def download_argv(folder: str, link_words: Sequence[str], remote: str) -> list[str]:
    """The argv of an rsync that brings a harvest home.

    Links don't come: they could lead whoever opens a harvest's file to another one of this
    machine.
    """
    return ["rsync", "-rt", "--timeout=60", *link_words, "--", remote, folder + "/"]


def read_stats(stats: str) -> Sent:
    """What rsync --stats says it sent, in either rsync's words."""
    return Sent(
        files=_statistic("Number of (?:regular )?files transferred", stats),
        bytes=_statistic("Total transferred file size", stats),
    )


def without_list(sent: Sent, listed: int) -> Sent:
    """What was sent of the project itself.

    listed: bytes of the list of what belongs, if it was sent too; 0 if it was there.
    """
    if not listed:
        return sent
    return replace(sent, files=max(0, sent.files - 1), bytes=max(0, sent.bytes - listed))


def read_changes(out: str) -> Changes:
    """What an rsync made, changed or deleted, from the lines in which it itemized that.

    A folder of which nothing but its time differs is no change: what happens in it has a line.
    """
    count = 0
    deleted = 0
    paths: list[str] = []
    for line in out.split("\n"):
        match = ITEM.fullmatch(line)
        if match is None:
            continue
        deletes, kind, differs, path = match.groups()
        if not deletes and kind == ".d" and not differs.strip(".t"):
            continue
        count += 1
        deleted += bool(deletes)
        if path and len(paths) < PATHS_MOST:
            paths.append(("delete " if deletes else "") + clean_line(path))
    return Changes(count, deleted, tuple(paths))


def _statistic(label: str, stats: str) -> int:
    match = re.search(rf"^{label}: ([0-9][0-9,.]{{0,30}})", stats, re.MULTILINE)
    if match is None:
        return 0
    return int(re.sub(r"[,.]", "", match.group(1)))


def why_rsync_failed(status: int, errors: str) -> tuple[str, str]:
    """The class of failure, unreachable for the network and sync for the rest, and one line."""
    if NOISY_SHELL.search(errors):
        reason = (
            "the node's login shell prints something, which breaks rsync: "
            "silence its start-up files for non-interactive logins"
        )
        return "sync", reason

    # The other side's words are among them.
    lines = [
        clean_line(line)[:LINE_MOST]
        for line in errors.split("\n")
        if line.strip() and "\x1e" not in line
    ]
    last = lines[-1] if lines else f"rsync exit status {status}"
    if status in NETWORK_FAILED:
        return "unreachable", last
    # The first line that is not rsync's own summing up says most.
    return "sync", next((line for line in lines if "rsync error" not in line), last)


def unpack(files: Mapping[str, str] | None, folder: str) -> bool:
    """Write a harvest that came with the word that its attempt ended into this folder.

    files: name -> content in base64. Returns False, and writes nothing, if it did not come, or has
    names that no harvest has. Raises TransferError for a content that is no base64.
    """
    if not files or not KNOWN.issuperset(files):
        return False
    try:
        contents = {
            name: base64.b64decode(content, validate=True) for name, content in files.items()
        }
    except (ValueError, TypeError) as exc:
        raise TransferError(
            "harvest", f"the harvest that came with the word of its end can't be read: {exc}"
        ) from exc
    for name, content in contents.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    return True


def _size(count: float) -> str:
    """Bytes for people."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"
