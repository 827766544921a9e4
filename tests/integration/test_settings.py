"""Ansible's own settings hold.

They are how hosts are reached, which are candidates, what the user's ansible.cfg says; and values
come as text.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from real_nodes import NODES, ROOT, Controller, Fleet

LOGIN = ("ansible_user", "ansible_private_key_file")


def without_login(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in variables.items() if key not in LOGIN}


def test_variables_of_hosts_and_groups_and_vaulted_ones_lead_to_the_nodes(
    controller: Controller, fleet: Fleet
) -> None:
    # One host has the variables itself, one has them of its group, one of a vault.
    password = controller.folder / "vault-password"
    password.write_text("secret\n", encoding="utf-8")
    encrypt = [
        sys.executable,
        "-m",
        "ansible",
        "vault",
        "encrypt_string",
        "--vault-password-file",
        password,
        "--name",
        "ansible_user",
    ]

    login = fleet.login("node-1")
    vaulted = subprocess.run(
        [*encrypt, login["ansible_user"]],
        env=controller.env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    group_vars = controller.folder / "group_vars"
    group_vars.mkdir()
    group_vars.joinpath("grouped.yml").write_text(
        yaml.safe_dump({key: login[key] for key in LOGIN}), encoding="utf-8"
    )
    group_vars.joinpath("vaulted.yml").write_text(
        f'{vaulted}\nansible_private_key_file: "{{{{ key_of_the_fleet }}}}"\n', encoding="utf-8"
    )

    hosts = {
        "by-host": fleet.login("node-1"),
        "by-group": without_login(fleet.login("node-2")),
        "by-vault": without_login(fleet.login("node-3")),
    }
    groups = {
        group: {"hosts": {host: {}}}
        for group, host in {"grouped": "by-group", "vaulted": "by-vault"}.items()
    }
    inventory = controller.static(
        hosts, children=groups, vars={"key_of_the_fleet": login["ansible_private_key_file"]}
    )

    # A job for each of them gets there.
    jobs = controller.jobs(
        *({"name": host, "command": "hostname", "node": host, "project": "none"} for host in hosts)
    )
    played = controller.run("-e", jobs, "--vault-password-file", str(password), inventory=inventory)
    assert played.status == 0 and [row["node"] for row in played.jobs.values()] == list(hosts), (
        played
    )


def test_user_and_key_of_the_command_line_are_used(controller: Controller, fleet: Fleet) -> None:
    inventory = controller.static({"bare": without_login(fleet.login("node-1"))})
    login = fleet.login("node-1")
    words = ("--private-key", login["ansible_private_key_file"], "--limit", "bare")
    right = controller.shell("true", "-u", login["ansible_user"], *words, inventory=inventory)
    assert right.status == 0 and right.job["node"] == "bare", right
    wrong = controller.shell("true", "-u", "stranger", *words, inventory=inventory)
    assert (
        wrong.status == 2
        and wrong.job["class"] == "unreachable"
        and "it refuses the login" in wrong.output
    ), wrong


@pytest.mark.parametrize("strategy", ["free", "host_pinned"])
def test_one_engine_runs_whatever_strategy_the_user_has_set(
    controller: Controller, fleet: Fleet, strategy: str
) -> None:
    name = f"starts-under-{strategy}"
    played = controller.shell(f'echo x >> "$HOME/{name}"', env={"ANSIBLE_STRATEGY": strategy})
    assert (
        played.status == 0
        and fleet.count(name) == 1
        and played.output.count("how to go on with it") == 1
    ), played


def test_a_play_of_the_user_s_own_under_strategy_free_is_refused(
    controller: Controller, fleet: Fleet
) -> None:
    play = controller.folder / "own.yml"
    play.write_text(
        "[{hosts: all, gather_facts: false, strategy: free, "
        "tasks: [{distributed.gummy.run_jobs: {}}]}]",
        encoding="utf-8",
    )
    played = controller.play(
        str(play), "-e", "gummy_agent=shell", "-e", "gummy_command=echo x >> ~/under-free"
    )
    assert (
        played.status != 0 and "free strategy" in played.output and fleet.count("under-free") == 0
    ), played


def test_candidates_are_the_hosts_of_the_pattern_within_the_limit_and_values_come_as_text(
    controller: Controller, fleet: Fleet
) -> None:
    text = {
        "gummy_nodes": "node-1:node-2",
        "gummy_local_fallback": "true",
        "gummy_timeout": "0.5h",
        "gummy_lost_after": "30",
        "gummy_node": "",
        "gummy_attempts": "2",
        "gummy_progress": "no",
        "gummy_task_type": " ",
    }
    jobs = controller.jobs(
        {"command": "true"},
        {"command": "true", "nodes": "node-*:!node-1"},
        {"command": "true", "timeout": 5.0},
    )
    played = controller.run("-e", jobs, "-e", json.dumps(text), "--limit", "node-2,node-3")
    assert played.status == 0 and {row["node"] for row in played.jobs.values()} == {"node-2"} < set(
        NODES
    ), played
    assert "  place  " not in played.output and "3 of 3 jobs succeeded" in played.output


def test_slots_of_the_config_hold_whatever_the_node_has(
    controller: Controller, fleet: Fleet
) -> None:
    controller.configure("nodes: {node-1: {slots: 7}}")
    plan = controller.play(
        "plan", "-e", "gummy_agent=shell", "-e", "gummy_command=true", "-e", "gummy_nodes=node-1"
    )
    assert plan.status == 0 and "0/7 slots" in plan.output, plan


@pytest.mark.once
@pytest.mark.parametrize("variable", ["HOME", "XDG_CONFIG_HOME"])
def test_a_config_of_before_counts_and_plan_says_what_came_from_where(
    controller: Controller, variable: str
) -> None:
    folder = pathlib.Path(controller.env["XDG_CONFIG_HOME"], "distributed-gummy")
    if variable == "HOME":
        # The file that every controller of a test has would be found first.
        del controller.env["XDG_CONFIG_HOME"]
        folder = pathlib.Path(controller.env["HOME"], ".config", "distributed-gummy")
        folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    shutil.copy(ROOT / "tests" / "fixtures" / "config" / "config.yaml", config)

    login = {node: controller.fleet.login(node) for node in NODES}
    common = {"gummy_attempts": 2, "gummy_timeout": "5m", "gummy_agent": "claude"}
    inventory = controller.static(login, vars=common)
    play = controller.folder / "own.yml"
    tasks = [
        {"ansible.builtin.set_fact": {"gummy_lost_after": "2h"}},
        {
            "distributed.gummy.run_jobs": {"stage": "plan", "priority": 4},
            "run_once": True,
            "register": "planned",
        },
        {"distributed.gummy.show": {"of": "planned"}, "run_once": True},
    ]
    own = {
        "hosts": "all:localhost",
        "gather_facts": False,
        "vars": {"gummy_timeout": "6m"},
        "tasks": tasks,
    }
    play.write_text(json.dumps([own]), encoding="utf-8")
    output = controller.folder / "plan.json"
    played = controller.play(
        str(play),
        *("-e", "gummy_agent=shell", "-e", "gummy_command=echo a b", "-e", "gummy_task_type=api"),
        *("-e", f"gummy_output_file={output}", "-e", '{"gummy_load_weights": {"cpu": 1}}'),
        inventory=inventory,
    )
    assert played.status == 0, played

    document = json.loads(output.read_text(encoding="utf-8"))
    assert document["config"] == {"path": str(config), "exists": True}
    sources = {
        row["name"]: row["source"] for row in document["settings"] if row["source"] != "default"
    }
    assert sources == {
        "gummy_agent": "extra var",
        "gummy_command": "extra var",
        "gummy_task_type": "extra var",
        "gummy_output_file": "extra var",
        "gummy_load_weights": "extra var",
        "gummy_timeout": "play",
        "gummy_lost_after": "play",
        "gummy_attempts": "group all",
        "priority": "option of the task",
        "sync_exclude": "config file",
        "host_preferences": "config file",
    }
    lines = [" ".join(line.split()) for line in played.output.splitlines()]
    assert f"{config} sync_exclude, host_preferences" in lines, played
    assert "default all else; of the config file these do not count: load_weights" in lines, played
    # It does count: what it says of nodes and files is told.
    assert "would leave out" in played.output and "dist" in played.output, played


@pytest.mark.once
def test_a_misspelt_key_of_the_config_is_an_error_that_names_the_nearest(
    controller: Controller,
) -> None:
    controller.configure("host_preference: {api: [node-1]}\n")
    plan = controller.play("plan", "-e", "gummy_agent=shell", "-e", "gummy_command=true")
    said = " ".join(plan.output.split())
    assert plan.status == 2 and "config.yaml: host_preference: unknown key; did you mean" in said
    assert "'host_preferences'?" in said, plan
