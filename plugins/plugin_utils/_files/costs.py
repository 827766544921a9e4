# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs have cost: a line for each attempt that ended, in a file for each day, and their sums.

A day is one of this controller's clock, and an attempt counts on the day when this controller heard
that it ended. What is in the journal of a run may be cleaned away with the run; this stays, for
the last 400 days on which something has ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from .paths import PRIVATE
from .record import RunRecord, known_state_home, own_state_home

FOLDER = "costs"

# The largest number of dollars that one attempt can say, as the reader of replies has it.
DOLLARS_MOST = 1e6
TOKENS_MOST = 2**63

# A day in the name of a file and in a row.
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
SUFFIX = ".jsonl"

# How many days are kept, and how many of them are told, today among them.
KEPT_DAYS = 400
TOLD_DAYS = 7
SECONDS_OF_A_DAY = 86400


class TokenCount(TypedDict):
    """What models read and wrote."""

    input: int
    output: int


class CostRow(TypedDict):
    """What an attempt has cost."""

    attempt: str
    run_id: str
    job: str
    node: str
    agent: str

    # Whose quota the agent used up.
    account: str

    # The project's directory; None: the job has none.
    project: str | None

    # None: its agent tells no price.
    cost_usd: float | None

    # None: its agent does not count them.
    tokens: TokenCount | None

    # When this controller heard that it ended, as `2026-11-29`; blank: an older version noted it.
    day: str


class CostShare(TypedDict):
    """The part of a node, or whatever else attempts are told apart by."""

    # Of the node, job, agent, account, project or day; blank: no project.
    name: str

    # None: no price is known.
    cost_usd: float | None
    tokens: TokenCount | None

    # How many attempts that is, and of how many no price is known.
    attempts: int
    unpriced: int


class CostSummary(TypedDict):
    """What some attempts have cost together; those of agents that cost nothing do not count."""

    cost_usd: float | None
    tokens: TokenCount | None
    attempts: int
    unpriced: int

    # The dearest first.
    by_job: list[CostShare]
    by_node: list[CostShare]
    by_agent: list[CostShare]
    by_account: list[CostShare]
    by_project: list[CostShare]

    # The newest first.
    by_day: list[CostShare]


# -- sums, which are pure


def summarize(rows: Iterable[CostRow]) -> CostSummary:
    """What these attempts have cost together, and by what they are told apart."""
    rows = list(rows)
    whole = _share("", rows)
    return {
        "cost_usd": whole["cost_usd"],
        "tokens": whole["tokens"],
        "attempts": whole["attempts"],
        "unpriced": whole["unpriced"],
        "by_job": _shares((f"{row['run_id']}/{row['job']}", row) for row in rows),
        "by_node": _shares((row["node"], row) for row in rows),
        "by_agent": _shares((row["agent"], row) for row in rows),
        "by_account": _shares((row["account"], row) for row in rows),
        "by_project": _shares((row["project"] or "", row) for row in rows),
        "by_day": by_day(rows),
    }


def by_day(rows: Iterable[CostRow]) -> list[CostShare]:
    """What these attempts have cost on each day, the newest first."""
    shares = _shares((row["day"], row) for row in rows)
    return sorted(shares, key=lambda share: share["name"], reverse=True)


def dollars_of(rows: Iterable[CostRow]) -> float:
    """Dollars that these attempts have cost, as far as that is known."""
    return sum(row["cost_usd"] or 0.0 for row in rows)


def _shares(named: Iterable[tuple[str, CostRow]]) -> list[CostShare]:
    groups: dict[str, list[CostRow]] = {}
    for name, row in named:
        groups.setdefault(name, []).append(row)
    shares = [_share(name, rows) for name, rows in groups.items()]
    return sorted(shares, key=lambda share: (-(share["cost_usd"] or 0.0), share["name"]))


def _share(name: str, rows: list[CostRow]) -> CostShare:
    costs = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    counts = [row["tokens"] for row in rows if row["tokens"] is not None]
    tokens: TokenCount | None = None
    if counts:
        tokens = {
            "input": sum(count["input"] for count in counts),
            "output": sum(count["output"] for count in counts),
        }
    return {
        "name": name,
        "cost_usd": round(sum(costs), 6) if costs else None,
        "tokens": tokens,
        "attempts": len(rows),
        "unpriced": len(rows) - len(costs),
    }


# -- the files


def day_of(at: float) -> str:
    """The day of a time in seconds since 1970, by this machine's clock."""
    return time.strftime("%Y-%m-%d", time.localtime(at))


class Ledger:
    """What this controller has noted for the day that it is, read as it grows.

    Several runs write to it at once, each a whole line at a time.
    """

    def __init__(self) -> None:
        self._day = ""
        # How many bytes of the day's file were read.
        self._read = 0
        self._rows: dict[str, CostRow] = {}
        # Its sum; None: it has grown since that was made.
        self._sum: CostSummary | None = None
        # What the days before it have cost; None: not read yet.
        self._past: list[CostShare] | None = None

    def note(self, row: CostRow) -> None:
        """Add what an attempt has cost.

        A disk that is full costs the sum of the day this row, and the run nothing: its journal has
        the row too.
        """
        line = json.dumps(row).encode() + b"\n"
        folder = own_state_home(FOLDER)
        path = os.path.join(folder, row["day"] + SUFFIX)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        if not os.path.exists(path):
            _forget_old_days(folder)
        with contextlib.suppress(OSError):
            file = os.open(path, flags, PRIVATE)
            try:
                os.write(file, line)
                os.fsync(file)
            finally:
                os.close(file)

    def today(self) -> list[CostRow]:
        """What has ended today, each attempt once."""
        self._look()
        return list(self._rows.values())

    def cost_today(self) -> CostSummary:
        """The sum of that. A board asks for it each second."""
        self._look()
        if self._sum is None:
            self._sum = summarize(self._rows.values())
        return self._sum

    def days(self) -> list[CostShare]:
        """What each of the last seven days has cost on which something ended, the newest first."""
        today = self.cost_today()["by_day"]
        if self._past is None:
            past = [self._rows_of(day) for day in _days_before(time.time(), TOLD_DAYS - 1)]
            self._past = by_day(row for rows in past for row in rows)
        return today + self._past

    def has_grown(self) -> bool:
        """Whether there is something that `today` has not told; another day is too."""
        day = day_of(time.time())
        try:
            size = os.stat(self._path(day)).st_size
        except OSError:
            size = 0
        return (day, size) != (self._day, self._read)

    def _path(self, day: str) -> str:
        return os.path.join(known_state_home(), FOLDER, day + SUFFIX)

    def _look(self) -> None:
        """Read what has grown of today's file."""
        day = day_of(time.time())
        if day != self._day:
            self._day = day
            self._read = 0
            self._rows = {}
            self._sum = None
            self._past = None
        try:
            with open(self._path(day), "rb") as file:
                file.seek(self._read)
                data = file.read()
        except OSError:
            return
        # Who writes a line may not be done with it.
        whole = data[: data.rfind(b"\n") + 1]
        if not whole:
            return
        self._read += len(whole)
        self._sum = None
        self._rows.update(_rows_in(whole, day))

    def _rows_of(self, day: str) -> list[CostRow]:
        """What has ended on a day that is over, each attempt once."""
        try:
            with open(self._path(day), "rb") as file:
                return list(_rows_in(file.read(), day).values())
        except OSError:
            return []


def note_once(record: RunRecord, ledger: Ledger, row: CostRow) -> bool:
    """Note what an attempt of a run has cost; whether that is new. Told twice, it counts once."""
    if row["attempt"] in record.history.costs:
        return False
    # Told again after a crash between these two, it is one attempt in the day's file.
    ledger.note(row)
    record.append("cost", cost=row)
    return True


def _rows_in(data: bytes, day: str) -> dict[str, CostRow]:
    """The rows of a file, or of a part of it, by attempt; the day is the file's."""
    rows = {}
    for line in data.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            row = read_row(json.loads(line))
            if row is not None:
                rows[row["attempt"]] = CostRow({**row, "day": day})
    return rows


def _days_before(now: float, count: int) -> list[str]:
    """So many days before the one of this time; at noon no change of the clock moves a day."""
    noon = time.mktime((*time.localtime(now)[:3], 12, 0, 0, 0, 0, -1))
    return [day_of(noon - number * SECONDS_OF_A_DAY) for number in range(1, count + 1)]


def _forget_old_days(folder: str) -> None:
    """Remove what is older than the days that are kept, but for the one that is to begin."""
    try:
        names = [name for name in os.listdir(folder) if name.endswith(SUFFIX)]
    except OSError:
        return
    days = [name for name in names if DAY.fullmatch(name.removesuffix(SUFFIX))]
    for name in sorted(days, reverse=True)[KEPT_DAYS - 1 :]:
        # Another run may do the same at this moment.
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, name))


def read_row(value: Any) -> CostRow | None:
    """What a line of a file, or an entry of a journal, says; None: it is no such row."""
    if not isinstance(value, Mapping):
        return None
    texts = [value.get(name) for name in ("attempt", "run_id", "job", "node", "agent", "account")]
    project = value.get("project")
    if not all(isinstance(text, str) for text in (*texts, project or "")):
        return None
    return cost_row(
        *map(str, texts[:4]),
        agent=str(texts[4]),
        account=str(texts[5]),
        project=project,
        told=value,
        day=_day_in(value.get("day")),
    )


def _day_in(value: object) -> str:
    return value if isinstance(value, str) and DAY.fullmatch(value) else ""


def cost_row(
    attempt: str,
    run_id: str,
    job: str,
    node: str,
    *,
    agent: str,
    account: str,
    project: str | None,
    told: Mapping[str, Any],
    day: str | None = None,
) -> CostRow:
    """The row of an attempt.

    told: has its cost_usd and tokens, or what looks like them; day: None is today.
    """
    cost = told.get("cost_usd")
    if not _is_number(cost, DOLLARS_MOST):
        cost = None
    return {
        "attempt": attempt,
        "run_id": run_id,
        "job": job,
        "node": node,
        "agent": agent,
        "account": account,
        "project": project,
        "cost_usd": None if cost is None else float(cost),
        "tokens": tokens_in(told),
        "day": day_of(time.time()) if day is None else day,
    }


def tokens_in(told: Mapping[str, Any]) -> TokenCount | None:
    """The tokens that an end tells; None: it tells none."""
    counts = told.get("tokens")
    if not isinstance(counts, Mapping):
        return None
    if not all(_is_number(counts.get(way), TOKENS_MOST) for way in ("input", "output")):
        return None
    return {"input": int(counts["input"]), "output": int(counts["output"])}


def _is_number(value: object, most: float) -> bool:
    """Whether it is one from 0 on; what is no number is not."""
    return not isinstance(value, bool) and isinstance(value, (int, float)) and 0 <= value <= most
