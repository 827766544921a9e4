"""One record of one controller drives a run."""

from __future__ import annotations

import contextlib
import os
import unittest
from pathlib import Path

from node_case import A, NodeCase, replies, try_lock, wait_for


def opened_by(pid: int) -> list[str]:
    """The files that a process has open; it may close some while one looks."""
    paths = []
    for number in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            paths.append(os.readlink(number))
    return paths


class RunsTest(NodeCase):
    def enter(self, uid: str, controller: str = "one", run_id: str = "nightly") -> dict:
        return self.ask(
            "claim",
            attempt=f"{uid}-{len(self.store.attempts())}",
            key="project",
            slots=9,
            run_id=run_id,
            controller=controller,
        )

    def test_a_run_that_was_taken_over_is_closed_to_its_first_controller(self) -> None:
        first = self.enter(A + "u")
        self.assertEqual("claimed", first["state"])
        self.assertEqual(
            "adopted", self.ask("adopt", uid=A + "u", run_id="nightly", controller="two")["state"]
        )
        for reply in (
            self.enter(A + "u"),
            self.ask(
                "start",
                attempt=A + "u-0",
                generation=first["generation"],
                spec=self.spec(controller="one"),
            ),
        ):
            self.assertEqual(
                ("refused", "adopted", "input"), (reply["state"], reply["class"], reply["blame"])
            )
        self.assertEqual("claimed", self.enter(A + "u", "two")["state"])

    @unittest.skipUnless(os.path.isdir("/proc/self/fd"), "sees from /proc where the start stands")
    def test_a_start_that_was_under_way_when_its_run_was_taken_over_is_refused_and_void(
        self,
    ) -> None:
        claimed = self.enter(A + "u")
        lock = self.store.root + "/claims.lock"
        held = try_lock(lock)
        start = self.begin(
            "start",
            {
                "attempt": A + "u-0",
                "generation": claimed["generation"],
                "spec": self.spec(controller="one"),
            },
        )
        wait_for(lambda: os.path.realpath(lock) in opened_by(start.pid))
        self.assertEqual(
            "adopted", self.ask("adopt", uid=A + "u", run_id="nightly", controller="two")["state"]
        )
        os.close(held)
        self.assertEqual("adopted", replies(start.communicate(timeout=60)[0])[-1]["class"])
        self.assertEqual(
            [(A + "u-0", "void")],
            [(row["attempt"], row["state"]) for row in self.listed(run_id="r")],
        )
        self.assertEqual("void", self.ask("fence", attempt=A + "u-0")["state"])

    def test_a_run_whose_record_is_gone_is_not_begun_anew_beside_what_it_left(self) -> None:
        claimed = self.enter(A + "old")
        self.ask(
            "start",
            attempt=A + "old-0",
            generation=claimed["generation"],
            spec=self.spec(controller="one"),
        )
        self.end(A + "old-0")
        refused = self.enter(A + "new")
        self.assertEqual(
            ("refused", "record", "input"), (refused["state"], refused["class"], refused["blame"])
        )
        self.assertIn("gummy_adopt=true", refused["message"])
        self.assertEqual("claimed", self.enter(A + "other", run_id="weekly")["state"])
        # Names are each controller's own.
        self.assertEqual("claimed", self.enter(A + "else", controller="two")["state"])
        self.ask("ack", attempts=[A + "old-0"], controller="one")
        self.assertEqual("claimed", self.enter(A + "new")["state"])

    def test_a_sync_belongs_to_no_run(self) -> None:
        self.assertEqual("claimed", self.claim(A + "sync")["state"])
        self.assertEqual([], list(Path(self.store.root, "runs").iterdir()))
