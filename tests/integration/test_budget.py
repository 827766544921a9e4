"""What jobs cost on real nodes: agents are held to it, the queue stops by it, and it is kept."""

from __future__ import annotations

import json

import pytest
from real_nodes import Controller, Fleet, Played

pytestmark = pytest.mark.once


def run(controller: Controller, *words: str, jobs: dict[str, str], **settings: object) -> Played:
    """One job after the other, on one node: name -> prompt."""
    file = controller.jobs(
        *({"name": name, "prompt": prompt} for name, prompt in jobs.items()),
        **{"gummy_agent": "claude", "gummy_node": "node-1", **settings},
    )
    return controller.run(*words, "-e", file)


def ends(played: Played) -> dict[str, tuple[str, str | None]]:
    return {name: (row["status"], row["class"]) for name, row in played.jobs.items()}


@pytest.mark.parametrize("agent", ["claude", "gummy"])
def test_an_agent_is_held_to_the_budget_of_its_job_and_its_work_comes_home(
    controller: Controller, with_doubles: Fleet, agent: str
) -> None:
    jobs = {"cheap": "write made x ;; cost 0.2", "dear": "write made x ;; cost 0.6"}
    played = run(controller, jobs=jobs, gummy_agent=agent, gummy_budget_usd="0.50")
    assert ends(played) == {"cheap": ("success", None), "dear": ("failed", "budget")}, played
    dear = played.jobs["dear"]
    assert "Reached maximum budget ($0.5)" in dear["message"]
    assert (dear["files_changed"], dear["cost_usd"]) == (1, 0.6)
    assert played.run["cost"]["cost_usd"] == 0.8
    assert "cost $0.80 in 2 attempts" in played.output


def test_the_budget_of_a_run_ends_what_had_not_begun_and_the_run_called_again_takes_it_up(
    controller: Controller, with_doubles: Fleet
) -> None:
    controller.configure(json.dumps({"nodes": {"node-1": {"slots": 1}}}))
    jobs = {name: f"write {name} x ;; cost 0.4" for name in ("a", "b", "c")}
    words = ("-e", "gummy_run_id=dear")
    played = run(controller, *words, jobs=jobs, gummy_run_budget_usd=0.7)
    assert ends(played) == {
        "a": ("success", None),
        "b": ("success", None),
        "c": ("failed", "budget"),
    }, played
    used_up = "the run's budget is used up: $0.80 of $0.70 (node-1 $0.80)"
    assert played.jobs["c"]["message"] == f"not begun: {used_up}"
    assert f"{used_up}; nothing more begins" in played.output
    assert played.status == 2

    # Without more money it stays so, and asks no node.
    again = run(controller, *words, jobs=jobs, gummy_run_budget_usd=0.7)
    assert ends(again)["c"] == ("failed", "budget"), again
    more = run(controller, *words, jobs=jobs, gummy_run_budget_usd=2)
    assert set(ends(more).values()) == {("success", None)}, more
    assert more.run["cost"]["cost_usd"] == 1.2
    assert [share["name"] for share in more.run["cost"]["by_job"]] == ["dear/a", "dear/b", "dear/c"]


def test_the_budget_of_a_day_holds_for_all_runs_and_status_shows_who_spent_it(
    controller: Controller, with_doubles: Fleet
) -> None:
    config = {"budget": {"day_usd": 1}, "agents": {"claude": {"account": "team"}}}
    controller.configure(json.dumps(config))
    first = run(controller, jobs={"a": "write a x ;; cost 0.75"})
    assert first.status == 0, first
    second = run(controller, jobs={"a": "write a x ;; cost 0.5"})
    assert second.status == 0 and second.run["today_usd"] == 1.25, second

    third = run(controller, jobs={"a": "write a x ;; cost 0.5"})
    assert ends(third) == {"a": ("failed", "budget")}, third
    assert third.job["message"] == "not begun: the budget of this day is used up: $1.25 of $1.00"
    assert with_doubles.count("claude-starts.log") >= 2

    # Commands cost nothing, and a day without money keeps nobody from looking.
    path = controller.folder / "status.json"
    played = controller.play("status", "-e", f"gummy_output_file={path}")
    cost = json.loads(path.read_text(encoding="utf-8"))["cost"]
    assert (cost["cost_usd"], cost["attempts"]) == (1.25, 2), played
    for key, name in (
        ("by_node", "node-1"),
        ("by_agent", "claude"),
        ("by_account", "team"),
        ("by_project", str(controller.project)),
    ):
        assert [(row["name"], row["cost_usd"]) for row in cost[key]] == [(name, 1.25)]
    assert "cost today $1.25 in 2 attempts" in played.output

    # The board tells the same, of the same sums.
    board = controller.folder / "watch.json"
    watched = controller.play("watch", "-e", f"gummy_output_file={board}")
    assert json.loads(board.read_text(encoding="utf-8"))["cost"] == cost, watched
    jobs = f"by job: {first.run['run_id']}/a $0.75, {second.run['run_id']}/a $0.50"
    for shown in (played, watched):
        assert jobs in " ".join(shown.output.replace("│", "").split())
