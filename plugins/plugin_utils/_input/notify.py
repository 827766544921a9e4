# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a run tells how it ended: what the config file, or the author of a play, says of that.

Never a job's file and never `-e`: whoever says there what is to be done must not thereby choose a
program of this machine, or a place where what was done is told. An address is often a secret
itself, so no message of ours has more of one than its host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .._errors import BadValue
from .keys import hint, show

# What is told only where it is asked for: what jobs were to do, where things lie, what jobs said.
INCLUDES = ("prompts", "paths", "log")

# Where it may stand; for who wrote it elsewhere.
WHERE = (
    "notifications are set in the config file, as notify, or as the option notify of run_jobs in a "
    "play of your own; no job and no -e can choose whom a run tells"
)

HELP = (
    "write a command as a list, such as [notify-send, gummy], or an address that begins with "
    "https://"
)


@dataclass(frozen=True)
class Notify:
    """Whom a run tells."""

    # A command and its words; empty: it is an address.
    command: tuple[str, ...] = ()
    # An address of https, or of http on this machine.
    address: str = field(default="", repr=False)
    # Of INCLUDES.
    include: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """It for people, without what may be a secret."""
        if self.command:
            return self.command[0]
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.hostname}/…"


def read_notify(raw: object) -> Notify:
    """What a value of `notify` means. Raises BadValue."""
    if not isinstance(raw, Mapping):
        return _read_target(raw)
    for key in raw:
        if key not in ("to", "include"):
            raise BadValue(f"unknown key {show(key)}; {hint(str(key), ['to', 'include'])}")
    if "to" not in raw:
        raise BadValue(f"it does not say whom to tell; give it to: {HELP}")
    target = _read_target(raw["to"])
    return Notify(target.command, target.address, _read_include(raw.get("include")))


def _read_include(raw: object) -> frozenset[str]:
    words = [raw] if isinstance(raw, str) else raw or []
    if not isinstance(words, (list, tuple)):
        raise BadValue(f"include: {show(raw)} is no list; write '- prompts' for each")
    for word in words:
        if word not in INCLUDES:
            raise BadValue(f"include: unknown value {show(word)}; {hint(str(word), INCLUDES)}")
    return frozenset(words)


def _read_target(raw: object) -> Notify:
    if isinstance(raw, (list, tuple)):
        return Notify(command=_read_command(raw))
    if not isinstance(raw, str) or not raw.strip():
        raise BadValue(f"it is no command and no address; {HELP}")
    return Notify(address=_read_address(raw.strip()))


def _read_command(words: list[Any] | tuple[Any, ...]) -> tuple[str, ...]:
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words):
        raise BadValue("a command is a list of texts; put each word in quotes")
    if not words[0].strip():
        raise BadValue("the first word of the command is blank; write the program's name")
    return tuple(words)


def _read_address(text: str) -> str:
    """The address, which no message may have: whoever has it may often use it."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise BadValue(f"it is no address: it has blanks or odd characters in it; {HELP}")
    try:
        parts = urlsplit(text)
        # A port that is none is told when it is looked at, and zero is none either.
        if parts.port == 0:
            raise ValueError
    except ValueError:
        raise BadValue(f"it is no address: its host or its port is none; {HELP}") from None
    if parts.username is not None or parts.password is not None:
        raise BadValue(
            "the address has a login in it; leave that out, and give a command where one is needed"
        )
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise BadValue(f"{show(parts.scheme or 'a text')} is no scheme that is known; {HELP}")
    if parts.scheme == "http" and not _is_loopback(parts):
        raise BadValue(
            f"http://{parts.hostname} would send it through the network for all to read; "
            "write https://"
        )
    return text


def _is_loopback(parts: SplitResult) -> bool:
    host = str(parts.hostname)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
