"""The skill keeps the Agent Skills specification, and what it names is there."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path

import pytest
import skill_page
import yaml
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import keys, routing
from ansible_collections.distributed.gummy.plugins.plugin_utils._show import report

ROOT = skill_page.ROOT
PAGES = [skill_page.PAGE, *skill_page.REFERENCES]
BODY = skill_page.body()
COMMANDS = skill_page.commands()

# What the specification allows at the top of a skill; its validator refuses all else.
FRONT_MATTER = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
# How many characters make a token, at the least; the specification advises 5000 tokens.
CHARACTERS_A_TOKEN = 3

# Words that have to lead an agent to the skill.
WORDS = (
    *("distributed", "cluster", "network", "multi-host", "across hosts", "all nodes"),
    *("all machines", "remote", "ssh", "tailscale", "gummy", "specialist", "agent", "haiku"),
    *("task", "execute gummy", "run gummy", "gummy task", "least loaded", "best host"),
    *("optimal node", "load balance", "best machine", "which host should"),
    *("where should I run", "sync and run", "parallel", "coordinate", "orchestrate"),
    *("distribute", "run on", "execute on", "send to", "all specialists", "network status"),
    *("cluster status", "show specialists", "what's running", "active tasks"),
)
# Requests that are for this machine alone.
LOCAL = ("run gummy task locally", "execute specialist here", "/gummy-task add logging")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


# -- the specification


def test_the_front_matter_is_what_the_specification_allows() -> None:
    head = skill_page.front_matter()
    assert {"name", "description"} <= head.keys() <= FRONT_MATTER
    assert all(isinstance(value, str) and value.strip() for value in head.values())
    name = head["name"]
    assert name == skill_page.SKILL.name and len(name) <= 64
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert len(head["description"]) <= 1024 and len(head["compatibility"]) <= 500


def test_the_body_is_short_enough_for_an_agent() -> None:
    assert len(BODY.splitlines()) < 500
    assert len(BODY) / CHARACTERS_A_TOKEN < 5000


def test_references_lie_one_level_deep_and_lead_no_further() -> None:
    linked = set(re.findall(r"\]\((references/[^)]+)\)", BODY))
    assert linked == {str(page.relative_to(skill_page.SKILL)) for page in skill_page.REFERENCES}
    assert [page.name for page in skill_page.REFERENCES if "](" in read(page)] == []
    others = {path for path in skill_page.SKILL.rglob("*") if path.is_file()} - {*PAGES}
    assert others == set()


# -- when it is meant


def test_the_description_says_when_the_skill_is_meant_and_when_not() -> None:
    description = skill_page.front_matter()["description"]
    meant, _words, not_meant = description.partition("Do not use it")
    assert "Use it when" in meant
    assert [request for request in LOCAL if request not in not_meant] == []


def test_the_body_has_every_word_that_leads_to_it_and_the_requests_that_are_local() -> None:
    assert [word for word in (*WORDS, *LOCAL) if word not in BODY] == []


# -- the commands


@pytest.mark.parametrize("request_text", skill_page.REQUESTS)
def test_every_request_has_a_command(request_text: str) -> None:
    assert any(request_text in command.requests for command in COMMANDS)


def test_no_command_is_for_a_request_that_nobody_knows() -> None:
    told = {request for command in COMMANDS for request in command.requests}
    assert told == {*skill_page.REQUESTS}


def test_a_question_starts_nothing() -> None:
    for command in COMMANDS:
        if any(text.startswith(("Which", "What", "Show", "Status")) for text in command.requests):
            assert command.playbook in ("plan", "status", "specialists")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.playbook))
def test_a_command_carries_text_as_json_and_writes_the_document(
    command: skill_page.Command,
) -> None:
    text = [key for key in ("prompt", "command", "job") if f"gummy_{key}=" in command.line]
    assert text == []
    assert command.line.endswith('-e gummy_output_file="$OUT"')
    # Without a name, the same command again would do the work twice.
    assert command.playbook != "run" or '-e gummy_run_id="$RUN"' in command.line


def test_every_playbook_is_named_and_no_other() -> None:
    named = {
        name
        for page in PAGES
        for name in re.findall(r"ansible-playbook distributed\.gummy\.([a-z_]+)", read(page))
    }
    assert named == skill_page.PLAYBOOKS


# -- what it names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.stem))
def test_every_setting_that_it_names_can_be_set(page: Path) -> None:
    named = set(re.findall(r"\bgummy_([a-z_]+)", read(page)))
    assert named - {key.name for key in keys.KEYS} == set()


def test_the_settings_have_every_job_key() -> None:
    page = read(skill_page.SKILL / "references" / "settings.md")
    assert [name for name in keys.JOB_KEYS if f"\n| `{name}` | " not in page] == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.playbook))
def test_what_a_command_chooses_can_be_chosen(command: skill_page.Command) -> None:
    given = dict(command.variables)
    jobs = given.pop("gummy_jobs", [])
    top = {name.removeprefix("gummy_"): value for name, value in given.items()}
    by_name = {key.name: key for key in keys.KEYS}
    for job in (top, *jobs):
        for name, value in job.items():
            choices = by_name[name].choices
            assert not choices or value in choices, name


def test_the_words_that_lead_to_a_specialist_are_those_of_the_table() -> None:
    page = read(skill_page.SKILL / "references" / "settings.md")
    table = page.partition("| specialist | words |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| ([a-z, ]+) \|$", table, re.MULTILINE))
    routes = {name: ", ".join(words) for name, words in routing.ROUTES.items()}
    assert rows == {**routes, routing.DEFAULT: "everything else"}
    assert all(f"`{name}`" in BODY for name in routing.ROUTES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.stem))
def test_a_document_can_have_every_key_that_is_told_of_it(page: Path) -> None:
    wrong = [
        (kind, key)
        for kind, key in skill_page.keys_in_tables(read(page))
        if not skill_page.in_schema(skill_page.kinds()[kind], skill_page.steps_of(key))
    ]
    assert wrong == []


def test_every_kind_of_document_has_its_keys() -> None:
    told = {
        kind
        for kind, _key in skill_page.keys_in_tables(
            read(skill_page.SKILL / "references" / "documents.md")
        )
    }
    assert told == skill_page.kinds().keys()
    # What an agent reads first is in the skill itself.
    shown = {kind for kind, _key in skill_page.keys_in_tables(BODY)}
    assert shown >= {"run", "plan", "status", "specialists"}


def test_a_key_that_no_document_has_is_seen() -> None:
    table = "| `run` | `jobs[].node`, `jobs[].nowhere` |"
    assert [*skill_page.keys_in_tables(table)] == [
        ("run", "jobs[].node"),
        ("run", "jobs[].nowhere"),
    ]
    schema = skill_page.kinds()["run"]
    assert skill_page.in_schema(schema, skill_page.steps_of("jobs[].node"))
    assert not skill_page.in_schema(schema, skill_page.steps_of("jobs[].nowhere"))


def classes_in(text: str) -> set[str]:
    """The classes of failure in the first column of the table that has them."""
    table = re.search(r"^\| `?class`? \|.*?\n\n", text, re.MULTILINE | re.DOTALL)
    assert table
    rows = table[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}


def test_every_class_of_failure_and_every_status_of_a_job_has_its_line() -> None:
    architecture = read(ROOT / "docs" / "architecture.md")
    assert classes_in(BODY) == classes_in(architecture)
    line = re.search(r"^A job's `status`: .*$", BODY, re.MULTILINE)
    assert line and [status for status in report.MARKS if f"`{status}`" not in line[0]] == []


# -- how it is found


def test_the_marketplace_offers_every_skill_of_the_repository() -> None:
    text = read(ROOT / ".claude-plugin" / "marketplace.json")
    marketplace = json.loads(text)
    assert marketplace["name"] and marketplace["owner"]["name"]
    (plugin,) = marketplace["plugins"]
    # The repository is the plugin, and the entry all there is to say of it: with a plugin.json
    # beside it the two would contradict each other.
    assert plugin["name"] and plugin["source"] == "./" and plugin["strict"] is False
    assert not (ROOT / ".claude-plugin" / "plugin.json").exists()
    skills = {f"./{path.parent.relative_to(ROOT)}" for path in ROOT.glob("skills/*/SKILL.md")}
    assert {*plugin["skills"]} == skills


def test_the_skill_ships_with_the_collection() -> None:
    galaxy = yaml.safe_load(read(ROOT / "galaxy.yml"))
    for page in PAGES:
        path = page.relative_to(ROOT)
        # As `ansible-galaxy collection build` does, for the path and each folder above it.
        tops = [str(path), *map(str, path.parents[:-1])]
        ignored = [
            (top, pattern)
            for top in tops
            for pattern in galaxy["build_ignore"]
            if fnmatch.fnmatch(top, pattern)
        ]
        assert ignored == []
