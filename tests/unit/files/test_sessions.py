"""A specialist's next job of a project goes where its session lives."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.sessions import Sessions
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.request import Job

JOB = Job(
    "a",
    None,
    "tune the database",
    None,
    "/p",
    "database",
    "gummy",
    None,
    None,
    60.0,
    None,
    False,
    3,
    specialist="database-expert",
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "distributed-gummy" / "sessions.json"


def test_the_node_is_known_to_later_runs_for_this_specialist_and_project_alone():
    Sessions().keep(JOB, "n1")
    Sessions().keep(replace(JOB, project="/other"), "n2")
    known = Sessions()
    assert (
        known.home_of(JOB) == "n1"
        and known.home_of(replace(JOB, specialist="api-developer")) is None
    )
    known.keep(JOB, "n3")
    assert (known.home_of(JOB), Sessions().home_of(JOB)) == ("n3", "n3")


def test_without_a_given_specialist_the_prompt_tells_if_the_project_has_specialists(tmp_path):
    job = replace(JOB, specialist=None, project=str(tmp_path / "project"))
    Sessions().keep(job, "n1")
    assert Sessions().home_of(job) is None
    (tmp_path / "project" / ".gummy" / "lib").mkdir(parents=True)
    (tmp_path / "project" / ".gummy" / "lib" / "core.sh").touch()
    Sessions().keep(job, "n1")
    assert Sessions().home_of(replace(job, specialist="database-expert")) == "n1"


@pytest.mark.parametrize(
    "other", [{"agent": "claude"}, {"project": None}, {"agent": "shell", "prompt": None}]
)
def test_nothing_else_has_a_session(other):
    job = replace(JOB, **other)
    Sessions().keep(job, "n1")
    assert Sessions().home_of(job) is None


def test_a_file_that_is_not_what_it_should_be_is_not_believed(cache):
    cache.parent.mkdir(mode=0o700)
    for text in ("", "[]", '{"format": 1}', '{"format": 1, "sessions": 5}'):
        cache.write_text(text)
        assert Sessions().home_of(JOB) is None
