# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs in a workspace: the list that a controller sends with a project, and the rules.

Both sides use it: the controller makes the list, the node program takes away what is not on it.
"""

from __future__ import annotations

import json
import re

from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypedDict

    class Header(TypedDict):
        """What the list says beside the paths."""

        # The repositories in the project, as paths from its top: the top's is blank, others end
        # with a slash.
        repositories: list[str]
        # The submodules, whose content goes without their repositories, in the same way.
        plain: list[str]
        # What sync_exclude says.
        patterns: list[str]


# The list's name at the top of what is sent. No workspace has it, and a project that has a file of
# this name keeps it at home.
LIST = b".distributed-gummy-files"
# State that an agent keeps of its sessions, in rsync's patterns. It belongs to the node and path
# where it was made: it is not sent, and neither baseline nor patch have it.
NODE_OWNED = (
    "/.gummy/specialists/*/session.txt",
    "/.gummy/specialists/*/meta.yaml",
    "/.claude/worktrees/",
    "/.claude/scheduled_tasks.json",
    "/.claude/scheduled_tasks.lock",
    "/.crush/crush.db*",
    "/.crush/logs/",
    "/.aider.chat.history.md",
    "/.aider.input.history",
    "/.aider.tags.cache.v*/",
)
# What an agent has made of itself on a node stays there whole, although the project at home has
# none of it: gummy can't resume a specialist without its prompt, nor claude go on without what it
# has noted.
KEPT = (
    "/.gummy/specialists/**",
    "/.claude/agent-memory/**",
    "/.claude/agent-memory-local/**",
    "/.claude/settings.local.json",
    "/.crush/**",
    *NODE_OWNED,
)


def pack(header: Header, files: Iterable[bytes]) -> bytes:
    """The list as it is sent: the header, then the paths, each with a NUL after it."""
    return b"".join(part + b"\0" for part in (json.dumps(header).encode(), *files))


def unpack(data: bytes) -> tuple[Header, list[bytes]]:
    """(header, paths) of a list as it was sent. Raises ValueError."""
    first, *files = data.split(b"\0")[:-1]
    header = json.loads(first)
    if not isinstance(header, dict):
        raise ValueError("no header")  # noqa: TRY004
    return header, files  # type: ignore[return-value]


class Patterns:
    """Exclude patterns as rsync understands them."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._files: re.Pattern[bytes] | None = None
        self._folders: re.Pattern[bytes] | None = None
        any_kind = [_expression(pattern) for pattern in patterns if not pattern.endswith("/")]
        folders = [_expression(pattern[:-1]) for pattern in patterns if pattern.endswith("/")]
        if any_kind:
            self._files = re.compile(b"|".join(any_kind), re.DOTALL)
        if any_kind or folders:
            self._folders = re.compile(b"|".join(any_kind + folders), re.DOTALL)
        # What was said of each folder: many files lie in one.
        self._known: dict[bytes, bool] = {b"": False}

    def name(self, path: bytes) -> bool:
        """Whether they fit this path, which ends with a slash if it is a folder, or one above."""
        if path.endswith(b"/"):
            return self._name_folder(path[:-1])
        if self._files is not None and self._files.fullmatch(b"/" + path):
            return True
        return self._name_folder(path.rpartition(b"/")[0])

    def _name_folder(self, path: bytes) -> bool:
        known = self._known.get(path)
        if known is None:
            known = self._name_folder(path.rpartition(b"/")[0]) or (
                self._folders is not None and self._folders.fullmatch(b"/" + path) is not None
            )
            self._known[path] = known
        return known


def _expression(pattern: str) -> bytes:
    """A regular expression for the whole paths, behind a slash, that a pattern of rsync fits.

    One with a slash in it, or with two stars, is about the path; others are about its last name. A
    backslash escapes where there is a wildcard, and is a letter elsewhere.
    """
    escapes = any(letter in pattern for letter in "*?[")
    # Two stars may stand for nothing before the first slash, and one may not.
    before = rb"(?:.*/)?" if pattern.startswith("**") else rb".*/"
    if pattern.startswith("/"):
        before = b"/"
        pattern = pattern[1:]
    after = b""
    if pattern.endswith("/***"):
        pattern = pattern[:-4]
        after = rb"(?:/.*)?"

    words = []
    position = 0
    while position < len(pattern):
        letter = pattern[position]
        position += 1
        if letter == "*":
            stars = 1
            while pattern[position : position + 1] == "*":
                position += 1
                stars += 1
            words.append(rb"[^/]*" if stars == 1 else rb".*")
        elif letter == "?":
            words.append(rb"[^/]")
        elif letter == "[":
            match = CLASS.match(pattern, position)
            if match is None:
                # A class without an end fits nothing.
                words.append(rb"(?!)")
                break
            position = match.end()
            words.append(_letters(match[1], match[2]))
        else:
            if letter == "\\" and escapes and position < len(pattern):
                letter = pattern[position]
                position += 1
            words.append(re.escape(letter.encode("utf-8", "surrogateescape")))
    return b"(?:" + before + b"".join(words) + after + b")"


# What follows the [ of a class of letters: whether it is negated, and its members.
CLASS = re.compile(r"([!^]?)(\]?(?:\[:\w+:\]|\\.|[^\]\\])*)\]", re.DOTALL)
# The classes of letters that have a name.
NAMED = {
    "alpha": b"A-Za-z",
    "digit": b"0-9",
    "alnum": b"A-Za-z0-9",
    "upper": b"A-Z",
    "lower": b"a-z",
    "space": rb"\s",
    "punct": rb"!-/:-@\[-`{-~",
    "xdigit": b"0-9A-Fa-f",
}


def _letters(negation: str, members: str) -> bytes:
    """A class of letters; never the slash."""
    inside = b""
    for part in re.findall(r"\[:\w+:\]|\\.|.", members, re.DOTALL):
        if part.startswith("[:") and len(part) > 2:
            inside += NAMED.get(part[2:-2], b"")
        elif part == "-":
            inside += b"-"
        else:
            inside += re.escape(part[-1].encode("utf-8", "surrogateescape"))
    expression = b"(?!/)[" + (b"^" if negation else b"") + inside + b"]"
    try:
        re.compile(expression)
    except re.error:
        # A class that is none, as one whose letters are in the wrong order, fits nothing.
        return rb"(?!)"
    return expression
