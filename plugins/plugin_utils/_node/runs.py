# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which controller drives a run, and by which record of it.

An attempt's id begins with its run's uid, which is the record's own.
"""

from __future__ import annotations

import json
import os

from .states import state_of
from .store import TYPE_CHECKING, Refusal, checked, read_json, write_durably

if TYPE_CHECKING:
    from .store import Store

# Attempts in these states are still somebody's to bring home.
OPEN = ("starting", "running", "ended")


def _path(store: Store, uid: str) -> str:
    return os.path.join(store.root, "runs", checked(uid) + ".json")


def uid_of(attempt: str) -> str:
    """The uid of an attempt's run."""
    return attempt.rpartition("-")[0]


def enter(store: Store, attempt: str, run_id: str, controller: str) -> None:
    """Note that this controller drives the run, for its first claim here.

    Raises Refusal if another controller took the run over, or if a run of the same name goes on
    here under a record that was lost.
    """
    uid = uid_of(attempt)
    if read_json(_path(store, uid)) is not None:
        check(store, attempt, controller)
        return
    _refuse_lost_record(store, run_id, controller)
    adopt(store, uid, run_id, controller)


def _refuse_lost_record(store: Store, run_id: str, controller: str) -> None:
    for name in os.listdir(os.path.join(store.root, "runs")):
        driver = read_json(os.path.join(store.root, "runs", name)) or {}
        if (driver.get("run_id"), driver.get("controller")) != (run_id, controller):
            continue
        attempts = store.attempts(name[: -len(".json")] + "-")
        if any(state_of(attempt) in OPEN for attempt in attempts):
            raise Refusal(
                "run %s has jobs here that its record, which may have been deleted, knows nothing"
                " of: take them over with gummy_adopt=true, or give another gummy_run_id" % run_id,
                "record",
                "input",
            )


def check(store: Store, attempt: str, controller: str) -> None:
    """Raises Refusal if another controller drives the attempt's run."""
    driver = read_json(_path(store, uid_of(attempt)))
    if driver is not None and driver["controller"] != controller:
        raise Refusal(
            "run %s was taken over by another controller: nothing more is started from here"
            % driver["run_id"],
            "adopted",
            "input",
        )


def adopt(store: Store, uid: str, run_id: str, controller: str) -> None:
    """From now on this controller drives the run."""
    driver = {"run_id": run_id, "controller": controller}
    write_durably(_path(store, uid), json.dumps(driver).encode())
