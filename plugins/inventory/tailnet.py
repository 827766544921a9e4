# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of a Tailscale network as an inventory, with their load."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tailnet
short_description: The machines of a Tailscale network, with their load
version_added: 0.1.0
author:
  - distributed.gummy contributors (@distributed-gummy)
description:
  - >-
    Makes a host of every machine of the tailnet that can take jobs, and groups the hosts by what
    Tailscale says of them and by how busy they are.
  - >-
    A host is named by the first label of its name in the tailnet. Its other names, as the machine
    itself gives them, are not used.
  - >-
    Left out are machines shared in from other tailnets, Mullvad exit nodes, phones, TVs, browsers,
    Windows, machines with an expired key, without an address or without a plain name, those named
    like a group or like a name that Ansible reserves, and of two with one name or address the newer
    one. O(include), O(exclude), O(os), O(tags) and O(users) choose otherwise. Run with C(-v), or
    the playbooks C(distributed.gummy.plan) or C(distributed.gummy.status), to read what was left
    out and why.
  - >-
    When Tailscale is stopped, logged out or missing, or its answer can't be read, a warning says
    what to do, and this machine is the only host. An option that is wrong is an error.
  - >-
    Groups are C(tailnet_online), C(tailnet_offline) (never this machine), C(tailnet_self),
    C(os_linux), C(os_macos) and so on, C(tag_web) for C(tag:web), C(gummy_ready) (online, and
    measured or at least not found unreachable), C(gummy_idle) (measured, no slot is taken) and
    C(gummy_busy) (measured, no slot is free).
  - >-
    Each host has the variable C(gummy_tailnet) with C(id), C(dns_name), C(ip), C(ips), C(os),
    C(tags), C(user), C(online) (as the control server says), C(self), C(key_expiry), C(expired),
    C(relay), and C(path), one of V(direct), V(peer_relay), V(derp) and V(unknown).
  - >-
    Each host has the variable C(gummy_facts) with C(state), C(reason), C(load) (C(cpu), C(memory),
    C(load_average) and C(io_wait), each from V(0) to V(1) or null), C(cpus), C(os) (V(linux),
    V(macos)), C(slots) (C(total) and C(busy)), C(agents), C(unseen) and C(missing) (agents, and the
    tools git and rsync: those that the probe did not find, though a person who types there may, and
    those that the node program has not found either, with the reason), C(disk) (C(free), bytes),
    C(python), C(python_path), C(git) (its version), C(source), C(measured_at) (seconds since 1970),
    C(score) (V(0) idle to V(1) full), and C(via), which tells the connection settings it was
    measured with from others.
    C(state) is V(measured), V(unknown) (it answers, or may do so; its load is not known, and
    C(reason) says why) or V(unreachable) (and C(reason) says why).
  - >-
    A machine is reached by its Tailscale address. If your ssh config has an alias for it (one that
    leads to its address or its name in the tailnet), or settings for its name, it is reached by
    that name, so that user, port, keys and jumps of the config hold. This machine itself has
    C(ansible_connection=local). Where tailscaled runs without a network interface, machines are
    reached through C(tailscale nc).
  - >-
    What the nodes said is kept for other playbooks in C(distributed-gummy) in E(XDG_CACHE_HOME), by
    default C(~/.cache), the load for 30 seconds, all else for 60. C(--flush-cache) and C(-e
    gummy_refresh=true) ask anew. The connections of the probe stay open for the run that follows.
  - Texts from the network are never used as templates.
notes:
  - The file name of an inventory source must end in C(tailnet.yml) or C(tailnet.yaml).
  - >-
    A node's slots are half its cpus, unless C(nodes.<name>.slots) in
    C(~/.config/distributed-gummy/config.yaml) says otherwise.
  - >-
    The probe uses the connection variables that this source sets, with O(compose), and those of
    C(-e). A host that has others in the end, say an C(ansible_user) in C(group_vars), is measured
    anew by the playbooks of this collection.
extends_documentation_fragment:
  - ansible.builtin.constructed
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [distributed.gummy.tailnet]
  status_command:
    description:
      - The command that prints the status document, as a list of words. No shell reads it.
      - By default C(tailscale status --json); on macOS the app's own program is found too.
    type: list
    elements: str
  status_file:
    description:
      - >-
        A file that holds the status document, instead of a command. Relative paths start at the
        folder of the inventory source.
    type: str
  socket:
    description:
      - >-
        The socket of the tailscaled to ask, if it is not the usual one. Relative paths start at the
        folder of the inventory source.
    type: str
  ssh_config_file:
    description:
      - >-
        The ssh config file to use instead of the user's own, for this plugin and for Ansible's
        connections to these hosts.
      - Relative paths start at the folder of the inventory source.
    type: str
  include_self:
    description: Whether this machine is one of the hosts.
    type: bool
    default: true
  include:
    description:
      - >-
        Names of machines to take although they are shared in, or O(os), O(tags) or O(users) are
        against them. Shell patterns of host names or of full names in the tailnet.
    type: list
    elements: str
    default: []
  exclude:
    description: >-
      Names of machines to leave out, this machine included. Shell patterns as for O(include), which
      it beats.
    type: list
    elements: str
    default: []
  os:
    description: >-
      Operating systems whose machines are taken, whatever the case. By default all but V(iOS),
      V(android), V(tvOS), V(js) and V(windows).
    type: list
    elements: str
  tags:
    description: >-
      Only machines with one of these tags are taken, with or without V(tag:) before them.
    type: list
    elements: str
  users:
    description: Only machines of these login names are taken. A tagged machine has no user.
    type: list
    elements: str
  load_sources:
    description:
      - >-
        Where the load comes from; the first source that measured a node counts, and what it does
        not know is filled in from the others.
      - >-
        V(probe) measures it with a short script over ssh. V(dw) asks C(dw load --host NAME), which
        reaches the nodes by your own ssh config and tells nothing of CPU, slots and agents; without
        C(dw), or where it fails, there is no load from it.
      - All nodes are asked at once, offline ones not at all. An empty list asks no node anything.
    type: list
    elements: str
    choices: [probe, dw]
    default: [probe]
  probe_timeout:
    description: Seconds after which the inventory goes on without the nodes that have not answered.
    type: float
    default: 5
"""

EXAMPLES = r"""
# Everything by default: the file my.tailnet.yml
plugin: distributed.gummy.tailnet

---
# Only the tagged servers, and one machine that a friend shares; this machine is no host, and nobody
# is asked for the load.
plugin: distributed.gummy.tailnet
include_self: false
tags: [server]
include: [files.tail1234.ts.net]
load_sources: []

---
# Groups and users of your own.
plugin: distributed.gummy.tailnet
groups:
  big: gummy_facts.cpus is number and gummy_facts.cpus >= 8
keyed_groups:
  - key: gummy_tailnet.relay
    prefix: near
compose:
  ansible_user: "'admin' if gummy_tailnet.os == 'macOS' else 'deploy'"

---
# Another tailscaled, an ssh config of its own, dw beside the probe, and more patience.
plugin: distributed.gummy.tailnet
socket: /run/tailscale-work.sock
ssh_config_file: ssh_config
load_sources: [probe, dw]
probe_timeout: 10
"""

import gc
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

from ansible import context
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.inventory.group import to_safe_group_name
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.playbook.task import Task
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.template import trust_as_template
from ansible.utils.path import unfrackpath
from ansible.utils.vars import load_extra_vars

from ..plugin_utils._ansible.connect import LinkMaker, settings_of
from ..plugin_utils._errors import InputError
from ..plugin_utils._input.config import Config, load_config
from ..plugin_utils._input.keys import hint, setting
from ..plugin_utils._links.link import REMOTE_SHELL, LinkError
from ..plugin_utils._links.ssh_failures import ASKS_PASSWORD
from ..plugin_utils._load.facts import NodeFacts, no_facts
from ..plugin_utils._load.measure import SOURCES, ProbeTarget, measure_all
from ..plugin_utils._load.snapshots import Snapshots
from ..plugin_utils._tailnet.left_out import FOUND, LEFT_OUT, Found, Omitted
from ..plugin_utils._tailnet.ssh_config import Reach, Route, proxy_command, routes
from ..plugin_utils._tailnet.status import (
    RESERVED,
    Choice,
    Peer,
    Status,
    TailscaleError,
    clean,
    parse_status,
    read_status,
    tailscale_argv,
    this_machine,
)

# Groups that are always there, so that a play may name them.
OURS = ("gummy_ready", "gummy_idle", "gummy_busy")

# Options that are lists of words, and those that are true or false.
LISTS = ("status_command", "load_sources", "include", "exclude", "tags", "users", "os")
SWITCHES = ("include_self", "strict")

# Options of which a source may have one: they say where the status comes from.
ALTERNATIVES = (
    ("status_file", "status_command"),
    ("socket", "status_command"),
    ("socket", "status_file"),
)

# Seconds that the probe may be given at most.
LONGEST_PROBE = 600

# A text that holds no template: each begins with a brace, or with #jinja2.
PLAIN = re.compile(r"[^{}#]*")


@dataclass(frozen=True)
class Settings:
    """What holds for a source beside its options."""

    # Where the source is.
    path: str
    # The variables of -e.
    extra: Mapping[str, Any]
    # The user's config file.
    config: Config
    # What the nodes said when they were last asked.
    snapshots: Snapshots


@dataclass(frozen=True)
class Record:
    """A host as it will stand in the inventory."""

    peer: Peer
    # The variables that Ansible reaches it by.
    connection: Mapping[str, str]
    # Its `gummy_facts`.
    facts: NodeFacts


class InventoryModule(BaseInventoryPlugin, Constructable):
    """Configures, fetches, builds, and only then populates the inventory.

    So it is the whole inventory or nothing: what goes wrong does so before the first host is added.
    """

    NAME = "distributed.gummy.tailnet"

    def verify_file(self, path: str) -> bool:
        """Whether the file is a source of ours, by its name."""
        return bool(super().verify_file(path)) and path.endswith(("tailnet.yml", "tailnet.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Make the hosts of a source. cache: False asks the nodes anew."""
        super().parse(inventory, loader, path, cache)
        with _all_is_kept():
            settings = self._configure(loader, path, cache)
            status, peers = self._fetch(settings)
            records = self._build(status, peers, settings)
            # The user's expressions may raise: they are tried on a copy first.
            targets = [_copy(inventory)] if self._has_expressions() else []
            for self.inventory in (*targets, inventory):
                self._populate(records)
                self._construct(peers)

    # Configure: what was asked for

    def _configure(self, loader: Any, path: str, cache: bool) -> Settings:
        """Read and check all that is asked for. Raises AnsibleParserError."""
        self._check_options(path)
        extra = load_extra_vars(loader)
        try:
            config = load_config()
            snapshots = Snapshots(believe=cache and not setting(extra, "refresh"))
        except InputError as exc:
            raise AnsibleParserError(str(exc)) from None
        return Settings(path, extra, config, snapshots)

    def _check_options(self, path: str) -> None:
        """What Ansible lets pass. Raises AnsibleParserError."""
        try:
            given = dict(self._read_config_data(path))
        except AnsibleError as exc:
            raise AnsibleParserError(f"{path}: {exc}") from None
        # Values are looked at only where all have the type that they should have.
        for option, problem in chain(
            self._bad_names(given), _bad_types(given), self._bad_values(path, given)
        ):
            raise AnsibleParserError(f"{path}: {option}: {problem}")

    def _bad_names(self, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Each name that is no option, and a part of a sentence."""
        for name in given:
            if name not in self.option_definitions:
                advice = hint(str(name), self.option_definitions)
                yield clean(str(name)), f"there is no such option; {advice}"

    def _bad_values(self, path: str, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Each option with a value that can't be used, and a part of a sentence."""
        if given.get("status_command") == []:
            yield "status_command", "is empty; name a command, or leave the option out"
        for name, other in ALTERNATIVES:
            if given.get(name) and given.get(other):
                yield name, f"stands beside {other}; keep one of them"
        for name in self.get_option("load_sources"):
            if name not in SOURCES:
                problem = f"{clean(name)!r} is no source of load; {hint(name, SOURCES)}"
                yield "load_sources", problem
        if not 0 < self.get_option("probe_timeout") <= LONGEST_PROBE:
            problem = f"give a number of seconds above 0, at most {LONGEST_PROBE}"
            yield "probe_timeout", problem
        for name in ("status_file", "ssh_config_file"):
            file = self._path_option(name, path)
            if file is not None and not (os.path.isfile(file) and os.access(file, os.R_OK)):
                yield name, f"{file} is no file that can be read; mend the path, or make the file"

    def _path_option(self, name: str, path: str) -> str | None:
        """A path that was given, as seen from the folder of the source."""
        value = self.get_option(name)
        if not value:
            return None
        folder = os.path.dirname(os.path.abspath(path))
        return str(unfrackpath(str(value), follow=False, basedir=folder))

    def _choice(self) -> Choice:
        """Which machines the user wants."""
        tags = self._lower("tags")
        if tags is not None:
            tags = frozenset("tag:" + tag.removeprefix("tag:") for tag in tags)
        return Choice(
            include=tuple(self.get_option("include")),
            exclude=tuple(self.get_option("exclude")),
            tags=tags,
            users=self._lower("users"),
            os=self._lower("os"),
            include_self=self.get_option("include_self"),
        )

    def _lower(self, name: str) -> frozenset[str] | None:
        words = self.get_option(name)
        return None if words is None else frozenset(word.lower() for word in words)

    def _has_expressions(self) -> bool:
        return any(self.get_option(name) for name in ("compose", "groups", "keyed_groups"))

    # Fetch: what the network says

    def _fetch(self, settings: Settings) -> tuple[Status, list[Peer]]:
        """The status, and its peers that can be hosts here; what is left out is told."""
        status = self._status(settings.path)
        own_groups = self.get_option("groups")
        groups = {to_safe_group_name(name, force=True, silent=True) for name in own_groups}
        groups.update(self.inventory.groups)
        left_out = [
            *status.left_out,
            *(
                Omitted(peer.name, "a group has that name")
                for peer in status.peers
                if peer.name in groups
            ),
        ]
        self._tell(settings.path, status, left_out)
        return status, [peer for peer in status.peers if peer.name not in groups]

    def _status(self, path: str) -> Status:
        """What Tailscale knows.

        When it knows nothing this machine is what there is, and the user reads why.
        """
        choice = self._choice()
        try:
            text = read_status(
                self.get_option("status_command"),
                self._path_option("status_file", path),
                self._path_option("socket", path),
            )
            return parse_status(text, choice)
        except TailscaleError as exc:
            return this_machine(str(exc), choice)

    def _tell(self, path: str, status: Status, left_out: Iterable[Omitted]) -> None:
        """Say what is left out with -v, and to the actions; warn of what is wrong."""
        LEFT_OUT[path] = tuple(left_out)
        own = next((peer.facts for peer in status.peers if peer.facts["self"]), None)
        sources = tuple(self.get_option("load_sources"))
        FOUND[path] = Found(status.fault, dict(own or {}), sources)
        for name, reason in LEFT_OUT[path]:
            self.display.v(f"{path}: left out {name}: {reason}")
        for note in status.notes:
            self.display.warning(f"{path}: {note}")
        if status.fault:
            alone = "this machine is the only node" if status.peers else "there is no node"
            self.display.warning(f"{path}: {alone}: {status.fault}")

    # Build: how each host is reached, and how busy it is

    def _build(self, status: Status, peers: Sequence[Peer], settings: Settings) -> list[Record]:
        """The hosts, measured."""
        ways = self._routes(peers, settings.path, status.userspace)
        connections = {peer.name: _connection(peer, ways) for peer in peers}
        logins = self._logins(peers, connections, settings.extra)
        facts = self._measure(peers, ways, logins, settings)
        return [Record(peer, connections[peer.name], facts[peer.name]) for peer in peers]

    def _routes(self, peers: Iterable[Peer], path: str, userspace: bool) -> dict[str, Route]:
        """How ssh reaches each other machine."""
        others = {
            peer.name: Reach(peer.facts["dns_name"], tuple(peer.facts["ips"]))
            for peer in peers
            if not peer.facts["self"]
        }
        proxy = proxy_command(self._program(path)) if userspace else None
        ways, complaint = routes(others, self._path_option("ssh_config_file", path), proxy)
        if complaint:
            self.display.warning(complaint)
        return ways

    def _program(self, path: str) -> list[str]:
        """The words that stand before a command of the tailscale that was asked."""
        command: list[str] | None = self.get_option("status_command")
        if command and command[-2:] == ["status", "--json"]:
            return command[:-2]
        return tailscale_argv(self._path_option("socket", path))

    def _logins(
        self,
        peers: Sequence[Peer],
        connections: Mapping[str, Mapping[str, str]],
        extra: Mapping[str, Any],
    ) -> dict[str, dict[str, Any]]:
        """The connection variables of each host, as far as this source and -e set them."""
        forced = {name: value for name, value in extra.items() if name.startswith("ansible_")}
        composed = {
            name: expression
            for name, expression in self.get_option("compose").items()
            if name.startswith("ansible_")
        }
        logins: dict[str, dict[str, Any]] = {
            peer.name: {**connections[peer.name], **forced} for peer in peers
        }
        if not composed:
            return logins

        # Expressions see what they will see in the end, but for the load, which is not known yet.
        self.inventory = InventoryData()
        unknown = no_facts("unknown", None)
        self._populate([Record(peer, connections[peer.name], unknown) for peer in peers])
        for peer in peers:
            host = self.inventory.get_host(peer.name)
            self._set_composite_vars(composed, host.get_vars(), peer.name, strict=False)
            variables = self.inventory.get_host(peer.name).get_vars()
            logins[peer.name].update(
                {name: variables[name] for name in composed if name in variables}
            )
            logins[peer.name].update(forced)
        return logins

    def _measure(
        self,
        peers: Sequence[Peer],
        ways: Mapping[str, Route],
        logins: Mapping[str, Mapping[str, Any]],
        settings: Settings,
    ) -> dict[str, NodeFacts]:
        """`gummy_facts` by host: all that can be asked are asked at once."""
        sources = self.get_option("load_sources")
        timeout = self.get_option("probe_timeout")
        slots = settings.config.slots
        task = Task()
        maker = LinkMaker(task)
        # One record for all that have the same: there may be thousands.
        unasked = cache(no_facts)
        facts: dict[str, NodeFacts] = {}
        targets: dict[str, ProbeTarget] = {}
        for peer in peers:
            login = logins[peer.name]
            answer = _why_unasked(peer, login, sources)
            if answer is not None:
                facts[peer.name] = unasked(*answer, slots.get(peer.name))
            elif peer.facts["self"]:
                targets[peer.name] = ProbeTarget("local", REMOTE_SHELL.split(), peer.name)
            else:
                way = ways[peer.name]
                try:
                    link = maker.make(peer.name, login)
                    targets[peer.name] = ProbeTarget(
                        link.key, link.probe_argv(timeout), way.alias or way.destination
                    )
                except LinkError as exc:
                    facts[peer.name] = unasked("unknown", str(exc), slots.get(peer.name))

        measured = measure_all(
            targets,
            settings.snapshots,
            sources,
            timeout,
            slots=slots,
            weights=settings.config.load_weights,
        )
        for name, record in measured.items():
            facts[name] = _with_login(record, settings_of(logins[name], task))
        return facts

    # Populate: the inventory

    def _populate(self, records: Iterable[Record]) -> None:
        """Add the hosts with their variables and groups."""
        for group in OURS:
            self.inventory.add_group(group)
        # Hosts may share a record of facts, and then share what is made of it.
        plain_facts: dict[int, Any] = {}
        for record in records:
            peer = record.peer
            key = id(record.facts)
            if key not in plain_facts:
                plain_facts[key] = _plain(record.facts)
            self.inventory.add_host(peer.name)
            # Ansible's own set_variable would note the file as the origin of each single value.
            self.inventory.hosts[peer.name].vars.update(
                {
                    **record.connection,
                    "gummy_tailnet": _plain(peer.facts),
                    "gummy_facts": plain_facts[key],
                }
            )
            for group in (*peer.groups(), *_load_groups(peer, record.facts)):
                self.inventory.add_group(group)
                self.inventory.add_child(group, peer.name)

    def _construct(self, peers: Iterable[Peer]) -> None:
        """Apply compose, groups and keyed_groups of the user's."""
        self._names = {peer.name for peer in peers}
        self._sanitize_group_name = self._group_name
        if not self._has_expressions():
            return
        strict = self.get_option("strict")
        for peer in peers:
            name = peer.name
            variables = self.inventory.get_host(name).get_vars()
            self._set_composite_vars(self.get_option("compose"), variables, name, strict)
            self._add_host_to_composed_groups(self.get_option("groups"), {}, name, strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), {}, name, strict)

    def _group_name(self, name: str) -> str:
        """A name for a group of a text that may be from the network.

        It never becomes a host's name or one that Ansible reserves.
        """
        safe = str(to_safe_group_name(name, force=True, silent=True))
        return f"group_{safe}" if safe in RESERVED or safe in self._names else safe


@contextmanager
def _all_is_kept() -> Iterator[None]:
    """No garbage collection while an inventory is made, nor of it later.

    Of the objects of thousands of peers none is garbage, and to look for some took a third of the
    time. A playbook keeps its inventory to the end, and workers that don't look at these objects
    share their memory.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()
            gc.enable()


def _bad_types(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each option with a text where a list belongs, or no truth value, and a part of a sentence."""
    for name in LISTS:
        value = given.get(name)
        if value is not None and not _is_list_of_words(value):
            yield name, "is no list of words; write it as [one, two]"
    for name in SWITCHES:
        try:
            boolean(given.get(name, False), strict=True)
        except TypeError:
            yield name, f"{clean(str(given[name]))!r} is neither true nor false"


def _is_list_of_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _connection(peer: Peer, ways: Mapping[str, Route]) -> dict[str, str]:
    """The variables that Ansible reaches a host by."""
    if peer.facts["self"]:
        return {"ansible_connection": "local"}
    return ways[peer.name].host_vars()


def _why_unasked(
    peer: Peer, login: Mapping[str, Any], sources: Sequence[str]
) -> tuple[str, str] | None:
    """The state and the reason of a node that is not asked for its load; None if it is."""
    is_self = peer.facts["self"]
    if not peer.facts["online"] and not is_self:
        return "unreachable", "offline, says Tailscale"
    if not sources:
        return "unknown", "not measured: load_sources is empty"
    if not is_self and any("{{" in str(value) for value in login.values()):
        return "unknown", "not measured: its connection settings are templates"
    return None


def _with_login(record: NodeFacts, via: str) -> NodeFacts:
    """The facts with what tells the login; a run will give a password that was asked for."""
    facts = record.copy()
    facts["via"] = via
    options = context.CLIARGS
    password = options.get("ask_pass") or options.get("connection_password_file")
    if password and facts["reason"] == ASKS_PASSWORD:
        facts["state"] = "unknown"
        facts["reason"] = f"{ASKS_PASSWORD}, which a run will give"
    return facts


def _load_groups(peer: Peer, facts: NodeFacts) -> Iterator[str]:
    """Groups by how busy a node is."""
    is_there = peer.facts["online"] or peer.facts["self"]
    if not is_there or facts["state"] == "unreachable":
        return
    yield "gummy_ready"
    if facts["state"] != "measured":
        return
    slots = facts["slots"]
    if not slots["busy"]:
        yield "gummy_idle"
    if slots["busy"] >= slots["total"]:
        yield "gummy_busy"


def _copy(inventory: Any) -> Any:
    """An inventory with the same hosts and variables."""
    copied = InventoryData()
    for name, host in inventory.hosts.items():
        copied.add_host(name)
        for key, value in host.vars.items():
            copied.set_variable(name, key, value)
    return copied


@cache
def _text(value: str) -> str:
    """The text, trusted if it can hold no template."""
    return trust_as_template(value) if PLAIN.fullmatch(value) else value


def _plain(value: Any) -> Any:
    """The value with its texts trusted that can hold no template.

    So `ansible-inventory --list` shows them as they are; all others stay untrusted.
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
