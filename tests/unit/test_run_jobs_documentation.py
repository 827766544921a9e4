"""What ansible-doc says of run_jobs is what the table of keys says, and what its action takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.distributed.gummy.plugins.action import run_jobs as action
from ansible_collections.distributed.gummy.plugins.modules import run_jobs as module
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import keys
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.option_spec import (
    TYPES,
    run_options,
)

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = yaml.safe_load(module.DOCUMENTATION)["options"]


def test_the_file_is_the_one_that_the_script_makes() -> None:
    made = subprocess.run(
        [sys.executable, "scripts/options.py"],
        cwd=ROOT,
        env={"PYTHONPATH": str(Path(keys.__file__).parents[6])},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    path = ROOT / "plugins" / "modules" / "run_jobs.py"
    assert made == path.read_text(encoding="utf-8"), "see scripts/options.py"


def as_spec(documented: dict[str, Any]) -> dict[str, Any]:
    """The documented options, as an argument spec has them."""
    spec = {}
    for name, option in documented.items():
        row = {key: value for key, value in option.items() if key not in ("description",)}
        if "suboptions" in row:
            row["options"] = as_spec(row.pop("suboptions"))
        spec[name] = row
    return spec


def test_the_action_checks_what_is_documented() -> None:
    spec = {name: dict(row) for name, row in action.ActionModule.spec.items()}
    assert spec.pop("stage").items() <= DOCUMENTED["stage"].items()
    documented = as_spec(DOCUMENTED)
    del documented["stage"]
    assert documented == spec


def test_every_key_of_jobs_and_runs_is_an_option() -> None:
    of_run = {key.name for key in keys.KEYS if key.level in ("job", "run", "any")}
    assert run_options().keys() == of_run
    assert run_options()["jobs"]["options"].keys() == keys.JOB_KEYS.keys()


@pytest.mark.parametrize("key", keys.KEYS, ids=lambda key: f"{key.level}-{key.name}")
def test_every_type_of_a_key_has_one_of_ansible_s(key: keys.Key) -> None:
    assert key.type in TYPES
