"""A terminal that is drawn on: what it gets, that it is given back, and that it blocks nobody."""

from __future__ import annotations

import os
import pty
import select
import termios
import time
from collections.abc import Iterator

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.screen import (
    NoScreen,
    Screen,
    draw_until_told,
)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int, str]]:
    """The other side of a terminal, the terminal, and its path."""
    master, slave = pty.openpty()
    yield master, slave, os.ttyname(slave)
    os.close(slave)
    os.close(master)


def said(master: int, until: bytes) -> bytes:
    text = b""
    deadline = time.monotonic() + 20
    while until not in text:
        assert time.monotonic() < deadline, text
        if select.select([master], [], [], 0.1)[0]:
            text += os.read(master, 65536)
    return text


def test_lines_stand_where_others_stood_and_it_is_given_back(
    terminal: tuple[int, int, str],
) -> None:
    master, slave, path = terminal
    before = termios.tcgetattr(slave)
    with Screen(path) as screen:
        assert termios.tcgetattr(slave) != before
        screen.draw(["one ⚡", "two"])
        text = said(master, b"two\x1b[K\x1b[J")
        assert text.startswith(b"\x1b[?1049h\x1b[?25l") and "\x1b[Hone ⚡".encode() in text
        assert not screen.is_told_to_end(0)
        for keys, ends in ((b"x", False), (b"\x1a", False), (b"xq", True), (b"\x03", True)):
            os.write(master, keys)
            assert screen.is_told_to_end(5) is ends
    assert termios.tcgetattr(slave) == before
    assert b"\x1b[?25h\x1b[?1049l" in said(master, b"\x1b[?1049l")


def test_an_error_while_it_is_drawn_gives_it_back_too(terminal: tuple[int, int, str]) -> None:
    master, slave, path = terminal
    before = termios.tcgetattr(slave)

    def lines(_columns: int, _rows: int) -> list[str]:
        raise ValueError("no lines")

    with pytest.raises(ValueError, match="no lines"):
        draw_until_told(path, lines, lambda: False)
    assert termios.tcgetattr(slave) == before
    said(master, b"\x1b[?1049l")


def test_a_terminal_that_takes_nothing_blocks_nobody(terminal: tuple[int, int, str]) -> None:
    master, slave, path = terminal
    before = termios.tcgetattr(slave)
    with Screen(path) as screen:
        begun = time.monotonic()
        for _time in range(50):
            screen.draw(["x" * 8192])
        assert time.monotonic() - begun < 20
        # What it takes later is the rest of what it had begun to take, and then what is new.
        said(master, b"\x1b[J")
        screen.draw(["after"])
        said(master, b"after\x1b[K")
    assert termios.tcgetattr(slave) == before


def test_the_end_of_what_is_waited_for_ends_it(terminal: tuple[int, int, str]) -> None:
    _master, slave, path = terminal
    before = termios.tcgetattr(slave)
    looks = iter([False, False, True])
    draw_until_told(path, lambda _columns, _rows: ["x"], lambda: next(looks))
    assert termios.tcgetattr(slave) == before


def test_what_is_no_terminal_says_so(tmp_path) -> None:
    (tmp_path / "file").touch()
    for path in ("/dev/null", str(tmp_path / "file"), str(tmp_path / "none")):
        with pytest.raises(NoScreen), Screen(path):
            pass
