from __future__ import annotations

import importlib.util
import pathlib
from typing import Any

import pytest
import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "demo"
_spec = importlib.util.spec_from_file_location("gummy_demo", FOLDER / "demo.py")
assert _spec and _spec.loader
demo = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(demo)
NAMES = [job["name"] for job in yaml.safe_load((FOLDER / "jobs.yml").read_text())["gummy_jobs"]]


def a_good_demo() -> tuple[dict[str, Any], list[str], dict[str, list[str]], int]:
    def job(name: str, node: str) -> dict[str, Any]:
        fails = name in demo.FAILS
        return {
            "name": name,
            "status": "failed" if fails else "success",
            "class": "agent" if fails else None,
            "exit_status": demo.FAILS.get(name, 0),
            "node": node,
            "attempts": [{"id": "a", "node": node, "state": "ended"}],
            "patch": None if name in demo.CHANGES_NOTHING else "/p/changes.patch",
        }

    jobs = [job(name, demo.NODES[i % 3]) for i, name in enumerate(NAMES)]
    starts = {node: [j["name"] for j in jobs if j["node"] == node] for node in demo.NODES}
    return {"status": "failed", "jobs": jobs}, NAMES, starts, 2


def test_the_expected_outcome_has_no_problems() -> None:
    assert demo.problems(*a_good_demo()) == []


def lose_a_job(record: dict[str, Any], starts: dict[str, list[str]]) -> None:
    record["jobs"].pop()


def fail_a_good_one(record: dict[str, Any], starts: dict[str, list[str]]) -> None:
    record["jobs"][0] |= {"status": "failed", "class": "unreachable"}


def lose_a_patch(record: dict[str, Any], starts: dict[str, list[str]]) -> None:
    record["jobs"][0]["patch"] = None


def use_localhost(record: dict[str, Any], starts: dict[str, list[str]]) -> None:
    record["jobs"][0]["attempts"].append({"id": "b", "node": "localhost", "state": "ended"})


def start_twice(record: dict[str, Any], starts: dict[str, list[str]]) -> None:
    starts["node-2"].append(NAMES[0])


def leave_a_node_idle(record: dict[str, Any], starts: dict[str, list[str]]) -> None:
    starts["node-1"] += starts.pop("node-3")


@pytest.mark.parametrize(
    "spoil",
    [lose_a_job, fail_a_good_one, lose_a_patch, use_localhost, start_twice, leave_a_node_idle],
)
def test_anything_else_is_a_problem(spoil: Any) -> None:
    record, names, starts, status = a_good_demo()
    spoil(record, starts)
    assert len(demo.problems(record, names, starts, status)) == 1


def test_an_exit_status_that_hides_the_failed_job_is_a_problem() -> None:
    assert demo.problems(*a_good_demo()[:3], 0) == ["the playbook's exit status is 0, not 2"]
