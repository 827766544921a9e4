"""Which agents may do a job: one, several in their order, and those of the user's own."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import (
    Config,
    OwnAgent,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.request import read_request

CONFIG = Config(
    agents={"opencode": {"model": "a/b"}, "mine": {}},
    own_agents={"mine": OwnAgent(("mine",), "stdin", "exit")},
)


def read(tmp_path, config=CONFIG, **settings):
    variables = {f"gummy_{name}": value for name, value in settings.items()}
    request = read_request([], variables, ["node-1"], str(tmp_path), config, match=lambda _: [])
    return request.jobs


def problems(tmp_path, config=CONFIG, **settings):
    with pytest.raises(InputError) as error:
        read(tmp_path, config, **settings)
    return error.value.problems


@pytest.mark.parametrize(
    ("given", "agents"),
    [
        ("claude", ("claude",)),
        (["claude"], ("claude",)),
        (["claude", "codex"], ("claude", "codex")),
        ("codex, claude", ("codex", "claude")),
        ("codex claude codex", ("codex", "claude")),
        ("[codex, claude]", ("codex", "claude")),
        (["mine", "opencode"], ("mine", "opencode")),
        ("", ("gummy",)),
    ],
)
def test_one_agent_or_an_order_of_them(tmp_path, given, agents):
    (job,) = read(tmp_path, prompt="x", agent=given)
    assert (job.choices, job.agent) == (agents, agents[0])


def test_a_job_of_a_batch_has_its_own_order(tmp_path):
    jobs = [{"prompt": "a"}, {"prompt": "b", "agent": ["codex", "qwen"]}]
    first, second = read(tmp_path, agent=["claude", "gemini"], jobs=jobs)
    assert (first.choices, second.choices) == (("claude", "gemini"), ("codex", "qwen"))


def test_which_of_several_does_it_changes_nothing_for_who_resumes(tmp_path):
    one, order, other = (
        read(tmp_path, prompt="x", agent=agent)[0]
        for agent in ("claude", ["claude", "codex"], ["codex", "claude"])
    )
    assert len({job.digest() for job in (one, order, other)}) == 3


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"agent": "cluade"}, "gummy_agent: unknown value 'cluade'; did you mean 'claude'?"),
        ({"agent": ["claude", "min"]}, "gummy_agent: unknown value 'min'; did you mean 'mine'?"),
        ({"agent": "cluade codex"}, "gummy_agent: unknown value 'cluade'; did you mean 'claude'?"),
        ({"agent": "CODEX"}, "gummy_agent: unknown value 'CODEX'; did you mean 'codex'?"),
        ({"agent": []}, "gummy_agent: the list is empty; name an agent in it, such as claude"),
        ({"agent": "[]"}, "gummy_agent: the list is empty; name an agent in it, such as claude"),
        ({"agent": ","}, "gummy_agent: the list is empty; name an agent in it, such as claude"),
        ({"agent": ["claude", "shell"]}, "it can't stand in a list with them; take it out"),
        ({"agent": ["gummy", "codex"], "specialist": "general-specialist"}, "no specialists"),
    ],
)
def test_what_can_t_be_says_what_can(tmp_path, settings, sentence):
    assert any(sentence in problem for problem in problems(tmp_path, prompt="x", **settings))


@pytest.mark.parametrize("agent", ["cluade", ["claude", "codx"], [], ["shell", "claude"]])
def test_a_command_beside_agents_that_can_t_be_is_no_second_mistake(tmp_path, agent):
    (problem,) = problems(tmp_path, command="x", agent=agent)
    assert problem.startswith("gummy_agent: ")


@pytest.mark.parametrize("agent", ["claude", ["claude", "codex"]])
def test_a_command_for_agents_that_take_a_prompt_is_one_mistake(tmp_path, agent):
    (problem,) = problems(tmp_path, command="x", agent=agent)
    assert problem == (
        "gummy_command: the agent claude takes a prompt, no command; add gummy_agent=shell"
    )


def test_opencode_without_a_model_starts_nothing_and_says_where_it_is_written(tmp_path):
    config = Config(path="/c/config.yaml")
    for agent in ("opencode", ["claude", "opencode"]):
        (problem,) = problems(tmp_path, config, prompt="x", agent=agent)
        assert problem == (
            "gummy_agent: opencode has no model, and without a model of yours it sends the project "
            "to a service of its own choice; write it into /c/config.yaml, as "
            "`agents: {opencode: {model: PROVIDER/MODEL}}`"
        )


def test_a_job_file_names_no_programs(tmp_path):
    job = {"prompt": "x", "argv": ["sh", "-c", "id"]}
    (problem,) = problems(tmp_path, jobs=[job])
    assert problem.startswith("job 1: unknown key 'argv'")
    job = {"prompt": "x", "agent": {"argv": ["sh"]}}
    (problem,) = problems(tmp_path, jobs=[job])
    assert "is no agent; write one name, or a list of names" in problem
