"""The examples for CI do what they say: their own lines run on the local fleet.

A runner dies while jobs run, and a re-run on a new runner takes up what is left.
"""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from real_nodes import PATIENCE, ROOT, Controller, Counter, Fleet, Playing

pytestmark = pytest.mark.once

EXAMPLES = ROOT / "examples" / "ci"


def load(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))


def github() -> tuple[str, str, str]:
    steps = {
        step["name"]: step["run"]
        for step in load("github-actions.yml")["jobs"]["gummy"]["steps"]
        if "run" in step
    }
    return ".github", steps["Run the jobs"], steps["Show the report"]


def gitlab() -> tuple[str, str, str]:
    job = load("gitlab-ci.yml")["gummy"]
    # Without a tailnet there is nothing to log out of.
    after = [line for line in job["after_script"] if line != "tailscale logout"]
    return ".gitlab", "\n".join(job["script"]), "\n".join(after)


Make = Callable[[pathlib.Path], Controller]


def runner(make: Make, folder: pathlib.Path, project: pathlib.Path, name: str) -> Controller:
    """A machine that nobody has used before, with the project where runners have it."""
    one = make(folder / name)
    one.configure("{}")
    shutil.rmtree(one.project)
    one.project = project
    one.env |= {"RUN": folder.name, "GITHUB_STEP_SUMMARY": str(one.folder / "summary.md")}
    # The examples take the usual folder.
    one.env["XDG_STATE_HOME"] = f"{one.env['HOME']}/.local/state"
    return one


def shell(one: Controller, lines: str) -> Playing:
    return Playing(["bash", "-ec", lines], one.project, one.env, one.folder / "said")


def inventory_of(fleet: Fleet) -> Mapping[str, Any]:
    """The example's source, which finds the local fleet instead of a tailnet."""
    example = load("ci.tailnet.yml")
    of_fleet = yaml.safe_load(pathlib.Path(fleet.inventory).read_text(encoding="utf-8"))
    folder = pathlib.Path(fleet.inventory).parent
    paths = {
        name: str(folder / of_fleet[name])
        for name in ("status_file", "ssh_config_file")
        if name in of_fleet
    }
    # Nodes of the local fleet have no tags.
    assert example.pop("tags") == ["gummy"] and example["plugin"] == of_fleet["plugin"]
    assert paths.keys() == {"status_file", "ssh_config_file"}
    example["compose"]["ansible_user"] = repr(fleet.user)
    return {**example, **paths}


@pytest.mark.parametrize("example", [github, gitlab])
def test_a_rerun_on_a_new_runner_takes_up_what_is_left(
    example: Callable[[], tuple[str, str, str]],
    make_controller: Make,
    fleet: Fleet,
    counter: Counter,
    tmp_path: pathlib.Path,
) -> None:
    where, run_lines, report_lines = example()
    project = make_controller(tmp_path / "home").project
    (project / where).mkdir()
    (project / where / "ci.tailnet.yml").write_text(
        yaml.safe_dump(inventory_of(fleet)), encoding="utf-8"
    )
    batch = load("jobs.yml")
    assert [job["command"] for job in batch["gummy_jobs"]] == ["make test", "make lint"]
    tests = "mkdir reports; echo '<testsuite><testcase name=\"a\"/></testsuite>' > reports/a.xml"
    batch["gummy_jobs"][0]["command"] = counter.command("-go") + "; " + tests
    batch["gummy_jobs"][1]["command"] = counter.command()
    (project / where / "jobs.yml").write_text(yaml.safe_dump(batch), encoding="utf-8")

    first = runner(make_controller, tmp_path, project, "first")
    began = shell(first, run_lines)
    began.wait_for(lambda: len(counter.starts()) == 2, "both jobs")
    began.kill()

    counter.let_go("-go")
    second = runner(make_controller, tmp_path, project, "second")
    again = shell(second, run_lines)
    again.process.wait(PATIENCE)
    assert again.process.returncode == 0, again.said()
    assert counter.starts() == ["lint", "test"], again.said()
    shown = shell(second, report_lines)
    assert shown.process.wait(PATIENCE) == 0, shown.said()

    report = project / "gummy-report"
    cases = ElementTree.parse(report / "junit.xml").getroot().iter("testcase")
    names = {case.get("name") for case in cases}
    assert {"a", "lint", "test"} <= names, names
    assert (report / "test" / "changes.patch").is_file()
    if where == ".github":
        summary = (second.folder / "summary.md").read_text(encoding="utf-8")
        assert "2 of 2 jobs succeeded" in summary, summary
