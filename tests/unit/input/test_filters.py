"""The filters best_node and rank_nodes, as called and as people's playbooks use them."""

from __future__ import annotations

import subprocess

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.distributed.gummy.plugins.filter import best_node as best_module
from ansible_collections.distributed.gummy.plugins.filter import plan_jobs as plan_module
from ansible_collections.distributed.gummy.plugins.filter import rank_nodes as rank_module

best_node = best_module.best_node
rank_nodes = rank_module.rank_nodes
GOLDEN = [
    {"name": "node-1", "cpu": 0.15, "io_wait": 0.45},
    {"host": "node-2", "cpu": 0.65, "io_wait": 0.12},
]
HOSTVARS = {
    "a": {"gummy_facts": {"state": "measured", "load": {"cpu": 0.5}, "cpus": 4}},
    "b": {"gummy_facts": {"state": "measured", "load": {"cpu": 0.2}, "cpus": 4}},
    "c": {"gummy_facts": {"state": "unreachable", "reason": "timed out"}},
}


def test_golden_records():
    assert best_node(GOLDEN, task_type="database")["host"] == "node-1"
    assert best_node(GOLDEN, task_type="api")["host"] == "node-2"


def test_names_with_hostvars_and_hostvars_alone_rank_alike():
    ranked = rank_nodes(["a", "b", "c"], hostvars=HOSTVARS)
    assert ranked == rank_nodes(HOSTVARS)
    assert [entry["host"] for entry in ranked] == ["b", "a", "c"]
    assert ranked[2]["rejected"] == ranked[2]["reason"] == "not reachable: timed out"


def test_a_ranking_can_be_ranked_again():
    assert rank_nodes(rank_nodes(GOLDEN)) == rank_nodes(GOLDEN)


def test_exclude_and_weights_count():
    assert (
        best_node(GOLDEN, exclude="node-1")["host"]
        == best_node(GOLDEN, exclude=["node-1"])["host"]
        == "node-2"
    )
    assert best_node(GOLDEN, weights={"io_wait": 1})["host"] == "node-2"


@pytest.mark.parametrize(
    ("data", "options", "sentence"),
    [
        ([], {}, "no node can take work now. there is none"),
        (["c"], {"hostvars": HOSTVARS}, "no node can take work now. c: not reachable: timed out"),
        (
            [{"name": "n", "cpu": 0.1, "busy": 1}],
            {},
            "no node can take work now. n: no free slot (1 of 1 taken)",
        ),
        (["a"], {}, "a list of host names needs their variables as well: hostvars=hostvars"),
        (
            ["node-a"],
            {"hostvars": {"nod-a": {}}},
            "hostvars has no host 'node-a'; did you mean 'nod-a'?",
        ),
        (
            ["a", "a"],
            {"hostvars": HOSTVARS},
            "a node stands in the list more than once; name each one once",
        ),
        (
            [{"name": "n", "cpu": 15}],
            {},
            "cpu of n is 15; loads go from 0 (idle) to 1 (full), so 15 % is 0.15",
        ),
        (
            [{"name": "n", "mem": "lots"}],
            {},
            "mem of n is 'lots'; loads go from 0 (idle) to 1 (full), so 15 % is 0.15",
        ),
        ([{"cpu": 1}], {}, "a record of a node needs a name, this one has the keys cpu"),
        ([5], {}, "a node is a host name or a record, not 5"),
        ("a", {}, "nodes are a list of host names, a list of records or hostvars, not 'a'"),
        (GOLDEN, {"task_type": "databse"}, "unknown task type 'databse'; did you mean 'database'?"),
        (GOLDEN, {"weights": {"cpu": -1}}, "load weight cpu is -1; give a number, 0 or more"),
    ],
)
def test_bad_input_is_one_sentence(data, options, sentence):
    with pytest.raises(AnsibleFilterError) as error:
        best_node(data, **options)
    assert str(error.value) == f"best_node - {sentence}"


def test_the_documented_examples_run(tmp_path, ansible_env):
    examples = [module.EXAMPLES for module in (best_module, rank_module, plan_module)]
    play = {
        "hosts": "a",
        "gather_facts": False,
        "tasks": [task for text in examples for task in yaml.safe_load(text)],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    hosts = {
        name: {**variables, "ansible_connection": "local"} for name, variables in HOSTVARS.items()
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    (tmp_path / "empty.cfg").write_text("")
    env = {**ansible_env, "ANSIBLE_CONFIG": str(tmp_path / "empty.cfg")}
    command = ["ansible-playbook", "-i", "hosts.yml", "play.yml"]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "deploying on a" in done.stdout and "a -> b" in done.stdout
    assert "b: score 0.20, cpu 20 %" in done.stdout and "c: not reachable: timed out" in done.stdout
    assert "web on b" in done.stdout and "docs on a" in done.stdout
