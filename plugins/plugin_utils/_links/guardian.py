# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this process calls ends with it, whatever ends it.

A process that is killed can end nothing, and its threads die with it, while what it called has a
session of its own and would go on without limits. So a guardian stands beside each process that
calls others: a few lines of shell that read from a pipe which groups of processes there are. Only
this process holds the other end. It closes when this process ends, however that comes about, and
the guardian then ends the groups that are left. This needs nothing that Linux has and macOS has
not.
"""

from __future__ import annotations

import contextlib
import os
import threading

# What ends a playbook from a terminal must not end the guardian first.
PROGRAM = """
trap '' HUP INT TERM
groups=' '
while read -r word group; do
  case "$word$groups" in
    begun*) groups="$groups$group " ;;
    ended*" $group "*) groups="${groups%% "$group" *} ${groups#* "$group" }" ;;
  esac
done
for group in $groups; do kill -KILL "-$group"; done
"""


class Guardian:
    """The guardian of this process, called when it is first needed. Used by several threads."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        # Where it is told of groups; None: there is none yet.
        self._pipe: int | None = None

    def call(self) -> None:
        """Have the guardian there. Raises OSError."""
        with self._one_at_a_time:
            if self._pipe is not None:
                return
            read_end, pipe = os.pipe()
            try:
                os.posix_spawn(
                    "/bin/sh",
                    ["sh", "-c", PROGRAM],
                    {},
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, read_end, 0),
                        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                    ],
                    # Out of the reach of a terminal, which tells a whole group.
                    setpgroup=0,
                )
            except OSError:
                os.close(pipe)
                raise
            finally:
                os.close(read_end)
            self._pipe = pipe

    def begun(self, group: int) -> None:
        """This group of processes is to end with us."""
        self._tell("begun", group)

    def ended(self, group: int) -> None:
        """It has ended; its number may be another's from now on."""
        self._tell("ended", group)

    def _tell(self, word: str, group: int) -> None:
        # Somebody may have ended the guardian, which is no reason to fail.
        with contextlib.suppress(OSError):
            if self._pipe is not None:
                # So few bytes are written in one piece, whatever other threads write.
                os.write(self._pipe, f"{word} {group}\n".encode())

    def end_all(self) -> None:
        """End what was called so far. What is called from now on gets another guardian."""
        with self._one_at_a_time:
            pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)

    def forget(self) -> None:
        """In a fork of this process: the guardian is the other's, as is what was called so far.

        A fork that held the pipe would keep all that alive for as long as it lives itself.
        """
        # Another thread of the other process may have held the lock.
        self._one_at_a_time = threading.Lock()
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)


guardian = Guardian()
os.register_at_fork(after_in_child=guardian.forget)
