"""A node stays awake as far as its system grants it; no job is begun that a logout would end."""

from __future__ import annotations

import os
import time
from pathlib import Path
from unittest import mock

from node_case import NodeCase, Refusal, awake, wait_for

# Grants what the file `grants` names, and says on its first line how it was asked.
INHIBIT = """#!/bin/sh
echo "$1" >> "$HOME/asked"
[ ! -t 0 ] || echo terminal >> "$HOME/asked"
for word; do case $word in --*) shift ;; *) break ;; esac; done
grep -qx -- "$(tail -n 1 "$HOME/asked")" "$HOME/grants" || { echo Access denied >&2; exit 1; }
exec "$@"
"""
LOGINCTL = """#!/bin/sh
case "$*" in
  *KillUserProcesses*)
    echo KillUserProcesses=$(cat "$HOME/kills")
    echo KillExcludeUsers=root-only
    ;;
  *) echo Linger=$(cat "$HOME/linger") ;;
esac
"""


class AwakeTest(NodeCase):
    def setUp(self) -> None:
        super().setUp()
        self.bin = self.home / "bin"
        self.bin.mkdir()
        change = mock.patch.dict(
            os.environ, HOME=str(self.home), PATH=f"{self.bin}:/usr/bin:/bin", SSH_CONNECTION="a b"
        )
        change.start()
        self.addCleanup(change.stop)

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def granted(self) -> tuple[str, list[str]]:
        """What is granted in the end, and for what was asked."""
        holder = awake.Awake()
        holder.begin()
        self.addCleanup(holder.end)
        until = time.monotonic() + 5
        while not holder.look() and time.monotonic() < until and holder._process is not None:
            time.sleep(0.01)
        return holder.granted, (self.home / "asked").read_text().split()

    def grants(self, *what: str) -> None:
        self.program("systemd-inhibit", INHIBIT)
        (self.home / "grants").write_text("".join(f"--what={each}\n" for each in what))

    def test_the_first_that_is_granted_is_held(self) -> None:
        self.grants("sleep:idle", "idle")
        self.assertEqual(("sleep:idle", ["--what=sleep:idle"]), self.granted())

    def test_where_sleep_is_refused_idle_is_asked_for(self) -> None:
        self.grants("idle")
        self.assertEqual(("idle", ["--what=sleep:idle", "--what=idle"]), self.granted())

    def test_that_nothing_is_granted_or_there_is_no_failure(self) -> None:
        self.grants()
        self.assertEqual(("", ["--what=sleep:idle", "--what=idle"]), self.granted())
        with mock.patch.dict(os.environ, PATH="/nowhere"):
            holder = awake.Awake()
            holder.begin()
            self.assertEqual("", holder.look())
            holder.end()

    def test_what_is_held_ends_with_who_holds_it(self) -> None:
        self.program("caffeinate", '#!/bin/sh\nshift\nexec "$@"\n')
        holder = awake.Awake()
        holder.begin()
        wait_for(holder.look)
        self.assertEqual("sleep", holder.granted)
        process = holder._process
        assert process is not None and process.stdin is not None
        # As the end of the supervisor closes it.
        process.stdin.close()
        self.assertEqual(0, process.wait(5))
        holder.end()

    # -- logging out

    def logind(self, kills: str, linger: str) -> None:
        self.program("loginctl", LOGINCTL)
        (self.home / "kills").write_text(kills)
        (self.home / "linger").write_text(linger)

    def test_a_job_that_a_logout_would_end_is_refused_until_the_user_lingers(self) -> None:
        self.logind("yes", "no")
        for _time in range(2):
            with self.assertRaises(Refusal) as refused:
                awake.refuse_to_end_at_logout(self.store)
        self.assertIn("loginctl enable-linger", str(refused.exception))
        self.logind("yes", "yes")
        awake.refuse_to_end_at_logout(self.store)
        self.assertTrue(Path(self.store.root, awake.FILE).exists())

    def test_where_nothing_is_ended_nobody_is_refused(self) -> None:
        for kills, linger in (("no", "no"), ("", "")):
            self.logind(kills, linger)
            awake.refuse_to_end_at_logout(self.store)
        self.program("loginctl", "#!/bin/sh\nsleep 100\n")
        Path(self.store.root, awake.FILE).unlink()
        awake.refuse_to_end_at_logout(self.store)

    def test_who_sits_at_the_machine_is_not_refused(self) -> None:
        self.logind("yes", "no")
        del os.environ["SSH_CONNECTION"]
        awake.refuse_to_end_at_logout(self.store)
