"""The real codex, opencode, gemini and qwen, through whole runs: what they say is told right.

npm gives them, into the clone's cache, one at a time, for they are large. They work on a local
fleet in a network namespace that has loopback and nothing else, where their service is a stand-in
(fake_services.py). Without npm these tests skip, and say so. Only with `--agents` all of them run;
else it is one of them, good and with a limit.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import pytest
import real_nodes
from npm_agents import program_of
from real_nodes import Controller, Fleet, Played
from real_tailnet import inside
from stand_ins import end, loopback_alone, serving

HOST = "services"
NODE = "node-1"
PORT = 8932
AGENTS = ("codex", "opencode", "gemini", "qwen")
# What runs without --agents.
ONE = "codex"
URL = f"http://127.0.0.1:{PORT}"
CODEX_CONFIG = f"""\
model = "gpt-5.3-codex"
model_provider = "fake"
[model_providers.fake]
name = "fake"
base_url = "{URL}/v1"
env_key = "FAKE_KEY"
wire_api = "responses"
"""
OPENCODE_CONFIG = {
    "provider": {
        "fake": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "fake",
            "options": {"baseURL": f"{URL}/v1", "apiKey": "{env:FAKE_KEY}"},
            "models": {"fake-model": {"name": "fake", "cost": {"input": 1, "output": 10}}},
        }
    }
}
GEMINI_CONFIG = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
# What each of them gets from the controller: a key, and nothing that asks anybody else.
KEYS = {
    "codex": {"FAKE_KEY": "sk-fake"},
    "opencode": {
        "FAKE_KEY": "sk-fake",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    },
    "gemini": {
        "GEMINI_API_KEY": "sk-fake",
        "GOOGLE_GEMINI_BASE_URL": URL,
        "GEMINI_TELEMETRY_ENABLED": "false",
    },
    "qwen": {
        "OPENAI_API_KEY": "sk-fake",
        "OPENAI_BASE_URL": f"{URL}/v1",
        "OPENAI_MODEL": "fake-model",
        "QWEN_TELEMETRY_ENABLED": "false",
    },
}
SETTINGS = {
    "codex": {},
    "opencode": {"model": "fake/fake-model"},
    "gemini": {"model": "gemini-2.5-flash"},
    "qwen": {},
}

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not on PATH")


def only_with_all(agent: str) -> object:
    return pytest.param(agent, marks=pytest.mark.all_agents)


EACH = [agent if agent == ONE else only_with_all(agent) for agent in AGENTS]


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    with loopback_alone(HOST):
        yield


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("services") / "requests"


@pytest.fixture(scope="module")
def services(network: None, journal: pathlib.Path) -> Iterator[None]:
    with serving(HOST, "fake_services.py", str(PORT), str(journal)):
        yield


@pytest.fixture(scope="module")
def nodes(services: None) -> Iterator[Fleet]:
    """One node, whose home is where codex takes it for one."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gummy-e2e-agents-", dir="/var/tmp"))
    folder.chmod(0o755)
    # Plain, for codex's sandbox finds no way into a /tmp that is a node's own.
    fleet = Fleet(folder / "fleet", "--size", "1", "--plain", within=inside(HOST))
    yield fleet
    fleet.call("down")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def controller(
    nodes: Fleet, tmp_path: pathlib.Path, make_environment: Callable[[pathlib.Path], dict[str, str]]
) -> Iterator[Controller]:
    config = {"agents": SETTINGS}
    env = make_environment(tmp_path / "home")
    one = Controller(nodes, tmp_path, env, config, within=inside(HOST))
    yield one
    one.close()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of them ask a busy service for a minute and more before they say so."""
    monkeypatch.setattr(real_nodes, "PATIENCE", 600.0)


class Ask:
    """Runs of one job each, on the one node."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    def install(self, agent: str) -> None:
        """The agent and its own config are on the node, and those of no other."""
        fleet = self.controller.fleet
        program = program_of(agent)
        folders = [str(program.parent), os.path.dirname(sys.executable)]
        fleet.put(NODE, ".profile", f'PATH="{":".join(folders)}:$PATH"\n')
        (fleet.home(NODE) / ".config").mkdir(exist_ok=True)
        for name, text in (
            (".codex/config.toml", CODEX_CONFIG),
            (".config/opencode/opencode.json", json.dumps(OPENCODE_CONFIG)),
            (".gemini/settings.json", json.dumps(GEMINI_CONFIG)),
        ):
            fleet.put(NODE, name, text)
            # The agents write there as well, and the node's login need not be ours.
            owner = fleet.home(NODE).stat()
            path = fleet.home(NODE) / name
            for each in (path, path.parent, fleet.home(NODE) / name.partition("/")[0]):
                os.chown(each, owner.st_uid, owner.st_gid)

    def __call__(
        self, agent: str, prompt: str, *words: str, without: tuple[str, ...] = (), **keys: object
    ) -> Played:
        self.install(agent)
        environment = {name: value for name, value in KEYS[agent].items() if name not in without}
        jobs = self.controller.jobs(
            {"prompt": prompt, "agent": agent, "pass_env": sorted(environment), **keys},
            gummy_node=NODE,
            gummy_local_fallback=False,
            gummy_refresh=True,
        )
        return self.controller.run("-e", jobs, *words, env=environment)


@pytest.fixture
def ask(controller: Controller) -> Ask:
    return Ask(controller)


PROOFS = {
    "codex": "codex's turn.completed",
    "opencode": "opencode's last step, which it ended itself",
    "gemini": "gemini's result event",
    "qwen": "qwen's result event",
}
# The agents that are let run commands by their usual mode.
RUN_COMMANDS = ["codex", "opencode"]


@pytest.mark.parametrize("agent", EACH)
def test_good(ask: Ask, agent: str) -> None:
    """It works in the least mode in which it can edit the project, and leaves nothing else."""
    workspace = "made.txt"
    played = ask(agent, f"Make the file. [[write {workspace}=hi]] [[text Made it.]]")
    row = played.job
    assert end(played) == ("success", None, None), played
    assert (row["proof"], row["files_changed"]) == (PROOFS[agent], 1), played
    assert row["tokens"]["output"] > 0
    assert (row["cost_usd"] or 0) > 0 or agent != "opencode"
    patch = pathlib.Path(row["folder"], "changes.patch").read_text(encoding="utf-8")
    assert "made.txt" in patch and ".agents" not in patch
    assert not row["left_out"], row["left_out"]


@pytest.mark.parametrize("agent", [ONE, only_with_all("opencode")])
def test_a_limit_that_resets_is_told_with_its_time(ask: Ask, agent: str) -> None:
    played = ask(agent, "Go. [[limit 7200]]", attempts=1)
    assert end(played) == ("failed", "quota", "reset"), played
    result = pathlib.Path(played.job["folder"], "result.json")
    reset_at = json.loads(result.read_text(encoding="utf-8"))["reset_at"]
    # It tells whole minutes.
    assert 7000 < reset_at - time.time() < 7300


# What the sandbox of the one refuses, and a rule of the other. What codex's sandbox refuses at once
# it does not always tell.
COMMIT = "git commit --allow-empty -m x"
REFUSED = {"codex": f"sleep 2; {COMMIT}", "opencode": "cat /etc/hostname"}


@pytest.mark.parametrize("agent", [only_with_all(each) for each in REFUSED])
def test_what_is_refused_is_no_success(ask: Ask, agent: str) -> None:
    played = ask(agent, f"Look. [[bash {REFUSED[agent]}]] [[text after]]")
    assert end(played) == ("failed", "agent", None), played
    (denied,) = played.job["denied"]
    assert REFUSED[agent] in denied, played
    assert "config.yaml" in played.job["message"]


@pytest.mark.all_agents
def test_what_codex_may_not_tell_was_refused_is_no_success_where_changes_are_expected(
    ask: Ask,
) -> None:
    played = ask("codex", f"Look. [[bash {COMMIT}]] [[text after]]", expect_changes=True)
    assert end(played) == ("failed", "agent", None), played
    assert "changed no file" in played.job["message"]


@pytest.mark.parametrize("agent", [only_with_all(each) for each in AGENTS])
def test_a_busy_service_is_tried_again(ask: Ask, agent: str) -> None:
    played = ask(agent, "Go. [[status 529]]", "-e", "gummy_queue_timeout=12s")
    assert end(played) == ("failed", "quota", "busy"), played
    assert "is busy: the job is tried again in 15 s" in played.output


@pytest.mark.parametrize("agent", [only_with_all(each) for each in ["codex", "opencode", "gemini"]])
def test_out_of_credits_is_told(ask: Ask, agent: str) -> None:
    played = ask(agent, "Go. [[credit]]", attempts=1)
    kind = "reset" if agent == "gemini" else "credit"
    assert end(played) == ("failed", "quota", kind), played


LOGINS = {
    "codex": "FAKE_KEY",
    "opencode": "FAKE_KEY",
    "gemini": "GEMINI_API_KEY",
    "qwen": "OPENAI_API_KEY",
}


@pytest.mark.parametrize("agent", [only_with_all(each) for each in LOGINS])
def test_no_login_is_a_class(ask: Ask, agent: str) -> None:
    # What opencode sends without a key is refused by the service.
    step = "status 401" if agent == "opencode" else "text hello"
    played = ask(agent, f"Go. [[{step}]]", without=(LOGINS[agent],), attempts=1)
    assert end(played) == ("failed", "login", None), played


@pytest.mark.parametrize("agent", [only_with_all(each) for each in RUN_COMMANDS])
def test_who_hangs_is_ended_and_its_work_comes_home(ask: Ask, agent: str) -> None:
    prompt = "Go. [[write made.txt=hi]] [[hang 600]]"
    played = ask(agent, prompt, timeout="40s")
    assert end(played) == ("failed", "timeout", None), played
    assert played.job["files_changed"] == 1


@pytest.mark.parametrize("agent", [only_with_all(each) for each in RUN_COMMANDS])
def test_an_agent_s_commit(ask: Ask, agent: str) -> None:
    who = "-c user.name=n -c user.email=n@x"
    step = f"sleep 2; echo hi > made.txt && git add -A && git {who} commit -q -m c"
    played = ask(agent, f"Commit. [[bash {step}]] [[text Done.]]")
    assert end(played) == ("success", None, None), played
    # codex's sandbox has .git for reading only; what it leaves comes home all the same.
    may = agent == "opencode"
    assert (bool(played.job["commits"]), bool(played.job["denied"])) == (may, not may), played
    assert played.job["files_changed"] == 1


@pytest.mark.all_agents
def test_opencode_asks_nobody_but_the_service_of_its_model(ask: Ask, journal: pathlib.Path) -> None:
    """Its own service is switched off, and what writes titles is the user's model too."""
    ask.install("opencode")
    home = ask.controller.fleet.home(NODE)
    environment = {**os.environ, "HOME": str(home), **KEYS["opencode"]}
    config = {"disabled_providers": ["opencode"], "small_model": "fake/fake-model"}
    told = []
    for more in ({}, {"OPENCODE_CONFIG_CONTENT": json.dumps(config)}):
        command = [*inside(HOST), str(program_of("opencode")), "models"]
        done = subprocess.run(
            command,
            env={**environment, **more},
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        told.append({line.partition("/")[0] for line in done.stdout.split()})
    assert "opencode" in told[0] and "opencode" not in told[1], told
    assert "fake" in told[1]


# A tool by which each of them can write a file in its usual mode.
WRITES_BY = {"codex": "exec_command", "opencode": "write", "gemini": "write_file"}


def test_what_each_may_do_by_its_usual_mode_is_offered_to_its_model(
    journal: pathlib.Path, request: pytest.FixtureRequest
) -> None:
    """After the others: what they offered."""
    rows = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    for agent in AGENTS if request.config.getoption("--agents") else [ONE]:
        offered = {tool for row in rows if agent in row["by"].lower() for tool in row["tools"]}
        assert WRITES_BY.get(agent, "write_file") in offered, (agent, offered)
        # qwen and gemini are let edit files, and run no commands.
        assert agent in RUN_COMMANDS or "run_shell_command" not in offered, (agent, offered)
