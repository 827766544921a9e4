# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts that fleet.py writes and prints, as functions of what they say.

They are the settings of sshd and ssh, the tables of accounts, what `tailscale` would print, the
inventory source, and the words for people. Nothing is written here; account_tables reads this
machine's /etc.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypedDict

from fleet_machine import read

# The tailnet that the nodes seem to be in; nobody can own a name under .test.
DOMAIN = "fleet.gummy.test"
# Where systems keep the server of sftp, which a login starts; sshd has one of its own too.
SFTP_FOLDERS = "/usr/lib/openssh:/usr/libexec/openssh:/usr/lib/ssh:/usr/libexec"
SFTP = shutil.which("sftp-server", path=SFTP_FOLDERS) or "internal-sftp"
# sshd starts in the account's home whatever HOME says, so a relative path of an rsync would lead
# there; this begins in HOME, and then does what sshd would have done.
FORCE_HOME = (
    'ForceCommand cd; test -n "$SSH_ORIGINAL_COMMAND" || exec "$SHELL"; '
    'exec env -u SSH_ORIGINAL_COMMAND "$SHELL" -c "$SSH_ORIGINAL_COMMAND"'
)


class SshdSettings(NamedTuple):
    """What differs between the sshd of two nodes."""

    # The address and the port to listen on.
    listen: str
    port: int
    # Where sshd sees its keys.
    folder: str
    # What logins have in their environment; with HOME among them they begin there.
    variables: Mapping[str, str]
    use_pam: bool
    # Whether root may log in, by key.
    root_login: bool


class NodeAnswer(TypedDict):
    """A node as the program describes it."""

    name: str
    # up or down
    state: str
    # What its sshd listens on; 0 as long as it has no port.
    port: int
    # Whom ssh logs in as.
    user: str
    # The home of that user as this machine sees it, and as the node sees it.
    home: str
    login_home: str
    # The processes of the node, as this machine numbers them.
    pids: list[int]


class Plan(TypedDict):
    """What a call with --check would have done: the nodes that it would start or end."""

    start: list[str]
    end: list[str]


class Facts(TypedDict):
    """The document that each call prints; roles/local_fleet/README.md tells it to users."""

    schema_version: int
    # up, down or partial
    state: str
    # Whether this call started or ended anything.
    changed: bool
    # The fleet's folder.
    dir: str
    # Whether nodes have namespaces of their own; if not, why.
    namespaces: bool
    reason: str | None
    # Two files in the folder: the inventory source, and settings for `ssh -F`.
    inventory: str
    ssh_config: str
    nodes: list[NodeAnswer]


class Answer(Facts, total=False):
    """The document, and what only some calls add to it."""

    # With --check.
    check: Plan


def tailnet_address(name: str) -> str:
    """Return the address that node-<number> has in the tailnet that we play."""
    return f"100.64.0.{int(name.rpartition('-')[2])}"


def sshd_config(settings: SshdSettings) -> str:
    """Return a node's sshd_config."""
    use_pam = "yes" if settings.use_pam else "no"
    root_login = "prohibit-password" if settings.root_login else "no"
    variables = " ".join(f'"{name}={value}"' for name, value in settings.variables.items())
    last_line = ""
    if "HOME" in settings.variables:
        last_line = FORCE_HOME
    return f"""\
Port {settings.port}
ListenAddress {settings.listen}
HostKey "{settings.folder}/host_key"
AuthorizedKeysFile "{settings.folder}/authorized_keys"
PidFile none
StrictModes no
UsePAM {use_pam}
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin {root_login}
PermitUserRC no
X11Forwarding no
PrintMotd no
PrintLastLog no
UseDNS no
Subsystem sftp {SFTP}
MaxStartups 100:30:200
SetEnv {variables}
{last_line}
"""


def ssh_config(root: str, ends: Mapping[str, tuple[str, int]], user: str) -> str:
    """Return the settings of ssh for all nodes; `ends` holds address and port by name."""
    nodes = [
        f"""\
Host {name} {name}.{DOMAIN} {tailnet_address(name)}
    HostName {address}
    HostKeyAlias {name}
    Port {port}
    User {user}
    IdentityFile "{root}/id_ed25519"
    IdentitiesOnly yes
    IdentityAgent none
    PreferredAuthentications publickey
    UserKnownHostsFile "{root}/known_hosts"
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    CheckHostIP no
    UpdateHostKeys no
    LogLevel ERROR
"""
        for name, (address, port) in ends.items()
    ]
    return "\n".join(["# Made by the local fleet: ssh -F THIS_FILE node-1", *nodes])


def tailscale_status(names: Sequence[str]) -> str:
    """Return what `tailscale status --json` would print on the machine `controller`."""
    controller = _tailnet_host("controller", "100.64.0.254", is_self=True)
    peers = [_tailnet_host(name, tailnet_address(name), is_self=False) for name in names]
    status = {
        "Version": "1.102.3-local-fleet",
        "TUN": True,
        "BackendState": "Running",
        "HaveNodeKey": True,
        "AuthURL": "",
        "TailscaleIPs": controller["TailscaleIPs"],
        "Self": controller,
        "Health": [],
        "MagicDNSSuffix": DOMAIN,
        "CurrentTailnet": {
            "Name": "local fleet",
            "MagicDNSSuffix": DOMAIN,
            "MagicDNSEnabled": True,
        },
        "CertDomains": None,
        "ExtraRecords": None,
        "Peer": {peer["PublicKey"]: peer for peer in peers},
        "User": {"1": {"ID": 1, "LoginName": f"fleet@{DOMAIN}", "DisplayName": "Local fleet"}},
        "ClientVersion": None,
    }
    return json.dumps(status, indent=2) + "\n"


def _tailnet_host(name: str, address: str, is_self: bool) -> dict[str, object]:
    """Return a machine as tailscaled 1.102 describes it: itself, or a peer that is online."""
    number = int(address.rpartition(".")[2])
    never = "0001-01-01T00:00:00Z"
    return {
        "ID": f"nfleet{number}CNTRL",
        "NodeID": number,
        "PublicKey": "nodekey:" + hashlib.sha256(name.encode()).hexdigest(),
        "HostName": name,
        "DNSName": f"{name}.{DOMAIN}.",
        "OS": "macOS" if sys.platform == "darwin" else "linux",
        "UserID": 1,
        "TailscaleIPs": [address],
        "AllowedIPs": [f"{address}/32"],
        "Addrs": [] if is_self else None,
        "CurAddr": "",
        "Relay": "",
        "PeerRelay": "",
        "RxBytes": 0,
        "TxBytes": 0,
        "Created": "2026-01-01T00:00:00Z",
        "LastWrite": never,
        "LastSeen": never,
        "LastHandshake": never,
        "Online": True,
        "ExitNode": False,
        "ExitNodeOption": False,
        "Active": False,
        "PeerAPIURL": None,
        "TaildropTarget": 0,
        "NoFileSharingReason": "",
        "InNetworkMap": True,
        "InMagicSock": not is_self,
        "InEngine": False,
    }


def inventory_source(root: str) -> str:
    """Return the source for the inventory plugin; its strings are JSON, which is YAML too."""
    status = json.dumps(f"{root}/status.json", ensure_ascii=False)
    settings = json.dumps(f"{root}/ssh_config", ensure_ascii=False)
    return f"""\
---
plugin: distributed.gummy.tailnet
status_file: {status}
ssh_config_file: {settings}
include_self: false
"""


def account_tables(name: str, uid: int) -> dict[str, str]:
    """Return what a node's /etc has of its own, by file name.

    They are this machine's tables with one row more; a table that is not here is not there either.
    """
    shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
    rows = {
        "passwd": f"gummy:x:{uid}:{uid}:Local fleet:/home/gummy:{shell}",
        "group": f"gummy:x:{uid}:",
        # A star: no password. A "!" would make sshd refuse the account.
        "shadow": "gummy:*:19000:0:99999:7:::",
        "hosts": f"127.0.1.1 {name}",
    }
    tables = {"hostname": f"{name}\n"} if os.path.exists("/etc/hostname") else {}
    for file, row in rows.items():
        if os.path.exists(f"/etc/{file}"):
            lines = read(f"/etc/{file}").splitlines()
            others = [line for line in lines if not line.startswith("gummy:")]
            tables[file] = "\n".join([*others, row, ""])
    return tables


def in_words(answer: Answer) -> str:
    """Return the answer for people: a table of nodes, and how to use them."""
    if not answer["nodes"]:
        down = f"The local fleet in {answer['dir']} is down."
        return "\n".join([*_foreseen(answer), down])

    isolation = "Each node has its own hostname, processes, /tmp, machine id and user."
    if not answer["namespaces"]:
        isolation = (
            f"No namespaces ({answer['reason']}): nodes share this machine's name, processes, "
            "/tmp and users, and differ by home only."
        )
    usage = (
        f"Inventory: -i '{answer['inventory']}'    By hand: ssh -F '{answer['ssh_config']}' node-1"
    )
    return "\n".join([*_foreseen(answer), *_table(answer["nodes"]), isolation, usage])


def _foreseen(answer: Answer) -> list[str]:
    plan = answer.get("check")
    if plan is None:
        return []
    if plan["start"]:
        return [f"Would start {', '.join(plan['start'])} in {answer['dir']}."]
    if plan["end"]:
        nodes = ", ".join(plan["end"])
        return [f"Would end {nodes} and remove {answer['dir']} with their homes."]
    return ["Nothing would be started or ended."]


def _table(nodes: Sequence[NodeAnswer]) -> list[str]:
    rows = [("node", "state", "port", "user", "home")]
    for node in nodes:
        port = str(node["port"])
        rows.append((node["name"], node["state"], port, node["user"], node["home"]))

    # The last column ends where its words end.
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[4]])
        for row in rows
    ]
