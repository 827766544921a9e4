# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report.html of a run: when which job was where, why there, what it cost and what it changed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .agent_events import readable_log
from .costs import (
    money,
    price_of_job,
    price_on_node,
    run_cost_words,
    share_lines_of_run,
    with_costs_of_jobs,
)
from .ends import MARKS, headline, job_words
from .markup import escaped, escaped_lines, lines_of
from .page import page
from .run_words import VERDICT_MARKS, changes, duration, result_words, unread_tests, warnings
from .text import how_many

Row = Mapping[str, Any]

# The class of an element by how a job, or the run, ended.
KINDS = {
    "success": "good",
    "failed": "bad",
    "lost": "bad",
    "unproven": "unsure",
    "running": "running",
    "unfinished": "running",
}
# Of a diff's line, by how it begins; the longer beginnings are looked at first.
DIFF_KINDS = (
    *(("+++", "hunk"), ("---", "hunk"), ("diff ", "hunk"), ("@@", "hunk")),
    *(("+", "add"), ("-", "del")),
)
# How many failed tests of a job are shown, and lines of a log.
TESTS_MOST = 200
LOG_LINES = 200
# The least share of the whole time that a bar is wide, in percent, so that it can be seen.
WIDTH_LEAST = 0.3


def html_of_run(run: Row, files: Mapping[str, Row]) -> str:
    """The text of report.html. files: what lies in the jobs' folders, by job."""
    run = with_costs_of_jobs(run)
    mark = VERDICT_MARKS.get(run["status"], "✗")
    kind = KINDS.get(run["status"], "bad")
    title = f"{run['run_id']}: {headline(run)}"
    body = [
        f'<h1><span class="{kind}">{mark}</span> {escaped(title)}</h1>',
        f'<p class="faint">{escaped(_facts(run))}</p>',
    ]
    body += [f'<p class="faint">cost {escaped(line)}</p>' for line in share_lines_of_run(run)]
    if run["message"]:
        body.append(f'<p class="bad">{escaped(run["message"])}</p>')
    body += _chart(run)
    body += _table_of_jobs(run["jobs"])
    body += _table_of_nodes(run)
    body.append("<h2>Each job</h2>")
    for number, row in enumerate(run["jobs"]):
        body += _job(number, row, files.get(row["name"], {}))
    return page(title, body)


def _facts(run: Row) -> str:
    when = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(run["begun_at"]))
    facts = [when, duration(run["seconds"]), run_cost_words(run)]
    if run.get("today_usd") is not None:
        facts.append(f"today {money(run['today_usd'])}")
    return " · ".join(filter(None, facts))


# -- the chart


def _chart(run: Row) -> Iterator[str]:
    """A row for each slot of each node, with the attempts that were there."""
    bars = [
        (number, row, attempt)
        for number, row in enumerate(run["jobs"])
        for attempt in row["attempts"]
        if attempt.get("begun_at") is not None
    ]
    if not bars:
        return
    now = run["begun_at"] + run["seconds"]
    # A run that was resumed has attempts from before this call of it.
    begin = min(attempt["begun_at"] for _number, _row, attempt in bars)
    end = max([now, *(attempt["ended_at"] or now for _number, _row, attempt in bars)])
    length = max(end - begin, 0.001)

    lanes: dict[str, dict[int, list[str]]] = {}
    for number, row, attempt in bars:
        of_node = lanes.setdefault(attempt["node"], {})
        attempt_bar = _bar(number, row, attempt, begin=begin, length=length, now=now)
        # Without a number, the attempt is from a run before there were any.
        of_node.setdefault(attempt["slot"] or 0, []).append(attempt_bar)

    yield "<h2>When and where</h2>"
    for node in sorted(lanes):
        yield f"<h3>{escaped(node)} {_about_node(run, node)}</h3>"
        for slot in sorted(lanes[node]):
            yield f'<div class="lane" title="slot {slot}">{"".join(lanes[node][slot])}</div>'
    ticks = [duration(length * part / 4) for part in range(5)]
    yield f'<div class="axis">{"".join(f"<span>{escaped(tick)}</span>" for tick in ticks)}</div>'


def _bar(number: int, row: Row, attempt: Row, *, begin: float, length: float, now: float) -> str:
    """An attempt, from its start to its end; what still runs goes on till now."""
    begun = attempt["begun_at"]
    ended = attempt["ended_at"] or now
    left = 100 * (begun - begin) / length
    width = min(100 - left, max(WIDTH_LEAST, 100 * (ended - begun) / length))
    is_last = attempt is row["attempts"][-1]
    kind = KINDS.get(row["status"], "left") if is_last else "left"
    words = f"{row['name']}, {duration(max(0.0, ended - begun))}"
    title = f"{words}, {job_words(row) if is_last else attempt['state']}"
    return (
        f'<a class="bar {kind}" href="#job-{number}" title="{escaped(title)}" '
        f'style="left:{left:.3f}%;width:{width:.3f}%">{escaped(row["name"])}</a>'
    )


def _about_node(run: Row, node: str) -> str:
    """Its system and its slots."""
    row = (run.get("nodes") or {}).get(node)
    if row is None:
        return ""
    words = ", ".join(filter(None, [row["os"], how_many(row["slots"], "slot")]))
    return f'<span class="faint">{escaped(words)}</span>'


# -- tables


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> str:
    """A table of cells that are escaped by now. numbers: the columns of numbers."""
    kinds = [' class="number"' if column in numbers else "" for column in range(len(heads))]
    # The last column holds sentences.
    kinds[-1] = ' class="words"'
    head = "".join(f"<th{kind}>{head}</th>" for kind, head in zip(kinds, heads, strict=True))
    lines = [
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True))
        for row in rows
    ]
    body = "</tr>\n".join(lines)
    return f'<div class="wide"><table><tr>{head}</tr>\n{body}</tr></table></div>'


def _table_of_jobs(jobs: Sequence[Row]) -> Iterator[str]:
    yield "<h2>Jobs</h2>"
    rows = [
        [
            f'<a href="#job-{number}">{escaped(row["name"])}</a>',
            _status(row),
            escaped(row["node"] or "–"),
            escaped(row["agent"]),
            escaped(duration(row["seconds"])),
            escaped(price_of_job(row)),
            escaped(result_words(row)),
        ]
        for number, row in enumerate(jobs)
    ]
    yield _table(["job", "status", "node", "agent", "time", "cost", "result"], rows, (4, 5))


def _status(row: Row) -> str:
    kind = KINDS.get(row["status"], "left")
    return f'<span class="{kind}">{MARKS[row["status"]]} {escaped(job_words(row))}</span>'


def _table_of_nodes(run: Row) -> Iterator[str]:
    """Each node with the load that was known of it last, its jobs, and what they cost."""
    loads: dict[str, Row] = {}
    for row in run["jobs"]:
        for entry in row["ranking"]:
            known = loads.get(entry["host"])
            if known is None or (entry["measured_at"] or 0) >= (known["measured_at"] or 0):
                loads[entry["host"]] = entry
    names = sorted({*loads, *(row["node"] for row in run["jobs"] if row["node"])})
    if not names:
        return
    rows = []
    for name in names:
        of_node = [row for row in run["jobs"] if row["node"] == name]
        rows.append(
            [
                escaped(name),
                str(len(of_node)),
                escaped(price_on_node(run, name)),
                *_load_cells(loads.get(name, {})),
                _about_node(run, name),
            ]
        )
    heads = ["node", "jobs", "cost", "cpu", "memory", "load average", "I/O wait", "about it"]
    yield "<h2>Nodes</h2>"
    yield _table(heads, rows, range(1, 7))


def _load_cells(entry: Row) -> list[str]:
    return [_percent(entry.get(part)) for part in ("cpu", "mem", "load_average", "io_wait")]


def _percent(part: float | None) -> str:
    return "–" if part is None else f"{100 * part:.0f} %"


# -- a job


def _job(number: int, row: Row, files: Row) -> Iterator[str]:
    """What is known of a job; open for one that did not end well."""
    is_open = " open" if KINDS.get(row["status"]) in ("bad", "unsure") else ""
    name = escaped(row["name"])
    yield f"<details{is_open}><summary>{_status(row)} &nbsp;<b>{name}</b></summary>"
    # A link to what is within an element that is closed opens it.
    yield f'<p id="job-{number}">{escaped(result_words(row))}</p>'
    if row["why"]:
        yield f"<p>On {escaped(row['node'])}: {escaped(row['why'])}</p>"
    facts = _facts_of_job(row)
    if facts:
        yield f'<p class="faint">{escaped(" · ".join(facts))}</p>'
    notes = (*warnings(row), *unread_tests(row))
    yield from (f'<p class="unsure">{escaped(note)}</p>' for note in notes)
    yield from _attempts(row)
    yield from _failed_tests(files)
    yield from _ranking(row)
    if files.get("patch"):
        yield from _diff(row, files)
    log = readable_log(row["agent"], row["class"], files.get("log", ""))[-LOG_LINES:]
    if log:
        yield "<h3>End of its log</h3>"
        yield f"<pre>{escaped_lines(chr(10).join(log))}</pre>"
    yield "</details>"


def _facts_of_job(row: Row) -> list[str]:
    facts = [
        row["agent"] + (f" {row['agent_version']}" if row["agent_version"] else ""),
        duration(row["seconds"]),
        # Its tokens stand beside it.
        f"cost {price_of_job({**row, 'tokens': None})}",
    ]
    if row["turns"] is not None:
        facts.append(how_many(row["turns"], "turn"))
    if row["tokens"]:
        tokens = row["tokens"]
        facts.append(f"{tokens['input']:,} tokens read, {tokens['output']:,} written")
    if row["proof"]:
        facts.append(f"proof: {row['proof']}")
    if row["exit_status"] is not None:
        facts.append(f"exit status {row['exit_status']}")
    if row["project"]:
        facts.append(row["project"])
    return facts


def _attempts(row: Row) -> Iterator[str]:
    if len(row["attempts"]) < 2:
        return
    yield "<h3>Attempts</h3>"
    rows = [
        [escaped(each["node"]), escaped(each["state"]), escaped(each["why"])]
        for each in row["attempts"]
    ]
    yield _table(["node", "state", "why there"], rows, ())


def _failed_tests(files: Row) -> Iterator[str]:
    failed = [
        (file["file"], case)
        for file in files.get("tests", ())
        for case in file["cases"]
        if case["outcome"] in ("failed", "error")
    ]
    if not failed:
        return
    yield f"<h3>{escaped(how_many(len(failed), 'failed test'))}</h3>"
    for name, case in failed[:TESTS_MOST]:
        title = ".".join(filter(None, [case["classname"], case["name"]]))
        message = f": {case['message']}" if case["message"] else ""
        yield f"<details><summary>{escaped(title + message)}</summary>"
        yield f'<p class="faint">{escaped(name)}</p><pre>{escaped_lines(case["text"])}</pre>'
        yield "</details>"
    if len(failed) > TESTS_MOST:
        yield f"<p>and {len(failed) - TESTS_MOST} more: junit.xml has all</p>"


def _ranking(row: Row) -> Iterator[str]:
    """How the nodes stood when the job was placed."""
    if not row["ranking"]:
        return
    rows = []
    for entry in row["ranking"]:
        score = "–"
        if not entry["rejected"] and entry["score"] is not None:
            score = f"{entry['score']:.2f}"
        why = "; ".join(filter(None, [entry["reason"], entry["change"]]))
        slots = f"{entry['busy']}/{entry['slots']}"
        rows.append([escaped(entry["host"]), score, *_load_cells(entry), slots, escaped(why)])
    heads = ["node", "score", "cpu", "memory", "load average", "I/O wait", "slots", "why"]
    yield "<details><summary>How the nodes stood</summary>"
    yield _table(heads, rows, range(1, 7))
    yield "</details>"


def _diff(row: Row, files: Row) -> Iterator[str]:
    lines = []
    for line in lines_of(files["patch"]):
        kind = next((kind for begin, kind in DIFF_KINDS if line.startswith(begin)), "")
        attribute = f' class="{kind}"' if kind else ""
        lines.append(f"<span{attribute}>{escaped_lines(line)}</span>")
    yield f"<details><summary>Changes: {escaped(changes(row))}</summary>"
    yield f"<pre>{''.join(lines)}</pre>"
    if files["patch_left"]:
        yield f"<p>{files['patch_left']:,} bytes more: {escaped(row['patch'])}</p>"
    yield "</details>"
