# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a repository's settings go to a node.

A repository's config is written for one machine: it names programs, keys and folders that are only
there, and remotes by addresses that may hold a token. With it an agent's `git commit` fails, or a
secret travels. So a node gets a config of our own making, of the settings in a list; what is not
on the list stays at home.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from .git import git

# Keys, as git lists them: section and name in small letters. They say how the repository is stored,
# how content is compared and merged, and who commits. None of them names a program or a path.
PORTABLE = re.compile(
    r"core\.(repositoryformatversion|filemode|symlinks|logallrefupdates|sparsecheckout"
    r"|sparsecheckoutcone|safecrlf|whitespace|quotepath|abbrev|checkroundtripencoding"
    r"|bigfilethreshold|commentchar|commentstring)"
    r"|extensions\.(objectformat|compatobjectformat|refstorage|partialclone|preciousobjects)"
    r"|index\.(sparse|version)"
    r"|(user|author|committer)\.(name|email)"
    r"|i18n\.(commitencoding|logoutputencoding)"
    r"|commit\.(cleanup|status|verbose)"
    r"|(diff|merge|pull|push|fetch|rebase|rerere|log|status|tag|stash|submodule|branch|init|format)"
    r"\.(algorithm|renames|renamelimit|indentheuristic|interhunkcontext|context|mnemonicprefix"
    r"|noprefix|submodule|wordregex|colormoved|conflictstyle|ff|branchdesc|renormalize|rebase"
    r"|default|autosquash|autostash|updaterefs|enabled|autoupdate|date|decorate|follow"
    r"|showuntrackedfiles|sort|autosetupmerge|autosetuprebase|defaultbranch|prune|followtags"
    r"|autosetupremote|pretty)"
    r"|diff\..+\.(xfuncname|funcname|binary|wordregex|algorithm)"
    r"|merge\..+\.(name|recursive)"
    r"|branch\..+\.(remote|merge|rebase|pushremote|description)"
    r"|remote\.pushdefault"
    r"|remote\..+\.(fetch|push|tagopt|mirror|prune|promisor|partialclonefilter)",
    re.DOTALL,
)
# The address of a remote, which goes along without the name and the password in it.
ADDRESS = re.compile(r"remote\..+\.(url|pushurl)", re.DOTALL)
# An address as scp has it, which has no password.
SCP = re.compile(r"[A-Za-z0-9_.~-]+@[A-Za-z0-9.-]+:[^:].*")
SCHEMES = ("http", "https", "ssh", "git", "git+ssh", "ssh+git")
# How line ends are changed: what holds at home holds there, whoever set it. The values are git's
# own where nobody did.
EFFECTIVE = {"core.autocrlf": "false", "core.eol": "native"}
# What belongs to the project itself, and not to its user or this machine.
OWN_SCOPES = ("local", "worktree")
# The newest time that a made file may get, in seconds: its content decides which.
TIMES = 1 << 30


class Settings(NamedTuple):
    """What git says is set for a repository."""

    # Key -> the value that counts here, whoever set it. A key alone is a yes.
    effective: Mapping[str, str]
    # Those that belong to the project itself, in their order.
    own: Sequence[tuple[str, str]]


def read_settings(folder: str) -> Settings:
    """What is set for the repository that this folder is in. Raises GitError."""
    listing = git(folder, "config", "--list", "--show-scope", "-z").split(b"\0")
    effective: dict[str, str] = {}
    own: list[tuple[str, str]] = []
    for scope, entry in zip(listing[::2], listing[1::2], strict=False):
        key, has_value, value = (part for part in os.fsdecode(entry).partition("\n"))
        if not has_value:
            value = "true"
        effective[key] = value
        if os.fsdecode(scope) in OWN_SCOPES:
            own.append((key, value))
    return Settings(effective, own)


def portable_settings(settings: Settings) -> bytes:
    """The config that a node gets for a repository with these settings."""
    portable: list[tuple[str, str]] = []
    for key, value in settings.own:
        if key not in EFFECTIVE:
            portable += _portable(key, value)
    everywhere = {key: settings.effective.get(key, value) for key, value in EFFECTIVE.items()}
    return os.fsencode(written([*portable, ("core.bare", "false"), *everywhere.items()]))


def _portable(key: str, value: str) -> Iterator[tuple[str, str]]:
    """The setting as it goes along, if it does."""
    if PORTABLE.fullmatch(key):
        yield key, value
    elif ADDRESS.fullmatch(key):
        address = without_secrets(value)
        if address is not None:
            yield key, address


def without_secrets(address: str) -> str | None:
    """A remote's address without what logs in there; None if it means something only here."""
    if SCP.fullmatch(address):
        return address
    try:
        split = urlsplit(address)
        host = split.hostname
        port = split.port
    except ValueError:
        return None
    if split.scheme not in SCHEMES or not host:
        return None

    netloc = f"[{host}]" if ":" in host else host
    if port is not None:
        netloc += f":{port}"
    # ssh needs the name; it is no secret there. What follows a ? may be one.
    if "ssh" in split.scheme and split.username:
        netloc = f"{split.username}@{netloc}"
    return split._replace(netloc=netloc, query="", fragment="").geturl()


def written(settings: Iterable[tuple[str, str]]) -> str:
    """Settings as git's own config file has them."""
    lines: list[str] = []
    before = ""
    for key, value in settings:
        section, _dot, rest = key.partition(".")
        subsection, dot, name = rest.rpartition(".")
        header = f"[{section}]"
        if dot:
            header = f'[{section} "{_escaped(subsection)}"]'
        if header != before:
            lines.append(header)
        before = header
        quoted = _escaped(value).replace("\n", "\\n").replace("\t", "\\t").replace("\b", "\\b")
        lines.append(f'\t{name} = "{quoted}"')
    return "".join(line + "\n" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def write_made(path: str, content: bytes) -> None:
    """Write a file of ours that is to be sent.

    Its time is its content's, so that rsync sends it again if it has changed, and not else.
    """
    with open(path, "wb") as file:
        file.write(content)
    seconds = int.from_bytes(hashlib.sha256(content).digest()[:4], "big") % TIMES
    os.utime(path, (seconds, seconds))


def write_configs(top: str, configs: Mapping[bytes, bytes]) -> Sequence[bytes]:
    """Write each repository's config below this folder, where it is in the project.

    configs: path of the repository in the project -> its config. Returns the folders that now hold
    one, as paths from the top with a slash at their end.
    """
    folders = []
    for repository, content in configs.items():
        folder = repository + b".git/"
        os.makedirs(os.path.join(os.fsencode(top), folder))
        write_made(os.path.join(top, os.fsdecode(folder), "config"), content)
        folders.append(folder)
    return folders
