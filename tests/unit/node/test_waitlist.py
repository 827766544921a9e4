"""The waitlist: runs wait for a full node's slots, and get them in the order in which they came."""

from __future__ import annotations

import json
import select
import subprocess
from pathlib import Path

from node_case import NodeCase, replies, wait_for

RUN = {"run_id": "r", "controller": "c"}


class WaitlistTest(NodeCase):
    def asked(self, attempt: str, **run: str) -> dict:
        """A claim of the node's one slot; without a run it is a mere sync's."""
        return self.ask("claim", attempt=attempt, key="project", slots=1, **run)

    def waiting(self) -> list[str]:
        path = Path(self.store.root, "line.json")
        return list(json.loads(path.read_text())["until"]) if path.exists() else []

    def wait_for_slot(self, run: str) -> subprocess.Popen:
        waits = self.begin("poll", {"prefix": f"{run}-", "told": [], "slots": 1})
        self.addCleanup(waits.wait)
        self.addCleanup(waits.kill)
        self.assertEqual("watching", self.told(waits))
        self.tell(waits, b"+")
        wait_for(lambda: run in self.waiting())
        return waits

    def tell(self, waits: subprocess.Popen, word: bytes) -> None:
        waits.stdin.write(word)
        waits.stdin.flush()

    def told(self, waits: subprocess.Popen, seconds: float = 10.0) -> str | None:
        """What it says within these seconds, if anything."""
        if not select.select([waits.stdout], [], [], seconds)[0]:
            return None
        return replies(waits.stdout.readline())[-1]["state"]

    def test_a_run_that_waits_comes_before_one_that_gave_its_slot_back(self) -> None:
        self.assertFalse(self.asked("one-1", **RUN)["contended"])
        self.assertEqual("busy", self.asked("two-1", **RUN)["state"])
        two = self.wait_for_slot("two")
        three = self.wait_for_slot("three")
        self.ask("release", attempt="one-1")
        self.assertEqual("turn", self.told(two))
        self.assertEqual(
            ["busy", "busy"], [self.asked(name, **RUN)["state"] for name in ("one-2", "three-1")]
        )
        claimed = self.asked("two-1", **RUN)
        self.assertEqual(("claimed", True), (claimed["state"], claimed["contended"]))
        self.assertIsNone(self.told(three, 0.5))
        self.ask("release", attempt="two-1")
        self.assertEqual("turn", self.told(three))
        self.assertFalse(self.asked("three-1", **RUN)["contended"])

    def test_a_run_that_leaves_keeps_nobody_waiting(self) -> None:
        self.asked("one-1", **RUN)
        two, three, four = (self.wait_for_slot(run) for run in ("two", "three", "four"))
        self.tell(two, b"-")
        three.stdin.close()
        wait_for(lambda: self.waiting() == ["four"])
        self.ask("release", attempt="one-1")
        self.assertEqual("turn", self.told(four))
        # It goes on to tell what happens to its attempts.
        self.assertIsNone(two.poll())

    def test_a_wait_that_was_killed_and_a_turn_that_is_not_used_are_passed_over(self) -> None:
        self.asked("one-1", **RUN)
        two, three, four = (self.wait_for_slot(run) for run in ("two", "three", "four"))
        two.kill()
        self.ask("release", attempt="one-1")
        self.assertEqual(["turn", "turn"], [self.told(three), self.told(four)])

    def test_a_turn_that_is_given_back_is_the_next_ones_at_once(self) -> None:
        self.asked("one-1", **RUN)
        two = self.wait_for_slot("two")
        self.ask("release", attempt="one-1")
        self.assertEqual("turn", self.told(two))
        self.tell(two, b"-")
        wait_for(lambda: self.waiting() == [])
        self.assertEqual("claimed", self.asked("three-1", **RUN)["state"])

    def test_a_sync_has_no_place_in_the_waitlist_and_takes_any_free_slot(self) -> None:
        self.asked("one-1", **RUN)
        self.assertEqual("busy", self.asked("sync-1")["state"])
        two = self.wait_for_slot("two")
        self.ask("release", attempt="one-1")
        self.assertEqual("turn", self.told(two))
        self.assertEqual("claimed", self.asked("sync-2")["state"])

    def test_a_free_node_has_no_waitlist(self) -> None:
        self.assertEqual("turn", self.told(self.wait_for_slot("one")))
        self.assertEqual("claimed", self.asked("one-1", **RUN)["state"])
        self.assertEqual([], self.waiting())
