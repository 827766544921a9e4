# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How busy a node is: one sh script, one parser of what it prints, all nodes at once. This is private to the collection."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._at_once import Outcome, run_all
from ._placement import DEFAULT_WEIGHTS, LOAD_PARTS, score
from ._ssh_failures import why_ssh_failed

REMOTE_COMMAND = "/bin/sh -s"  # the same in every login shell; SCRIPT goes to its stdin

# The folder of a node's state. The node program has the same rule; a test compares them.
MACHINE_ID = """\
machine_id() {
  id=$(tr -cd 'A-Za-z0-9-' < /etc/machine-id)
  [ -n "$id" ] || id=$(ioreg -rd1 -c IOPlatformExpertDevice | sed -n 's/.*"IOPlatformUUID" = "\\([^"]*\\)".*/\\1/p' | tr -cd 'A-Za-z0-9-')
  [ -n "$id" ] || id=$(uname -n | tr -cd 'A-Za-z0-9-')
  printf '%s' "${id:-unknown}"
}
"""

# What is slow or may hang comes last. Nothing in it may read stdin: the script itself comes from there.
SCRIPT = (
    MACHINE_ID
    + """\
say() { printf '@gummy-probe %s @end\\n' "$*"; }
linux_load() {
  read -r line < /proc/stat && say stat "$line"
  sleep 0.25 || sleep 1
  read -r line < /proc/stat && say stat "$line"
  read -r line < /proc/loadavg && say loadavg "$line"
  while read -r key value rest; do
    case $key in MemTotal: | MemAvailable:) say "$key" "$value" ;; esac
  done < /proc/meminfo
}
macos_load() {
  say loadavg "$(sysctl -n vm.loadavg)"
  say memsize "$(sysctl -n hw.memsize)"
  vm_stat | while read -r line; do
    case $line in Mach* | Pages\\ free* | Pages\\ inactive* | Pages\\ speculative*) say vm "$line" ;; esac
  done
  say top "$(top -l 2 -n 0 -s 1 | sed -n 's/^CPU usage: //p' | tail -n 1)"
}
busy_slots() {
  busy=0
  for slot in "${XDG_STATE_HOME:-$HOME/.local/state}/distributed-gummy/$(machine_id)/slots"/*; do
    case ${slot##*/} in *[!0-9]*) continue ;; esac
    pid=
    [ -f "$slot" ] && read -r pid rest < "$slot"
    case $pid in '' | 0* | *[!0-9]*) continue ;; esac
    kill -0 "$pid" && busy=$((busy + 1))
  done
  say busy "$busy"
}
find_python() {
  for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9; do
    if found=$("$python" -I -S -c 'import sys; print("%d.%d.%d" % sys.version_info[:3], sys.executable); sys.exit(sys.version_info < (3, 9))'); then
      say python "$found"
      return
    fi
    old=${old:-$found}
  done
  say python "$old"
}
login_shell() {
  if command -v timeout > /dev/null; then timeout 2 "$@"; else "$@"; fi
}
find_agents() {
  listing=$(PATH=$session_path; login_shell "${SHELL:-/bin/sh}" -lc env)
  [ $? -ne 124 ] || return
  path=$(printf '%s\\n' "$listing" | sed -n 's/^PATH=//p' | tail -n 1)
  found=
  for program in gummy claude jq; do
    (PATH=${path:-$session_path}; command -v "$program" > /dev/null) && found="$found $program"
  done
  [ "$(id -u)" != 0 ] || [ "${IS_SANDBOX:-}" = 1 ] || found="$found is-root"
  say programs "$found"
}
probe() {
  LC_ALL=C
  session_path=$PATH
  PATH=$PATH:/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin:/usr/sbin:/sbin
  export LC_ALL PATH
  echo
  say begin
  say cpus "$(getconf _NPROCESSORS_ONLN || nproc || sysctl -n hw.ncpu)"
  busy_slots
  if [ -r /proc/stat ]; then linux_load; else macos_load; fi
  say disk "$(df -Pk "${HOME:-/}" | tail -n 1)"
  find_python
  find_agents
  say done
}
probe < /dev/null 2> /dev/null
"""
)
LINE = re.compile(r"@gummy-probe (\S+) ?(.*?) @end\r?$", re.MULTILINE)
NUMBER = re.compile(r"\d{1,18}(?:[.,]\d{1,9})?")


@dataclass(frozen=True)
class Measurement:
    """What the script's output says; what it does not say is None. `load`: 0..1 each; `free`: bytes."""

    begun: bool = False
    done: bool = False
    load: Mapping[str, float | None] = field(default_factory=lambda: dict.fromkeys(LOAD_PARTS))
    cpus: int | None = None
    busy: int = 0
    agents: tuple[str, ...] | None = None
    free: int | None = None
    python: str | None = None
    python_path: str | None = None


def parse(text: str) -> Measurement:
    """Read the script's output. Other lines, cut lines and values that are no numbers count as not there."""
    lines: dict[str, list[str]] = {}
    for key, value in LINE.findall(text):
        lines.setdefault(key, []).append(value)
    last = {key: values[-1] for key, values in lines.items()}
    cpus = _whole(last.get("cpus"), 1, 65536)
    cpu, io_wait = _linux_cpu(lines.get("stat", []))
    averages = _numbers(last.get("loadavg", ""))
    free = re.search(r"\d+\s+\d+\s+(\d+)\s+\d+%", last.get("disk", ""))
    python = re.match(r"(\d{1,3}\.\d{1,3}\.\d{1,3}) (/.*)", last.get("python", ""))
    programs = set(last["programs"].split()) if "programs" in last else None
    return Measurement(
        begun="begin" in last,
        done="done" in last,
        load={
            "cpu": cpu if cpu is not None else _macos_cpu(last.get("top", "")),
            "memory": _linux_memory(last) if "MemTotal:" in last else _macos_memory(last, lines.get("vm", [])),
            "load_average": round(min(1.0, averages[0] / cpus), 4) if averages and cpus else None,
            "io_wait": io_wait,
        },
        cpus=cpus,
        busy=_whole(last.get("busy"), 0, 65536) or 0,
        agents=None if programs is None else _agents(programs),
        free=int(free.group(1)[:15]) * 1024 if free else None,
        python=python.group(1) if python else None,
        python_path=python.group(2) if python else None,
    )


def facts(
    text: str,
    slots: int | None = None,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
    now: float | None = None,
    trouble: str | None = None,
) -> dict[str, Any]:
    """`gummy_facts` of a node that answered. `slots`: as configured, if it is; `trouble`: why the output may be incomplete."""
    seen = parse(text)
    measured = any(value is not None for value in seen.load.values())
    if measured:
        reason = None if seen.done else f"only in part: {trouble or 'its answer is cut short'}"
    else:
        reason = trouble or ("nothing can be measured there" if seen.begun else _last_line(text) or "it printed nothing")
    record = no_facts("measured" if measured else "unknown", reason, slots)
    total = slots or max(1, (seen.cpus or 1) // 2)
    record.update(
        load=dict(seen.load),
        cpus=seen.cpus,
        slots={"total": total, "busy": seen.busy},
        agents=None if seen.agents is None else list(seen.agents),
        disk=None if seen.free is None else {"free": seen.free},
        python=seen.python,
        python_path=seen.python_path,
    )
    if measured:
        value = score(seen.load, weights, "general", seen.busy, total)
        record.update(source="probe", measured_at=time.time() if now is None else now, score=None if value is None else round(value, 4))
    return record


def no_facts(state: str, reason: str | None, slots: int | None = None) -> dict[str, Any]:
    """`gummy_facts` of a node of which nothing is known. state: unknown (it may be reachable), unreachable."""
    return {
        "state": state,
        "reason": reason,
        "load": dict.fromkeys(LOAD_PARTS),
        "cpus": None,
        "slots": {"total": slots or 1, "busy": 0},
        "agents": None,
        "disk": None,
        "python": None,
        "python_path": None,
        "source": None,
        "measured_at": None,
        "score": None,
    }


def ssh_command(
    destination: str, words: Sequence[str] = (), timeout: float = 5.0, user: str | None = None, key: str | None = None
) -> list[str]:
    """argv that runs the script on a node: asks nothing, leaves nothing behind, and has given up before `timeout` seconds have passed."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(max(1, min(3, int(timeout) - 1))),
        "ConnectionAttempts": "1",
        "ControlMaster": "no",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "LogLevel": "ERROR",
        "PermitLocalCommand": "no",
        "RemoteCommand": "none",
        "RequestTTY": "no",
    }
    login = [*(["-l", user] if user else []), *(["-i", key] if key else [])]
    return [
        "ssh",
        *words,
        *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
        *login,
        "--",
        destination,
        REMOTE_COMMAND,
    ]


def probe_all(
    commands: Mapping[str, Sequence[str]],
    slots: Mapping[str, int] | None = None,
    timeout: float = 5.0,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
) -> dict[str, dict[str, Any]]:
    """`gummy_facts` by node. `commands`: argv by node, of `ssh_command`, or `/bin/sh -s` for this machine. Ends within `timeout` seconds."""
    outcomes = run_all(commands, SCRIPT.encode(), timeout)
    return {name: facts_of(outcome, (slots or {}).get(name), weights) for name, outcome in outcomes.items()}


def facts_of(outcome: Outcome, slots: int | None = None, weights: Mapping[str, float] = DEFAULT_WEIGHTS) -> dict[str, Any]:
    """Measured, reachable with load unknown, or not reachable: never mixed up."""
    if LINE.search(outcome.out):
        return facts(outcome.out, slots, weights, trouble=outcome.trouble)
    if outcome.status is None:
        return no_facts("unreachable" if outcome.tried else "unknown", outcome.trouble, slots)
    if outcome.status != 255:
        said = _last_line(outcome.err) or _last_line(outcome.out) or "it printed nothing"
        return no_facts("unknown", f"the probe does not run there (exit status {outcome.status}): {said}", slots)
    return no_facts("unreachable", why_ssh_failed(outcome.err)[1], slots)


def _linux_cpu(samples: Sequence[str]) -> tuple[float | None, float | None]:
    """(busy, waiting for disks) between two lines of /proc/stat: cpu user nice system idle iowait irq softirq steal ..."""
    rows = [[int(word) for word in sample.split()[1:9] if re.fullmatch(r"\d{1,18}", word)] for sample in samples]
    if len(rows) != 2 or len(rows[0]) != len(rows[1]) or len(rows[0]) < 4:
        return None, None
    spent = [max(0, after - before) for before, after in zip(*rows, strict=True)]
    total = sum(spent)
    if not total:
        return None, None
    waited = spent[4] if len(spent) > 4 else 0
    return round((total - spent[3] - waited) / total, 4), round(waited / total, 4) if len(spent) > 4 else None


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
    return _used(sum(map(int, pages)) * int(page.group(1)), _whole(last.get("memsize"), 1)) if page and len(pages) == 3 else None


def _used(available: int | None, total: int | None) -> float | None:
    return None if available is None or not total or available > total else round(1 - available / total, 4)


def _agents(programs: set[str]) -> tuple[str, ...]:
    """The usable agents: gummy needs claude and jq, and claude refuses root."""
    if "is-root" in programs or "claude" not in programs:
        return ()
    return ("gummy", "claude") if {"gummy", "jq"} <= programs else ("claude",)


def _numbers(text: str) -> list[float]:
    return [value for word in NUMBER.findall(text) if math.isfinite(value := float(word.replace(",", ".")))]


def _whole(text: str | None, least: int, most: int = 2**62) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d{1,18}", text) and least <= int(text) <= most else None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(filter(str.isprintable, lines[-1]))[:200] if lines else ""
