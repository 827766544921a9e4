"""Input that can't be used: a sentence says so before anything starts.

The exit status is not 0, no ssh is started, and nothing is left behind.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from real_nodes import Controller, Played

pytestmark = pytest.mark.once
PROMPT = {"gummy_prompt": "x"}
HOSTS = {"node-1": {}, "node-2": {}, "builder": {}}


@dataclass(frozen=True)
class Case:
    """What is given, and what must be said of it."""

    # A regular expression.
    says: str
    # The variables.
    given: Mapping[str, Any] = field(default_factory=lambda: PROMPT)
    # More words of the command line.
    words: tuple[str, ...] = ()
    # The config file.
    config: str = ""
    # The inventory.
    hosts: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: HOSTS)
    # A playbook to use instead of the collection's.
    play: str = ""


def batch(*jobs: object) -> dict[str, Any]:
    return {"gummy_agent": "shell", "gummy_jobs": list(jobs)}


def own_play(**options: Any) -> str:
    """A play of a user's own, with these options."""
    task = {"distributed.gummy.run_jobs": {"nodes": "all", "agent": "shell", **options}}
    return json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}])


def third(**keys: Any) -> str:
    """A play with three jobs, the last of which has these keys."""
    return own_play(jobs=[{"command": "x"}, {"command": "y"}, {"command": "z", **keys}])


CASES = {
    "notify by -e": Case(
        "gummy_notify: notifications are set in the config file, as notify",
        {**PROMPT, "gummy_notify": ["touch", "owned"]},
    ),
    "notify of a job": Case(
        r"job 1: unknown key 'notify'; notifications are set in the config file, as notify",
        batch({"command": "true", "notify": ["touch", "owned"]}),
    ),
    "notify to a scheme that is not known": Case(
        r"config\.yaml: notify: 'ftp' is no scheme that is known",
        config="notify: ftp://example.org/T0K3N",
    ),
    "notify by an option that is none": Case(
        "notify: http://example.org would send it through the network",
        play=own_play(command="true", notify="http://example.org/T0K3N"),
    ),
    "notify by the vars of a play": Case(
        "gummy_notify: notifications are set in the config file, as notify",
        hosts={name: {"gummy_notify": "https://example.org"} for name in HOSTS},
    ),
    "a JUnit file of a plan": Case(
        r"gummy_output_file: of a plan there is no JUnit file",
        {**PROMPT, "gummy_output_file": "x.xml"},
        ("--check",),
    ),
    "an output file of no known form": Case(
        r"gummy_output_file: 'x\.txt' does not end in \.json, \.md, \.html or \.xml",
        {**PROMPT, "gummy_output_file": "x.txt"},
    ),
    "nothing to do": Case("there is no prompt and no command", {}),
    "blank prompt": Case("there is no prompt and no command", {"gummy_prompt": " \n"}),
    "prompt and command": Case("a prompt and a command", {**PROMPT, "gummy_command": "x"}),
    "command for gummy": Case("add gummy_agent=shell", {"gummy_command": "x"}),
    "agent": Case("gummy_agent: .*'gumy'.*did you mean 'gummy'", {**PROMPT, "gummy_agent": "gumy"}),
    "task type": Case(
        "gummy_task_type: .*did you mean 'database'", {**PROMPT, "gummy_task_type": "databse"}
    ),
    "node": Case(
        "gummy_node: .*'bilder'.*did you mean 'builder'", {**PROMPT, "gummy_node": "bilder"}
    ),
    "nodes of a job": Case(
        "job 1: nodes: .*matches no host", batch({"command": "x", "nodes": "os_windows"})
    ),
    "job key": Case(
        "job 1: unknown key 'comand'; did you mean 'command'",
        batch({"command": "x", "comand": "x"}),
    ),
    "extra var": Case(
        "'gummy_promt' is no setting; did you mean 'gummy_prompt'", {"gummy_promt": "x"}
    ),
    "extra var as a word": Case(
        "'gummy_time_out' is no setting; did you mean 'gummy_timeout'",
        PROMPT,
        ("-e", "gummy_time_out=5m"),
    ),
    "project": Case(
        "gummy_project: /.*/nowhere does not exist", {**PROMPT, "gummy_project": "nowhere"}
    ),
    "project is a file": Case("a.txt is no directory", {**PROMPT, "gummy_project": "a.txt"}),
    "project is home": Case("is your home directory", {**PROMPT, "gummy_project": "~"}),
    "project is all": Case("/ is the whole machine", {**PROMPT, "gummy_project": "/"}),
    "branch without project": Case(
        "job-1: deliver: branch needs a git project",
        {
            "gummy_agent": "shell",
            "gummy_command": "x",
            "gummy_project": "none",
            "gummy_deliver": "branch",
        },
    ),
    "artifacts": Case(
        "gummy_artifacts: '../x' leaves the workspace", {**PROMPT, "gummy_artifacts": ["../x"]}
    ),
    "timeout": Case(
        "gummy_timeout: 'soon' is no duration; write 90s, 30m, 4h",
        {**PROMPT, "gummy_timeout": "soon"},
    ),
    "stall": Case(
        "gummy_stall: '30s' is less than a minute; write 1m or more",
        {**PROMPT, "gummy_stall": "30s"},
    ),
    "stall of a job": Case(
        "job 1: stall: 5 is less than a minute; write 1m or more",
        batch({"command": "x", "stall": 5}),
    ),
    "setting of an agent": Case(
        "config.yaml: .*unknown key 'alowed_tools'.*did you mean 'allowed_tools'",
        config="agents: {claude: {alowed_tools: Bash}}",
    ),
    "tool of an agent": Case(
        "config.yaml: .*allowed_tools: 'git x' is no tool",
        config="agents: {claude: {allowed_tools: [git x]}}",
    ),
    "no time": Case("gummy_timeout: 0 is no duration", {**PROMPT, "gummy_timeout": 0}),
    "only without a run": Case(
        "gummy_only: give the run's name as well", {**PROMPT, "gummy_only": "failed"}
    ),
    "adopt without a run": Case(
        "gummy_adopt: give the run's name as well", {**PROMPT, "gummy_adopt": True}
    ),
    "on interrupt": Case(
        "gummy_on_interrupt: .*did you mean 'cancel'", {**PROMPT, "gummy_on_interrupt": "cancl"}
    ),
    "two of one name": Case(
        "two jobs have the name 'twin'",
        batch({"name": "twin", "command": "x"}, {"name": "twin", "command": "y"}),
    ),
    "no list": Case("gummy_jobs: .* is no list", {"gummy_jobs": {"prompt": "x"}}),
    "empty list": Case("gummy_jobs: the list is empty", {"gummy_jobs": []}),
    "NUL": Case("gummy_prompt: it contains a NUL", {"gummy_prompt": "a\0b"}),
    "run id": Case("gummy_run_id: .* is no name", {**PROMPT, "gummy_run_id": "../x"}),
    "text sets a variable": Case(
        "its text would set ansible_user", {}, ("-e", "gummy_prompt=log in with ansible_user=root")
    ),
    "config no YAML": Case(r"config\.yaml.*YAML", config="load_weights: [unclosed"),
    "config key": Case(
        "config.yaml: .*load_weight.*did you mean 'load_weights'", config="load_weight: {cpu: 1}"
    ),
    "nodes match nothing": Case(
        "gummy_nodes=elsewhere matches no host", {**PROMPT, "gummy_nodes": "elsewhere"}
    ),
    "host_vars": Case(
        "gummy_timeout is set for host node-2 alone",
        hosts={**HOSTS, "node-2": {"gummy_timeout": "5m"}},
    ),
    "serial": Case(
        "remove serial",
        play="[{hosts: all, gather_facts: false, serial: 1, "
        "tasks: [{distributed.gummy.run_jobs: {}}]}]",
    ),
    "connection": Case(
        "builder has the connection community.docker.docker",
        hosts={**HOSTS, "builder": {"ansible_connection": "community.docker.docker"}},
    ),
    "become": Case("set to become another user", words=("--become",)),
    "become of a host": Case(
        "builder is set to become another user",
        hosts={**HOSTS, "builder": {"ansible_become": True}},
    ),
    "option of a wrong type": Case(
        "argument 'detach' is of type str and we were unable to convert to bool",
        {},
        play=own_play(command="x", detach="perhaps"),
    ),
    "unknown option": Case(
        "unknown option 'comand'; did you mean 'command'", {}, play=own_play(comand="x")
    ),
    "job of options, wrong type": Case(
        "job 3: argument 'attempts' is of type str", {}, play=third(attempts="many")
    ),
    "job of options, no count": Case("job 3: attempts: 0 is no count", {}, play=third(attempts=0)),
    "job of options, no text": Case(
        "job 3: command: True is no text; put it in quotes", {}, play=third(command=True)
    ),
    "job of options, agent": Case(
        "job 3: agent: unknown value 'shel'; did you mean 'shell'\\?", {}, play=third(agent="shel")
    ),
    "job of options, duration": Case(
        "job 3: timeout: 'soon' is no duration", {}, play=third(timeout="soon")
    ),
    "job of options, key": Case(
        "job 3: unknown key 'promt'; did you mean 'prompt'", {}, play=third(promt="x")
    ),
    "options, no list": Case("jobs: 'x' is no list", {}, play=own_play(jobs="x")),
    "options, empty list": Case("jobs: the list is empty", {}, play=own_play(jobs=[])),
    "options, no job": Case("job 1: 5 is no job", {}, play=own_play(jobs=[5])),
    "options, nothing to do": Case(
        "there is no prompt and no command; give prompt, or command with agent shell",
        {},
        play=own_play(),
    ),
    "options, pattern": Case(
        "nodes: 'elsewhere' matches no host of the inventory",
        {},
        play=own_play(command="x", nodes="elsewhere"),
    ),
    "options, fail_on": Case(
        "value of fail_on must be one or more of: failed, lost, unproven, cancelled",
        {},
        play=own_play(command="x", fail_on=["faild"]),
    ),
    "several hosts": Case(
        "this play has 3 hosts.*add `run_once: true`",
        play="[{hosts: all, gather_facts: false, tasks: [{distributed.gummy.run_jobs: {}}]}]",
    ),
    "a template in vars": Case(
        "gummy_prompt: it has an open .*the option prompt of distributed.gummy.run_jobs",
        {},
        play="[{hosts: localhost, gather_facts: false, vars: {gummy_prompt: 'say {{ this }}'}, "
        "tasks: [{distributed.gummy.run_jobs: {nodes: all}}]}]",
    ),
    "inventory": Case("a broken or missing -i", hosts={}),
    "limit": Case(
        "Specified inventory, host pattern and/or --limit leaves us with no hosts to target",
        words=("--limit", "nowhere"),
    ),
}


@pytest.fixture(scope="module")
def told(
    make_controller: Callable[[pathlib.Path], Controller], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[Controller, Played]]]:
    """All cases, two at a time; each on a controller of its own whose `ssh` leaves a mark."""
    top = tmp_path_factory.mktemp("bad-input")

    def play(name: str) -> tuple[Controller, Played]:
        case = CASES[name]
        controller = make_controller(top / name.replace(" ", "-"))
        fake = controller.folder / "bin" / "ssh"
        fake.parent.mkdir()
        fake.write_text(
            f"#!/bin/sh\necho \"$@\" >> '{controller.folder}/ssh-was-started'\nexit 255\n",
            encoding="utf-8",
        )
        fake.chmod(0o755)
        controller.env["PATH"] = f"{fake.parent}{os.pathsep}{controller.env['PATH']}"
        if case.config:
            controller.configure(case.config)
        book = "run"
        if case.play:
            book = str(controller.folder / "play.yml")
            pathlib.Path(book).write_text(case.play, encoding="utf-8")
        inventory = controller.static(case.hosts) if case.hosts else "/nonexistent/hosts"
        return controller, controller.play(
            book, "-e", json.dumps(case.given), *case.words, inventory=inventory
        )

    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(CASES, pool.map(play, CASES), strict=True))
    yield answers
    for controller, _played in answers.values():
        controller.close()


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_told_before_anything_starts(
    told: dict[str, tuple[Controller, Played]], name: str
) -> None:
    controller, played = told[name]
    said = (
        " ".join(
            json.loads(f'"{text}"')
            for text in re.findall(r'"msg": "((?:[^"\\]|\\.)*)"', played.output)
        )
        + played.output
    )
    assert played.status != 0 and re.search(CASES[name].says, said), played
    assert "Traceback" not in played.output and "  place  " not in played.output, played
    assert not (controller.folder / "ssh-was-started").exists(), played
    assert not pathlib.Path(controller.env["XDG_STATE_HOME"]).exists(), list(
        controller.state.rglob("*")
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every directory")
def test_a_project_that_can_not_be_read_is_bad_input(controller: Controller) -> None:
    controller.project.chmod(0)
    played = controller.run(
        "-e",
        json.dumps({**PROMPT, "gummy_project": str(controller.project)}),
        cwd=controller.folder,
    )
    controller.project.chmod(0o755)
    assert played.status != 0 and "can't be read" in played.output, played


def test_several_problems_are_told_together(controller: Controller) -> None:
    played = controller.run(
        "-e",
        controller.jobs({"command": "x", "timeout": "soon"}, {"comand": "x"}, 5),
        inventory=controller.static(HOSTS),
    )
    assert played.status != 0 and all(
        text in played.output
        for text in ("job 1: timeout", "job 2: unknown key", "job 3: 5 is no job")
    ), played
