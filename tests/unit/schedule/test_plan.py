"""Where jobs would go: the plan of a run, its text, and the filter of the same name."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.distributed.gummy.plugins.filter.plan_jobs import plan_jobs
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.plan import plan_work
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.task_types import (
    KEYWORDS,
    TASK_TYPES,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._show import report

NOW = 1_000_000.0
DOCS = Path(__file__).resolve().parents[3] / "docs"


def node(name, cpu, memory=0.3, average=0.2, io_wait=0.0, **more):
    load = {"cpu": cpu, "memory": memory, "load_average": average, "io_wait": io_wait}
    fields = {"agents": frozenset({"gummy"}), "cpus": 8, "slots": 2, **more}
    return Node(name, "measured", load=load, measured_at=NOW - 4, **fields)


# -- the plan


def tricky_nodes():
    """Each node with another reason for its place."""
    return [
        node("attic", 0.05),
        node("bigbox", 0.05, cpus=16, slots=4),
        node("cellar", 0.60, io_wait=0.4),
        node("den", 0.02, busy=2),
        node("eaves", 0.01, disk_free=100 * 1024**2),
        Node(
            "forge",
            "unknown",
            "the probe does not run there (exit status 127)",
            cpus=4,
            slots=2,
            agents=frozenset({"gummy"}),
        ),
        Node("garage", "unreachable", "timed out"),
        node("hall", 0.03, agents=frozenset()),
        Node("igloo", online=False, os="linux"),
        node("jetty", 0.04),
    ]


def tricky_plan():
    work = [
        ev.PlacementSpec("index", Need("gummy", "database")),
        *(ev.PlacementSpec(f"docs-{number}", Need("gummy")) for number in range(1, 7)),
        ev.PlacementSpec("pinned", Need("gummy", node="attic")),
        ev.PlacementSpec("other", Need("shell", nodes=frozenset({"den", "garage"}))),
        ev.PlacementSpec("hopeless", Need("gummy", node="igloo")),
    ]
    rested = [ev.Quarantined("jetty", 2, 48.0, "start: gummy: command not found")]
    return plan_work(
        work,
        tricky_nodes(),
        rested,
        now=NOW,
        local_fallback=False,
        preferences={"database": ["cellar"]},
    )


def test_the_tricky_case_of_the_documentation_is_what_a_plan_prints():
    text = "\n".join(report.plan_text({"jobs": tricky_plan(), "left_out": [], "notes": []}))
    assert f"```\n{text}\n```\n" in (DOCS / "placement.md").read_text(encoding="utf-8"), text


def test_a_plan_spreads_the_jobs_with_those_in_flight_counted_and_shows_who_waits():
    nodes = [node("a", 0.1, slots=4), node("b", 0.1, slots=4), node("c", 0.1, slots=2)]
    rows = plan_work([ev.PlacementSpec(f"job-{number}", Need()) for number in range(12)], nodes)
    placed = [row["node"] for row in rows]
    assert placed == [*"abcababcab", None, None]
    assert [row["waits"] for row in rows] == [False] * 10 + [True] * 2
    assert all(entry["waits"] and entry["change"] for entry in rows[-1]["ranking"])


# -- the filter

RECORDS = [{"name": "a", "cpu": 0.1, "slots": 2}, {"name": "b", "cpu": 0.3, "slots": 1}]


def test_the_filter_takes_records_and_names_with_hostvars_alike():
    facts_of_a = {"state": "measured", "load": {"cpu": 0.1}, "slots": {"total": 2}}
    facts_of_b = {"state": "measured", "load": {"cpu": 0.3}, "slots": {"total": 1}}
    hostvars = {"a": {"gummy_facts": facts_of_a}, "b": {"gummy_facts": facts_of_b}}
    jobs = [
        "one",
        {"name": "two", "priority": 1, "prompt": "write sql"},
        {"node": "b"},
        {"nodes": ["b"], "exclude": "b"},
    ]
    plans = [
        plan_jobs(RECORDS, jobs),
        plan_jobs(["a", "b"], jobs, hostvars=hostvars),
        plan_jobs(hostvars, jobs),
    ]
    for plan in plans:
        assert [(row["name"], row["node"], row["task_type"]) for row in plan] == [
            ("one", "b", "general"),
            ("two", "a", "database"),
            ("job-3", None, "general"),
            ("job-4", None, "general"),
        ]
        assert plan[3]["why"].startswith("can't run: no node can take the job")
        assert (plan[2]["waits"], plan[3]["waits"]) == (True, False)


def test_the_filter_heeds_weights_and_preferences():
    (row,) = plan_jobs(RECORDS, ["x"], preferences={"general": ["b"]})
    assert row["node"] == "b"

    records = [{"name": "a", "cpu": 0, "mem": 0.9}, {"name": "b", "cpu": 0.5, "mem": 0}]
    (row,) = plan_jobs(records, ["x"], weights={"memory": 1})
    assert row["node"] == "b"


@pytest.mark.parametrize(
    ("jobs", "sentence"),
    [
        ("one", "jobs are a list of names or mappings, not 'one'"),
        ([3], "a job is a name or a mapping, not 3"),
        ([{"nam": "x"}], "job 1: unknown key 'nam'; did you mean 'name'?"),
        (["x", "x"], "two jobs have the name 'x'; give each job its own"),
        (
            [{"priority": "high"}],
            "job 1: priority 'high' is no whole number; write one, such as 10",
        ),
        ([{"task_type": "databse"}], "unknown task type 'databse'; did you mean 'database'?"),
        ([{"node": 3}], "job 1: node 3 is no name; write one, in quotes if it is no plain text"),
    ],
)
def test_bad_jobs_are_one_sentence(jobs, sentence):
    with pytest.raises(AnsibleFilterError) as error:
        plan_jobs(RECORDS, jobs)
    assert str(error.value) == f"plan_jobs - {sentence}"


# -- the documentation


def test_the_documentation_lists_the_words_of_each_kind_of_work():
    page = (DOCS / "placement.md").read_text(encoding="utf-8")
    for task_type, words in KEYWORDS.items():
        heavier_part = (TASK_TYPES[task_type] or "nothing more").replace("_", " ")
        row = f"| `{task_type}` | {heavier_part} | {', '.join(sorted(words))} |"
        assert row in page
