# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How busy a node is: one script for its shell, and one parser of what that prints."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .._links.at_once import CompletedCommand
from .._links.reader import is_path
from .._links.shell_path import SHELL_PATH
from .._links.ssh_failures import waits_for_a_person, why_ssh_failed
from .._links.words import asks_a_person, told_words
from .facts import NodeFacts, default_slots, make_facts, no_facts, no_load, score_of

_FOLDER = Path(__file__).parent

# Shell functions that print how busy a node is, and the program that prints all the rest too.
LOAD_FUNCTIONS = (_FOLDER / "load.sh").read_text(encoding="utf-8")
_PROBE = (_FOLDER / "probe.sh").read_text(encoding="utf-8")

# What a node's /bin/sh gets on its stdin to tell all of itself.
SCRIPT = LOAD_FUNCTIONS + SHELL_PATH + _PROBE

# The same for a node whose other facts are known: its CPU is what it did since the sample before.
LOAD_SCRIPT = LOAD_FUNCTIONS + "{ load; say done; } < /dev/null 2> /dev/null\n"

# The same with two samples of the CPU, so that it tells the load of this moment.
NOW_SCRIPT = LOAD_FUNCTIONS + "{ load; second_cpu_sample; say done; } < /dev/null 2> /dev/null\n"

# How a line of the script's begins and ends. It may begin anywhere: start-up files may print others
# without a line break.
LINE_BEGIN = "@gummy-probe "
LINE_END = " @end"

# A line that says more than so many characters is none of the script's: patterns meet shorter ones
# only, and so can't be made to take long by what a node prints.
LONGEST_LINE = 4096

# Tools that each job needs beside its agent.
TOOLS = ("git", "rsync")

NUMBER = re.compile(r"\d{1,18}(?:[.,]\d{1,9})?")

# The words of a line of /proc/stat behind its name, as far as they add up to the time that passed:
# user nice system idle iowait irq softirq steal.
TIMES = 8
IDLE = 3
IO_WAIT = 4


# Agent -> the programs that it needs. The node program has the same; a test compares them.
NEEDS = {
    "gummy": {"gummy", "claude", "jq"},
    **{name: {name} for name in ("claude", "codex", "opencode", "qwen", "gemini")},
}


@dataclass(frozen=True)
class Measurement:
    """What the script's output says; what it does not say is None."""

    # Whether the script began on the node.
    begun: bool = False
    # Whether it came to its end, every time that it began.
    done: bool = False
    # Part of the load -> 0 (idle) to 1 (full).
    load: Mapping[str, float | None] = field(default_factory=no_load)
    cpus: int | None = None
    # How many slots are taken, by jobs of ours and by tasks of gummy that somebody started by hand.
    busy: int = 0
    # linux or macos.
    os: str | None = None
    # The agents that can be used there, as far as the script found them.
    agents: tuple[str, ...] | None = None
    # The agents and tools that it did not find, and a person may; None: it did not look.
    unseen: tuple[str, ...] | None = None
    # Bytes that are free in the home.
    free: int | None = None
    # The version of the Python that can run the node program, and where it is.
    python: str | None = None
    python_path: str | None = None
    # The version of the newest git that a session or a login shell finds.
    git: str | None = None


def parse(text: str) -> Measurement:
    """Read the script's output, or one with a later LOAD_SCRIPT's behind it.

    Other lines, cut lines and what is no number count as not there.
    """
    lines: dict[str, list[str]] = {}
    for key, value in lines_of(text):
        lines.setdefault(key, []).append(value)
    last = {key: values[-1] for key, values in lines.items()}

    cpus = _whole(last.get("cpus"), 1, 65536)
    free = re.search(r"\d+\s+\d+\s+(\d+)\s+\d+%", last.get("disk", ""))
    python = re.match(r"Python (\d{1,3}\.\d{1,3}\.\d{1,3})\S* (/.*)", last.get("python", ""))
    programs = last.get("programs")
    return Measurement(
        begun="begin" in last,
        done=0 < len(lines.get("done", ())) == len(lines.get("begin", ())),
        load=_load(lines, last, cpus),
        cpus=cpus,
        os=last["os"] if last.get("os") in ("linux", "macos") else None,
        busy=(_whole(last.get("busy"), 0, 65536) or 0)
        + (_whole(last.get("foreign"), 0, 65536) or 0),
        agents=None if programs is None else _agents(set(programs.split())),
        unseen=None if programs is None else _unseen(set(programs.split())),
        free=int(free.group(1)[:15]) * 1024 if free else None,
        python=python.group(1) if python else None,
        python_path=python.group(2) if python and is_path(python.group(2)) else None,
        git=_newest_git(lines.get("git", ())),
    )


def _newest_git(lines: Sequence[str]) -> str | None:
    """The highest version among what gits say of themselves."""
    found = (re.match(r"git version (\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?", line) for line in lines)
    versions = [tuple(int(part or 0) for part in match.groups()) for match in found if match]
    return ".".join(map(str, max(versions))) if versions else None


def lines_of(text: str) -> Iterator[tuple[str, str]]:
    """The script's lines as key and value. It takes time in proportion to the text, whatever it is.

    No pattern looks for them: one that may begin anywhere and has to reach the end tries each
    beginning again.
    """
    for line in text.split("\n"):
        begin = line.find(LINE_BEGIN)
        line = line.removesuffix("\r")
        if begin < 0 or not line.endswith(LINE_END):
            continue

        said = line[begin + len(LINE_BEGIN) : -len(LINE_END)]
        key, _blank, value = said.partition(" ")
        if key and len(said) <= LONGEST_LINE:
            yield key, value


def has_answered(outcome: CompletedCommand) -> bool:
    """Whether the script ran on the node, or began to."""
    return any(True for _line in lines_of(outcome.out))


def is_silent(outcome: CompletedCommand) -> bool:
    """Whether waiting for it took as long as it was allowed to."""
    if has_answered(outcome) or not outcome.tried or asks_a_person(outcome.err):
        return False
    return outcome.status is None or (outcome.status == 255 and "timed out" in outcome.err)


def facts_of(
    outcome: CompletedCommand, slots: int | None, weights: Mapping[str, float], now: float
) -> NodeFacts:
    """`gummy_facts`: measured, reachable with load unknown, or not reachable, never mixed up.

    slots: as configured, if they are; now: when the answer was given, in seconds since 1970.
    """
    if has_answered(outcome):
        return _measured(outcome, slots, weights, now)
    if outcome.status is None and asks_a_person(outcome.err):
        return no_facts("unreachable", waits_for_a_person(outcome.err), slots)
    if outcome.status is None:
        words = told_words(f"{outcome.err}\n{outcome.out}")
        reason = f"{outcome.trouble}, and it said: {words}" if words else outcome.trouble
        return no_facts("unreachable" if outcome.tried else "unknown", reason, slots)
    if outcome.status == 255:
        # Ssh itself failed: a program on the node that ends so has not begun either.
        return no_facts("unreachable", why_ssh_failed(outcome.err)[1], slots)
    printed = _last_line(outcome.err) or _last_line(outcome.out) or "it printed nothing"
    reason = f"the probe does not run there (exit status {outcome.status}): {printed}"
    return no_facts("unknown", reason, slots)


def _measured(
    outcome: CompletedCommand, slots: int | None, weights: Mapping[str, float], now: float
) -> NodeFacts:
    """`gummy_facts` of a node that answered, if only in part."""
    seen = parse(outcome.out)
    measured = any(value is not None for value in seen.load.values())
    if not measured:
        reason: str | None = outcome.trouble or "nothing can be measured there"
    elif not seen.done:
        reason = f"only in part: {outcome.trouble or 'its answer is cut short'}"
    else:
        reason = None
    facts = make_facts(
        "measured" if measured else "unknown",
        reason,
        {"total": slots or default_slots(seen.cpus), "busy": seen.busy},
        load=seen.load,
        cpus=seen.cpus,
        os=seen.os,
        agents=seen.agents,
        unseen=seen.unseen,
        disk_free=seen.free,
        python=seen.python,
        python_path=seen.python_path,
        git=seen.git,
        source="probe" if measured else None,
        measured_at=now if measured else None,
    )
    if measured:
        facts["score"] = score_of(facts, weights)
    return facts


def _load(
    lines: Mapping[str, Sequence[str]], last: Mapping[str, str], cpus: int | None
) -> dict[str, float | None]:
    """The parts of the load. lines: all values by key; last: the newest of each."""
    cpu, io_wait = _linux_cpu(lines.get("stat", ())[-2:])
    if cpu is None:
        cpu = _macos_cpu(last.get("top", ""))
    if "MemTotal:" in last:
        memory = _linux_memory(last)
    else:
        # Of the newest answer: the page size, and three kinds of pages.
        memory = _macos_memory(last, lines.get("vm", ())[-4:])
    averages = _numbers(last.get("loadavg", ""))
    load_average = None
    if averages and cpus:
        load_average = round(min(1.0, averages[0] / cpus), 4)
    return {"cpu": cpu, "memory": memory, "load_average": load_average, "io_wait": io_wait}


def _linux_cpu(samples: Sequence[str]) -> tuple[float | None, float | None]:
    """The shares of the time, between two lines of /proc/stat, in which the cpus worked or waited.

    Returns (busy, waiting for disks), 0 to 1 each; an old kernel does not tell the second.
    """
    rows = [
        [int(word) for word in sample.split()[1 : TIMES + 1] if re.fullmatch(r"\d{1,18}", word)]
        for sample in samples
    ]
    if len(rows) != 2 or len(rows[0]) != len(rows[1]) or len(rows[0]) <= IDLE:
        return None, None
    # Some counters may run backwards.
    spent = [max(0, after - before) for before, after in zip(*rows, strict=True)]
    total = sum(spent)
    if not total:
        return None, None
    if len(spent) <= IO_WAIT:
        return round((total - spent[IDLE]) / total, 4), None
    waited = spent[IO_WAIT]
    return round((total - spent[IDLE] - waited) / total, 4), round(waited / total, 4)


def _macos_cpu(usage: str) -> float | None:
    """The share of the time in which the cpus worked, of "5.12% user, 10.25% sys, 84.61% idle"."""
    idle = re.search(r"([\d.,]+)% idle", usage)
    percent = _numbers(idle.group(1)) if idle else []
    if not percent or percent[0] > 100:
        return None
    return round(1 - percent[0] / 100, 4)


def _linux_memory(last: Mapping[str, str]) -> float | None:
    return _used(_whole(last.get("MemAvailable:"), 0), _whole(last.get("MemTotal:"), 1))


def _macos_memory(last: Mapping[str, str], lines: Sequence[str]) -> float | None:
    text = "\n".join(lines)
    page = re.search(r"page size of (\d{1,9}) bytes", text)
    pages = re.findall(r"^Pages (?:free|inactive|speculative):\s+(\d{1,15})", text, re.MULTILINE)
    if not page or len(pages) != 3:
        return None
    available = sum(map(int, pages)) * int(page.group(1))
    return _used(available, _whole(last.get("memsize"), 1))


def _used(available: int | None, total: int | None) -> float | None:
    """The share of the memory that is used."""
    if available is None or not total or available > total:
        return None
    return round(1 - available / total, 4)


def _agents(programs: set[str]) -> tuple[str, ...]:
    """The usable agents: gummy needs claude and jq, and calls claude so that it refuses root."""
    usable = [name for name, needed in NEEDS.items() if needed <= programs]
    return tuple(name for name in usable if name != "gummy" or "is-root" not in programs)


def _unseen(programs: set[str]) -> tuple[str, ...]:
    """What was not found, and may be there all the same."""
    # Who has all of an agent and is root is refused by the agent, whatever else is found.
    needs = {**NEEDS, **{tool: {tool} for tool in TOOLS}}
    return tuple(name for name, needed in needs.items() if not needed <= programs)


def _numbers(text: str) -> list[float]:
    """The numbers of a text, whose locale may write a decimal comma."""
    values = (float(word.replace(",", ".")) for word in NUMBER.findall(text))
    return [value for value in values if math.isfinite(value)]


def _whole(text: str | None, least: int, most: int = 2**62) -> int | None:
    """The whole number that a text is, if it lies between these two."""
    if text is None or not re.fullmatch(r"\d{1,18}", text):
        return None
    number = int(text)
    return number if least <= number <= most else None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    return "".join(filter(str.isprintable, lines[-1][:LONGEST_LINE]))[:200]
