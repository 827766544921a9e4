"""Prompts and commands reach the agent byte for byte, by every way in.

And what agents say of themselves decides how their jobs end.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from real_nodes import NODES, ROOT, Controller, Fleet, Played, applies

PLAIN = (
    "optimize  the   database's queries, don't stop; '$(touch ~/executed)' `touch ~/executed` "
    "{{ lookup('pipe', 'touch MARK') }} a=b \\n %s"
)
NASTY = (
    PLAIN,
    "-rf --help\n\n  two \"lines\" and 'quotes' \t\\ {% raw %}\n",
    "ends in {{ an open one, and an odd ' quote",
    "naïve ☃ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u202e\u0007 {{ 1 + 1 }} !unsafe $HOME ~ * ; exit 1 #",
    "{{ lookup('pipe', 'touch MARK') }}",
    "  blanks around  ",
)
# a gummy of which nobody can see what claude said: it doesn't take the first claude on PATH
BYPASSING = """#!/bin/sh
echo "Task ID: gummy-$(date +%s)"
printf %s "$2" | "$HOME/bin/claude" -p --permission-mode acceptEdits
"""
CLAUDES = ("good", "false-success", "cut-off")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def nasty(controller: Controller) -> list[str]:
    return [text.replace("MARK", str(controller.folder / "templated")) for text in NASTY]


def nothing_ran(controller: Controller, fleet: Fleet) -> bool:
    marks = [
        controller.folder / "templated",
        pathlib.Path(controller.env["HOME"], "executed"),
        *(fleet.home(node) / "executed" for node in NODES),
    ]
    return not any(mark.exists() for mark in marks)


@pytest.mark.parametrize("way", ["a word", "JSON", "a file"])
def test_a_prompt_reaches_the_agent_byte_for_byte(
    controller: Controller, with_doubles: Fleet, way: str
) -> None:
    text = nasty(controller)[0] + ("" if way == "a word" else NASTY[2])
    (controller.folder / "prompt.json").write_text(
        json.dumps({"gummy_prompt": text}), encoding="utf-8"
    )
    given = {
        "a word": f"gummy_prompt={text}",
        "JSON": json.dumps({"gummy_prompt": text}),
        "a file": f"@{controller.folder}/prompt.json",
    }
    before = with_doubles.count("claude-starts.log", digest(text))
    played = controller.run("-e", given[way], "-e", "gummy_project=none")
    assert played.status == 0 and played.job["task_type"] == "database", played
    assert with_doubles.count("claude-starts.log", digest(text)) == before + 1 and nothing_ran(
        controller, with_doubles
    )


def test_prompts_and_commands_of_a_list_reach_their_agents_byte_for_byte(
    controller: Controller, with_doubles: Fleet
) -> None:
    texts = nasty(controller)
    prompts = [
        {"name": f"prompt-{n}", "agent": "gummy", "prompt": text, "project": "none"}
        for n, text in enumerate(texts)
    ]
    commands = [
        {
            "name": f"command-{n}",
            "command": f"printf %s {shlex.quote(text)} > got",
            "verify": f'test "$(cat got; echo .)" = {shlex.quote(text + ".")}',
        }
        for n, text in enumerate(texts)
    ]
    played = controller.run("-e", controller.jobs(*prompts, *commands))
    assert played.status == 0, played
    for text in texts:
        # gummy would take one that begins so for an option of its own.
        handed_on = f" {text}" if text.startswith("-") else text
        assert with_doubles.count("claude-starts.log", digest(handed_on)) >= 1
    for n, text in enumerate(texts):
        body = (
            pathlib.Path(played.jobs[f"command-{n}"]["patch"])
            .read_text(encoding="utf-8")
            .partition("+++ b/got\n")[2]
        )
        lines = [line[1:] for line in body.split("\n")[1:] if line.startswith("+")]
        assert "\n".join(lines) == text.removesuffix("\n"), text
    assert nothing_ran(controller, with_doubles)


def test_a_command_given_as_a_word_is_taken_as_typed(controller: Controller, fleet: Fleet) -> None:
    played = controller.run(
        "-e",
        "gummy_agent=shell",
        "-e",
        "gummy_command=printf '<%s>' a  \"b  c\" {{ x }} d=e 'f g' > got  ; test -s got",
    )
    assert played.status == 0, played
    assert "+<a><b  c><{{><x><}}><d=e><f g>\n" in pathlib.Path(played.job["patch"]).read_text(
        encoding="utf-8"
    )


@pytest.fixture(scope="module")
def answers(
    with_doubles: Fleet, make_controller: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Controller, Played]]:
    """A run of agents that succeed, fail in their ways, and say nothing."""
    controller = make_controller(tmp_path_factory.mktemp("answers") / "controller")

    specialists = controller.make_project(controller.folder / "with-specialists")
    (specialists / ".gummy" / "lib").mkdir(parents=True)
    (specialists / ".gummy" / "lib" / "core.sh").touch()

    # On node-3 is a gummy that goes round claude, so its success has no proof.
    with_doubles.put("node-3", "bin/gummy", BYPASSING, 0o755)

    # What the agents are told.
    prompts = {
        "good": "write made.txt by the agent ;; cost 0.25 ;; turns 4 ;; say all done",
        "false-success": "write made.txt half ;; is_error could not do it",
        "cut-off": "no_result",
        "verified": "write made.txt ok",
    }

    # What the jobs ask for beside.
    there = {"nodes": "node-1,node-2"}
    more: dict[str, dict[str, Any]] = {
        "verified": {**there, "verify": "grep -q other made.txt"},
        "changed": {**there, "expect_changes": True},
        "unchanged": {**there, "expect_changes": True},
        "specialist": {**there, "project": str(specialists), "specialist": "database-expert"},
        "false-specialist": {**there, "project": str(specialists)},
        "one-object": {**there, "project": str(specialists)},
        "unproven": {"node": "node-3"},
        "accepted": {"node": "node-3", "accept_unproven": True},
        "proved-by-verify": {"node": "node-3", "verify": "test -e made.txt"},
    }

    prompts |= {
        "changed": prompts["good"],
        "unchanged": "say all done",
        "specialist": f"{prompts['good']} with its database",
    }
    prompts |= {"false-specialist": prompts["false-success"], "one-object": "object"}
    prompts |= dict.fromkeys(("unproven", "accepted", "proved-by-verify"), "write made.txt x")

    # All are jobs of gummy, and some of claude too.
    jobs = [
        {"name": name, "prompt": prompt, **more.get(name, there)}
        for name, prompt in prompts.items()
    ]
    jobs += [
        {**job, "name": f"claude-{job['name']}", "agent": "claude"}
        for job in jobs
        if job["name"] in CLAUDES
    ]

    yield controller, controller.run("-e", controller.jobs(*jobs, gummy_agent="gummy"))

    controller.close()
    with_doubles.put(
        "node-3", "bin/gummy", (ROOT / "tests" / "doubles" / "gummy").read_bytes(), 0o755
    )


@pytest.mark.once
def test_only_what_claude_itself_says_proves_a_success(answers: tuple[Controller, Played]) -> None:
    ends = {name: (row["status"], row["class"]) for name, row in answers[1].jobs.items()}
    assert answers[1].status == 2 and ends == {
        "good": ("success", None),
        "false-success": ("failed", "agent"),
        "cut-off": ("failed", "agent"),
        "verified": ("failed", "verify"),
        "changed": ("success", None),
        "unchanged": ("failed", "agent"),
        "specialist": ("success", None),
        "false-specialist": ("failed", "agent"),
        "one-object": ("failed", "agent"),
        "unproven": ("unproven", None),
        "accepted": ("success", None),
        "proved-by-verify": ("success", None),
        "claude-good": ("success", None),
        "claude-false-success": ("failed", "agent"),
        "claude-cut-off": ("failed", "agent"),
    }, answers[1]


@pytest.mark.once
def test_a_usage_limit_is_no_success_and_has_a_class_of_its_own(
    controller: Controller, with_doubles: Fleet
) -> None:
    jobs = [
        {"name": agent, "agent": agent, "prompt": "limit", "attempts": 1}
        for agent in ("gummy", "claude")
    ]
    played = controller.run("-e", controller.jobs(*jobs))
    assert played.status == 2 and {
        (row["status"], row["class"]) for row in played.jobs.values()
    } == {("failed", "quota")}, played


@pytest.mark.once
def test_cost_patch_and_how_to_watch_come_with_the_result(
    answers: tuple[Controller, Played],
) -> None:
    controller, played = answers
    for name in ("good", "specialist", "claude-good"):
        row = played.jobs[name]
        assert (row["cost_usd"], row["turns"], row["proof"]) == (
            0.25,
            4,
            "claude's result event",
        ) and row["session_id"], row
        assert "made.txt" in pathlib.Path(row["patch"]).read_text(encoding="utf-8")
    good = played.jobs["good"]
    assert good["watch"].startswith("gummy-watch gummy-") and applies(
        good["patch"], controller.project
    )
    assert good["watch"] in played.output and "could not do it" in played.output


@pytest.mark.once
def test_a_prompt_too_long_for_gummy_is_refused_before_anything_starts(
    controller: Controller, fleet: Fleet
) -> None:
    path = controller.folder / "long.json"
    path.write_text(json.dumps({"gummy_prompt": "x" * 60_001}), encoding="utf-8")
    played = controller.run("-e", f"@{path}")
    assert (
        played.status == 2
        and "60001 bytes and gummy takes 60000" in played.output
        and not (controller.state / "runs").exists()
    ), played
