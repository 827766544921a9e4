"""The collection in other homes: installed without its pages, and under ansible-runner."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from real_nodes import PATIENCE, ROOT, Controller, Fleet

pytestmark = pytest.mark.once

# All that plugins, roles and playbooks may need of the collection.
NEEDED = ("meta", "playbooks", "plugins", "roles")


def test_an_installed_copy_needs_nothing_but_meta_plugins_roles_and_playbooks(
    controller: Controller, fleet: Fleet
) -> None:
    copy = controller.folder / "installed" / "ansible_collections" / "distributed" / "gummy"
    for part in NEEDED:
        shutil.copytree(
            ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    env = {"ANSIBLE_COLLECTIONS_PATH": str(controller.folder / "installed")}
    played = controller.shell("echo hi > new.txt", env=env)
    assert played.status == 0 and played.job["patch"], played
    for playbook in ("plan", "status", "doctor", "clean", "sync"):
        words = ("-e", "gummy_agent=shell", "-e", "gummy_command=true")
        done = controller.play(playbook, *(words if playbook == "plan" else ()), env=env)
        assert done.status == 0, done
    up = ("-e", "gummy_fleet_state=status", "-e", f"gummy_fleet_dir={fleet.folder}")
    assert controller.play("local_fleet", *up, env=env).status == 0
    install = ("--check", "-e", "gummy_agent=claude")
    done = controller.play("install", *install, env=env)
    assert "nodes can use claude" in done.output, done


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("status",), 0),
        (("nonsense",), 1),
        (("status", "-e", "@missing.yml"), 1),
        (("status", "--limit", "nobody"), 1),
        (("run", "-e", "gummy_agent=shell", "-e", "gummy_command=false"), 2),
        (("run", "-e", "gummy_promt=x"), 2),
        (("status", "--nonsense"), 2),
        (("./broken.yml",), 4),
    ],
)
def test_the_exit_status_is_that_of_the_page(
    controller: Controller, words: tuple[str, ...], status: int
) -> None:
    (controller.project / "broken.yml").write_text("- [\n", encoding="utf-8")
    played = controller.play(*words)
    assert played.status == status, played


# -- ansible-runner


def runner_folder(controller: Controller, **variables: Any) -> pathlib.Path:
    """A private data directory with a playbook of the user's, an inventory and a project."""
    pytest.importorskip("ansible_runner", reason="ansible-runner is not installed")
    folder = controller.folder / "private"
    for name in ("project", "inventory", "env"):
        (folder / name).mkdir(parents=True)
    play = [{"import_playbook": "distributed.gummy.run"}]
    (folder / "project" / "site.yml").write_text(json.dumps(play), encoding="utf-8")
    # The source finds its status and its ssh config beside itself, so it stays where it is.
    (folder / "env" / "cmdline").write_text(f"-i {controller.fleet.inventory}", encoding="utf-8")
    (folder / "env" / "extravars").write_text(json.dumps(variables), encoding="utf-8")
    return folder


def runner(
    controller: Controller, *words: str | pathlib.Path, env: Mapping[str, str], said: bytes = b""
) -> bytes:
    """What ansible-runner prints."""
    done = subprocess.run(
        [sys.executable, "-m", "ansible_runner", *map(str, words)],
        cwd=controller.folder,
        env={**env},
        input=said,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout


def document_of(folder: pathlib.Path) -> dict[str, Any]:
    """The document of the run, from the events that ansible-runner keeps."""
    documents = [
        document
        for path in folder.glob("artifacts/**/job_events/*.json")
        for data in [json.loads(path.read_text(encoding="utf-8")).get("event_data", {})]
        if (document := (data.get("res") or {}).get("document"))
    ]
    (document,) = documents
    assert isinstance(document, dict)
    return document


WORK = {"gummy_agent": "shell", "gummy_command": "echo hi > new.txt", "gummy_run_id": "in-a-runner"}


def test_ansible_runner_runs_a_job_in_the_folder_of_its_project(controller: Controller) -> None:
    folder = runner_folder(controller, **WORK)
    runner(controller, "run", folder, "-p", "site.yml", env=controller.env)
    (row,) = document_of(folder)["jobs"]
    assert row["status"] == "success" and row["project"] == str(folder / "project"), row
    assert pathlib.Path(row["patch"]).is_relative_to(controller.state)


def test_what_is_transmitted_is_worked_on_elsewhere_and_a_run_goes_on_there(
    controller: Controller,
) -> None:
    folder = runner_folder(controller, **WORK)
    worker_home = controller.folder / "worker"
    worker_home.mkdir()
    there = {**controller.env, "HOME": str(worker_home)}
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        del there[name]
    sent = runner(controller, "transmit", folder, "-p", "site.yml", env=controller.env)

    # The second call finds the record that the first one has left in the worker's home.
    for number in (1, 2):
        answered = runner(
            controller,
            "worker",
            "--private-data-dir",
            worker_home / "data",
            env=there,
            said=sent,
        )
        home = controller.folder / f"processed-{number}"
        home.mkdir()
        runner(controller, "process", home, env=controller.env, said=answered)
        document = document_of(home)
        (row,) = document["jobs"]
        assert row["status"] == "success", row
        assert len(row["attempts"]) == 1, row
    state = worker_home / ".local" / "state" / "distributed-gummy"
    assert [path.name for path in (state / "runs").iterdir()] == ["in-a-runner"]
    assert not (controller.state / "runs").exists()
    assert os.path.isfile(row["patch"])
