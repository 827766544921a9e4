# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker of ansible-playbook ends when its play does, whatever it waits for at that moment.

A play ends when it is killed, and also when nobody reads what it prints.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .outputs import reader_is_gone

# How often it is looked whether ansible-playbook and its reader are still there, and how long the
# worker then may take to end by itself, in seconds.
LOOK = 2.0
GRACE = 5.0


@contextmanager
def ended_with_parent(look: float = LOOK, grace: float = GRACE) -> Iterator[None]:
    """While this lasts, the end of the parent process ends this one.

    With it end the programs that it called, as always (guardian.py).

    So does the end of whoever read stdout or stderr, as it does with every other program.

    A parent that was killed can't tell its workers, and one that waits for a node that never
    answers would stay for ever. Nothing is lost by it: what a worker does may end at any moment.
    """
    is_over = threading.Event()
    parent = os.getppid()
    watch = threading.Thread(
        target=_watch, args=(parent, is_over, look, grace), name="gummy-parent", daemon=True
    )
    watch.start()
    try:
        yield
    finally:
        is_over.set()
        watch.join()


def _watch(parent: int, is_over: threading.Event, look: float, grace: float) -> None:
    while os.getppid() == parent and not reader_is_gone():
        if is_over.wait(look):
            break

    # What it does now may end in order: the engine notices by itself and gives the run up.
    # A result that is more than a pipe holds would then be written to nobody, without an end.
    if is_over.wait(grace) and os.getppid() == parent:
        return
    os._exit(1)
