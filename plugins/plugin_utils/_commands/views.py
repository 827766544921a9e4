# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people look at: `status` and `specialists`, of all nodes at once.

What a node says is data of a stranger: it gets its type and its length here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._files.record import SCHEMA_VERSION
from .._fleet.ask import all_replies, ask_all_nodes
from .._fleet.fleet import Fleet, with_load
from .._links.link import Link, LinkError
from .._schedule.placement import LOAD_PARTS, Need, Node, Ranked, rank, score

# That a node may take to answer.
SECONDS = 30.0
# Kinds of LinkError.
NO_CONTACT = frozenset({"unreachable", "timeout", "login", "host_key"})


def today() -> float:
    """Seconds since midnight.

    Nodes are told this, no time: "today" is the asker's day, whatever their clocks and time zones
    say.
    """
    now = time.time()
    return now - time.mktime((*time.localtime(now)[:3], 0, 0, 0, 0, 0, -1))


def away(nodes: Mapping[str, Node]) -> dict[str, str]:
    """Nodes that the inventory has found unreachable, with the reason: asking them again would take
    its seconds once more.
    """
    return {
        node.name: node.reason or "not reachable"
        for node in nodes.values()
        if node.state == "unreachable"
    }


def document(
    kind: str, asked: Mapping[str, Node], answered: Iterable[str], **more: Any
) -> dict[str, Any]:
    """A view is good when nodes are away, and fails when none has answered: then it tells nothing
    of the fleet, whatever the controller says.
    """
    others = {name for name, node in asked.items() if not node.local}
    message = None
    if not others:
        message = "no node is among the hosts of this play (a broken or missing -i leaves localhost alone): give -i"
    elif not others & set(answered):
        message = "no node answers: see the reasons above"
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "status": "failed" if message else "success",
        "message": message,
        **more,
    }


# -- status


def status(fleet: Fleet) -> dict[str, Any]:
    """Nodes as the next job would find them, and attempts that run or ended today."""
    nodes = fleet.candidates

    def question(name: str, link: Link) -> tuple[Node, list[dict[str, Any]]]:
        node = with_load(fleet, nodes[name], link)
        if node.state == "unreachable":
            raise LinkError(node.reason or "not reachable")
        try:
            rows = [
                attempt_row(name, reply)
                for reply in all_replies(
                    link, link.stream("list", {"within": today()}, SECONDS), last="listed"
                )
                if reply.get("state") in ("running", "dead", "ended")
            ]
        except LinkError as exc:
            if exc.kind in NO_CONTACT:
                raise
            return replace(node, excluded=str(exc)), []
        return node, rows

    answers, silent = ask_all_nodes(fleet, question, without=away(nodes))
    seen = {**nodes, **{name: node for name, (node, _rows) in answers.items()}}
    seen.update(
        {
            name: Node(name, "unreachable", reason, local=nodes[name].local)
            for name, reason in silent.items()
        }
    )
    ranked = {entry.host: entry for entry in rank(seen.values(), Need(), fleet.config.load_weights)}
    # Two names may lead to one store.
    attempts = {row["attempt"]: row for _node, rows in answers.values() for row in rows}
    rows = sorted(
        attempts.values(),
        key=lambda row: (row["ended_at"] is not None, -(row["ended_at"] or row["begun_at"] or 0.0)),
    )
    running = sum(row["status"] == "running" for row in rows)
    return document(
        "status",
        nodes,
        answers,
        nodes=[node_row(ranked[name]) for name in nodes],
        attempts=rows,
        left_out=[{"name": name, "reason": reason} for name, reason in fleet.left_out],
        totals={
            "nodes": len(nodes),
            "answered": len(answers),
            "running": running,
            "ended_today": sum(row["ended_at"] is not None for row in rows),
        },
    )


def node_row(entry: Ranked) -> dict[str, Any]:
    """A node for people and scripts; what was not measured is None."""
    node = entry.node
    known = entry.node.state == "measured"
    return {
        "name": node.name,
        "state": node.state,
        "local": node.local,
        "usable": entry.rejected is None,
        "reason": entry.rejected or node.reason,
        "score": entry.score,
        "load": {part: node.load.get(part) for part in LOAD_PARTS},
        "cpus": node.cpus if known else None,
        "slots": {"total": node.slots, "busy": node.busy} if known else None,
        "agents": None if node.agents is None else sorted(node.agents),
        "measured_at": node.measured_at,
        "age": None
        if node.measured_at is None
        else round(max(0.0, time.time() - node.measured_at), 1),
    }


def attempt_row(node: str, reply: Mapping[str, Any]) -> dict[str, Any]:
    """status: running, dead (its supervisor died), success, unproven, failed, cancelled.

    Times by the node's clock.
    """
    told = reply.get("ended")
    ended: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    state = str(reply.get("state"))
    failure = text(ended.get("class"))
    if state == "ended":
        state = (
            ("success" if ended.get("proof") else "unproven")
            if failure is None
            else "cancelled"
            if failure == "cancelled"
            else "failed"
        )
    return {
        "attempt": text(reply.get("attempt")),
        "node": node,
        "run_id": text(reply.get("run_id")),
        "job": text(reply.get("job")),
        "status": state,
        "class": failure,
        "message": text(ended.get("message"), 300),
        "agent": text(reply.get("agent")),
        "project": text(reply.get("project_path"), 4096),
        "controller": text(reply.get("controller")),
        "begun_at": number(reply.get("begun_at")),
        "ended_at": number(reply.get("ended_at")),
        "seconds": number(reply.get("seconds")),
        "cost_usd": number(ended.get("cost_usd")),
    }


# -- specialists


def specialists(fleet: Fleet) -> dict[str, Any]:
    """The dashboard: each node's specialists, and the totals."""
    nodes = fleet.candidates
    known = away(nodes)
    answers, silent = ask_all_nodes(
        fleet,
        lambda _name, link: all_replies(
            link, link.stream("specialists", {"within": today()}, SECONDS), last="told"
        ),
        without=known,
    )
    stores: dict[str, str] = {}
    rows = [
        dashboard_row(node, fleet, answers.get(name), {**known, **silent}.get(name), stores)
        for name, node in nodes.items()
    ]
    found = [one for row in rows for one in row["specialists"]]
    costs = [row["cost_today"] for row in rows if row["cost_today"] is not None]
    active = sum(one["status"] == "active" for one in found)
    totals = {
        "active": active,
        "dormant": len(found) - active,
        "nodes": len(nodes),
        "answered": len(answers),
        "sessions": sum(one["sessions"] or 0 for one in found),
        "cost_today": round(sum(costs), 6) if costs else None,
    }
    return document("specialists", nodes, answers, nodes=rows, totals=totals)


def dashboard_row(
    node: Node,
    fleet: Fleet,
    replies: Sequence[Mapping[str, object]] | None,
    silent: str | None,
    stores: dict[str, str],
) -> dict[str, Any]:
    """stores: store -> the first name that leads to it; what is there counts under that name alone."""
    value = score(node.load, fleet.config.load_weights, "general", node.busy, node.slots)
    row = {
        "name": node.name,
        "local": node.local,
        "state": "no_answer",
        "reason": silent,
        "score": value,
        "same_as": None,
        "evidence": None,
        "cost_today": None,
        "more": False,
        "specialists": [],
    }
    if replies is None:
        return row
    told = replies[-1]
    reason = text(told.get("reason"), 300)
    first = stores.setdefault(text(told.get("store")) or node.name, node.name)
    row.update(
        state="unusable" if reason else "usable", reason=reason, evidence=text(told.get("evidence"))
    )
    if first != node.name:
        return {**row, "same_as": first}
    row.update(cost_today=number(told.get("cost_today")), more=told.get("more") is True)
    return {
        **row,
        "specialists": [
            specialist_row(reply) for reply in replies if reply.get("state") == "specialist"
        ],
    }


def specialist_row(reply: Mapping[str, Any]) -> dict[str, Any]:
    """As the node says it: see its program's specialists.py."""
    sessions = number(reply.get("sessions"))
    return {
        "name": text(reply.get("name")) or "?",
        "status": "active" if reply.get("status") == "active" else "dormant",
        "seen_by": text(reply.get("seen_by")),
        "where": "home" if reply.get("where") == "home" else "workspace",
        "workspace": text(reply.get("workspace"), 200),
        "project": text(reply.get("project"), 4096),
        "sessions": None if sessions is None else int(sessions),
        "last_active": text(reply.get("last_active")),
        "session_id": text(reply.get("session_id")),
        "cost_usd": number(reply.get("cost_usd")),
        "reason": text(reply.get("reason"), 300),
    }


def text(value: object, most: int = 128) -> str | None:
    return value[:most] if isinstance(value, str) else None


def number(value: object) -> float | None:
    """0 or more, and of a size that arithmetic and clocks can take."""
    return (
        float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e15
        else None
    )
