"""gummy's own choice of a specialist, as the double of gummy has it too, and what is said where a
prompt does not lead to the one that is wanted.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.routing import (
    ROUTES,
    specialist_of,
    why_not,
)

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
