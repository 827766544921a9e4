"""Signs of life: a busy tree is alive without a word, and one that only ticks is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from types import SimpleNamespace

from node_case import A, NodeCase, processes, signs, wait_for

BUSY = "while True: pass"
TICKS = "import time\nwhile True: time.sleep(0.02)"
BORN = "import subprocess, time\nwhile True: subprocess.run(['true']), time.sleep(0.5)"
MOVES = (
    "import time\nf = open('/dev/zero', 'rb', 0)\nn = open('/dev/null', 'wb', 0)\n"
    "while True: n.write(f.read(100_000)), time.sleep(0.3)"
)


class Life:
    """What a test says that it sees."""

    def __init__(self) -> None:
        self.uses: dict[tuple[int, str], signs.Use] = {(7, "a"): signs.Use(1.0, 0)}
        self.log = 10
        self.now = 100.0
        self.signs = signs.Signs(self.sample, self.now)

    def sample(self) -> signs.Sample:
        return signs.Sample(dict(self.uses), self.log)

    def go_on(self, seconds: float, cpu: float = 0.0, moved: int = 0) -> float:
        """Let time pass, with so much used evenly in each five seconds; how quiet it then is."""
        for _look in range(int(seconds // signs.EVERY)):
            self.now += signs.EVERY
            for process, use in self.uses.items():
                self.uses[process] = signs.Use(use.cpu + cpu, use.moved + moved)
            self.signs.look(self.now)
        return self.signs.quiet_for(self.now)


class SignsTest(unittest.TestCase):
    def test_what_counts_as_alive(self) -> None:
        life = Life()
        self.assertEqual(0.0, life.go_on(300, cpu=0.05))
        # A thing that hangs still ticks, and reads a clock.
        quiet = life.go_on(300, cpu=0.01, moved=500)
        self.assertTrue(230 < quiet <= 360, quiet)
        self.assertEqual(0.0, life.go_on(60, moved=6000))

        for change in (
            lambda: setattr(life, "log", life.log + 1),
            lambda: life.uses.update({(8, "b"): signs.Use(0.0, 0)}),
            # The same pid is another process.
            lambda: life.uses.update({(8, "c"): signs.Use(0.0, 0)}),
        ):
            self.assertGreater(life.go_on(300), 200)
            change()
            self.assertEqual(0.0, life.go_on(10))
            self.assertEqual(0.0, life.go_on(45))
        # The end of a process is no sign of life, and nothing is counted backwards.
        life.go_on(300)
        life.uses.clear()
        self.assertGreater(life.go_on(60), 300)
        life.log = 0
        self.assertGreater(life.go_on(60), 360)

    def test_it_is_looked_at_now_and_then(self) -> None:
        life = Life()
        self.assertFalse(life.signs.look(life.now + 1))
        self.assertTrue(life.signs.look(life.now + signs.EVERY))
        # At first nobody can know.
        self.assertEqual(0.0, life.signs.quiet_for(life.now + signs.EVERY))

    def test_times_of_ps_are_read(self) -> None:
        for text, seconds in (
            ("0:01.50", 1.5),
            ("3:04", 184.0),
            ("01:00:02", 3602.0),
            ("1-02:03:04", 93784.0),
            ("?", 0.0),
        ):
            self.assertEqual(seconds, signs.seconds_of(text))


class LastWordsTest(unittest.TestCase):
    def test_what_a_person_reads_is_told_and_events_and_rests_of_lines_are_not(self) -> None:
        cases = (
            (b"", ""),
            (b"one\ntwo\n\n", "two"),
            (b"10 %\r20 %\r", "20 %"),
            (b'Reading api.md\n{"type": "system"}\n', ""),
            (b'{"text": "' + b"x" * signs.TAIL + b'"}', ""),
            (b"x" * signs.TAIL + b"\ndone", "done"),
        )
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            for data, words in cases:
                with self.subTest(data=data[:40]):
                    log.write_bytes(data)
                    self.assertEqual(words, signs.last_words(SimpleNamespace(log=str(log))))
            log.unlink()
            self.assertEqual("", signs.last_words(SimpleNamespace(log=str(log))))


class TreeTest(NodeCase):
    """The same of real processes, in a window of some seconds."""

    def quiet(self, code: str) -> bool:
        attempt = self.store.attempt(A + os.urandom(3).hex())
        attempt.create()
        environment = {**os.environ, processes.MARKER: attempt.id}
        # What works is a grandchild.
        shell = ["/bin/sh", "-c", '"$@"; true', "sh", sys.executable, "-c", code]
        child = subprocess.Popen(shell, env=environment, start_new_session=True)
        self.addCleanup(processes.end_all, attempt.id)
        self.addCleanup(child.wait)
        self.addCleanup(processes.end_all, attempt.id)
        wait_for(lambda: len(processes.living(attempt.id)) > 1)
        time.sleep(1)
        watch = signs.Signs(
            lambda: signs.sample_of(attempt, 0), time.monotonic(), every=0.5, window=3.0
        )
        until = time.monotonic() + 7
        while time.monotonic() < until:
            watch.look(time.monotonic())
            time.sleep(0.1)
        return watch.quiet_for(time.monotonic()) > 0

    def test_a_silent_busy_tree_is_alive_and_a_hung_one_with_a_ticking_timer_is_not(self) -> None:
        for code, is_quiet in ((BUSY, False), (TICKS, True)):
            with self.subTest(code):
                self.assertEqual(is_quiet, self.quiet(code))

    @unittest.skipUnless(sys.platform == "linux", "only Linux tells that")
    def test_births_that_nobody_saw_and_bytes_are_signs_of_life(self) -> None:
        for code in (BORN, MOVES):
            with self.subTest(code):
                self.assertFalse(self.quiet(code))

    def test_a_job_that_stalls_is_ended_and_its_work_comes_home(self) -> None:
        # The least that the node itself takes; people can't ask for less than a minute.
        command = "echo x > made; exec sleep 600"
        self.start(A + "1", agent="shell", command=command, stall=30.0, timeout=300)
        until = time.monotonic() + 150
        while self.store.attempt(A + "1").ended() is None and time.monotonic() < until:
            time.sleep(1)
        ended = self.store.attempt(A + "1").ended() or {}
        self.assertEqual("stalled", ended["class"], ended)
        self.assertRegex(ended["message"], "^no sign of life for [0-9]+ s")
        self.assertEqual(1, ended["harvest"]["files"])
        self.assertLess(ended["seconds"], 120)

    def test_a_running_attempt_tells_how_it_is(self) -> None:
        self.start(A + "1", agent="shell", command="exec sleep 600")
        attempt = self.store.attempt(A + "1")
        wait_for(lambda: attempt.has(signs.FILE))
        row = json.loads(Path(attempt.path(signs.FILE)).read_text())
        self.assertEqual((0.0, ""), (row["quiet"], row["waits"]))
        (listed,) = self.listed()
        self.assertEqual(row.keys(), listed["signs"].keys())
        self.ask("cancel", attempt=A + "1")


if __name__ == "__main__":
    unittest.main()
