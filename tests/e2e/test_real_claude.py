"""The real claude, through whole runs: what it says is told right.

It works on a local fleet in a network namespace that has loopback and nothing else, where its model
is a stand-in (fake_model.py). gummy calls it too: the real one if it is installed, else its double.
Where claude is not installed these tests skip, and say so; with `--agents` npm gives it.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from npm_agents import program_of
from real_nodes import ROOT, Controller, Fleet, Played
from real_tailnet import MARK, inside, ip, namespace
from stand_ins import end, loopback_alone, serving

HOST = "agents"
NODE = "node-1"
PORT = 8931
KEY = {"ANTHROPIC_API_KEY": "sk-fake"}
# A subscription's login: only that has limits that reset.
TOKEN = {"CLAUDE_CODE_OAUTH_TOKEN": "sk-fake-oauth"}
QUIET = {
    "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{PORT}",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
}
WRITE = "[[bash echo hi > made.txt]] [[text Made it.]]"


@pytest.fixture(scope="module")
def claude(request: pytest.FixtureRequest) -> str:
    """The one on PATH; with --agents the one that npm gives."""
    if request.config.getoption("--agents"):
        return str(program_of("claude"))
    program = shutil.which("claude")
    if program is None:
        pytest.skip("claude is not on PATH")
    return os.path.realpath(program)


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    with loopback_alone(HOST):
        yield


@pytest.fixture(scope="module")
def model(network: None) -> Iterator[None]:
    with serving(HOST, "fake_model.py", str(PORT)):
        yield


@pytest.fixture(scope="module")
def nodes(claude: str, model: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One node, with the real claude and a gummy."""
    if claude.startswith("/tmp/"):
        pytest.skip(f"its nodes have a /tmp of their own, and do not see {claude}")
    folder = tmp_path_factory.mktemp("real") / "fleet"
    fleet = Fleet(folder, "--size", "1", within=inside(HOST))
    gummy = shutil.which("gummy")
    words = [os.path.dirname(claude), os.path.dirname(sys.executable)]
    if gummy is None:
        double = ROOT / "tests" / "doubles" / "gummy"
        fleet.put(NODE, "bin/gummy", double.read_bytes(), 0o755)
        fleet.put(NODE, "bin/jq", "#!/bin/sh\n", 0o755)
    else:
        words.append(os.path.dirname(os.path.realpath(gummy)))
    fleet.put(NODE, ".profile", f'PATH="$HOME/bin:{":".join(words)}:$PATH"\n')
    yield fleet
    fleet.call("down")


@pytest.fixture
def controller(
    nodes: Fleet, tmp_path: pathlib.Path, make_environment: Callable[[pathlib.Path], dict[str, str]]
) -> Iterator[Controller]:
    one = Controller(nodes, tmp_path, make_environment(tmp_path / "home"), {}, within=inside(HOST))
    yield one
    one.close()


class Ask:
    """Runs of one job each, on the one node."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    def __call__(
        self,
        agent: str,
        prompt: str,
        *words: str,
        login: dict[str, str] | None = None,
        more: dict[str, str] | None = None,
        **keys: object,
    ) -> Played:
        environment = {**QUIET, **(KEY if login is None else login), **(more or {})}
        jobs = self.controller.jobs(
            {"prompt": prompt, "agent": agent, "pass_env": sorted(environment), **keys},
            gummy_node=NODE,
            gummy_local_fallback=False,
        )
        return self.controller.run("-e", jobs, *words, env=environment)


@pytest.fixture
def ask(controller: Controller) -> Ask:
    return Ask(controller)


AGENTS = ("claude", "gummy")


@pytest.mark.parametrize("agent", AGENTS)
def test_good(ask: Ask, claude: str, agent: str) -> None:
    played = ask(agent, f"Make the file. {WRITE}")
    row = played.job
    assert end(played) == ("success", None, None), played
    assert row["proof"] == "claude's result event" and row["files_changed"] == 1
    assert row["cost_usd"] > 0 and row["tokens"]["output"] > 0 and row["turns"] == 2
    said = subprocess.run([claude, "--version"], capture_output=True, text=True, check=True)
    assert row["agent_version"] == said.stdout.split()[0]


def test_a_specialist_works_and_goes_on_with_its_session(ask: Ask) -> None:
    gummy = ask.controller.project / ".gummy" / "lib"
    gummy.mkdir(parents=True)
    (gummy / "core.sh").touch()
    costs = []
    for number in (1, 2):
        played = ask("gummy", f"Do it. [[bash echo {number} > made-{number}]] [[text Made.]]")
        assert end(played) == ("success", None, None), played
        costs.append(played.job["cost_usd"])
    # The second one's is what it added, and not the sum of both.
    assert costs[1] == pytest.approx(costs[0], rel=0.5), costs


def test_what_is_refused_is_no_success(ask: Ask) -> None:
    played = ask("claude", "Look. [[bash curl --version]] [[text after]]")
    assert end(played) == ("failed", "agent", None), played
    assert played.job["denied"] == ["Bash: curl --version"]
    assert "allowed_tools" in played.job["message"]


def test_a_commit_is_refused_unless_it_is_allowed(ask: Ask) -> None:
    who = "-c user.name=n -c user.email=n@x"
    commit = f"Commit. [[bash git add -A && git {who} commit -q -m c]] [[text Done.]]"
    played = ask("claude", commit)
    assert end(played) == ("failed", "agent", None), played
    assert "it can't commit" in played.job["message"]
    ask.controller.configure('{"agents": {"claude": {"allowed_tools": ["Bash(git *)"]}}}')
    write = "[[bash echo hi > made.txt]] "
    played = ask("claude", commit.replace("[[bash git", f"{write}[[bash git", 1))
    assert end(played) == ("success", None, None), played
    assert played.job["commits"], played


@pytest.mark.parametrize("agent", AGENTS)
def test_a_limit_that_resets_is_waited_for(ask: Ask, agent: str) -> None:
    played = ask(agent, "Go. [[limit 7200]]", login=TOKEN, attempts=1)
    assert end(played) == ("failed", "quota", "reset"), played
    result = pathlib.Path(played.job["folder"], "result.json")
    reset_at = json.loads(result.read_text(encoding="utf-8"))["reset_at"]
    assert 7000 < reset_at - time.time() < 7300
    assert ", till " in played.output


@pytest.mark.parametrize("agent", AGENTS)
def test_out_of_credits_ends_the_job(ask: Ask, agent: str) -> None:
    played = ask(agent, "Go. [[credit]]")
    assert end(played) == ("failed", "quota", "credit"), played
    assert "Credit balance is too low" in played.job["message"]


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("status", [529, 429])
def test_a_busy_service_is_tried_again(ask: Ask, agent: str, status: int) -> None:
    words = ("-e", "gummy_queue_timeout=12s")
    played = ask(agent, f"Go. [[status {status}]]", *words)
    assert end(played) == ("failed", "quota", "busy"), played
    assert "is busy: the job is tried again in 15 s" in played.output


def test_no_login_is_a_class_and_the_node_remembers_it(ask: Ask) -> None:
    played = ask("claude", "Go. [[text hello]]", login={})
    assert end(played) == ("failed", "login", None), played
    assert "Not logged in" in played.job["message"]
    shown = ask.controller.play("status")
    assert "(not logged in)" in shown.output, shown
    # A login that is passed on is another one.
    played = ask("claude", f"Go. {WRITE}")
    assert end(played) == ("success", None, None), played


def test_a_result_counts_though_claude_never_ends(ask: Ask) -> None:
    prompt = "Serve. [[bash echo hi > made.txt]] [[bg sleep 600]] [[text started]]"
    begun = time.monotonic()
    played = ask("claude", prompt, more={"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "0"})
    assert end(played) == ("success", None, None), played
    assert "did not end after its result" in played.job["message"]
    assert played.job["cost_usd"] > 0
    assert time.monotonic() - begun < 80


def test_a_prompt_that_looks_like_a_command_arrives_as_text(ask: Ask) -> None:
    played = ask("claude", f"/clear {WRITE}")
    assert end(played) == ("success", None, None), played


def test_nothing_but_loopback_is_there(network: None) -> None:
    devices = json.loads(ip("-n", namespace(HOST), "-json", "link"))
    assert [device["ifname"] for device in devices] == ["lo"]
    assert namespace(HOST).startswith(MARK)
