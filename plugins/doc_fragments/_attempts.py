# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules that say which attempts they are about."""

from __future__ import annotations


class ModuleDocFragment:
    """Used as distributed.gummy._attempts."""

    DOCUMENTATION = r"""
options:
  job:
    description:
      - >-
        The name of a job, if only one known job has it, C(RUN/name), or the id of an attempt or a
        unique prefix of one.
      - Without it C(gummy_job) counts, if that is set.
    type: str
  run_id:
    description:
      - Name of a run, all of whose attempts are meant.
      - Without it C(gummy_run_id) counts, if that is set.
    type: str
"""
