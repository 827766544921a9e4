"""Options of a task are a source of a request: they count more than variables."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import Config
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.keys import BAD_ENDS
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.request import read_request


@pytest.fixture
def read(tmp_path):
    def read(options, *words, **settings):
        variables = {f"gummy_{name}": value for name, value in settings.items()}
        return read_request(
            words, variables, ["a", "b"], str(tmp_path), Config(), match=list, options=options
        )

    return read


def problems(read, options, **settings):
    with pytest.raises(InputError) as refused:
        read(options, **settings)
    return refused.value.problems


def test_the_option_wins_over_the_variable_and_a_note_says_so(read):
    options = {"command": "make", "agent": "shell", "timeout": "5m"}
    request = read(options, timeout="soon", agent="gummy", priority=3)
    (job,) = request.jobs
    assert (job.command, job.agent, job.timeout, job.priority) == ("make", "shell", 300.0, 3)
    assert request.notes == (
        "gummy_agent does not count: the task has the option agent",
        "gummy_timeout does not count: the task has the option timeout",
    )
    assert read(options).notes == () and read(options, timeout="").notes == ()


@pytest.mark.parametrize("work", ["prompt", "jobs"])
def test_a_task_that_says_what_to_do_does_nothing_that_variables_say(read, work):
    given = {"prompt": "p", "jobs": [{"prompt": "q"}]}[work]
    request = read({"command": "make", "agent": "shell"}, **{work: given})
    assert [job.command for job in request.jobs] == ["make"]
    assert request.notes == (f"gummy_{work} does not count: the task says what to do (command)",)


def test_a_word_of_minus_e_is_a_variable_too(read):
    request = read({"prompt": "mine"}, "gummy_prompt=yours and theirs")
    assert [job.prompt for job in request.jobs] == ["mine"] and len(request.notes) == 1


def test_options_are_defaults_of_the_jobs_of_a_list(read):
    jobs = [{"command": "x"}, {"command": "y", "timeout": "1h"}]
    request = read({"jobs": jobs, "agent": "shell", "timeout": "5m"})
    assert [job.timeout for job in request.jobs] == [300.0, 3600.0]


def test_problems_name_the_option_and_not_a_variable(read):
    assert problems(read, {"command": "x", "timeout": "soon"}) == [
        (
            "timeout: 'soon' is no duration; write 90s, 30m, 4h or a number of seconds, "
            "more than 0 and at most 365d"
        ),
        "command: the agent gummy takes a prompt, no command; add agent=shell",
    ]
    assert problems(read, {"prompt": "x", "only": "failed"}) == [
        "only: give the run's name as well (run_id)"
    ]
    (said,) = problems(read, {"jobs": [{"prompt": "x", "run_id": "r"}]})
    assert "write 'run_id' beside jobs" in said


@pytest.mark.parametrize(
    ("options", "settings", "fail_on"),
    [
        ({}, {}, BAD_ENDS),
        ({"fail_on": []}, {}, ()),
        ({"fail_on": ["lost", "lost"]}, {"fail_on": "failed"}, ("lost",)),
        ({}, {"fail_on": "failed, lost"}, ("failed", "lost")),
        ({}, {"fail_on": "[]"}, ()),
    ],
)
def test_what_makes_the_task_fail(read, options, settings, fail_on):
    assert read(options, prompt="x", **settings).fail_on == fail_on


def test_an_end_that_there_is_not_is_a_problem(read):
    assert problems(read, {"prompt": "x", "fail_on": ["faild"]}) == [
        "fail_on: unknown value 'faild'; did you mean 'failed'?"
    ]
    (said,) = problems(read, {"prompt": "x"}, fail_on={"a": 1})
    assert said == "gummy_fail_on: {'a': 1} is no list; write '- failed' for each, or [] for none"


def test_a_playbook_that_leaves_failing_to_show_is_no_second_source(read):
    assert read({"fail_on": []}, prompt="x", fail_on="lost").notes == ()
    assert len(read({"fail_on": ["failed"]}, prompt="x", fail_on="lost").notes) == 1
