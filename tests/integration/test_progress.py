"""How a run is seen while it goes on: in a terminal, without one, and with what agents say."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

from real_nodes import PATIENCE, Controller, Counter, Fleet, kill_all_of

MOVE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])")


class Screen:
    """What a terminal shows that understands what is needed here."""

    def __init__(self) -> None:
        self.lines = [""]
        self.row = 0
        self.column = 0

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            move = MOVE.match(text, at)
            if move:
                self._move(move[1], move[2])
                at = move.end()
                continue
            self._put(text[at])
            at += 1

    def _move(self, number: str, kind: str) -> None:
        if kind == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            del self.lines[self.row + 1 :]
        elif kind == "A":
            self.row = max(0, self.row - int(number or 1))
        else:
            assert kind == "m", kind

    def _put(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
            self.column += 1

    @property
    def last(self) -> str:
        return next((line for line in reversed(self.lines) if line.strip()), "")


def in_a_terminal(controller: Controller, words: list[str], columns: int, look) -> Screen:
    """Play `run` in a terminal of so many columns; look is called with the screen, often."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "ansible", "playbook", "-i", controller.fleet.inventory),
            *("distributed.gummy.run", *words),
        ],
        cwd=controller.project,
        env={**controller.env, "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    screen = Screen()
    rest = b""
    until = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < until:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    data = os.read(master, 65536)
                except OSError:
                    break
                if not data:
                    break
                data = rest + data
                # An escape or a character may lie across two pieces.
                cut = max(data.rfind(b"\n"), data.rfind(b"\r"), data.rfind(b"J"), data.rfind(b"A"))
                rest = data[cut + 1 :]
                screen.feed(data[: cut + 1].decode("utf-8", "replace"))
            look(screen)
        screen.feed(rest.decode("utf-8", "replace"))
    finally:
        kill_all_of(process)
        process.wait()
        os.close(master)
    return screen


def test_in_a_terminal_the_last_lines_stay_and_leave_nothing_behind(
    controller: Controller, counter: Counter
) -> None:
    hold = counter.command(hold="-go")
    jobs = [
        {"name": "quick", "command": "true", "node": "node-1"},
        {"name": "bad", "command": "exit 4", "node": "node-1"},
        {"name": "slow", "command": f"echo building the docs; {hold}", "node": "node-2"},
    ]
    seen: list[tuple[str, str]] = []

    def look(screen: Screen) -> None:
        seen.append((screen.lines[-2] if len(screen.lines) > 1 else "", screen.last))
        if " · 1 failed · 1 running · " in screen.last and "building the docs" in seen[-1][0]:
            counter.let_go("-go")

    screen = in_a_terminal(controller, ["-e", controller.jobs(*jobs)], 100, look)
    stood = [last for _above, last in seen if re.match(r"\d of 3 done · ", last)]
    assert any(
        re.fullmatch(
            r"1 of 3 done · 1 failed · 1 running · \d+ s( · less than a minute left)?", last
        )
        for last in stood
    ), (stood, screen.lines)
    assert any(re.match(r"▶ slow on node-2 for \d+ s: building the docs", up) for up, _last in seen)

    # What stays on the screen are the lines of events and the summary.
    shown = "\n".join(screen.lines)
    assert " done · " not in shown and "▶ slow on" not in shown, shown
    assert "2 of 3 jobs succeeded in " in shown
    for line in (r"^\d\d:\d\d:\d\d  slow          start", r"^\d\d:\d\d:\d\d  bad           fetch"):
        assert len(re.findall(line, shown, re.MULTILINE)) == 1, shown


def test_a_failed_job_shows_the_end_of_its_log(controller: Controller) -> None:
    command = "seq 1 40; printf 'to the \\033[31mend\\007\\n'; exit 4"
    jobs = [{"name": "lint", "command": command}, {"name": "good", "command": "seq 1 40"}]
    played = controller.run("-e", controller.jobs(*jobs))
    assert played.status == 2, played
    begin = played.output.index("lint: its log ends:")
    lines = played.output[begin:].split("\n")[1:16]
    assert lines == [*(f"    | {number}" for number in range(27, 41)), "    | to the end\ufffd"]
    assert played.output.count("its log ends") == 1
    assert played.jobs["lint"]["log_tail"][-1] == "to the end\ufffd"
    assert played.jobs["good"]["log_tail"] == []


def test_verbose_shows_what_agents_say_and_use_with_the_name_of_the_job(
    controller: Controller, with_doubles: Fleet
) -> None:
    prompt = "say I look first ;; write made x ;; sleep 1 ;; say All done \x1b[2J"
    jobs = [
        {"name": "lint", "agent": "claude", "prompt": prompt},
        {"name": "docs", "agent": "gummy", "prompt": prompt},
        {"name": "plain", "command": "echo plainly; sleep 1; echo more"},
    ]
    file = controller.jobs(*jobs)
    for words in (("-e", "gummy_verbose=true"), ("-v",)):
        played = controller.run("-e", file, *words)
        assert played.status == 0, played
        said = [line for line in played.output.splitlines() if " | " in line]
        for job in ("lint", "docs"):
            own = [line.partition(" | ")[2] for line in said if line.startswith(f"{job} | ")]
            for line in ("I look first", "→ Write: made"):
                assert own.count(line) == 1, said
            assert any(line.startswith("All done") for line in own), said
        assert said.count("plain | plainly") == said.count("plain | more") == 1
        assert "\x1b[2J" not in played.output

    quiet = controller.run("-e", file)
    assert " | " not in quiet.output, quiet
