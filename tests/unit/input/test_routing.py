"""gummy's own choice of a specialist, as the double of gummy has it too, and what is said where a
prompt does not lead to the one that is wanted.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.routing import (
    ROUTES,
    session_key,
    specialist_of,
    why_not,
)
from job_builder import shell_job

DOUBLES = Path(__file__).resolve().parents[2] / "doubles"


def test_the_table_is_the_one_of_gummy():
    tree = ast.parse((DOUBLES / "gummy").read_text(encoding="utf-8"))
    (routes,) = (
        ast.literal_eval(one.value)
        for one in tree.body
        if isinstance(one, ast.Assign) and one.targets[0].id == "ROUTES"
    )
    assert [(name, tuple(words.split())) for name, words in routes.items()] == list(ROUTES.items())[
        :-1
    ]
    assert list(ROUTES)[-1] == "general-specialist"


@pytest.mark.parametrize(
    ("prompt", "specialist"),
    [
        ("optimize the database", "database-expert"),
        ("build it", "frontend-specialist"),
        ("SQL and API", "general-specialist"),
        ("test the api", "api-developer"),
        ("interest", "api-developer"),
        ("author", "security-specialist"),
        ("", "general-specialist"),
        *((f"a{word}b", name) for name, words in ROUTES.items() for word in words),
    ],
)
def test_the_first_specialist_with_a_keyword_in_the_prompt_takes_it(prompt, specialist):
    assert specialist_of(prompt)[0] == specialist and why_not(specialist, prompt) is None


@pytest.mark.parametrize(
    ("specialist", "prompt", "sentence"),
    [
        (
            "frontend-specialist",
            "build a sql query",
            (
                "gummy gives this prompt to database-expert, for it has 'query' and 'sql' in it; "
                "take 'query' and 'sql' out of the prompt (words that hold it count too), "
                "or name database-expert"
            ),
        ),
        (
            "testing-specialist",
            "Test the API endpoint",
            (
                "gummy gives this prompt to api-developer, for it has 'endpoint' in it; "
                "take 'endpoint' out of the prompt "
                "(words that hold it count too) and use one of test, spec, jest, vitest in it, "
                "in small letters, or name api-developer"
            ),
        ),
        (
            "database-expert",
            "tidy up",
            (
                "gummy gives this prompt to general-specialist, "
                "for it has no keyword of any specialist; "
                "use one of database, query, schema, migration, sql in it, in small letters, "
                "or name general-specialist"
            ),
        ),
        (
            "general-specialist",
            "build",
            (
                "gummy gives this prompt to frontend-specialist, for it has 'ui' in it; "
                "take 'ui' out of the prompt (words that hold it count too), "
                "or name frontend-specialist"
            ),
        ),
        (
            "api-developer",
            "build",
            (
                "gummy gives this prompt to frontend-specialist, for it has 'ui' in it; "
                "use one of api, endpoint, route, rest, graphql in it, in small letters, "
                "or name frontend-specialist"
            ),
        ),
    ],
)
def test_what_leads_elsewhere_is_named_and_what_to_do(specialist, prompt, sentence):
    assert why_not(specialist, prompt) == sentence


# What tells the session of a specialist from others


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
    assert session_key(job) == session_key(replace(job, specialist="database-expert")) is not None


@pytest.mark.parametrize(
    "other", [{"agent": "claude"}, {"project": None}, {"agent": "shell", "prompt": None}]
)
def test_nothing_else_has_a_session(other):
    assert session_key(replace(JOB, **other)) is None
