# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`tailscale status --json`: reading it, and the nodes that it names.

HostName and OS are free text that each peer chooses itself; only DNSName, Tags and the addresses
come from the control server.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import json
import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from .._links.at_once import run_all

PROGRAM = "tailscale"
# Off many PATHs.
ELSEWHERE = (
    "/Applications/Tailscale.app/Contents/MacOS/Tailscale",
    "/usr/local/bin/tailscale",
    "/opt/homebrew/bin/tailscale",
)
# Seconds; a stuck tailscaled may never answer.
TIMEOUT = 10.0
# Bytes; 10,000 peers are 14 MB.
CAP = 64 * 1024 * 1024
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
FULL_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\Z")
RESERVED = frozenset({"all", "ungrouped", "localhost"})
RANGES = tuple(
    (each[0].packed, each[-1].packed)
    for each in map(ipaddress.ip_network, ("100.64.0.0/10", "fd7a:115c:a1e0::/48"))
)
NO_SSH = {
    "ios": "a phone or tablet",
    "android": "a phone or tablet",
    "tvos": "a TV",
    "js": "a browser",
    "windows": "Windows",
}
# Characters kept of a text from the network.
LONGEST = 255

# What the user reads when the backend is in a state in which it has no nodes for us.
STATES: Mapping[str, str] = {
    "NoState": "tailscaled has only just started or can't read its state: wait a moment, then look at `tailscale status`",
    "InUseOtherUser": "Tailscale is in use by another user of this machine: let that user log out of it, or work as that user",
    "NeedsLogin": "this machine is logged out of Tailscale: run `sudo tailscale up` and log in",
    "NeedsMachineAuth": "this machine waits for approval: an admin of the tailnet approves it in the admin console",
    "Stopped": "Tailscale is stopped on this machine: run `sudo tailscale up`",
    "Starting": "Tailscale is still starting and knows no network yet: try again in a few seconds",
}
FAILURES = (
    (
        "permission denied",
        "this user may not ask tailscaled: run `sudo tailscale set --operator=$USER`, or look at the rights of its socket",
    ),
    (
        "Access denied",
        "this user may not ask tailscaled: run `sudo tailscale set --operator=$USER`, or look at the rights of its socket",
    ),
    (
        "failed to connect to local",
        "tailscaled does not run: start it (`sudo systemctl start tailscaled`, or the Tailscale app)",
    ),
    (
        "failed to start:",
        "the Tailscale app can't be asked from this session: open it once on the desktop, or use the open source tailscaled",
    ),
)


class TailscaleError(Exception):
    """The status can't be had. Its text is a sentence that says what to do."""


class TailnetVars(TypedDict):
    """The host variable `gummy_tailnet`.

    Every text comes from the network: data, never a template.
    """

    id: str
    dns_name: str
    ip: str | None
    ips: list[str]
    os: str
    tags: list[str]
    user: str | None
    online: bool
    self: bool
    key_expiry: str | None
    expired: bool
    relay: str | None
    path: str


@dataclass(frozen=True)
class Peer:
    """A machine that can be a host: its inventory name and its `gummy_tailnet`."""

    name: str
    vars: TailnetVars

    def groups(self) -> Iterator[str]:
        """Groups by what the network says.

        Each holds an underscore, so that no host name can be one.
        """
        yield "tailnet_online" if self.vars["online"] else "tailnet_offline"
        if self.vars["self"]:
            yield "tailnet_self"
        system = self.vars["os"].lower()
        if re.fullmatch(r"[a-z0-9]{1,20}", system):
            yield f"os_{system}"
        for tag in self.vars["tags"]:
            if re.fullmatch(r"tag:[A-Za-z0-9][A-Za-z0-9._-]{0,62}", tag):
                yield "tag_" + re.sub(r"[.-]", "_", tag[4:])


@dataclass(frozen=True)
class Choice:
    """Which machines the user wants. include, exclude: shell patterns of names; tags (with `tag:`),
    users, os: in lower case, None for all.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    tags: frozenset[str] | None = None
    users: frozenset[str] | None = None
    os: frozenset[str] | None = None
    include_self: bool = True


EVERYTHING = Choice()


@dataclass(frozen=True)
class Status:
    """What a status document says.

    `left_out`: (who, why); `fault`: why it knows this machine alone, a sentence; `notes`:
    sentences.

    userspace: this machine's tailscaled has no network interface, so that only `tailscale nc`
    reaches the others.
    """

    peers: tuple[Peer, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    fault: str | None = None
    notes: tuple[str, ...] = ()
    userspace: bool = False


def tailscale_argv(socket: str | None = None) -> list[str]:
    """The tailscale program of this machine, and the words that lead it to another tailscaled."""
    program = (
        PROGRAM
        if shutil.which(PROGRAM)
        else next((path for path in ELSEWHERE if os.access(path, os.X_OK)), PROGRAM)
    )
    return [program, *([f"--socket={socket}"] if socket else [])]


def read_status(
    command: Sequence[str] | None = None, path: str | None = None, socket: str | None = None
) -> str:
    """The text of the status document, from a file or from a command (argv). TailscaleError."""
    if path is not None:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read(CAP)
        except OSError as exc:
            raise TailscaleError(
                f"{path} can't be read ({exc.strerror}): write `tailscale status --json` into it, or name another file"
            ) from exc
    argv = list(command or [*tailscale_argv(socket), "status", "--json"])
    outcome = run_all({"status": argv}, timeout=TIMEOUT, cap=CAP)["status"]
    words = clean(" ".join(argv))
    if outcome.trouble and outcome.trouble.startswith("can't start"):
        raise TailscaleError(
            f"{outcome.trouble}: install Tailscale (https://tailscale.com/download), or set status_command or status_file"
        )
    if outcome.trouble:
        raise TailscaleError(
            f"`{words}`: {outcome.trouble}: is tailscaled stuck? Try it by hand, and restart tailscaled"
        )
    if outcome.status:
        said = (
            outcome.err.strip() or outcome.out.strip() or f"exit status {outcome.status}"
        ).splitlines()[-1]
        advice = next(
            (text for sign, text in FAILURES if sign in outcome.err + outcome.out), "try it by hand"
        )
        raise TailscaleError(f"`{words}` failed: {advice} (it said: {clean(said)})")
    return outcome.out


def parse_status(text: str, choice: Choice = EVERYTHING) -> Status:
    """The nodes of a status document.

    TailscaleError: it is none. A peer that is odd is left out, whatever it holds.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        advice = next(
            (text_ for sign, text_ in FAILURES if sign in text),
            "it may be cut short; try `tailscale status --json` by hand",
        )
        begin = clean(text[:80].strip())
        raise TailscaleError(
            f"the status is no JSON document: {advice} ({f'it begins with: {begin}' if begin else 'it is empty'})"
        ) from None
    state = document.get("BackendState") if isinstance(document, dict) else None
    if not isinstance(state, str) or not isinstance(document.get("Self"), dict):
        raise TailscaleError(
            "this JSON is no tailscale status (it has no BackendState and Self): use the output of `tailscale status --json`"
        )
    me = document["Self"]
    my_name = _fqdn(me)
    if state not in ("Running", "Starting") or not my_name:
        fault = STATES.get(
            state,
            f"Tailscale is in state {clean(state)!r} and has no network: look at `tailscale status`",
        )
        return this_machine(fault, choice, my_name, _text(me, "HostName"))
    tailnet = document.get("CurrentTailnet")
    suffix = _text(tailnet if isinstance(tailnet, dict) else {}, "MagicDNSSuffix") or _text(
        document, "MagicDNSSuffix"
    )
    suffix = "." + suffix.lower().strip(".")
    if not my_name.endswith(suffix):
        # headscale without a base domain: bare names, and the suffix is the own name.
        suffix = my_name[len(my_name.split(".")[0]) :]
    others = document.get("Peer")
    found = (
        [peer for peer in others.values() if isinstance(peer, dict) and not _same(peer, me)]
        if isinstance(others, dict)
        else []
    )
    users = document.get("User") if isinstance(document.get("User"), dict) else {}
    return Status(
        *_sort_out(me, found, suffix, users, choice),
        notes=tuple(_notes(me)),
        userspace=document.get("TUN") is False,
    )


def this_machine(fault: str, choice: Choice = EVERYTHING, *names: str) -> Status:
    """What is left without a network: this machine, by the first of these names, or of its own,
    that a host may have.
    """
    plain = (
        re.sub(r"[^a-z0-9-]", "-", name.split(".")[0].lower()).strip("-")
        for name in (*names, platform.node())
    )
    name = next(
        (each for each in plain if NAME.match(each) and each not in RESERVED), "this-machine"
    )
    system = "macOS" if sys.platform == "darwin" else sys.platform
    known = TailnetVars(
        id="",
        dns_name="",
        ip=None,
        ips=[],
        os=system,
        tags=[],
        user=None,
        online=False,
        self=True,
        key_expiry=None,
        expired=False,
        relay=None,
        path="unknown",
    )
    why = _unwanted(name, known, False, choice)
    return Status(() if why else (Peer(name, known),), ((name, why),) if why else (), fault)


def _sort_out(
    me: Mapping[str, Any],
    found: Iterable[Mapping[str, Any]],
    suffix: str,
    users: Mapping[str, Any],
    choice: Choice,
) -> tuple[tuple[Peer, ...], tuple[tuple[str, str], ...]]:
    """Hosts and left out.

    Of two that claim one name or address the one of this tailnet, then the older stays: a newcomer
    can't take a name over.
    """
    peers: list[Peer] = []
    left_out: list[tuple[str, str]] = []
    taken: dict[str, str] = {}
    for raw in (
        me,
        *sorted(found, key=lambda peer: (_is_foreign(_fqdn(peer), suffix), *_age(peer))),
    ):
        is_self = raw is me
        fqdn = _fqdn(raw)
        name = fqdn.split(".")[0]
        foreign = _is_foreign(fqdn, suffix)
        node = _variables(raw, fqdn, _addresses(raw), is_self, users)
        why = _unfit(raw, name, node) or _unwanted(name, node, foreign, choice)
        if why is None:
            holder = next((taken[key] for key in (name, *node["ips"]) if key in taken), None)
            why = f"its name or address belongs to {holder} already" if holder is not None else None
        if why is not None:
            left_out.append(
                (
                    clean(fqdn or _text(raw, "HostName") or _text(raw, "ID"))
                    or "a node without a name",
                    why,
                )
            )
            continue
        taken.update(dict.fromkeys((name, *node["ips"]), name))
        peers.append(Peer(name, node))
    return tuple(sorted(peers, key=lambda peer: peer.name)), tuple(left_out)


def _is_foreign(fqdn: str, suffix: str) -> bool:
    return not fqdn.endswith(suffix) or "." in fqdn[: len(fqdn) - len(suffix)]


def _unfit(raw: Mapping[str, Any], name: str, node: TailnetVars) -> str | None:
    """Why a node can't be a host of ours, whatever the user wants."""
    if raw.get("ShareeNode") is True:
        return "somebody else's machine, known only because of sharing or funnel"
    if node["dns_name"].endswith(".mullvad.ts.net"):
        return "a Mullvad exit node"
    if not node["dns_name"]:
        return "it has no name in the tailnet"
    if not NAME.match(name) or not FULL_NAME.match(node["dns_name"]):
        return "its name is no plain DNS name"
    if name in RESERVED:
        return f"Ansible reserves the name {name}"
    if not node["ips"]:
        return "it has no Tailscale address"
    if node["expired"] and not node["self"]:
        return "its key has expired: log in to Tailscale on it again"
    return None


def _unwanted(name: str, node: TailnetVars, foreign: bool, choice: Choice) -> str | None:
    """Why the user does not want a node, by what was asked for or by default.

    This machine is wanted whatever its system, tags and user are.
    """

    def named(patterns: Iterable[str]) -> bool:
        return any(
            fnmatch.fnmatchcase(each, pattern.lower())
            for pattern in patterns
            for each in (name, node["dns_name"])
        )

    system = node["os"].lower()
    if named(choice.exclude):
        return "exclude names it"
    if node["self"]:
        return None if choice.include_self else "this machine, and include_self is false"
    if named(choice.include):
        return None
    if foreign:
        return "shared in from another tailnet"
    if choice.os is not None and system not in choice.os:
        return f"its operating system, {system or 'which is not known'}, is not among os"
    if choice.os is None and not system:
        return "its operating system is not known"
    if choice.os is None and system in NO_SSH:
        return NO_SSH[system] + ", no place for jobs"
    if choice.tags is not None and choice.tags.isdisjoint(tag.lower() for tag in node["tags"]):
        return "none of its tags is among tags"
    if choice.users is not None and (node["user"] or "").lower() not in choice.users:
        return "its user is not among users"
    return None


def _variables(
    raw: Mapping[str, Any], fqdn: str, addresses: list[str], is_self: bool, users: Mapping[str, Any]
) -> TailnetVars:
    tags = raw.get("Tags")
    known_tags = (
        [each for tag in tags if isinstance(tag, str) and (each := clean(tag))]
        if isinstance(tags, list)
        else []
    )
    user = users.get(str(raw["UserID"])) if isinstance(raw.get("UserID"), int) else None
    direct = _text(raw, "CurAddr")
    by_peer = _text(raw, "PeerRelay")
    relay = _text(raw, "Relay")
    # Without traffic in the last seconds nothing is known of the path.
    path = (
        "direct"
        if direct
        else "peer_relay"
        if by_peer
        else "derp"
        if relay and raw.get("Active") is True
        else "unknown"
    )
    return TailnetVars(
        id=clean(_text(raw, "ID")),
        dns_name=fqdn,
        ip=next(iter(addresses), None),
        ips=addresses,
        os=clean(_text(raw, "OS")),
        tags=known_tags,
        user=clean(_text(user, "LoginName")) or None
        if isinstance(user, dict) and not known_tags
        else None,
        online=is_self or raw.get("Online") is True,
        self=is_self,
        key_expiry=clean(_text(raw, "KeyExpiry")) or None,
        expired=raw.get("Expired") is True,
        relay=clean(relay) or None,
        path=path,
    )


def _notes(me: Mapping[str, Any]) -> Iterator[str]:
    if me.get("Online") is False:
        yield "this machine has no contact with the Tailscale control server: what it says of other nodes may be old"


def _addresses(raw: Mapping[str, Any]) -> list[str]:
    """Its addresses in Tailscale's ranges, each as it is usually written."""
    given = raw.get("TailscaleIPs")
    texts = [text for text in given if isinstance(text, str)] if isinstance(given, list) else []
    return [address for text in texts if (address := _in_range(text))]


def _in_range(text: str) -> str | None:
    """By the system's own reading, for the ipaddress module takes five times as long and there may
    be thousands.
    """
    family, (first, last) = (
        (socket.AF_INET6, RANGES[1]) if ":" in text else (socket.AF_INET, RANGES[0])
    )
    try:
        packed = socket.inet_pton(family, text)
    except (OSError, ValueError):
        return None
    return socket.inet_ntop(family, packed) if first <= packed <= last else None


def _age(raw: Mapping[str, Any]) -> tuple[str, str]:
    """Sorts the older before the newer, and what gives no time last.

    The control server sets both.
    """
    created = _text(raw, "Created")
    return created if re.match(r"(?!0001)\d{4}-\d\d-\d\dT", created) else "9999", _text(raw, "ID")


def _same(raw: Mapping[str, Any], me: Mapping[str, Any]) -> bool:
    """This machine, listed among its peers too."""
    return _text(raw, "ID") != "" and _text(raw, "ID") == _text(me, "ID")


def _fqdn(raw: Mapping[str, Any]) -> str:
    name = _text(raw, "DNSName").removesuffix(".")
    # Some other letters have an ASCII one as their lower case.
    return name.lower() if name.isascii() else name


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) else ""


def clean(text: str) -> str:
    """Text of the network for people's eyes: no control, format or private characters, not endless."""
    return (text if text.isprintable() else "".join(filter(str.isprintable, text[: 4 * LONGEST])))[
        :LONGEST
    ]
