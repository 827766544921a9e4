"""The board of a node: in one exchange all that a person who watches wants to know of it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from node_case import A, NodeCase, boot_clock, replies


class BoardTest(NodeCase):
    def told(self, **more: object) -> tuple[list[dict], dict]:
        request = {"within": 3600.0, **more}
        found = replies(self.begin("board", request).communicate(timeout=60)[0])
        self.assertEqual("seen", found[-1]["state"], found)
        return found[:-1], found[-1]

    def test_attempts_specialists_and_the_node_come_in_one_exchange(self) -> None:
        folder = self.home / ".gummy" / "specialists" / "api"
        folder.mkdir(parents=True)
        (folder / "meta.yaml").write_text("turns: 3\nlast_active: null\nsession_id: null\n")
        hostile = "echo begun; printf 'tests: 34\\033[2J of 120\\n\\n'; "
        wait = "while ! [ -e go ]; do sleep 0.02; done"
        self.assertEqual("started", self.start(command=hostile + wait)["state"])
        log = self.store.attempt(A + "1").log
        deadline = time.monotonic() + 60
        while b"120" not in Path(log).read_bytes():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

        rows, node = self.told(load="echo busy")
        self.assertEqual(["running", "specialist"], [row["state"] for row in rows])
        self.assertEqual("tests: 34\x1b[2J of 120", rows[0]["line"])
        self.assertEqual(("api", 3), (rows[1]["name"], rows[1]["sessions"]))
        self.assertEqual(("busy\n", None, []), (node["load"], node["cost_today"], node["waiting"]))
        (self.tree() / "go").touch()

    def test_an_agent_s_events_for_programs_are_no_last_line(self) -> None:
        self.assertEqual("started", self.start(command="sleep 600")["state"])
        log = Path(self.store.attempt(A + "1").log)
        for text, line in (
            ('{"type": "assistant"}\n', ""),
            ("", ""),
            ("\n  \n", ""),
            ("first\nsecond", "second"),
            # Nobody knows how a line began of which only the end was looked at.
            ('{"text": "' + "x" * 10_000 + '"}\n', ""),
            ("x" * 10_000 + "\n", ""),
            ("x" * 10_000 + "\nlast", "last"),
            ("x" * 1000, "x" * 500),
            ("a\xff\n", "a\ufffd"),
        ):
            log.write_bytes(text.encode("latin-1"))
            with self.subTest(text=text[:20]):
                self.assertEqual(line, self.told()[0][0]["line"])

    def test_runs_on_the_waitlist_are_told_with_whose_they_are(self) -> None:
        root = Path(self.store.root)
        boot = Path("/proc/sys/kernel/random/boot_id")
        if not boot.exists():
            self.skipTest("the id of a boot is read from /proc here")
        now = boot_clock()
        until = {"known": now + 60, "unknown": now + 60, "over": now - 1, "../x": now + 60}
        data = {"boot": boot.read_text().strip(), "until": until}
        (root / "line.json").write_text(json.dumps(data))
        (root / "runs").mkdir(exist_ok=True)
        driver = {"run_id": "release-42", "controller": "c"}
        (root / "runs" / "known.json").write_text(json.dumps(driver))
        self.assertEqual([driver, {"run_id": None, "controller": None}], self.told()[1]["waiting"])

        for odd in (
            "",
            "[]",
            json.dumps({**data, "until": [1]}),
            json.dumps({**data, "until": {"a": "x"}}),
        ):
            (root / "line.json").write_text(odd)
            self.assertEqual([], self.told()[1]["waiting"])

    def test_nothing_is_written(self) -> None:
        self.told()
        before = {path: os.stat(path).st_mtime_ns for path in Path(self.store.root).rglob("*")}
        self.told(paths=["~/code/*"], load="echo x")
        after = {path: os.stat(path).st_mtime_ns for path in Path(self.store.root).rglob("*")}
        self.assertEqual(before, after)
