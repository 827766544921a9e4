# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which node the session of a specialist lives for a project: where its last job ended well."""

from __future__ import annotations

import os
import threading

from .._input.request import Job
from .._input.routing import specialist_of
from .private_file import cache_file, read_private, write_private

FORMAT = 1
# Sessions, the newest.
KEPT = 1000


class Sessions:
    """home_of() and keep(), in a file of this user that may be deleted at any time: a session
    elsewhere is slower, not wrong.
    """

    def __init__(self) -> None:
        self._path = cache_file("sessions.json")
        self._one_at_a_time = threading.Lock()
        self._known = self._read()

    def home_of(self, job: Job) -> str | None:
        return self._known.get(self._key(job) or "")

    def keep(self, job: Job, node: str) -> None:
        key = self._key(job)
        if key is None or self._known.get(key) == node:
            return
        with self._one_at_a_time:
            known = {**self._read(), key: node}
            self._known[key] = node
            write_private(
                self._path, {"format": FORMAT, "sessions": dict(list(known.items())[-KEPT:])}
            )

    def _key(self, job: Job) -> str | None:
        """None for what has no session: only gummy's specialists keep one, in a project that has
        them or as the job says.
        """
        if job.agent != "gummy" or job.prompt is None or job.project is None:
            return None
        if job.specialist is None and not os.path.isfile(
            os.path.join(job.project, ".gummy", "lib", "core.sh")
        ):
            return None
        return f"{job.specialist or specialist_of(job.prompt)[0]} {job.project}"

    def _read(self) -> dict[str, str]:
        data = read_private(self._path)
        try:
            rows = data["sessions"].items() if data["format"] == FORMAT else ()
            return {key: node for key, node in rows if isinstance(node, str)}
        except (TypeError, KeyError, AttributeError):
            return {}
