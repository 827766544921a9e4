"""The config file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import config

ROOT = Path(__file__).resolve().parents[3]
# A config as users wrote it for what came before this collection.
FIXTURE = ROOT / "tests" / "fixtures" / "config" / "config.yaml"
EXAMPLE = ROOT / "examples" / "config.yaml"
HASH = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def config_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "distributed-gummy").mkdir()
    return tmp_path / "distributed-gummy" / "config.yaml"


def test_no_file_and_an_empty_file_are_the_defaults(config_file):
    assert config.load_config() == config.Config()
    config_file.write_text("# nothing yet\n")
    assert config.load_config() == config.Config()
    assert (
        "node_modules" in config.Config().sync_exclude
        and config.Config().load_weights["cpu"] == 0.4
    )


def test_all_keys_are_read(config_file):
    config_file.write_text(
        "load_weights: {cpu: 1, io_wait: '0.5'}\n"
        "sync_exclude: [dist, '*.bin']\n"
        "host_preferences: {database: big, api: [a, b]}\n"
        "nodes: {big: {slots: '3'}, a: }\n"
        "agents: {claude: {permission_mode: plan, account: team-2,"
        " allowed_tools: ['Bash(git *)', Edit]}, gummy: }\n"
        "keep: {days: 7, free_gb: '2'}\n"
    )
    assert config.load_config() == config.Config(
        load_weights={"cpu": 1, "memory": 0, "load_average": 0, "io_wait": 0.5},
        sync_exclude=("dist", "*.bin"),
        host_preferences={"database": ("big",), "api": ("a", "b")},
        nodes={"big": {"slots": 3}},
        agents={
            "claude": {
                "permission_mode": "plan",
                "account": "team-2",
                "allowed_tools": "Bash(git *),Edit",
            },
            "gummy": {},
        },
        keep=config.Keep(7, 10, 2),
    )


def test_blank_keys_are_not_given(config_file):
    config_file.write_text("load_weights:\nsync_exclude:\n")
    assert config.load_config() == config.Config()
    config_file.write_text("sync_exclude: []\n")
    assert config.load_config().sync_exclude == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "is not YAML ("),
        ("[a]", "is a list, not a mapping; write keys like 'sync_exclude:', each with its value"),
        ("load_wieghts: {cpu: 1}", "load_wieghts: unknown key; did you mean 'load_weights'?"),
        (
            "5: 6",
            (
                "5: unknown key; known: agents, budget, harvest_limit, host_preferences, keep, "
                "load_weights, nodes, notify, sync_exclude"
            ),
        ),
        (
            "budget: 5",
            "budget: 5 is no mapping; write a mapping of run_usd and day_usd to dollars",
        ),
        (
            "budget: {dya_usd: 5}",
            "budget: unknown key 'dya_usd'; did you mean 'day_usd'?",
        ),
        (
            "budget: {day_usd: -5}",
            (
                "budget: day_usd: -5 is no amount of dollars; write a number such as 5 or 0.50, "
                "more than 0 and at most 1000000"
            ),
        ),
        (
            "load_weights: {cpu: -1}",
            "load_weights: load weight cpu is -1; give a number, 0 or more",
        ),
        (
            "load_weights: {cpu: 0}",
            "load_weights: all load weights are 0; give at least one part more than 0",
        ),
        (
            "sync_exclude: 5",
            (
                "sync_exclude: 5 is no list of patterns; "
                "write '- name' for each, in quotes if it is no plain text"
            ),
        ),
        (
            "sync_exclude: [1.5]",
            (
                "sync_exclude: [1.5] is no list of patterns; "
                "write '- name' for each, in quotes if it is no plain text"
            ),
        ),
        (
            'sync_exclude: ["a\\nb"]',
            "sync_exclude: a pattern has a line break in it; write one pattern for each list item",
        ),
        (
            "host_preferences: {databse: [a]}",
            "host_preferences: unknown task type 'databse'; did you mean 'database'?",
        ),
        (
            "host_preferences: [a]",
            (
                "host_preferences: host preferences are a mapping of task types to lists of nodes, "
                "not ['a']"
            ),
        ),
        ("nodes: {a: {slot: 1}}", "nodes: a: unknown key 'slot'; did you mean 'slots'?"),
        (
            "nodes: {a: {slots: 0}}",
            "nodes: a: slots: 0 is no count; write a whole number, 1 or more",
        ),
        ("nodes: {a: 3}", "nodes: 3 is no mapping; write a mapping of settings to values"),
        ("agents: {cluade: {}}", "agents: unknown agent 'cluade'; did you mean 'claude'?"),
        (
            "agents: {claude: {permision_mode: plan}}",
            "agents: claude: unknown key 'permision_mode'; did you mean 'permission_mode'?",
        ),
        (
            "agents: {claude: {permission_mode: acceptEdit}}",
            (
                "agents: claude: permission_mode: unknown value 'acceptEdit'; "
                "did you mean 'acceptEdits'?"
            ),
        ),
        (
            "agents: {claude: {permission_mode: [plan]}}",
            "agents: claude: permission_mode: unknown value ['plan']; did you mean 'plan'?",
        ),
        (
            "agents: {claude: {alowed_tools: Bash}}",
            "agents: claude: unknown key 'alowed_tools'; did you mean 'allowed_tools'?",
        ),
        (
            "agents: {claude: {allowed_tools: ['git *']}}",
            "agents: claude: allowed_tools: 'git *' is no tool; write Bash, Edit or 'Bash(git *)'",
        ),
        (
            "agents: {claude: {allowed_tools: 7}}",
            "agents: claude: allowed_tools: 7 is no list of tools",
        ),
        (
            "agents: {gummy: {acount: x}}",
            "agents: gummy: unknown key 'acount'; did you mean 'account'?",
        ),
        (
            "agents: {gummy: {account: two words}}",
            "agents: gummy: account: 'two words' is no name; write one word",
        ),
        ("agents: {claude: {account: 7}}", "agents: claude: account: 7 is no name; write one word"),
        (
            "agents: {claude: {account: }}",
            "agents: claude: account: None is no name; write one word",
        ),
        ("agents: {shell: {account: x}}", "agents: shell: unknown key 'account'; none is known"),
        (
            "agents: {shell: {permission_mode: plan}}",
            "agents: shell: unknown key 'permission_mode'; none is known",
        ),
        (
            "agents: {claude: plan}",
            "agents: 'plan' is no mapping; write a mapping of settings to values",
        ),
    ],
)
def test_what_is_wrong_is_named_with_the_path(config_file, text, sentence):
    config_file.write_text(text)
    with pytest.raises(InputError) as error:
        config.load_config()
    (problem,) = error.value.problems
    assert problem.startswith(f"{config_file}: {sentence}") and ";" in problem


def test_all_problems_are_reported_together(config_file):
    config_file.write_text("load_weights: 5\nnods: {}\n")
    with pytest.raises(InputError) as error:
        config.load_config()
    assert len(error.value.problems) == 2


def test_a_file_that_cannot_be_read_is_named(config_file):
    config_file.write_bytes(b"a: \xff\n")
    with pytest.raises(InputError, match="can't be read .*; make it a readable UTF-8 file"):
        config.load_config()
    config_file.unlink()
    config_file.mkdir()
    with pytest.raises(InputError, match="can't be read"):
        config.load_config()


def test_a_relative_xdg_path_does_not_count(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config.default_path() == str(tmp_path / ".config/distributed-gummy/config.yaml")


def test_the_slots_are_those_of_the_nodes_for_which_the_file_says_them():
    assert config.Config(nodes={"big": {"slots": 3}, "a": {}}).slots == {"big": 3}
    assert config.Config().slots == {}


@pytest.mark.parametrize("variable", ["XDG_CONFIG_HOME", "HOME"])
def test_a_config_of_before_works_unchanged_in_both_places(variable, tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    folder = tmp_path / (".config" if variable == "HOME" else "") / "distributed-gummy"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_bytes(FIXTURE.read_bytes())

    read = config.load_config()
    assert read == config.Config(
        load_weights={"cpu": 0.4, "memory": 0.3, "load_average": 0.3, "io_wait": 0},
        sync_exclude=("node_modules", ".git", "dist", "build", ".DS_Store", "*.log"),
        host_preferences={
            "database": ("node-1",),
            "frontend": ("node-2",),
            "testing": ("node-3",),
        },
    )
    assert (read.path, read.exists) == (str(folder / "config.yaml"), True)
    assert read.given == ("load_weights", "sync_exclude", "host_preferences")


def test_the_example_says_nothing_as_it_ships(config_file):
    config_file.write_bytes(EXAMPLE.read_bytes())
    assert config.load_config() == config.Config()
    assert config.load_config().given == ()


def test_the_example_has_every_key_and_all_can_be_read(config_file):
    # The text for people has one blank behind its #.
    text = re.sub(r"^#(?! [^ ]|$)", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    config_file.write_text(text, encoding="utf-8")

    read = config.load_config()
    assert {name.partition(".")[0] for name in read.given} == set(config.READERS)
    settings = {name.removeprefix("agents.") for name in read.given if name.startswith("agents.")}
    assert settings == {
        *(
            f"{agent}.{name}"
            for table in (config.AGENT_SETTINGS, config.INSTALL_SETTINGS)
            for agent, names in table.items()
            for name in names
        ),
        *(f"mine.{name}" for name in config.OWN_KEYS),
    }
    assert {name for name in read.given if name.startswith("keep.")} == {
        f"keep.{name}" for name in config.Keep.__dataclass_fields__
    }
    # What is called a default is one.
    assert read.load_weights == config.Config().load_weights
    assert read.sync_exclude == config.Config().sync_exclude
    assert (read.keep, read.harvest_limit) == (config.Keep(), config.HARVEST_LIMIT)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agents: {mine: {}}", "(One of your own needs an argv.)"),
        ("agents: {claude: {argv: [x]}}", "agents: claude: claude is an agent that we know"),
        ("agents: {claude: {argv: [x]}}", "such as 'my-claude'"),
        ("agents: {Codex: {argv: [x]}}", "Codex: codex is an agent that we know"),
        ("agents: {mine: {argv: x --json}}", "agents: mine: argv: 'x --json' is no command line"),
        ("agents: {mine: {argv: []}}", "agents: mine: argv: [] is no command line"),
        ("agents: {mine: {argv: [x, 7]}}", "agents: mine: argv: ['x', 7] is no command line"),
        ("agents: {mine: {argv: [x], account: }}", "mine: account: None is no name; write one"),
        ("agents: {mine: {argv: [x], account: a b}}", "mine: account: 'a b' is no name; write"),
        ("agents: {mine: {argv: [x], promt: file}}", "mine: unknown key 'promt'; did you mean"),
        ("agents: {mine: {argv: [x], prompt: fiel}}", "unknown value 'fiel'; did you mean 'file'?"),
        ("agents: {mine: {argv: [x], reads: codx}}", "unknown value 'codx'; did you mean 'codex'?"),
        ("agents: {mine: {argv: [x], prompt: file}}", "a word has {file} in it"),
        ("agents: {mine: {argv: [x, '{file}']}}", "with prompt: file, and with that alone"),
        ("agents: {mine: {argv: [x], login: a}}", "'a' is no mapping; write a mapping of file"),
        ("agents: {mine: {argv: [x], login: {}}}", "login: write it as {file: PATH}"),
        *(
            (f"agents: {{mine: {{argv: [x], login: {{file: {path}}}}}}}", "is no file of a home")
            for path in ("/etc/passwd", "../x", "a/../../b", "''", "~root/x")
        ),
        ("agents: {my agent: {argv: [x]}}", "agents: my agent: it is no name"),
        ("agents: {codex: {permission_mode: full}}", "codex: permission_mode: unknown value"),
        (
            "agents: {codex: {permission_mode: workspace_write}}",
            "unknown value 'workspace_write'; did you mean 'workspace-write'?",
        ),
        (
            "agents: {gemini: {permission_mode: auto-edit}}",
            "unknown value 'auto-edit'; did you mean 'auto_edit'?",
        ),
        ("agents: {codex: {model: --help}}", "codex: model: '--help' is no name of a model"),
        ("agents: {opencode: {model: gpt-5}}", "'gpt-5' names no model with its provider"),
        ("agents: {claude: {model: x}}", "agents: claude: unknown key 'model'"),
    ],
)
def test_what_an_agent_can_t_be_told_is_named_with_what_it_can(config_file, text, words):
    config_file.write_text(text + "\n")
    with pytest.raises(InputError) as caught:
        config.load_config()
    (problem,) = caught.value.problems
    assert problem.startswith(f"{config_file}: agents: ") and words in problem


def test_agents_of_the_users_own_are_read(config_file):
    config_file.write_text(
        "agents: {mine: {argv: [~/bin/mine, --json], reads: codex, account: t,"
        " login: {file: ~/.mine/key}}, other: {argv: [other, '{file}'], prompt: file}}\n"
    )
    read = config.load_config()
    assert read.own_agents == {
        "mine": config.OwnAgent(("~/bin/mine", "--json"), "stdin", "codex", ".mine/key"),
        "other": config.OwnAgent(("other", "{file}"), "file", "exit"),
    }
    assert read.agents == {"mine": {"account": "t"}, "other": {}}
    assert {"mine", "other", "claude"} <= set(read.agent_names)
    # Who says no more than an exit status can't say that an account is used up.
    assert "mine" in read.with_account and "other" not in read.with_account


def test_how_agents_are_installed_is_read_apart_from_what_their_nodes_get(config_file):
    config_file.write_text(
        f"agents: {{gummy: {{account: t, source: {{url: 'https://x/y', commit: '{HASH}'}}}},"
        " claude: {version: '1.2.3', install: 'echo {{ x }}'}, shell: }\n"
    )
    read = config.load_config()
    assert read.agents == {"gummy": {"account": "t"}, "claude": {}, "shell": {}}
    assert read.recipes == {
        "gummy": config.Recipe(source=config.Source("https://x/y", HASH)),
        "claude": config.Recipe(version="1.2.3", install="echo {{ x }}"),
    }
    assert read.given == (
        "agents.gummy.account",
        "agents.gummy.source",
        "agents.claude.version",
        "agents.claude.install",
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("gummy: {sauce: 1}", "gummy: unknown key 'sauce'; did you mean 'source'?"),
        ("gummy: {version: '1.2.3'}", "gummy: unknown key 'version'; known: account, install"),
        ("claude: {source: {}}", "claude: unknown key 'source'; known: account, allowed_tools"),
        ("shell: {install: x}", "shell: unknown key 'install'; none is known"),
        ("gummy: {source: x}", "gummy: 'x' is no mapping; write a mapping of url and commit"),
        ("gummy: {source: {ulr: x}}", "source: unknown key 'ulr'; did you mean 'url'?"),
        ("gummy: {source: {commit: x}}", "source: url: None is no URL of a git repository"),
        *(
            (f"gummy: {{source: {{url: '{url}', commit: '{HASH}'}}}}", f"url: '{url}' is no URL")
            for url in ("ext::sh -c x", "--upload-pack=x", "http://x/y", "/srv/x", "https://a b")
        ),
        (
            f"gummy: {{source: {{url: 'https://me:secret@x/y', commit: '{HASH}'}}}}",
            "source: url: it has a login in it",
        ),
        *(
            (
                f"gummy: {{source: {{url: 'https://x/y', commit: {commit}}}}}",
                "is no full hash of a commit, and anything else may come to mean something else",
            )
            for commit in ("", "main", "v1.2", HASH[:12], "1234567", f"{HASH}0", HASH.upper())
        ),
        ("claude: {version: 2}", "claude: version: 2 is no version; write one like '1.2.3'"),
        ("claude: {version: latest}", "version: 'latest' is no version"),
        ("claude: {version: '^1.2.3'}", "version: '^1.2.3' is no version"),
        ("gummy: {install: [a, b]}", "gummy: install: ['a', 'b'] is no command; write a line for"),
        ("gummy: {install: ' '}", "gummy: install: ' ' is no command"),
    ],
)
def test_a_wrong_recipe_is_an_error(config_file, settings, sentence):
    config_file.write_text(f"agents: {{{settings}}}\n")
    with pytest.raises(InputError) as caught:
        config.load_config()
    (problem,) = caught.value.problems
    assert problem.startswith(f"{config_file}: agents: ") and sentence in problem
