"""docs/ci.md says of exit statuses what the code does, and CI runs what is supported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible.errors import ExitCode
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import keys

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
# Of these two nobody is told: one does not occur any more, one is another name of 4.
NOT_TOLD = {"UNICODE_ERROR", "PARSER_ERROR"}
# Of a signal the shell tells, not Ansible.
TERM = 128 + 15


def table(heading: str) -> dict[str, str]:
    """The first table behind the text: its first column with the rest of each row."""
    rows = PAGE.partition(heading)[2].partition("|---")[2].partition("\n\n")[0].splitlines()[1:]
    return {first.strip(): rest for first, rest in (row[1:].split("|", 1) for row in rows)}


def test_the_page_has_every_exit_status_that_ansible_gives() -> None:
    told = {int(status) for status in table("## Exit statuses")}
    assert told == {code.value for code in ExitCode if code.name not in NOT_TOLD} | {TERM}


def test_every_command_has_a_row_that_says_when_it_fails() -> None:
    rows = table("What makes it 2, for each command:")
    named = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    assert named == {path.stem for path in (ROOT / "playbooks").glob("*.yml")}


def test_the_row_of_run_names_the_ends_that_count() -> None:
    row = table("What makes it 2, for each command:")["`run`"]
    assert set(re.findall(r"`(\w+)`", row.partition("(`gummy_fail_on`")[0])) == set(keys.BAD_ENDS)


def workflow(name: str) -> dict[str, object]:
    text = (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")
    document: dict[str, object] = yaml.safe_load(text)
    return document


@pytest.mark.once
def test_ci_runs_what_ci_run_runs_on_every_supported_ansible_core_also_at_night() -> None:
    job = workflow("checks.yml")["jobs"]["checks"]  # type: ignore[index]
    assert job["steps"][-1]["run"].endswith(" .ci/run")

    cores = {row["core"] for row in job["strategy"]["matrix"]["include"]}
    named = {
        path.stem.removeprefix("requirements-")
        for path in (ROOT / "tests").glob("requirements-2.*.txt")
    }
    assert cores == named | {""}

    # From the oldest that is allowed to the newest, no version is left out.
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    requirements = (ROOT / "tests" / "requirements.txt").read_text(encoding="utf-8")
    oldest = int(re.findall(r">=2\.(\d+)", runtime["requires_ansible"])[0])
    ends = int(re.findall(r"ansible-core>=2\.\d+,<2\.(\d+)", requirements)[0])
    assert named == {f"2.{minor}" for minor in range(oldest, ends - 1)}

    nightly = workflow("nightly.yml")["jobs"]
    assert nightly["checks"]["uses"] == "./.github/workflows/checks.yml"  # type: ignore[index]
