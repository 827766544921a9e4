# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read, by Ansible's own Display, so that nothing of stdout or stderr can hang a play.

A worker does not print: what it displays is put into a queue, and a thread of the main process
carries it out. That thread ends at the first OSError (nobody reads the pipe, the disk is full), and
then the worker's result is never read, and the play waits for it without end. What comes from here
is printed by the same thread at the same moment, and keeps its errors to itself.

stdout belongs to the callback that was chosen for it. With the default one people are shown what
they asked for; any other one writes a document of its own, in which nothing of ours may stand.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from ansible import constants, context
from ansible.plugins.loader import callback_loader
from ansible.utils.color import stringc
from ansible.utils.display import Display

from .._links.outputs import terminal, terminal_columns

# How wide text is where there is no terminal.
COLUMNS = 80

# The setting of Ansible's that colours a line of each kind.
COLORS = {
    "good": "COLOR_OK",
    "bad": "COLOR_ERROR",
    "running": "COLOR_CHANGED",
    "unsure": "COLOR_WARN",
    "left out": "COLOR_SKIP",
}

# What the default callback is called by those who name it.
DEFAULT_CALLBACKS = ("default", "ansible.builtin.default", "ansible.legacy.default")


# What clears a terminal from the cursor on, and what goes some lines up in it.
CLEAR = "\x1b[J"
UP = "\x1b[{}A"


def _is_terminal() -> bool:
    """Whether stderr is a terminal that can be moved about in, and nobody wants it plain."""
    if "NO_COLOR" in os.environ or constants.ANSIBLE_NOCOLOR:
        return False
    try:
        is_one = sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False
    return is_one and _can_move()


def _can_move() -> bool:
    """Whether the kind of terminal has a cursor that can be moved about."""
    return os.environ.get("TERM", "") not in ("", "dumb")


# A worker has /dev/null for its stderr; this is looked at where the module is imported first, in
# the main process.
STDERR_IS_TERMINAL = _is_terminal()

# Cuts a text to so many columns.
Fit = Callable[[str, int], str]

# Of the main process: whether lines stay below the cursor.
_staying = False


class _Line(str):
    """A line that is printed when the main process takes it out of the queue."""

    color: str | None
    stderr: bool
    flush: bool

    def __new__(cls, line: str, color: str | None, stderr: bool, flush: bool = False) -> Self:
        made = super().__new__(cls, line)
        made.color = color
        made.stderr = stderr
        made.flush = flush
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _print, (str(self), self.color, self.stderr, self.flush)


def _print(line: str, color: str | None, stderr: bool, flush: bool = False) -> str:
    """Display a line; nobody is helped by an error of it, neither here nor in the queue."""
    with contextlib.suppress(Exception):
        if _staying:
            _write("")
        Display().display(line, color=color, stderr=stderr)
        if flush:
            sys.stdout.flush()
    return ""


class _Staying(str):
    """Lines that stay below what is printed; the main process draws them, as it prints a _Line."""

    lines: tuple[str, ...]
    fit: Fit

    def __new__(cls, lines: Sequence[str], fit: Fit) -> Self:
        made = super().__new__(cls, "\n".join(lines))
        made.lines = tuple(lines)
        made.fit = fit
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _draw, (self.lines, self.fit)


def _draw(lines: Sequence[str], fit: Fit) -> str:
    """Draw lines below the cursor, which stays where it is: what is printed next goes over them."""
    with contextlib.suppress(Exception):
        size = os.get_terminal_size(sys.stderr.fileno())
        shown = [fit(line, max(1, size.columns - 1)) for line in lines]
        # The last ones say most, and what is above the terminal's top can't be taken away.
        shown = shown[-max(1, size.lines - 2) :]
        text = "\n".join(shown)
        if len(shown) > 1:
            text += UP.format(len(shown) - 1)
        _write(f"{text}\r" if shown else "")
    return ""


def _write(text: str) -> None:
    """Put this in the place of what stays below the cursor."""
    global _staying
    sys.stderr.write(f"\r{CLEAR}{text}")
    sys.stderr.flush()
    _staying = bool(text)


def draw_lines(lines: Sequence[str], fit: Fit) -> None:
    """Make these lines, harmless by now, the ones that stay; none: take them away.

    fit: cuts a line to so many columns. It is called in the main process, which knows the terminal.
    """
    if multiprocessing.parent_process() is None:
        _draw(lines, fit)
        return
    Display().display(_Staying(lines, fit), log_only=True, screen_only=True)


def print_line(
    line: str, kind: str | None = None, *, stderr: bool = False, flush: bool = False
) -> None:
    """Print a line that is harmless by now. kind: of COLORS; None: it is not coloured.

    flush: whether it is to be read at once where stdout is no terminal; each time costs something.

    Where a terminal is stalled this blocks, sooner or later, as printing does.
    """
    color = None
    if kind is not None:
        color = str(constants.config.get_config_value(COLORS[kind]))
    if multiprocessing.parent_process() is None:
        _print(line, color, stderr, flush)
        return
    # Taken out of the queue, the line is blank, and this displays it neither here nor in the log.
    Display().display(_Line(line, color, stderr, flush), log_only=True, screen_only=True)


def drawable_terminal(variables: Mapping[str, Any]) -> str | None:
    """The path of the terminal that people look at and type in; None: nothing is to be drawn.

    variables: of the play.
    """
    if not _can_move():
        return None
    if not people_read_stdout() or callback_writes_yaml(variables):
        return None
    return terminal()


def colored(line: str, kind: str | None) -> str:
    """The line as Ansible would colour it. kind: as for `print_line`."""
    if kind is None:
        return line
    return str(stringc(line, constants.config.get_config_value(COLORS[kind])))


def columns() -> int:
    """How wide the terminal is that people read; what has none is as wide as most are."""
    return terminal_columns() or COLUMNS


def is_verbose() -> bool:
    """Whether the user typed -v."""
    return bool(Display().verbosity)


def people_read_stdout() -> bool:
    """Whether the default callback writes to stdout: there, what people asked for is shown."""
    # `ansible` and `ansible-console` choose a callback of their own.
    is_playbook = "module_name" not in context.CLIARGS
    return is_playbook and constants.DEFAULT_STDOUT_CALLBACK in DEFAULT_CALLBACKS


def callback_writes_yaml(variables: Mapping[str, Any]) -> bool:
    """Whether the default callback writes results as YAML, in which a text is legible.

    A program may read that too, so nothing else is to stand on stdout. variables: of the play.
    """
    callback = callback_loader.get(constants.DEFAULT_STDOUT_CALLBACK)
    callback.set_options(var_options=variables)
    return bool(callback.get_option("result_format") == "yaml")
