# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which record of which controller drives a run.

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
OPEN = frozenset({"starting", "running", "ended"})


def _path(store: Store, uid: str) -> str:
    return os.path.join(store.root, "runs", checked(uid) + ".json")


def uid_of(attempt: str) -> str:
    """The run of an attempt."""
    return attempt.rpartition("-")[0]


def enter(store: Store, attempt: str, run_id: str, controller: str) -> None:
    """A claim for this run.

    Refusal if another controller took it over, or if the same run goes on here under a record that
    was lost.
    """
    uid = uid_of(attempt)
    known = read_json(_path(store, uid))
    if known is None:
        for name in os.listdir(os.path.join(store.root, "runs")):
            other = read_json(os.path.join(store.root, "runs", name)) or {}
            same = (other.get("run_id"), other.get("controller")) == (run_id, controller)
            if same and any(
                state_of(one) in OPEN for one in store.attempts(name[: -len(".json")] + "-")
            ):
                message = "run %s has jobs here that its record, which may have been deleted, knows nothing of: take them over with gummy_adopt=true"
                raise Refusal(
                    message % run_id + ", or give another gummy_run_id", "record", "input"
                )
        adopt(store, uid, run_id, controller)
    else:
        check(store, attempt, controller)


def check(store: Store, attempt: str, controller: str) -> None:
    known = read_json(_path(store, uid_of(attempt)))
    if known is not None and known["controller"] != controller:
        raise Refusal(
            "run %s was taken over by another controller: nothing more is started from here"
            % known["run_id"],
            "adopted",
            "input",
        )


def adopt(store: Store, uid: str, run_id: str, controller: str) -> None:
    write_durably(
        _path(store, uid), json.dumps({"run_id": run_id, "controller": controller}).encode()
    )
