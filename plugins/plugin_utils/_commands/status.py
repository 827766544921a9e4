# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`status`: the nodes as the next job would find them, and attempts that run or ended today."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypedDict, TypeVar

from .._files.costs import (
    CostShare,
    CostSummary,
    Ledger,
    TokenCount,
    tokens_in,
)
from .._files.record import SCHEMA_VERSION
from .._fleet.ask import all_replies, ask_all_nodes
from .._fleet.fleet import Fleet, with_load_of_now
from .._fleet.settle import own_agents, with_told
from .._links.link import Link, LinkError
from .._links.signatures import WRONG, Verdict
from .._node import wire
from .._schedule.placement import LOAD_PARTS, Need, Node, Ranked, rank
from .find_attempts import Records
from .views import (
    PATH_MOST,
    SECONDS,
    SENTENCE_MOST,
    ForeignRow,
    Slots,
    away,
    foreign_rows,
    number_of,
    slots_of,
    status_of,
    text_of,
    today,
    why_it_fails,
)

# Kinds of a LinkError that mean that nobody was there; others come from a node that has a load.
NO_CONTACT = frozenset({"unreachable", "timeout", "login", "host_key"})
# States of an attempt that are told; the others have never begun.
SHOWN_STATES = frozenset({"running", "dead", "ended"})


class AgentInfo(TypedDict):
    """An agent that a node has, in the node's own words."""

    name: str
    # None: nothing says it.
    version: str | None
    # yes, no or unknown; found out without asking anybody.
    logged_in: str


class NodeRow(TypedDict):
    """A node for people and scripts; what was not measured is None."""

    name: str
    # measured, unknown or unreachable.
    state: str
    # Whether it is the controller itself.
    local: bool
    # Whether a job could go there.
    usable: bool
    # Why none could, or what is wrong with the node.
    reason: str | None
    # The lower, the sooner it gets a job.
    score: float | None
    # Each part between 0 (idle) and 1.
    load: dict[str, float | None]
    cpus: int | None
    slots: Slots | None
    # Sorted names of the agents that it can run; None if it does not say.
    agents: list[str] | None
    # What is known of them; empty if the node does not say.
    agent_details: list[AgentInfo]
    # When the load was measured, in seconds since 1970.
    measured_at: float | None
    # How long ago that was, in seconds.
    age: float | None


# `class` is a word of Python, so this key can't be written as a field. (pylint does not see that a
# call of TypedDict makes a class.)
_Class = TypedDict("_Class", {"class": str | None})


class StatusAttempt(_Class):  # pylint: disable=inherit-non-class
    """An attempt of today, in the words of its node, by whose clock the times are.

    class: the kind of failure, None without one.
    """

    attempt: str | None
    # The name under which the node was asked.
    node: str
    run_id: str | None
    job: str | None
    # running, dead (its supervisor died), success, unproven, failed, or cancelled.
    status: str
    # What the signature of a good end is worth: valid, wrong, or unsigned, if this controller has
    # no key of the attempt. None: it has not ended well.
    signature: str | None
    message: str | None
    agent: str | None
    # Where the project lies on the controller that began the attempt, and that one's identity.
    project: str | None
    controller: str | None
    # Seconds since 1970.
    begun_at: float | None
    ended_at: float | None
    # How long it took, or has run by now.
    seconds: float | None
    cost_usd: float | None
    # What its agent's model read and wrote; None: it does not count that, or has not ended.
    tokens: TokenCount | None
    # Of class `quota`: reset, credit or busy.
    quota_kind: str | None
    # For how many seconds a running one has shown no sign of life, and what it waits for.
    quiet: float | None
    waits: str | None
    # What a running one's node was granted to stay awake: sleep, sleep:idle or idle; None: nothing.
    awake: str | None


AnAttempt = TypeVar("AnAttempt", bound=StatusAttempt)


class StatusTotals(TypedDict):
    """How many there are."""

    nodes: int
    # Nodes that answered.
    answered: int
    # Attempts that run.
    running: int
    # Attempts that ended today.
    ended_today: int


class StatusDocument(TypedDict):
    """What `status` tells."""

    schema_version: int
    kind: str
    # success, or failed if it tells nothing of the fleet.
    status: str
    # Why it failed.
    message: str | None
    # In the order of the play, the controller last.
    nodes: list[NodeRow]
    # What runs, the newest first, then what ended, the last one first.
    attempts: list[StatusAttempt]
    # Tasks of gummy that somebody has started by hand.
    foreign: list[ForeignRow]
    # name and reason of machines that are no host of the inventory.
    left_out: list[dict[str, str]]
    totals: StatusTotals
    # What attempts have cost of which this controller heard today that they ended.
    cost: CostSummary
    # The same of each of the last seven days on which something has ended, the newest first.
    cost_days: list[CostShare]


@dataclass(frozen=True)
class Answer:
    """What a node says of itself."""

    # With the load that it has now.
    node: Node
    # Its attempts.
    rows: list[Mapping[str, Any]]
    # The id of its store; None if it can't tell it.
    store: object = None
    # Its agents, and the tasks of gummy there that are none of ours.
    agents: Sequence[Mapping[str, Any]] = ()
    foreign: Sequence[ForeignRow] = ()


def status(fleet: Fleet) -> StatusDocument:
    """Ask every candidate for the load that it has now, and for its attempts."""
    nodes = fleet.candidates

    def question(name: str, link: Link) -> Answer:
        return _ask(fleet, nodes[name], link)

    answers, silent = ask_all_nodes(fleet, question, without=away(nodes), only_looks=True)
    # What this controller knows better than a node is not shown.
    records = Records({name: answer.store for name, answer in answers.items()})
    rows = sorted_once(
        attempt_row(name, reply, records.verdict(reply))
        for name, answer in answers.items()
        for reply in answer.rows
        if not records.contradict(name, reply)
    )
    failure = why_it_fails(nodes, answers)
    node_rows = _node_rows(fleet, answers, silent)
    ledger = Ledger()
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "status",
        "status": "failed" if failure else "success",
        "message": failure,
        "nodes": node_rows,
        "attempts": rows,
        "foreign": _foreign_once(answers),
        "left_out": [{"name": name, "reason": reason} for name, reason in fleet.left_out],
        "totals": {
            "nodes": len(node_rows),
            "answered": sum(row["name"] in answers for row in node_rows),
            "running": sum(row["status"] == "running" for row in rows),
            "ended_today": sum(row["ended_at"] is not None for row in rows),
        },
        "cost": ledger.cost_today(),
        "cost_days": ledger.days(),
    }


def _ask(fleet: Fleet, node: Node, link: Link) -> Answer:
    """The node with its load, and its attempts. Raises LinkError if nobody is there.

    Both are asked at once, so they cost one round trip. A node that has a load and can't tell its
    attempts, for want of a Python perhaps, takes no job: the reason is in the node.
    """
    try:
        # Else each of the two would wait for a node that is not there.
        link.connect()
    except LinkError as exc:
        # A shell that takes no commands is somebody.
        if exc.kind != "reply":
            raise

    beside = ThreadPoolExecutor(1)
    try:
        measuring = beside.submit(_measure, fleet, node, link)
        try:
            request: wire.ListRequest = {
                "within": today(),
                "agents": True,
                "own": own_agents(fleet),
            }
            stream = link.stream("list", request, SECONDS)
            replies = all_replies(link, stream, last="listed")
        except LinkError as exc:
            if exc.kind in NO_CONTACT or link.is_given_up:
                raise
            return Answer(replace(measuring.result(), excluded=str(exc)), [])
        measured = measuring.result()
    finally:
        # Where nobody is there, the load is not waited for either.
        beside.shutdown(wait=False)
    agents = replies[-1].get("agents")
    return Answer(
        with_told(fleet, measured, link, replies[-1]),
        [reply for reply in replies if is_shown(reply)],
        replies[-1].get("store"),
        agents if isinstance(agents, list) else (),
        foreign_rows(node.name, replies[-1]),
    )


def _measure(fleet: Fleet, node: Node, link: Link) -> Node:
    """The node with its load; one that is there, and does not tell it, is `unknown`."""
    try:
        measured = with_load_of_now(fleet, node, link)
    except LinkError as exc:
        measured = replace(node, state="unreachable", reason=str(exc))
    if measured.state == "unreachable":
        return replace(measured, state="unknown", reason=f"no load: {measured.reason}")
    return measured


def is_shown(reply: Mapping[str, Any]) -> bool:
    """Whether an attempt is told, by its state."""
    state = reply.get("state")
    return isinstance(state, str) and state in SHOWN_STATES


def sorted_once(rows: Iterable[AnAttempt]) -> list[AnAttempt]:
    """Each attempt once, for two names may lead to one store: what runs first, the newest first."""

    def order(row: AnAttempt) -> tuple[bool, float]:
        newest = row["ended_at"] or row["begun_at"] or 0.0
        return row["ended_at"] is not None, -newest

    attempts: dict[str | None, AnAttempt] = {}
    for row in rows:
        # The controller is the last one, and may be a node by its own address too.
        attempts.setdefault(row["attempt"], row)
    return sorted(attempts.values(), key=order)


def _foreign_once(answers: Mapping[str, Answer]) -> list[ForeignRow]:
    """Each once, under the first of the names that lead to one store."""
    stores: dict[object, Answer] = {}
    for name, answer in answers.items():
        stores.setdefault(answer.store or name, answer)
    return [row for answer in stores.values() for row in answer.foreign]


def _node_rows(
    fleet: Fleet, answers: Mapping[str, Answer], silent: Mapping[str, str]
) -> list[NodeRow]:
    """All candidates as a general job would find them."""
    nodes = {**fleet.candidates, **{name: answer.node for name, answer in answers.items()}}
    for name, reason in silent.items():
        nodes[name] = Node(name, "unreachable", reason, local=nodes[name].local)
    if fleet.fallback is not None and not _takes_over(fleet, fleet.fallback.name, answers):
        del nodes[fleet.fallback.name]
    ranking = rank(nodes.values(), Need(), fleet.config.load_weights)
    ranked = {entry.host: entry for entry in ranking}
    told = {name: answer.agents for name, answer in answers.items()}
    return [node_row(ranked[name], told.get(name, ())) for name in nodes]


def _takes_over(fleet: Fleet, name: str, answers: Mapping[str, Answer]) -> bool:
    """Whether the controller of this name could get a job that no node takes.

    Not if it is one of the nodes already, by its own address: that one's row tells all of it. And
    not without any node, as a broken -i leaves it: a run refuses to begin then.
    """
    if not fleet.falls_back or not fleet.names:
        return False
    own = answers.get(name)
    others = {answer.store for other, answer in answers.items() if other != name}
    return own is None or own.store is None or own.store not in others


def node_row(entry: Ranked, agents: Sequence[Mapping[str, Any]] = ()) -> NodeRow:
    """A node with its place in the ranking, for people and scripts.

    agents: what it tells of its own.
    """
    node = entry.node
    is_measured = node.state == "measured"
    age = None
    if node.measured_at is not None:
        age = round(max(0.0, time.time() - node.measured_at), 1)
    return {
        "name": node.name,
        "state": node.state,
        "local": node.local,
        "usable": entry.rejected is None,
        "reason": entry.rejected or node.reason,
        "score": entry.score,
        "load": {part: node.load.get(part) for part in LOAD_PARTS},
        "cpus": node.cpus if is_measured else None,
        "slots": slots_of(node),
        "agents": None if node.agents is None else sorted(node.agents),
        "agent_details": [
            {
                "name": str(agent.get("name")),
                "version": text_of(agent.get("version")),
                "logged_in": text_of(agent.get("logged_in")) or "unknown",
            }
            for agent in agents
        ],
        "measured_at": node.measured_at,
        "age": age,
    }


def attempt_row(
    node: str, reply: Mapping[str, Any], signature: Verdict | None = None
) -> StatusAttempt:
    """What a node, asked under this name, says of an attempt, and what its signature is worth."""
    ended = reply.get("ended")
    if not isinstance(ended, Mapping):
        ended = {}
    signs = reply.get("signs")
    if not isinstance(signs, Mapping):
        signs = {}
    failure = text_of(ended.get("class"))
    proof = ended.get("proof")
    message = text_of(ended.get("message"), SENTENCE_MOST)
    if signature == "wrong":
        proof = None
        message = WRONG
    return {
        "attempt": text_of(reply.get("attempt")),
        "node": node,
        "run_id": text_of(reply.get("run_id")),
        "job": text_of(reply.get("job")),
        "status": status_of(str(reply.get("state")), failure, proof),
        "signature": signature,
        "class": failure,
        "message": message,
        "agent": text_of(reply.get("agent")),
        "project": text_of(reply.get("project_path"), PATH_MOST),
        "controller": text_of(reply.get("controller")),
        "begun_at": number_of(reply.get("begun_at")),
        "ended_at": number_of(reply.get("ended_at")),
        "seconds": number_of(reply.get("seconds")),
        "cost_usd": number_of(ended.get("cost_usd", signs.get("cost_usd"))),
        "tokens": tokens_in(ended),
        "quota_kind": text_of(ended.get("kind")) if failure == "quota" else None,
        "quiet": number_of(signs.get("quiet")),
        "waits": text_of(signs.get("waits"), SENTENCE_MOST) or None,
        "awake": text_of(signs.get("awake"), SENTENCE_MOST) or None,
    }
