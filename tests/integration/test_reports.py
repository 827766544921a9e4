"""A run's reports and notifications, of jobs that ran on real nodes."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from real_nodes import NODES, Controller, Played

pytestmark = pytest.mark.once

GOOD = """<testsuites><testsuite name="pytest" tests="9">
<testcase classname="tests.a" name="one" time="0.1"/>
<testcase classname="tests.a" name="two"><failure message="{{ 1 + 1 }} &lt;script>">why</failure>
</testcase><testcase classname="tests.a" name="three"><skipped/></testcase></testsuite></testsuites>
"""
EVIL = '<!DOCTYPE testsuites [<!ENTITY e SYSTEM "file:///etc/passwd">]><testsuites>&e;</testsuites>'
NAME = "<img src=x onerror=alert(1)>|`{{ 7*7 }}.txt"
SECRET = "T0K3N"


def script(text: str, path: str) -> str:
    return f"cat > '{path}' <<'END'\n{text}\nEND\n"


@pytest.fixture(scope="module")
def ended(
    make_controller: Callable[[Path], Controller], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Controller, Played]]:
    """A run that writes all forms and tells a command of its end."""
    controller = make_controller(tmp_path_factory.mktemp("reports") / "controller")
    told = controller.folder / "told"
    code = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
    controller.configure(
        yaml.safe_dump(
            {
                "nodes": {node: {"slots": 2} for node in NODES},
                "notify": [sys.executable, "-c", code, str(told), SECRET],
            }
        )
    )
    tests = script(GOOD, "out/unit.xml") + script(EVIL, "out/evil.xml")
    jobs = controller.jobs(
        {
            "name": "unit",
            "node": "node-1",
            "command": f"mkdir out\n{tests}",
            "artifacts": ["out/*.xml"],
            "verify": "true",
        },
        {"name": "lint", "command": f"echo x > '{NAME}'; echo '<script>alert(2)</script>'; exit 4"},
        {"name": "docs", "command": "echo more > docs.md", "verify": "false"},
        gummy_run_id="reported",
    )
    words = ("-e", jobs, "-e", f"gummy_output_file={controller.folder}/own.xml")
    yield controller, controller.run(*words)
    controller.close()


def folder(controller: Controller) -> Path:
    return controller.state / "runs" / "reported"


def record(controller: Controller) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder(controller) / "run.json").read_text())
    return document


def test_junit_has_the_jobs_and_the_tests_that_they_brought_home(
    ended: tuple[Controller, Played],
) -> None:
    controller, played = ended
    text = (folder(controller) / "junit.xml").read_text()
    assert text == (controller.folder / "own.xml").read_text(), played
    suites = {suite.get("name"): suite for suite in ET.fromstring(text)}
    (name,) = suites.keys() - {"jobs", "verify"}
    assert name is not None and re.fullmatch(r"node-1 \(\w+\) / unit / out/unit\.xml", name)
    assert [case.get("name") for case in suites[name].iter("testcase")] == ["one", "two", "three"]
    assert [case.get("name") for case in suites["verify"].iter("testcase")] == ["unit", "docs"]
    failed = {
        case.get("name")
        for case in suites["jobs"].iter("testcase")
        if case.find("failure") is not None
    }
    assert failed == {"lint", "docs"}


def test_the_summary_and_the_record_count_the_tests(ended: tuple[Controller, Played]) -> None:
    controller, played = ended
    assert "  unit: 1 passed, 1 failed, 1 skipped\n" in played.output, played
    assert "test results in out/evil.xml are not read: it has a document type" in played.output
    (row,) = [row for row in record(controller)["jobs"] if row["name"] == "unit"]
    assert row["tests"] == {
        "passed": 1,
        "failed": 1,
        "errors": 0,
        "skipped": 1,
        "files": ["out/unit.xml"],
        "refused": [
            {
                "file": "out/evil.xml",
                "why": "it has a document type or entities, which are not read",
            }
        ],
    }
    assert row["verify"] == "passed"


def test_the_record_says_when_and_on_which_slot_each_attempt_was(
    ended: tuple[Controller, Played],
) -> None:
    document = record(ended[0])
    end = document["begun_at"] + document["seconds"]
    for row in document["jobs"]:
        (attempt,) = row["attempts"]
        assert attempt["slot"] in (0, 1)
        assert document["begun_at"] <= attempt["begun_at"] <= attempt["ended_at"] <= end
        assert document["nodes"][row["node"]]["slots"] == 2
        assert document["nodes"][row["node"]]["os"] in ("linux", "darwin")


def test_the_page_has_bars_loads_and_changes_and_nothing_hostile(
    ended: tuple[Controller, Played],
) -> None:
    page = (folder(ended[0]) / "report.html").read_text()
    assert len(re.findall('class="bar ', page)) == 3
    assert "How the nodes stood" in page and "load average" in page
    assert not re.search("<script|<img", page)
    assert "&lt;script&gt;alert(2)&lt;/script&gt;" in page
    assert "{{ 7*7 }}.txt" in page


def test_the_markdown_has_the_jobs_that_failed_with_their_logs(
    ended: tuple[Controller, Played],
) -> None:
    text = (folder(ended[0]) / "report.md").read_text()
    assert "### lint: failed (agent) on node-" in text
    assert "```\n<script>alert(2)</script>\n```" in text
    assert "<details><summary>changes of lint</summary>" in text


def test_other_panels_can_be_had_as_pages(ended: tuple[Controller, Played]) -> None:
    controller, _played = ended
    for suffix, begin in ((".md", "```\n"), (".html", "<!DOCTYPE html>")):
        path = controller.folder / f"logs{suffix}"
        words = ("-e", "gummy_run_id=reported", "-e", f"gummy_output_file={path}")
        assert controller.play("logs", *words).status == 0
        assert (
            path.read_text().startswith(begin) and "== reported/lint on node-" in path.read_text()
        )
    words = ("-e", "gummy_run_id=reported", "-e", "gummy_output_file=logs.xml")
    played = controller.play("logs", *words)
    assert played.status == 2 and "does not end in .json, .md or .html" in played.output


@pytest.mark.parametrize("panel", ["status", "specialists", "watch"])
def test_panels_of_the_fleet_can_be_had_as_pages(
    ended: tuple[Controller, Played], panel: str
) -> None:
    controller, _played = ended
    path = controller.folder / f"{panel}.md"
    assert controller.play(panel, "-e", f"gummy_output_file={path}").status == 0
    lines = path.read_text().splitlines()
    assert lines[0] == lines[-1] == "```" and any("node-1" in line for line in lines)


def test_the_end_was_told_once_without_what_nobody_asked_for(
    ended: tuple[Controller, Played],
) -> None:
    controller, played = ended
    text = (controller.folder / "told").read_text()
    message = json.loads(text)
    assert message["text"].startswith("reported: 1 of 3 jobs succeeded in ")
    assert {row["name"]: row["status"] for row in message["jobs"]} == {
        "unit": "success",
        "lint": "failed",
        "docs": "failed",
    }
    for word in ("cat >", "exit 4", str(controller.project), str(controller.state), "<script>"):
        assert word not in text, word
    assert SECRET not in played.output and "the notification" not in played.output


def test_a_notification_that_fails_changes_nothing_but_a_line(
    ended: tuple[Controller, Played],
) -> None:
    controller, _played = ended
    controller.configure(f"notify: ['/bin/sh', '-c', 'exit 7', '{SECRET}']")
    played = controller.shell("true")
    assert played.status == 0, played
    assert "the notification by /bin/sh failed: exit status 7" in played.output
    assert SECRET not in played.output

    plan = controller.play("plan", "-e", "gummy_agent=shell", "-e", "gummy_command=true")
    assert plan.status == 0 and "notify" in plan.output, plan
    assert SECRET not in plan.output and "the notification" not in plan.output


def test_a_play_says_whom_to_tell_and_a_run_called_again_tells_and_reports_again(
    ended: tuple[Controller, Played],
) -> None:
    controller, _played = ended
    controller.configure("")
    told = controller.folder / "told by the play"
    task = {
        "nodes": "all",
        "agent": "shell",
        "command": "true",
        "run_id": "by-a-play",
        "notify": {"to": ["tee", str(told)], "include": ["prompts"]},
    }
    play = {"hosts": "localhost", "gather_facts": False}
    path = controller.folder / "play.yml"
    path.write_text(yaml.safe_dump([{**play, "tasks": [{"distributed.gummy.run_jobs": task}]}]))
    for _time in range(2):
        assert controller.play(str(path)).status == 0
        message = json.loads(told.read_text())
        assert (message["status"], message["jobs"][0]["task"]) == ("success", "true")
        told.unlink()
        page = controller.state / "runs" / "by-a-play" / "report.html"
        assert len(re.findall('class="bar good"', page.read_text())) == 1
        page.unlink()
