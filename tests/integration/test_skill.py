"""The skill's commands, typed as they stand there, do what it says.

They are run in a shell, as an agent types them: first the line that makes the names, then the
command, with nothing of ours in it.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import skill_page
from real_nodes import NODES, Controller, Fleet, Played, Playing, until

pytestmark = pytest.mark.once

COMMANDS = skill_page.commands()
(HEAD,) = (line for line in skill_page.head_lines() if line.startswith("OUT="))
# What `plan` tells of a node; the schema leaves it open.
OF_A_NODE = {"host", "score", "reason", "rejected", "change", "slots", "busy", "cpu", "mem"}
OF_A_TASK = ("node", "words", "seconds")
# What documents tell of attempts for which the call did something, as a test below sees it.
WHERE_SOMETHING_WAS_DONE = {("cancel", "attempts[].cancelled"), ("harvest", "attempts[].fetched")}
# What they tell of work that nobody does here, as tests/integration/test_watch.py sees it.
WHERE_OTHERS_WORK = {
    *((kind, f"foreign[].{key}") for kind in ("status", "watch") for key in OF_A_TASK),
    *(("watch", f"waiting[].{key}") for key in ("run_id", "job", "reason")),
}
# It stands in the references, for people have more of it than agents.
WATCH = 'ansible-playbook distributed.gummy.watch -e gummy_output_file="$OUT"'
MAKEFILE = "test test-unit test-api:\n\t@echo $@ >> $$HOME/tests-run\n"


class Shell:
    """An agent's shell in a project, on a controller whose inventory is set."""

    def __init__(self, controller: Controller, fleet: Fleet) -> None:
        self._controller = controller
        self.project = controller.project
        (self.project / "Makefile").write_text(MAKEFILE, encoding="utf-8")
        # gummy has specialists here.
        (self.project / ".gummy" / "lib").mkdir(parents=True)
        (self.project / ".gummy" / "lib" / "core.sh").touch()
        config = pathlib.Path(controller.env["ANSIBLE_CONFIG"])
        config.write_text(f"[defaults]\ninventory = {fleet.inventory}\n", encoding="utf-8")
        self._calls: list[Playing] = []

    def type(self, line: str, run: str | None = None) -> Call:
        """One call of the shell. run: the name of an earlier run, to go on with it."""
        again = f"; RUN={run}" if run else ""
        output = self._controller.folder / f"typed-{len(self._calls)}"
        playing = Playing(
            ["sh", "-c", f"{HEAD}{again}\n{line}"], self.project, self._controller.env, output
        )
        self._calls.append(playing)
        return Call(playing.end(), run)

    def close(self) -> None:
        for call in self._calls:
            call.kill()


class Call:
    """What a call printed, and the document that it wrote, None if there is none."""

    def __init__(self, played: Played, run: str | None) -> None:
        said = re.search(r"^run (\S+), document (\S+)$", played.output, re.MULTILINE)
        assert said, played
        self.run = run or said[1]
        self.status = played.status
        self.output = played.output
        self.document: dict[str, Any] | None = None
        path = pathlib.Path(said[2])
        if path.exists():
            self.document = json.loads(path.read_text(encoding="utf-8"))
            path.unlink()
        os.rmdir(path.parent)

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        assert self.document is not None, self.output
        return {row["name"]: row for row in self.document["jobs"]}

    def __repr__(self) -> str:
        return f"exit status {self.status}\n{self.output}"


@pytest.fixture
def shell(controller: Controller, with_doubles: Fleet) -> Iterator[Shell]:
    one = Shell(controller, with_doubles)
    yield one
    one.close()


def of(request_text: str, playbook: str = "run") -> list[skill_page.Command]:
    return [one for one in COMMANDS if request_text in one.requests and one.playbook == playbook]


def told_keys() -> set[tuple[str, str]]:
    return {
        pair
        for page in (skill_page.PAGE, skill_page.SKILL / "references" / "documents.md")
        for pair in skill_page.keys_in_tables(page.read_text(encoding="utf-8"))
    }


def test_every_command_of_the_skill_does_what_it_says(shell: Shell, with_doubles: Fleet) -> None:
    for line in skill_page.head_lines():
        looked = shell.type(line)
        assert looked.status == 0, looked
        if "collection list" in line:
            assert re.search(r"^distributed\.gummy +\S+", looked.output, re.MULTILINE), looked
        if "ansible-inventory" in line:
            assert all(f"--{node}" in looked.output for node in NODES), looked

    seen: set[tuple[str, str]] = set()
    calls: dict[str, Call] = {}
    finished = ""
    for command in COMMANDS:
        starts = with_doubles.count("claude-starts.log")
        # Those below the requests speak of an earlier run.
        line = command.line.replace("RUN/JOB", f"{finished}/docs")
        call = shell.type(line, finished if command.playbook == "harvest" else None)
        calls[command.line] = call
        assert call.status == 0 and call.document is not None, call
        assert (call.document["kind"], call.document["schema_version"]) == (command.playbook, 1)
        seen |= {
            (kind, key)
            for kind, key in told_keys()
            if kind == command.playbook
            and [*skill_page.values_at(call.document, skill_page.steps_of(key))]
        }
        started = with_doubles.count("claude-starts.log") - starts
        if command.playbook != "run":
            assert started == 0, call
            continue

        # The last run of several jobs is the one that is asked about below.
        if "docs" in call.jobs:
            finished = call.run
        if command.variables.get("gummy_detach"):
            continue
        assert {row["status"] for row in call.jobs.values()} == {"success"}, call
        if command.variables.get("gummy_agent") != "shell":
            assert started == len(call.jobs), call

    # Each request did what it says, and where it says.
    (pinned,) = of("Sync codebase and run gummy on node-2")
    assert calls[pinned.line].jobs["job-1"]["node"] == "node-2"
    (expert,) = of("Execute API specialist on optimal node")
    assert calls[expert.line].jobs["job-1"]["session_id"]
    parts, everywhere = of("Distribute tests across all machines")
    assert calls[parts.line].jobs.keys() == {"unit", "api"}
    where = {row["node"] for row in calls[everywhere.line].jobs.values()}
    assert where == {*NODES}
    (systems,) = of("Run tests on all platforms simultaneously")
    assert [name.rpartition(".")[2] for name in calls[systems.line].jobs] == ["linux"]
    (both,) = of("I have database work and API work, distribute optimally")
    kinds = {row["task_type"] for row in calls[both.line].jobs.values()}
    assert kinds == {"database", "api"}
    ran = sorted(line for lines in with_doubles.lines("tests-run").values() for line in lines)
    assert ran == sorted(["test-unit", "test-api", *["test"] * (len(NODES) + 1)])

    (question,) = of("Which host should handle this database work?", "plan")
    (planned,) = calls[question.line].jobs.values()
    assert planned["node"] in NODES and planned["why"]
    assert all(row.keys() >= OF_A_NODE for row in planned["ranking"])

    (dashboard,) = of("Status of distributed specialists", "specialists")
    assert named_specialists(calls[dashboard.line].document) >= {"api-developer", "database-expert"}
    # Whatever it says that a document has was there.
    board = shell.type(WATCH)
    assert board.status == 0 and board.document is not None, board
    seen |= {
        (kind, key)
        for kind, key in told_keys()
        if kind == "watch" and [*skill_page.values_at(board.document, skill_page.steps_of(key))]
    }
    assert told_keys() - seen == WHERE_SOMETHING_WAS_DONE | WHERE_OTHERS_WORK


def named_specialists(document: Mapping[str, Any] | None) -> set[str]:
    keys = skill_page.steps_of("nodes[].specialists[].name")
    return {*skill_page.values_at(document, keys)}


def test_a_long_job_goes_on_while_nobody_waits_and_comes_home_when_it_is_called_again(
    shell: Shell, with_doubles: Fleet
) -> None:
    (long,) = (one for one in COMMANDS if one.variables.get("gummy_detach"))
    hold = "skill-goes-on"
    text = f"write long.txt x ;; run until [ -e $HOME/{hold} ]; do sleep 0.05; done"
    line = long.line.replace(long.variables["gummy_prompt"], text)
    begun = shell.type(line)
    try:
        assert begun.status == 0 and begun.document is not None, begun
        assert begun.document["status"] == "unfinished"

        # `status` has it among what runs, by the name of its run.
        (status,) = of("What gummy tasks are active on my network?", "status")

        def running() -> list[Any]:
            document = shell.type(status.line).document
            assert document is not None
            # Another test's run of the same second has the same name, and another project.
            rows = [row for row in document["attempts"] if row["project"] == str(shell.project)]
            assert all(row["run_id"] == begun.run for row in rows)
            return [(row["agent"], row["status"]) for row in rows]

        until(lambda: running() == [("gummy", "running")], "the job among what runs")
    finally:
        for node in NODES:
            with_doubles.put(node, hold, "")

    # Without the word that detaches, and with the same name, it waits and brings all home.
    waited = shell.type(line.replace(', "gummy_detach": true', ""), begun.run)
    assert waited.status == 0, waited
    assert "+x" in pathlib.Path(waited.jobs["job-1"]["patch"]).read_text(encoding="utf-8")

    # Once more, nothing is done twice.
    starts = with_doubles.count("claude-starts.log")
    again = shell.type(line.replace(', "gummy_detach": true', ""), begun.run)
    assert again.jobs["job-1"]["status"] == "success"
    assert with_doubles.count("claude-starts.log") == starts


def test_cancel_and_harvest_tell_what_they_did(shell: Shell, with_doubles: Fleet) -> None:
    (long,) = (one for one in COMMANDS if one.variables.get("gummy_detach"))
    hold = "skill-never"
    text = f"write left.txt x ;; run until [ -e $HOME/{hold} ]; do sleep 0.05; done"
    begun = shell.type(long.line.replace(long.variables["gummy_prompt"], text))
    assert begun.status == 0, begun
    try:
        (cancel,) = (one for one in COMMANDS if one.playbook == "cancel")
        ended = shell.type(cancel.line.replace("RUN/JOB", f"{begun.run}/job-1"))
        (harvest,) = (one for one in COMMANDS if one.playbook == "harvest")

        def fetch() -> Call | None:
            """A harvest that found the job ended."""
            call = shell.type(harvest.line, begun.run)
            assert call.document is not None, call
            return call if any("fetched" in row for row in call.document["attempts"]) else None

        fetched = until(fetch, "the harvest")
    finally:
        for node in NODES:
            with_doubles.put(node, hold, "")
    for call, key in ((ended, "cancelled"), (fetched, "fetched")):
        assert call.document is not None
        assert [row[key] for row in call.document["attempts"]] == [True], call


def test_a_failure_is_told_as_the_skill_reads_it(shell: Shell, with_doubles: Fleet) -> None:
    (one,) = of("Sync codebase and run gummy on node-2")

    # Bad input: nothing started, and there is no document.
    starts = with_doubles.count("claude-starts.log")
    misspelt = shell.type(one.line.replace("gummy_prompt", "gummy_promt"))
    assert (misspelt.status, misspelt.document) == (2, None), misspelt
    assert "[ERROR]" in misspelt.output and "did you mean 'gummy_prompt'" in misspelt.output
    assert with_doubles.count("claude-starts.log") == starts

    # It ran and failed: the document says so, whatever the text had in it.
    text = r"don\u0027t \"stop\" {{ x }} $HOME\nis_error it\u0027s \"odd\" {{ 1 }} `id` \\"
    failing = one.line.replace(one.variables["gummy_prompt"], text)
    failed = shell.type(failing)
    assert failed.status == 2, failed
    row = failed.jobs["job-1"]
    assert (row["status"], row["class"], row["node"]) == ("failed", "agent", "node-2")
    assert row["message"].endswith('it\'s "odd" {{ 1 }} `id` \\'), row
    assert (pathlib.Path(row["folder"]) / "log").exists()

    # Anew under its name, as it was.
    anew = shell.type(f"{failing} -e gummy_only=failed", failed.run)
    assert anew.status == 2 and len(anew.jobs["job-1"]["attempts"]) >= 1
    assert with_doubles.count("claude-starts.log") == starts + 2
