# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
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
  - Makes a host of every machine of the tailnet that can take jobs, and groups the hosts by what Tailscale says of them and by how busy they are.
  - A host is named by the first label of its name in the tailnet. Its other names, as the machine itself gives them, are not used.
  - >-
    Left out are machines of other tailnets, Mullvad exit nodes, phones, TVs, browsers, Windows, machines with an expired key, without an address
    or without a plain name, those named like a group or like a name that Ansible reserves, and of two with one name or address the newer one.
    Run with C(-v) to read what was left out and why.
  - >-
    Groups are C(tailnet_online), C(tailnet_offline), C(tailnet_self), C(os_linux), C(os_macos) and so on, C(tag_web) for C(tag:web),
    C(gummy_ready) (online, and measured or at least not found unreachable), C(gummy_idle) (measured, no slot is taken) and C(gummy_busy)
    (measured, no slot is free).
  - >-
    Each host has the variables C(gummy_tailnet) (C(id), C(dns_name), C(ip), C(ips), C(os), C(tags), C(user), C(online), C(self), C(key_expiry),
    C(expired), C(relay), C(path)) and C(gummy_facts) (C(state), C(reason), C(load), C(cpus), C(slots), C(agents), C(disk), C(python), C(source),
    C(measured_at), C(score)). C(gummy_facts.state) is V(measured), V(unknown) (it may be reachable, its load is not known) or V(unreachable).
  - >-
    A machine is reached by its Tailscale address. If your ssh config has settings for its name, it is reached by that name, so that they hold.
    This machine itself has C(ansible_connection=local).
  - Texts from the network are never used as templates.
notes:
  - The file name of an inventory source must end in C(tailnet.yml) or C(tailnet.yaml).
  - A node's slots are half its cpus, unless C(nodes.<name>.slots) in C(~/.config/distributed-gummy/config.yaml) says otherwise.
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
      - A file that holds the status document, instead of a command. Relative paths start at the folder of the inventory source.
    type: str
  ssh_config_file:
    description:
      - The ssh config file to use instead of the user's own, for this plugin and for Ansible's connections to these hosts.
      - Relative paths start at the folder of the inventory source.
    type: str
  include_self:
    description: Whether this machine is one of the hosts.
    type: bool
    default: true
  load_sources:
    description:
      - Where the load comes from. V(probe) measures it with a short script, over ssh, on all nodes at once. Offline nodes are not asked.
      - An empty list asks no node anything.
    type: list
    elements: str
    choices: [probe]
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
# Only the tagged servers get a group, nodes are not asked for their load, and this machine is no host.
plugin: distributed.gummy.tailnet
include_self: false
load_sources: []
groups:
  server: "'tag:server' in gummy_tailnet.tags"
keyed_groups:
  - key: gummy_tailnet.relay
    prefix: near
compose:
  ansible_user: "'admin' if gummy_tailnet.os == 'macOS' else 'deploy'"

---
# Another tailscaled, an ssh config of its own, and more patience.
plugin: distributed.gummy.tailnet
status_command: [tailscale, --socket=/run/tailscale-work.sock, status, --json]
ssh_config_file: ssh_config
probe_timeout: 10
"""

import os
from collections.abc import Mapping
from typing import Any

from ansible import context
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.inventory.group import to_safe_group_name
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.utils.path import unfrackpath

from ..plugin_utils._config import Config, load_config
from ..plugin_utils._keys import InputError, hint
from ..plugin_utils._probe import REMOTE_COMMAND, no_facts, probe_all, ssh_command
from ..plugin_utils._ssh_config import Route, routes
from ..plugin_utils._tailscale import RESERVED, Peer, TailscaleError, clean, parse_status, read_status

OURS = ("gummy_ready", "gummy_idle", "gummy_busy")


class InventoryModule(BaseInventoryPlugin, Constructable):
    """Reads options, asks the pure parts, and touches the inventory once everything is known."""

    NAME = "distributed.gummy.tailnet"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(("tailnet.yml", "tailnet.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._check_options(path, self._read_options(path))
        try:
            config = load_config()
            status = parse_status(read_status(self.get_option("status_command"), self._path_option("status_file", path)))
        except InputError as exc:
            raise AnsibleParserError(str(exc)) from None
        except TailscaleError as exc:
            raise AnsibleParserError(f"{path}: {exc}") from None  # Ansible would print the causes' words once more
        if status.fault:
            raise AnsibleParserError(f"{path}: {status.fault}")
        for note in status.notes:
            self.display.warning(note)
        groups = {to_safe_group_name(name, force=True, silent=True) for name in self.get_option("groups")} | set(inventory.groups)
        peers = [peer for peer in status.peers if peer.name not in groups and (self.get_option("include_self") or not peer.vars["self"])]
        left_out = [*status.left_out, *((peer.name, "a group has that name") for peer in status.peers if peer.name in groups)]
        for name, why in left_out:
            self.display.v(f"{path}: left out {name}: {why}")
        ways = self._routes(peers, path)
        facts = self._facts(peers, ways, config)
        # The user's expressions may raise: tried on a copy first, so that it is the whole inventory or nothing.
        tried = [_copy(inventory)] if any(self.get_option(name) for name in ("compose", "groups", "keyed_groups")) else []
        for self.inventory in (*tried, inventory):
            self._populate(peers, ways, facts)

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
                raise wrong(clean(str(name)), f"there is no such option; {hint(str(name), self.option_definitions)}")
        for name in ("status_command", "load_sources"):
            value = given.get(name)
            if value is not None and not (isinstance(value, list) and all(isinstance(word, str) for word in value)):
                raise wrong(name, "is no list of words; write it as [one, two]")
        for name in ("include_self", "strict"):
            try:
                boolean(given.get(name, False), strict=True)
            except TypeError:
                raise wrong(name, f"{clean(str(given[name]))!r} is neither true nor false") from None
        if given.get("status_command") == []:
            raise wrong("status_command", "is empty; name a command, or leave the option out")
        if given.get("status_command") and given.get("status_file"):
            raise wrong("status_file", "stands beside status_command; keep one of them")
        for name in self.get_option("load_sources"):
            if name != "probe":
                raise wrong("load_sources", f"{clean(name)!r} is no source of load; known: probe")
        if not 0 < self.get_option("probe_timeout") <= 600:
            raise wrong("probe_timeout", "give a number of seconds above 0, at most 600")
        for name in ("status_file", "ssh_config_file"):
            file = self._path_option(name, path)
            if file is not None and not (os.path.isfile(file) and os.access(file, os.R_OK)):
                raise wrong(name, f"{file} is no file that can be read; mend the path, or make the file")

    def _path_option(self, name: str, path: str) -> str | None:
        value = self.get_option(name)
        return str(unfrackpath(str(value), follow=False, basedir=os.path.dirname(os.path.abspath(path)))) if value else None

    def _routes(self, peers: list[Peer], path: str) -> dict[str, Route]:
        others = {peer.name: peer.vars["ip"] for peer in peers if not peer.vars["self"]}
        ways, complaint = routes(others, self._path_option("ssh_config_file", path))
        if complaint:
            self.display.warning(complaint)
        return ways

    def _facts(self, peers: list[Peer], ways: Mapping[str, Route], config: Config) -> dict[str, dict[str, Any]]:
        """gummy_facts by host."""
        slots = {name: settings["slots"] for name, settings in config.nodes.items() if "slots" in settings}
        facts = {}
        commands = {}
        timeout, login = self.get_option("probe_timeout"), context.CLIARGS
        for peer in peers:
            if not peer.vars["online"]:
                facts[peer.name] = no_facts("unreachable", "offline, says Tailscale", slots.get(peer.name))
            elif not self.get_option("load_sources"):
                facts[peer.name] = no_facts("unknown", "not measured: load_sources is empty", slots.get(peer.name))
            elif peer.vars["self"]:
                commands[peer.name] = REMOTE_COMMAND.split()
            else:
                way = ways[peer.name]
                commands[peer.name] = ssh_command(
                    way.destination, way.words, timeout, login.get("remote_user"), login.get("private_key_file")
                )
        return {**facts, **probe_all(commands, slots, timeout, config.load_weights)}

    def _populate(self, peers: list[Peer], ways: Mapping[str, Route], facts: Mapping[str, dict[str, Any]]) -> None:
        for group in OURS:
            self.inventory.add_group(group)
        for peer in peers:
            self.inventory.add_host(peer.name)
            connection = {"ansible_connection": "local"} if peer.vars["self"] else ways[peer.name].host_vars()
            variables = {**connection, "gummy_tailnet": dict(peer.vars), "gummy_facts": facts[peer.name]}
            for key, value in variables.items():
                self.inventory.set_variable(peer.name, key, value)
            for group in (*peer.groups(), *_load_groups(peer, facts[peer.name])):
                self.inventory.add_group(group)
                self.inventory.add_child(group, peer.name)
        self._names = {peer.name for peer in peers}
        self._sanitize_group_name = self._group_name
        strict = self.get_option("strict")
        for peer in peers:
            known = self.inventory.get_host(peer.name).get_vars()
            self._set_composite_vars(self.get_option("compose"), known, peer.name, strict)
            self._add_host_to_composed_groups(self.get_option("groups"), {}, peer.name, strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), {}, peer.name, strict)

    def _group_name(self, name: str) -> str:
        """Group names may be made of texts from the network: they never become a host's name or one that Ansible reserves."""
        safe = str(to_safe_group_name(name, force=True, silent=True))
        return f"group_{safe}" if safe in RESERVED or safe in self._names else safe


def _copy(inventory: Any) -> Any:
    copied = InventoryData()
    for name, host in inventory.hosts.items():
        copied.add_host(name)
        for key, value in host.vars.items():
            copied.set_variable(name, key, value)
    return copied


def _load_groups(peer: Peer, facts: Mapping[str, Any]) -> list[str]:
    if not peer.vars["online"] or facts["state"] == "unreachable":
        return []
    slots, measured = facts["slots"], facts["state"] == "measured"
    return [
        "gummy_ready",
        *(["gummy_idle"] if measured and not slots["busy"] else []),
        *(["gummy_busy"] if measured and slots["busy"] >= slots["total"] else []),
    ]
