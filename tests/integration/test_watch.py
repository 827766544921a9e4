"""`watch` in a real pseudo-terminal: keys, another size, and the terminal given back at any end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from real_nodes import NODES, Controller, Counter, Fleet, descendants, until
from test_check_mode import everything

ENTERED = b"\x1b[?1049h"
LEFT = b"\x1b[?1049l"
CURSOR = b"\x1b[?25h"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
IS_RUN = re.compile(r"[0-9]+ (?:s|min) ")


class Terminal:
    """A terminal in which a person has typed a command, and looks at what stands there."""

    def __init__(
        self, command: list[str], cwd: pathlib.Path, env: dict[str, str], columns: int, rows: int
    ) -> None:
        # One end stays open: the modes can be looked at when nobody else has the terminal.
        self._master, self._slave = pty.openpty()
        self.name = os.ttyname(self._slave)
        self.pid = os.fork()
        if self.pid == 0:
            os.login_tty(self._slave)
            os.chdir(cwd)
            # The size is there before the command is.
            _set_size(0, columns, rows)
            os.execve(command[0], command, env)
        self.before = self.modes()
        self.said = b""
        self._status: int | None = None
        self._is_over = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while not self._is_over.is_set():
            if select.select([self._master], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.said += os.read(self._master, 65536)

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    def resize(self, columns: int, rows: int) -> None:
        _set_size(self._master, columns, rows)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def screen(self) -> list[str]:
        """What stands there, of the last whole board."""
        frames = self.said.split(b"\x1b[H")
        whole = [frame for frame in frames[1:] if b"\x1b[J" in frame]
        if not whole:
            return []
        text = whole[-1].partition(b"\x1b[J")[0].decode("utf-8", "replace")
        return [ESCAPES.sub("", line).rstrip("\r") for line in text.split("\n")]

    def shows(self, *words: str) -> bool:
        text = "\n".join(self.screen())
        return all(word in text for word in words)

    def wait_for(self, *words: str) -> None:
        until(lambda: self.shows(*words) or self.status() is not None, f"{words} in the terminal")
        assert self.shows(*words), self.said[-4000:].decode("utf-8", "replace")

    def status(self) -> int | None:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def end(self) -> int:
        return int(until(lambda: self.status() is not None and (True, self.status()), "its end")[1])

    @property
    def after(self) -> str:
        """What was printed when the board was gone."""
        return ESCAPES.sub("", self.said.rpartition(LEFT)[2].decode("utf-8", "replace"))

    def close(self) -> None:
        if self.status() is None:
            for pid in descendants(self.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.end()
        self._is_over.set()
        self._reader.join()
        os.close(self._slave)
        os.close(self._master)


def _set_size(descriptor: int, columns: int, rows: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


Watch = Callable[..., Terminal]


@pytest.fixture
def watch(controller: Controller) -> Iterator[Watch]:
    opened: list[Terminal] = []

    def begin(*words: str, columns: int = 90, rows: int = 40, **env: str) -> Terminal:
        command = [sys.executable, "-m", "ansible", "playbook", "-i", controller.fleet.inventory]
        terminal = Terminal(
            [*command, "distributed.gummy.watch", *words],
            controller.project,
            {**controller.env, "TERM": "xterm-256color", **env},
            columns,
            rows,
        )
        opened.append(terminal)
        return terminal

    yield begin
    for terminal in opened:
        terminal.close()


def is_back(terminal: Terminal) -> bool:
    """Whether the terminal is as it was: its modes, its cursor, and what stood there."""
    entered = terminal.said.count(ENTERED)
    left = terminal.said.count(LEFT)
    return terminal.modes() == terminal.before and entered == left == 1 and CURSOR in terminal.said


def test_it_shows_what_runs_until_q_and_changes_nothing_anywhere(
    controller: Controller, fleet: Fleet, counter: Counter, watch: Watch
) -> None:
    says = "printf 'tests: 34 of 120\\033[2J\\033]0;owned\\007\\n'; "
    jobs = controller.jobs(
        {"name": "slow", "command": says + counter.command("-go"), "node": "node-2"},
        {"name": "failed", "command": "exit 3", "node": "node-1"},
    )
    started = controller.begin("run", "-e", jobs, "-e", "gummy_run_id=seen")
    started.wait_for(lambda: counter.starts() == ["slow"], "the start")
    assert controller.play("status").status == 0
    homes = [fleet.home(node) for node in NODES]
    before = everything(pathlib.Path(controller.env["HOME"]), *homes)

    terminal = watch()
    terminal.wait_for("4 of 4 nodes", "▶ seen/slow", "tests: 34 of 120", "✗ seen/failed")
    shown = "\n".join(terminal.screen())
    for node in NODES:
        assert re.search(rf"│ {node} +cpu [█░]+ +\d+ %  mem [█░]+ +\d+ %  [01]/2 slots", shown)
    assert re.search(r"│ ▶ seen/slow +node-2 +\d+ (s|min) +–", shown), shown
    assert re.search(
        r"│ ✗ seen/failed +node-1 +failed \(agent\) +\d+ s +– +(just now|\d+ \S+ ago)", shown
    )
    assert terminal.modes() != terminal.before
    # What an agent prints moves no cursor and names no window.
    assert b"\x1b[2J\x1b]0;owned" not in terminal.said and b"owned\x07" not in terminal.said

    # It is drawn again and again, and other keys do nothing.
    clock = terminal.screen()[0]
    terminal.type(b"xj\x1a\x1b[A")
    until(lambda: terminal.screen()[0] != clock, "the next board")
    assert terminal.status() is None

    terminal.type(b"q")
    assert terminal.end() == 0, terminal.said
    assert is_back(terminal)
    # The last board stays.
    assert "═ watch · 4 of 4 nodes · " in terminal.after and "▶ seen/slow" in terminal.after

    assert everything(pathlib.Path(controller.env["HOME"]), *homes) == before
    counter.let_go("-go")
    assert started.end().status == 2


def test_another_size_is_drawn_for_and_ctrl_c_ends_it_as_q_does(watch: Watch) -> None:
    terminal = watch(columns=100, rows=30)
    terminal.wait_for("4 of 4 nodes")
    assert len(terminal.screen()[0]) == 100

    terminal.resize(60, 12)
    until(lambda: len(terminal.screen()[0]) == 60, "the smaller board")
    assert len(terminal.screen()) <= 12
    terminal.resize(120, 50)
    until(lambda: len(terminal.screen()[0]) == 120, "the larger board")

    terminal.type(b"\x03")
    assert terminal.end() == 0 and is_back(terminal)


def test_in_ascii_and_without_colours_nothing_else_is_drawn(watch: Watch) -> None:
    terminal = watch("-e", "gummy_ascii=true", NO_COLOR="1")
    terminal.wait_for("4 of 4 nodes")
    assert terminal.screen()[0].startswith("+====") and "\n".join(terminal.screen()).isascii()
    terminal.type(b"q")
    assert terminal.end() == 0 and is_back(terminal)
    # The keeper ends colours, whatever was drawn.
    assert set(re.findall(rb"\x1b\[[0-9;]*m", terminal.said)) == {b"\x1b[0m"}
    assert terminal.said.isascii()


def test_a_task_that_somebody_started_by_hand_is_shown_and_takes_a_slot_for_the_choice(
    controller: Controller, with_doubles: Fleet
) -> None:
    wait = "until [ -e ~/by-hand-go ]; do sleep 0.1; done"
    command = f"PATH=$HOME/bin:$PATH; gummy task 'mend it ;; run {wait}'"
    task = subprocess.Popen(
        ["ssh", "-F", with_doubles.ssh_config, "node-2", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    path = controller.folder / "watch.json"

    def look(playbook: str) -> tuple[str, dict[str, Any]]:
        played = controller.play(playbook, "-e", f"gummy_output_file={path}")
        assert played.status == 0, played
        return played.output, json.loads(path.read_text(encoding="utf-8"))

    try:
        output, document = until(lambda: (now := look("watch"))[1]["foreign"] and now, "the task")
        (row,) = document["foreign"]
        assert row["node"] == "node-2" and row["words"].startswith("gummy task mend it ;; run")
        assert re.search(r"│ ! gummy task mend it .* +node-2 +\d+ (s|min) +by hand +│", output), (
            output
        )
        assert "─ 0, and 1 by hand ─┐" in output
        (slots,) = [node["slots"] for node in document["nodes"] if node["name"] == "node-2"]
        assert slots == {"total": 2, "busy": 1}

        output, document = look("status")
        assert "! gummy task mend it" in output and len(document["foreign"]) == 1
        refresh = ("-e", "gummy_refresh=true")
        planned = controller.play("plan", "-e", controller.jobs({"command": "true"}), *refresh)
        # Which node is best depends on this machine's load; a slot that is taken does not.
        assert re.search(r"node-2 +\d\.\d\d +1/2 slots", planned.output), planned
        assert re.search(r"node-1 +\d\.\d\d +0/2 slots", planned.output), planned
    finally:
        with_doubles.put("node-2", "by-hand-go", "")
        task.wait(60)
        (with_doubles.home("node-2") / "by-hand-go").unlink()
    assert look("watch")[1]["foreign"] == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_whatever_ends_ansible_the_terminal_is_given_back_and_nobody_stays(
    watch: Watch, number: signal.Signals
) -> None:
    terminal = watch()
    terminal.wait_for("4 of 4 nodes")
    below = [pid for pid in descendants(terminal.pid) if pid != terminal.pid]
    assert below

    os.kill(terminal.pid, number)
    assert terminal.end() != 0
    until(lambda: is_back(terminal), "the terminal as it was")

    def survivors() -> list[bytes]:
        """What still lives of it, by its words."""
        words = [words_of(pid) for pid in below if lives(pid)]
        # A master of ssh is a child for a moment, and meant to stay for those who come next.
        return [each for each in words if b"[mux]" not in each]

    try:
        until(lambda: not survivors(), "the end of what was started")
    finally:
        print(*survivors(), sep="\n")


def test_a_worker_that_is_killed_leaves_the_terminal_as_it_was(watch: Watch) -> None:
    terminal = watch()
    terminal.wait_for("4 of 4 nodes")
    (keeper,) = [pid for pid in descendants(terminal.pid) if b"stty" in words_of(pid)]
    os.kill(parent_of(keeper), signal.SIGKILL)
    until(lambda: is_back(terminal), "the terminal as it was")


def test_a_shell_that_has_the_terminal_again_keeps_its_own_modes(watch: Watch) -> None:
    terminal = watch()
    terminal.wait_for("4 of 4 nodes")
    modes = terminal.modes()
    modes[3] &= ~termios.ECHOE
    termios.tcsetattr(terminal._slave, termios.TCSANOW, modes)
    terminal.type(b"q")
    assert terminal.end() == 0 and LEFT in terminal.said
    assert terminal.modes() == modes


def test_a_dead_node_delays_nobody_and_is_told_with_its_reason(
    watch: Watch, repaired: Fleet
) -> None:
    terminal = watch()
    terminal.wait_for("4 of 4 nodes")
    repaired.stop("node-3")
    terminal.wait_for("3 of 4 nodes", "✗ no answer for ")
    clocks = set()

    def has_five() -> bool:
        clocks.add(terminal.screen()[0])
        return len(clocks) >= 5

    begun = time.monotonic()
    until(has_five, "boards of the others")
    assert time.monotonic() - begun < 60
    repaired.start("node-3")
    terminal.wait_for("4 of 4 nodes")


def test_without_a_terminal_it_is_one_snapshot(controller: Controller, fleet: Fleet) -> None:
    path = controller.folder / "watch.json"
    played = controller.play("watch", "-e", f"gummy_output_file={path}")
    assert played.status == 0 and "\x1b" not in played.output, played
    assert "═ watch · 4 of 4 nodes · " in played.output and "q: end" not in played.output
    document = json.loads(path.read_text(encoding="utf-8"))
    assert (document["kind"], document["totals"]["answered"]) == ("watch", 4)
    assert [node["name"] for node in document["nodes"]] == [*NODES, "localhost"]
    for node in document["nodes"]:
        assert node["load"]["memory"] > 0 and node["load"]["cpu"] is not None
    for node in document["nodes"][:3]:
        assert node["slots"]["total"] == 2


@pytest.mark.parametrize(
    "env",
    [{"TERM": "dumb"}, {"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}],
    ids=lambda env: next(iter(env)),
)
def test_a_terminal_that_is_none_to_draw_on_gets_the_snapshot(
    watch: Watch, env: dict[str, str]
) -> None:
    terminal = watch(**env)
    assert terminal.end() == 0
    assert ENTERED not in terminal.said and b"4 of 4 nodes" in terminal.said


def test_live_is_the_board_s_alone(controller: Controller, fleet: Fleet) -> None:
    book = controller.folder / "own.yml"
    task = {"distributed.gummy.fleet_info": {"gather": ["status"], "live": True}, "run_once": True}
    play = {"hosts": "all", "gather_facts": False, "tasks": [task]}
    book.write_text(json.dumps([play]), encoding="utf-8")
    played = controller.play(str(book))
    assert played.status == 2 and "nothing but the board is live" in played.output


def lives(pid: int) -> bool:
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def words_of(pid: int) -> bytes:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def parent_of(pid: int) -> int:
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return int(stat.rpartition(")")[2].split()[1])
