"""What clean takes away from a store, and what it never does."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from node_case import ZIP, A, NodeCase, replies, wait_for

OLD = time.time() - 40 * 86400
ALL = {"days": 30, "most": 1e15, "free": 0}


class CleanTest(NodeCase):
    def clean(self, **changes: object) -> list[tuple[str, str, str]]:
        done = replies(
            self.begin("clean", {**ALL, "check": False, **changes}).communicate(timeout=60)[0]
        )
        self.assertEqual("cleaned", done[-1]["state"], done)
        return [(row["what"], row["name"], row["why"]) for row in done[:-1]]

    def age(self, attempt: str, mark: str) -> None:
        os.utime(self.store.attempt(attempt).path(mark), (OLD, OLD))

    def done(self, number: int, acknowledge: bool = True, old: bool = True, **spec: object) -> str:
        attempt = f"{A}{number}"
        self.run_job(attempt, **spec)
        if acknowledge:
            self.ask("ack", attempts=[attempt], controller="c")
        if old:
            self.age(attempt, "acknowledged" if acknowledge else "ended.json")
        return attempt

    def names(self) -> set[str]:
        return set(os.listdir(Path(self.store.root, "attempts")))

    def test_what_is_old_and_over_goes_and_a_check_only_says_so(self) -> None:
        old = self.done(1)
        young = self.done(2, old=False)
        self.ask("fence", attempt=A + "3")
        self.age(A + "3", "void")
        told = [("attempt", old, "old"), ("attempt", A + "3", "old")]
        before = self.names()
        self.assertEqual(sorted(told), sorted(self.clean(check=True)))
        self.assertEqual(before, self.names())
        self.assertEqual(sorted(told), sorted(self.clean()))
        self.assertEqual({young}, self.names())
        self.assertTrue((self.tree() / "..").exists(), "a workspace makes the next sync quick")

    def test_what_runs_what_nobody_fetched_and_a_failed_harvest_stay_however_old_or_large(
        self,
    ) -> None:
        kept = {
            self.done(1, acknowledge=False),
            self.done(2, command="echo precious > work; rm -rf ../baseline.git"),
        }
        self.start(A + "3", command="while ! [ -e go ]; do sleep 0.02; done")
        wait_for(lambda: self.store.attempt(A + "3").has("agent"))
        for mark in ("starting", "agent"):
            self.age(A + "3", mark)
        self.clean(most=0, free=1e18)
        self.assertEqual(kept | {A + "3"}, self.names())
        self.assertEqual(
            "precious\n",
            next(Path(self.store.root).glob("workspaces/project/*/tree/work")).read_text(),
        )
        (Path(self.store.attempt(A + "3").spec()["workspace"]) / "tree" / "go").touch()
        self.assertIsNone(self.end(A + "3")["class"])

    def test_what_is_more_than_is_kept_goes_oldest_first_and_nothing_of_this_hour(self) -> None:
        first = self.done(1)
        second = self.done(2)
        third = self.done(3, old=False)
        later = OLD + 1000
        os.utime(self.store.attempt(second).path("acknowledged"), (later, later))
        files = [path for path in Path(self.store.root, "attempts").rglob("*") if path.is_file()]
        self.assertEqual(
            [("attempt", first, "more than is kept")],
            self.clean(days=1000, most=sum(path.lstat().st_blocks * 512 for path in files) - 1),
        )
        self.assertEqual([("attempt", second, "more than is kept")], self.clean(days=1000, most=1))
        self.assertEqual({third}, self.names())

    def test_workspaces_go_when_the_disk_is_needed_and_never_those_in_use(self) -> None:
        self.done(1, old=False)
        claimed = Path(self.claim(A + "2", "claimed")["workspace"])
        self.assertEqual([], self.clean())
        self.assertEqual(
            [("workspace", "project/0", "the disk is needed")], self.clean(free=1e18, check=True)
        )
        self.assertTrue(self.tree().exists())
        self.assertEqual([("workspace", "project/0", "the disk is needed")], self.clean(free=1e18))
        self.assertFalse(self.tree().exists())
        self.assertTrue(claimed.exists())
        self.assertEqual(
            str(self.tree().parent), self.claim(A + "3")["workspace"], "it can be claimed again"
        )

    def test_old_programs_go_and_not_one_that_a_supervisor_holds(self) -> None:
        folder = Path(ZIP).parent
        free, held, young = (folder / (digit * 64 + ".zip") for digit in "abc")
        for path in (free, held, young):
            path.write_bytes(b"x")
            self.addCleanup(path.unlink, missing_ok=True)
        for path in (free, held, Path(ZIP)):
            os.utime(path, (OLD, OLD))
        with held.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            self.assertEqual([("program", free.name, "old")], self.clean())
        self.assertEqual({Path(ZIP).name, held.name, young.name}, set(os.listdir(folder)))
        held.unlink()
        young.unlink()

    def test_a_run_of_which_nothing_is_left_is_forgotten(self) -> None:
        request = {"attempt": A + "1", "key": "k", "slots": 2, "run_id": "r", "controller": "c"}
        self.ask("claim", **request)
        (path,) = Path(self.store.root, "runs").iterdir()
        os.utime(path, (OLD, OLD))
        self.ask("fence", attempt=A + "1")
        self.clean()
        self.assertTrue(path.exists())
        self.age(A + "1", "void")
        self.clean()
        self.assertFalse(path.exists())
