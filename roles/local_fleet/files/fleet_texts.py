# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that fleet.py writes, as pure functions: settings of sshd and ssh, account tables, what
`tailscale` would say, the inventory.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Any

DOMAIN = "fleet.gummy.test"
SFTP = (
    shutil.which(
        "sftp-server", path="/usr/lib/openssh:/usr/libexec/openssh:/usr/lib/ssh:/usr/libexec"
    )
    or "internal-sftp"
)
# sshd starts in the account's home whatever HOME says: a relative path of an rsync would land there
IN_ITS_HOME = """ForceCommand cd; test -n "$SSH_ORIGINAL_COMMAND" || exec "$SHELL"; exec env -u SSH_ORIGINAL_COMMAND "$SHELL" -c "$SSH_ORIGINAL_COMMAND\""""


def read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def address(name: str) -> str:
    return f"100.64.0.{int(name.rpartition('-')[2])}"


def sshd_config(
    listen: str,
    port: int,
    folder: str,
    variables: Mapping[str, str],
    use_pam: bool,
    root_login: bool,
) -> str:
    return f"""\
Port {port}
ListenAddress {listen}
HostKey "{folder}/host_key"
AuthorizedKeysFile "{folder}/authorized_keys"
PidFile none
StrictModes no
UsePAM {"yes" if use_pam else "no"}
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin {"prohibit-password" if root_login else "no"}
PermitUserRC no
X11Forwarding no
PrintMotd no
PrintLastLog no
UseDNS no
Subsystem sftp {SFTP}
MaxStartups 100:30:200
SetEnv {" ".join(f'"{name}={value}"' for name, value in variables.items())}
{IN_ITS_HOME if "HOME" in variables else ""}
"""


def ssh_config(root: str, ends: Mapping[str, tuple[str, int]], user: str) -> str:
    nodes = [
        f"""\
Host {name} {name}.{DOMAIN} {address(name)}
    HostName {end}
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
        for name, (end, port) in ends.items()
    ]
    return "\n".join(["# Made by the local fleet: ssh -F THIS_FILE node-1", *nodes])


def tailscale_status(names: list[str]) -> str:
    """The fleet as `tailscale status --json` would print it on a machine `controller` of the same
    tailnet.
    """
    never = "0001-01-01T00:00:00Z"
    system = "macOS" if sys.platform == "darwin" else "linux"

    def host(name: str, ip: str, itself: bool) -> dict[str, Any]:
        number = int(ip.rpartition(".")[2])
        return {
            "ID": f"nfleet{number}CNTRL",
            "NodeID": number,
            "PublicKey": "nodekey:" + hashlib.sha256(name.encode()).hexdigest(),
            "HostName": name,
            "DNSName": f"{name}.{DOMAIN}.",
            "OS": system,
            "UserID": 1,
            "TailscaleIPs": [ip],
            "AllowedIPs": [f"{ip}/32"],
            "Addrs": [] if itself else None,
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
            "InMagicSock": not itself,
            "InEngine": False,
        }

    itself = host("controller", "100.64.0.254", True)
    peers = [host(name, address(name), False) for name in names]
    status = {
        "Version": "1.102.3-local-fleet",
        "TUN": True,
        "BackendState": "Running",
        "HaveNodeKey": True,
        "AuthURL": "",
        "TailscaleIPs": itself["TailscaleIPs"],
        "Self": itself,
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


def inventory_source(root: str) -> str:
    # JSON strings are YAML.
    status, ssh = (
        json.dumps(f"{root}/{file}", ensure_ascii=False) for file in ("status.json", "ssh_config")
    )
    return f"---\nplugin: distributed.gummy.tailnet\nstatus_file: {status}\nssh_config_file: {ssh}\ninclude_self: false\n"


def account_tables(name: str, uid: int) -> dict[str, str]:
    """What a node's /etc has of its own, by file name: this machine's tables with one row more."""
    rows = {
        "passwd": f"gummy:x:{uid}:{uid}:Local fleet:/home/gummy:{'/bin/bash' if os.path.exists('/bin/bash') else '/bin/sh'}",
        "group": f"gummy:x:{uid}:",
        # A star: no password; a "!" would make sshd refuse the account.
        "shadow": "gummy:*:19000:0:99999:7:::",
        "hosts": f"127.0.1.1 {name}",
    }
    tables = {"hostname": f"{name}\n"} if os.path.exists("/etc/hostname") else {}
    for file, row in rows.items():
        if os.path.exists(f"/etc/{file}"):
            kept = [
                line for line in read(f"/etc/{file}").splitlines() if not line.startswith("gummy:")
            ]
            tables[file] = "\n".join([*kept, row, ""])
    return tables


def in_words(answer: Mapping[str, Any]) -> str:
    if not answer["nodes"]:
        return f"The local fleet in {answer['dir']} is down."
    rows = [
        ("node", "state", "port", "user", "home"),
        *((n["name"], n["state"], str(n["port"]), n["user"], n["home"]) for n in answer["nodes"]),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[4]])
        for row in rows
    ]
    plain = f"No namespaces ({answer['reason']}): nodes share this machine's name, processes, /tmp and users, and differ by home only."
    how = (
        "Each node has its own hostname, processes, /tmp, machine id and user."
        if answer["namespaces"]
        else plain
    )
    return "\n".join(
        [
            *lines,
            how,
            f"Inventory: -i '{answer['inventory']}'    By hand: ssh -F '{answer['ssh_config']}' node-1",
        ]
    )
