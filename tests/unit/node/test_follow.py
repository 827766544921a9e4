"""The verb `follow`: logs as they are written, and from any byte on."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from node_case import A, NodeCase, replies, wait_for


class FollowTest(NodeCase):
    def follow(self, seconds: float = 30.0, **offsets: int) -> list[dict]:
        """Replies to one call. offsets: by the end of the attempts' ids."""
        asked = {A + number[1:]: offset for number, offset in offsets.items()}
        process = self.begin("follow", {"offsets": asked, "seconds": seconds})
        return replies(process.communicate(timeout=60)[0])

    def log(self, number: str, data: bytes) -> None:
        attempt = self.store.attempt(A + number)
        attempt.create()
        Path(attempt.log).write_bytes(data)

    def test_what_has_ended_is_told_from_the_byte_that_is_asked_for(self) -> None:
        self.log("1", b"one\ntwo\n")
        for offset, text in ((-1, "one\ntwo\n"), (0, "one\ntwo\n"), (4, "two\n")):
            with self.subTest(offset=offset):
                piece, over, paused = self.follow(_1=offset)
                self.assertEqual((text, 8), (piece["text"], piece["size"]))
                self.assertEqual(("over", A + "1"), (over["state"], over["attempt"]))
                self.assertEqual("paused", paused["state"])
        self.assertEqual(["over", "paused"], [reply["state"] for reply in self.follow(_1=8)])
        self.assertEqual(["over", "paused"], [reply["state"] for reply in self.follow(_1=99)])
        # Of one that is not there nothing is told either.
        self.assertEqual(["over", "paused"], [reply["state"] for reply in self.follow(_9=0)])

    def test_a_job_that_runs_is_followed_to_its_end(self) -> None:
        self.start(A + "1", command="echo one; while ! [ -e go ]; do sleep 0.02; done; echo two")
        log = Path(self.store.attempt(A + "1").log)
        wait_for(lambda: log.exists() and log.read_bytes())
        process = self.begin("follow", {"offsets": {A + "1": 0}, "seconds": 50})
        first = [json.loads(process.stdout.readline().rpartition(b"\x1e")[2]) for _time in (1, 2)]
        self.assertEqual(["piece", "reached"], [reply["state"] for reply in first])
        self.assertEqual("one\n", first[0]["text"])
        (self.tree() / "go").touch()
        *pieces, over, paused = replies(process.communicate(timeout=60)[0])
        self.assertEqual("two\n", "".join(piece["text"] for piece in pieces))
        self.assertEqual(["over", "paused"], [over["state"], paused["state"]])

    def test_a_call_ends_when_its_time_is_over_and_the_next_goes_on(self) -> None:
        self.start(A + "1", command="printf abc; while ! [ -e go ]; do sleep 0.02; done")
        log = Path(self.store.attempt(A + "1").log)
        wait_for(lambda: log.exists() and log.read_bytes())
        self.assertEqual(
            ["piece", "reached", "paused"], [reply["state"] for reply in self.follow(0.1, _1=0)]
        )
        self.assertEqual(
            ["reached", "paused"], [reply["state"] for reply in self.follow(0.1, _1=3)]
        )
        (self.tree() / "go").touch()

    def test_a_character_that_is_half_there_is_told_when_it_is_whole(self) -> None:
        self.start(A + "1", command="printf 'a\\303'; while ! [ -e go ]; do sleep 0.02; done")
        log = Path(self.store.attempt(A + "1").log)
        wait_for(lambda: log.exists() and len(log.read_bytes()) == 2)
        piece, *_rest = self.follow(0.1, _1=0)
        self.assertEqual(("a", 1), (piece["text"], piece["size"]))
        with log.open("ab") as file:
            file.write(b"\xa4\xff")
        piece, *_rest = self.follow(0.1, _1=piece["size"])
        self.assertEqual(("ä\\xff", 4), (piece["text"], piece["size"]))
        (self.tree() / "go").touch()

    def test_several_logs_are_followed_together_and_a_big_one_is_told_in_several_calls(
        self,
    ) -> None:
        self.log("1", os.urandom(6_000_000))
        self.log("2", b"small\n")
        known = {"_1": 0, "_2": 0}
        texts = {A + "1": 0, A + "2": 0}
        until = time.monotonic() + 60
        calls = 0
        while known and time.monotonic() < until:
            calls += 1
            for reply in self.follow(**known):
                if reply["state"] == "piece":
                    known["_" + reply["attempt"][-1]] = reply["size"]
                    texts[reply["attempt"]] = reply["size"]
                elif reply["state"] == "over":
                    del known["_" + reply["attempt"][-1]]
        self.assertEqual({A + "1": 6_000_000, A + "2": 6}, texts)
        self.assertLess(1, calls)

    def test_a_name_that_is_none_is_refused(self) -> None:
        reply = self.ask("follow", offsets={"../../x": 0}, seconds=1)
        self.assertEqual(("refused", "input"), (reply["state"], reply["class"]))
