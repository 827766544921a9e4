"""What tells the session of a specialist from others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.session_key import (
    session_key,
)
from job_builder import shell_job

JOB = shell_job(
    agent="gummy",
    command=None,
    prompt="tune the database",
    project="/p",
    specialist="database-expert",
)


def test_a_session_is_of_one_specialist_and_one_project():
    keys = {
        session_key(job)
        for job in (
            JOB,
            replace(JOB, project="/other"),
            replace(JOB, specialist="api-developer"),
        )
    }
    assert len(keys) == 3 and None not in keys
    assert session_key(JOB) == session_key(replace(JOB, name="b", prompt="and the schema"))


def test_without_a_given_specialist_the_prompt_tells_if_the_project_has_specialists(tmp_path):
    job = replace(JOB, specialist=None, project=str(tmp_path / "project"))
    assert session_key(job) is None
    (tmp_path / "project" / ".gummy" / "lib").mkdir(parents=True)
    (tmp_path / "project" / ".gummy" / "lib" / "core.sh").touch()
    key = session_key(job)
    assert key is not None
    assert key == session_key(replace(job, specialist="database-expert"))


@pytest.mark.parametrize(
    "other", [{"agent": "claude"}, {"project": None}, {"agent": "shell", "prompt": None}]
)
def test_nothing_else_has_a_session(other):
    assert session_key(replace(JOB, **other)) is None
