# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of the command line that leave out tasks of a playbook."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible import context


def why_left_out(task: Any, variables: Mapping[str, Any]) -> str | None:
    """A sentence about the words that left out the tasks before this one; None: there are none."""
    words = []
    run_tags = [str(tag) for tag in variables.get("ansible_run_tags") or ()]
    if run_tags and run_tags != ["all"]:
        words.append(f"--tags {','.join(run_tags)}")
    skip_tags = [str(tag) for tag in variables.get("ansible_skip_tags") or ()]
    if skip_tags:
        words.append(f"--skip-tags {','.join(skip_tags)}")
    start = context.CLIARGS.get("start_at_task")
    if start:
        words.append(f"--start-at-task {start!r}")
    if not words:
        return None
    return (
        f"nothing was done: {' and '.join(words)} left out the tasks before "
        f"{task.get_name()!r}; type the command without"
    )


def was_typed(task: Any) -> bool:
    """Whether the task's playbook is one that was typed, and not one that another imports."""
    path, _colon, _line = str(task.get_path() or "").rpartition(":")
    stem = os.path.splitext(os.path.basename(path))[0]
    for word in context.CLIARGS.get("args") or ():
        if os.path.realpath(word) == os.path.realpath(path) or word.rpartition(".")[2] == stem:
            return True
    return False
