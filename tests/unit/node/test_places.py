"""Programs are found where a person finds them who logs in and types."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from unittest import mock

from node_case import NodeCase, places


class PlacesTest(NodeCase):
    """Each test has a home; its shell is a bash, which notes how often it is typed into."""

    def setUp(self) -> None:
        super().setUp()
        bash = shutil.which("bash")
        if bash is None:
            self.skipTest("needs bash")
        change = mock.patch.dict(os.environ, HOME=str(self.home), SHELL=bash, PATH="/usr/bin:/bin")
        change.start()
        self.addCleanup(change.stop)

    def bashrc(self, text: str) -> None:
        guard = 'case $- in *i*) ;; *) return ;; esac\necho x >> "$HOME/asked"\n'
        (self.home / ".bashrc").write_text(guard + text)

    def asked(self) -> int:
        path = self.home / "asked"
        return len(path.read_text().split()) if path.exists() else 0

    def folders(self) -> list[str]:
        return places.search_path(self.store).split(":")

    def program(self, path: str, mode: int = 0o755) -> None:
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(mode)

    def test_what_an_interactive_shell_alone_sets_comes_first(self) -> None:
        self.bashrc('echo welcome; PATH="/typed:relative:./x::$PATH"\n')
        (self.home / ".profile").write_text('PATH="/login:$PATH"\n')
        self.assertEqual(["/typed", "/login"], self.folders()[:2])
        self.assertTrue(all(folder.startswith("/") for folder in self.folders()))

    def test_the_interactive_shell_is_asked_once_and_again_when_its_files_change(self) -> None:
        self.bashrc("PATH=/a:$PATH\n")
        self.folders()
        self.folders()
        self.assertEqual(1, self.asked())
        self.bashrc("PATH=/other:$PATH\n")
        self.assertIn("/other", self.folders())
        self.assertEqual(2, self.asked())

    def test_a_shell_that_waits_reads_floods_or_fails_costs_seconds_at_most_once(self) -> None:
        for text in ("sleep 1000\n", "yes\n", "exec false\n", "kill -9 $$\n"):
            with self.subTest(text), mock.patch.object(places, "INTERACTIVE", 0.5):
                self.bashrc(f"# {text}{text}")
                before = self.asked()
                begun = time.monotonic()
                self.assertIn("/usr/bin", self.folders())
                self.folders()
                self.assertLess(time.monotonic() - begun, 30)
                self.assertEqual(before + 1, self.asked())
        # It gets nothing to read, so it does not wait for that.
        self.bashrc("read answer; PATH=/after:$PATH\n")
        self.assertIn("/after", self.folders())

    def test_what_a_start_up_file_leaves_running_is_ended(self) -> None:
        seconds = f"1000.{os.getpid()}"
        self.bashrc(f"(setsid sleep {seconds} > /dev/null 2>&1 &)\nPATH=/a:$PATH\n")
        self.assertIn("/a", self.folders())
        listing = subprocess.run(["ps", "-axo", "args"], capture_output=True, check=True).stdout
        self.assertNotIn(f"sleep {seconds}".encode(), listing)

    def test_it_runs_in_the_home_and_without_a_terminal(self) -> None:
        self.bashrc('pwd > "$HOME/where"; tty > "$HOME/tty"; PATH="/a:$PATH"\n')
        self.folders()
        self.assertEqual(str(self.home), (self.home / "where").read_text().strip())
        self.assertEqual("not a tty", (self.home / "tty").read_text().strip())

    def test_the_folders_of_installers_are_looked_into(self) -> None:
        self.program(".local/bin/claude")
        self.assertEqual(
            str(self.home / ".local/bin/claude"),
            shutil.which("claude", path=places.search_path(self.store)),
        )

    def test_a_program_that_lies_elsewhere_is_told_with_its_place(self) -> None:
        path = places.search_path(self.store)
        where = places.why_not_found(["no-such-agent"], path)
        self.assertIn("no-such-agent is not found on this node: install it there", where)
        self.assertIn("interactive shell", where)
        self.program(".nvm/versions/node/v22.1.0/bin/no-such-agent")
        place = self.home / ".nvm/versions/node/v22.1.0/bin"
        self.assertIn(
            f"though there is {place}/no-such-agent: put {place} on the PATH",
            places.why_not_found(["no-such-agent"], path),
        )

    def test_a_program_that_nobody_may_run_is_told_as_that(self) -> None:
        self.program("bin/no-such-agent", 0o644)
        path = places.search_path(self.store)
        self.assertIn("which this login may not run", places.why_not_found(["no-such-agent"], path))

    def test_a_git_that_only_a_person_finds_is_found_for_us(self) -> None:
        self.program("tools/our-git")
        self.bashrc('PATH="$HOME/tools:$PATH"\n')
        places.find_for_us(self.store, "our-git")
        self.assertEqual(str(Path(self.home, "tools/our-git")), shutil.which("our-git"))
