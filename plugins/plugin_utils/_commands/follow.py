# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following logs: what attempts print, as they print it, until each of them has ended.

Each node has a thread that asks it for what is new of all its logs together, again and again, each
time from where it is. So a connection that breaks off costs nothing but time, and no call lasts
long. What they are told goes into one queue, which whoever shows it empties; while that is full
they wait, and their nodes with them.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from .._errors import InputError
from .._fleet.ask import MESSAGE_MOST, AttemptRow
from .._fleet.fleet import Fleet
from .._links.link import Link, LinkError
from .._node import wire
from .._schedule.durations import spoken
from .find_attempts import find_attempts

# How long a node tells before it is asked again, and how much longer it may take, in seconds.
ROUND_SECONDS = 10.0
SPARE_SECONDS = 60.0
# How often is looked for attempts that have begun meanwhile, in seconds.
LOOK_SECONDS = 10.0
# The pause after a call that broke off, in seconds; each further one doubles it.
PAUSE = 0.5
PAUSE_MOST = 10.0
# A node that says nothing for so long is given up, in seconds.
SILENT_MOST = 900.0
# How many pieces wait to be shown.
PIECES_MOST = 256
# How often the threads look whether they are needed, in seconds.
STOP_LOOK = 0.5
# What is told before the offset of a log is known.
FROM_THE_END = -1

# What is told of an attempt: that it is followed from now on, a piece of its log, that all that it
# had printed before is told, that it is over, a sentence for people about the way to it, or that it
# is not followed any more, and why.
What = Literal["begun", "piece", "reached", "over", "note", "given_up"]


@dataclass(frozen=True)
class Told:
    """What is known of an attempt's log now."""

    row: AttemptRow
    what: What
    # The piece, or the sentence.
    text: str = ""


class _NodeFollower:
    """The thread of one node.

    Who may touch what: `add`, `stop` and the constructor are the caller's; all else is its own
    thread's. What both need lies under the lock.
    """

    def __init__(self, name: str, link: Link, put: Callable[[Told], None]) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self._name = name
        self._link = link
        self._put = put
        self._lock = threading.Lock()
        # Attempt -> its row, and how many bytes of its log are known; only of those not over.
        self._rows: dict[str, AttemptRow] = {}
        self._offsets: dict[str, int] = {}
        self._changed = threading.Event()
        self._is_stopped = False

    def add(self, row: AttemptRow) -> None:
        with self._lock:
            self._rows[row["attempt"]] = row
            self._offsets[row["attempt"]] = FROM_THE_END
        self._changed.set()

    def stop(self) -> None:
        self._is_stopped = True
        self._changed.set()

    def _run(self) -> None:
        pause = PAUSE
        heard_at = time.monotonic()
        is_cut = False
        while not self._is_stopped:
            with self._lock:
                offsets = dict(self._offsets)
            if not offsets:
                self._changed.wait(STOP_LOOK)
                self._changed.clear()
                heard_at = time.monotonic()
                continue
            try:
                trouble = self._ask(offsets)
            except LinkError as exc:
                trouble = str(exc)
            if trouble is None:
                if is_cut:
                    self._tell_all("note", "the node answers again")
                heard_at = time.monotonic()
                pause = PAUSE
                is_cut = False
                continue
            with self._lock:
                if self._offsets != offsets:
                    # Something came before it broke off.
                    heard_at = time.monotonic()
            if time.monotonic() - heard_at > SILENT_MOST:
                self._give_up(trouble)
                continue
            if not is_cut:
                self._tell_all("note", f"{trouble}; the log goes on when {self._name} answers")
            is_cut = True
            self._changed.wait(pause)
            self._changed.clear()
            pause = min(PAUSE_MOST, 2 * pause)

    def _ask(self, offsets: Mapping[str, int]) -> str | None:
        """One call; why it was none, as a sentence. Raises LinkError."""
        request: wire.FollowRequest = {"offsets": dict(offsets), "seconds": ROUND_SECONDS}
        is_whole = False
        for reply in self._link.stream("follow", request, ROUND_SECONDS + SPARE_SECONDS):
            if reply["state"] == "refused":
                return reply["message"][:MESSAGE_MOST]
            if reply["state"] == "paused":
                is_whole = True
                continue
            with self._lock:
                row = self._rows.get(reply["attempt"])
            if row is None:
                continue
            if reply["state"] == "piece":
                self._put(Told(row, "piece", reply["text"]))
                with self._lock:
                    self._offsets[reply["attempt"]] = reply["size"]
                continue
            self._put(Told(row, reply["state"]))
            if reply["state"] == "over":
                self._forget(reply["attempt"])
            if self._is_stopped:
                return None
        return None if is_whole else f"the answer of {self._name} is cut short"

    def _forget(self, attempt: str) -> None:
        with self._lock:
            del self._offsets[attempt], self._rows[attempt]

    def _give_up(self, why: str) -> None:
        """Its attempts are followed no more."""
        silence = spoken(SILENT_MOST)
        self._tell_all("given_up", f"{why}; not asked any more after {silence}")
        with self._lock:
            self._rows.clear()
            self._offsets.clear()

    def _tell_all(self, what: What, text: str) -> None:
        with self._lock:
            rows = list(self._rows.values())
        for row in rows:
            self._put(Told(row, what, text))


class _Followed:
    """What is followed, and what has come of it."""

    def __init__(self, tell: Callable[[Told], None]) -> None:
        self._tell = tell
        self._nodes: dict[str, _NodeFollower] = {}
        self._pieces: queue.Queue[Told] = queue.Queue(PIECES_MOST)
        self._is_stopped = False
        self._known: set[str] = set()
        self.open: set[str] = set()

    def add(self, row: AttemptRow) -> None:
        """Follow an attempt, unless that is done already; one that never began has no log."""
        attempt = row["attempt"]
        if attempt in self._known or row["state"] == "void":
            return
        self._known.add(attempt)
        self.open.add(attempt)
        self._tell(Told(row, "begun"))
        node = self._nodes.get(row["node"])
        if node is None:
            node = _NodeFollower(row["node"], row["link"], self._put)
            self._nodes[row["node"]] = node
            node.thread.start()
        node.add(row)

    def _put(self, told: Told) -> None:
        """Called by the nodes' threads: waits while nobody takes what there is."""
        while not self._is_stopped:
            try:
                self._pieces.put(told, timeout=STOP_LOOK)
                return
            except queue.Full:
                continue

    def show_some(self) -> None:
        """Tell what has come; wait a little for it."""
        try:
            told = self._pieces.get(timeout=STOP_LOOK)
        except queue.Empty:
            return
        self._tell(told)
        if told.what in ("over", "given_up"):
            self.open.discard(told.row["attempt"])

    def stop(self) -> None:
        self._is_stopped = True
        for node in self._nodes.values():
            node.stop()


def follow_logs(
    fleet: Fleet, job: str | None, run_id: str | None, tell: Callable[[Told], None]
) -> tuple[list[AttemptRow], dict[str, str]]:
    """Follow the logs of the attempts that are asked for, until all of them have ended.

    job, run_id: as in find_attempts, whose InputError it raises. tell: takes what comes, one after
    the other, in the caller's thread. Attempts of the same job or run that begin meanwhile are
    followed too. Returns the attempts as they are then, and the nodes that gave no answer.
    """
    rows, silent = find_attempts(fleet, job, run_id)
    followed = _Followed(tell)
    pool = ThreadPoolExecutor(1)
    looked_at = time.monotonic()
    look: Future[tuple[list[AttemptRow], dict[str, str]]] | None = None
    # Whether a look that began after all had ended has found nothing more.
    is_last_look = False
    try:
        for row in rows:
            followed.add(row)
        while True:
            if followed.open:
                followed.show_some()
            if look is None and (not followed.open or time.monotonic() - looked_at > LOOK_SECONDS):
                is_last_look = not followed.open
                look = pool.submit(find_attempts, fleet, job, run_id)
            if look is not None and (look.done() or not followed.open):
                # What was there may have been cleaned away meanwhile.
                with contextlib.suppress(InputError):
                    rows, silent = look.result()
                looked_at = time.monotonic()
                look = None
                for row in rows:
                    followed.add(row)
                if is_last_look and not followed.open:
                    return rows, silent
    finally:
        followed.stop()
        pool.shutdown(wait=False, cancel_futures=True)
