"""An agent's processes are found however they hide, and ended; nobody else's are."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from unittest import mock

from node_case import A, NodeCase, alive, end, processes, wait_for


class ProcessesTest(NodeCase):
    def run_python(self, script: str, marked: bool = True) -> subprocess.Popen:
        """A process that has run its script, and then waits."""
        path = self.home / f"ready-{os.urandom(4).hex()}"
        env = dict(self.env)
        if marked:
            env[processes.MARKER] = A + "1"
        script = (
            f"import os, signal, time\n{script}\nopen({str(path)!r}, 'w').close()\ntime.sleep(600)"
        )
        process = subprocess.Popen([sys.executable, "-c", script], env=env)
        self.addCleanup(process.wait)
        self.addCleanup(end, process.pid)
        wait_for(path.exists)
        return process

    def test_a_process_is_known_by_its_marker_and_only_to_its_own_attempt(self) -> None:
        ours = self.run_python("")
        other = self.run_python("", marked=False)
        self.assertEqual({ours.pid}, processes.living(A + "1"))
        self.assertEqual(set(), processes.living(A + "10"))
        self.assertNotIn(other.pid, processes.living(A + "1"))

    def test_a_descendant_without_the_marker_is_known_by_its_ancestor(self) -> None:
        parent = self.run_python("child = os.fork()\nif child == 0: time.sleep(600)", marked=False)
        self.assertEqual(set(), processes.living(A + "1"))
        found = processes.living(A + "1", ancestor=parent.pid)
        self.assertEqual(1, len(found))
        self.assertNotIn(parent.pid, found)
        for pid in found:
            self.addCleanup(end, pid)

    def test_our_own_process_never_counts(self) -> None:
        ours = self.run_python("")
        self.assertIn(ours.pid, processes.living("none", ancestor=os.getpid()))
        self.assertNotIn(os.getpid(), processes.living("none", ancestor=os.getppid()))

    @unittest.skipUnless(sys.platform == "linux", "reads /proc")
    def test_proc_tells_who_is_whose_child(self) -> None:
        ours = self.run_python("")
        marked, parents = processes._marked_linux(f"{processes.MARKER}={A}1".encode())
        self.assertEqual(({ours.pid}, os.getpid()), (marked, parents[ours.pid]))

    def test_where_there_is_no_proc_ps_tells_it(self) -> None:
        marker = f"{processes.MARKER}={A}1"
        listing = (
            f"    1     0 Ss   /sbin/launchd\n   20     1 S+   sleep 600 HOME=/h {marker} TERM=x\n"
            f"   21    20 Z    (sleep) {marker}\n   22    20 S    sleep 600 {marker}0\nrubbish\n"
        )
        done = subprocess.CompletedProcess([], 0, listing.encode())
        with mock.patch.object(processes.subprocess, "run", return_value=done):
            found = processes._marked_ps(marker.encode())
        self.assertEqual(({20}, {1: 0, 20: 1, 22: 20}), found)

    def test_a_process_may_clean_up_and_gets_one_term(self) -> None:
        note = self.home / "terms"
        tidy = self.run_python(
            f"def tidy(*_):\n open({str(note)!r}, 'a').write('x'); time.sleep(0.3); os._exit(0)\n"
            "signal.signal(signal.SIGTERM, tidy)"
        )
        self.assertEqual([], processes.end_all(A + "1"))
        self.assertFalse(alive(tidy.pid))
        self.assertEqual("x", note.read_text())

    def test_what_ignores_term_is_killed(self) -> None:
        stubborn = self.run_python("signal.signal(signal.SIGTERM, signal.SIG_IGN)")
        with mock.patch.object(processes, "GRACE", 0.3):
            self.assertEqual([], processes.end_all(A + "1"))
        self.assertFalse(alive(stubborn.pid))

    def test_what_can_not_be_ended_is_told(self) -> None:
        ours = self.run_python("")
        with (
            mock.patch.object(processes, "GRACE", 0.05),
            mock.patch.object(processes, "_signal"),
        ):
            self.assertEqual([ours.pid], processes.end_all(A + "1"))
