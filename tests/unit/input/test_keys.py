"""The table of keys, and how values are read."""

from __future__ import annotations

import math

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import BadValue
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import keys
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.keys import (
    JOB_KEYS,
    TOP_KEYS,
    coerce,
)

NO_NAME = "is no name; use 1 to 64 letters, digits, '.', '_' and '-', the first a letter or digit"
NO_DURATION = (
    "is no duration; write 90s, 30m, 4h or a number of seconds, more than 0 and at most 365d"
)
NO_COUNT = "is no count; write a whole number, 1 or more"


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("timeout", "4h", 14400.0),
        ("timeout", "30m", 1800.0),
        ("timeout", "90s", 90.0),
        ("timeout", "1h30m", 5400.0),
        ("timeout", " 1.5H ", 5400.0),
        ("timeout", "0.5", 0.5),
        ("timeout", 45, 45.0),
        ("timeout", 0.5, 0.5),
        ("accept_unproven", "true", True),
        ("accept_unproven", "No", False),
        ("accept_unproven", "1", True),
        ("accept_unproven", False, False),
        ("attempts", "2", 2),
        ("attempts", 2.0, 2),
        ("budget_usd", "0.50", 0.5),
        ("budget_usd", " $5 ", 5.0),
        ("budget_usd", 2, 2.0),
        ("name", 2024, "2024"),
        ("name", " release-42 ", "release-42"),
        ("agent", "shell", "shell"),
        ("expect_changes", "Auto", "auto"),
        ("expect_changes", "yes", True),
        ("expect_changes", False, False),
        ("pass_env", "A, b_1  C,A", ("A", "b_1", "C")),
        ("pass_env", ["A", "b_1"], ("A", "b_1")),
        ("pass_env", "", None),
        ("nodes", ["a", "b"], "a,b"),
        ("nodes", "a:!b", "a:!b"),
        ("project", " a b ", " a b "),
        ("prompt", " - {{ x }}\n", " - {{ x }}\n"),
        ("prompt", "", None),
        ("timeout", " ", None),
        ("timeout", None, None),
        ("nodes", [], None),
    ],
)
def test_values_are_read_and_blank_is_not_given(key, raw, value):
    read = coerce(JOB_KEYS[key], raw)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("key", "raw", "sentence"),
    [
        *[
            ("timeout", raw, f"{raw!r} {NO_DURATION}")
            for raw in (
                "soon",
                "0",
                0,
                "-5",
                -5,
                "5 weeks",
                "{{ t }}",
                True,
                [5],
                math.nan,
                "999999999h",
            )
        ],
        *[
            ("attempts", raw, f"{raw!r} {NO_COUNT}")
            for raw in (0, "0", -1, 1.5, "many", True, math.inf, [1])
        ],
        *[
            ("name", raw, f"{raw!r} {NO_NAME}")
            for raw in ("a/b", "../x", "-x", "a b", "{{ x }}", "ü")
        ],
        ("name", 1.10, "1.1 is no text; put it in quotes"),
        ("accept_unproven", "maybe", "'maybe' is neither true nor false; write one of them"),
        ("accept_unproven", 2, "2 is neither true nor false; write one of them"),
        ("agent", [], "the list is empty; name an agent in it, such as claude"),
        ("agent", ["claude", 7], "7 is no name of an agent; write one word for each"),
        ("agent", "-x", "'-x' is no name of an agent; write one word for each"),
        ("agent", {"a": 1}, "{'a': 1} is no agent; write one name, or a list of names"),
        ("specialist", "database", "unknown value 'database'; did you mean 'database-expert'?"),
        ("expect_changes", "maybe", "'maybe' is none of auto, true and false; write one of them"),
        ("pass_env", {"A": "b"}, "{'A': 'b'} is no list of names; write '- NAME' for each"),
        (
            "pass_env",
            "A=b",
            (
                "'A=b' is no name of a variable; "
                "give the name alone, its value is read from this controller's environment"
            ),
        ),
        (
            "pass_env",
            [5],
            (
                "5 is no name of a variable; give the name alone, "
                "its value is read from this controller's environment"
            ),
        ),
        ("pass_env", ["A", "PATH"], "PATH is set on the node for every agent; take it out"),
        ("pass_env", "GUMMY_JOB", "GUMMY_JOB is set on the node for every agent; take it out"),
        ("task_type", "databse", "unknown value 'databse'; did you mean 'database'?"),
        *[
            (
                "artifacts",
                raw,
                (
                    f"{raw!r} leaves the workspace; "
                    "write it as seen from the project's directory, without '..'"
                ),
            )
            for raw in ("../x", "/etc/passwd", "a/../../b", "~/x")
        ],
        (
            "artifacts",
            "a**/b",
            "'a**/b' is no glob of files; write '**' between slashes only, as in 'dist/**/*.whl'",
        ),
        ("artifacts", ["ok", ""], "['ok', ''] is no list of globs; write '- dist/*.whl' for each"),
        ("deliver", "brunch", "unknown value 'brunch'; did you mean 'branch'?"),
        ("prompt", "a\0b", "it contains a NUL character; take it out"),
        ("project", "a\0b", "it contains a NUL character; take it out"),
        ("prompt", "\udcff", "it is not UTF-8; save or type it as UTF-8"),
        ("command", True, "True is no text; put it in quotes, so that it is taken as it stands"),
        ("prompt", 42, "42 is no text; put it in quotes, so that it is taken as it stands"),
        ("project", False, "False is no text; put it in quotes"),
    ],
)
def test_a_value_that_cannot_be_read_is_one_sentence(key, raw, sentence):
    with pytest.raises(BadValue) as error:
        coerce(JOB_KEYS[key], raw)
    assert str(error.value) == sentence


def test_a_long_value_is_cut_in_its_sentence():
    with pytest.raises(BadValue) as error:
        coerce(JOB_KEYS["timeout"], "x" * 5000)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    "key",
    [key for key in keys.KEYS if key.default is not None],
    ids=lambda key: f"{key.level}-{key.name}",
)
def test_defaults_are_values_of_their_type(key):
    assert coerce(key, key.default) == key.default


def test_every_key_can_be_looked_up_and_is_explained():
    assert len({(key.name, key.level) for key in keys.KEYS}) == len(keys.KEYS)
    assert all(key.text.endswith(".") and (key.name in TOP_KEYS) for key in keys.KEYS)
    assert TOP_KEYS["nodes"].level == "any" and JOB_KEYS["nodes"].level == "job"


def test_values_of_ansible_become_plain_python():
    loaded = DataLoader().load(
        "jobs: [{prompt: 'a {{ b }}', attempts: 2, timeout: 1.5, accept_unproven: true}]"
    )
    (job,) = keys.plain(loaded)["jobs"]
    assert job == {"prompt": "a {{ b }}", "attempts": 2, "timeout": 1.5, "accept_unproven": True}
    assert {type(item) for pair in job.items() for item in pair} == {str, int, float, bool}


@pytest.mark.parametrize(
    ("name", "known", "sentence"),
    [
        ("promt", ["prompt", "project"], "did you mean 'prompt'?"),
        ("xyz", ["b", "a"], "known: a, b"),
        ("xyz", [], "none is known"),
        (
            "xyz",
            [f"n{i:02}" for i in range(30)],
            "known: " + ", ".join(f"n{i:02}" for i in range(20)) + ", ...",
        ),
    ],
)
def test_a_hint_names_the_nearest_or_those_there_are(name, known, sentence):
    assert keys.hint(name, known) == sentence
