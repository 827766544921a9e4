"""What is remembered of the programs that were installed on nodes, and what of it is believed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files import programs
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.programs import Programs

ONE = "1" * 64
TWO = "2" * 64


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "distributed-gummy" / "programs.json"


def test_a_hash_is_known_to_later_playbooks_for_this_node_and_program_alone(cache):
    Programs().keep("a", "program", ONE)
    known = Programs()
    assert known.hash_of("a", "program") == ONE
    assert known.hash_of("b", "program") is None and known.hash_of("a", "newer") is None
    known.keep("a", "program", TWO)
    assert known.hash_of("a", "program") == Programs().hash_of("a", "program") == TWO
    assert cache.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("told", ["", "0" * 63, "0" * 65, "G" * 64, "../" + "0" * 61, ONE + "\n"])
def test_what_is_no_hash_is_neither_kept_nor_believed(cache, told):
    Programs().keep("a", "program", told)
    assert not cache.exists()
    Programs().keep("b", "program", ONE)
    rows = {"a program": told, "b program": ONE}
    cache.write_text(json.dumps({"format": 1, "programs": rows}))
    known = Programs()
    assert (known.hash_of("a", "program"), known.hash_of("b", "program")) == (None, ONE)


def test_two_playbooks_at_once_keep_what_the_other_one_noted():
    first = Programs()
    second = Programs()
    assert first.hash_of("a", "program") is second.hash_of("a", "program") is None
    first.keep("a", "program", ONE)
    second.keep("b", "program", TWO)
    known = Programs()
    assert (known.hash_of("a", "program"), known.hash_of("b", "program")) == (ONE, TWO)


def test_many_threads_may_note_what_their_nodes_told():
    known = Programs()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: known.keep(str(number), "program", ONE), range(40)))
    later = Programs()
    assert all(later.hash_of(str(number), "program") == ONE for number in range(40))


def test_the_oldest_are_forgotten(monkeypatch):
    monkeypatch.setattr(programs, "KEPT", 2)
    for link in ("a", "b", "a", "c"):
        Programs().keep(link, "program", ONE)
    known = Programs()
    assert [known.hash_of(link, "program") for link in ("a", "b", "c")] == [ONE, None, ONE]


@pytest.mark.parametrize(
    "text", ["", "[]", "5", '{"format": 1}', '{"format": 1, "programs": 5}', '{"format": 2}']
)
def test_a_file_that_is_not_what_it_should_be_is_as_if_there_was_none(cache, text):
    cache.parent.mkdir(mode=0o700)
    cache.write_text(text)
    known = Programs()
    assert known.hash_of("a", "program") is None
    known.keep("a", "program", ONE)
    assert Programs().hash_of("a", "program") == ONE


def test_a_file_that_others_may_write_is_as_if_there_was_none(cache):
    Programs().keep("a", "program", ONE)
    cache.chmod(0o666)
    assert Programs().hash_of("a", "program") is None
