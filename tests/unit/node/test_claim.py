"""Claims: who gets which slot and workspace, and until when."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from unittest import mock

from node_case import A, NodeCase, Refusal, boot_clock, claim, replies


class ClaimTest(NodeCase):
    def edit_claims(self, **changes: object) -> None:
        path = Path(self.store.root, "claims.json")
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def rows(self) -> list[dict]:
        return json.loads(Path(self.store.root, "claims.json").read_text())["rows"]

    def hold(self, path: str) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.addCleanup(os.close, fd)
        fcntl.flock(fd, fcntl.LOCK_EX)

    def leave(self, number: int, attempt: str, ended: object = None, began: bool = True) -> None:
        """A workspace whose last attempt began, or was about to, and has no supervisor any more."""
        record = self.store.attempt(attempt)
        record.create()
        record.mark("starting")
        if began:
            record.mark("agent")
        if ended is not None:
            record.mark("ended.json", json.dumps(ended).encode())
        Path(self.store.workspace("project", number), "holder.json").write_text(
            json.dumps({"attempt": attempt})
        )

    def test_asked_again_the_answer_is_the_same(self) -> None:
        first = self.claim()
        self.assertEqual("claimed", first["state"])
        self.assertEqual(first, self.claim())
        self.assertEqual(1, len(self.rows()))

    def test_twenty_at_once_get_three_slots_and_no_slot_or_workspace_twice(self) -> None:
        asked = [
            self.begin("claim", {"attempt": f"{A}{n}", "key": "project", "slots": 3})
            for n in range(20)
        ]
        answers = [replies(process.communicate(timeout=60)[0])[-1] for process in asked]
        claimed = [answer for answer in answers if answer["state"] == "claimed"]
        self.assertEqual(17, sum(answer["state"] == "busy" for answer in answers), answers)
        self.assertEqual([0, 1, 2], sorted(answer["slot"] for answer in claimed))
        for part in ("workspace", "generation"):
            self.assertEqual(3, len({answer[part] for answer in claimed}))

    def test_a_lease_of_another_boot_or_that_ran_out_is_void_and_the_generation_grows(self) -> None:
        before = self.claim(A + "1", slots=1)
        self.assertEqual("busy", self.claim(A + "2", slots=1)["state"])
        self.edit_claims(boot="another")
        after = self.claim(A + "2", slots=1)
        self.assertEqual(
            ("claimed", 0, before["workspace"]), (after["state"], after["slot"], after["workspace"])
        )
        self.edit_claims(rows=[{**row, "expires": boot_clock() - 1} for row in self.rows()])
        last = self.claim(A + "1", slots=1)
        self.assertEqual([1, 2, 3], [reply["generation"] for reply in (before, after, last)])
        refused = self.ask(
            "start", attempt=A + "1", generation=1, spec=self.spec(command="touch ran")
        )
        self.assertEqual(
            ("refused", "lease", "ours"), (refused["state"], refused["class"], refused["blame"])
        )
        self.assertFalse((self.tree() / "ran").exists())

    def test_a_released_claim_frees_slot_and_workspace_for_the_next(self) -> None:
        first = self.claim(A + "1", slots=1)
        for _time in range(2):
            self.assertEqual("released", self.ask("release", attempt=A + "1")["state"])
        second = self.claim(A + "2", slots=1)
        self.assertEqual((first["slot"], first["workspace"]), (second["slot"], second["workspace"]))

    def test_what_somebody_holds_a_lock_on_is_taken(self) -> None:
        self.claim(A + "0", slots=3)
        self.ask("release", attempt=A + "0")
        self.hold(self.store.slot(0))
        self.hold(os.path.join(self.store.workspace("project", 0), "lock"))
        claimed = self.claim(slots=2)
        self.assertEqual(
            (1, self.store.workspace("project", 1)), (claimed["slot"], claimed["workspace"])
        )
        self.assertEqual("busy", self.claim(A + "2", slots=2)["state"])

    def test_a_workspace_with_unharvested_work_is_not_given_out(self) -> None:
        self.claim(A + "0")
        self.ask("release", attempt=A + "0")
        self.leave(0, "dead")
        self.assertEqual(
            self.store.workspace("project", 1), self.claim(A + "1", slots=9)["workspace"]
        )
        # The result says that the work lies here.
        self.leave(0, "dead", {"class": "harvest"})
        self.assertEqual(
            self.store.workspace("project", 2), self.claim(A + "2", slots=9)["workspace"]
        )
        self.leave(0, "dead", {"class": "killed"})
        self.assertEqual(
            self.store.workspace("project", 0), self.claim(A + "3", slots=9)["workspace"]
        )

    def test_a_workspace_whose_baseline_may_still_be_under_way_is_not_given_out_before_a_fence(
        self,
    ) -> None:
        self.claim(A + "0")
        self.ask("release", attempt=A + "0")
        self.leave(0, A + "dead", began=False)
        self.assertEqual(
            self.store.workspace("project", 1), self.claim(A + "1", slots=9)["workspace"]
        )
        self.assertEqual("void", self.ask("fence", attempt=A + "dead")["state"])
        self.assertEqual(
            self.store.workspace("project", 0), self.claim(A + "2", slots=9)["workspace"]
        )

    def test_a_claim_file_that_can_not_be_read_holds_no_leases_and_locks_still_count(self) -> None:
        first = self.claim(A + "1", slots=9)
        # Its sync.
        self.hold(os.path.join(self.store.workspace("project", 0), "lock"))
        Path(self.store.root, "claims.json").write_text("")
        self.assertEqual(
            self.store.workspace("project", 1), self.claim(A + "2", slots=9)["workspace"]
        )
        late = self.ask(
            "start",
            attempt=A + "1",
            generation=first["generation"],
            spec=self.spec(command="touch ran"),
        )
        self.assertEqual(("refused", "lease"), (late["state"], late["class"]))

    def test_projects_do_not_share_workspaces(self) -> None:
        keys = [self.claim(f"{A}{key}", key, slots=9)["workspace"] for key in ("one", "two")]
        self.assertEqual([self.store.workspace(key, 0) for key in ("one", "two")], keys)

    def test_a_full_disk_is_the_nodes_fault_and_says_what_is_missing(self) -> None:
        full = mock.Mock(f_bavail=100 * 256, f_frsize=4096)
        with (
            mock.patch("os.statvfs", return_value=full),
            self.assertRaisesRegex(Refusal, "only 100 MB are free") as raised,
        ):
            claim.claim(self.store, {"attempt": A + "1", "key": "project", "slots": 1})
        self.assertEqual(("disk", "node"), (raised.exception.kind, raised.exception.blame))

    def test_a_fenced_or_started_attempt_cannot_claim(self) -> None:
        self.ask("fence", attempt=A + "1")
        self.assertEqual("fenced", self.claim(A + "1")["class"])
        self.store.attempt(A + "2").create()
        self.store.attempt(A + "2").mark("starting")
        self.assertEqual("known", self.claim(A + "2")["class"])
