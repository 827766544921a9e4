# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims: which attempt may use which slot and workspace, until when.

Everything that gives capacity away lives here.

A slot or workspace is taken while a live lease names it or while its lock is held (by a supervisor,
or by the rsync of a sync). Leases run on the boot clock; those of another boot are void.
"""

from __future__ import annotations

import json
import os

from . import runs
from .states import state_of
from .store import (
    TYPE_CHECKING,
    Refusal,
    boot_clock,
    boot_id,
    checked,
    is_locked,
    read_json,
    write_durably,
)
from .waitlist import ALIVE, KEPT, Waitlist

if TYPE_CHECKING:
    from typing import Any

    from .store import Attempt, Store

# Seconds.
LEASE = 120.0
# Seconds after which a sync that goes on renews its lease.
RENEW = 30.0
# Bytes that stay free for the harvest.
DISK_RESERVE = 256 * 1024 * 1024


class Claims:
    """The claim file; use it under `store.locked()` only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._path = os.path.join(store.root, "claims.json")
        data = read_json(self._path) or {}
        self.generation = int(data.get("generation", 0))
        alive = data.get("boot") == boot_id()
        now = boot_clock()
        self.rows: list[dict[str, Any]] = [
            row for row in data.get("rows", []) if alive and row["expires"] > now
        ]

    def save(self) -> None:
        data = {"format": 1, "boot": boot_id(), "generation": self.generation, "rows": self.rows}
        write_durably(self._path, json.dumps(data).encode())

    def of(self, attempt: str, generation: int | None = None) -> dict[str, Any] | None:
        for row in self.rows:
            if row["attempt"] == attempt and generation in (None, row["generation"]):
                return row
        return None

    def drop(self, attempt: str) -> None:
        self.rows = [row for row in self.rows if row["attempt"] != attempt]

    def free_slots(self, slots: int) -> list[int]:
        """Numbers.

        Slots in use above `slots` count too: another controller may have been told more.
        """
        taken = {row["slot"] for row in self.rows}
        folder = os.path.join(self._store.root, "slots")
        taken |= {
            int(name)
            for name in os.listdir(folder)
            if name.isdigit() and is_locked(os.path.join(folder, name))
        }
        return [number for number in range(slots) if number not in taken][
            : max(0, slots - len(taken))
        ]

    def free_workspace(self, key: str) -> int:
        """The lowest number whose workspace nobody uses and in which no unharvested work lies."""
        taken = {row["workspace"] for row in self.rows if row["key"] == key}
        number = 0
        while True:
            folder = self._store.workspace(key, number)
            os.makedirs(os.path.join(folder, "tree"), exist_ok=True)
            if (
                number not in taken
                and not is_locked(os.path.join(folder, "lock"))
                and harvested(self._store, folder)
            ):
                return number
            number += 1


def harvested(store: Store, workspace: str) -> bool:
    """Whether the last attempt in this workspace is void or ended with its harvest made; a failed
    harvest keeps the workspace.
    """
    path = os.path.join(workspace, "holder.json")
    holder = read_json(path)
    if holder is None:
        # One that can't be read may name an attempt whose work lies here.
        return not os.path.exists(path)
    attempt = store.attempt(holder["attempt"])
    return (
        state_of(attempt) not in ("starting", "running")
        and (attempt.ended() or {}).get("class") != "harvest"
    )


def claim(store: Store, request: dict[str, Any]) -> dict[str, Any]:
    """S1. request: attempt, key (of the workspace), slots; run_id, controller (not of a mere sync,
    which has no place in the line).

    Asked again it gives the same answer. contended: other runs wait for slots here.
    """
    attempt = store.attempt(request["attempt"])
    key = checked(request["key"])
    refuse_known(attempt)
    run = runs.uid_of(attempt.id) if "run_id" in request else None
    if run is not None:
        runs.enter(store, attempt.id, str(request["run_id"]), str(request["controller"]))
    disk = os.statvfs(store.root)
    free = disk.f_bavail * disk.f_frsize
    if free < DISK_RESERVE:
        raise Refusal(
            "only %d MB are free at %s: make room (256 MB stay reserved for the harvest)"
            % (free >> 20, store.root),
            "disk",
            "node",
        )
    with store.locked():
        claims = Claims(store)
        line = Waitlist(store)
        row = claims.of(attempt.id)
        if row is None:
            slots = claims.free_slots(max(1, int(request["slots"])))
            if not line.is_turn(run, len(slots)):
                return {"state": "busy"}
            if run is not None:
                line.leave(run)
            claims.generation += 1
            row = {
                "attempt": attempt.id,
                "generation": claims.generation,
                "slot": slots[0],
                "key": key,
                "workspace": claims.free_workspace(key),
            }
            claims.rows.append(row)
        row["expires"] = boot_clock() + LEASE
        claims.save()
    workspace = store.workspace(row["key"], row["workspace"])
    return {
        "state": "claimed",
        "generation": row["generation"],
        "slot": row["slot"],
        "workspace": workspace,
        "contended": len(line) > 0,
    }


def turn(store: Store, run: str, slots: int) -> bool:
    """Whether a slot is kept for this run now.

    It has a place in the line, for as long as it asks again within a second.
    """
    with store.locked():
        line = Waitlist(store)
        free = len(Claims(store).free_slots(slots))
        line.stay(run, ALIVE)
        its = line.is_turn(run, free)
        if its:
            line.stay(run, KEPT)
    return its


def refuse_known(attempt: Attempt) -> None:
    state = state_of(attempt)
    if state == "void":
        raise Refusal("attempt %s was fenced and may not start" % attempt.id, "fenced", "ours")
    if state != "new":
        raise Refusal("attempt %s was started before" % attempt.id, "known", "ours")


def lease(store: Store, attempt: str, generation: int, renew: bool = True) -> dict[str, Any]:
    """The live lease of this attempt, unless told otherwise made longer; refused if there is none
    any more.
    """
    with store.locked():
        claims = Claims(store)
        row = claims.of(attempt, generation)
        if row is None:
            raise Refusal("the claim of attempt %s has run out" % attempt, "lease", "ours")
        if renew:
            row["expires"] = boot_clock() + LEASE
            claims.save()
    return row


def release(store: Store, attempt: str) -> dict[str, Any]:
    with store.locked():
        claims = Claims(store)
        claims.drop(checked(attempt))
        claims.save()
    return {"state": "released"}
