# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read: the run's summary and the plan, from their documents; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .text import table

MARKS = {
    "success": "✓",
    "unproven": "?",
    "failed": "✗",
    "lost": "✗",
    "skipped": "-",
    "cancelled": "-",
    "running": "▶",
    "waiting": "…",
}


def run_summary(run: Mapping[str, Any]) -> list[str]:
    """run.json for people."""
    good = sum(row["status"] == "success" for row in run["jobs"])
    rows = []
    for row in run["jobs"]:
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f} s"
        status = row["status"] + (f" ({row['class']})" if row["class"] else "")
        rows.append(
            [MARKS[row["status"]], row["name"], status, row["node"] or "-", seconds, _outcome(row)]
        )
    open_ones = [
        (word, sum(row["status"] == status for row in run["jobs"]))
        for status, word in (("running", "running"), ("waiting", "waiting"))
    ]
    more = "".join(f", {count} {word}" for word, count in open_ones if count)
    lines = [
        f"run {run['run_id']}: {good} of {len(run['jobs'])} jobs good{more}, {run['seconds']:.1f} s",
        *table(rows),
    ]
    lines += [f"  {line}" for row in run["jobs"] for line in _next_steps(run["command"], row)]
    lines += [f"  {line}" for found in run.get("conflicts", ()) for line in _conflict(found)]
    if more:
        lines.append(
            f"  call the run again for the rest: the same command with -e gummy_run_id={run['run_id']}"
        )
    return [*lines, f"record: {run['folder']}/run.json"]


def _conflict(found: Mapping[str, Any]) -> list[str]:
    files = [f"{row['path']} is changed by {_some(row['jobs'])}" for row in found["files"]]
    order = ", ".join(found["order"])
    left = ", ".join(found["left"])
    then = (
        f"; after them {left} do{'' if len(found['left']) > 1 else 'es'} not apply: merge by hand"
        if left
        else ""
    )
    return [
        *files[:5],
        *([f"and {len(files) - 5} more files"] if len(files) > 5 else []),
        f"patches of {found['project']} apply in this order: {order}{then}",
    ]


def _outcome(row: Mapping[str, Any]) -> str:
    if row.get("delivered"):
        note = f" ({row['delivered']['note']})" if row["delivered"]["note"] else ""
        return f"{row['files_changed']} changed (+{row['lines_added']}/-{row['lines_deleted']})  branch {row['delivered']['branch']}{note}"
    if row["patch"]:
        return f"{row['files_changed']} changed (+{row['lines_added']}/-{row['lines_deleted']})  {row['patch']}"
    return row["message"] if row["status"] != "success" and row["message"] else "no changes"


def _next_steps(command: str, row: Mapping[str, Any]) -> list[str]:
    """What a person can do about a job that did not end well."""
    steps = []
    if (
        row["status"] not in ("success", "skipped", "running", "waiting")
        and row["message"]
        and row["patch"]
    ):
        steps.append(f"{row['name']}: {row['message']}")
    if row["status"] == "lost" and row["attempts"]:
        steps.append(
            f"{row['name']}: when {row['node']} is back: {command} distributed.gummy.harvest -e gummy_job={row['attempts'][-1]['id']}"
        )
    elif row["class"] == "harvest" and row["attempts"]:
        steps.append(
            f"{row['name']}: once that is mended: {command} distributed.gummy.harvest -e gummy_job={row['attempts'][-1]['id']}"
        )
    elif row["status"] in ("failed", "unproven") and row["folder"]:
        steps.append(f"{row['name']}: log {row['folder']}/log")
    return steps


def plan_text(plan: Mapping[str, Any]) -> list[str]:
    """The plan for people: where each job would go and why, then every node as the first job of
    each kind sees it: score, slots, age of the load, why, and what would have to change.
    """
    where = [
        [row["name"], "->", row["node"] or ("waits" if row["waits"] else "nowhere"), row["why"]]
        for row in plan["jobs"]
    ]
    lines = ["plan: nothing is changed", *table(where)]
    shown = set[tuple[Any, ...]]()
    for row in plan["jobs"]:
        kind = (
            row["task_type"],
            *sorted(
                (entry["host"], entry["rejected"])
                for entry in row["ranking"]
                if entry["rejected"] and not entry["waits"]
            ),
        )
        if row["ranking"] and kind not in shown:
            lines += [f"nodes as seen by {row['name']} ({row['task_type']}):"]
            lines += [f"  {line}" for line in _ranking_lines(row["ranking"])]
        shown.add(kind)
    return [*lines, *left_out_lines(plan["left_out"]), *plan["notes"]]


def _ranking_lines(ranking: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each node; one for several that can't take the job for the same reason."""
    alike: dict[str, list[str]] = {}
    for entry in ranking:
        if entry["rejected"] and not entry["waits"]:
            alike.setdefault(_why(entry), []).append(entry["host"])
    told = [entry for entry in ranking if len(alike.get(_why(entry), ())) < 3]
    return [
        *table([_node_cells(entry) for entry in told]),
        *(f"{_some(names)}: {why}" for why, names in alike.items() if len(names) > 2),
    ]


def _why(entry: Mapping[str, Any]) -> str:
    return "; ".join(filter(None, [entry["reason"], entry["change"]]))


def left_out_lines(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Machines that the inventory has no host for: a line for each reason."""
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row["reason"], []).append(row["name"])
    return [
        f"left out of the inventory ({reason}): {_some(each)}" for reason, each in names.items()
    ]


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(
        [*names[:most], *([f"and {len(names) - most} more"] if len(names) > most else [])]
    )


def _node_cells(entry: Mapping[str, Any]) -> list[str]:
    score = "-" if entry["rejected"] or entry["score"] is None else f"{entry['score']:.2f}"
    age = "" if entry["age"] is None else f"{entry['age']:.0f} s old"
    return [entry["host"], score, f"{entry['busy']}/{entry['slots']} slots", age, _why(entry)]


def sync_text(sync: Mapping[str, Any]) -> list[str]:
    rows = [
        [MARKS[row["status"]], row["node"], f"{row.get('seconds', 0):.1f} s", row["message"]]
        for row in sync["nodes"]
    ]
    return [f"sync {sync['project']}; left out: {sync['excluded']}", *table(rows)]


def logs_text(logs: Mapping[str, Any]) -> list[str]:
    return [f"no answer from {node}: {reason}" for node, reason in logs["no_answer"].items()]


def cancel_text(cancel: Mapping[str, Any]) -> list[str]:
    rows = []
    for row in cancel["attempts"]:
        ended = row.get("ended") or {}
        told = {
            "ended": f"ended ({ended.get('class') or 'good'})",
            "void": "never began",
            "running": "still ending: ask again",
        }.get(row["state"], row["state"])
        rows.append([f"{row['run_id']}/{row['job']}", row["node"], row.get("message") or told])
    return [*table(rows), *logs_text(cancel)]


def harvest_text(harvest: Mapping[str, Any]) -> list[str]:
    rows = []
    for row in harvest["attempts"]:
        state = {"running": "still running", "dead": "its supervisor died"}.get(
            row["state"], "never began"
        )
        place = ", ".join(filter(None, [row.get("folder"), row.get("message")])) or state
        rows.append([f"{row['run_id']}/{row['job']}", row["node"], row["state"], place])
    return [*table(rows), *logs_text(harvest)]


def clean_text(clean: Mapping[str, Any]) -> list[str]:
    verb = "would free" if clean["check"] else "freed"
    rows = []
    for row in clean["nodes"]:
        whats = [
            f"{count} {what}{'s' if count > 1 else ''}"
            for what in ("attempt", "workspace", "program")
            if (count := _count(row["removed"], what))
        ]
        rows.append([row["node"], f"{row['bytes'] / 1e6:.1f} MB", ", ".join(whats) or "nothing"])
    here = clean["runs"]
    rows.append(
        [
            "runs here",
            f"{sum(row['bytes'] for row in here) / 1e6:.1f} MB",
            _some([row["name"] for row in here]) or "nothing",
        ]
    )
    kept = "kept: what runs, what is not acknowledged, and what is young enough (keep in the config file)"
    return [
        f"clean {verb} {clean['bytes'] / 1e6:.1f} MB",
        *(f"  {line}" for line in table(rows)),
        kept,
        *logs_text(clean),
    ]


def _count(rows: Sequence[Mapping[str, Any]], what: str) -> int:
    return sum(row["what"] == what for row in rows)
