"""What a user asked for: read raw, checked as a whole, each problem one sentence."""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import os

import pytest
from ansible import context
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.utils.context_objects import CLIArgs
from ansible.utils.vars import load_extra_vars
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import pricing
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import Budget, Config
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.request import (
    Job,
    read_request,
    unknown_settings,
)

HOSTS = ["node-1", "node-2", "web"]
HOSTILE = [
    "optimize database queries",
    "  blanks   kept \t ",
    "it's \"quoted\" 'twice'",
    "$(touch /tmp/x) `id` ; rm -rf / && $HOME",
    "two\nlines\r\n\n",
    "{{ lookup('pipe', 'id') }} {% raw %} {# #}",
    "-dash --first",
    "a\\nb \\x41 \\= =",
    "a=b c=d",
    "größer 你好 \U0001f600 \u200b",
]


def match(pattern):
    if pattern.startswith("~["):
        raise AnsibleError("bad pattern")
    return fnmatch.filter([*HOSTS, "elsewhere"], pattern)


@pytest.fixture
def cwd(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("home", "project/sub", "folder.json"):
        (tmp_path / name).mkdir(parents=True)
    return str(tmp_path / "project")


@pytest.fixture
def read(cwd):
    def read(*words, hosts=None, names=(), **settings):
        variables = {f"gummy_{name}": value for name, value in settings.items()}
        return read_request(
            words,
            variables,
            HOSTS if hosts is None else hosts,
            cwd,
            Config(),
            match=match,
            extra_var_names=names,
        )

    return read


@pytest.fixture
def problems(read):
    def problems(*words, **settings):
        with pytest.raises(InputError) as error:
            read(*words, **settings)
        return error.value.problems

    return problems


def as_ansible_loads(words, monkeypatch):
    """The extra vars as Ansible itself makes them of the `-e` words."""
    monkeypatch.setattr(context, "CLIARGS", CLIArgs({"extra_vars": tuple(words)}))
    monkeypatch.setattr(load_extra_vars, "extra_vars", None, raising=False)
    return load_extra_vars(DataLoader())


def test_one_job_of_the_top_level_with_all_defaults(read, cwd):
    request = read("gummy_prompt=optimize database queries", prompt="optimize")
    (job,) = request.jobs
    assert job == Job(
        name="job-1",
        id=None,
        prompt="optimize database queries",
        command=None,
        project=os.path.realpath(cwd),
        task_type="database",
        agent="gummy",
        node=None,
        nodes=None,
        timeout=14400,
        verify=None,
        accept_unproven=False,
        attempts=3,
    )
    assert (request.local_fallback, request.lost_after, request.output_file, request.progress) == (
        True,
        3600,
        None,
        True,
    )


def test_a_name_of_the_run_is_made_up_or_taken(read):
    names = {read(prompt="x").run_id for _time in range(20)}
    assert len(names) == 20 and all(
        read_request(
            [], {"gummy_prompt": "x", "gummy_run_id": n}, [], "/usr", Config(), match=match
        )
        for n in names
    )
    assert read(prompt="x", run_id="release-42").run_id == "release-42"


def test_the_top_level_is_the_default_of_every_job(read, cwd):
    listed = [
        {"prompt": "a", "timeout": "30m"},
        {"name": "b", "agent": "shell", "command": "make", "project": "none"},
        {"nodes": "node-*", "attempts": ""},
    ]
    request = read(
        jobs=listed,
        prompt="all",
        timeout="90s",
        attempts="2",
        node="web",
        nodes="all",
        project="sub",
        verify="make test",
    )
    assert [
        (job.name, job.prompt, job.command, job.timeout, job.attempts) for job in request.jobs
    ] == [
        ("job-1", "a", None, 1800, 2),
        ("b", None, "make", 90, 2),
        ("job-3", "all", None, 90, 2),
    ]
    assert [(job.node, job.nodes) for job in request.jobs] == [
        ("web", None),
        ("web", None),
        (None, ("node-1", "node-2")),
    ]
    assert [job.project for job in request.jobs] == [
        os.path.realpath(f"{cwd}/sub"),
        None,
        os.path.realpath(f"{cwd}/sub"),
    ]
    assert {job.verify for job in request.jobs} == {"make test"}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_kept_byte_for_byte_on_every_way_in(read, text, monkeypatch):
    document = json.dumps(
        {"gummy_prompt": text, "gummy_verify": text, "gummy_jobs": [{"prompt": text}]}
    )
    loaded = {name[6:]: value for name, value in as_ansible_loads([document], monkeypatch).items()}
    jobs = [
        read(prompt=text).jobs[0],
        read(document, **loaded).jobs[0],
        read(jobs=[{"prompt": text}]).jobs[0],
        read(f"gummy_prompt={text}").jobs[0],
    ]
    assert [job.prompt.encode() for job in jobs] == [text.encode()] * 4
    assert jobs[1].verify == text and jobs[1].verify.__class__ is str
    job = read(
        f"gummy_command={text}", "gummy_agent=shell", f"gummy_verify={text}", agent="shell"
    ).jobs[0]
    assert (job.command, job.verify) == (text, text)


@pytest.mark.parametrize(
    ("words", "prompt"),
    [
        (["gummy_prompt=optimize database queries"], "optimize database queries"),
        (["gummy_prompt=first one", "gummy_prompt=second one"], "second one"),
        (["gummy_prompt='a b'"], "'a b'"),
        (["gummy_prompt=a gummy_prompt=b"], "a gummy_prompt=b"),
        (["gummy_prompt=a other=b"], "a other=b"),
        (['{"gummy_prompt": "from json"}', "gummy_prompt=a b"], "a b"),
        (["gummy_prompt=a b", '{"gummy_prompt": "from json"}'], "from json"),
        (["gummy_prompt=a b", '{"gummy_timeout": 5}'], "a b"),
        (["gummy_prompt=a b", "@x.yml"], "from file"),
    ],
)
def test_the_last_word_wins_as_in_ansible(read, words, prompt, monkeypatch, tmp_path):
    (tmp_path / "x.yml").write_text("gummy_prompt: from file\n")
    words = [word.replace("@", f"@{tmp_path}/") for word in words]
    loaded = {
        name[6:]: value
        for name, value in as_ansible_loads(words, monkeypatch).items()
        if name.startswith("gummy_")
    }
    assert read(*words, **loaded).jobs[0].prompt == prompt


@pytest.mark.parametrize(
    ("word", "start"),
    [
        (
            "gummy_prompt=a gummy_node=b",
            (
                "gummy_prompt: its text would set gummy_node as well, "
                "for Ansible splits it at blanks; give it in a file"
            ),
        ),
        ("gummy_prompt=x ansible_user=y", "gummy_prompt: its text would set ansible_user as well"),
        (
            "gummy_prompt=x\nansible_user=y gummy_node=b",
            "gummy_prompt: its text would set ansible_user, gummy_node as well",
        ),
        (
            "gummy_prompt=x \\x61nsible_user=y",
            "gummy_prompt: its text would set ansible_user as well",
        ),
        (
            "gummy_prompt=x gummy_command=y",
            "gummy_prompt: its text would set gummy_command as well",
        ),
        (
            "gummy_timeout=5 gummy_prompt=a b",
            "gummy_prompt: it is not the first in its -e; give it a -e of its own",
        ),
        (
            " gummy_prompt=a b",
            "gummy_prompt: it is not the first in its -e; give it a -e of its own",
        ),
        ("gummy_tiemout=5", "'gummy_tiemout' is no setting; did you mean 'gummy_timeout'?"),
    ],
)
def test_a_word_that_would_set_something_else_is_refused(problems, word, start):
    (problem,) = problems(word, prompt="a")
    assert problem.startswith(start)


def test_quotes_that_ansible_keeps_together_set_nothing(read):
    assert (
        read('gummy_prompt=explain "x gummy_node=b" please').jobs[0].prompt
        == 'explain "x gummy_node=b" please'
    )


BIG = "ü" * 30_001
GUMMY_ADVICE = "put the text in a file of the project and name that in the prompt"
NAMES = "use 1 to 64 letters, digits, '.', '_' and '-', the first a letter or digit"
PROJECT_ADVICE = "name another directory, or none for no project"
DURATIONS = "write 90s, 30m, 4h or a number of seconds, more than 0 and at most 365d"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {},
            (
                "there is no prompt and no command; "
                "give gummy_prompt, or gummy_command with gummy_agent shell"
            ),
        ),
        (
            {"prompt": " "},
            (
                "there is no prompt and no command; "
                "give gummy_prompt, or gummy_command with gummy_agent shell"
            ),
        ),
        (
            {"prompt": "a", "command": "b"},
            "there is a prompt and a command; take gummy_prompt or gummy_command away",
        ),
        (
            {"command": "make"},
            "gummy_command: the agent gummy takes a prompt, no command; add gummy_agent=shell",
        ),
        (
            {"prompt": "a", "agent": "shell"},
            (
                "gummy_prompt: the agent shell takes a command, no prompt; "
                "give gummy_command, or another gummy_agent"
            ),
        ),
        (
            {"command": "make", "agent": "claude"},
            "gummy_command: the agent claude takes a prompt, no command; add gummy_agent=shell",
        ),
        (
            {"prompt": "a test", "agent": "claude", "specialist": "testing-specialist"},
            (
                "gummy_specialist: the agent claude has no specialists; "
                "take it away, or let gummy do the job"
            ),
        ),
        (
            {"prompt": "tidy up", "specialist": "general-specialst"},
            (
                "gummy_specialist: unknown value 'general-specialst'; "
                "did you mean 'general-specialist'?"
            ),
        ),
        (
            {"prompt": "build", "specialist": "general-specialist"},
            (
                "gummy_specialist: gummy gives this prompt to frontend-specialist, "
                "for it has 'ui' in it; "
                "take 'ui' out of the prompt (words that hold it count too), "
                "or name frontend-specialist"
            ),
        ),
        (
            {"prompt": BIG},
            f"gummy_prompt: it has 60002 bytes and gummy takes 60000; {GUMMY_ADVICE}",
        ),
        ({"prompt": "a\0"}, "gummy_prompt: it contains a NUL character; take it out"),
        (
            {"prompt": "a", "agent": "gumy"},
            "gummy_agent: unknown value 'gumy'; did you mean 'gummy'?",
        ),
        (
            {"prompt": "a", "task_type": "databse"},
            "gummy_task_type: unknown value 'databse'; did you mean 'database'?",
        ),
        (
            {"prompt": "a", "node": "node-3"},
            "gummy_node: no host 'node-3' in this play; did you mean 'node-2'?",
        ),
        (
            {"prompt": "a", "node": "{{ x }}"},
            "gummy_node: no host '{{ x }}' in this play; known: local, node-1, node-2, web",
        ),
        ({"prompt": "a", "timeout": "soon"}, f"gummy_timeout: 'soon' is no duration; {DURATIONS}"),
        ({"prompt": "a", "timeout": "0"}, f"gummy_timeout: '0' is no duration; {DURATIONS}"),
        (
            {"prompt": "a", "lost_after": "{{ x }}"},
            f"gummy_lost_after: '{{{{ x }}}}' is no duration; {DURATIONS}",
        ),
        (
            {"prompt": "a", "attempts": 0},
            "gummy_attempts: 0 is no count; write a whole number, 1 or more",
        ),
        (
            {"prompt": "a", "priority": "high"},
            "gummy_priority: 'high' is no whole number; write one, such as 10 or -1",
        ),
        ({"prompt": "a", "each": "host"}, "gummy_each: unknown value 'host'; did you mean 'os'?"),
        (
            {"prompt": "a", "min_nodes": 2},
            "gummy_min_nodes: it goes with gummy_each=node or gummy_each=os; give that as well",
        ),
        (
            {"prompt": "a", "each": "node", "min_nodes": 0},
            "gummy_min_nodes: 0 is no count; write a whole number, 1 or more",
        ),
        (
            {"prompt": "a", "queue_timeout": 0},
            f"gummy_queue_timeout: 0 is no duration; {DURATIONS}",
        ),
        (
            {"prompt": "a", "load_weights": "cpu"},
            "gummy_load_weights: 'cpu' is no mapping; write it like '{cpu: 1, memory: 0.5}'",
        ),
        (
            {"prompt": "a", "load_weights": "{a: ["},
            "gummy_load_weights: '{a: [' is no mapping; write it like '{cpu: 1, memory: 0.5}'",
        ),
        (
            {"prompt": "a", "load_weights": {"cpu": -1}},
            "gummy_load_weights: load weight cpu is -1; give a number, 0 or more",
        ),
        (
            {"prompt": "a", "load_weights": {"cpu": "x"}},
            "gummy_load_weights: load weight cpu is 'x'; give a number, 0 or more",
        ),
        (
            {"prompt": "a", "load_weights": {"cpu": 0}},
            "gummy_load_weights: all load weights are 0; give at least one part more than 0",
        ),
        (
            {"prompt": "a", "load_weights": {"cpus": 1}},
            "gummy_load_weights: unknown load weight 'cpus'; did you mean 'cpu'?",
        ),
        (
            {"prompt": "a", "host_preferences": {"databse": "web"}},
            "gummy_host_preferences: unknown task type 'databse'; did you mean 'database'?",
        ),
        (
            {"prompt": "a", "host_preferences": {"api": "wbe"}},
            "gummy_host_preferences: no host 'wbe' in this play; did you mean 'web'?",
        ),
        (
            {"prompt": "a", "local_fallback": "?"},
            "gummy_local_fallback: '?' is neither true nor false; write one of them",
        ),
        ({"prompt": "a", "run_id": "../x"}, f"gummy_run_id: '../x' is no name; {NAMES}"),
        (
            {"prompt": "a", "output_file": "x.txt"},
            (
                "gummy_output_file: 'x.txt' does not end in .json, .md, .html or .xml; "
                "name such a file"
            ),
        ),
        (
            {"prompt": "a", "output_file": "../folder.json"},
            "gummy_output_file: <base>/folder.json is a directory; name a file",
        ),
        (
            {"prompt": "a", "output_file": "no/x.json"},
            "gummy_output_file: the directory <cwd>/no does not exist; make it, or name another",
        ),
        (
            {"jobs": "a"},
            (
                "gummy_jobs: 'a' is no list; "
                "write '- prompt: ...' for each job in a file and give it with -e @file"
            ),
        ),
        (
            {"jobs": {"prompt": "a"}},
            (
                "gummy_jobs: {'prompt': 'a'} is no list; "
                "write '- prompt: ...' for each job in a file and give it with -e @file"
            ),
        ),
        ({"jobs": []}, "gummy_jobs: the list is empty; give it a job"),
        (
            {"jobs": [{}]},
            "job 1: there is no prompt and no command; give prompt, or command with agent shell",
        ),
        (
            {"jobs": [{"promt": "a"}], "prompt": "b"},
            "job 1: unknown key 'promt'; did you mean 'prompt'?",
        ),
        (
            {"jobs": [{"gummy_prompt": "a"}], "prompt": "b"},
            "job 1: unknown key 'gummy_prompt'; in a job it is 'prompt'",
        ),
        (
            {"jobs": [{"prompt": "a", "lost_after": 5}]},
            (
                "job 1: unknown key 'lost_after'; it holds for the whole run: "
                "write 'gummy_lost_after' beside gummy_jobs"
            ),
        ),
        (
            {"jobs": [{"prompt": "a"}, {"prompt": "b", "timeout": "x"}]},
            f"job 2: timeout: 'x' is no duration; {DURATIONS}",
        ),
        (
            {"jobs": [{"command": "a"}]},
            "job 1: command: the agent gummy takes a prompt, no command; add agent=shell",
        ),
        (
            {"jobs": [{"prompt": "a", "name": "x"}, {"prompt": "b", "name": "X"}]},
            "gummy_jobs: two jobs have the name 'X'; give each job its own name",
        ),
        (
            {"jobs": [{"prompt": "a", "name": "job-2"}, {"prompt": "b"}]},
            "gummy_jobs: two jobs have the name 'job-2'; give each job its own name",
        ),
        (
            {"jobs": [{"prompt": "a"}, {"prompt": "b"}], "id": "i"},
            "gummy_jobs: two jobs have the id 'i'; give each job its own id",
        ),
        (
            {"jobs": [{"prompt": "a", "nodes": "db*"}]},
            "job 1: nodes: 'db*' matches no host of this play; known: node-1, node-2, web",
        ),
        (
            {"jobs": [{"prompt": "a", "nodes": "elsewhere"}]},
            "job 1: nodes: 'elsewhere' matches no host of this play; known: node-1, node-2, web",
        ),
        (
            {"jobs": [{"prompt": "a", "nodes": "~["}]},
            "job 1: nodes: '~[' is no host pattern (bad pattern); write it as for ansible --limit",
        ),
        (
            {"jobs": [{"prompt": "a", "nodes": "web", "node": "web"}]},
            "job 1: nodes: the job has a node as well; take one of the two away",
        ),
        (
            {"jobs": [{"prompt": "a", "timeout": "1h"}, "fix it"], "prompt": "b"},
            "job 2: 'fix it' is no job; write its keys, such as 'prompt: ...'",
        ),
        (
            {"prompt": "a", "project": "<base>/home"},
            "gummy_project: <base>/home is your home directory; <advice>",
        ),
        (
            {"prompt": "a", "project": "~"},
            "gummy_project: <base>/home is your home directory; <advice>",
        ),
        (
            {"prompt": "a", "project": "link-home"},
            "gummy_project: <base>/home is your home directory; <advice>",
        ),
        ({"prompt": "a", "project": "/"}, "gummy_project: / is the whole machine; <advice>"),
        ({"prompt": "a", "project": "/usr/.."}, "gummy_project: / is the whole machine; <advice>"),
        ({"prompt": "a", "project": "gone"}, "gummy_project: <cwd>/gone does not exist; <advice>"),
        ({"prompt": "a", "project": "file"}, "gummy_project: <cwd>/file is no directory; <advice>"),
        (
            {"jobs": [{"prompt": "a", "project": "{{ x }}"}]},
            "job 1: project: <cwd>/{{ x }} does not exist; <advice>",
        ),
    ],
)
def test_bad_input_is_one_sentence_that_says_what_where_and_what_to_do(
    problems, cwd, settings, sentence
):
    os.symlink("../home", f"{cwd}/link-home")
    open(f"{cwd}/file", "w").close()
    places = {
        "<cwd>": os.path.realpath(cwd),
        "<base>": os.path.dirname(os.path.realpath(cwd)),
        "<advice>": PROJECT_ADVICE,
    }
    for mark, text in places.items():
        sentence = sentence.replace(mark, text)
        settings = json.loads(json.dumps(settings).replace(mark, text))
    assert problems(**settings) == [sentence]


def test_the_directory_the_command_was_typed_in_may_be_no_home(problems, cwd, monkeypatch):
    monkeypatch.setenv("HOME", cwd)
    (problem,) = problems(prompt="a")
    assert problem == (
        f"gummy_project: {os.path.realpath(cwd)} is your home directory; "
        "name another directory, or none for no project"
    )


def test_a_project_that_cannot_be_read_is_refused(problems, cwd, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("sub"))
    (problem,) = problems(prompt="a", project="sub")
    assert problem.startswith(
        f"gummy_project: {os.path.realpath(cwd)}/sub can't be read; mend its permissions"
    )


def test_all_problems_are_reported_together_and_each_once(problems):
    found = problems(
        names=["gummy_jbos"],
        jobs=[{"name": "a"}, {"prompt": "b"}, {"prompt": "c"}],
        timeout="x",
        project="gone",
        node="node-9",
    )
    assert [problem.split(":")[0].split(" is ")[0] for problem in found] == [
        "'gummy_jbos'",
        "gummy_timeout",
        "job 1",
        "gummy_project",
        "gummy_node",
    ]


def test_text_of_surveys_is_read(read, cwd):
    request = read(
        prompt="a",
        local_fallback="false",
        progress="no",
        lost_after="10",
        output_file=" out.json ",
        node="local",
        name="",
        run_id="",
    )
    assert (request.local_fallback, request.progress, request.lost_after, request.jobs[0].node) == (
        False,
        False,
        10,
        "local",
    )
    assert read(prompt="a", output_file="out.json").output_file == f"{cwd}/out.json"


def test_a_prompt_of_60_kb_fits_and_a_command_may_be_longer(read):
    assert read(prompt="x" * 60_000).jobs[0].task_type == "general"
    assert read(command="x" * 70_000, agent="shell").jobs[0].agent == "shell"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gummy_tsk_type", "'gummy_tsk_type' is no setting; did you mean 'gummy_task_type'?"),
        ("Gummy_Prompt", "'Gummy_Prompt' is no setting; did you mean 'gummy_prompt'?"),
    ],
)
def test_an_unknown_setting_is_named_with_the_nearest_right_name(name, sentence):
    assert unknown_settings([name, "ansible_user", "mine", "gummy_prompt", name]) == [sentence]


def test_the_digest_holds_what_makes_it_the_same_work(read):
    job = read(prompt="a").jobs[0]
    for other in (
        {"timeout": 5.0},
        {"attempts": 1},
        {"node": "web"},
        {"task_type": "api"},
        {"accept_unproven": True},
    ):
        assert dataclasses.replace(job, **other).digest() == job.digest()
    others = [
        {"prompt": "b"},
        {"name": "b"},
        {"project": None},
        {"verify": "b"},
        {"agent": "b"},
        {"command": "b"},
        {"id": "b"},
    ]
    assert len({dataclasses.replace(job, **other).digest() for other in [{}, *others]}) == 8
    assert (
        dataclasses.replace(job, id="b", prompt="b").digest()
        == dataclasses.replace(job, id="b").digest()
    )


def test_weights_and_preferences_of_a_run_win_over_the_config_and_may_be_typed_as_text(read):
    request = read(prompt="a", load_weights="{cpu: 1, mem: 0.5}", host_preferences={"api": ["web"]})
    assert request.config.load_weights == {
        "cpu": 1.0,
        "memory": 0.5,
        "load_average": 0.0,
        "io_wait": 0.0,
    }
    assert request.config.host_preferences == {"api": ("web",)}
    assert read(prompt="a").config == Config() and read(prompt="a").notes == ()


def test_a_preference_of_the_config_for_a_node_that_is_not_there_is_a_note(cwd):
    config = Config(host_preferences={"api": ("web", "gone")})
    request = read_request([], {"gummy_prompt": "a"}, HOSTS, cwd, config, match=match)
    assert request.notes == (
        "host_preferences of the config: no host 'gone' in this play (first choice for api)",
    )


# -- setup


def test_a_setup_is_read_raw_with_what_skips_it_and_its_time(read):
    text = "pip install -r requirements.txt"
    words = (f"gummy_setup={text}", "gummy_prompt=a")
    job = read(*words, prompt="a", setup="pip", setup_if="*.txt", setup_timeout="5m").jobs[0]
    assert (job.setup, job.setup_if, job.setup_timeout) == (text, ("*.txt",), 300.0)
    assert dataclasses.replace(job, setup="b").digest() != job.digest()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"setup": "make", "project": "none"}, "gummy_setup: without a project there is nothing"),
        ({"setup_if": ["*.lock"]}, "gummy_setup_if: there is no gummy_setup"),
        ({"setup": "make", "setup_if": ["../*.lock"]}, "gummy_setup_if: '../*.lock' leaves the"),
        ({"setup": "make", "setup_if": ["/etc/x"]}, "gummy_setup_if: '/etc/x' leaves the"),
        ({"setup": "make", "setup_timeout": "soon"}, "gummy_setup_timeout: "),
    ],
)
def test_a_setup_that_makes_no_sense_is_told_with_where(problems, settings, said):
    (problem,) = problems(prompt="a", **settings)
    assert problem.startswith(said)


def test_budgets_of_jobs_the_run_and_the_config_are_read(read, cwd):
    jobs = [{"name": "a"}, {"name": "b", "budget_usd": "$2"}]
    request = read(prompt="x", jobs=jobs, budget_usd="0.5", run_budget_usd=3)
    assert [job.budget_usd for job in request.jobs] == [0.5, 2.0]
    assert (request.run_budget_usd, request.day_budget_usd) == (3.0, None)

    config = Config(budget=Budget(run_usd=7.0, day_usd=9.0))
    request = read_request((), {"gummy_prompt": "x"}, HOSTS, cwd, config, match=match)
    assert (request.run_budget_usd, request.day_budget_usd) == (7.0, 9.0)


@pytest.mark.parametrize("raw", ["much", -1, 0, "0", True, "1e3", float("nan"), 1e7, [5], "5 EUR"])
def test_a_budget_that_is_no_amount_is_told_with_where(problems, raw):
    (problem,) = problems(prompt="x", budget_usd=raw)
    assert problem.startswith("gummy_budget_usd: ")
    assert "is no amount of dollars; write a number such as 5 or 0.50" in problem


def test_a_budget_with_an_agent_that_cannot_be_held_to_it_is_an_error_unless_allowed(
    cwd, monkeypatch
):
    monkeypatch.delitem(pricing.PRICING, "claude")

    def problems_of(config=None, **settings):
        variables = {f"gummy_{name}": value for name, value in settings.items()}
        jobs = [{"name": "dear", "agent": "claude", "prompt": "x"}]
        jobs.append({"name": "free", "agent": "shell", "command": "x"})
        try:
            read_request(
                (), {"gummy_jobs": jobs, **variables}, HOSTS, cwd, config or Config(), match=match
            )
        except InputError as exc:
            return exc.problems
        return []

    assert problems_of() == []
    begin = "dear: the agent claude tells no price while it works and has no cap of its own"
    for budget, config, settings in (
        ("budget_usd", None, {"budget_usd": 1}),
        ("gummy_run_budget_usd", None, {"run_budget_usd": 1}),
        ("budget.run_usd of the config file", Config(budget=Budget(run_usd=1.0)), {}),
        ("budget.day_usd of the config file", Config(budget=Budget(day_usd=1.0)), {}),
    ):
        (problem,) = problems_of(config, **settings)
        assert problem.startswith(f"{begin}, and there is {budget}; take that away")
        assert "gummy_unpriced=allow" in problem
        assert problems_of(config, unpriced="allow", **settings) == []
