"""Arguments are checked by Ansible's own spec, and what is wrong says which job and which key."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible.arguments import (
    check_arguments,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible.options import RUN_OPTIONS
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError


def problems(**given):
    with pytest.raises(InputError) as refused:
        check_arguments(RUN_OPTIONS, given)
    return refused.value.problems


def test_values_have_the_types_of_ansible_and_blank_is_not_given():
    jobs = [{"command": "make", "attempts": "2", "artifacts": "dist/*"}, {"prompt": " {{ x }} "}]
    read = check_arguments(
        RUN_OPTIONS, {"jobs": jobs, "nodes": "a,b", "detach": "yes", "run_id": " ", "only": None}
    )
    assert read == {
        "jobs": [
            {"command": "make", "attempts": 2, "artifacts": ["dist/*"]},
            {"prompt": " {{ x }} "},
        ],
        "nodes": ["a", "b"],
        "detach": True,
    }


def test_what_ansible_would_make_a_text_of_stays_what_it_is():
    given = {"command": True, "name": 2024, "prompt": ["a"], "timeout": 1.5}
    assert check_arguments(RUN_OPTIONS, given) == given


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        ({"attempts": "many"}, r"job 3: .*attempts.* unable to convert to int"),
        ({"accept_unproven": "perhaps"}, r"job 3: .*accept_unproven.* unable to convert to bool"),
        ({"deliver": "x"}, r"job 3: value of deliver must be one of: patch, branch, none"),
        ({"comand": "x"}, r"job 3: unknown key 'comand'; did you mean 'command'\?"),
        (5, r"job 3: 5 is no job"),
    ],
)
def test_a_wrong_value_in_a_list_names_its_job_and_key(job, sentence):
    with pytest.raises(InputError, match=sentence):
        check_arguments(RUN_OPTIONS, {"jobs": [{"command": "x"}, {"command": "y"}, job]})


def test_all_that_is_wrong_is_told_together():
    said = problems(promt="x", detach="maybe", jobs=[{"deliver": "x"}, 5])
    assert problems(jobs="a, b") == ["jobs: 'a, b' is no list; write '- ' for each of them"]
    assert len(said) == 4 and said[0].startswith("unknown option 'promt'; did you mean 'prompt'?")
