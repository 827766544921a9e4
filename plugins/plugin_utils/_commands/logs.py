# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`logs`: what the agents of attempts have printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from .._fleet.ask import AttemptRow
from .._fleet.fleet import Fleet
from .._links.reader import clean_lines
from .find_attempts import AttemptsDocument, attempts_document, find_attempts
from .follow import Told, follow_logs
from .read_log import read_log

# How many characters of all logs together are told; of each the end is what counts.
LOGS_MOST = 32 * 1024 * 1024
# And of each that is followed.
FOLLOWED_MOST = 1024 * 1024


@dataclass(frozen=True)
class LogsView:
    """How logs are shown."""

    # Whether agents' events are shown as they are.
    raw: bool = False
    # How many of the last lines of each; None: all of them.
    lines: int | None = None


class LogsDocument(AttemptsDocument):
    """What `logs` tells: of each attempt its log as it is, and how people want to see them."""

    # Whether the logs were shown while they were written.
    followed: bool
    # As in LogsView.
    raw: bool
    lines: int | None


def logs(
    fleet: Fleet, job: str | None, run_id: str | None, view: LogsView | None = None
) -> LogsDocument:
    """The log of every attempt that is asked for.

    job, run_id: as in find_attempts, whose InputError it raises. It fails if a log could not be
    read to its end; what came of it is told, and so are the others.
    """
    rows, silent = find_attempts(fleet, job, run_id)
    failed = False
    most = LOGS_MOST // len(rows)
    for row in rows:
        log = read_log(row)
        row["log"] = clean_lines(log.text)[-most:]
        if log.message:
            row["message"] = log.message
        failed = failed or not log.is_whole
    return _document(rows, silent, view or LogsView(), failed=failed)


def followed_logs(
    fleet: Fleet,
    job: str | None,
    run_id: str | None,
    view: LogsView,
    tell: Callable[[Told], None],
) -> LogsDocument:
    """The same, told as it is written until every attempt has ended.

    tell: takes what comes, one after the other. It fails if an attempt could not be followed to its
    end.
    """
    ends = _Ends()

    def take(told: Told) -> None:
        ends.take(told)
        tell(told)

    rows, silent = follow_logs(fleet, job, run_id, take)
    most = LOGS_MOST // max(1, len(rows))
    for row in rows:
        row["log"] = ends.logs.get(row["attempt"], "")[-most:]
        if row["attempt"] in ends.given_up:
            row["message"] = ends.given_up[row["attempt"]]
    failed = bool(ends.given_up)
    return _document(rows, silent, view, failed=failed, followed=True)


class _Ends:
    """The ends of logs that are followed, and why some are not any more."""

    def __init__(self) -> None:
        self.logs: dict[str, str] = {}
        self.given_up: dict[str, str] = {}

    def take(self, told: Told) -> None:
        attempt = told.row["attempt"]
        if told.what == "piece":
            log = self.logs.get(attempt, "") + told.text
            # Cut rarely, for each cut copies it.
            self.logs[attempt] = log[-FOLLOWED_MOST:] if len(log) > 2 * FOLLOWED_MOST else log
        elif told.what == "given_up":
            self.given_up[attempt] = told.text


def _document(
    rows: Iterable[AttemptRow],
    silent: dict[str, str],
    view: LogsView,
    *,
    failed: bool,
    followed: bool = False,
) -> LogsDocument:
    document = cast(LogsDocument, attempts_document("logs", rows, silent, failed=failed))
    document["followed"] = followed
    document["raw"] = view.raw
    document["lines"] = view.lines
    return document
