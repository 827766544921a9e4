# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a person who watches wants to know of this node, in one exchange. Nothing is changed.

That is its load, the attempts of today with what they wrote last, the specialists, who waits for a
slot, and which tasks of gummy somebody has started by hand.
"""

from __future__ import annotations

import contextlib
import os
import time

from . import people, signs, specialists
from .load import Load
from .store import NAME, TYPE_CHECKING, boot_clock, boot_id, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from . import wire
    from .store import Store

# Runs that wait here and are told.
WAITING_MOST = 100


def board(
    store: Store, request: wire.BoardRequest, attempts: Iterable[wire.ListReply]
) -> Iterator[wire.BoardReply]:
    """A row for each attempt and specialist, then what holds for the node.

    attempts: as `list` tells them.
    """
    load = Load(request.get("load") or "")
    for row in attempts:
        if row["state"] == "running":
            row["line"] = signs.last_words(store.attempt(row["attempt"]))
        if row["state"] != "listed":
            yield row

    processes = people.of_this_login()
    yield from specialists.rows(store, processes, request.get("paths") or ())
    within = float(request["within"])
    yield {
        "state": "seen",
        "load": load.text(),
        "cost_today": specialists.cost_since(store, time.time() - within),
        "foreign": people.foreign_tasks(processes),
        "waiting": _waiting(store),
    }


def _waiting(store: Store) -> list[wire.WaitingRun]:
    """The runs on the waitlist, first come first. It is read without its lock, and is not kept."""
    data = read_json(os.path.join(store.root, "line.json")) or {}
    if data.get("boot") != boot_id():
        return []
    now = boot_clock()
    runs: list[wire.WaitingRun] = []
    with contextlib.suppress(AttributeError, TypeError):
        for uid, until in data.get("until", {}).items():
            if until > now and NAME.match(uid) and len(runs) < WAITING_MOST:
                driver = read_json(os.path.join(store.root, "runs", uid + ".json")) or {}
                runs.append(
                    {"run_id": driver.get("run_id"), "controller": driver.get("controller")}
                )
    return runs
