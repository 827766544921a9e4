# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`specialists`: the dashboard of gummy's specialists on every node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from .._files.record import SCHEMA_VERSION
from .._fleet.ask import all_replies, ask_all_nodes
from .._fleet.fleet import Fleet, with_told_load
from .._links.link import Link
from .._node import wire
from .._schedule.placement import LOAD_PARTS, Node, score
from .views import (
    PATH_MOST,
    SECONDS,
    SENTENCE_MOST,
    Slots,
    away,
    number_of,
    slots_of,
    text_of,
    today,
    why_it_fails,
)

# How many characters of a workspace's name, and of the reason why a node has none, are passed on.
WORKSPACE_MOST = 200
REASON_MOST = 4096


class SpecialistRow(TypedDict):
    """A specialist in the words of its node's program, which explains them."""

    name: str
    # active or dormant.
    status: str
    # What shows that it is active.
    seen_by: str | None
    # home (the login's own), workspace, or project: one of gummy_specialist_paths.
    where: str
    # The workspace's name and the path of its project on the controller, if it is there. Of a
    # project it is the path on the node.
    workspace: str | None
    project: str | None
    # How many it has had; None if it does not say.
    sessions: int | None
    # ISO 8601, as gummy wrote it, and how many seconds ago that was.
    last_active: str | None
    idle: float | None
    # For how many seconds the process has run that shows it to be active.
    works: float | None
    session_id: str | None
    # Dollars that its session has cost; None where nobody knows it.
    cost_usd: float | None
    # Why something of it can't be told.
    reason: str | None


class DashboardRow(TypedDict):
    """A node of the dashboard."""

    name: str
    # Whether it is the controller itself.
    local: bool
    # usable, unusable (it has no gummy that works), or no_answer.
    state: str
    # Why it is not usable.
    reason: str | None
    # The lower, the sooner it gets a job.
    score: float | None
    # Each part between 0 (idle) and 1; what is not known is None.
    load: dict[str, float | None]
    slots: Slots | None
    # Another name of the same store, under which its specialists are told.
    same_as: str | None
    # How the node finds out who is active.
    evidence: str | None
    # Dollars since midnight.
    cost_today: float | None
    # Whether the node has more specialists than are read.
    more: bool
    specialists: list[SpecialistRow]


class DashboardTotals(TypedDict):
    """How many there are, each store counted once."""

    specialists: int
    # Of these, by their status.
    active: int
    dormant: int
    nodes: int
    # Nodes that answered.
    answered: int
    sessions: int
    # Dollars since midnight; None if no node says any.
    cost_today: float | None


class SpecialistsDocument(TypedDict):
    """What `specialists` tells."""

    schema_version: int
    kind: str
    # success, or failed if it tells nothing of the fleet.
    status: str
    # Why it failed.
    message: str | None
    # In the order of the play, the controller last.
    nodes: list[DashboardRow]
    totals: DashboardTotals


def specialists(fleet: Fleet, paths: Sequence[str] = ()) -> SpecialistsDocument:
    """Ask every candidate for its specialists, and count them.

    paths: folders of projects on the nodes that are looked into beside workspaces and homes.
    """
    nodes = fleet.candidates
    unreachable = away(nodes)
    request = specialists_request(fleet, paths)

    def ask(_name: str, link: Link) -> list[wire.SpecialistsReply]:
        return all_replies(link, link.stream("specialists", request, SECONDS), last="told")

    answers, silent = ask_all_nodes(fleet, ask, without=unreachable, only_looks=True)

    reasons = {**unreachable, **silent}
    # Store -> the first name that leads to it: what is there counts under that name alone.
    stores: dict[str, str] = {}
    rows = []
    for name, node in nodes.items():
        if name in answers:
            node = with_told_load(fleet, node, answers[name][-1].get("load"))
        row = _empty_row(fleet, node, reasons.get(name))
        if name in answers:
            _fill(row, answers[name], stores)
        rows.append(row)

    failure = why_it_fails(nodes, answers)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "specialists",
        "status": "failed" if failure else "success",
        "message": failure,
        "nodes": rows,
        "totals": _totals(rows, len(answers)),
    }


def specialists_request(
    fleet: Fleet, paths: Sequence[str], *, again: bool = False
) -> wire.SpecialistsRequest:
    """What a node is asked. again: whether it has told its load before."""
    request: wire.SpecialistsRequest = {"within": today(), "paths": list(paths)}
    if fleet.told_load is not None:
        request["load"] = fleet.told_load.next_script if again else fleet.told_load.script
    return request


def _empty_row(fleet: Fleet, node: Node, reason: str | None) -> DashboardRow:
    """A node of which nothing but its load is known. reason: why it gave no answer."""
    return {
        "name": node.name,
        "local": node.local,
        "state": "no_answer",
        "reason": reason,
        "score": score(node.load, fleet.config.load_weights, "general", node.busy, node.slots),
        "load": {part: node.load.get(part) for part in LOAD_PARTS},
        "slots": slots_of(node),
        "same_as": None,
        "evidence": None,
        "cost_today": None,
        "more": False,
        "specialists": [],
    }


def _fill(row: DashboardRow, replies: Sequence[Mapping[str, Any]], stores: dict[str, str]) -> None:
    """Write a node's answer into its row. stores: store -> the first name, which this adds to."""
    summary = replies[-1]
    reason = text_of(summary.get("reason"), REASON_MOST)
    row["state"] = "unusable" if reason else "usable"
    row["reason"] = reason
    row["evidence"] = text_of(summary.get("evidence"))

    store = text_of(summary.get("store")) or row["name"]
    first_name = stores.setdefault(store, row["name"])
    if first_name != row["name"]:
        row["same_as"] = first_name
        return

    row["cost_today"] = number_of(summary.get("cost_today"))
    row["more"] = summary.get("more") is True
    row["specialists"] = [
        specialist_row(reply) for reply in replies if reply.get("state") == "specialist"
    ]


def specialist_row(reply: Mapping[str, Any]) -> SpecialistRow:
    """What a node says of a specialist."""
    sessions = number_of(reply.get("sessions"))
    return {
        "name": text_of(reply.get("name")) or "?",
        "status": "active" if reply.get("status") == "active" else "dormant",
        "seen_by": text_of(reply.get("seen_by")),
        "where": _where_of(reply.get("where")),
        "workspace": text_of(reply.get("workspace"), WORKSPACE_MOST),
        "project": text_of(reply.get("project"), PATH_MOST),
        "sessions": None if sessions is None else int(sessions),
        "last_active": text_of(reply.get("last_active")),
        "idle": number_of(reply.get("idle")),
        "works": number_of(reply.get("works")),
        "session_id": text_of(reply.get("session_id")),
        "cost_usd": number_of(reply.get("cost_usd")),
        "reason": text_of(reply.get("reason"), SENTENCE_MOST),
    }


def _where_of(value: object) -> str:
    return value if isinstance(value, str) and value in ("home", "project") else "workspace"


def _totals(rows: Sequence[DashboardRow], answered: int) -> DashboardTotals:
    found = [specialist for row in rows for specialist in row["specialists"]]
    active = sum(specialist["status"] == "active" for specialist in found)
    costs = [row["cost_today"] for row in rows if row["cost_today"] is not None]
    return {
        "specialists": len(found),
        "active": active,
        "dormant": len(found) - active,
        "nodes": len(rows),
        "answered": answered,
        "sessions": sum(specialist["sessions"] or 0 for specialist in found),
        "cost_today": round(sum(costs), 6) if costs else None,
    }
