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
    Groups are C(tailnet_online), C(tailnet_offline), C(tailnet_self), C(os_linux), C(os_macos) and
    so on, C(tag_web) for C(tag:web), C(gummy_ready) (online, and measured or at least not found
    unreachable), C(gummy_idle) (measured, no slot is taken) and C(gummy_busy) (measured, no slot is
    free).
  - >-
    Each host has the variable C(gummy_tailnet) with C(id), C(dns_name), C(ip), C(ips), C(os),
    C(tags), C(user), C(online) (as the control server says), C(self), C(key_expiry), C(expired),
    C(relay), and C(path), one of V(direct), V(peer_relay), V(derp) and V(unknown).
  - >-
    Each host has the variable C(gummy_facts) with C(state), C(reason), C(load) (C(cpu), C(memory),
    C(load_average) and C(io_wait), each from V(0) to V(1) or null), C(cpus), C(os) (V(linux),
    V(macos)), C(slots) (C(total) and C(busy)), C(agents), C(disk) (C(free), bytes), C(python),
    C(python_path), C(source), C(measured_at) (seconds since 1970), C(score) (V(0) idle to V(1)
    full), and C(via), which tells the connection settings it was measured with from others.
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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
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
from ..plugin_utils._load.facts import no_facts
from ..plugin_utils._load.measure import SOURCES, ProbeTarget, measure_all
from ..plugin_utils._load.snapshots import Snapshots
from ..plugin_utils._tailnet.left_out import LEFT_OUT
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

OURS = ("gummy_ready", "gummy_idle", "gummy_busy")
LISTS = ("status_command", "load_sources", "include", "exclude", "tags", "users", "os")
# Holds no template: each begins with a brace, or with #jinja2.
PLAIN = re.compile(r"[^{}#]*")


class InventoryModule(BaseInventoryPlugin, Constructable):
    """Reads options, asks the pure parts, and touches the inventory once everything is known."""

    NAME = "distributed.gummy.tailnet"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(("tailnet.yml", "tailnet.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        with _all_is_kept():
            self._parse(inventory, loader, path, cache)

    def _parse(self, inventory: Any, loader: Any, path: str, cache: bool) -> None:
        self._check_options(path, self._read_options(path))
        extra = load_extra_vars(loader)
        try:
            config = load_config()
            snapshots = Snapshots(believe=cache and not setting(extra, "refresh"))
        except InputError as exc:
            raise AnsibleParserError(str(exc)) from None
        status = self._status(path)
        groups = {
            to_safe_group_name(name, force=True, silent=True) for name in self.get_option("groups")
        } | set(inventory.groups)
        peers = [peer for peer in status.peers if peer.name not in groups]
        self._tell(
            path,
            status,
            [
                *status.left_out,
                *(
                    (peer.name, "a group has that name")
                    for peer in status.peers
                    if peer.name in groups
                ),
            ],
        )
        ways = self._routes(peers, path, status.userspace)
        logins = self._logins(
            peers, ways, {key: value for key, value in extra.items() if key.startswith("ansible_")}
        )
        facts = self._facts(peers, ways, logins, config, snapshots)
        # The user's expressions may raise: tried on a copy first, so that it is the whole inventory
        # or nothing.
        tried = (
            [_copy(inventory)]
            if any(self.get_option(name) for name in ("compose", "groups", "keyed_groups"))
            else []
        )
        for self.inventory in (*tried, inventory):
            self._populate(peers, ways, facts)
            self._construct(peers)

    def _read_options(self, path: str) -> Mapping[str, Any]:
        try:
            return dict(self._read_config_data(path))
        except AnsibleError as exc:
            raise AnsibleParserError(f"{path}: {exc}") from None

    def _check_options(self, path: str, given: Mapping[str, Any]) -> None:
        """What Ansible lets pass: unknown names, a text where a list belongs, what can't be read."""

        def wrong(option: str, why: str) -> AnsibleParserError:
            return AnsibleParserError(f"{path}: {option}: {why}")

        for name in given:
            if name not in self.option_definitions:
                raise wrong(
                    clean(str(name)),
                    f"there is no such option; {hint(str(name), self.option_definitions)}",
                )
        for name in LISTS:
            value = given.get(name)
            if value is not None and not (
                isinstance(value, list) and all(isinstance(word, str) for word in value)
            ):
                raise wrong(name, "is no list of words; write it as [one, two]")
        for name in ("include_self", "strict"):
            try:
                boolean(given.get(name, False), strict=True)
            except TypeError:
                raise wrong(
                    name, f"{clean(str(given[name]))!r} is neither true nor false"
                ) from None
        if given.get("status_command") == []:
            raise wrong("status_command", "is empty; name a command, or leave the option out")
        for name, other in (
            ("status_file", "status_command"),
            ("socket", "status_command"),
            ("socket", "status_file"),
        ):
            if given.get(name) and given.get(other):
                raise wrong(name, f"stands beside {other}; keep one of them")
        for name in self.get_option("load_sources"):
            if name not in SOURCES:
                raise wrong(
                    "load_sources", f"{clean(name)!r} is no source of load; {hint(name, SOURCES)}"
                )
        if not 0 < self.get_option("probe_timeout") <= 600:
            raise wrong("probe_timeout", "give a number of seconds above 0, at most 600")
        for name in ("status_file", "ssh_config_file"):
            file = self._path_option(name, path)
            if file is not None and not (os.path.isfile(file) and os.access(file, os.R_OK)):
                raise wrong(
                    name, f"{file} is no file that can be read; mend the path, or make the file"
                )

    def _path_option(self, name: str, path: str) -> str | None:
        value = self.get_option(name)
        return (
            str(
                unfrackpath(
                    str(value), follow=False, basedir=os.path.dirname(os.path.abspath(path))
                )
            )
            if value
            else None
        )

    def _status(self, path: str) -> Status:
        """What Tailscale knows.

        When it knows nothing this machine is what there is, and the user reads why.
        """

        def lower(name: str) -> frozenset[str] | None:
            return (
                None
                if self.get_option(name) is None
                else frozenset(each.lower() for each in self.get_option(name))
            )

        tags = lower("tags")
        choice = Choice(
            include=tuple(self.get_option("include")),
            exclude=tuple(self.get_option("exclude")),
            tags=None
            if tags is None
            else frozenset("tag:" + tag.removeprefix("tag:") for tag in tags),
            users=lower("users"),
            os=lower("os"),
            include_self=self.get_option("include_self"),
        )
        try:
            command = self.get_option("status_command")
            socket = self._path_option("socket", path)
            return parse_status(
                read_status(command, self._path_option("status_file", path), socket), choice
            )
        except TailscaleError as exc:
            return this_machine(str(exc), choice)

    def _tell(self, path: str, status: Status, left_out: Iterable[tuple[str, str]]) -> None:
        LEFT_OUT[path] = tuple(left_out)
        for name, why in LEFT_OUT[path]:
            self.display.v(f"{path}: left out {name}: {why}")
        for note in status.notes:
            self.display.warning(f"{path}: {note}")
        if status.fault:
            alone = "this machine is the only node" if status.peers else "there is no node"
            self.display.warning(f"{path}: {alone}: {status.fault}")

    def _routes(self, peers: list[Peer], path: str, userspace: bool) -> dict[str, Route]:
        others = {
            peer.name: Reach(peer.facts["dns_name"], tuple(peer.facts["ips"]))
            for peer in peers
            if not peer.facts["self"]
        }
        command = self.get_option("status_command")
        socket = self._path_option("socket", path)
        program = (
            command[:-2]
            if command and command[-2:] == ["status", "--json"]
            else tailscale_argv(socket)
        )
        ways, complaint = routes(
            others,
            self._path_option("ssh_config_file", path),
            proxy_command(program) if userspace else None,
        )
        if complaint:
            self.display.warning(complaint)
        return ways

    def _logins(
        self, peers: list[Peer], ways: Mapping[str, Route], extra: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """The connection variables of each host, as far as this source and -e set them."""
        composed = [name for name in self.get_option("compose") if name.startswith("ansible_")]
        logins = {peer.name: {**_connection(peer, ways), **extra} for peer in peers}
        if composed:
            self.inventory = InventoryData()
            self._populate(peers, ways, {peer.name: no_facts("unknown", None) for peer in peers})
            for peer in peers:
                known = self.inventory.get_host(peer.name).get_vars()
                self._set_composite_vars(
                    {name: self.get_option("compose")[name] for name in composed},
                    known,
                    peer.name,
                    strict=False,
                )
                set_now = self.inventory.get_host(peer.name).get_vars()
                logins[peer.name] = {
                    **logins[peer.name],
                    **{name: set_now[name] for name in composed if name in set_now},
                    **extra,
                }
        return logins

    def _facts(
        self,
        peers: list[Peer],
        ways: Mapping[str, Route],
        logins: Mapping[str, Mapping[str, Any]],
        config: Config,
        snapshots: Snapshots,
    ) -> dict[str, dict[str, Any]]:
        """gummy_facts by host."""
        slots = config.slots
        sources = self.get_option("load_sources")
        timeout = self.get_option("probe_timeout")
        task = Task()
        maker = LinkMaker(task)
        facts: dict[str, dict[str, Any]] = {}
        asked: dict[str, ProbeTarget] = {}
        # One record for all that have the same: there may be thousands.
        unasked = cache(no_facts)
        for peer in peers:
            try:
                if not peer.facts["online"] and not peer.facts["self"]:
                    facts[peer.name] = unasked(
                        "unreachable", "offline, says Tailscale", slots.get(peer.name)
                    )
                elif not sources:
                    facts[peer.name] = unasked(
                        "unknown", "not measured: load_sources is empty", slots.get(peer.name)
                    )
                elif peer.facts["self"]:
                    asked[peer.name] = ProbeTarget("local", REMOTE_SHELL.split(), peer.name)
                elif any("{{" in str(value) for value in logins[peer.name].values()):
                    facts[peer.name] = unasked(
                        "unknown",
                        "not measured: its connection settings are templates",
                        slots.get(peer.name),
                    )
                else:
                    link = maker.make(peer.name, logins[peer.name])
                    asked[peer.name] = ProbeTarget(
                        link.key,
                        link.probe_argv(timeout),
                        ways[peer.name].alias or ways[peer.name].destination,
                    )
            except LinkError as exc:
                facts[peer.name] = unasked("unknown", str(exc), slots.get(peer.name))
        password = context.CLIARGS.get("ask_pass") or context.CLIARGS.get(
            "connection_password_file"
        )
        for name, record in measure_all(
            asked, snapshots, sources, timeout, slots=slots, weights=config.load_weights
        ).items():
            facts[name] = {**record, "via": settings_of(logins[name], task)}
            if password and record["reason"] == ASKS_PASSWORD:
                facts[name].update(
                    state="unknown", reason=f"{ASKS_PASSWORD}, which a run will give"
                )
        return facts

    def _populate(
        self, peers: list[Peer], ways: Mapping[str, Route], facts: Mapping[str, dict[str, Any]]
    ) -> None:
        plain_facts = {
            id(record): _plain(record)
            for record in {id(each): each for each in facts.values()}.values()
        }
        for group in OURS:
            self.inventory.add_group(group)
        for peer in peers:
            self.inventory.add_host(peer.name)
            variables = {
                **_connection(peer, ways),
                "gummy_tailnet": _plain(peer.facts),
                "gummy_facts": plain_facts[id(facts[peer.name])],
            }
            # Its set_variable would note the file as the origin of each single value.
            self.inventory.hosts[peer.name].vars.update(variables)
            for group in (*peer.groups(), *_load_groups(peer, facts[peer.name])):
                self.inventory.add_group(group)
                self.inventory.add_child(group, peer.name)

    def _construct(self, peers: list[Peer]) -> None:
        """compose, groups and keyed_groups of the user's."""
        self._names = {peer.name for peer in peers}
        self._sanitize_group_name = self._group_name
        compose, groups, keyed_groups, strict = (
            self.get_option(name) for name in ("compose", "groups", "keyed_groups", "strict")
        )
        if not (compose or groups or keyed_groups):
            return
        for peer in peers:
            known = self.inventory.get_host(peer.name).get_vars()
            self._set_composite_vars(compose, known, peer.name, strict)
            self._add_host_to_composed_groups(groups, {}, peer.name, strict)
            self._add_host_to_keyed_groups(keyed_groups, {}, peer.name, strict)

    def _group_name(self, name: str) -> str:
        """Group names may be made of texts from the network: they never become a host's name or one
        that Ansible reserves.
        """
        safe = str(to_safe_group_name(name, force=True, silent=True))
        return f"group_{safe}" if safe in RESERVED or safe in self._names else safe


@contextmanager
def _all_is_kept() -> Iterator[None]:
    """No garbage collection: of the objects of thousands of peers none is garbage, and to look for
    some took a third of the time.

    Nor later: a playbook keeps its inventory to the end, and workers that don't look at these
    objects share their memory.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()
            gc.enable()


def _connection(peer: Peer, ways: Mapping[str, Route]) -> dict[str, str]:
    return {"ansible_connection": "local"} if peer.facts["self"] else ways[peer.name].host_vars()


def _copy(inventory: Any) -> Any:
    copied = InventoryData()
    for name, host in inventory.hosts.items():
        copied.add_host(name)
        for key, value in host.vars.items():
            copied.set_variable(name, key, value)
    return copied


@cache
def _text(value: str) -> str:
    return trust_as_template(value) if PLAIN.fullmatch(value) else value


def _plain(value: Any) -> Any:
    """Texts that can hold no template, so that `ansible-inventory --list` shows them as they are;
    all others stay untrusted.
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _load_groups(peer: Peer, facts: Mapping[str, Any]) -> list[str]:
    if not (peer.facts["online"] or peer.facts["self"]) or facts["state"] == "unreachable":
        return []
    slots = facts["slots"]
    measured = facts["state"] == "measured"
    return [
        "gummy_ready",
        *(["gummy_idle"] if measured and not slots["busy"] else []),
        *(["gummy_busy"] if measured and slots["busy"] >= slots["total"] else []),
    ]
