# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stdout and stderr of ansible-playbook, as a worker of it sees them: is anybody still reading?

Ansible imports an action in its main process, and forks the workers from there. A worker gets
/dev/null for stdout and stderr, so this module keeps duplicates of the real ones from the moment
when it is imported. Nothing is ever written to them.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat

STDOUT = 1
STDERR = 2


def _duplicates() -> list[int]:
    kept = []
    for descriptor in (STDOUT, STDERR):
        # One that is closed has no reader to lose.
        with contextlib.suppress(OSError):
            if _has_reader(os.fstat(descriptor).st_mode):
                kept.append(os.dup(descriptor))
    return kept


def _has_reader(mode: int) -> bool:
    """Pipes, sockets and terminals have one; files have none, and neither has /dev/null."""
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


def _terminal_name() -> str | None:
    """The path of the terminal that stdout is, if a person types to this program in it."""
    # One that was begun with `&` has no right to what is typed, and is not to draw over it.
    with contextlib.suppress(OSError):
        if os.tcgetpgrp(STDOUT) == os.getpgrp():
            return os.ttyname(STDOUT)
    return None


_outputs = _duplicates()
# If stdout is a terminal, its duplicate is the first one.
_has_terminal = os.isatty(STDOUT)
_terminal = _terminal_name()


def terminal() -> str | None:
    """The path of the terminal that stdout is, by which a worker can open it; None: it is none."""
    return _terminal


def terminal_columns() -> int | None:
    """How wide the terminal is that stdout is now; None: it is none, or does not say."""
    if not _has_terminal:
        return None
    with contextlib.suppress(OSError, IndexError):
        return os.get_terminal_size(_outputs[0]).columns or None
    return None


def reader_is_gone() -> bool:
    """Whether stdout or stderr has lost its reader: `| head` has ended, the terminal was closed."""
    poll = select.poll()
    for descriptor in _outputs:
        # These two events are reported without being asked for.
        poll.register(descriptor, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _descriptor, events in poll.poll(0))


def let_go_of_outputs() -> None:
    """Close the duplicates: a process that stays behind must not keep a reader waiting for more."""
    while _outputs:
        os.close(_outputs.pop())
