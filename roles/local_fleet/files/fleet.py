# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes on this machine: a few sshd on loopback ports, each with its own home and, as root on
Linux, its own namespaces.

Python 3.9+, standard library only. Prints one JSON document on stdout and words for people on
stderr; exit status 0 or 1. A node's processes are those on record (pid and start time), those that
carry GUMMY_NODE=<the node's folder>, sshd that write the node's log, and what descends from them.
So what a killed `up` left behind is found by the next `up` or `down`, and nothing else is.

This file is the command line. The files beside it, from the bottom to the top:

* fleet_machine.py: programs, ports, accounts, keys of this machine
* fleet_texts.py: the text of each file that is written, as pure functions
* fleet_store.py: the fleet's folder, its lock, and fleet.json
* fleet_processes.py: which processes are a node's; how they start and end
* fleet_namespaces.py: a node's namespaces; fleet_init.py is the first process in them
* fleet_sshd.py: a node's sshd
* fleet_nodes.py: the fleet's life, of all these
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import re
import subprocess
import sys

from fleet_machine import PACKAGES, FleetError, find_program
from fleet_nodes import Fleet
from fleet_store import SCHEMA_VERSION, Network, default_folder, locked, refuse_other_things
from fleet_texts import Answer, Plan, in_words

VERBS = ("up", "down", "status", "stop", "start")


def act(options: argparse.Namespace) -> Answer:
    """Do what the command line says; raise FleetError if that can't be."""
    root = os.path.realpath(options.dir or default_folder())
    if re.search(r'["\\%$\x00-\x1f]', root):
        raise FleetError(
            f"{root!r} holds a quote, a backslash, %, $ or a control character, "
            "which ssh's settings can't carry: give another --dir"
        )
    # What is missing is said before anything is made.
    if options.verb == "up":
        for tool in PACKAGES:
            find_program(tool)

    # Who only looks waits for nobody.
    if options.verb == "status":
        return Fleet(root).describe(changed=False)
    if getattr(options, "check", False):
        refuse_other_things(root)
        return foresee(Fleet(root), options)

    # The nodes' user, who is not us, reads what we make.
    os.umask(0o022)
    with locked(root, create=options.verb == "up") as exists:
        fleet = Fleet(root)
        if options.verb == "up":
            changed = fleet.up(options.size, options.plain, options.net)
        elif options.verb == "down":
            changed = exists and fleet.down()
        elif options.verb == "start":
            changed = fleet.ensure(fleet.store.require(options.node))
        else:
            changed = fleet.end(fleet.store.require(options.node), options.keep_jobs)
        return fleet.describe(changed)


def foresee(fleet: Fleet, options: argparse.Namespace) -> Answer:
    """Return what `up` or `down` would start or end, and leave all as it is."""
    plan: Plan = {"start": [], "end": []}
    if options.verb == "up":
        plan["start"] = fleet.silent_nodes(options.size, options.plain, options.net)
    else:
        plan["end"] = list(fleet.store.nodes)
    answer = fleet.describe(changed=bool(plan["start"] or plan["end"]))
    answer["check"] = plan
    return answer


def node_count(text: str) -> int:
    """Read the value of --size."""
    if not text.isdigit() or not 1 <= int(text) <= 200:
        raise argparse.ArgumentTypeError(f"a number from 1 to 200 is needed, not {text!r}")
    return int(text)


def network(text: str) -> Network:
    """Read a value of --net, NAMESPACE@ADDRESS."""
    namespace, _at, address = text.rpartition("@")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", namespace):
        raise argparse.ArgumentTypeError(
            f"NAMESPACE@ADDRESS is needed, with a name that `ip netns` lists, not {text!r}"
        )
    try:
        return {"namespace": namespace, "address": str(ipaddress.IPv4Address(address))}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{address!r} is no IPv4 address") from None


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the program's words."""
    parser = argparse.ArgumentParser(description="Start, stop and show test nodes on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="up|down|status|stop|start")
    by_verb = {verb: verbs.add_parser(verb) for verb in VERBS}
    for verb_parser in by_verb.values():
        verb_parser.add_argument(
            "--dir",
            help="the fleet's folder "
            "(default: distributed-gummy/fleet in $XDG_STATE_HOME or ~/.local/state)",
        )

    number = by_verb["up"].add_mutually_exclusive_group()
    number.add_argument("--size", type=node_count, default=3, help="number of nodes (3)")
    number.add_argument(
        "--net",
        type=network,
        action="append",
        default=[],
        metavar="NAMESPACE@ADDRESS",
        help="the network namespace that node-1 lives in and its address there; "
        "again for node-2 and so on",
    )
    by_verb["up"].add_argument(
        "--plain", action="store_true", help="no namespaces even where they can be had"
    )

    for verb in ("up", "down"):
        by_verb[verb].add_argument(
            "--check", action="store_true", help="only say what would be started or ended"
        )

    by_verb["stop"].add_argument("node")
    by_verb["start"].add_argument("node")
    by_verb["stop"].add_argument(
        "--keep-jobs", action="store_true", help="end sshd and its sessions only"
    )
    return parser


def main() -> int:
    """Run the program; return its exit status."""
    options = command_line().parse_args()
    try:
        answer = act(options)
    except (FleetError, OSError, subprocess.SubprocessError) as error:
        text = str(error)
        if isinstance(error, OSError):
            text = f"{error.filename}: {error.strerror}; another folder can be given with --dir"
        print(json.dumps({"schema_version": SCHEMA_VERSION, "error": text}))
        print(text, file=sys.stderr)
        return 1

    print(json.dumps(answer))
    print(in_words(answer), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
