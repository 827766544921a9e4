"""`logs` that follow, on real nodes: to the end of every job, across connections that are cut."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest
from real_nodes import Controller, Counter, Fleet, Playing, descendants, send, until

pytestmark = pytest.mark.once

# What an agent may print that a terminal obeys, or that looks like something else.
HOSTILE = (
    r"\033[2J\033]0;owned\007\b\r\302\233[31m\342\200\256evil \342\201\246x "
    r"{{ 1 + 1 }} \${HOME} <script>"
)


def begin(controller: Controller, counter: Counter, *jobs: dict[str, str]) -> tuple[Playing, str]:
    """A run of jobs that go on when they are let go, and its name."""
    run_id = counter.name[:60]
    started = controller.begin("run", "-e", controller.jobs(*jobs), "-e", f"gummy_run_id={run_id}")
    started.wait_for(lambda: len(counter.starts()) == len(jobs), "the starts of all jobs")
    return started, run_id


def follow(controller: Controller, run_id: str, *words: str) -> Playing:
    return controller.begin("logs", "-e", f"gummy_run_id={run_id}", "-e", "gummy_follow=1", *words)


def task(output: str, name: str) -> list[str]:
    """The lines that one task printed."""
    _head, _title, rest = output.partition(f"TASK [{name}]")
    return rest.split("\nTASK [")[0].split("\n")[1:]


def followed(output: str) -> list[str]:
    lines = task(output, "Read the logs on the nodes")
    return [line for line in lines if line and not line.startswith("ok: [")]


def callers(playing: Playing) -> list[int]:
    """The processes that ask nodes what is new."""
    pids = descendants(playing.process.pid)
    listing = subprocess.run(
        ["ps", "-axwwo", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split(None, 1) for line in listing.splitlines())
    return [
        int(row[0])
        for row in rows
        if len(row) == 2 and int(row[0]) in pids and re.match(r"\S*ssh .* follow'?$", row[1])
    ]


def test_several_jobs_are_followed_to_their_ends_with_their_names_in_front(
    controller: Controller, fleet: Fleet, counter: Counter
) -> None:
    wait = counter.command("-go")
    jobs = [
        {"name": "one", "node": "node-1", "command": f"echo first; {wait}; echo last"},
        {"name": "second", "node": "node-2", "command": f"{wait}; printf '{HOSTILE}'"},
    ]
    run, run_id = begin(controller, counter, *jobs)
    logs = follow(controller, run_id)
    logs.wait_for(lambda: "one    | first" in logs.said(), "what was there before")
    assert "last" not in logs.said()
    counter.let_go("-go")

    played = logs.end()
    assert run.end().status == 0 and played.status == 0, played
    lines = followed(played.output)
    assert [line for line in lines if line.startswith("one ")] == [
        "one    | first",
        "one    | last",
    ]
    evil = "\n".join(line for line in lines if line.startswith("second | "))
    assert "{{ 1 + 1 }}" in evil and "<script>" in evil
    assert all(char == "\n" or char.isprintable() for char in evil), repr(evil)
    told = "\n".join(task(played.output, "Show the result"))
    assert re.search(rf"^== {run_id}/one on node-1, attempt \S+, success$", told, re.MULTILINE)


def test_a_cut_connection_costs_no_line_and_tells_none_twice(
    controller: Controller, counter: Counter
) -> None:
    count = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo number $i; sleep 0.02; done"
    job = {"name": "count", "node": "node-1", "command": f"{counter.command('-go')}; {count}"}
    run, run_id = begin(controller, counter, job)
    logs = follow(controller, run_id)
    counter.let_go("-go")
    for number in (50, 150, 250):
        logs.wait_for(lambda least=number: f"number {least}\n" in logs.said(), "some lines")
        send(signal.SIGKILL, until(lambda: callers(logs), "a call"))
    played = logs.end()
    assert run.end().status == 0 and played.status == 0, played
    lines = followed(played.output)
    assert [line for line in lines if line.startswith("number ")] == [
        f"number {number}" for number in range(1, 401)
    ]
    assert any("the log goes on when node-1 answers" in line for line in lines), lines


@pytest.fixture(scope="module")
def ended(
    make_controller: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Controller]:
    assert callable(make_controller)
    controller = make_controller(tmp_path_factory.mktemp("ended") / "controller")
    command = "i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo line $i; done"
    events = '{"type": "text", "part": {"text": "said"}}'
    jobs = controller.jobs(
        {"name": "count", "command": command},
        {"name": "json", "command": f"echo '{events}'"},
        gummy_run_id="ended",
    )
    assert controller.run("-e", jobs).status == 0
    yield controller
    controller.close()


def test_the_last_lines_of_each_log_are_shown_and_the_document_has_all(ended: Controller) -> None:
    path = ended.folder / "logs.json"
    words = ("-e", "gummy_run_id=ended", "-e", "gummy_lines=2")
    played = ended.play("logs", *words, "-e", f"gummy_output_file={path}")
    lines = [line for line in played.output.split("\n") if re.match("line|{", line)]
    # A command that prints JSON is no agent.
    assert lines == ["line 19", "line 20", '{"type": "text", "part": {"text": "said"}}'], played
    document = json.loads(path.read_text())
    assert (document["lines"], document["raw"], document["followed"]) == (2, False, False)
    assert "line 1\n" in document["attempts"][0]["log"]


def test_what_has_ended_is_shown_and_not_waited_for(ended: Controller) -> None:
    played = follow(ended, "ended", "-e", "gummy_lines=1").end()
    assert played.status == 0
    assert sorted(followed(played.output)) == [
        "count | line 20",
        'json  | {"type": "text", "part": {"text": "said"}}',
    ], played


def test_bad_words_are_told_before_anything_is_asked(ended: Controller) -> None:
    for words, problem in (
        ("gummy_follow=perhaps", "neither true nor false"),
        ("gummy_lines=0", "no count"),
        ("gummy_folow=true", "gummy_follow"),
    ):
        played = ended.play("logs", "-e", "gummy_run_id=ended", "-e", words)
        assert played.status == 2 and problem in played.output, played
    assert os.path.isdir(ended.project)
