"""Users of a soak: each calls its runs until every job is accounted for.

They do so from one controller or another.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import queue
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from model import Job
from real_nodes import Controller, Played, Playing

# How many calls a run may need, at the very most.
CALLS = 60
# How long one call may take, in seconds.
LONGEST = 240.0
# How long a playbook that lost its worker may go on, in seconds.
HANGS = 5.0
# How long to wait after a call that could do nothing, in seconds.
PAUSE = 1.0
NOTHING_RAN = frozenset({"unreachable", "sync", "refused", "start", "input"})


def is_final(row: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    """Whether another call of the run could tell more.

    A harvest that can't be made is tried twice.
    """
    if row["status"] in ("lost", "running", "waiting") or row["class"] in NOTHING_RAN:
        return False
    return row["class"] != "harvest" or (before is not None and before["class"] == "harvest")


class Driver(threading.Thread):
    """One user with two machines."""

    def __init__(
        self,
        name: str,
        controllers: Sequence[Controller],
        batches: queue.Queue[tuple[str, list[Job]]],
        may_begin: Callable[[str], bool],
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.controllers = list(controllers)
        self._batches = batches
        self._may_begin = may_begin
        self.project = controllers[0].project
        self.playing: Playing | None = None
        self.run_id = ""
        self.jobs: set[str] = set()
        # What the next call is told to do.
        self.adopt = False
        # When to end the playbook because it lost its worker, by the monotonic clock.
        self.hangs_at: float | None = None
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.calls: list[dict[str, Any]] = []
        self.broke: list[str] = []

    @property
    def controller(self) -> Controller:
        return self.controllers[0]

    @property
    def record(self) -> pathlib.Path:
        return self.controller.state / "runs" / self.run_id

    def run(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self.run_id, jobs = self._batches.get_nowait()
                while not self._may_begin(self.run_id):
                    time.sleep(0.1)
                try:
                    self._drive(jobs)
                # What breaks here must be told at the end.
                except Exception as exc:  # noqa: BLE001
                    self.broke.append(f"{self.run_id}: {type(exc).__name__}: {exc}")

    def _drive(self, jobs: Sequence[Job]) -> None:
        self.jobs = {job.name for job in jobs}
        batch = {
            "gummy_agent": "shell",
            "gummy_project": str(self.project),
            "gummy_local_fallback": False,
            "gummy_jobs": [dict(job.spec) for job in jobs],
        }

        settings = {"gummy_run_id": self.run_id, "gummy_lost_after": "20s", "gummy_refresh": True}

        # Whatever broke a call, the same call again goes on with what is left.
        for _call in range(CALLS):
            controller = self.controller
            adopt = self.adopt
            self.adopt = False

            path = controller.folder / f"{self.run_id}.json"
            path.write_text(
                json.dumps({**batch, **settings, "gummy_adopt": adopt}), encoding="utf-8"
            )
            self.playing = controller.begin(
                "run", "-e", f"@{path}", inventory=str(controller.folder / "hosts.json")
            )
            played = self._await(self.playing)

            self.calls.append(
                {
                    "at": round(time.time(), 2),
                    "run": self.run_id,
                    "adopt": adopt,
                    "status": played.status,
                    "jobs": len(played.jobs),
                }
            )

            if adopt and not played.jobs:
                # Nothing came of it, so the next call is told the same.
                self.adopt = True
            if self._done(played):
                self.jobs = set()
                return
            if not played.jobs and played.status >= 0:
                time.sleep(PAUSE)

        self.broke.append(
            f"{self.run_id} did not come to its end in {CALLS} calls; the last one said:\n{played}"
        )

    def _await(self, playing: Playing) -> Played:
        until = time.monotonic() + LONGEST
        while playing.process.poll() is None:
            now = time.monotonic()
            if now > until:
                self.broke.append(
                    f"{self.run_id}: a call did not end in {LONGEST:.0f} s:\n{playing.said()}"
                )
            if now > until or (self.hangs_at is not None and now > self.hangs_at):
                playing.kill()
            time.sleep(0.02)
        self.hangs_at = None
        return Played(playing.process.returncode, playing.said())

    def _done(self, played: Played) -> bool:
        final = bool(played.jobs)
        for name, row in played.jobs.items():
            final = is_final(row, self.rows.get(name)) and final
            at_home = False
            if row["status"] == "success" and row["patch"]:
                with contextlib.suppress(OSError):
                    at_home = f"+work of {name}\n" in pathlib.Path(row["patch"]).read_text(
                        encoding="utf-8"
                    )
            self.rows[name] = {**row, "at_home": at_home, "run": self.run_id}
        return final

    # -- what faults do to it

    def lose_record(self) -> None:
        # This goes first, for its thread goes on as soon as the playbook has ended.
        self.adopt = True
        if self.playing is not None:
            self.playing.kill()
        shutil.rmtree(self.record, ignore_errors=True)

    def move(self) -> None:
        """Its next call comes from the other machine, which takes the run over."""
        self.controllers.reverse()
        self.adopt = True
