# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How busy a node is: one sh script, and one parser of what it prints."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._links.at_once import CompletedCommand
from .._links.ssh_failures import why_ssh_failed
from .._schedule.placement import LOAD_PARTS, score

_FOLDER = Path(__file__).parent

# Shell functions that print how busy a node is, and the program that prints all the rest too.
LOAD_FUNCTIONS = (_FOLDER / "load.sh").read_text(encoding="utf-8")
_PROBE = (_FOLDER / "probe.sh").read_text(encoding="utf-8")

# What a node's /bin/sh gets on its stdin to tell all of itself.
SCRIPT = LOAD_FUNCTIONS + _PROBE

# The same for a node whose other facts are known: its CPU is what it did since the sample before.
LOAD_SCRIPT = LOAD_FUNCTIONS + "{ load; say done; } < /dev/null 2> /dev/null\n"

LINE = re.compile(r"@gummy-probe (\S+) ?(.*?) @end\r?$", re.MULTILINE)
NUMBER = re.compile(r"\d{1,18}(?:[.,]\d{1,9})?")


@dataclass(frozen=True)
class Measurement:
    """What the script's output says; what it does not say is None.

    `load`: 0..1 each; `free`: bytes.
    """

    begun: bool = False
    done: bool = False
    load: Mapping[str, float | None] = field(default_factory=lambda: dict.fromkeys(LOAD_PARTS))
    cpus: int | None = None
    busy: int = 0
    os: str | None = None
    agents: tuple[str, ...] | None = None
    free: int | None = None
    python: str | None = None
    python_path: str | None = None


def parse(text: str) -> Measurement:
    """Read the script's output, or one with a later LOAD_SCRIPT's behind it.

    Other lines, cut lines and what is no number count as not there.
    """
    lines: dict[str, list[str]] = {}
    for key, value in LINE.findall(text):
        lines.setdefault(key, []).append(value)
    last = {key: values[-1] for key, values in lines.items()}
    cpus = _whole(last.get("cpus"), 1, 65536)
    cpu, io_wait = _linux_cpu(lines.get("stat", [])[-2:])
    averages = _numbers(last.get("loadavg", ""))
    free = re.search(r"\d+\s+\d+\s+(\d+)\s+\d+%", last.get("disk", ""))
    python = re.match(r"Python (\d{1,3}\.\d{1,3}\.\d{1,3})\S* (/.*)", last.get("python", ""))
    programs = set(last["programs"].split()) if "programs" in last else None
    return Measurement(
        begun="begin" in last,
        done=0 < len(lines.get("done", ())) == len(lines.get("begin", ())),
        load={
            "cpu": cpu if cpu is not None else _macos_cpu(last.get("top", "")),
            "memory": _linux_memory(last)
            if "MemTotal:" in last
            else _macos_memory(last, lines.get("vm", [])[-4:]),
            "load_average": round(min(1.0, averages[0] / cpus), 4) if averages and cpus else None,
            "io_wait": io_wait,
        },
        cpus=cpus,
        os=last["os"] if last.get("os") in ("linux", "macos") else None,
        busy=_whole(last.get("busy"), 0, 65536) or 0,
        agents=None if programs is None else _agents(programs),
        free=int(free.group(1)[:15]) * 1024 if free else None,
        python=python.group(1) if python else None,
        python_path=python.group(2) if python else None,
    )


def default_slots(cpus: int | None) -> int:
    return max(1, (cpus or 1) // 2)


def _measured(
    text: str, slots: int | None, weights: Mapping[str, float], now: float, trouble: str | None
) -> dict[str, Any]:
    """`gummy_facts` of a node that answered; `trouble`: why the output may be incomplete."""
    seen = parse(text)
    measured = any(value is not None for value in seen.load.values())
    if measured:
        reason = None if seen.done else f"only in part: {trouble or 'its answer is cut short'}"
    else:
        reason = trouble or "nothing can be measured there"
    record = no_facts("measured" if measured else "unknown", reason, slots)
    total = slots or default_slots(seen.cpus)
    record.update(
        load=dict(seen.load),
        cpus=seen.cpus,
        os=seen.os,
        slots={"total": total, "busy": seen.busy},
        agents=None if seen.agents is None else list(seen.agents),
        disk=None if seen.free is None else {"free": seen.free},
        python=seen.python,
        python_path=seen.python_path,
    )
    if measured:
        value = score(seen.load, weights, "general", seen.busy, total)
        record.update(
            source="probe", measured_at=now, score=None if value is None else round(value, 4)
        )
    return record


def no_facts(state: str, reason: str | None, slots: int | None = None) -> dict[str, Any]:
    """`gummy_facts` of a node of which nothing is known. state: unknown (it may be reachable),
    unreachable.
    """
    return {
        "state": state,
        "reason": reason,
        "load": dict.fromkeys(LOAD_PARTS),
        "cpus": None,
        "os": None,
        "slots": {"total": slots or 1, "busy": 0},
        "agents": None,
        "disk": None,
        "python": None,
        "python_path": None,
        "source": None,
        "measured_at": None,
        "score": None,
        "via": None,
    }


def has_answered(outcome: CompletedCommand) -> bool:
    """Whether the script ran on the node, or began to."""
    return LINE.search(outcome.out) is not None


def is_silent(outcome: CompletedCommand) -> bool:
    """Whether waiting for it took as long as it was allowed to."""
    if has_answered(outcome):
        return False
    return outcome.tried and (
        outcome.status is None or (outcome.status == 255 and "timed out" in outcome.err)
    )


def facts_of(
    outcome: CompletedCommand, slots: int | None, weights: Mapping[str, float], now: float
) -> dict[str, Any]:
    """`gummy_facts`: measured, reachable with load unknown, or not reachable, never mixed up.
    slots: as configured, if they are; now: of the answer.
    """
    if has_answered(outcome):
        return _measured(outcome.out, slots, weights, now, outcome.trouble)
    if outcome.status is None:
        return no_facts("unreachable" if outcome.tried else "unknown", outcome.trouble, slots)
    if outcome.status != 255:
        said = _last_line(outcome.err) or _last_line(outcome.out) or "it printed nothing"
        return no_facts(
            "unknown", f"the probe does not run there (exit status {outcome.status}): {said}", slots
        )
    return no_facts("unreachable", why_ssh_failed(outcome.err)[1], slots)


def _linux_cpu(samples: Sequence[str]) -> tuple[float | None, float | None]:
    """(busy, waiting for disks) between two lines of /proc/stat: cpu user nice system idle iowait
    irq softirq steal ...
    """
    rows = [
        [int(word) for word in sample.split()[1:9] if re.fullmatch(r"\d{1,18}", word)]
        for sample in samples
    ]
    if len(rows) != 2 or len(rows[0]) != len(rows[1]) or len(rows[0]) < 4:
        return None, None
    spent = [max(0, after - before) for before, after in zip(*rows, strict=True)]
    total = sum(spent)
    if not total:
        return None, None
    waited = spent[4] if len(spent) > 4 else 0
    return round((total - spent[3] - waited) / total, 4), round(waited / total, 4) if len(
        spent
    ) > 4 else None


def _macos_cpu(usage: str) -> float | None:
    """ "5.12% user, 10.25% sys, 84.61% idle"."""
    idle = re.search(r"([\d.,]+)% idle", usage)
    value = _numbers(idle.group(1)) if idle else []
    return round(1 - value[0] / 100, 4) if value and value[0] <= 100 else None


def _linux_memory(last: Mapping[str, str]) -> float | None:
    return _used(_whole(last.get("MemAvailable:"), 0), _whole(last.get("MemTotal:"), 1))


def _macos_memory(last: Mapping[str, str], lines: Sequence[str]) -> float | None:
    text = "\n".join(lines)
    page = re.search(r"page size of (\d{1,9}) bytes", text)
    pages = re.findall(r"^Pages (?:free|inactive|speculative):\s+(\d{1,15})", text, re.MULTILINE)
    return (
        _used(sum(map(int, pages)) * int(page.group(1)), _whole(last.get("memsize"), 1))
        if page and len(pages) == 3
        else None
    )


def _used(available: int | None, total: int | None) -> float | None:
    return (
        None
        if available is None or not total or available > total
        else round(1 - available / total, 4)
    )


def _agents(programs: set[str]) -> tuple[str, ...]:
    """The usable agents: gummy needs claude and jq, and claude refuses root."""
    if "is-root" in programs or "claude" not in programs:
        return ()
    return ("gummy", "claude") if {"gummy", "jq"} <= programs else ("claude",)


def _numbers(text: str) -> list[float]:
    return [
        value
        for word in NUMBER.findall(text)
        if math.isfinite(value := float(word.replace(",", ".")))
    ]


def _whole(text: str | None, least: int, most: int = 2**62) -> int | None:
    return (
        int(text)
        if text is not None and re.fullmatch(r"\d{1,18}", text) and least <= int(text) <= most
        else None
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(filter(str.isprintable, lines[-1]))[:200] if lines else ""
