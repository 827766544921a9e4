# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`gummy_on_interrupt=cancel`: a process of its own cancels a run's jobs when its playbook is gone.

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
from .._links.outputs import let_go_of_outputs

# How long a node may take to cancel a job, in seconds, and how many are asked at once.
CANCEL_SECONDS = 60.0
AT_ONCE = 32


def cancel_if_we_die(record: RunRecord, fleet: Fleet) -> Callable[[], None]:
    """Leave a process behind that cancels the run's jobs when this one ends without a word.

    Call this before there are threads, and what it returns when the run is over. The process keeps
    the run's lock until all is cancelled, so that nobody resumes the run meanwhile.
    """
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write_end)
        _wait_and_cancel(read_end, record.folder, fleet)
    os.close(read_end)

    def say_over() -> None:
        os.write(write_end, b"x")
        os.close(write_end)
        os.waitpid(pid, 0)

    return say_over


def _wait_and_cancel(read_end: int, folder: str, fleet: Fleet) -> None:
    """The forked side: never returns."""
    status = 1
    try:
        # Whatever ends the playbook must not end this process with it.
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        let_go_of_outputs()

        # The end of the pipe without a word is the end of the playbook.
        if not os.read(read_end, 1):
            _cancel_all(folder, fleet)
        status = 0
    finally:
        os._exit(status)


def _cancel_all(folder: str, fleet: Fleet) -> None:
    history = read_history(folder)
    ended = {row["attempts"][-1]["id"] for row in history.ended.values() if row["attempts"]}
    running = [
        (attempt, str(entry["node"]))
        for attempt, entry in history.attempts.items()
        if entry["state"] not in ("void", "lost") and attempt not in ended
    ]

    def cancel(attempt: str, node: str) -> None:
        # Resuming the run asks a silent node again, and so does the command cancel.
        with contextlib.suppress(LinkError):
            fleet.make_link(node).call("cancel", {"attempt": attempt}, CANCEL_SECONDS)

    with ThreadPoolExecutor(max(1, min(AT_ONCE, len(running)))) as pool:
        for attempt, node in running:
            pool.submit(cancel, attempt, node)
