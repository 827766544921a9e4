# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a project goes to a node, and the rsyncs there and home. This is private to the collection."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ._keys import InputError
from ._link import Link, decode

LONGEST = 6 * 3600.0  # seconds; rsync's own --timeout ends one that stands still

# A specialist's session lives on one node and for one path: it neither goes there nor is deleted there.
NODE_OWNED = ("/.gummy/specialists/*/session.txt", "/.gummy/specialists/*/meta.yaml")


class ProjectError(InputError):
    """The project can't be read; the message says what to do."""


class TransferError(Exception):
    """An rsync that did not do its work. failure: a class of DESIGN section 7; refusal: the node program's clear no, if it gave one."""

    def __init__(self, failure: str, message: str, refusal: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.failure = failure
        self.refusal = refusal


@dataclass(frozen=True)
class Exclusions:
    """rules: NUL-separated rsync exclude patterns. ignored: how many of them git's ignore rules gave."""

    rules: bytes
    patterns: tuple[str, ...]
    ignored: int

    def describe(self) -> str:
        return ", ".join([*self.patterns, *([f"{self.ignored} ignored by git"] if self.ignored else [])]) or "nothing"


def exclusions(project: str, sync_exclude: Sequence[str]) -> Exclusions:
    """What is kept from the node: sync_exclude, what git ignores there, and what belongs to the node alone."""
    ignored = _ignored_by_git(project)
    rules = [*(pattern.encode() for pattern in (*NODE_OWNED, *sync_exclude)), *map(_anchored, ignored)]
    return Exclusions(b"".join(rule + b"\0" for rule in rules), tuple(sync_exclude), len(ignored))


def _ignored_by_git(project: str) -> list[bytes]:
    if not any(os.path.lexists(os.path.join(folder, ".git")) for folder in (project, *_above(project))):
        return []
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    argv = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "ls-files", "-z", "-oi", "--exclude-standard", "--directory"]
    try:
        done = subprocess.run(argv, cwd=project, env=env, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        raise ProjectError([f"{project} is a git project, and git is not on this machine's PATH: install git"]) from None
    if done.returncode:
        reason = done.stderr.decode(errors="backslashreplace").strip()
        raise ProjectError([f"git can't read the project {project}: {reason}"])
    ignored = [path for path in done.stdout.split(b"\0") if path]
    return [] if b"./" in ignored else ignored  # the project itself is ignored: it is nobody's git project


def _above(path: str) -> list[str]:
    return [str(folder) for folder in PurePath(path).parents]


def _anchored(path: bytes) -> bytes:
    """An rsync pattern for just this path; a backslash escapes only where a wildcard makes it a pattern at all."""
    if re.search(rb"[*?\[]", path):
        path = re.sub(rb"([\\*?\[])", rb"\\\1", path)
    return b"/" + path


def send_project(link: Link, project: str, attempt: str, generation: int, excluded: Exclusions) -> dict[str, Any]:
    """The project into the workspace that the attempt claimed; files and bytes sent. Raises LinkError, TransferError."""
    words = link.rsync_words("receive", attempt, str(generation))
    status, out, errors = link.rsync(upload_argv(project, words, link.rsync_place()), LONGEST, excluded.rules)
    refusal = next((reply for line in errors.encode().splitlines() if (reply := decode(line))), None)
    if refusal is not None:
        raise TransferError("refused", str(refusal.get("message", refusal)), refusal)
    if status not in (0, 24):  # 24: a file vanished meanwhile
        raise TransferError(*why_rsync_failed(status, errors))
    return sent(out)


def fetch_harvest(link: Link, attempt: str, folder: str) -> None:
    """An ended attempt's harvest into an existing folder. Raises LinkError, TransferError."""
    argv = download_argv(folder, link.rsync_words("send", attempt), link.rsync_place())
    status, _out, errors = link.rsync(argv, LONGEST)
    if status:
        raise TransferError(*why_rsync_failed(status, errors))


def upload_argv(project: str, link_words: Sequence[str], place: str) -> list[str]:
    """rsync mirrors the project into the workspace; modes and times go along, owners do not. Its stdin takes the rules."""
    source = project.rstrip("/") + "/"
    return [
        "rsync", "-rlpt", "--delete", "--from0", "--exclude-from=-", "--stats", "--timeout=60", *link_words, "--", source, place,
    ]  # fmt: skip


def download_argv(folder: str, link_words: Sequence[str], place: str) -> list[str]:
    return ["rsync", "-rlt", "--timeout=60", *link_words, "--", place, folder + "/"]


def sent(stats: str) -> dict[str, int]:
    """files and bytes that rsync --stats says it sent (regular files; their size); 0 where it does not say."""
    found = {}
    for key, label in (("files", "Number of (?:regular )?files transferred"), ("bytes", "Total transferred file size")):
        match = re.search(rf"^{label}: ([0-9,.]+)", stats, re.MULTILINE)
        found[key] = int(re.sub(r"[,.]", "", match.group(1))) if match else 0
    return found


def why_rsync_failed(status: int, errors: str) -> tuple[str, str]:
    """(class, one line): unreachable for network errors, sync for the rest."""
    lines = [line for line in errors.split("\n") if line.strip() and "\x1e" not in line]
    if re.search(r"is your shell clean|protocol version mismatch", errors):
        return "sync", "the node's login shell prints something, which breaks rsync: silence its start-up files for non-interactive logins"
    if status in (10, 30, 35, 255):
        return "unreachable", lines[-1] if lines else f"rsync exit status {status}"
    return "sync", next((line for line in lines if "rsync error" not in line), lines[-1] if lines else "") or f"rsync exit status {status}"
