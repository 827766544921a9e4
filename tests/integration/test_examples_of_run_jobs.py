"""The examples of run_jobs' documentation do what stands there."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible_collections.distributed.gummy.plugins.modules import run_jobs
from real_nodes import Controller, Fleet

EXAMPLES: list[dict[str, Any]] = yaml.safe_load(run_jobs.EXAMPLES)


@pytest.fixture
def project(controller: Controller) -> None:
    (controller.project / "Makefile").write_text("test lint:\n\t@echo $@\n", encoding="utf-8")
    (controller.folder / "prompt.md").write_text("Tidy up {{ nothing }}.\n", encoding="utf-8")
    controller.configure(
        json.dumps({"nodes": {f"node-{number}": {"slots": 2} for number in (1, 2, 3)}})
    )


def test_every_example_ends_well(
    controller: Controller, with_doubles: Fleet, project: None
) -> None:
    # All but the last two, which are one play over the nodes.
    *own, of_variables, show = EXAMPLES
    play: dict[str, Any] = {"hosts": "localhost", "gather_facts": False, "tasks": own}
    book = controller.folder / "examples.yml"
    given = {"gummy_agent": "shell", "gummy_command": "echo done > got"}
    over_nodes = {"hosts": "all", "gather_facts": False, "vars": given}
    plays = [play, {**over_nodes, "tasks": [of_variables, show]}]
    book.write_text(json.dumps(plays), encoding="utf-8")
    played = controller.play(str(book))
    assert played.status == 0, played
    assert len(played.run["jobs"]) == 1 and played.job["status"] == "success"
    assert played.output.count("how to go on with it") == len(EXAMPLES) - 1
