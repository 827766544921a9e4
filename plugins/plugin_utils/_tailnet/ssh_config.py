# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user's ssh config says of the nodes: asked of `ssh -G`, for the names that it knows.

Only names are read here, to know whom to ask about; what a name means, with its user, port, key and
jumps, is ssh's to say.
"""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import ipaddress
import os
import pwd
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .._links.at_once import CompletedCommand, run_all

# A name that no host has: the answer for it tells what the config says of every host.
NOBODY = "gummy-no-host-has-this-name"

# What `Host` may give a name to and ssh takes as a destination.
ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+-]*")

# How deep `Include` is followed, as in OpenSSH.
DEPTH = 16

# The config of all users of this machine.
SYSTEM = "/etc/ssh/ssh_config"


@dataclass(frozen=True)
class Reach:
    """What tells a node from others."""

    # Its name in full, without a dot at its end.
    dns_name: str
    # Its addresses, the first to be used.
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """How ssh reaches a node."""

    # What ssh is told to connect to.
    destination: str
    # The words that stand before it.
    words: tuple[str, ...] = ()
    # The name that the ssh config knows the node by, if any.
    alias: str | None = None

    def host_vars(self) -> dict[str, str]:
        """Ansible's connection variables; Ansible splits the words as a shell does."""
        variables = {"ansible_host": self.destination}
        if self.words:
            variables["ansible_ssh_common_args"] = shlex.join(self.words)
        return variables


@dataclass(frozen=True)
class Names:
    """Whom a config may say something of."""

    # The names of its Host lines, in its order.
    aliases: Mapping[str, None] = field(default_factory=dict)
    # Their patterns, as fnmatch has them.
    patterns: tuple[str, ...] = ()
    # Whether any other name may be meant as well, as by `Match exec`.
    any_name: bool = False

    def known(self, names: Sequence[str]) -> list[str]:
        """Those of the names that the config may have something to say of."""
        if self.any_name:
            return list(names)
        # A pattern that nothing fits stands for no patterns at all.
        fits = re.compile("|".join(map(fnmatch.translate, self.patterns)) or "(?!)").match
        return [name for name in names if name in self.aliases or fits(name)]


def read_names(config_file: str | None = None) -> Names:
    """Names of this file, or of the user's and the system's.

    What can't be read holds none: ssh itself says so when it matters.
    """
    if config_file:
        lines = list(_lines(config_file, True, DEPTH))
    else:
        # Ssh does not ask $HOME for its own file.
        home = pwd.getpwuid(os.getuid()).pw_dir
        lines = [*_lines(f"{home}/.ssh/config", True, DEPTH), *_lines(SYSTEM, False, DEPTH)]

    names: dict[str, None] = {}
    any_name = False
    for keyword, words in lines:
        if keyword == "host":
            names.update(dict.fromkeys(word.lstrip("!") for word in words))
        else:
            names.update(dict.fromkeys(_names_of_match(words)))
            any_name = any_name or "exec" in _criteria(words)

    # `*` says nothing of a name that it does not say of every name.
    patterns = [name for name in names if set(name) & set("*?") and name != "*"]
    return Names(
        {name: None for name in names if ALIAS.fullmatch(name)},
        # Brackets mean themselves there.
        tuple(pattern.replace("[", "[[]") for pattern in patterns),
        any_name,
    )


def routes(
    nodes: Mapping[str, Reach],
    config_file: str | None = None,
    proxy: str | None = None,
    timeout: float = 5.0,
) -> tuple[dict[str, Route], str | None]:
    """The route of every node, and a sentence if ssh could not be asked.

    A node that ssh did not answer for goes by its address. proxy: a ProxyCommand for what goes to a
    tailnet address and has no proxy of its own; timeout: seconds, for each of two rounds.
    """
    if not nodes:
        return {}, None
    base = ("-F", config_file) if config_file else ()
    nobody = _ask([NOBODY], base, timeout)
    complaint = _complaint(nobody)
    if complaint is not None:
        return {
            label: _to(node.addresses[0], base, proxy) for label, node in nodes.items()
        }, complaint

    default = _Answer(nobody[NOBODY].out)
    names = read_names(config_file)
    if default.hostname != NOBODY:
        # The config gives every name an address.
        names = replace(names, any_name=True)
    own_names = [name for label, node in nodes.items() for name in (label, node.dns_name)]
    answers = _ask([*names.known(own_names), *names.aliases], base, timeout)
    config = _Config(names.aliases, _telling(answers, default), nodes)

    routes = {}
    for label, node in nodes.items():
        alias = config.alias_of(label, node)
        if alias is None:
            routes[label] = _to(node.addresses[0], base, proxy)
            continue
        words = base
        if config.names_only(alias):
            words = (*base, "-o", f"HostName={node.addresses[0]}")
        routes[label] = _to(alias, words, proxy if config.leads_to_address(alias) else None, alias)
    return routes, _complaint(answers)


def proxy_command(program: Sequence[str]) -> str:
    """The ProxyCommand that goes through this tailscale program.

    Ssh puts host and port in, and a shell runs it.
    """
    return f"{shlex.join([*program, 'nc'])} %h %p"


class _Answer:
    """What `ssh -G` printed."""

    def __init__(self, text: str) -> None:
        self.text = text
        values = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
        self.hostname = values.get("hostname", "")
        self.proxied = (
            values.get("proxyjump", "none") != "none"
            or values.get("proxycommand", "none") != "none"
        )

    def says_more(self, name: str, default: _Answer) -> bool:
        """Whether the config gives this name an address, or what it does not give every name."""
        if self.hostname != name.lower():
            return True
        usual = [default.text.replace(NOBODY, each) for each in (name, name.lower())]
        return self.text not in usual


class _Config:
    """What the config says of the nodes."""

    def __init__(
        self,
        aliases: Iterable[str],
        answers: Mapping[str, _Answer],
        nodes: Mapping[str, Reach],
    ) -> None:
        """aliases: of the Host lines, in order; answers: of the names that it says something of."""
        self._answers = answers
        self._aliases = frozenset(aliases)
        # Name -> the node that its address or name leads to.
        self._leads: dict[str, str | None] = {}
        # Node -> the first alias that leads there.
        self._first: dict[str, str] = {}
        # There may be thousands of nodes, and nothing said of any.
        if not answers:
            return
        index = {
            key: label
            for label, node in nodes.items()
            for key in (label, node.dns_name, *node.addresses)
        }
        self._leads = {name: _node_of(answer, index) for name, answer in answers.items()}
        for name in aliases:
            label = self._leads.get(name)
            if label is not None:
                self._first.setdefault(label, name)

    def alias_of(self, label: str, node: Reach) -> str | None:
        """The name that the config knows the node by.

        A name of the node's own that stands on a Host line goes before another alias that leads to
        it, and that before a name of its own that only fits a pattern.
        """
        own = [
            name
            for name in (label, node.dns_name)
            if name in self._answers and self._leads[name] in (None, label)
        ]
        for name in own:
            if name in self._aliases:
                return name
        if label in self._first:
            return self._first[label]
        return own[0] if own else None

    def names_only(self, alias: str) -> bool:
        """Whether the config gives this name a user, port or key, and no address."""
        return self._answers[alias].hostname == alias.lower()

    def leads_to_address(self, alias: str) -> bool:
        """Whether this name goes to a tailnet address, without a proxy of its own."""
        return not self._answers[alias].proxied and self._leads[alias] is not None


def _lines(path: str, of_user: bool, depth: int) -> Iterator[tuple[str, list[str]]]:
    """(`host` or `match`, its words) of a config and of what it includes."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except OSError:
        return
    for line in text.splitlines():
        split = re.match(r"\s*(host|match|include)(?:\s*=\s*|\s+)(.*)", line, re.IGNORECASE)
        if not split:
            continue
        keyword = split[1].lower()
        words = [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|([^\s"]+)', split[2])]
        if keyword != "include":
            yield keyword, words
        elif depth:
            for word in words:
                for included in _included(word, of_user):
                    yield from _lines(included, of_user, depth - 1)


def _included(word: str, of_user: bool) -> list[str]:
    """The files that a word of an Include line means."""
    base = "~/.ssh" if of_user else os.path.dirname(SYSTEM)
    pattern = os.path.expanduser(os.path.join(base, os.path.expandvars(word)))
    return sorted(glob.glob(pattern))


def _criteria(words: Iterable[str]) -> list[str]:
    return [word.lower().lstrip("!") for word in words]


def _names_of_match(words: Sequence[str]) -> Iterator[str]:
    """The names and patterns that a Match line compares the host with."""
    for criterion, value in zip(_criteria(words), words[1:], strict=False):
        if criterion in ("host", "originalhost"):
            for name in value.split(","):
                yield name.lstrip("!")


def _telling(answers: Mapping[str, CompletedCommand], default: _Answer) -> dict[str, _Answer]:
    """The answers that say something of a name that is not said of every name."""
    telling = {}
    for name, outcome in answers.items():
        answer = _Answer(outcome.out)
        if outcome.status == 0 and answer.says_more(name, default):
            telling[name] = answer
    return telling


def _node_of(answer: _Answer, index: Mapping[str, str]) -> str | None:
    """The node whose address or name the alias leads to.

    Behind a jump a short name may mean another machine.
    """
    name = answer.hostname.removesuffix(".")
    if answer.proxied and not set(name) & set(".:"):
        return None
    with contextlib.suppress(ValueError):
        name = str(ipaddress.ip_address(name))
    return index.get(name)


def _to(
    destination: str, words: Sequence[str], proxy: str | None, alias: str | None = None
) -> Route:
    if proxy:
        words = (*words, "-o", f"ProxyCommand={proxy}")
    return Route(destination, tuple(words), alias)


def _ask(
    names: Iterable[str], base: tuple[str, ...], timeout: float
) -> dict[str, CompletedCommand]:
    """What `ssh -G` says of each name."""
    commands = {name: ["ssh", *base, "-G", "--", name] for name in names}
    return run_all(commands, timeout=timeout, at_once=2 * (os.cpu_count() or 1))


def _complaint(answers: Mapping[str, CompletedCommand]) -> str | None:
    """A sentence if ssh gave no answer for some of the names."""
    failed = [answer for answer in answers.values() if answer.status != 0]
    if not failed:
        return None
    reason = failed[0].trouble
    if not reason:
        printed = failed[0].err.strip().splitlines() or [f"exit status {failed[0].status}"]
        reason = printed[-1]
    return (
        f"`ssh -G` gave no answer for {len(failed)} of {len(answers)} names, "
        f"and what it can't say goes by tailnet addresses: {reason}"
    )
