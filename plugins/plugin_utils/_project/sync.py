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
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .._files.paths import NAME
from .._links.link import Link, decode
from .git import Project, look_at, portable_config

# Seconds; rsync's own --timeout ends one that stands still.
LONGEST = 6 * 3600.0

# A specialist's session lives on one node and for one path, so the project's own copy of it stays
# at home.
NODE_OWNED = ("/.gummy/specialists/*/session.txt", "/.gummy/specialists/*/meta.yaml")
# A specialist that was made on the node stays there whole, although the project at home has none:
# gummy can't resume one without its prompt.
KEPT_THERE = "/.gummy/specialists/**"
# Paths of this machine; submodules go as plain content.
NOT_PORTABLE = ("/.git/worktrees", "/.git/modules")
BOUND_TO_HERE = ("/.git/commondir", "/.git/gitdir", "/.git/objects/info/alternates")
# How sync_exclude says that the repository stays at home.
GIT = frozenset({".git", ".git/", "/.git", "/.git/"})
# Rsync's exit status when a file went away meanwhile.
VANISHED = 24


class TransferError(Exception):
    """An rsync that did not do its work. failure: a class of DESIGN section 7; refusal: the node
    program's clear no, if it gave one.
    """

    def __init__(
        self, failure: str, message: str, refusal: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.refusal = refusal


@dataclass(frozen=True)
class Exclusions:
    """A project and what of it is kept from the nodes. rules: rsync's, NUL-separated; patterns:
    those of sync_exclude.
    """

    project: Project
    rules: bytes
    patterns: tuple[str, ...]

    def describe(self) -> str:
        counted = (
            (len(self.project.ignored), "ignored by git"),
            (len(self.project.plain), ".git of submodules"),
        )
        return (
            ", ".join([*self.patterns, *(f"{count} {what}" for count, what in counted if count)])
            or "nothing"
        )


def workspace_key(project: str | None, controller: str) -> str:
    """Stable per controller and project, so that session memory survives; jobs without a project
    share a scratch one.
    """
    if project is None:
        return f"scratch-{controller}"
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", os.path.basename(project)).strip("-_")[:40] or "project"
    return f"{name}-{hashlib.sha256(f'{controller}:{project}'.encode()).hexdigest()[:12]}"


def exclusions(path: str, sync_exclude: Sequence[str]) -> Exclusions:
    """What goes to a node is what is left: git says what it ignores there, sync_exclude the rest.

    Raises ProjectError.
    """
    project = look_at(path)
    whole = GIT.isdisjoint(sync_exclude)
    if not whole:
        project = replace(project, parts=())
    rules = [
        b"- " + pattern.encode()
        for pattern in (*NODE_OWNED, *NOT_PORTABLE, *(BOUND_TO_HERE if project.parts else ()))
    ]
    rules += [b"- " + _anchored(path) for path in project.plain]
    # A branch may have the name of a cache.
    rules += [b"+ .git/**"] if whole else []
    rules += [b"- " + pattern.encode() for pattern in sync_exclude] + [
        b"- " + _anchored(path) for path in project.ignored
    ]
    return Exclusions(project, b"".join(rule + b"\0" for rule in rules), tuple(sync_exclude))


def _anchored(path: bytes) -> bytes:
    """An rsync pattern for just this path; a backslash escapes only where a wildcard makes it a
    pattern at all.
    """
    if re.search(rb"[*?\[]", path):
        path = re.sub(rb"([\\*?\[])", rb"\\\1", path)
    return b"/" + path


def send_project(link: Link, excluded: Exclusions, attempt: str, generation: int) -> dict[str, Any]:
    """The project into the workspace that the attempt claimed; files and bytes sent.

    Raises LinkError, TransferError.
    """
    words = link.rsync_words("receive", attempt, str(generation))
    with sources(excluded.project) as given:
        argv = upload_argv(given, words, link.rsync_target())
        status, out, errors = link.rsync(argv, LONGEST, excluded.rules)
        # Somebody works there: what is new meanwhile may need what was not there before.
        if status == VANISHED:
            status, out, errors = link.rsync(argv, LONGEST, excluded.rules)
    refusal = next(
        (reply for line in errors.encode().splitlines() if (reply := decode(line))), None
    )
    if refusal is not None:
        raise TransferError("refused", str(refusal.get("message", refusal)), refusal)
    if status not in (0, VANISHED):
        raise TransferError(*why_rsync_failed(status, errors))
    return sent(out)


@contextlib.contextmanager
def sources(project: Project) -> Iterator[list[str]]:
    """rsync's sources: the project; before it, where its repository is elsewhere, folders that name
    each part by its place in the workspace.
    """
    top = project.path.rstrip("/")
    if not project.parts:
        yield [top + "/"]
        return
    with tempfile.TemporaryDirectory(prefix="gummy-sync-") as folder:
        os.makedirs(os.path.join(folder, "0", ".git"))
        portable_config(project.parts, os.path.join(folder, "0", ".git"))
        found = [f"{folder}/0/./.git/"]
        for number, (source, place) in enumerate(project.parts, 1):
            where = os.path.join(folder, str(number), place)
            os.makedirs(os.path.dirname(where))
            os.symlink(source, where)
            found.append(f"{folder}/{number}/./{place}/")
        yield [*found, f"{top}/./"]


def fetch_harvest(link: Link, attempt: str, folder: str) -> None:
    """An ended attempt's harvest into an existing folder. Raises LinkError, TransferError."""
    argv = download_argv(folder, link.rsync_words("send", attempt), link.rsync_target())
    status, _out, errors = link.rsync(argv, LONGEST)
    if status:
        raise TransferError(*why_rsync_failed(status, errors))


def upload_argv(given: Sequence[str], link_words: Sequence[str], place: str) -> list[str]:
    """rsync mirrors its sources into the workspace; modes and times go along, owners do not.

    Its stdin takes the rules.

    Of several sources that have a file the first one's goes; what follows `/./` in a source is its
    place.
    """
    together = ["--relative"] if len(given) > 1 else []
    return [
        "rsync",
        "-rlpt",
        *together,
        "--delete",
        f"--filter=P {KEPT_THERE}",
        "--from0",
        "--exclude-from=-",
        "--stats",
        "--timeout=60",
        *link_words,
        "--",
        *given,
        place,
    ]


def download_argv(folder: str, link_words: Sequence[str], place: str) -> list[str]:
    """Links don't come: they could lead whoever opens a harvest's file to another one of this
    machine.
    """
    return ["rsync", "-rt", "--timeout=60", *link_words, "--", place, folder + "/"]


def sent(stats: str) -> dict[str, int]:
    """files and bytes that rsync --stats says it sent (regular files; their size); 0 where it does
    not say.
    """
    found = {}
    for key, label in (
        ("files", "Number of (?:regular )?files transferred"),
        ("bytes", "Total transferred file size"),
    ):
        match = re.search(rf"^{label}: ([0-9,.]+)", stats, re.MULTILINE)
        found[key] = int(re.sub(r"[,.]", "", match.group(1))) if match else 0
    return found


def why_rsync_failed(status: int, errors: str) -> tuple[str, str]:
    """(class, one line): unreachable for network errors, sync for the rest."""
    lines = [line for line in errors.split("\n") if line.strip() and "\x1e" not in line]
    if re.search(r"is your shell clean|protocol version mismatch", errors):
        return (
            "sync",
            "the node's login shell prints something, which breaks rsync: silence its start-up files for non-interactive logins",
        )
    if status in (10, 30, 35, 255):
        return "unreachable", lines[-1] if lines else f"rsync exit status {status}"
    return "sync", next(
        (line for line in lines if "rsync error" not in line), lines[-1] if lines else ""
    ) or f"rsync exit status {status}"


def unpack(files: Mapping[str, str] | None, folder: str) -> bool:
    """Write a harvest that came with the word that its attempt ended; False if it did not, or is
    not what it should be.
    """
    if not files or not all(NAME.fullmatch(name) for name in files):
        return False
    for name, text in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(base64.b64decode(text))
    return True


def size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
