"""Agents of the user's own, and jobs that several agents may do, through whole runs."""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from real_nodes import NODES, ROOT, Controller, Fleet, Played

pytestmark = pytest.mark.once

DOUBLES = ROOT / "tests" / "doubles"

# A program of nobody's: it does what the prompt says, which is a command.
MINE = """\
#!/usr/bin/env python3
import os, subprocess, sys
prompt = open(sys.argv[2]).read() if sys.argv[1:2] == ["--file"] else sys.stdin.read()
with open(os.path.expanduser("~/mine-starts"), "a") as file:
    file.write(f"{sys.argv[1:]}\\n")
sys.exit(subprocess.run(["/bin/sh", "-c", prompt], stdin=subprocess.DEVNULL).returncode)
"""
MINE_IN_SH = 'echo started >> "$HOME/mine-starts"\n'
# A claude that does only what this one line says, whatever it is asked.
ALWAYS = '#!/bin/sh\necho \'{line}\' | exec "$HOME/doubles/claude" "$@"\n'
# Runs that can't do a job end by themselves.
AWAY = ("-e", "gummy_local_fallback=false", "-e", "gummy_refresh=true")


class Programs:
    """The agents of each node, as a test puts them there."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._paths: list[pathlib.Path] = []
        session_path = fleet.ssh("node-1", 'printf %s "$PATH"')
        for node in NODES:
            self._put(node, ".profile", f'PATH="$HOME/tools:{session_path}"\n', 0o644)
            self._put(node, "doubles/claude", (DOUBLES / "claude").read_bytes(), 0o755)

    def _put(self, node: str, name: str, text: str | bytes, mode: int) -> None:
        self._fleet.put(node, name, text, mode)
        self._paths.append(self._fleet.home(node) / name)

    def put(self, node: str, *names: str) -> None:
        """Doubles of these agents."""
        for name in names:
            double = DOUBLES / (name if name == "claude" else "others")
            self._put(node, f"tools/{name}", double.read_bytes(), 0o755)

    def script(self, node: str, name: str, text: str) -> None:
        self._put(node, f"tools/{name}", text, 0o755)

    def starts(self, name: str) -> dict[str, int]:
        lines = self._fleet.lines(f"{name}-starts.log")
        return {node: len(rows) for node, rows in lines.items()}

    def remove(self) -> None:
        for path in self._paths:
            path.unlink(missing_ok=True)
        for node in NODES:
            for name in ("tools", "doubles"):
                with contextlib.suppress(FileNotFoundError):
                    (self._fleet.home(node) / name).rmdir()
            for path in self._fleet.home(node).glob("*-starts*"):
                path.unlink()
            # What the node remembers of their logins.
            for path in self._fleet.home(node).rglob("logins.json"):
                path.unlink()


@pytest.fixture
def programs(fleet: Fleet) -> Iterator[Programs]:
    one = Programs(fleet)
    yield one
    one.remove()


def configure(controller: Controller, slots: int = 2, **agents: Any) -> None:
    nodes = {node: {"slots": slots} for node in NODES}
    controller.configure(json.dumps({"nodes": nodes, "agents": agents}))


def run(controller: Controller, *jobs: dict[str, Any], **settings: Any) -> Played:
    return controller.run("-e", controller.jobs(*jobs, **settings), *AWAY)


# -- agents of the user's own


def test_one_of_your_own_does_a_job_by_stdin_or_a_file_where_it_is(
    controller: Controller, programs: Programs, tmp_path: pathlib.Path
) -> None:
    configure(
        controller,
        mine={"argv": ["mine"]},
        filed={"argv": ["~/tools/mine", "--file", "{file}"], "prompt": "file"},
    )
    programs.script("node-2", "mine", MINE)
    played = run(
        controller,
        {"name": "a", "agent": "mine", "prompt": "echo it works > made.txt"},
        {"name": "b", "agent": "filed", "prompt": "echo '{file} $HOME' > made.txt"},
        {"name": "c", "agent": "mine", "prompt": "exit 7"},
    )
    ends = {name: (row["status"], row["class"]) for name, row in played.jobs.items()}
    good = ("success", None)
    assert ends == {"a": good, "b": good, "c": ("failed", "agent")}, played
    for name, agent, text in (("a", "mine", "+it works"), ("b", "filed", "+{file} $HOME")):
        row = played.jobs[name]
        assert (row["agent"], row["node"], row["files_changed"]) == (agent, "node-2", 1)
        assert row["proof"] == f"exit status 0 of {agent}"
        assert text in pathlib.Path(row["patch"]).read_text(encoding="utf-8")
    assert played.jobs["c"]["message"].startswith("mine ended with exit status 7")

    written = tmp_path / "status.json"
    controller.play("status", "-e", f"gummy_output_file={written}")
    nodes = json.loads(written.read_text(encoding="utf-8"))["nodes"]
    told = {row["name"]: {"mine", "filed"} & set(row["agents"]) for row in nodes}
    assert [name for name, own in told.items() if own] == ["node-2"], told


def test_where_nobody_has_it_plan_and_run_say_so(
    controller: Controller, programs: Programs, tmp_path: pathlib.Path
) -> None:
    configure(controller, mine={"argv": ["mine"]})
    job = controller.jobs({"agent": "mine", "prompt": "true"})
    written = tmp_path / "plan.json"
    played = controller.play("plan", "-e", job, *AWAY, "-e", f"gummy_output_file={written}")
    (row,) = json.loads(written.read_text(encoding="utf-8"))["jobs"]
    assert row["agent"] == "mine" and row["node"] is None and "no usable mine" in row["why"], played
    played = controller.run("-e", job, *AWAY)
    assert (played.job["status"], played.job["class"]) == ("failed", "refused"), played
    assert "no usable mine" in played.job["message"]


def test_one_whose_events_are_read_as_codex_has_its_tokens_limits_and_an_account(
    controller: Controller, programs: Programs
) -> None:
    argv = ["~/tools/codex", "exec", "--json", "-s", "workspace-write", "-"]
    configure(controller, slots=1, mine={"argv": argv, "reads": "codex", "account": "team"})
    programs.put("node-1", "codex")
    programs.put("node-3", "codex")
    played = run(controller, {"agent": "mine", "prompt": "write made.txt hi ;; say Made it"})
    row = played.job
    assert (row["status"], row["proof"]) == ("success", "mine's turn.completed"), played
    assert row["tokens"]["output"] > 0 and row["message"] == "Made it"

    played = run(controller, {"agent": "mine", "prompt": "limit"}, gummy_attempts=2)
    row = played.job
    assert (row["status"], row["class"], row["quota_kind"]) == ("failed", "quota", "reset"), played
    assert "the account team has no quota left" in played.output


def test_one_that_is_not_logged_in_is_not_started_there(
    controller: Controller, fleet: Fleet, programs: Programs
) -> None:
    configure(controller, mine={"argv": ["mine"], "login": {"file": ".mine/key"}})
    # A shell's script, which might bring a login along, is believed to do so only where nobody says
    # what shows the login.
    script = f"#!/bin/sh\n{MINE_IN_SH}"
    programs.script("node-1", "mine", MINE)
    programs.script("node-2", "mine", script)
    played = run(controller, {"agent": "mine", "prompt": "true"})
    assert (played.job["status"], played.job["class"]) == ("failed", "login"), played
    assert "not logged in" in played.job["message"] and not fleet.lines("mine-starts")

    (fleet.home("node-2") / ".mine").mkdir()
    fleet.put("node-2", ".mine/key", "k")
    played = run(controller, {"agent": "mine", "prompt": "true"})
    assert (played.job["status"], played.job["node"]) == ("success", "node-2"), played
    (fleet.home("node-2") / ".mine/key").unlink()


# -- an order of agents


def test_the_first_that_a_free_node_can_run_now_is_taken(
    controller: Controller, programs: Programs
) -> None:
    configure(controller, slots=1)
    programs.put("node-1", "claude")
    programs.put("node-2", "codex")
    order = ["claude", "codex"]
    played = run(
        controller,
        *({"prompt": f"write made.txt {number} ;; sleep 3"} for number in range(2)),
        gummy_agent=order,
    )
    # claude's only node is taken by the first, and the second does not wait for it.
    rows = [(row["agent"], row["node"], row["status"]) for row in played.jobs.values()]
    assert rows == [("claude", "node-1", "success"), ("codex", "node-2", "success")], played
    proofs = [row["proof"] for row in played.jobs.values()]
    assert proofs == ["claude's result event", "codex's turn.completed"]


def test_when_an_account_is_used_up_the_next_one_goes_on(
    controller: Controller, programs: Programs
) -> None:
    configure(controller, slots=1)
    for node in ("node-1", "node-2"):
        programs.script(node, "claude", ALWAYS.format(line="limit 3600"))
        programs.put(node, "codex")
    played = run(
        controller,
        *({"prompt": f"write made.txt {number}"} for number in range(5)),
        gummy_agent=["claude", "codex"],
    )
    ends = {(row["agent"], row["status"]) for row in played.jobs.values()}
    assert ends == {("codex", "success")}, played
    # Two met the limit, and no other was sent into it.
    assert sum(programs.starts("claude").values()) == 2
    assert sum(programs.starts("codex").values()) == 5
    assert "the account claude has no quota left" in played.output
    tries = sorted(len(row["attempts"]) for row in played.jobs.values())
    assert tries == [1, 1, 1, 2, 2]


@pytest.mark.parametrize("line", ["busy", "credit", "logged_out"])
def test_what_else_keeps_the_first_is_no_reason_to_wait(
    controller: Controller, programs: Programs, line: str
) -> None:
    configure(controller)
    programs.script("node-1", "claude", ALWAYS.format(line=line))
    programs.put("node-1", "codex")
    played = run(controller, {"prompt": "write made.txt x"}, gummy_agent=["claude", "codex"])
    row = played.job
    assert (row["status"], row["agent"], row["node"]) == ("success", "codex", "node-1"), played
    assert programs.starts("claude") == {"node-1": 1}
    # Nobody waited for a busy service.
    assert played.run["seconds"] < 15


def test_one_of_your_own_stands_in_an_order_and_opencode_never_runs_without_a_model(
    controller: Controller, fleet: Fleet, programs: Programs
) -> None:
    configure(controller, mine={"argv": ["mine"]}, opencode={"model": "fake/model"})
    programs.script("node-1", "mine", MINE)
    programs.put("node-2", "opencode")
    order = {"gummy_agent": ["opencode", "mine"]}
    played = run(controller, {"prompt": "true"}, gummy_nodes="node-1", **order)
    assert (played.job["status"], played.job["agent"]) == ("success", "mine"), played

    configure(controller, mine={"argv": ["mine"]})
    for playbook in ("plan", "run"):
        job = controller.jobs({"prompt": "write x y"}, **order)
        played = controller.play(playbook, "-e", job, *AWAY)
        assert played.status != 0 and "opencode has no model" in played.output, played
    assert not fleet.lines("opencode-leaked") and not programs.starts("opencode")


def test_who_takes_up_a_run_finds_what_the_second_of_an_order_does(
    controller: Controller, fleet: Fleet, programs: Programs
) -> None:
    configure(controller)
    programs.put("node-3", "codex")
    held = fleet.ssh("node-3", 'printf %s "$HOME/held"')
    jobs = controller.jobs(
        {"prompt": f"write made.txt x ;; wait {held}"}, gummy_agent=["claude", "codex"]
    )
    words = ("-e", jobs, "-e", "gummy_run_id=an-order", *AWAY)
    playing = controller.begin("run", *words)
    playing.wait_for(lambda: programs.starts("codex"), "the start of codex")
    playing.kill()
    again = controller.begin("run", *words)
    again.wait_for(lambda: "resuming the run" in again.said(), "the run is taken up")
    fleet.put("node-3", "held", "")
    played = again.end()
    (fleet.home("node-3") / "held").unlink()
    row = played.job
    assert (row["status"], row["agent"], len(row["attempts"])) == ("success", "codex", 1), played
    assert programs.starts("codex") == {"node-3": 1}
