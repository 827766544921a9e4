# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`gummy_on_interrupt=cancel`: a process of its own that cancels a run's jobs when its
ansible-playbook is gone.

Nobody can clean up after SIGKILL, and Ansible ends its workers within a tenth of a second: only who
stays behind can.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .._files.record import RunRecord, read_history
from .._fleet.fleet import Fleet
from .._links.link import LinkError


def cancel_if_we_die(record: RunRecord, fleet: Fleet) -> Callable[[], None]:
    """Call this before there are threads, and what it returns when the run is over.

    It keeps the run's lock until all is cancelled.
    """
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(theirs)
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            if not os.read(ours, 1):
                _cancel_all(record.folder, fleet)
            status = 0
        finally:
            os._exit(status)
    os.close(ours)

    def over() -> None:
        os.write(theirs, b"x")
        os.close(theirs)
        os.waitpid(pid, 0)

    return over


def _cancel_all(folder: str, fleet: Fleet) -> None:
    history = read_history(folder)
    ended = {row["attempts"][-1]["id"] for row in history.ended.values() if row["attempts"]}
    running = [
        (name, str(row["node"]))
        for name, row in history.attempts.items()
        if row["state"] not in ("void", "lost") and name not in ended
    ]

    def cancel(attempt: str, node: str) -> None:
        # Silent: resuming the run, or `cancel`, asks again.
        with contextlib.suppress(LinkError):
            fleet.make_link(node).call("cancel", {"attempt": attempt}, 60)

    with ThreadPoolExecutor(max(1, min(32, len(running)))) as pool:
        for attempt, node in running:
            pool.submit(cancel, attempt, node)
