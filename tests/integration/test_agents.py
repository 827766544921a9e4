"""Agents on real nodes.

Many at once each do their own work once, and the values of pass_env go to the agent and nowhere
else.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import secrets
import threading
from collections.abc import Iterator

import pytest
from real_nodes import NODES, Controller, Fleet

pytestmark = pytest.mark.once

PROC = pathlib.Path("/proc")
CROWD = 50


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_fifty_jobs_at_once_for_one_node_each_run_once_and_get_their_own_result(
    controller: Controller, with_doubles: Fleet
) -> None:
    controller.configure('{"nodes": {"node-1": {"slots": 8}}}')
    tag = secrets.token_hex(4)
    prompts = {
        f"job-{number}": f"write made {tag}-{number} ;; cost {number + 1} ;; say answer {number}"
        for number in range(CROWD)
    }
    jobs = controller.jobs(
        *({"name": name, "prompt": prompt} for name, prompt in prompts.items()),
        gummy_agent="gummy",
        gummy_node="node-1",
    )
    playing = controller.begin("run", "-e", jobs)
    # In seconds: gummy's starts lie one apart.
    playing.process.wait(4 * CROWD)
    played = playing.end()
    assert played.status == 0 and {row["status"] for row in played.jobs.values()} == {"success"}, (
        played
    )
    starts = [line.split()[1] for line in with_doubles.lines("claude-starts.log")["node-1"]]
    assert {starts.count(digest(prompt)) for prompt in prompts.values()} == {1}
    for number, name in enumerate(prompts):
        row = played.jobs[name]
        assert (row["cost_usd"], len(row["attempts"])) == (number + 1, 1), row
        assert f"+{tag}-{number}\n" in pathlib.Path(row["patch"]).read_text(encoding="utf-8")
    assert len({row["watch"] for row in played.jobs.values()}) == CROWD


@pytest.mark.parametrize("at_home", [False, True])
def test_a_specialist_works_for_a_second_job_with_and_without_its_folder_at_home(
    controller: Controller, with_doubles: Fleet, at_home: bool
) -> None:
    # A project for which gummy has specialists, one of them from this machine or none.
    gummy = controller.project / ".gummy"
    (gummy / "lib").mkdir(parents=True)
    (gummy / "lib" / "core.sh").touch()
    if at_home:
        own = gummy / "specialists" / "database-expert"
        own.mkdir(parents=True)
        (own / "prompt.txt").write_text("You know this project's database.\n", encoding="utf-8")
        (own / "session.txt").write_text("a-session-of-this-machine\n", encoding="utf-8")
        (own / "meta.yaml").write_text(
            "name: database-expert\nturns: 7\nsession_id: a-session-of-this-machine\n",
            encoding="utf-8",
        )

    # Two jobs, both by the same specialist in the same session.
    sessions = []
    for number in (1, 2):
        played = controller.run(
            "-e",
            json.dumps(
                {
                    "gummy_prompt": f"write made-{number}.txt by the database expert",
                    "gummy_node": "node-1",
                }
            ),
        )
        assert played.status == 0 and played.job["status"] == "success", played
        assert f"made-{number}.txt" in pathlib.Path(played.job["patch"]).read_text(encoding="utf-8")
        sessions.append(played.job["session_id"])
    assert sessions[0] == sessions[1]

    # The node has one specialist, and counts both.
    played = controller.play(
        "specialists",
        "--limit",
        "node-1",
        "-e",
        f"gummy_output_file={controller.folder / 'specialists.json'}",
    )
    document = json.loads((controller.folder / "specialists.json").read_text(encoding="utf-8"))
    (seen,) = [
        one
        for one in document["nodes"][0]["specialists"]
        if one["project"] == str(controller.project)
    ]
    assert (seen["name"], seen["sessions"]) == ("database-expert", 2), played

    # Its prompt is the one from home, if there is one, else what was made on the node.
    (prompt,) = with_doubles.home("node-1").rglob(
        f"{seen['workspace']}/tree/.gummy/specialists/database-expert/prompt.txt"
    )
    assert ("this project's database" in prompt.read_text(encoding="utf-8")) is at_home


class Argvs:
    """All command lines of this machine, and so of the controller and of all nodes, every 10 ms."""

    def __init__(self, *words: str) -> None:
        self.seen: set[str] = set()
        self._words = words
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._end.wait(0.01):
            # A glob looks into each folder, and ends at one whose process has ended meanwhile.
            for pid in filter(str.isdigit, os.listdir(PROC)):
                try:
                    text = (PROC / pid / "cmdline").read_bytes()
                except OSError:
                    # The process has ended.
                    continue
                self.seen.update(word for word in self._words if word.encode() in text)

    def end(self) -> None:
        self._end.set()
        self._thread.join()


@pytest.fixture
def secret() -> str:
    return f"s3cret-{secrets.token_hex(8)}"


@pytest.fixture
def argvs(secret: str) -> Iterator[Argvs]:
    looking = Argvs(secret, "seen-by-shell")
    yield looking
    looking.end()


def holding(word: str, *folders: pathlib.Path) -> set[pathlib.Path]:
    """The files with the word in them."""
    found = set()
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        try:
            if word.encode() in path.read_bytes():
                found.add(path)
        except OSError:
            # The file went in the meantime, or is a socket.
            continue
    return found


@pytest.mark.skipif(not PROC.joinpath("self/cmdline").exists(), reason="needs /proc")
@pytest.mark.parametrize("pipelining", ["True", "False"])
def test_a_passed_value_reaches_the_agents_and_is_in_no_argv_file_output_or_result(
    controller: Controller, with_doubles: Fleet, secret: str, argvs: Argvs, pipelining: str
) -> None:
    tag = secrets.token_hex(4)
    folders = (controller.folder, with_doubles.folder)
    look = (
        f'printf %s "$TOKEN" | sha256sum > seen-by-AGENT-{tag}; '
        f"until [ -e $HOME/go-{tag} ]; do sleep 0.05; done"
    )

    # Each agent writes down the hash of what it got, and waits.
    jobs = [
        {"name": name, "agent": name, "prompt": f"run {look.replace('AGENT', name)}"}
        for name in ("gummy", "claude")
    ]
    jobs.append(
        {
            "name": "shell",
            "agent": "shell",
            "command": look.replace("AGENT", "shell"),
            "verify": 'test -z "$TOKEN"',
        }
    )

    file = controller.jobs(*({**job, "pass_env": ["TOKEN"]} for job in jobs))
    env = {"ANSIBLE_PIPELINING": pipelining}

    # While all are at work, the value lies in no file.
    first = controller.begin(
        "run", "-vvv", "-e", file, "-e", "gummy_run_id=passing", env={**env, "TOKEN": secret}
    )
    first.wait_for(
        lambda: len({*with_doubles.folder.rglob(f"seen-by-*-{tag}")}) == len(jobs),
        "three agents at work",
    )
    assert not holding(secret, *folders)

    # The controller dies and the agents go on.
    first.kill()
    for node in NODES:
        with_doubles.put(node, f"go-{tag}", "")

    # What runs needs the value no more.
    played = controller.run("-vvv", "-e", file, "-e", "gummy_run_id=passing", env=env)
    assert played.status == 0, played

    # Nobody saw the value as a word of a command, and yet all had it.
    argvs.end()
    assert argvs.seen == {"seen-by-shell"}
    for row in played.jobs.values():
        assert f"+{digest(secret)}" in pathlib.Path(row["patch"]).read_text(encoding="utf-8")
    assert not holding(secret, *folders) and secret not in first.said() + played.output


def test_a_passed_variable_that_is_not_set_stops_the_run_before_anything_starts(
    controller: Controller, fleet: Fleet
) -> None:
    played = controller.shell("echo x > x", "-e", "gummy_pass_env=GUMMYLESS_TOKEN")
    assert (
        played.status == 2
        and "GUMMYLESS_TOKEN is not set here; export it, or take it out" in played.output
    ), played
    assert not (controller.state / "runs").exists()
