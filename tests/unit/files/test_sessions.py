"""A specialist's next job of a project goes where its session lives."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files import sessions
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.sessions import Sessions

KEY = "database-expert /p"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "distributed-gummy" / "sessions.json"


def test_the_node_is_known_to_later_runs_for_this_specialist_and_project_alone():
    Sessions().keep(KEY, "n1")
    Sessions().keep("database-expert /other", "n2")
    known = Sessions()
    assert known.home_of(KEY) == "n1" and known.home_of("api-developer /p") is None
    known.keep(KEY, "n3")
    assert (known.home_of(KEY), Sessions().home_of(KEY)) == ("n3", "n3")


def test_what_has_no_session_is_not_kept(cache):
    Sessions().keep(None, "n1")
    assert Sessions().home_of(None) is None and not cache.exists()


def test_the_oldest_sessions_are_forgotten(monkeypatch):
    monkeypatch.setattr(sessions, "KEPT", 2)
    for number in range(3):
        Sessions().keep(f"s{number} /p", "n")
    known = Sessions()
    assert [known.home_of(f"s{number} /p") for number in range(3)] == [None, "n", "n"]


def test_a_file_that_is_not_what_it_should_be_is_not_believed(cache):
    cache.parent.mkdir(mode=0o700)
    for text in ("", "[]", '{"format": 1}', '{"format": 1, "sessions": 5}'):
        cache.write_text(text)
        assert Sessions().home_of(KEY) is None
