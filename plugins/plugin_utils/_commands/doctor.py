# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`doctor`: what of the controller and the nodes keeps jobs from being done, and what mends it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypedDict

from .._doctor.ask import ask_node, find_way
from .._doctor.controller_facts import ControllerFacts, gather_controller
from .._doctor.examine import CheckRow, examine_controller, examine_node, overall
from .._doctor.node_facts import Contact, NodeFacts, read_node
from .._files.record import SCHEMA_VERSION
from .._fleet.ask import ask_all_nodes
from .._fleet.fleet import Fleet
from .._links.link import Link

# The controller's name among the machines.
CONTROLLER = "localhost"


class MachineRow(TypedDict):
    """A machine."""

    # By the check's id.
    checks: dict[str, CheckRow]


class DoctorDocument(TypedDict):
    """What `doctor` tells."""

    schema_version: int
    kind: str
    # success, or failed if something is broken.
    status: str
    # Why it failed.
    message: str | None
    # ok; warning: something should be mended; broken: something has to be.
    overall: str
    # How long it took.
    seconds: float
    # By name: the controller, localhost, first, then the nodes in the order of the play.
    machines: dict[str, MachineRow]


def doctor(fleet: Fleet) -> DoctorDocument:
    """Look at the controller and ask all nodes, at once, whatever the inventory says of them."""
    began = time.monotonic()
    without = {fleet.fallback.name} if fleet.fallback is not None else set[str]()
    addresses = _addresses(fleet)

    def question(name: str, link: Link) -> NodeFacts:
        return _look_at(fleet, name, link, addresses)

    with ThreadPoolExecutor(1) as beside:
        here = beside.submit(_look_here, fleet)
        answers, silent = ask_all_nodes(fleet, question, without=without)
        controller, seconds = here.result()

    now = time.time()
    for name, reason in silent.items():
        # Its settings lead nowhere, so there is no link that could be asked.
        contact = Contact("settings", reason, reason, asked_at=now)
        answers[name] = _facts(fleet, name, contact, addresses)
    nodes = [answers[name] for name in fleet.names]

    rows = {CONTROLLER: examine_controller(controller, nodes, seconds)}
    rows |= {facts.name: examine_node(facts) for facts in nodes}
    verdict = overall(rows)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "doctor",
        "status": "failed" if verdict == "broken" else "success",
        "message": _message(rows) if verdict == "broken" else None,
        "overall": verdict,
        "seconds": round(time.monotonic() - began, 3),
        "machines": {name: {"checks": checks} for name, checks in rows.items()},
    }


def _look_here(fleet: Fleet) -> tuple[ControllerFacts, float]:
    """The controller's facts, and how long they took."""
    began = time.monotonic()
    facts = gather_controller(fleet)
    return facts, time.monotonic() - began


def _look_at(fleet: Fleet, name: str, link: Link, addresses: dict[str, str]) -> NodeFacts:
    contact = ask_node(link)
    way = find_way(link, name in fleet.surroundings.in_tailnet)
    facts = _facts(fleet, name, contact, addresses)
    return replace(facts, way=way)


def _facts(fleet: Fleet, name: str, contact: Contact, addresses: dict[str, str]) -> NodeFacts:
    return read_node(
        name,
        contact,
        fleet.surroundings.in_tailnet.get(name, {}),
        addresses=addresses,
        command=fleet.command,
    )


def _addresses(fleet: Fleet) -> dict[str, str]:
    """Address of the tailnet -> the node that has it."""
    addresses = {}
    for name, facts in fleet.surroundings.in_tailnet.items():
        ips = facts.get("ips")
        if isinstance(ips, (list, tuple)):
            addresses.update({str(ip): name for ip in ips})
    return addresses


def _message(rows: dict[str, dict[str, CheckRow]]) -> str:
    """What is broken, in one line."""
    broken = [
        f"{name}: {check}"
        for name, checks in rows.items()
        for check, row in checks.items()
        if row["status"] == "failed" and row["category"] == "critical"
    ]
    names = ", ".join(broken[:10])
    if len(broken) > 10:
        names += f", and {len(broken) - 10} more"
    return f"broken: {names}: see above"
