# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From facts to the rows of the document: what each check of the tables says of a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from . import controller_checks, node_checks
from .agent_checks import version_of
from .agents import AGENTS
from .controller_facts import ControllerFacts
from .node_facts import NodeFacts
from .verdicts import Check, Detail, Facts, Verdict, bad, good, unknown


class CheckRow(TypedDict):
    """What one check has found on one machine."""

    # How grave it is if it fails: critical, warning or info.
    category: str
    # ok, failed, or unknown: it can't be seen.
    status: str
    # What was found, one sentence.
    summary: str
    # What it was seen by; of a finding `why` tells why it matters.
    details: dict[str, Detail]
    # What mends it: a command as it is to be typed on the controller, or a sentence; null: nothing.
    remedy: str | None
    # How long it took to find out.
    seconds: float


def examine_controller(
    facts: ControllerFacts, nodes: Sequence[NodeFacts], seconds: float
) -> dict[str, CheckRow]:
    """The rows of the controller by check. seconds: what it took to gather its facts."""
    # They were gathered at once.
    rows = {
        check.id: _row(check, check.judge(facts), seconds) for check in controller_checks.CHECKS
    }
    rows[VERSIONS.id] = _row(VERSIONS, VERSIONS.judge(nodes), 0.0)
    return rows


def examine_node(facts: NodeFacts) -> dict[str, CheckRow]:
    """The rows of a node by check."""
    rows = {}
    for check in node_checks.CHECKS:
        if facts.answered or check.of_contact:
            verdict = check.judge(facts)
        else:
            verdict = unknown("it gave no answer")
        seconds = sum(facts.took.get(key, 0.0) for key in check.keys)
        rows[check.id] = _row(check, verdict, seconds)
    return rows


def _row(check: Check[Facts], verdict: Verdict, seconds: float) -> CheckRow:
    details = dict(verdict.details)
    if verdict.status == "failed":
        details["why"] = check.why
    return {
        "category": check.category,
        "status": verdict.status,
        "summary": verdict.summary,
        "details": details,
        "remedy": verdict.remedy,
        "seconds": round(seconds, 3),
    }


def _versions(nodes: Sequence[NodeFacts]) -> Verdict:
    """Whether all nodes have the same version of each agent."""
    different = []
    details: dict[str, Detail] = {}
    for agent, row in AGENTS.items():
        if not row.programs:
            continue
        versions: dict[str, list[str]] = {}
        for facts in nodes:
            version = version_of(agent, facts)
            if version is not None:
                versions.setdefault(version, []).append(facts.name)
        if len(versions) > 1:
            different.append(agent)
        if versions:
            details[agent] = "; ".join(
                f"{version}: {', '.join(names)}" for version, names in sorted(versions.items())
            )
    if not different:
        return good("no agent has two versions", **details)
    summary = "; ".join(f"{agent} has several versions ({details[agent]})" for agent in different)
    return bad(summary, "update the older ones on their nodes", **details)


# Of the whole fleet, and told with the controller.
VERSIONS = Check[Sequence[NodeFacts]](
    "agent_versions",
    "info",
    "Versions of an agent differ in what they can do and in how they tell their ends and costs.",
    _versions,
)


def overall(machines: Mapping[str, Mapping[str, CheckRow]]) -> str:
    """broken: a critical check failed; warning: another one did; else ok."""
    failed = {
        row["category"]
        for rows in machines.values()
        for row in rows.values()
        if row["status"] == "failed"
    }
    if "critical" in failed:
        return "broken"
    return "warning" if failed else "ok"
