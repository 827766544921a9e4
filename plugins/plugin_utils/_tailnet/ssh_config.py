# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user's ssh config says of the nodes: asked of `ssh -G`, for the names that the config
knows.

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

# Tells what the config says of every host.
NOBODY = "gummy-no-host-has-this-name"
ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+-]*")
# Of Include, as in OpenSSH.
DEPTH = 16
SYSTEM = "/etc/ssh/ssh_config"


@dataclass(frozen=True)
class Reach:
    """What tells a node from others: its name in full, without a dot at its end, and its addresses,
    the first to be used.
    """

    dns_name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """How ssh reaches a node: the destination, and the words before it. alias: the name that the
    ssh config knows it by, if any.
    """

    destination: str
    words: tuple[str, ...] = ()
    alias: str | None = None

    def host_vars(self) -> dict[str, str]:
        """Ansible's connection variables; Ansible splits the words as a shell does."""
        return {
            "ansible_host": self.destination,
            **({"ansible_ssh_common_args": shlex.join(self.words)} if self.words else {}),
        }


@dataclass(frozen=True)
class Names:
    """Of a config: the names of its Host lines, its patterns, and whether any other name may be
    meant as well (`Match exec`).
    """

    aliases: Mapping[str, None] = field(default_factory=dict)
    patterns: tuple[str, ...] = ()
    any_name: bool = False

    def known(self, names: Sequence[str]) -> list[str]:
        """Those of the names that the config may have something to say of."""
        fits = re.compile("|".join(map(fnmatch.translate, self.patterns)) or "(?!)").match
        return [name for name in names if self.any_name or name in self.aliases or fits(name)]


def read_names(config_file: str | None = None) -> Names:
    """Names of this file, or of the user's and the system's.

    What can't be read holds none: ssh itself says so when it matters.
    """
    # Ssh does not ask $HOME for its own file.
    home = pwd.getpwuid(os.getuid()).pw_dir
    files = (
        [(config_file, True)] if config_file else [(f"{home}/.ssh/config", True), (SYSTEM, False)]
    )
    names: dict[str, None] = {}
    any_name = False
    for keyword, words in (
        line for file, of_user in files for line in _lines(file, of_user, DEPTH)
    ):
        if keyword == "host":
            names.update(dict.fromkeys(word.lstrip("!") for word in words))
        else:
            criteria = [word.lower().lstrip("!") for word in words]
            any_name = any_name or "exec" in criteria
            for number, criterion in enumerate(criteria[:-1]):
                if criterion in ("host", "originalhost"):
                    names.update(
                        dict.fromkeys(word.lstrip("!") for word in words[number + 1].split(","))
                    )
    patterns = tuple(
        name.replace("[", "[[]") for name in names if set(name) & set("*?") and name != "*"
    )
    return Names({name: None for name in names if ALIAS.fullmatch(name)}, patterns, any_name)


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
        words = [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|([^\s"]+)', split[2])]
        if split[1].lower() != "include":
            yield split[1].lower(), words
        elif depth:
            for word in words:
                base = "~/.ssh" if of_user else os.path.dirname(SYSTEM)
                pattern = os.path.expanduser(os.path.join(base, os.path.expandvars(word)))
                for found in sorted(glob.glob(pattern)):
                    yield from _lines(found, of_user, depth - 1)


def routes(
    nodes: Mapping[str, Reach],
    config_file: str | None = None,
    proxy: str | None = None,
    timeout: float = 5.0,
) -> tuple[dict[str, Route], str | None]:
    """The route of every node, and a sentence if ssh could not be asked; a node that it did not
    answer for goes by its address.

    proxy: a ProxyCommand for what goes to a tailnet address and has no proxy of its own.
    """
    base = ("-F", config_file) if config_file else ()
    if not nodes:
        return {}, None
    nobody = _ask([NOBODY], base, timeout)
    if complaint := _complaint(nobody):
        return {
            label: _to(node.addresses[0], base, proxy) for label, node in nodes.items()
        }, complaint
    default = _Answer(nobody[NOBODY].out)
    names = read_names(config_file)
    # Every name leads somewhere.
    if default.hostname != NOBODY:
        names = replace(names, any_name=True)
    answers = _ask(
        [
            *names.known(
                [name for label, node in nodes.items() for name in (label, node.dns_name)]
            ),
            *names.aliases,
        ],
        base,
        timeout,
    )
    good = {
        name: said
        for name, answer in answers.items()
        if answer.status == 0 and (said := _Answer(answer.out)).says_more(name, default)
    }
    index = (
        {
            key: label
            for label, node in nodes.items()
            for key in (label, node.dns_name, *node.addresses)
        }
        if good
        else {}
    )
    leads = {name: _node_of(answer, index) for name, answer in good.items()}
    aliases: dict[str | None, str] = {}
    for name in filter(leads.get, names.aliases):
        aliases.setdefault(leads[name], name)
    found = {}
    for label, node in nodes.items():
        own = (
            [
                name
                for name in (label, node.dns_name)
                if name in good and leads[name] in (None, label)
            ]
            if good
            else []
        )
        explicit = [
            *(name for name in own if name in names.aliases),
            *filter(None, [aliases.get(label)]),
        ]
        alias = next(iter([*explicit, *own]), None)
        if alias is None:
            found[label] = _to(node.addresses[0], base, proxy)
        else:
            # A user, port or key for this name, and no address.
            named = good[alias].hostname == alias.lower()
            words = (*base, "-o", f"HostName={node.addresses[0]}") if named else base
            found[label] = _to(
                alias, words, None if good[alias].proxied or leads[alias] is None else proxy, alias
            )
    return found, _complaint(answers)


def proxy_command(program: Sequence[str]) -> str:
    """The ProxyCommand that goes through this tailscale program; ssh puts host and port in, and a
    shell runs it.
    """
    return f"{shlex.join([*program, 'nc'])} %h %p"


def _to(
    destination: str, words: Sequence[str], proxy: str | None, alias: str | None = None
) -> Route:
    return Route(destination, (*words, *(("-o", f"ProxyCommand={proxy}") if proxy else ())), alias)


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
        """Whether the config gives this name an address, or anything that it does not give every
        name.
        """
        return (
            self.hostname != name.lower()
            or self.text != default.text.replace(NOBODY, name)
            and self.text != default.text.replace(NOBODY, name.lower())
        )


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


def _ask(
    names: Iterable[str], base: tuple[str, ...], timeout: float
) -> dict[str, CompletedCommand]:
    commands = {name: ["ssh", *base, "-G", "--", name] for name in names}
    return run_all(commands, timeout=timeout, at_once=2 * (os.cpu_count() or 1))


def _complaint(answers: Mapping[str, CompletedCommand]) -> str | None:
    failed = [answer for answer in answers.values() if answer.status != 0]
    if not failed:
        return None
    said = (
        failed[0].trouble
        or (failed[0].err.strip().splitlines() or [f"exit status {failed[0].status}"])[-1]
    )
    return f"`ssh -G` gave no answer for {len(failed)} of {len(answers)} names, and what it can't say goes by tailnet addresses: {said}"
