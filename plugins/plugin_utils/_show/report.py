# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read of a run, a plan and the commands, from their documents; nothing is computed.

The panels of `status` and `specialists` are in panels.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .agent_events import readable_lines
from .costs import run_cost_lines
from .ends import MARKS, end_words, job_words, run_sentences
from .figures import duration
from .run_words import NO_CHANGES, changes, lines_of_tests, warnings, without_changes
from .text import GAP, how_many, some, spoken, table

# What is said of an attempt that was to be cancelled, by its state.
CANCELLED = {"void": "never began", "running": "still ending: ask again"}
# What is said of an attempt whose harvest is not there, by its state.
NOT_HARVESTED = {"running": "still running", "dead": "its supervisor died"}
# How many files in conflict stand below each other.
FILES_MOST = 5
# Of how many jobs that did not succeed the end of the log is shown.
TAILS_MOST = 5
# How many paths that a sync would send are listed.
PATHS_MOST = 50
# Classes of a job whose agent never began: the fault is a node's, or lies on the way there.
BEFORE_THE_AGENT = frozenset({"unreachable", "sync", "refused", "start"})
# Classes of a job that the run takes up when it is called again, beside those whose work is kept.
TAKEN_UP_AGAIN = BEFORE_THE_AGENT | {"input", "login", "queue", "quota"}
# From how many nodes on those with the same reason share a line.
ALIKE_LEAST = 3
MEGABYTE = 1e6

# A document, or a row of one, as it came back through Ansible: data without types. Its keys are
# explained where it is made.
Row = Mapping[str, Any]


# -- a run


def run_summary(run: Row) -> list[str]:
    """The summary of a run, from run.json."""
    jobs: Sequence[Row] = run["jobs"]
    is_open = any(row["status"] in ("running", "waiting") for row in jobs)

    lines = [run_sentences(run)]
    lines += table([_job_cells(row) for row in jobs])
    tails = [row for row in jobs if row.get("log_tail")][:TAILS_MOST]
    for row in jobs:
        lines += _indented(_next_steps(run["command"], row))
        if row in tails:
            lines += [
                f"  {row['name']}: its log ends:",
                *(f"    | {each}" for each in row["log_tail"]),
            ]
    for conflict in run.get("conflicts", ()):
        lines += _indented(_conflict_lines(conflict))
    lines += _indented(lines_of_tests(run))
    if any(row["class"] in BEFORE_THE_AGENT for row in jobs):
        lines.append(f"  what keeps jobs from a node: {run['command']} distributed.gummy.doctor")
    lines += _indented(_how_to_go_on(run["run_id"], jobs, is_open=is_open))
    lines += run_cost_lines(run)
    lines.append(f"record: {run['folder']}/run.json")
    lines.append(f"report: {run['folder']}/report.html")
    return lines


def _how_to_go_on(run_id: str, jobs: Sequence[Row], *, is_open: bool) -> list[str]:
    """What is typed next for the run as a whole."""
    again = f"the same command with -e gummy_run_id={run_id}"
    lines = []
    if is_open:
        lines.append(f"call the run again for the rest: {again}")
    elif any(map(_is_taken_up_again, jobs)):
        lines.append(f"once that is mended, to go on: {again}")
    if any(map(_is_done_anew, jobs)):
        lines.append(f"to do anew what did not succeed: {again} -e gummy_only=failed")
    return lines


def _is_taken_up_again(row: Row) -> bool:
    """Whether the run that is called again does this job, or goes on with it."""
    if row["status"] in ("lost", "skipped"):
        return True
    has_begun = bool(row["attempts"])
    return row["class"] in TAKEN_UP_AGAIN or (row["class"] == "budget" and not has_begun)


def _is_done_anew(row: Row) -> bool:
    """Whether it takes a word of the user's to do this job once more: its agent has worked."""
    if row["status"] not in ("failed", "cancelled", "unproven") or _is_taken_up_again(row):
        return False
    # Work that is done and kept is brought home, not done anew.
    return row["class"] not in ("harvest", "deliver")


def _job_cells(row: Row) -> list[str]:
    seconds = "" if row["seconds"] is None else spoken(row["seconds"])
    mark = MARKS[row["status"]]
    return [mark, row["name"], job_words(row), row["node"] or "-", seconds, _outcome(row)]


def _outcome(row: Row) -> str:
    """What a job has changed and where that is, or why it has not."""
    delivered = row.get("delivered")
    if delivered:
        text = GAP.join(filter(None, [changes(row), f"branch {delivered['branch']}"]))
        files = delivered.get("files")
        if files is not None and files != row["files_changed"]:
            # The agent's own commits may hold what no patch does.
            text += f" changes {files}"
        if delivered["note"]:
            text += f" ({delivered['note']})"
        return text
    if row["patch"]:
        return f"{changes(row)}{GAP}{row['patch']}"
    if row["status"] != "success" and row["message"]:
        return str(row["message"])
    words = without_changes(row)
    return words if words == NO_CHANGES else f"{words} (run.json)"


def _next_steps(command: str, row: Row) -> list[str]:
    """What a person should look at, or can do about a job that did not end well.

    command: of ansible-playbook.
    """
    steps = []
    is_bad = row["status"] not in ("success", "skipped", "running", "waiting")
    if is_bad and row["message"] and row["patch"]:
        # The patch has taken the place where the message stands else.
        steps.append(f"{row['name']}: {row['message']}")

    steps += [f"{row['name']}: {each}" for each in warnings(row)]

    if row["status"] == "lost" and row["attempts"]:
        harvest = _harvest_command(command, row)
        steps.append(f"{row['name']}: when {row['node']} is back: {harvest}")
    elif row["class"] == "harvest" and row["attempts"]:
        harvest = _harvest_command(command, row)
        steps.append(f"{row['name']}: once that is mended: {harvest}")
    elif row["status"] in ("failed", "unproven") and row["folder"]:
        steps.append(f"{row['name']}: log {row['folder']}/log")
    return steps


def _harvest_command(command: str, row: Row) -> str:
    return f"{command} distributed.gummy.harvest -e gummy_job={row['attempts'][-1]['id']}"


def _conflict_lines(conflict: Row) -> list[str]:
    files: Sequence[Row] = conflict["files"]
    lines = [f"{row['path']} is changed by {some(row['jobs'])}" for row in files[:FILES_MOST]]
    if len(files) > FILES_MOST:
        lines.append(f"and {len(files) - FILES_MOST} more files")

    order = f"patches of {conflict['project']} apply in this order: {', '.join(conflict['order'])}"
    left = conflict["left"]
    if left:
        verb = "do" if len(left) > 1 else "does"
        order += f"; after them {', '.join(left)} {verb} not apply: merge by hand"
    lines.append(order)
    if conflict.get("unread"):
        lines.append(f"not looked at for that: the patches of {some(conflict['unread'])}")
    return lines


# -- a plan


def plan_text(plan: Row) -> list[str]:
    """Where each job would go and why, the nodes as the jobs see them, and whose settings count.

    Of each kind of job the first one's view is shown: score, slots, age of the load, why, and what
    would have to change.
    """
    lines = ["plan: nothing is changed", *table([_plan_cells(row) for row in plan["jobs"]])]
    shown = set[tuple[Any, ...]]()
    for row in plan["jobs"]:
        view = _view_of(row)
        if row["ranking"] and view not in shown:
            lines.append(f"nodes as seen by {row['name']} ({row['task_type']}):")
            lines += _indented(_ranking_lines(row["ranking"]))
        shown.add(view)
    lines += left_out_lines(plan["left_out"])
    if plan.get("settings"):
        lines += _settings_lines(plan["settings"], plan["config"])
    return [*lines, *plan["notes"]]


def _settings_lines(rows: Sequence[Row], config: Row) -> list[str]:
    """Who said what: a line for each place where settings can be given, those of the file whole."""
    names: dict[str, list[str]] = {}
    overridden = []
    for row in rows:
        place = row["file"] or row["source"]
        # Of what has several settings, as keep, the file's key is enough for people.
        name = row["name"].partition(".")[0] if row["file"] else row["name"]
        names.setdefault(place, []).append(name)
        if row["instead_of"]:
            overridden.append(row["instead_of"].rpartition(": ")[2])
    names.pop("default", None)

    cells = [[place, ", ".join(dict.fromkeys(each))] for place, each in names.items()]
    rest = "all else"
    if overridden:
        rest += f"; of the config file these do not count: {', '.join(overridden)}"
    if not config["exists"]:
        rest += f"; there is no {config['path']}"
    return ["where the settings come from:", *_indented(table([*cells, ["default", rest]]))]


def _plan_cells(row: Row) -> list[str]:
    node = row["node"]
    if not node:
        node = "waits" if row["waits"] else "nowhere"
    return [row["name"], "->", node, row["why"]]


def _view_of(row: Row) -> tuple[Any, ...]:
    """What tells how this job sees the nodes: its kind, and who can't take it."""
    rejected = sorted(
        (entry["host"], entry["rejected"]) for entry in row["ranking"] if _is_out(entry)
    )
    return (row["task_type"], *rejected)


def _is_out(entry: Row) -> bool:
    """Whether a node can't take the job, and it is not merely full."""
    return bool(entry["rejected"] and not entry["waits"])


def _ranking_lines(ranking: Sequence[Row]) -> list[str]:
    """A line for each node; one for several that can't take the job for the same reason."""
    alike: dict[str, list[str]] = {}
    for entry in ranking:
        if _is_out(entry):
            alike.setdefault(_why(entry), []).append(entry["host"])
    many = {why: names for why, names in alike.items() if len(names) >= ALIKE_LEAST}
    single = [entry for entry in ranking if _why(entry) not in many]
    return [
        *table([_node_cells(entry) for entry in single]),
        *(f"{some(names)}: {why}" for why, names in many.items()),
    ]


def _node_cells(entry: Row) -> list[str]:
    score = "-"
    if not entry["rejected"] and entry["score"] is not None:
        score = f"{entry['score']:.2f}"
    age = ""
    if entry["age"] is not None:
        age = f"{duration(entry['age'])} old"
    return [entry["host"], score, f"{entry['busy']}/{entry['slots']} slots", age, _why(entry)]


def _why(entry: Row) -> str:
    return "; ".join(filter(None, [entry["reason"], entry["change"]]))


def left_out_lines(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Machines that the inventory has no host for: a line for each reason."""
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row["reason"], []).append(row["name"])
    return [f"left out of the inventory ({reason}): {some(each)}" for reason, each in names.items()]


# -- the commands


def sync_text(sync: Row) -> list[str]:
    """What `sync` has done, or would."""
    check = sync.get("check", False)
    outside = [
        f"taken along, as a part of its repository: {folder}" for folder in sync.get("outside", [])
    ]
    head = f"sync {'(check) ' if check else ''}{sync['project']}; left out: {sync['excluded']}"
    if check:
        return [head, *outside, *_foreseen_sync(sync["nodes"])]
    rows = [
        [MARKS[row["status"]], row["node"], spoken(row.get("seconds", 0)), row["message"]]
        for row in sync["nodes"]
    ]
    return [head, *outside, *table(rows)]


def _foreseen_sync(rows: Sequence[Row]) -> list[str]:
    """What would be sent to each node, and the paths, once for nodes that would get the same."""
    cells = []
    names: dict[tuple[str, ...], list[str]] = {}
    changes: dict[tuple[str, ...], int] = {}
    for row in rows:
        good = row["status"] == "success"
        message = f"would send {row['message']}" if good else row["message"]
        if row.get("deleted"):
            message += f", delete {row['deleted']}"
        cells.append([MARKS[row["status"]], row["node"], message])
        paths = tuple(row.get("paths", ()))
        if paths:
            names.setdefault(paths, []).append(row["node"])
            changes[paths] = row["changes"]

    lines = table(cells)
    for paths, nodes in names.items():
        lines.append(f"to {', '.join(nodes)}:")
        lines += _indented(paths[:PATHS_MOST])
        left = changes[paths] - len(paths[:PATHS_MOST])
        if left:
            lines.append(f"  and {left} more")
    return lines


def logs_text(logs: Row) -> list[str]:
    """Each log under a head of its own, then who gave no answer.

    Of logs that were followed all has been shown but how their attempts ended.
    """
    lines = []
    most = logs.get("lines")
    for row in logs["attempts"]:
        lines.append(
            f"== {row['run_id']}/{row['job']} on {row['node']}, "
            f"attempt {row['attempt']}, {_state_of_log(row)}"
        )
        if not logs.get("followed"):
            log = readable_lines(row["agent"], row["log"], raw=logs.get("raw", False))
            lines += log if most is None else log[-most:]
        if row.get("message"):
            lines.append(f"({row['message']})")
    return [*lines, *_silent_lines(logs)]


def _state_of_log(row: Row) -> str:
    """The attempt's state, and of one that has ended how."""
    ended = row.get("ended")
    if row["state"] != "ended" or not ended:
        return str(row["state"])
    return ": ".join(filter(None, [end_words(ended), ended.get("message")]))


def _silent_lines(document: Row) -> list[str]:
    """Who gave no answer."""
    return [f"no answer from {node}: {reason}" for node, reason in document["no_answer"].items()]


def cancel_text(cancel: Row) -> list[str]:
    """What `cancel` has done, or would."""
    check = cancel.get("check", False)
    rows = [
        [
            f"{row['run_id']}/{row['job']}",
            row["node"],
            row.get("message") or _how_cancelled(row, check=check),
        ]
        for row in cancel["attempts"]
    ]
    stopped = []
    if cancel.get("stopped"):
        verb = "would begin" if check else "begins"
        stopped.append(f"the run {verb} nothing more")
    return [*table(rows), *stopped, *_silent_lines(cancel)]


def _how_cancelled(row: Row, *, check: bool) -> str:
    state = str(row["state"])
    if check and row.get("cancelled"):
        return f"{state}: would be ended"
    if state == "ended":
        return end_words(row["ended"]) if row.get("ended") else state
    return CANCELLED.get(state, state)


def harvest_text(harvest: Row) -> list[str]:
    """What `harvest` has done."""
    rows = []
    for row in harvest["attempts"]:
        result = ", ".join(filter(None, [row.get("folder"), row.get("message")]))
        if not result:
            result = NOT_HARVESTED.get(row["state"], "never began")
        state = row["state"]
        if state == "ended" and row.get("ended"):
            state = end_words(row["ended"])
        rows.append([f"{row['run_id']}/{row['job']}", row["node"], state, result])
    return [*table(rows), *_silent_lines(harvest)]


def clean_text(clean: Row) -> list[str]:
    """What `clean` has taken away, or would."""
    verb = "would free" if clean["check"] else "freed"
    runs: Sequence[Row] = clean["runs"]
    rows = [_cleaned_cells(row) for row in clean["nodes"]]
    run_names = some([row["name"] for row in runs]) or "nothing"
    kept = (
        "kept: what runs, what is not acknowledged, and what is young enough "
        "(keep in the config file)"
    )
    rows.append(["runs here", _megabytes(sum(row["bytes"] for row in runs)), run_names])
    return [
        f"clean {verb} {_megabytes(clean['bytes'])}",
        *_indented(table(rows)),
        kept,
        *_silent_lines(clean),
    ]


def _cleaned_cells(row: Row) -> list[str]:
    counts = []
    for what in ("attempt", "workspace", "program"):
        count = _count(row["removed"], what=what)
        if count:
            counts.append(how_many(count, what))
    return [row["node"], _megabytes(row["bytes"]), ", ".join(counts) or "nothing"]


# -- words


def _count(rows: Sequence[Row], **wanted: str) -> int:
    """How many rows have these values."""
    return len([row for row in rows if all(row[key] == wanted[key] for key in wanted)])


def _megabytes(count: float) -> str:
    return f"{count / MEGABYTE:.1f} MB"


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


# -- install


# What stands before a node, by its state; a cross for the others.
INSTALL_MARKS = {"usable": "✓", "missing": "…"}
# What is said of a node of which the reasons say the rest, by its state.
INSTALL_HEADS = {
    "unusable": "has it, and can't use it:",
    "refused": "can't be given it:",
    "no_answer": "gave no answer:",
}


def install_text(document: Row) -> list[str]:
    """Which nodes have the agent, and what would be run on those that lack it.

    Nodes of which the same is to be said share it.
    """
    agent = document["agent"]
    nodes: Sequence[Row] = document["nodes"]
    usable = sum(row["state"] == "usable" for row in nodes)

    alike: dict[tuple[str, ...], list[str]] = {}
    for row in nodes:
        words = (row["state"], _install_head(row), *row["lines"], *row["reasons"])
        alike.setdefault(words, []).append(row["name"])

    lines = [f"install: {usable} of {how_many(len(nodes), 'node')} can use {agent}"]
    for (state, head, *rest), names in alike.items():
        lines.append(f"{INSTALL_MARKS.get(state, '✗')} {', '.join(names)}  {head}")
        lines += _indented(_indented(rest))
    return lines


def _install_head(row: Row) -> str:
    if row["state"] == "usable":
        return row["path"] or "has it"
    if row["state"] == "missing":
        way = "your own command" if row["way"] == "command" else row["way"]
        return f"to be installed by {way}:"
    return INSTALL_HEADS[row["state"]]
