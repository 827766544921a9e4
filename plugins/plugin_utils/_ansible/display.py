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
import sys
from collections.abc import Mapping
from typing import Any, Self

from ansible import constants, context
from ansible.plugins.loader import callback_loader
from ansible.utils.display import Display

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
        Display().display(line, color=color, stderr=stderr)
        if flush:
            sys.stdout.flush()
    return ""


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
