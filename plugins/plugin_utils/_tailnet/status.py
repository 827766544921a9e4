# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`tailscale status --json`: reading it, and the nodes that it names.

HostName and OS are free text that each peer chooses itself; only DNSName, Tags and the addresses
come from the control server.
"""

from __future__ import annotations

import codecs
import fnmatch
import ipaddress
import json
import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from .._links.at_once import run_all
from .left_out import Omitted

PROGRAM = "tailscale"
# Where the program is on machines that do not have it in their PATH.
ELSEWHERE = (
    "/Applications/Tailscale.app/Contents/MacOS/Tailscale",
    "/usr/local/bin/tailscale",
    "/opt/homebrew/bin/tailscale",
)

# How long the program may take, in seconds: a stuck tailscaled may never answer.
TIMEOUT = 10.0

# Bytes of the longest status that is read; that of 10,000 peers has 14 MB.
CAP = 64 * 1024 * 1024

# Characters that are kept of a text from the network.
LONGEST = 255

# The first label of a name that may become a host's, and a whole one.
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
FULL_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\Z")

# Names that mean something to Ansible.
RESERVED = frozenset({"all", "ungrouped", "localhost"})


def _range(network: str) -> tuple[bytes, bytes]:
    """The first and the last address of a network, packed."""
    addresses = ipaddress.ip_network(network)
    return addresses[0].packed, addresses[-1].packed


# What Tailscale gives addresses from.
RANGES = {
    socket.AF_INET: _range("100.64.0.0/10"),
    socket.AF_INET6: _range("fd7a:115c:a1e0::/48"),
}

# What stands before a text that some tools of Windows wrote.
BYTE_ORDER_MARK = "\ufeff"

# Operating systems that run no jobs of ours, and what such a machine is.
NO_SSH = {
    "ios": "a phone or tablet",
    "android": "a phone or tablet",
    "tvos": "a TV",
    "js": "a browser",
    "windows": "Windows",
}

# What the user reads when the backend is in a state in which it has no nodes for us.
STATES: Mapping[str, str] = {
    "NoState": (
        "tailscaled has only just started or can't read its state: "
        "wait a moment, then look at `tailscale status`"
    ),
    "InUseOtherUser": (
        "Tailscale is in use by another user of this machine: "
        "let that user log out of it, or work as that user"
    ),
    "NeedsLogin": "this machine is logged out of Tailscale: run `sudo tailscale up` and log in",
    "NeedsMachineAuth": (
        "this machine waits for approval: an admin of the tailnet approves it in the admin console"
    ),
    "Stopped": "Tailscale is stopped on this machine: run `sudo tailscale up`",
    "Starting": (
        "Tailscale is still starting and knows no network yet: try again in a few seconds"
    ),
}

# What the user reads when the program's output holds a text. The first that fits counts.
_FORBIDDEN = (
    "this user may not ask tailscaled: "
    "run `sudo tailscale set --operator=$USER`, or look at the rights of its socket"
)
FAILURES: Mapping[str, str] = {
    "permission denied": _FORBIDDEN,
    "Access denied": _FORBIDDEN,
    "failed to connect to local": (
        "tailscaled does not run: "
        "start it (`sudo systemctl start tailscaled`, or the Tailscale app)"
    ),
    "failed to start:": (
        "the Tailscale app can't be asked from this session: "
        "open it once on the desktop, or use the open source tailscaled"
    ),
}


class TailscaleError(Exception):
    """The status can't be had. Its text is a sentence that says what to do."""


class TailnetFacts(TypedDict):
    """The host variable `gummy_tailnet`.

    Every text comes from the network: data, never a template.
    """

    # Tailscale's own identity of the node.
    id: str
    # The name in full, without a dot at its end, in lower case.
    dns_name: str
    # The first of the addresses.
    ip: str | None
    # Its addresses in Tailscale's ranges.
    ips: list[str]
    # The operating system, as the machine itself says.
    os: str
    # The tags, each with `tag:`.
    tags: list[str]
    # The login name of its owner; a tagged machine has none.
    user: str | None
    # Whether the control server sees it.
    online: bool
    # Whether it is this machine.
    self: bool
    # When its key expires, as ISO 8601 has it.
    key_expiry: str | None
    # Whether the key has expired.
    expired: bool
    # The code of the relay that is next to it.
    relay: str | None
    # How it is reached now: direct, peer_relay, derp, or unknown.
    path: str


@dataclass(frozen=True)
class Peer:
    """A machine that can be a host."""

    # Its name in the inventory: the first label of its name in the tailnet.
    name: str
    # Its `gummy_tailnet`.
    facts: TailnetFacts

    def groups(self) -> Iterator[str]:
        """Groups by what the network says.

        Each holds an underscore, so that no host name can be one.
        """
        if self.facts["online"]:
            yield "tailnet_online"
        elif not self.facts["self"]:
            # This machine has nobody to be offline for: without a network it is there all the same.
            yield "tailnet_offline"
        if self.facts["self"]:
            yield "tailnet_self"
        system = self.facts["os"].lower()
        if re.fullmatch(r"[a-z0-9]{1,20}", system):
            yield f"os_{system}"
        for tag in self.facts["tags"]:
            if re.fullmatch(r"tag:[A-Za-z0-9][A-Za-z0-9._-]{0,62}", tag):
                yield "tag_" + re.sub(r"[.-]", "_", tag[4:])


@dataclass(frozen=True)
class Choice:
    """Which machines the user wants."""

    # Shell patterns of names: taken whatever the rest says.
    include: tuple[str, ...] = ()
    # Shell patterns of names: left out, even if `include` names them.
    exclude: tuple[str, ...] = ()
    # With `tag:`, in lower case: one of them at least; None: whatever the tags.
    tags: frozenset[str] | None = None
    # Login names in lower case; None: whoever the owner is.
    users: frozenset[str] | None = None
    # Operating systems in lower case; None: all that can run jobs.
    os: frozenset[str] | None = None
    # Whether this machine is one of them.
    include_self: bool = True


EVERYTHING = Choice()


@dataclass(frozen=True)
class Status:
    """What a status document says."""

    # The machines that are hosts, by name.
    peers: tuple[Peer, ...] = ()
    # Those that are not.
    left_out: tuple[Omitted, ...] = ()
    # Why it knows this machine alone, a sentence; None if it knows the network.
    fault: str | None = None
    # Sentences for people.
    notes: tuple[str, ...] = ()
    # Whether this machine's tailscaled has no network interface, so that only `tailscale nc`
    # reaches the others.
    userspace: bool = False


def tailscale_argv(socket: str | None = None) -> list[str]:
    """The tailscale program of this machine, and the words that lead it to another tailscaled."""
    program = PROGRAM
    if not shutil.which(PROGRAM):
        program = next((path for path in ELSEWHERE if os.access(path, os.X_OK)), PROGRAM)
    return [program, f"--socket={socket}"] if socket else [program]


def read_status(
    command: Sequence[str] | None = None, path: str | None = None, socket: str | None = None
) -> str:
    """The text of the status document, from a file or from a command (argv).

    socket: of another tailscaled, for the usual command. Raises TailscaleError.
    """
    if path is None:
        return _run(list(command or [*tailscale_argv(socket), "status", "--json"]))
    try:
        with open(path, "rb") as file:
            return _decoded(file.read(CAP))
    except OSError as exc:
        raise TailscaleError(
            f"{path} can't be read ({exc.strerror}): "
            "write `tailscale status --json` into it, or name another file"
        ) from exc


def _decoded(data: bytes) -> str:
    """The text of a file. Windows' own tools put a mark before it, and may write UTF-16."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


def parse_status(text: str, choice: Choice = EVERYTHING) -> Status:
    """The nodes of a status document.

    A peer that is odd is left out, whatever it holds. TailscaleError: it is no status document.
    """
    document = _document(text)
    me = document["Self"]
    my_name = _fqdn(me)
    state = document["BackendState"]
    raw_peers = _mapping(document.get("Peer"))
    if state == "Running" and not my_name and raw_peers:
        # A headscale without names of its own, or one that is in the middle of a change.
        me = {**me, "DNSName": _name_for_me(document, me)}
        my_name = _fqdn(me)
    if state not in ("Running", "Starting") or not my_name:
        fault = STATES.get(state) or (
            f"Tailscale is in state {clean(state)!r} and has no network: look at `tailscale status`"
        )
        if state == "Running":
            fault = (
                "Tailscale runs here and knows neither a name of this machine nor other machines: "
                "look at `tailscale status`"
            )
        return this_machine(fault, choice, my_name, _text(me, "HostName"))

    users = _mapping(document.get("User"))
    tailnet = _Tailnet(_suffix(document, my_name), users, choice)
    others = [
        peer for peer in raw_peers.values() if isinstance(peer, dict) and not _is_same(peer, me)
    ]
    has_own_prefix = not _addresses(me) and bool(_addresses(me, own_prefix=True))
    tailnet = replace(tailnet, has_own_prefix=has_own_prefix)
    peers, left_out = _sort_out(me, others, tailnet)
    return Status(
        peers,
        left_out,
        notes=tuple(_notes(me)),
        userspace=document.get("TUN") is False,
    )


def this_machine(fault: str, choice: Choice = EVERYTHING, *names: str) -> Status:
    """What is left without a network: this machine.

    fault: why, a sentence; names: the first of these that a host may have is its name, else it is
    the one that the machine gives itself.
    """
    name = _own_label(names)
    facts = TailnetFacts(
        id="",
        dns_name="",
        ip=None,
        ips=[],
        os="macOS" if sys.platform == "darwin" else sys.platform,
        tags=[],
        user=None,
        online=False,
        self=True,
        key_expiry=None,
        expired=False,
        relay=None,
        path="unknown",
    )
    reason = _unwanted(name, facts, False, choice)
    if reason is not None:
        return Status(left_out=(Omitted(name, reason),), fault=fault)
    return Status((Peer(name, facts),), fault=fault)


def _own_label(names: Iterable[str], taken: Collection[str] = ()) -> str:
    """A name for this machine: the first that a host may have, or the one that it gives itself."""
    labels = [
        re.sub(r"[^a-z0-9-]", "-", name.split(".")[0].lower()).strip("-")
        for name in (*names, platform.node())
    ]
    for label in labels:
        if NAME.match(label) and label not in RESERVED and label not in taken:
            return label
    return "this-machine"


def _name_for_me(document: Mapping[str, Any], me: Mapping[str, Any]) -> str:
    """A name in full for a `Self` that has none, which no peer has."""
    current = _mapping(document.get("CurrentTailnet"))
    suffix = _text(current, "MagicDNSSuffix") or _text(document, "MagicDNSSuffix")
    peers = _mapping(document.get("Peer")).values()
    taken = {_fqdn(peer).split(".")[0] for peer in peers if isinstance(peer, dict)}
    label = _own_label([_text(me, "HostName")], taken)
    return f"{label}.{suffix.strip('.')}" if suffix.strip(".") else label


def clean(text: str) -> str:
    """Text of the network for people's eyes: no control, format or private characters, not long."""
    if not text.isprintable():
        text = "".join(filter(str.isprintable, text[: 4 * LONGEST]))
    return text[:LONGEST]


def _run(argv: list[str]) -> str:
    """What the command printed. Raises TailscaleError."""
    outcome = run_all({"status": argv}, timeout=TIMEOUT, cap=CAP)["status"]
    words = clean(" ".join(argv))
    if outcome.trouble and outcome.trouble.startswith("can't start"):
        raise TailscaleError(
            f"{outcome.trouble}: install Tailscale (https://tailscale.com/download), "
            "or set status_command or status_file"
        )
    if outcome.trouble:
        raise TailscaleError(
            f"`{words}`: {outcome.trouble}: "
            "is tailscaled stuck? Try it by hand, and restart tailscaled"
        )
    if outcome.status:
        printed = outcome.err.strip() or outcome.out.strip() or f"exit status {outcome.status}"
        last_line = printed.splitlines()[-1]
        advice = _advice(outcome.err + outcome.out) or "try it by hand"
        raise TailscaleError(f"`{words}` failed: {advice} (it said: {clean(last_line)})")
    return outcome.out


def _advice(text: str) -> str | None:
    """What the user reads for a failure that is known by its text."""
    return next((advice for sign, advice in FAILURES.items() if sign in text), None)


def _document(text: str) -> dict[str, Any]:
    """The document, with a state and this machine in it. Raises TailscaleError."""
    try:
        document = json.loads(text.removeprefix(BYTE_ORDER_MARK))
    except (ValueError, RecursionError):
        advice = _advice(text) or "it may be cut short; try `tailscale status --json` by hand"
        begin = clean(text[:80].strip())
        reason = f"it begins with: {begin}" if begin else "it is empty"
        raise TailscaleError(f"the status is no JSON document: {advice} ({reason})") from None
    if (
        not isinstance(document, dict)
        or not isinstance(document.get("BackendState"), str)
        or not isinstance(document.get("Self"), dict)
    ):
        raise TailscaleError(
            "this JSON is no tailscale status (it has no BackendState and Self): "
            "use the output of `tailscale status --json`"
        )
    return document


def _suffix(document: Mapping[str, Any], my_name: str) -> str:
    """What the names of this tailnet end with, with a dot before it."""
    current = _mapping(document.get("CurrentTailnet"))
    name = _text(current, "MagicDNSSuffix") or _text(document, "MagicDNSSuffix")
    suffix = "." + name.lower().strip(".")
    if my_name.endswith(suffix):
        return suffix
    # Of headscale without a base domain: names are bare there, and the suffix is the own name.
    return my_name[len(my_name.split(".")[0]) :]


@dataclass(frozen=True)
class _Tailnet:
    """What a peer is looked at with."""

    # What the names of this tailnet end with, with a dot before it.
    suffix: str
    # Who owns machines, by number.
    users: Mapping[str, Any]
    choice: Choice
    # Whether its addresses are in a prefix of its own, as headscale may be set up, so that those of
    # Tailscale are none of its.
    has_own_prefix: bool = False

    def is_foreign(self, fqdn: str) -> bool:
        """Whether the name is not one of this tailnet."""
        label = fqdn.removesuffix(self.suffix)
        return not fqdn.endswith(self.suffix) or "." in label


def _sort_out(
    me: Mapping[str, Any], others: Iterable[Mapping[str, Any]], tailnet: _Tailnet
) -> tuple[tuple[Peer, ...], tuple[Omitted, ...]]:
    """The hosts, and what is left out.

    Of two that claim one name or address the one of this tailnet, then the older stays: a newcomer
    can't take a name over.
    """
    peers: list[Peer] = []
    left_out: list[Omitted] = []
    # Name or address -> the host that has it.
    taken: dict[str, str] = {}
    by_right = sorted(others, key=lambda raw: (tailnet.is_foreign(_fqdn(raw)), *_age(raw)))
    for raw in (me, *by_right):
        fqdn = _fqdn(raw)
        name = fqdn.split(".")[0]
        facts = _facts(raw, raw is me, tailnet)
        reason = (
            _unfit(raw, name, facts)
            or _unwanted(name, facts, tailnet.is_foreign(fqdn), tailnet.choice)
            or _held(name, facts, taken)
        )
        if reason is None:
            taken.update(dict.fromkeys((name, *facts["ips"]), name))
            peers.append(Peer(name, facts))
        else:
            label = clean(fqdn or _text(raw, "HostName") or _text(raw, "ID"))
            left_out.append(Omitted(label or "a node without a name", reason))
    return tuple(sorted(peers, key=lambda peer: peer.name)), tuple(left_out)


def _held(name: str, facts: TailnetFacts, taken: Mapping[str, str]) -> str | None:
    """Why a node can't have what another host has already."""
    holders = [taken[key] for key in (name, *facts["ips"]) if key in taken]
    if not holders:
        return None
    return f"its name or address belongs to {holders[0]} already"


def _unfit(raw: Mapping[str, Any], name: str, facts: TailnetFacts) -> str | None:
    """Why a node can't be a host of ours, whatever the user wants."""
    if raw.get("ShareeNode") is True:
        return "somebody else's machine, known only because of sharing or funnel"
    if facts["dns_name"].endswith(".mullvad.ts.net"):
        return "a Mullvad exit node"
    if not facts["dns_name"]:
        return "it has no name in the tailnet"
    if not NAME.match(name) or not FULL_NAME.match(facts["dns_name"]):
        return "its name is no plain DNS name"
    if name in RESERVED:
        return f"Ansible reserves the name {name}"
    if not facts["ips"] and not facts["self"]:
        return "it has no Tailscale address"
    if facts["expired"] and not facts["self"]:
        return "its key has expired: log in to Tailscale on it again"
    return None


def _unwanted(name: str, facts: TailnetFacts, foreign: bool, choice: Choice) -> str | None:
    """Why the user does not want a node, by what was asked for or by default.

    This machine is wanted whatever its system, tags and user are.
    """
    names = (name, facts["dns_name"])
    if _matches(names, choice.exclude):
        return "exclude names it"
    if facts["self"]:
        return None if choice.include_self else "this machine, and include_self is false"
    if _matches(names, choice.include):
        return None
    if foreign:
        return "shared in from another tailnet"

    system = facts["os"].lower()
    if choice.os is not None and system not in choice.os:
        return f"its operating system, {system or 'which is not known'}, is not among os"
    if choice.os is None and not system:
        return "its operating system is not known"
    if choice.os is None and system in NO_SSH:
        return f"{NO_SSH[system]}, no place for jobs"
    if choice.tags is not None and choice.tags.isdisjoint(tag.lower() for tag in facts["tags"]):
        return "none of its tags is among tags"
    if choice.users is not None and (facts["user"] or "").lower() not in choice.users:
        return "its user is not among users"
    return None


def _matches(names: Sequence[str], patterns: Iterable[str]) -> bool:
    """Whether one of the patterns names it."""
    return any(fnmatch.fnmatchcase(name, pattern.lower()) for pattern in patterns for name in names)


def _facts(raw: Mapping[str, Any], is_self: bool, tailnet: _Tailnet) -> TailnetFacts:
    """The variable of a node, as its part of the document says."""
    addresses = _addresses(raw, own_prefix=tailnet.has_own_prefix)
    tags = _tags(raw)
    user = None
    # A tagged machine belongs to nobody, whatever user the document names for it.
    if not tags and isinstance(raw.get("UserID"), int):
        user = clean(_text(_mapping(tailnet.users.get(str(raw["UserID"]))), "LoginName")) or None
    return TailnetFacts(
        id=clean(_text(raw, "ID")),
        dns_name=_fqdn(raw),
        ip=next(iter(addresses), None),
        ips=addresses,
        os=clean(_text(raw, "OS")),
        tags=tags,
        user=user,
        online=is_self or raw.get("Online") is True,
        self=is_self,
        key_expiry=clean(_text(raw, "KeyExpiry")) or None,
        expired=raw.get("Expired") is True,
        relay=clean(_text(raw, "Relay")) or None,
        path=_path(raw),
    )


def _tags(raw: Mapping[str, Any]) -> list[str]:
    tags = raw.get("Tags")
    if not isinstance(tags, list):
        return []
    return [text for tag in tags if isinstance(tag, str) and (text := clean(tag))]


def _path(raw: Mapping[str, Any]) -> str:
    """How a node is reached now; without traffic in the last seconds nothing is known of it."""
    if _text(raw, "CurAddr"):
        return "direct"
    if _text(raw, "PeerRelay"):
        return "peer_relay"
    if _text(raw, "Relay") and raw.get("Active") is True:
        return "derp"
    return "unknown"


def _notes(me: Mapping[str, Any]) -> Iterator[str]:
    if me.get("Online") is False:
        yield (
            "this machine has no contact with the Tailscale control server: "
            "what it says of other nodes may be old"
        )


def _addresses(raw: Mapping[str, Any], *, own_prefix: bool = False) -> list[str]:
    """Its addresses in Tailscale's ranges, each as it is usually written.

    own_prefix: in a prefix of the network's own instead. Of a peer, Tailscale tells only those in
    its own ranges as addresses, so what is routed to it alone counts there.
    """
    texts = _texts(raw, "TailscaleIPs")
    if own_prefix and not texts:
        routed = set(_texts(raw, "PrimaryRoutes"))
        texts = [
            text.rpartition("/")[0]
            for text in _texts(raw, "AllowedIPs")
            if text.endswith(("/32", "/128")) and text not in routed
        ]
    read = _of_a_host if own_prefix else _in_range
    return [address for text in texts if (address := read(text))]


def _texts(raw: Mapping[str, Any], key: str) -> list[str]:
    """The texts of a list; none where it is no list."""
    values = raw.get(key)
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def _of_a_host(text: str) -> str | None:
    """The address as it is usually written, if one machine can have it in a network."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    special = address.is_loopback or address.is_multicast or address.is_unspecified
    if special or address.is_link_local or text == "255.255.255.255":
        return None
    return str(address)


def _in_range(text: str) -> str | None:
    """The address as it is usually written; None if it is none of Tailscale's.

    By the system's own reading, for the ipaddress module takes five times as long and there may be
    thousands.
    """
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    first, last = RANGES[family]
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
    if not re.match(r"(?!0001)\d{4}-\d\d-\d\dT", created):
        created = "9999"
    return created, _text(raw, "ID")


def _is_same(raw: Mapping[str, Any], me: Mapping[str, Any]) -> bool:
    """Whether it is this machine, listed among its peers too."""
    return _text(raw, "ID") != "" and _text(raw, "ID") == _text(me, "ID")


def _fqdn(raw: Mapping[str, Any]) -> str:
    name = _text(raw, "DNSName").removesuffix(".")
    # Some other letters have an ASCII one as their lower case.
    return name.lower() if name.isascii() else name


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) else ""
