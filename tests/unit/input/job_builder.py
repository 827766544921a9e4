"""Jobs for tests: what a test does not name is as for a plain command."""

from __future__ import annotations

from typing import Any

from ansible_collections.distributed.gummy.plugins.plugin_utils._input.request import Job


def shell_job(name: str = "a", **changes: Any) -> Job:
    """A job that runs `make` without a project on any node, but for the fields that are given."""
    fields: dict[str, Any] = {
        "id": None,
        "prompt": None,
        "command": "make",
        "project": None,
        "task_type": "general",
        "agent": "shell",
        "node": None,
        "nodes": None,
        "timeout": 60.0,
        "verify": None,
        "accept_unproven": False,
        "attempts": 3,
    }
    return Job(name=name, **{**fields, **changes})
