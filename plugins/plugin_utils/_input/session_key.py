# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of gummy's sessions a job goes on with."""

from __future__ import annotations

import os

from .request import Job
from .routing import specialist_of


def session_key(job: Job) -> str | None:
    """What tells the session that the job goes on with from others; None for what has none.

    Only gummy's specialists keep one, in a project that has them or as the job says. Reads whether
    the project has specialists.
    """
    if job.agent != "gummy" or job.prompt is None or job.project is None:
        return None
    core = os.path.join(job.project, ".gummy", "lib", "core.sh")
    if job.specialist is None and not os.path.isfile(core):
        return None
    return f"{job.specialist or specialist_of(job.prompt)[0]} {job.project}"
