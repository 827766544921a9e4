# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of one attempt, read from its node."""

from __future__ import annotations

from dataclasses import dataclass

from .._fleet.ask import MESSAGE_MOST, AttemptRow
from .._links.link import LinkError

# How long a node may take to send one log, in seconds.
LOG_SECONDS = 120.0


@dataclass(frozen=True)
class Log:
    """What came of an attempt's log."""

    text: str
    # What a person should know of it: that it is empty, or why it is not whole; blank: nothing.
    message: str = ""
    # Whether it was read to its end.
    is_whole: bool = True


def read_log(row: AttemptRow) -> Log:
    """The log of an attempt, as far as it came: its node may go away in the middle.

    It is joined of its pieces, for a line may lie across two. Raises nothing.
    """
    if row["state"] == "void":
        return Log("", "it never began, so it has no log")

    pieces: list[str] = []
    last = ""
    try:
        for reply in row["link"].stream("logs", {"attempt": row["attempt"]}, LOG_SECONDS):
            last = reply["state"]
            if reply["state"] == "log":
                pieces.append(reply["text"])
            elif reply["state"] == "refused":
                return _broken(pieces, reply["message"][:MESSAGE_MOST])
    except LinkError as exc:
        return _broken(pieces, str(exc))

    if last != "read":
        return _broken(pieces, f"the answer of {row['node']} is cut short: try again")
    text = "".join(pieces)
    if text:
        return Log(text)
    return Log("", "its log is empty" + (" so far" if row["state"] == "running" else ""))


def _broken(pieces: list[str], why: str) -> Log:
    text = "".join(pieces)
    return Log(text, f"the log stops here: {why}" if text else f"no log: {why}", is_whole=False)
