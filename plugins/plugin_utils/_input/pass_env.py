# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pass_env: variables of this controller that an agent gets.

Values are read when they are sent and kept nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from .._errors import InputError
from .request import Job


def require_values(jobs: Iterable[Job]) -> None:
    """Raises InputError for variables that are not set here."""
    # Name -> the last job that asks for it: one sentence for each variable is enough.
    unset = {name: job.name for job in jobs for name in job.pass_env if name not in os.environ}
    if unset:
        raise InputError(
            f"pass_env of {job}: {name} is not set here; export it, or take it out"
            for name, job in unset.items()
        )


def values_for(job: Job) -> dict[str, str]:
    """The variables that the agent of a job gets, with their values here. Raises InputError."""
    require_values([job])
    return {name: os.environ[name] for name in job.pass_env}
