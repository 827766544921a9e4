# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims: which attempt may use which slot and workspace, until when.

Everything that gives capacity away lives here. A slot or workspace is taken while a live lease
names it, or while its lock is held (by a supervisor, or by the rsync of a sync). Leases run on the
boot clock, and those of another boot are void.
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
from .waitlist import GRANTED, WAITING, Waitlist

if TYPE_CHECKING:
    from typing import TypedDict

    from . import wire
    from .store import Attempt, Store

    class Lease(TypedDict):
        """A row of the claim file."""

        attempt: str
        # Grows with every new lease of this store, so it tells an attempt's second lease from its
        # first one.
        generation: int
        slot: int
        # Of the workspace.
        key: str
        # Which of the workspaces with this key.
        workspace: int
        # By the boot clock, in seconds.
        expires: float


# How long a claim is held for its attempt, in seconds.
LEASE = 120.0
# How often a sync that goes on renews its lease, in seconds.
RENEW = 30.0
# Bytes that stay free on the disk for the harvest.
DISK_RESERVE = 256 * 1024 * 1024


class Claims:
    """The claim file; use it under `store.locked()` only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._path = os.path.join(store.root, "claims.json")
        data = read_json(self._path) or {}
        self.generation = int(data.get("generation", 0))
        self.rows: list[Lease] = []
        if data.get("boot") == boot_id():
            now = boot_clock()
            self.rows = [row for row in data.get("rows", []) if row["expires"] > now]

    def save(self) -> None:
        data = {"format": 1, "boot": boot_id(), "generation": self.generation, "rows": self.rows}
        write_durably(self._path, json.dumps(data).encode())

    def of(self, attempt: str, generation: int | None = None) -> Lease | None:
        """The attempt's lease, if it is of this generation."""
        for row in self.rows:
            if row["attempt"] == attempt and generation in (None, row["generation"]):
                return row
        return None

    def drop(self, attempt: str) -> None:
        self.rows = [row for row in self.rows if row["attempt"] != attempt]

    def add(self, attempt: str, slot: int, key: str) -> Lease:
        """A new lease, in the first workspace of this key that is free."""
        self.generation += 1
        row: Lease = {
            "attempt": attempt,
            "generation": self.generation,
            "slot": slot,
            "key": key,
            "workspace": self.free_workspace(key),
            "expires": 0.0,
        }
        self._store.make_workspace(key, row["workspace"])
        self.rows.append(row)
        return row

    def free_slots(self, slots: int) -> list[int]:
        """The numbers of the slots that are free if the node has so many.

        Slots in use above `slots` count too: another controller may have been told more.
        """
        taken = {row["slot"] for row in self.rows}
        folder = os.path.join(self._store.root, "slots")
        for name in os.listdir(folder):
            if name.isdigit() and is_locked(os.path.join(folder, name)):
                taken.add(int(name))
        free = [number for number in range(slots) if number not in taken]
        return free[: max(0, slots - len(taken))]

    def free_workspace(self, key: str) -> int:
        """The lowest number whose workspace nobody uses and in which no unharvested work lies.

        It need not be there yet.
        """
        taken = {row["workspace"] for row in self.rows if row["key"] == key}
        number = 0
        while True:
            folder = self._store.workspace(key, number)
            if (
                number not in taken
                and not is_locked(os.path.join(folder, "lock"))
                and harvested(self._store, folder)
            ):
                return number
            number += 1


def harvested(store: Store, workspace: str) -> bool:
    """Whether the last attempt in this workspace is void, or ended with its harvest made.

    A harvest that failed keeps the workspace.
    """
    path = os.path.join(workspace, "holder.json")
    holder = read_json(path)
    if holder is None:
        # One that can't be read may name an attempt whose work lies here.
        return not os.path.exists(path)
    attempt = store.attempt(holder["attempt"])
    if state_of(attempt) in ("starting", "running"):
        return False
    ended = attempt.ended()
    return ended is None or ended.get("class") != "harvest"


def claim(store: Store, request: wire.ClaimRequest) -> wire.ClaimReply:
    """Lease a slot and a workspace to an attempt; asked again it gives the same answer.

    Raises Refusal.
    """
    attempt = store.attempt(request["attempt"])
    key = checked(request["key"])
    refuse_known(attempt)
    run = None
    if "run_id" in request:
        run = runs.uid_of(attempt.id)
        runs.enter(store, attempt.id, str(request["run_id"]), str(request["controller"]))
    _refuse_full_disk(store)

    with store.locked():
        claims = Claims(store)
        waitlist = Waitlist(store)
        row = claims.of(attempt.id)
        if row is None:
            slots = claims.free_slots(max(1, int(request["slots"])))
            if not waitlist.grants(run, len(slots)):
                return {"state": "busy"}
            if run is not None:
                waitlist.drop(run)
            row = claims.add(attempt.id, slots[0], key)
        row["expires"] = boot_clock() + LEASE
        claims.save()

    return {
        "state": "claimed",
        "generation": row["generation"],
        "slot": row["slot"],
        "workspace": store.workspace(row["key"], row["workspace"]),
        "contended": len(waitlist) > 0,
    }


def foresee(store: Store, key: str, slots: int) -> str | None:
    """The workspace that a claim of this key would be given now; None: every slot is taken.

    Nothing is claimed or made. Raises Refusal.
    """
    key = checked(key)
    _refuse_full_disk(store)
    with store.locked():
        claims = Claims(store)
        if not claims.free_slots(max(1, slots)):
            return None
        return store.workspace(key, claims.free_workspace(key))


def _refuse_full_disk(store: Store) -> None:
    disk = os.statvfs(store.root)
    free = disk.f_bavail * disk.f_frsize
    if free < DISK_RESERVE:
        raise Refusal(
            "only %d MB are free at %s: make room (256 MB stay reserved for the harvest)"
            % (free >> 20, store.root),
            "disk",
            "node",
        )


def is_granted(store: Store, run: str, slots: int) -> bool:
    """Whether a slot is kept for this run now; otherwise it has a place in the waitlist.

    It keeps the place for as long as it asks again within a second.
    """
    with store.locked():
        waitlist = Waitlist(store)
        free = len(Claims(store).free_slots(slots))
        waitlist.keep(run, WAITING)
        granted = waitlist.grants(run, free)
        if granted:
            waitlist.keep(run, GRANTED)
    return granted


def refuse_known(attempt: Attempt) -> None:
    """Raises Refusal unless the attempt is a new one."""
    state = state_of(attempt)
    if state == "void":
        raise Refusal("attempt %s was fenced and may not start" % attempt.id, "fenced", "ours")
    if state != "new":
        raise Refusal("attempt %s was started before" % attempt.id, "known", "ours")


def lease(store: Store, attempt: str, generation: int, renew: bool = True) -> Lease:
    """The live lease of this attempt, which is made longer unless `renew` is false.

    Raises Refusal if there is none any more.
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


def release(store: Store, attempt: str) -> wire.ReleasedReply:
    """Give up the attempt's lease, if it has one."""
    with store.locked():
        claims = Claims(store)
        claims.drop(checked(attempt))
        claims.save()
    return {"state": "released"}
